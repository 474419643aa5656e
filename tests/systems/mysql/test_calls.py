"""``CALL`` of stored procedures: one result is read to its end, anything else is an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mysql_client import need_mysql_client

need_mysql_client()

from mysql_server import Database, fresh, owner_of  # noqa: E402
from tradewind.errors import InputError  # noqa: E402
from tradewind.move.objects.target import ObjectTarget  # noqa: E402
from tradewind.move.transfer import transfer  # noqa: E402
from tradewind.systems.dbapi.source import DbApiSource  # noqa: E402
from tradewind.systems.files.store import FileStore  # noqa: E402
from tradewind.systems.mysql.source import MySQLSource  # noqa: E402

FAIL = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken'"
BODIES = {
    "one": "SELECT id, v FROM {s} ORDER BY id",
    "two": "BEGIN SELECT id FROM {s}; SELECT v FROM {s}; END",
    "empty_then_rows": "BEGIN SELECT id FROM {s} WHERE id > 9; SELECT v FROM {s}; END",
    "none": "BEGIN DO 1; END",
    "late": "BEGIN SELECT id FROM {s}; " + FAIL + "; END",
    "late_empty": "BEGIN SELECT id FROM {s} WHERE id > 9; " + FAIL + "; END",
    "late_many": "BEGIN SELECT seq FROM seq_1_to_100000; " + FAIL + "; END",
    "then_more": "BEGIN SELECT id FROM {s} ORDER BY id; DO SLEEP(0); SET @x = 1; END",
}


@pytest.fixture(scope="module")
def call(db: Database) -> Iterator[dict[str, str]]:
    table = db.table("id INT, v DECIMAL(8,2)", "(1, 1.50), (2, 2.25), (3, NULL)")
    names = {name: fresh(name) for name in BODIES}
    for name, body in BODIES.items():
        db.run(f"CREATE PROCEDURE {names[name]}() {body.format(s=table)}")
    yield {name: f"CALL {made}()" for name, made in names.items()}
    for made in names.values():
        db.run(f"DROP PROCEDURE {made}")


def read(source: MySQLSource | DbApiSource) -> pa.Table:
    with source.batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def test_one_result_is_read_as_that_of_a_select(connection, call) -> None:
    table = read(MySQLSource(connection, call["one"]))
    assert table.schema.types == [pa.int32(), pa.decimal128(8, 2)]
    assert table["v"].to_pylist() == [Decimal("1.50"), Decimal("2.25"), None]
    assert read(MySQLSource(connection, call["then_more"]))["id"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two", "several results"),
        ("empty_then_rows", "several results"),
        ("none", "no result"),
        ("late", "broken"),
        ("late_empty", "broken"),
        ("late_many", "broken"),
    ],
)
@pytest.mark.parametrize("file", ["t.parquet", "t.csv", "t.jsonl"])
def test_anything_else_fails_and_publishes_nothing(
    connection, call, tmp_path: Path, name: str, message: str, file: str
) -> None:
    with pytest.raises(InputError, match=message):
        transfer(
            MySQLSource(connection, call[name]),
            ObjectTarget(FileStore(tmp_path), file),
            owner_of("call"),
        )
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_one_result_goes_into_files(connection, call, tmp_path: Path) -> None:
    receipt = transfer(
        MySQLSource(connection, call["one"]),
        ObjectTarget(FileStore(tmp_path), "t.parquet"),
        owner_of("call"),
    )
    assert receipt.rows == 3
    assert pq.read_table(tmp_path / "t.parquet")["id"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("driver", ["MySQLdb"])
def test_another_driver_s_connection_hears_the_same(connection, call, driver: str) -> None:
    def connect() -> object:
        library = pytest.importorskip(driver)
        return library.connect(**{**connection.keywords(), "use_unicode": True})

    assert read(DbApiSource(connect, call["one"]))["id"].to_pylist() == [1, 2, 3]
    for name, message in {"two": "several results", "late": "broken"}.items():
        with pytest.raises(Exception, match=message) as told, contextlib.suppress(StopIteration):
            read(DbApiSource(connect, call[name]))
        assert type(told.value).__module__ == "tradewind.errors"
