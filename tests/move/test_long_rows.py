"""One huge value of a database: refused with its size and the option that allows it, or moved."""

from __future__ import annotations

import functools
import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mysql_client import need_mysql_client
from postgres_server import connection_to
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.interface import interface
from tradewind.move.row_limit import check_batch
from tradewind.move.source import Source
from tradewind.systems.dbapi.source import DbApiSource, _length
from tradewind.systems.mysql.packets import PreparedRows
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.long_rows import LongRows
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.sqlite.long_rows import some_rows
from tradewind.systems.sqlite.source import SQLiteSource

MB = 1 << 20
Made = Callable[..., Source]


@pytest.fixture(params=["postgres", "mysql", "mysql-text", "sqlite", "dbapi"])
def made(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Made]:
    """Makes sources of ten small rows, one of 3 MB, and ten small ones."""
    name = request.param
    rows = " UNION ALL ".join(
        f"SELECT {number} AS id, {'%s AS body' if number == 11 else repr('small') + ' AS body'}"
        for number in range(1, 22)
    )
    if name in ("sqlite", "dbapi"):
        path = tmp_path / "long.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE t AS " + rows.replace("%s", "printf('%.*c', 3145728, 'x')")
            )
            connection.commit()
        query = "SELECT * FROM t ORDER BY id;"
        if name == "sqlite":
            yield lambda **more: SQLiteSource(path, query, **more)
        else:
            connect = functools.partial(sqlite3.connect, path)
            yield lambda **more: DbApiSource(connect, query, first=5, **more)
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


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.binary(), pa.string_view(), pa.list_(pa.string()), pa.struct({"a": "string"})],
    ids=str,
)
def test_a_long_row_of_parquet_is_refused_with_its_size_and_the_option(kind: pa.DataType) -> None:
    values: list[Any] = ["small"] * 10 + [None, "x" * 3 * MB, "small"]
    if pa.types.is_list(kind):
        values = [value and [value] for value in values]
    elif pa.types.is_struct(kind):
        values = [value and {"a": value} for value in values]
    body = pa.array(values, kind)
    columns = {"id": pa.array(range(13)), "body": body}
    if pa.types.is_string(kind):
        columns["again"] = body.dictionary_encode()
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=8)

    def read(limit: int) -> int:
        with ParquetFormat(max_record_bytes=limit).decode_file(
            io.BytesIO(file.getvalue())
        ) as batches:
            return sum(batch.num_rows for batch in batches)

    with pytest.raises(InputError) as raised, interface("cli"):
        read(MB)
    said = str(raised.value)
    assert "Parquet: column 'body' of row 12 has 31457" in said
    assert f"where {MB} are allowed" in said
    assert "give --set-from 'max_record_bytes=6291" in said or "=6291456" in said
    with (
        pytest.raises(InputError, match=r"format_options=\{'max_record_bytes'"),
        interface("airflow"),
    ):
        read(2 * MB)
    assert read(7 * MB) == 13
    with pytest.raises(InputError, match="above 0"):
        ParquetFormat(max_record_bytes=0)


def test_a_row_may_be_too_long_by_all_its_values() -> None:
    columns = {f"c{n}": ["x" * (MB // 4 + n)] for n in range(8)}
    batch = pa.record_batch(columns)
    with pytest.raises(InputError, match=r"row 5 has 20971\d\d bytes \(look at 'c7'\)"):
        check_batch("A database", batch, MB, before=4)
    connect = functools.partial(sqlite3.connect, ":memory:")
    query = f"SELECT printf('%.*c', {MB // 2}, 'x') AS a, zeroblob({MB}) AS b"
    with pytest.raises(InputError, match=r"row 1 has 1572864 bytes \(look at 'b'\)"):
        DbApiSource(connect, query, max_row_bytes=MB).batches()
    # A batch that holds much and has no long row.
    check_batch("A database", pa.record_batch({"a": ["x" * 1000] * 2000}), MB)
    nested = {"a": ["x", ("y" * MB, 2)], "z" * 9: b"1"}
    assert _length(nested) == len("a" + "x" + "z" * 9 + "1") + MB


def test_few_long_rows_of_a_driver_are_fetched_at_a_time() -> None:
    asked = []

    class Cursor:
        description = (("t", None, None, None, None, None, None),)

        def execute(self, query: str) -> None:
            self.left = 40

        def fetchmany(self, count: int) -> list[tuple[str]]:
            asked.append(count)
            count = min(count, self.left)
            self.left -= count
            return [("x" * 1000,)] * count

        def close(self) -> None:
            pass

    class Connection:
        cursor = staticmethod(Cursor)
        close = staticmethod(lambda: None)

    source = DbApiSource(Connection, "SELECT", block=4000, max_row_bytes=12_000)
    with source.batches() as batches:
        assert sum(batch.num_rows for batch in batches) == 40
    assert asked[:3] == [1, 7, 4]
    assert max(asked[3:]) == 3


def test_an_advice_for_airflow_works_there() -> None:
    said = r"give Sql\(\.\.\., max_row_bytes=14\), or the operator max_row_bytes=14;"
    with interface("airflow"), pytest.raises(InputError, match=said):
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
