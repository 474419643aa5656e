"""What tests of PostgreSQL share: connections, sessions, and tables of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.session import Session

_numbers = itertools.count()


def connection_to(systems: Systems, **changes: object) -> PostgresConnection:
    environment = systems.environment
    settings = {
        "host": environment["PGHOST"],
        "port": int(environment["PGPORT"]),
        "user": environment["PGUSER"],
        "password": environment["PGPASSWORD"],
        "database": environment["PGDATABASE"],
    }
    return PostgresConnection(**{**settings, **changes})  # type: ignore[arg-type]


def fresh(what: str) -> str:
    """A name that nothing else has."""
    return f"{what}_{os.getpid()}_{next(_numbers)}"


def owner_of(what: str, **more: int) -> Owner:
    return Owner("dag", fresh("run"), what, **more)


class Database:
    """One session that tests prepare and look with."""

    def __init__(self, connection: PostgresConnection) -> None:
        self.connection = connection
        self.session = Session(connection, name="tests")
        # For the whole session, which has the server for itself.
        self.session.execute("SET timezone TO 'UTC'; SET intervalstyle TO 'iso_8601'")

    def run(self, sql: str) -> None:
        self.session.execute(sql)

    def rows(self, sql: str, *parameters: object) -> list[tuple]:
        return [tuple(row) for row in self.session.fetch(sql, *parameters)]

    def value(self, sql: str, *parameters: object) -> object:
        return self.rows(sql, *parameters)[0][0]

    def texts(self, table: str) -> list[str]:
        """Every row as PostgreSQL prints it, in the order of the text."""
        return [row[0] for row in self.rows(f"SELECT t::text FROM {table} AS t ORDER BY 1")]

    def table(self, columns: str, rows: str = "", *, name: str = "t") -> str:
        """Make a table of a name of its own."""
        name = fresh(name)
        self.run(f"CREATE TABLE {name} ({columns})")
        if rows:
            self.run(f"INSERT INTO {name} {rows}")
        return name

    def sessions(self, name: str) -> list[tuple[int, str]]:
        """Sessions of an application name: process and state."""
        return self.rows(
            "SELECT pid, state FROM pg_stat_activity WHERE application_name = $1", name
        )


@contextmanager
def database_on(connection: PostgresConnection) -> Iterator[Database]:
    database = Database(connection)
    try:
        yield database
    finally:
        database.session.close()
