"""One huge value of a database: refused with its size and the option that allows it, or moved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mysql_client import need_mysql_client
from postgres_server import connection_to
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.interface import interface
from tradewind.move.source import Source
from tradewind.systems.mysql.packets import PreparedRows
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.long_rows import LongRows
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.sqlite.long_rows import some_rows
from tradewind.systems.sqlite.source import SQLiteSource

MB = 1 << 20
Made = Callable[..., Source]


@pytest.fixture(params=["postgres", "mysql", "mysql-text", "sqlite"])
def made(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Made]:
    """Makes sources of ten small rows, one of 3 MB, and ten small ones."""
    name = request.param
    rows = " UNION ALL ".join(
        f"SELECT {number} AS id, {'%s AS body' if number == 11 else repr('small') + ' AS body'}"
        for number in range(1, 22)
    )
    if name == "sqlite":
        path = tmp_path / "long.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE t AS " + rows.replace("%s", "printf('%.*c', 3145728, 'x')")
            )
            connection.commit()
        yield lambda **more: SQLiteSource(path, "SELECT * FROM t ORDER BY id;", **more)
        return
    rows = f"SELECT * FROM ({rows.replace('%s', f'repeat(chr(120), {3 * MB})')}) AS t ORDER BY id"
    if name == "postgres":
        systems: Systems = request.getfixturevalue("local_postgres")
        postgres: PostgresConnection = connection_to(systems)
        yield lambda **more: PostgresSource(postgres, rows, **more)
        return
    need_mysql_client()
    from mysql_server import connection_to as mysql_to

    mysql = mysql_to(request.getfixturevalue("local_mariadb"))
    if name == "mysql-text":
        monkeypatch.setattr(PreparedRows, "open", lambda session, sql: None)
    rows = rows.replace("chr(120)", "'x'")
    yield lambda **more: MySQLSource(mysql, rows, **more)


def test_a_long_row_is_refused_with_its_size_and_the_option(made: Made) -> None:
    def read(format: Any, **more: Any) -> int:
        source = made(**more)
        encoded = source.encoded(format)
        if encoded is not None:
            return sum(map(len, encoded.chunks))
        return sum(map(len, format.encode(source.batches())))

    for format in (CsvFormat(), ParquetFormat()):
        with pytest.raises(InputError) as raised, interface("cli"):
            read(format, max_row_bytes=MB)
        said = str(raised.value)
        assert f"where {MB} are allowed" in said
        assert " has 31457" in said  # 3145728, and what is around it
        assert "'body'" in said or (isinstance(made(), PostgresSource) and format.name == "csv")
        assert "give --set-from 'max_row_bytes=6291" in said
    assert read(CsvFormat(), max_row_bytes=4 * MB) == read(CsvFormat()) > 3 * MB
    with pytest.raises(InputError, match="max_row_bytes is a number of bytes above 0"):
        made(max_row_bytes=0)


def test_an_advice_for_airflow_works_there() -> None:
    with interface("airflow"), pytest.raises(InputError, match=r"give Sql\(\.\.\., max_row_bytes="):
        LongRows("PostgreSQL", 5, "csv", ["a"]).check(b"123456\n")


def test_many_short_rows_that_come_together_are_no_long_one() -> None:
    binary = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    binary += (b"\0\2" + b"\0\0\0\3abc" + b"\xff\xff\xff\xff") * 50 + b"\xff\xff"
    for kind, data in [
        ("binary", binary),
        ("text", b"abc\t\\N\n" * 50),
        ("csv", b'abc,"d\ne"\n' * 50),
    ]:
        LongRows("PostgreSQL", 12, kind, ["a", "b"]).check(data)  # type: ignore[arg-type]
        with pytest.raises(InputError):
            LongRows("PostgreSQL", 2, kind, ["a", "b"]).check(data)  # type: ignore[arg-type]


def test_few_long_rows_of_sqlite_are_fetched_at_a_time() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute(
            "WITH n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 50) "
            "SELECT i, CASE WHEN i > 10 THEN zeroblob(1000) ELSE NULL END FROM n"
        )
        sizes = []
        while rows := some_rows(cursor, 20, 5000):
            sizes.append(len(rows))
    assert sizes == [15, 5, 5, 5, 5, 5, 5, 5]
