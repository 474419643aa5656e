"""Sources without records: a quiet day is no failure."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.table import SQLiteTable

OWNER = Owner("dag", "run", "task")


@pytest.fixture
def nothing(tmp_path: Path) -> ObjectSource:
    (tmp_path / "in.jsonl").write_text("")
    return ObjectSource(FileStore(tmp_path), "in.jsonl")


@pytest.mark.parametrize("name", ["o.parquet", "o.jsonl", "o.jsonl.gz"])
def test_no_documents_become_a_file(tmp_path: Path, nothing: ObjectSource, name: str) -> None:
    assert transfer(nothing, ObjectTarget(FileStore(tmp_path), name), OWNER).rows == 0
    again = ObjectSource(FileStore(tmp_path), name)
    assert not transfer(again, ObjectTarget(FileStore(tmp_path), "p.parquet"), OWNER).rows
    table = pq.read_table(tmp_path / "p.parquet")
    assert (table.num_rows, table.schema.names) == (0, ["_extra"])


def test_no_documents_become_an_empty_csv(tmp_path: Path, nothing: ObjectSource) -> None:
    assert transfer(nothing, ObjectTarget(FileStore(tmp_path), "o.csv"), OWNER).rows == 0
    assert (tmp_path / "o.csv").read_bytes() == b""


def test_declared_columns_stay(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")
    words = {"n": "int64", "doc": "json"}
    source = ObjectSource(FileStore(tmp_path), "in.jsonl", schema=words)
    transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
    assert pq.read_schema(tmp_path / "o.parquet").names == ["n", "doc"]


@pytest.mark.parametrize("order", [("1", "2"), ("2", "1")])
def test_a_quiet_day_fits_among_others(
    tmp_path: Path, nothing: ObjectSource, order: tuple[str, str]
) -> None:
    (tmp_path / "d").mkdir()
    transfer(nothing, ObjectTarget(FileStore(tmp_path), f"d/{order[0]}.parquet"), OWNER)
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "d" / f"{order[1]}.parquet")
    source = ObjectSource(FileStore(tmp_path), "d/")
    assert transfer(source, ObjectTarget(FileStore(tmp_path), "o.csv"), OWNER).rows == 2
    assert (tmp_path / "o.csv").read_text() == "a\n1\n2\n"


def test_records_without_columns_are_refused() -> None:
    batch = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    with pytest.raises(InputError, match="without columns"):
        list(ParquetFormat().encode(Batches(pa.schema([]), [batch])))


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_nothing_into_a_table(tmp_path: Path, nothing: ObjectSource, mode: str) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
    target = SQLiteTable.from_uri(f"sqlite:///{path}", {"table": "t", "mode": mode})
    assert transfer(nothing, target, OWNER).rows == 0
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    assert found == (1 if mode == "append" else 0)
