"""Names of tables as people write them, in PostgreSQL, MySQL and SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import mysql_server
from postgres_server import Database, connection_to, database_on, fresh, owner_of
from tradewind.errors import InputError, SetupError
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable


@pytest.fixture(scope="module")
def connection(local_postgres: Systems) -> PostgresConnection:
    return connection_to(local_postgres)


@pytest.fixture(scope="module")
def db(connection: PostgresConnection) -> Iterator[Database]:
    with database_on(connection) as database:
        yield database


class One(Source):
    def describe(self) -> str:
        return "one row"

    def batches(self) -> Batches:
        table = pa.table({"n": pa.array([1], pa.int32())})
        return Batches(table.schema, iter(table.to_batches()))


def load(target: Target) -> None:
    transfer(One(), target, owner_of("names"))


def test_names_as_postgresql_reads_them(connection, db):
    schema = fresh("My Schema")
    lower = fresh("fruits")
    db.run(
        f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}"."Order Items" (n int);'
        f'CREATE TABLE "{schema}"."order" (n int); CREATE TABLE {lower} (n int);'
        f'CREATE TABLE "{schema}"."a.b" (n int)'
    )
    for given, named in (
        (f'"{schema}"."Order Items"', None),
        (f'tradewind."{schema}"."Order Items"', None),
        ('"Order Items"', schema),
        ("Order Items", schema),
        ("Order Items", f'"{schema}"'),
    ):
        load(PostgresTable(connection, given, schema=named))
    assert db.value(f'SELECT count(*) FROM "{schema}"."Order Items"') == 5
    for given, named in (("order", schema), ("ORDER", schema), (f'"{schema}".order', None)):
        load(PostgresTable(connection, given, schema=named))
    assert db.value(f'SELECT count(*) FROM "{schema}"."order"') == 3
    for given, named in (
        (lower.upper(), None),
        (f"PUBLIC.{lower.title()}", None),
        (lower, "PUBLIC"),
        (f'"public" . {lower}', None),
    ):
        load(PostgresTable(connection, given, schema=named))
    assert db.value(f"SELECT count(*) FROM {lower}") == 4
    load(PostgresTable(connection, f'"{schema}"."a.b"'))
    assert db.value(f'SELECT count(*) FROM "{schema}"."a.b"') == 1


def test_a_name_that_exists_as_written_is_meant(connection, db):
    lower = fresh("both")
    db.run(f'CREATE TABLE {lower} (n int); CREATE TABLE "{lower.title()}" (n int)')
    load(PostgresTable(connection, lower.title()))
    load(PostgresTable(connection, f'"{lower.title()}"'))
    assert db.value(f'SELECT count(*) FROM "{lower.title()}"') == 2
    with pytest.raises(SetupError, match="there is no table"):
        load(PostgresTable(connection, f'"{lower.upper()}"'))


def test_a_table_is_created_as_sql_would(connection, db):
    name = fresh("Made")
    load(PostgresTable(connection, name, create=True))
    assert db.value(f"SELECT count(*) FROM {name.lower()}") == 1
    load(PostgresTable(connection, f'"{name}"', create=True))
    assert db.value(f'SELECT count(*) FROM "{name}"') == 1


def test_a_table_of_another_database_is_refused(connection):
    with pytest.raises(InputError, match="another database than the connection"):
        PostgresTable(connection, "elsewhere.public.t")


@pytest.mark.parametrize("given", ['"my t"', "[my t]", "`my t`", "my t", 'main."my t"', "MY T"])
def test_names_as_sqlite_reads_them(tmp_path: Path, given: str):
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE "my t" (n INTEGER)')
    load(SQLiteTable(path, given))
    assert connection.execute('SELECT n FROM "my t"').fetchall() == [(1,)]
    connection.close()


def test_sqlite_has_one_schema(tmp_path: Path):
    with pytest.raises(InputError, match="one schema"):
        SQLiteTable(tmp_path / "a.db", "other.t")


@pytest.mark.parametrize(
    "given", ['"my t"', "[my t]", "`my t`", "my t", 'main."my t"', "MY T", "a.b"]
)
def test_a_source_in_sqlite_is_named_alike(tmp_path: Path, given: str):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute('CREATE TABLE "my t" (n INTEGER)')
    connection.execute('CREATE TABLE "a.b" (n INTEGER)')
    connection.close()
    with SQLiteSource.from_uri(f"sqlite:///{tmp_path}/a.db", {"table": given}).batches() as found:
        assert found.schema.names == ["n"]


def test_sources_in_postgresql_and_mysql_are_named_alike(connection, db, local_mariadb):
    schema, lower = fresh("My Schema"), fresh("fruits")
    db.run(
        f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}"."Order Items" (n int);'
        f'CREATE TABLE {lower} (n int); CREATE TABLE "{lower.title()}" (other int)'
    )
    uri = f"postgresql://{connection.user}:{connection.password}@{connection.host}:{connection.port}/{connection.database}"
    for given, column in (
        (f'"{schema}"."Order Items"', "n"),
        (f"{schema}.Order Items", "n"),
        (f"{connection.database}.public.{lower}", "n"),
        (lower.upper(), "n"),
        (f"PUBLIC.{lower.upper()}", "n"),
        (f'"{lower}"', "n"),
        (lower.title(), "other"),
    ):
        with PostgresSource.from_uri(uri, {"table": given}).batches() as found:
            assert (given, found.schema.names) == (given, [column])
    mariadb = mysql_server.connection_to(local_mariadb)
    with mysql_server.database_on(mariadb) as database:
        database.run(f"CREATE TABLE `Order {lower}` (n INT)")
    uri = f"mysql://{mariadb.user}:{mariadb.password}@{mariadb.host}:{mariadb.port}/{mariadb.database}"
    for given in (f"`Order {lower}`", f"Order {lower}", f"`{mariadb.database}`.`Order {lower}`"):
        with MySQLSource.from_uri(uri, {"table": given}).batches() as found:
            assert found.schema.names == ["n"]
