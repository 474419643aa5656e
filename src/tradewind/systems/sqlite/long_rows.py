"""Long rows of SQLite: few of them in memory at a time, and none above a limit."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from tradewind.errors import InputError
from tradewind.move.row_limit import too_long

__all__ = ["limit_rows", "refused", "some_rows"]

_LONGEST = (1 << 31) - 1


def limit_rows(connection: sqlite3.Connection, limit: int) -> None:
    """Have SQLite refuse longer values and rows itself (``SQLITE_TOOBIG``).

    Source: https://www.sqlite.org/limits.html, "Maximum length of a string or BLOB".

    Args:
        connection: Of which queries are asked.
        limit: In bytes.
    """
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(limit, _LONGEST))


def some_rows(cursor: sqlite3.Cursor, most: int, size: int) -> list[tuple[Any, ...]]:
    """Fetch rows, up to the one that makes them so many or so long.

    Args:
        cursor: What has them.
        most: How many.
        size: Bytes of their texts and BLOBs together, about.
    """
    rows: list[tuple[Any, ...]] = []
    have = 0
    for row in cursor:
        rows.append(row)
        for value in row:
            if type(value) in _OF_ANY_LENGTH:
                have += len(value)
        if len(rows) >= most or have >= size:
            break
    return rows


_OF_ANY_LENGTH = frozenset((str, bytes))


def refused(
    connection: sqlite3.Connection, query: str, parameters: Any, limit: int, system: str
) -> InputError:
    """Find the value that SQLite has refused to read; SQLite reads it, and does not hand it on.

    Args:
        connection: One without the limit, which is closed.
        query: The statement.
        parameters: Its parameters.
        limit: What was allowed, in bytes.
        system: Where it is read from, for the message.
    """
    size, column = limit + 1, None
    with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
        inner = f"({query.rstrip().rstrip(';')}\n)"
        given = parameters or ()
        described = connection.execute(f"SELECT * FROM {inner} LIMIT 0", given).description  # noqa: S608
        names = [item[0] for item in described]
        quoted = ['"{}"'.format(name.replace('"', '""')) for name in names]
        sizes = ", ".join(f"MAX(LENGTH(CAST({name} AS BLOB)))" for name in quoted)
        found = connection.execute(f"SELECT {sizes} FROM {inner}", given).fetchone()  # noqa: S608
        longest, name = max((each or 0, name) for each, name in zip(found, names, strict=True))
        if longest > limit:
            size, column = longest, name
    return too_long(system, size, limit, column=column)
