"""Times with a zone, and texts with a time of day, for columns that have no room for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mysql_client import need_mysql_client
from postgres_server import Database, connection_to, database_on, owner_of
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.local import Systems
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.checked_csv import CheckedCsv, begins_with_zones
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.naive_times import unchanged
from tradewind.systems.postgres.table import PostgresTable

UTC = [dt.datetime(2026, 1, 31, 7), dt.datetime(2026, 1, 30, 19, 30)]
TEXTS = ["2026-01-31T12:00:00+05:00", "2026-01-31 00:30:00+05:00"]


@pytest.fixture(scope="module")
def connection(local_postgres: Systems) -> PostgresConnection:
    return connection_to(local_postgres)


@pytest.fixture(scope="module")
def db(connection: PostgresConnection) -> Iterator[Database]:
    with database_on(connection) as database:
        yield database


def moved(connection: PostgresConnection, folder: Path, name: str, table: str, **options) -> None:
    source = ObjectSource(FileStore(folder), name, **options)
    transfer(source, PostgresTable(connection, table), owner_of("at"))


def written(folder: Path, name: str, texts: list[str], dates: list[str]) -> None:
    rows = [(number, *pair) for number, pair in enumerate(zip(texts, dates, strict=True), 1)]
    if name.endswith(".csv"):
        lines = ["id,at,d", *(",".join(map(str, row)) for row in rows)]
    else:
        lines = [f'{{"id": {a}, "at": "{b}", "d": "{c}"}}' for a, b, c in rows]
    (folder / name).write_text("\n".join(lines) + "\n")


COLUMNS = "id int, at timestamp, d date"


def test_parquet_and_json_lines_arrive_as_utc(connection, db, tmp_path: Path) -> None:
    written(tmp_path, "at.jsonl", TEXTS, ["2026-01-31"] * 2)
    zoned = pa.array([each.replace(tzinfo=dt.UTC) for each in UTC], pa.timestamp("us", "UTC"))
    days = pa.array([dt.date(2026, 1, 31)] * 2)
    pq.write_table(
        pa.table({"id": pa.array([1, 2], pa.int32()), "at": zoned, "d": days}),
        tmp_path / "at.parquet",
    )
    for name in ("at.jsonl", "at.parquet"):
        table = db.table(COLUMNS)
        moved(connection, tmp_path, name, table)
        assert [row[0] for row in db.rows(f"SELECT at FROM {table} ORDER BY id")] == UTC


def test_csv_arrives_as_utc(connection, db, tmp_path: Path) -> None:
    written(tmp_path, "at.csv", TEXTS, ["2026-01-31"] * 2)
    for mode in ("append", "replace"):
        table = db.table(COLUMNS)
        source = ObjectSource(FileStore(tmp_path), "at.csv")
        transfer(source, PostgresTable(connection, table, mode=mode), owner_of("at"))
        assert [row[0] for row in db.rows(f"SELECT at FROM {table} ORDER BY id")] == UTC
    table = db.table(COLUMNS)
    source = ObjectSource.from_uri(
        f"file://{tmp_path}/at.csv", {"schema": '{"at": "timestamp[us, UTC]"}'}
    )
    transfer(source, PostgresTable(connection, table), owner_of("at"))
    assert [row[0] for row in db.rows(f"SELECT at FROM {table} ORDER BY id")] == UTC


def test_a_source_that_breaks_in_its_first_records_is_heard() -> None:
    def broken():
        yield b"id,at\n1,2026-01-31 12:00:00+05\n"
        raise RetryError("the store is gone")

    with pytest.raises(RetryError, match="gone"):
        begins_with_zones(broken(), CsvFormat(), [("id", "integer"), ("at", "timestamp")])
    again, zoned = begins_with_zones(
        iter([b"at\n", b"2026-01-31 12:00:00+05\n"]), CsvFormat(), [("at", "timestamp")]
    )
    assert (b"".join(again), zoned) == (b"at\n2026-01-31 12:00:00+05\n", True)


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl"])
@pytest.mark.parametrize(
    "text", ["2026-01-31T23:59:00Z", "2026-01-31 23:59", "2026-01-31T00:00:01", "20260131T235900"]
)
def test_a_time_of_day_for_a_date(connection, db, tmp_path: Path, name: str, text: str) -> None:
    written(tmp_path, name, ["2026-01-31 12:00:00"] * 2, ["2026-01-31", text])
    table = db.table(COLUMNS)
    with pytest.raises(UnfitValueError, match="'d'") as told:
        moved(connection, tmp_path, name, table)
    assert text[:10] in str(told.value)
    assert db.rows(f"SELECT * FROM {table}") == []


def test_a_timestamp_for_a_date_or_a_time(connection, db, tmp_path: Path) -> None:
    data = pa.table({"v": pa.array(UTC, pa.timestamp("us"))})
    pq.write_table(data, tmp_path / "v.parquet")
    for type_ in ("date", "time"):
        with pytest.raises(UnfitValueError, match="'v'"):
            moved(connection, tmp_path, "v.parquet", db.table(f"v {type_}"))
    pq.write_table(
        pa.table({"v": pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("us"))}),
        tmp_path / "v.parquet",
    )
    table = db.table("v date")
    moved(connection, tmp_path, "v.parquet", table)
    assert db.value(f"SELECT v FROM {table}") == dt.date(2026, 1, 31)


@pytest.mark.parametrize("format", [CsvFormat(), CsvFormat(header=False, delimiter=";")])
def test_what_loses_nothing_passes_through_csv(connection, db, tmp_path: Path, format) -> None:
    rows = ["infinity", "2026-01-31", "Jan 31 2026 10:00 PM", "2026-01-31T12:00:00Z", ""]
    rows += ["2026-01-31 12:00:00+00", "31 Jan 2026 12:00:00 UTC", "2026-01-31 12:00:00 AD"]
    lines = [format.delimiter.join((f'"a\nb{n}"', row, "07:00:00")) for n, row in enumerate(rows)]
    if format.header:
        lines = ["x,at,t", *lines]
    (tmp_path / "ok.csv").write_text("\n".join(lines) + "\n")
    table = db.table("x text, at timestamp, t time")
    moved(connection, tmp_path, "ok.csv", table, format=format)
    assert db.value(f"SELECT count(*) FROM {table}") == len(rows)
    assert db.value(f"SELECT count(*) FROM {table} WHERE at = '2026-01-31 12:00'") == 4


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31 12:00:00 PST",
        "2026-01-31 12:00 Europe/Berlin",
        "2026-01-31 12:00:00.5-0330",
        "20260131T120000+05",
        "2026-01-31 12:00:00 UTC+3",
        "2026-01-31 12:00 PM +01",
    ],
)
def test_zones_of_every_spelling(text: str) -> None:
    rows = ["a,at", "1,2026-01-31 12:00:00", f'2,"{text}"']
    checked = CheckedCsv(
        ["\n".join(rows).encode()],
        CsvFormat(),
        [("a", "integer"), ("at", "timestamp(6) without time zone")],
    )
    with pytest.raises(UnfitValueError, match="'at'"):
        list(checked)


def test_late_values_are_looked_at_and_no_byte_is_changed() -> None:
    good = b"at\n" + b"2026-01-31 12:00:00\n" * 400_000
    chunks = [good[begin : begin + 999_999] for begin in range(0, len(good), 999_999)]
    columns = [("at", "timestamp without time zone")]
    assert b"".join(CheckedCsv(chunks, CsvFormat(), columns)) == good
    with pytest.raises(UnfitValueError):
        list(CheckedCsv([*chunks, b"2026-01-31 12:00:00+01\n"], CsvFormat(), columns))
    assert list(CheckedCsv([b"", b"at\n"], CsvFormat(), columns)) in ([b"", b"at\n"], [b"at\n"])


def test_a_source_that_breaks_is_heard() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"at\n2026-01-31\n"
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        list(CheckedCsv(chunks(), CsvFormat(), [("at", "date")]))


def test_the_servers_own_error_stays(connection, db, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("at\n2026-01-31 12:00:00\nnonsense\n")
    with pytest.raises(TradewindError, match='"nonsense"'):
        moved(connection, tmp_path, "x.csv", db.table("at timestamp"))
    (tmp_path / "y.csv").write_text("at,n\n2026-01-31 12:00:00,1\n2026-01-31 12:00:00\n")
    with pytest.raises(TradewindError, match="missing data for column"):
        moved(connection, tmp_path, "y.csv", db.table("at timestamp, n int"))


def test_texts_are_turned_into_utc_one_by_one() -> None:
    texts = pa.array(["2026-01-31 12:00:00", None, *TEXTS, "2026-01-31T12:00:00Z"])
    found = unchanged(texts, "at", "timestamp without time zone").to_pylist()
    assert found[:2] == ["2026-01-31 12:00:00", None]
    assert found[2].startswith("2026-01-31 07:00:00")
    assert found[3].startswith("2026-01-30 19:30:00")
    for type_, text in {"time without time zone": "12:00:00+05", "date": "2026-01-31 0:10"}.items():
        with pytest.raises(UnfitValueError):
            unchanged(pa.array([text]), "v", type_)


@pytest.fixture
def mariadb(request: pytest.FixtureRequest) -> Iterator[Callable[[Path, str, str], list[tuple]]]:
    need_mysql_client()
    import mysql_server as mysql
    from tradewind.systems.mysql.table import MySQLTable

    place = mysql.connection_to(request.getfixturevalue("local_mariadb"))
    with mysql.database_on(place) as database:

        def move(folder: Path, name: str, columns: str) -> list[tuple]:
            table = database.table(columns)
            source = ObjectSource(FileStore(folder), name)
            transfer(source, MySQLTable(place, table), mysql.owner_of("at"))
            return database.rows(f"SELECT at FROM {table} ORDER BY id")

        yield move


@pytest.mark.parametrize("name", ["at.csv", "at.jsonl"])
def test_mariadb_has_utc(mariadb, tmp_path: Path, name: str) -> None:
    written(tmp_path, name, TEXTS, ["2026-01-31"] * 2)
    found = mariadb(tmp_path, name, "id INT, at DATETIME, d DATE")
    assert [row[0] for row in found] == ["2026-01-31 07:00:00", "2026-01-30 19:30:00"]
    written(tmp_path, name, ["2026-01-31 12:00:00"] * 2, ["2026-01-31", "2026-01-31T23:59:00Z"])
    with pytest.raises(InputError, match="'d'"):
        mariadb(tmp_path, name, "id INT, at DATETIME, d DATE")
    for columns, text in {"at DATETIME": "2026-01-31 12:00 PST", "at TIME": "12:00:00+05"}.items():
        written(tmp_path, name, [text], ["2026-01-31"])
        with pytest.raises(InputError, match="'at'"):
            mariadb(tmp_path, name, f"id INT, {columns}, d DATE")
