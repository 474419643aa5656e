"""How rows are inserted where a table of SQLite says itself what becomes of conflicts."""

from __future__ import annotations

import sqlite3

__all__ = ["insert_of"]


def insert_of(connection: sqlite3.Connection, table: str) -> str:
    """Write how rows are inserted, so that a conflict loses no row and changes no value.

    What a table says for its conflicts (``UNIQUE ON CONFLICT REPLACE``) does. ABORT overrides that,
    but also what the table's triggers say for theirs, like ``INSERT OR IGNORE``; so it stands only
    where the table says something. See https://www.sqlite.org/lang_createtrigger.html.

    Args:
        connection: To the file.
        table: Its name.

    Returns:
        ``INSERT`` or ``INSERT OR ABORT``.
    """
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?) AND sql LIKE '%conflict%'",
        (table,),
    )
    return "INSERT OR ABORT" if found.fetchone() else "INSERT"
