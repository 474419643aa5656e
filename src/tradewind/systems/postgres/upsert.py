"""Writing rows over those of a table that have the same keys."""

# ruff: noqa: S608 - all names are quoted
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError
from tradewind.move.tables.staging import refused_by_triggers
from tradewind.systems.postgres.slices import loose_keys
from tradewind.systems.postgres.sql import quoted

if TYPE_CHECKING:
    from tradewind.systems.postgres.catalog import Table, TableColumn
    from tradewind.systems.postgres.session import Session

__all__ = ["TRANSIENT", "keys_of", "merge"]

TRANSIENT = "tradewind_rows"
"""The temporary table in which the rows are."""


def keys_of(system: str, table: Table, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Find the columns by which rows are found.

    Args:
        system: The system, for messages.
        table: The table.
        asked: Those that are asked for; its primary key where none are.

    Raises:
        InputError: They are not unique in it, or the server upserts by no such key.
    """
    keys = asked or table.primary
    if not keys:
        raise InputError(f"{system}: {table} has no primary key. Give keys to upsert by.")
    if frozenset(keys) in table.deferrable:
        raise InputError(
            f"{system}: the unique key of {table} over {', '.join(keys)} is "
            "DEFERRABLE, and PostgreSQL upserts by no such key. Make it anew without "
            "DEFERRABLE, or give other keys."
        )
    if frozenset(keys) not in table.unique:
        raise InputError(
            f"{system}: {', '.join(keys)} is not unique in {table}. "
            "Make a unique index over exactly these columns, or give other keys."
        )
    return keys


def merge(
    session: Session,
    table: Table,
    columns: Sequence[TableColumn],
    keys: Sequence[str],
    rows: int,
    triggers: Sequence[str],
) -> None:
    """Write the rows of the temporary table over those with the same keys.

    Args:
        session: In its transaction.
        table: The table.
        columns: Those that are written.
        keys: Names of those by which rows are found.
        rows: How many there are.
        triggers: Of the table; they may leave rows out.

    Raises:
        InputError: A key is empty, or stands twice; or triggers have left rows out.
        RetryError: Not all rows have arrived.
    """
    names = [column.name for column in columns]
    listed = ", ".join(map(quoted, names))
    override = " OVERRIDING SYSTEM VALUE" * any(column.identity for column in columns)
    found = ", ".join(map(quoted, keys))
    # A row that has 'A' is found by 'a', and is to have 'a' then.
    loose = loose_keys(session, table, keys)
    others = [name for name in names if name not in keys or name in loose]
    then = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
    empty = " OR ".join(f"{quoted(key)} IS NULL" for key in keys)
    if session.fetch(f"SELECT 1 FROM {TRANSIENT} WHERE {empty} LIMIT 1"):
        raise InputError(
            f"{session.system}: rows for {table} have NULL in a key "
            f"({', '.join(keys)}), so they cannot be found again. Leave them out."
        )
    twice = session.fetch(
        f"SELECT concat_ws(', ', {found}) FROM {TRANSIENT} GROUP BY {found}"
        " HAVING count(*) > 1 LIMIT 1"
    )
    if twice:
        raise InputError(
            f"{session.system}: several rows for {table} have the same "
            f"{', '.join(keys)}: {twice[0][0]}. Give each key once."
        )
    tag = session.execute(
        f"INSERT INTO {table.sql} ({listed}){override} "
        f"SELECT {listed} FROM {TRANSIENT} "
        f"ON CONFLICT ({found}) DO {f'UPDATE SET {then}' if then else 'NOTHING'}"
    )
    written = int(tag.rpartition(" ")[2])
    if then and written != rows:
        if triggers:
            raise refused_by_triggers(session.system, str(table), triggers, rows - written, rows)
        raise RetryError(
            f"{session.system}: {rows} rows were to be written over {table}, {tag} were. "
            "Look for rules and triggers on the table."
        )
