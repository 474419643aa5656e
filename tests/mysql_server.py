"""What tests of MySQL share: connections, sessions, and tables of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from made_rows import Rows
from tradewind.local import Systems
from tradewind.move.receipt import Receipt
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.session import Session
from tradewind.systems.mysql.table import MySQLTable

_numbers = itertools.count()


def connection_to(systems: Systems, **changes: object) -> MySQLConnection:
    environment = systems.environment
    settings = {
        "host": environment["MYSQL_HOST"],
        "port": int(environment["MYSQL_TCP_PORT"]),
        "user": environment["MYSQL_USER"],
        "password": environment["MYSQL_PWD"],
        "database": environment["MYSQL_DATABASE"],
    }
    return MySQLConnection(**{**settings, **changes})  # type: ignore[arg-type]


def fresh(what: str) -> str:
    """A name that nothing else has."""
    return f"{what}_{os.getpid()}_{next(_numbers)}"


def owner_of(what: str, **more: int) -> Owner:
    return Owner("dag", fresh("run"), what, **more)


def load(
    connection: MySQLConnection,
    rows: Rows | pa.Table,
    table: str,
    owner: Owner | None = None,
    **options: Any,
) -> Receipt:
    """Publish rows in a table, as an owner of its own where none is given."""
    source = rows if isinstance(rows, Rows) else Rows(rows)
    target = MySQLTable(connection, table, **options)
    return transfer(source, target, owner or owner_of(table))


class Database:
    """One session that tests prepare and look with; each statement sees what is committed."""

    def __init__(self, connection: MySQLConnection) -> None:
        self.connection = connection
        self.session = Session(connection)
        self.session.execute("SET autocommit = 1, sql_mode = ''")

    def run(self, sql: str) -> None:
        self.session.execute(sql)

    def rows(self, sql: str, *values: object) -> list[tuple]:
        return self.session.fetch(sql, *values)

    def value(self, sql: str, *values: object) -> str | None:
        return self.rows(sql, *values)[0][0]

    def count(self, table: str) -> int:
        return int(self.value(f"SELECT COUNT(*) FROM {table}") or 0)

    def table(self, columns: str, rows: str = "", *, name: str = "t", more: str = "") -> str:
        """Make a table of a name of its own."""
        name = fresh(name)
        self.run(f"CREATE TABLE {name} ({columns}) {more or 'ENGINE=InnoDB'}")
        if rows:
            self.run(f"INSERT INTO {name} VALUES {rows}")
        return name

    def tables_like(self, name: str) -> list[str]:
        return sorted(row[0] for row in self.rows("SHOW TABLES") if row[0].startswith(name))

    def sessions(self, text: str) -> list[int]:
        """Sessions whose running statement has a text."""
        return [
            int(row[0])
            for row in self.rows(
                "SELECT id FROM information_schema.processlist WHERE info LIKE %s "
                "AND id <> CONNECTION_ID()",
                f"%{text}%",
            )
        ]


@contextmanager
def database_on(connection: MySQLConnection) -> Iterator[Database]:
    database = Database(connection)
    try:
        yield database
    finally:
        database.session.close()
