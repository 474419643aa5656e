"""Whether a table is still the one that rows were appended to, or has its name after it.

SQLite gives a table no number of its own: one that is dropped and made anew may have the very pages
of the old one. So the ledger keeps what the file's schema was numbered, which goes up when any
table is made or dropped, and a digest of the last row that was appended.
"""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

from tradewind.systems.sqlite.values import quoted

__all__ = ["is_marked", "mark_of"]


def mark_of(connection: sqlite3.Connection, table: str, last: int | None) -> str:
    """Describe a table for the ledger.

    Args:
        connection: In the transaction that has appended to it.
        table: Its name.
        last: The rowid of the last row that was appended; None where there was none.
    """
    names = [
        row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    ]
    told: dict[str, Any] = {"schema": _schema(connection), "place": _place(connection, table)}
    if last is not None and (digest := _digest(connection, table, last, names)) is not None:
        told |= {"last": last, "names": names, "row": digest}
    return json.dumps(told)


def is_marked(connection: sqlite3.Connection, table: str, mark: str | None) -> bool:
    """Say whether a table is the one that `mark_of` has described.

    Where other tables were made or dropped since, it is where it has the last row that was
    appended, as it was. Without such a row (none was appended, or the table is WITHOUT ROWID), it
    is where it stands in the same place of the file.

    Args:
        connection: Where it stands.
        table: Its name.
        mark: As the ledger keeps it; None of a former version, which says nothing.
    """
    if mark is None:
        return True
    told = json.loads(mark)
    if told["schema"] == _schema(connection):
        return True
    if "row" not in told:
        return bool(told["place"] == _place(connection, table))
    return bool(told["row"] == _digest(connection, table, told["last"], told["names"]))


def _schema(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA schema_version").fetchone()[0])


def _place(connection: sqlite3.Connection, table: str) -> list[int]:
    found = connection.execute(
        "SELECT rowid, rootpage FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)",
        (table,),
    ).fetchone()
    return list(found or ())


def _digest(connection: sqlite3.Connection, table: str, last: int, names: list[str]) -> str | None:
    taken = {name.lower() for name in names}
    rowid = next((one for one in ("rowid", "_rowid_", "oid") if one not in taken), None)
    if rowid is None:
        return None
    listed = ", ".join(map(quoted, names))
    try:
        row = connection.execute(
            f"SELECT {listed} FROM {quoted(table)} WHERE {rowid} = ?", (last,)
        ).fetchone()
    except sqlite3.OperationalError:
        return None  # WITHOUT ROWID, or a column is gone
    return None if row is None else hashlib.sha256(repr(row).encode()).hexdigest()[:32]
