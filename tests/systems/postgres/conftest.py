"""PostgreSQL: a connection, and a session to prepare and look with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from postgres_server import Database, connection_to, database_on
from tradewind.local import Systems
from tradewind.systems.postgres.connection import PostgresConnection


@pytest.fixture(scope="module")
def connection(local_postgres: Systems) -> PostgresConnection:
    return connection_to(local_postgres)


@pytest.fixture(scope="module")
def db(connection: PostgresConnection) -> Iterator[Database]:
    with database_on(connection) as database:
        yield database
