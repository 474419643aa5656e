"""Bytes of files are flipped, cut out and put in: what is read then is right, or an error.

Right is what a reader of another project says of the same bytes, or where the file carries a
checksum of all of them, what was in it before.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attack_report import LONG, Attack

from tradewind.errors import TradewindError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

PROMISE = "A value arrives as it was, or the move fails"
HOW = "bytes of a file flipped, cut out, doubled or put in; compared with a reader of others"
COUNTS = [pytest.param(60, id="some"), pytest.param(1_700, id="many", marks=LONG)]

ROWS = 60
TEXTS = ["plain", "with, comma", 'with "quotes"', "", "ümläut", "two\nlines", "tab\there", " room "]
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "price": pa.array([n * 1.25 for n in range(ROWS)], pa.float64()),
        "text": pa.array([TEXTS[n % len(TEXTS)] for n in range(ROWS)], pa.string()),
    }
)
ALL_TEXT = pa.schema([(name, pa.string()) for name in TABLE.column_names])
Rows = list[tuple[Any, ...]]


def csv_file() -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TABLE.column_names)
    # An empty field is NULL; so that there is none that means an empty text, none is empty.
    writer.writerows([row["id"], row["price"], row["text"] or "-"] for row in TABLE.to_pylist())
    return text.getvalue().encode()


def jsonl_file() -> bytes:
    lines = [json.dumps(row, ensure_ascii=False) for row in TABLE.to_pylist()]
    return ("\n".join(lines) + "\n").encode()


def parquet_file(**options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(TABLE, file, row_group_size=25, **options)
    return file.getvalue()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change some bytes at one place or two."""
    for _ in range(chance.choice((1, 1, 1, 2))):
        at = chance.randrange(len(data))
        length = chance.choice((1, 1, 2, 8, 64))
        how = chance.choice(("flip", "set", "cut", "end", "put", "double"))
        if how == "flip":
            data = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        elif how == "set":
            data = data[:at] + chance.choice(b'\x00\xff",\n\r{}:1e').to_bytes() + data[at + 1 :]
        elif how == "cut":
            data = data[:at] + data[at + length :]
        elif how == "end":
            data = data[: max(at, 1)]
        elif how == "put":
            data = data[:at] + chance.randbytes(length) + data[at:]
        else:
            data = data[: at + length] + data[at : at + length] + data[at + length :]
        data = data or b"\n"
    return data


def read(folder: Path, key: str, schema: pa.Schema | None = None) -> Rows:
    source = ObjectSource(FileStore(folder), key, schema=schema)
    rows: Rows = []
    for batch in source.batches():
        rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return rows


def same(ours: Rows, theirs: Rows) -> bool:
    return len(ours) == len(theirs) and all(
        len(one) == len(other) and all(map(equal, one, other))
        for one, other in zip(ours, theirs, strict=True)
    )


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, str) and other is not None and one != other:
        # A column of values of several kinds is one of JSON texts.
        return one in (json.dumps(other), json.dumps(other, ensure_ascii=False))
    # This reader cannot tell an empty field from an empty text in quotes.
    return bool(one == other) or (one == "" and other is None)


def csv_reference(data: bytes) -> Rows:
    """What Python's csv module reads; records must be of one length."""
    text = data.decode().removeprefix("\ufeff")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    rows = [row for row in rows if row]
    if {len(row) for row in rows} != {3} or len(set(rows[0])) != 3:
        raise ValueError("records of several lengths")
    return [tuple(field or None for field in row) for row in rows[1:]]


def jsonl_reference(data: bytes) -> Rows:
    """What Python's json module reads of each line; of a name that stands twice the last value."""
    rows = []
    names: dict[str, None] = {}

    def refuse(word: str) -> None:
        raise ValueError(word)

    for line in data.decode().removeprefix("\ufeff").split("\n"):
        if line.strip():
            row = json.loads(line, parse_constant=refuse)
            if not isinstance(row, dict):
                raise ValueError("a line is no object")
            names |= dict.fromkeys(row)
            rows.append(row)
    return [tuple(row.get(name) for name in names) for row in rows]


def parquet_reference(data: bytes) -> Rows:
    table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    return [tuple(row.values()) for row in table.to_pylist()]


def gzip_reference(data: bytes) -> Rows:
    return csv_reference(gzip.decompress(data))


FILES: dict[str, tuple[bytes, Callable[[bytes], Rows], pa.Schema | None]] = {
    "a.csv": (csv_file(), csv_reference, ALL_TEXT),
    "a.jsonl": (jsonl_file(), jsonl_reference, None),
    "a.csv.gz": (gzip.compress(csv_file(), mtime=0), gzip_reference, ALL_TEXT),
    "plain.parquet": (
        parquet_file(compression="none", write_page_checksum=True),
        parquet_reference,
        None,
    ),
    "zstd.parquet": (parquet_file(compression="zstd"), parquet_reference, None),
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_right_or_refused(tmp_path: Path, name: str, count: int):
    whole, reference, schema = FILES[name]
    attack = Attack(PROMISE, HOW, name.replace(".", " ", 1) if name[0] != "a" else name[2:])
    (tmp_path / name).write_bytes(whole)
    before = read(tmp_path, name, schema)
    assert same(before, reference(whole))
    for number in attack.rounds(count):
        data = mutate(whole, attack.chance)
        (tmp_path / name).write_bytes(data)
        try:
            ours = read(tmp_path, name, schema)
        except TradewindError:
            attack.note("refused")
            continue
        except Exception as error:
            attack.fail(f"{number}: {type(error).__name__}: {error}")
            continue
        attack.note("read")
        if same(ours, before):
            continue
        try:
            theirs = reference(data)
        except Exception as error:
            attack.fail(f"{number}: read, though another reader refuses it: {error}")
            continue
        if not same(ours, theirs):
            wrong = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]][:1]
            attack.fail(f"{number}: {len(ours)} rows for {len(theirs)}: {wrong}")
    attack.finish()


def published(folder: Path) -> dict[Path, bytes]:
    """Publish the table in parts, and give all files."""
    (folder / "from").mkdir(parents=True)
    pq.write_table(TABLE, folder / "from" / "a.parquet")
    source = ObjectSource(FileStore(folder / "from"), "a.parquet")
    (folder / "to").mkdir()
    target = ObjectTarget(FileStore(folder / "to"), "p/", format="csv", parts=Parts(rows=20))
    transfer(source, target, Owner("attack", "mutated", "parts"))
    return {path: path.read_bytes() for path in (folder / "to").rglob("*") if path.is_file()}


@pytest.mark.parametrize("count", COUNTS)
def test_a_mutated_manifest_is_read_right_or_refused(tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "manifest of parts")
    files = published(tmp_path)
    (manifest,) = (path for path in files if path.name == "_manifest.json")
    whole = read(tmp_path / "to", "p/")
    for number in attack.rounds(count):
        manifest.write_bytes(mutate(files[manifest], attack.chance))
        try:
            ours = read(tmp_path / "to", "p/")
        except TradewindError:
            attack.note("refused")
            continue
        except Exception as error:
            attack.fail(f"{number}: {type(error).__name__}: {error}")
            continue
        attack.note("read")
        attack.check(same(ours, whole), f"{number}: other values without an error")
    attack.finish()
