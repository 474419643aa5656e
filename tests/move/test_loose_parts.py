"""Parts of CSV and JSON lines: a late value of another type is written as it is there too."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.publish.destination import Parts
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.source import SQLiteSource

OWNER = Owner("dag", "run", "task")
LATE = ["n/a", "1.50", "02139"]


def sources(folder: Path) -> dict[str, ObjectSource | SQLiteSource]:
    lines = [f"{number},7" for number in range(200)] + [f"9,{value}" for value in LATE]
    (folder / "in.csv").write_text("id,v\n" + "\n".join(lines) + "\n")
    with sqlite3.connect(folder / "in.db") as database:
        database.execute("CREATE TABLE t (id, v)")
        rows = [(number, 7) for number in range(200)] + [(9, value) for value in LATE]
        database.executemany("INSERT INTO t VALUES (?, ?)", rows)
    database.close()
    return {
        "csv": ObjectSource(FileStore(folder), "in.csv", format=CsvFormat(sample_bytes=500)),
        "sqlite": SQLiteSource(folder / "in.db", "SELECT * FROM t ORDER BY rowid", sample=50),
    }


def read_back(folder: Path, prefix: str) -> list[dict]:
    with ObjectSource(FileStore(folder), prefix).batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_late_values_in_parts(tmp_path: Path, kind: str) -> None:
    source = sources(tmp_path)[kind]
    for name, format in {"c": CsvFormat(), "j": JsonLinesFormat()}.items():
        target = ObjectTarget(
            FileStore(tmp_path), f"{name}/", format=format, compression=None, parts=Parts(rows=60)
        )
        receipt = transfer(source, target, OWNER)
        assert receipt.rows == 203
        files = sorted(each for each in (tmp_path / name).iterdir() if each.name.startswith("part"))
        assert len(files) == 4
        texts = [line for each in files for line in each.read_text().splitlines()]
        if name == "c":
            rows = [line for line in texts if line != "id,v"]
            assert rows == [*(f"{number},7" for number in range(200)), *(f"9,{v}" for v in LATE)]
        else:
            values = [json.loads(line)["v"] for line in texts]
            expected = ["n/a", 1.5, "02139"] if kind == "csv" else LATE
            assert values == [7] * 200 + expected
        again = [row["v"] for row in read_back(tmp_path, f"{name}/")]
        assert [str(value).strip('"') for value in again] == ["7"] * 200 + LATE


def test_formats_with_types_still_refuse_them(tmp_path: Path) -> None:
    for kind, source in sources(tmp_path).items():
        target = ObjectTarget(
            FileStore(tmp_path), f"{kind}/", format=ParquetFormat(), parts=Parts(rows=60)
        )
        with pytest.raises(UnfitValueError, match="'v'"):
            transfer(source, target, OWNER)
        assert [each for each in tmp_path.rglob(f"{kind}/*") if each.is_file()] == []


def test_late_members_with_late_types(tmp_path: Path) -> None:
    early = [f'{{"id":{number},"p":1.50,"s":"{"x" * 1500}"}}' for number in range(3000)]
    late = '{"id":"two","p":12345678901234567890.12,"w":[1.50]}'
    (tmp_path / "in.jsonl").write_text("".join(f"{line}\n" for line in [*early, late]))
    for name, into in {"j": JsonLinesFormat(omit_null=True), "c": CsvFormat()}.items():
        source = ObjectSource(FileStore(tmp_path), "in.jsonl")
        target = ObjectTarget(
            FileStore(tmp_path), f"{name}/", format=into, compression=None, parts=Parts(rows=2000)
        )
        assert transfer(source, target, OWNER).rows == 3001
        files = sorted(each for each in (tmp_path / name).iterdir() if each.name.startswith("part"))
        lines = [each.read_text().splitlines() for each in files]
        if name == "j":
            assert lines == [early[:2000], [*early[2000:], late]]
        else:
            assert (lines[1][0], lines[1][-1]) == (
                "id,p,s,w",
                "two,12345678901234567890.12,,[1.50]",
            )
        last = read_back(tmp_path, f"{name}/")[-1]
        assert (last["id"].strip('"'), last["p"]) == ("two", "12345678901234567890.12")
        assert last["w"] == "[1.50]"
