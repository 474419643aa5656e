"""Our own databases and sources pass the public suites that strangers' systems pass."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pymongo
import pytest

import postgres_server
from mysql_client import need_mysql_client
from rest_server import Asked, Reply, Server, serving
from tradewind.local import Systems
from tradewind.systems.http.connection import HttpConnection, Retries
from tradewind.systems.http.source import RestSource
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable
from tradewind.testing.conformance.source import SourceConformance
from tradewind.testing.conformance.table import TableConformance

MADE = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, day TEXT)"
READ = "SELECT id, name, day FROM {} ORDER BY id"
NAMES = ("things", "made_table")
EXPECTED = [{"id": 1, "name": "one"}, {"id": 2, "name": None}]


class TestSQLiteTable(TableConformance):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with sqlite3.connect(self.path) as database:
            database.execute(MADE)

    def table(self, name: str = "things", **options: Any) -> SQLiteTable:
        return SQLiteTable(self.path, name, **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as database:
            return database.execute(READ.format(name or "things")).fetchall()


class TestSQLiteSource(SourceConformance):
    expected: ClassVar = EXPECTED

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with sqlite3.connect(self.path) as database:
            database.execute("CREATE TABLE things (id INTEGER, name TEXT)")
            database.executemany("INSERT INTO things VALUES (?, ?)", [(1, "one"), (2, None)])

    def source(self) -> SQLiteSource:
        return SQLiteSource(str(self.path), "SELECT id, name FROM things ORDER BY id")

    def wrong_source(self) -> SQLiteSource:
        return SQLiteSource(str(self.path), "SELECT * FROM nothing")


class TestPostgresTable(TableConformance):
    @pytest.fixture(autouse=True)
    def database(self, local_postgres: Systems) -> Iterator[None]:
        with postgres_server.database_on(postgres_server.connection_to(local_postgres)) as self.db:
            self.db.run(f"DROP TABLE IF EXISTS {', '.join(NAMES)}; {MADE}")
            yield
            self.db.run(f"DROP TABLE IF EXISTS {', '.join(NAMES)}")

    def table(self, name: str = "things", **options: Any) -> PostgresTable:
        return PostgresTable(self.db.connection, name, **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        return self.db.rows(READ.format(name or "things"))


class TestPostgresSource(SourceConformance):
    expected: ClassVar = EXPECTED

    @pytest.fixture(autouse=True)
    def database(self, local_postgres: Systems) -> None:
        self.connection = postgres_server.connection_to(local_postgres)
        type(self).secrets = (str(self.connection.password),)

    def source(self) -> PostgresSource:
        rows = "VALUES (1, 'one'), (2, NULL)"
        return PostgresSource(self.connection, f"SELECT id, name FROM ({rows}) AS t (id, name)")

    def wrong_source(self) -> PostgresSource:
        return PostgresSource(self.connection, "SELECT * FROM nothing")


class TestMySQLTable(TableConformance):
    @pytest.fixture(autouse=True)
    def database(self, local_mariadb: Systems) -> Iterator[None]:
        need_mysql_client()
        import mysql_server

        with mysql_server.database_on(mysql_server.connection_to(local_mariadb)) as self.db:
            self.db.run(f"DROP TABLE IF EXISTS {', '.join(NAMES)}")
            self.db.run(f"{MADE} CHARACTER SET utf8mb4")
            yield
            self.db.run(f"DROP TABLE IF EXISTS {', '.join(NAMES)}")

    def table(self, name: str = "things", **options: Any) -> Any:
        from tradewind.systems.mysql.table import MySQLTable

        return MySQLTable(self.db.connection, name, **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        found = self.db.rows(READ.format(name or "things"))
        return [(int(number), *rest) for number, *rest in found]


class TestMySQLSource(SourceConformance):
    expected: ClassVar = EXPECTED

    @pytest.fixture(autouse=True)
    def database(self, local_mariadb: Systems) -> None:
        need_mysql_client()
        import mysql_server

        self.connection = mysql_server.connection_to(local_mariadb)
        type(self).secrets = (str(self.connection.password),)

    def _source(self, query: str) -> Any:
        from tradewind.systems.mysql.source import MySQLSource

        return MySQLSource(self.connection, query)

    def source(self) -> Any:
        return self._source("SELECT 1 AS id, 'one' AS name UNION ALL SELECT 2, NULL")

    def wrong_source(self) -> Any:
        return self._source("SELECT * FROM nothing")


class TestMongoSource(SourceConformance):
    expected: ClassVar = [{"_id": 1, "name": "one"}, {"_id": 2, "name": None}]

    @pytest.fixture(autouse=True)
    def database(self, local_mongodb: Systems) -> Iterator[None]:
        given = local_mongodb.environment
        password = given["MONGODB_PASSWORD"]
        type(self).secrets = (password,)
        self.connection = MongoConnection(given["MONGODB_URI"], {"password": password})
        client: pymongo.MongoClient[dict[str, Any]]
        with closing(self.connection.open()) as client:
            things = client["tradewind"]["things"]
            things.drop()
            things.insert_many([dict(row) for row in self.expected])
            yield
            things.drop()

    def source(self) -> MongoSource:
        return MongoSource(self.connection, collection="things", sort=[("_id", 1)])

    def wrong_source(self) -> MongoSource:
        return MongoSource(self.connection, collection="things", query={"$nothing": 1})


class TestHttpSource(SourceConformance):
    expected: ClassVar = EXPECTED
    secrets: ClassVar = ("Marker-7f3a-secret",)

    @pytest.fixture(autouse=True)
    def api(self) -> Iterator[None]:
        def answer(asked: Asked) -> Reply:
            return Reply(EXPECTED) if asked.path == "/things" else Reply("no such", status=404)

        self.server: Server
        with serving(answer) as self.server:
            yield

    def source(self, path: str = "things") -> RestSource:
        login = ("app", self.secrets[0])
        once = Retries(attempts=1)
        return RestSource(HttpConnection(self.server.url, auth=login, retries=once), path)

    def wrong_source(self) -> RestSource:
        return self.source("nothing")
