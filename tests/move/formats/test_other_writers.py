"""Files as other writers leave them: read as they are, with what lies beside them.

DuckDB writes for itself where it is installed. pandas, polars and Spark are no part of the
environment: their files are made with what is theirs in them (metadata, large types, INT96, marks).
"""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

OWNER = Owner("dag", "run", "task")


def moved(folder: Path, key: str, name: str) -> list[str]:
    source = ObjectSource(FileStore(folder), key)
    transfer(source, ObjectTarget(FileStore(folder), name), OWNER)
    return (folder / name).read_text().splitlines()


def test_a_folder_of_spark(tmp_path: Path) -> None:
    folder = tmp_path / "day=1"
    folder.mkdir()
    moment = datetime.datetime(9999, 12, 31, 23, 59, 59)
    for number in (0, 1):
        table = pa.table({"id": [number], "at": pa.array([moment], pa.timestamp("us"))})
        name = f"part-0000{number}-5f1f6b7e-c000.snappy.parquet"
        pq.write_table(table, folder / name, use_deprecated_int96_timestamps=True)
        (folder / f".{name}.crc").write_bytes(b"crc\x00")
    for mark in ("_SUCCESS", "._SUCCESS.crc", "_metadata", "_common_metadata"):
        (folder / mark).write_bytes(b"")
    (tmp_path / "day=1_$folder$").write_bytes(b"")
    rows = moved(tmp_path, "day=1/", "out.csv")
    assert rows == ["id,at", "0,9999-12-31 23:59:59", "1,9999-12-31 23:59:59"]


def test_a_file_of_pandas_with_its_index(tmp_path: Path) -> None:
    note = {"index_columns": ["__index_level_0__"], "columns": [], "pandas_version": "2.2.0"}
    table = pa.table({"v": [1.5, None], "__index_level_0__": ["a", "b"]})
    table = table.replace_schema_metadata({"pandas": json.dumps(note)})
    pq.write_table(table, tmp_path / "in.parquet")
    rows = moved(tmp_path, "in.parquet", "out.csv")
    assert rows == ["v,__index_level_0__", "1.5,a", ",b"]


def test_types_of_polars(tmp_path: Path) -> None:
    columns = {
        "large": pa.array(["x", None], pa.large_string()),
        "category": pa.array(["b", "a"]).dictionary_encode(),
        "lists": pa.array([[1], None], pa.large_list(pa.int64())),
        "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
        "at": pa.array([1, None], pa.timestamp("us", tz="UTC")),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    rows = [json.loads(line) for line in moved(tmp_path, "in.parquet", "out.jsonl")]
    assert rows[0] == {
        "large": "x",
        "category": "b",
        "lists": [1],
        "unsigned": 2**64 - 1,
        "at": "1970-01-01T00:00:00.000001Z",
    }
    assert rows[1] == {"large": None, "category": "a", "lists": None, "unsigned": 0, "at": None}


def test_maps_and_nested_decimals_as_json(tmp_path: Path) -> None:
    amount = pa.decimal128(20, 4)
    value = decimal.Decimal("1234567890123456.7800")
    columns = {
        "m": pa.array([[("k", value)]], pa.map_(pa.string(), amount)),
        "s": pa.array([{"d": [value]}], pa.struct([("d", pa.list_(amount))])),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    (line,) = moved(tmp_path, "in.parquet", "out.jsonl")
    assert line == '{"m":{"k":1234567890123456.7800},"s":{"d":[1234567890123456.7800]}}'


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize("texts", [["a,b\n", "a,b\n1,x\n"], ["a,b\n1,x\n", "a,b\n"], ["a,b\n"]])
def test_headers_without_rows(tmp_path: Path, texts: list[str], target: str) -> None:
    (tmp_path / "d").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "d" / f"{number}.csv").write_text(text)
    rows = moved(tmp_path, "d/", target)
    wanted = {"out.csv": ["a,b", "1,x"], "out.jsonl": ['{"a":1,"b":"x"}']}[target]
    if len(texts) == 1:
        wanted = wanted[:-1]
    assert rows == wanted


def test_a_file_of_duckdb(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    duckdb.sql(
        "COPY (SELECT 1::HUGEINT AS h, 1.10::DECIMAL(10, 2) AS d, [1, NULL] AS l, {'a': 'x'} AS s, "
        "map {'k': 1} AS m, 'b'::ENUM('a', 'b') AS e, DATE '9999-12-31' AS day, "
        "TIMESTAMPTZ '2026-01-31 12:00:00+00' AS at, TIME '10:00:00' AS t, 'x'::BLOB AS b) "
        f"TO '{tmp_path}/in.parquet' (FORMAT parquet)"
    )
    (line,) = moved(tmp_path, "in.parquet", "out.jsonl")
    row = json.loads(line, parse_float=str)
    assert row["d"] == "1.10"
    assert (row["l"], row["s"], row["m"], row["e"]) == ([1, None], {"a": "x"}, {"k": 1}, "b")
    assert (row["day"], row["at"]) == ("9999-12-31", "2026-01-31T12:00:00Z")
    assert (row["t"], row["b"], float(row["h"])) == ("10:00:00", "eA==", 1)
