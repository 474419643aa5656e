"""Any database with a Python or ADBC driver as a source."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tradewind.errors import InputError, RetryError
from tradewind.local import Systems
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.systems.dbapi.source import DbApiSource


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], sqlite3.Connection]:
    return lambda: sqlite3.connect(tmp_path / "a.db", check_same_thread=False)


def read(connect: Callable[[], object], query: str, **options: object) -> pa.Table:
    with DbApiSource(connect, query, **options).batches() as batches:  # type: ignore[arg-type]
        return pa.Table.from_batches(list(batches), batches.schema)


class Driver:
    """A driver of DB-API that gives the rows of the test."""

    class Error(Exception):
        pass

    class OperationalError(Error):
        pass

    class ProgrammingError(Error):
        pass

    def __init__(self, *rows: tuple, description=None, error: Exception | None = None) -> None:
        self.rows = list(rows)
        self.error = error
        self.closed = 0
        width = len(rows[0]) if rows else 1
        self.description = description or [(f"c{n}", *[None] * 6) for n in range(width)]

    def cursor(self) -> Driver:
        return self

    def execute(self, query: str, *parameters: object) -> None:
        if query == "fail":
            raise self.ProgrammingError("no such thing")

    def fetchmany(self, count: int) -> list[tuple]:
        if not self.rows and self.error is not None:
            raise self.error
        rows, self.rows = self.rows[:count], self.rows[count:]
        return rows

    def close(self) -> None:
        self.closed += 1


UTC = dt.UTC


@pytest.mark.parametrize(
    ("value", "arrow", "logical", "expected"),
    [
        (True, pa.bool_(), None, True),
        (7, pa.int64(), None, 7),
        (2**64 - 1, pa.uint64(), None, 2**64 - 1),
        (2**70, pa.string(), "decimal", str(2**70)),
        (1.5, pa.float64(), None, 1.5),
        (decimal.Decimal("1E+3"), pa.string(), "decimal", "1000"),
        ("é\0", pa.string(), None, "é\0"),
        (memoryview(b"\0\xff"), pa.binary(), None, b"\0\xff"),
        (dt.date(1, 1, 1), pa.date32(), None, dt.date(1, 1, 1)),
        (dt.datetime(1, 1, 1), pa.timestamp("us"), None, dt.datetime(1, 1, 1)),
        (
            dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            pa.timestamp("us", "UTC"),
            None,
            dt.datetime(2025, 12, 31, 22, tzinfo=UTC),
        ),
        (dt.time(1, 2, 3, 4), pa.time64("us"), None, dt.time(1, 2, 3, 4)),
        (dt.time(1, 2, tzinfo=UTC), pa.string(), "timetz", "01:02:00+00:00"),
        (dt.timedelta(-1, 1), pa.string(), "interval", "PT-23H-59M-59S"),
        (dt.timedelta(1, 3601, 500), pa.string(), "interval", "P1DT1H1.0005S"),
        (uuid.UUID(int=1), pa.string(), "uuid", str(uuid.UUID(int=1))),
        ({"a": [1, None]}, pa.string(), "json", '{"a":[1,null]}'),
    ],
)
def test_types_from_values(value, arrow, logical, expected) -> None:
    got = read(lambda: Driver((None, 1), (value, 2)), "q")
    assert got["c0"].to_pylist() == [None, expected]
    assert (got.schema.field("c0").type, logical_type(got.schema.field("c0"))) == (arrow, logical)


def test_decimals_as_the_driver_declares_them() -> None:
    description = [("d", None, None, None, 10, 2, None)]
    rows = [(decimal.Decimal("1.5"),), (decimal.Decimal("1.234"),)]
    got = read(lambda: Driver(rows[0], description=description), "q")
    assert got.schema.field("d").type == pa.decimal128(10, 2)
    with pytest.raises(UnfitValueError, match=r"'d'.*1\.234.*schema="):
        read(lambda: Driver(*rows, description=description), "q")


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (1, 2**63),
        (1, "x"),
        (1, 1.5),
        (1, True),
        (1.5, 2**53 + 1),
        ("x", 1),
        ("x", b"x"),
        (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 1)),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=UTC)),
        (None, 5),
        (True, 1),
    ],
)
def test_a_later_value_that_does_not_fit(early, late) -> None:
    rows = [(early,)] * 10 + [(late,)]
    with pytest.raises(UnfitValueError, match=r"'c0'.*schema="):
        read(lambda: Driver(*rows), "q", first=5)
    if late == 5:
        schema = pa.schema([("c0", pa.int64())])
        assert read(lambda: Driver(*rows), "q", first=5, schema=schema).num_rows == 11


def test_a_real_driver(connect) -> None:
    connection = connect()
    connection.execute("CREATE TABLE t (n INTEGER, t TEXT)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 50) for n in range(9000)])
    connection.commit()
    connection.close()
    source = DbApiSource(connect, "SELECT * FROM t WHERE n >= ?", parameters=[5], block=100_000)
    sizes = [[batch.num_rows for batch in source.batches()] for _ in range(2)]
    assert sizes[0] == sizes[1]
    assert sum(sizes[0]) == 8995
    assert len(sizes[0]) > 2
    for query, error in (("SELEC", RetryError), ("SELECT 1 AS a, 2 AS a", InputError)):
        with pytest.raises(error):
            read(connect, query)
    assert source.describe() == "database: SELECT * FROM t WHERE n >= ?"


def test_adbc_hands_its_batches_through(tmp_path: Path) -> None:
    dbapi = pytest.importorskip("adbc_driver_sqlite.dbapi")

    def connect() -> object:
        return dbapi.connect(str(tmp_path / "a.db"))

    with connect() as connection, connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("CREATE TABLE t (n INTEGER, t TEXT)")
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, None)])
        connection.commit()  # type: ignore[attr-defined]
    assert read(connect, "SELECT * FROM t").to_pylist() == [{"n": 1, "t": "a"}, {"n": 2, "t": None}]
    schema = pa.schema([("n", pa.int8())])
    assert read(connect, "SELECT * FROM t", schema=schema).schema.field("n").type == pa.int8()
    with pytest.raises(InputError, match="'t'"):
        read(connect, "SELECT * FROM t", schema=pa.schema([("t", pa.int8())]))
    with pytest.raises(InputError):
        read(connect, "SELEC")


@pytest.mark.parametrize("library", ["psycopg", "psycopg2"])
def test_named_cursors_of_postgresql(local_postgres: Systems, library) -> None:
    module = pytest.importorskip(library)
    environment = local_postgres.environment

    def connect() -> object:
        return module.connect(
            host=environment["PGHOST"],
            port=environment["PGPORT"],
            user=environment["PGUSER"],
            password=environment["PGPASSWORD"],
            dbname=environment["PGDATABASE"],
        )

    query = (
        "SELECT n, 'x' || n AS t, n::numeric(10,2) AS d, now() AS at, ARRAY[n] AS l, "
        "'{\"a\": 1}'::jsonb AS j FROM generate_series(1, %s) n"
    )
    got = read(connect, query, parameters=[5000])
    assert got.num_rows == 5000
    assert got["d"][0].as_py() == decimal.Decimal("1.00")
    assert got.schema.field("at").type == pa.timestamp("us", "UTC")
    assert [logical_type(got.schema.field(name)) for name in "lj"] == ["json", "json"]
    with pytest.raises((InputError, RetryError), match="nope"):
        read(connect, "SELECT nope")


def test_everything_is_closed() -> None:
    driver = Driver(*[(n,) for n in range(100)])
    batches = DbApiSource(lambda: driver, "q", first=10).batches()
    batches.close()
    assert driver.closed >= 2
    failing = Driver((1,), error=Driver.OperationalError("gone"))
    with pytest.raises(RetryError, match="gone"):
        read(lambda: failing, "q", first=1)
    assert failing.closed >= 2
    with pytest.raises(InputError, match="no such thing"):
        read(lambda: Driver(), "fail")


def test_an_empty_result_and_wrong_arguments() -> None:
    schema = pa.schema([field("c0", pa.string(), "uuid")])
    assert read(lambda: Driver(), "q", schema=schema).schema == schema
    assert read(lambda: Driver(), "q").schema.types == [pa.string()]
    with pytest.raises(InputError, match="'x', which the query does not give"):
        read(lambda: Driver((1,)), "q", schema=pa.schema([("x", pa.int8())]))
    for wrong in ({"block": 0}, {"first": 0}):
        with pytest.raises(InputError):
            DbApiSource(Driver, "q", **wrong)
    with pytest.raises(InputError, match="function"):
        DbApiSource(object(), "q")  # type: ignore[arg-type]
