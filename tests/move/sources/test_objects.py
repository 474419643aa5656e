"""Objects as a source: which are meant, what they are, and that several of them agree."""

from __future__ import annotations

import contextlib
import gzip
import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from object_moves import Rows
from tradewind.errors import InputError, RetryError
from tradewind.move.flow import Flow
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

OWNER = Owner("dag", "run", "task")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def put(store: FileStore, **contents: bytes) -> None:
    for name, data in contents.items():
        path = store.root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def values(source: ObjectSource) -> list[dict]:
    with source.batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def passed(source: ObjectSource, format=None) -> tuple[bytes, int | None, tuple | None]:
    flow = Flow(source)
    encoded = flow.passed_through(format or CsvFormat())
    assert encoded is not None
    data = b"".join(encoded.chunks)
    return data, flow.rows, encoded.columns


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("a.csv", [1]),
        ("d/", [2, 3, 5]),
        ("d", [2, 3, 5]),
        ("d/*.csv", [2, 3]),
        ("d/[ab].csv", [2, 3]),
        ("d/[!a].csv", [3]),
        ("?.csv", [1]),
        ("**/*.csv", [1, 2, 3, 5]),
        ("d/**/c.csv", [5]),
        ("d/*", [2, 3]),
    ],
)
def test_key_prefix_and_glob(store: FileStore, key: str, found: list[int]) -> None:
    put(store, a_csv=b"n\n1\n", d__b_csv=b"n\n3\n", d__a_csv=b"n\n2\n", d__e__c_csv=b"n\n5\n")
    if key in ("d/", "d"):  # what begins so is not data
        (store.root / "d" / "_SUCCESS").write_bytes(b"")
        (store.root / "d" / ".hidden").write_bytes(b"")
    assert [row["n"] for row in values(ObjectSource(store, key))] == found


@pytest.mark.parametrize("key", ["never.csv", "never/", "*.never"])
def test_nothing_there(store: FileStore, key: str) -> None:
    with pytest.raises(InputError, match="no such object"):
        ObjectSource(store, key).batches()


def test_a_manifest_rules(store: FileStore) -> None:
    transfer(Rows(10), ObjectTarget(store, "set", format="csv", parts=Parts(rows=6)), OWNER)
    put(store, set__stray_csv=b"id,kind,text\n99,a,b\n")
    for key in ("set", "set/", "set/*.csv", "s*/*", "**/*.csv"):
        assert [row["id"] for row in values(ObjectSource(store, key))] == list(range(10)), key
    data, rows, columns = passed(ObjectSource(store, "set"))
    assert (rows, columns) == (10, ("id", "kind", "text"))
    assert data.count(b"\n") == 11
    # A part that is not the one that was published.
    part = next(store.root.glob("set/part-00001-*"))
    os.utime(part, (1, 1))
    with pytest.raises(RetryError, match="replaced"):
        values(ObjectSource(store, "set"))
    part.unlink()
    with pytest.raises(InputError, match="part-00001"):
        values(ObjectSource(store, "set"))


def test_a_manifest_that_is_none(store: FileStore) -> None:
    put(store, set__a_csv=b"n\n1\n")
    (store.root / "set" / "_manifest.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"_manifest\.json.*no manifest"):
        values(ObjectSource(store, "set"))


def test_replaced_while_it_was_read(store: FileStore) -> None:
    put(store, a_csv=b"n\n1\n", b_csv=b"n\n2\n")
    with ObjectSource(store, "*.csv").batches() as batches:
        rest = iter(batches)
        next(rest)
        put(store, b_csv=b"n\n3\n4\n")
        with pytest.raises(RetryError, match=r"b\.csv"):
            list(rest)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_what_it_is_shows_by_its_content(store: FileStore, format: str, compression: str) -> None:
    target = ObjectTarget(store, "nameless", format=format, compression=compression)
    transfer(Rows(600), target, OWNER)
    with ObjectSource(store, "nameless").batches() as batches:
        found = pa.Table.from_batches(list(batches))
    assert found.column("id").to_pylist() == list(range(600))


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\x00\x01\x02"])
def test_content_that_tells_nothing(store: FileStore, content: bytes) -> None:
    put(store, nameless=content)
    with pytest.raises(InputError, match=r"nameless.*Give the format"):
        values(ObjectSource(store, "nameless"))


def test_csv_passes_through(store: FileStore) -> None:
    put(store, a_csv=b"n,t\n1,x\n2,y", b_csv=b"n,t\n", c_csv=b'"n",t\n3,"a\nb"\n')
    (store.root / "d.csv.gz").write_bytes(gzip.compress(b"n,t\n4,\n"))
    data, rows, columns = passed(ObjectSource(store, "[abd].csv*"))
    assert (data, rows, columns) == (b"n,t\n1,x\n2,y\n4,\n", 3, ("n", "t"))
    data, rows, _ = passed(ObjectSource(store, "*.csv*"))
    assert data == b'n,t\n1,x\n2,y\n3,"a\nb"\n4,\n'
    assert rows is None, "a line is not a record where values are quoted"
    headless = CsvFormat(header=False)
    data, rows, columns = passed(ObjectSource(store, "a.csv", format=headless), headless)
    assert (data, rows, columns) == (b"n,t\n1,x\n2,y", 3, None)


def test_json_lines_pass_through(store: FileStore) -> None:
    put(store, a_jsonl=b'{"n":1}\n{"n":2}', b_jsonl=b"", c_jsonl=b'{"n":3}\n')
    data, rows, _ = passed(ObjectSource(store, "*.jsonl"), JsonLinesFormat())
    assert (data, rows) == (b'{"n":1}\n{"n":2}\n{"n":3}\n', 3)


def test_other_formats_do_not_pass_through(store: FileStore) -> None:
    put(store, a_csv=b"n\n1\n")
    source = ObjectSource(store, "a.csv")
    for other in (JsonLinesFormat(), ParquetFormat(), CsvFormat(delimiter=";")):
        assert source.encoded(other) is None
    assert (
        ObjectSource(store, "a.csv", schema=pa.schema([("n", "int8")])).encoded(CsvFormat()) is None
    )


@pytest.mark.parametrize("native", [True, False])
def test_csv_with_other_columns(store: FileStore, native: bool) -> None:
    put(store, a_csv=b"n,t\n1,x\n", b_csv=b"n,u\n2,y\n")
    with pytest.raises(InputError, match=r"b\.csv.*'[tu]'"):
        passed(ObjectSource(store, "*")) if native else values(ObjectSource(store, "*"))


def test_parquet_with_other_columns(store: FileStore) -> None:
    pq.write_table(pa.table({"n": [1], "t": ["x"]}), store.root / "a.parquet")
    pq.write_table(pa.table({"n": ["1"], "t": ["x"]}), store.root / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet.*'n' of type string.*int64"):
        values(ObjectSource(store, "*.parquet"))


def test_broken_content_names_the_object(store: FileStore) -> None:
    put(store, a_parquet=b"PAR1 and no more", a_csv=b'n\n"never closed\n')
    (store.root / "a.csv.gz").write_bytes(gzip.compress(b"n\n1\n" * 1000)[:-9])
    for key in ("a.parquet", "a.csv", "a.csv.gz"):
        with pytest.raises(InputError, match=key.replace(".", r"\.")):
            values(ObjectSource(store, key))


def test_ends_its_threads(store: FileStore) -> None:
    transfer(Rows(20_000), ObjectTarget(store, "a.csv"), OWNER)
    with contextlib.closing(ObjectSource(store, "a.csv").batches()) as batches:
        next(iter(batches))
    encoded = ObjectSource(store, "a.csv").encoded(CsvFormat())
    assert encoded is not None
    next(encoded.chunks)
    encoded.chunks.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "reads" in thread.name]


def test_from_uri(tmp_path: Path) -> None:
    put(FileStore(tmp_path), a_data=b"n\n1\n")
    source = ObjectSource.from_uri(f"file://{tmp_path}/*.data", {"format": "csv"})
    assert values(source) == [{"n": 1}]
    with pytest.raises(InputError, match="colour"):
        ObjectSource.from_uri("file:///a", {"colour": "x"})
    with pytest.raises(InputError, match="rar"):
        ObjectSource.from_uri("file:///a", {"compression": "rar"})
