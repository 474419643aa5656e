"""Whether a table is still the one that rows were appended to, or has its name after it.

SQLite gives a table no number of its own: one that is dropped and made anew may have the very pages
of the old one. So the ledger keeps what the file's schema was numbered, which goes up when any
table is made or dropped, and a digest of the last row that was appended.

It also keeps the first and the last rowid of the rows, where nobody else's stand between them. A
deleted row is missed there: SQLite gives a new one the number after the greatest, so that it can
take a number among them only where the last of them was deleted, which then is another row. Where
the data give the rowids (INTEGER PRIMARY KEY), a digest of them is kept instead: a row is known by
its key, as it is elsewhere, whatever became of its other columns.
"""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import array
import hashlib
import json
import sqlite3
from typing import Any, NamedTuple

from tradewind.systems.sqlite.values import quoted

__all__ = ["Given", "count_marked", "greatest", "is_marked", "mark_of"]


class Given(NamedTuple):
    """The rowids that rows have.

    Args:
        low: The least one.
        high: The greatest one; None where it is the table's greatest.
        by_data: Whether the data gave them.
    """

    low: int
    high: int | None = None
    by_data: bool = False


def greatest(connection: sqlite3.Connection, table: str) -> int | None:
    """Give a table's greatest rowid; None where it has no rows, or no rowids."""
    if (rowid := _rowid(connection, table)) is None:
        return None
    found = connection.execute(f"SELECT MAX({rowid}) FROM {quoted(table)}").fetchone()[0]
    return None if found is None else int(found)


def mark_of(
    connection: sqlite3.Connection,
    table: str,
    last: int | None,
    rows: int = 0,
    given: Given | None = None,
) -> str:
    """Describe a table, and the rows that were appended to it, for the ledger.

    Args:
        connection: In the transaction that has appended to it.
        table: Its name.
        last: The rowid of the last row that was appended; None where there was none.
        rows: How many were appended.
        given: Where they stand, as far as is known.
    """
    names = [
        row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    ]
    told: dict[str, Any] = {"schema": _schema(connection), "place": _place(connection, table)}
    if last is not None and (digest := _digest(connection, table, last, names)) is not None:
        told |= {"last": last, "names": names, "row": digest}
    if rows and given is not None and (rowid := _rowid(connection, table)) is not None:
        high = given.high if given.high is not None else greatest(connection, table)
        low = given.low
        if high is not None and _count(connection, table, rowid, low, high, rows) == rows:
            told |= {"low": low, "high": high}
            if given.by_data:
                told["keys"] = _keys(connection, table, rowid, low, high)
    return json.dumps(told)


def count_marked(
    connection: sqlite3.Connection, table: str, mark: str | None, rows: int
) -> int | None:
    """Count the rows of a table that an append has written.

    Args:
        connection: Where it stands.
        table: Its name.
        mark: As the ledger keeps it.
        rows: How many there were.

    Returns:
        How many there are, or one less than there were where some are others; None where it cannot
        be told.
    """
    told = json.loads(mark or "{}")
    rowid = _rowid(connection, table)
    if not rows:
        return 0
    if "low" not in told or rowid is None:
        return None
    low, high = told["low"], told["high"]
    found = _count(connection, table, rowid, low, high, rows)
    if "keys" in told:
        if found > rows:
            return None  # Others stand between them by now.
        same = found < rows or told["keys"] == _keys(connection, table, rowid, low, high)
    else:
        same = told.get("row") == _digest(connection, table, told.get("last"), told["names"])
    return found if same else min(found, rows - 1)


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


def _rowid(connection: sqlite3.Connection, table: str) -> str | None:
    """Find what a table calls its rowid; None where it has none."""
    names = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,)).fetchall()
    taken = {name.lower() for (name,) in names}
    rowid = next((one for one in ("rowid", "_rowid_", "oid") if one not in taken), None)
    try:
        connection.execute(f"SELECT {rowid} FROM {quoted(table)} LIMIT 0")
    except sqlite3.OperationalError:
        return None  # WITHOUT ROWID
    return rowid


def _count(
    connection: sqlite3.Connection, table: str, rowid: str, low: int, high: int, rows: int
) -> int:
    counted = connection.execute(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {quoted(table)} WHERE {rowid} BETWEEN ? AND ? "
        "LIMIT ?)",
        (low, high, rows + 1),
    )
    return int(counted.fetchone()[0])


def _keys(connection: sqlite3.Connection, table: str, rowid: str, low: int, high: int) -> str:
    digest = hashlib.sha256()
    found = connection.execute(
        f"SELECT {rowid} FROM {quoted(table)} WHERE {rowid} BETWEEN ? AND ? ORDER BY {rowid}",
        (low, high),
    )
    while rows := found.fetchmany(10_000):
        digest.update(array.array("q", [one for (one,) in rows]).tobytes())
    return digest.hexdigest()[:32]


def _digest(
    connection: sqlite3.Connection, table: str, last: int | None, names: list[str]
) -> str | None:
    if (rowid := _rowid(connection, table)) is None:
        return None
    listed = ", ".join(map(quoted, names))
    try:
        row = connection.execute(
            f"SELECT {listed} FROM {quoted(table)} WHERE {rowid} = ?", (last,)
        ).fetchone()
    except sqlite3.OperationalError:
        return None  # A column is gone.
    return None if row is None else hashlib.sha256(repr(row).encode()).hexdigest()[:32]
