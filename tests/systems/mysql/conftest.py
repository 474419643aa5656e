"""MySQL: a connection, and a session to prepare and look with.

The client is imported when it is asked for: where it is missing, the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tradewind.local import Systems

if TYPE_CHECKING:
    from mysql_server import Database
    from tradewind.systems.mysql.connection import MySQLConnection


@pytest.fixture(scope="module")
def connection(local_mariadb: Systems) -> MySQLConnection:
    from mysql_server import connection_to

    return connection_to(local_mariadb)


@pytest.fixture(scope="module")
def db(connection: MySQLConnection) -> Iterator[Database]:
    from mysql_server import database_on

    with database_on(connection) as database:
        yield database
