"""Find tables of attempts that died while making them: such a table has a temporary name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tradewind.errors import InputError
from tradewind.move.registry import plain_scheme
from tradewind.redaction import scheme_of, shown_place
from tradewind.sweep.leftover import Leftover
from tradewind.systems.mysql.catalog import comment_of
from tradewind.systems.mysql.connection import MySQLConnection, quoted
from tradewind.systems.mysql.session import Session

__all__ = ["leftovers", "leftovers_of_tables"]

_STAGING = re.compile(r"(?P<table>.*)__(?:[0-9a-f]{8}_)?(?P<owner>[0-9a-f]{12})", re.DOTALL)
_MARK = "tradewind attempt "


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the tables of a database that were being made.

    Args:
        place: ``mysql://user@host/database``, or ``connection:ID``.
    """
    shown = shown_place(place)
    yield shown, _of_place(shown, place)


def _of_place(shown: str, place: str) -> Iterator[Leftover]:
    connection: Any = None
    if place.startswith("connection:"):
        from tradewind.airflow.connections import find_connection
        from tradewind.systems.mysql.airflow import connection_of

        found = find_connection(place.removeprefix("connection:"))
        if found.conn_type in ("mysql", "mariadb"):
            connection = connection_of(found)
    elif plain_scheme(scheme_of(place)) == "mysql":
        connection = MySQLConnection.from_uri(place)
    yield from leftovers_of_tables(shown, connection)


def leftovers_of_tables(system: str, connection: Any) -> Iterator[Leftover]:
    """List tables with the mark of an attempt that has not committed.

    PostgreSQL and SQLite have none: there a table is made in the transaction that fills it, and is
    gone with it. What has been committed and not yet renamed has no mark: its owner's next attempt
    gives it its name, and it holds what was published.

    Args:
        system: What the database is called.
        connection: A `MySQLConnection` with a database.

    Raises:
        InputError: It is another system's.
    """
    if not isinstance(connection, MySQLConnection):
        raise InputError(
            f"{system}: only MySQL and MariaDB can have tables that are half made. In other "
            "databases a table is made in the transaction that fills it."
        )
    if not connection.database:
        raise InputError(f"{system}: no database is named. Name it in the address or connection.")
    session = Session(connection)
    try:
        rows = session.fetch(
            "SELECT table_name, create_time FROM information_schema.tables "
            "WHERE table_schema = %s AND LEFT(table_comment, %s) = %s ORDER BY table_name",
            connection.database,
            len(_MARK),
            _MARK,
        )
        for name, made in rows:
            match = _STAGING.fullmatch(str(name))
            if match is None:
                continue
            yield Leftover(
                system=system,
                what=f"table that was being made {connection.database}.{name}",
                owner=match["owner"],
                title="",
                # The session's zone is UTC.
                since=datetime.fromisoformat(str(made)).replace(tzinfo=UTC) if made else None,
                remove=partial(_remove, connection, str(name)),
            )
    finally:
        session.close()


def _remove(connection: MySQLConnection, name: str) -> None:
    session = Session(connection)
    try:
        # Committed since, it is what was published.
        comment = comment_of(session, str(connection.database), name)
        if comment is not None and comment.startswith(_MARK):
            session.execute(f"DROP TABLE {quoted(str(connection.database), name)}")
    finally:
        session.close()
