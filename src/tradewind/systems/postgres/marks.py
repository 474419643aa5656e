"""Which rows of a table an append has written, by the server's own mark of them.

PostgreSQL keeps with each row the transaction that wrote it (``xmin``). Freezing keeps it readable
(since 9.4), and VACUUM FULL and CLUSTER carry it along; an UPDATE writes a new row, with another
one. It has 32 bits, so that it means nothing any more after 2**32 later transactions. There is no
index of it: so the ledger also keeps which blocks the table has grown by, where most rows of an
append stand, and only a lack among these has the whole table read.

Sources: https://www.postgresql.org/docs/current/ddl-system-columns.html,
https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND
"""

# ruff: noqa: S608 - all names are quoted, all values numbers
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tradewind.systems.postgres.catalog import Table
from tradewind.systems.postgres.session import Session

__all__ = ["Mark", "blocks_of", "count_marked", "mark_of"]

_WRAPS = 1 << 32
_PLACES = 50
"""So many parts of a partitioned table are remembered; rows of more are found by reading all."""

Blocks = Mapping[int, int]
"""How many blocks each part of a table has, by its oid."""


class Mark(NamedTuple):
    """What tells the rows of an append.

    Args:
        transaction: That wrote them, with its epoch.
        places: Of each part that has grown, its oid, the first block and the first one after them.
    """

    transaction: int
    places: tuple[tuple[int, int, int], ...]

    def __str__(self) -> str:
        places = ",".join(f"{oid}:{first}-{after}" for oid, first, after in self.places)
        return f"{self.transaction}~{places}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """Read one from the ledger; None where there is none."""
        if not text:
            return None
        transaction, _, listed = text.partition("~")
        places = []
        for one in filter(None, listed.split(",")):
            oid, _, blocks = one.partition(":")
            first, _, after = blocks.partition("-")
            places.append((int(oid), int(first), int(after)))
        return cls(int(transaction), tuple(places))


def blocks_of(session: Session, table: Table) -> dict[int, int] | None:
    """Learn how long a table is, before and after rows are written.

    Returns:
        The blocks of each of its parts; None where one keeps no mark of its rows: a foreign table,
        or one with another access method than ``heap``.
    """
    rows = session.fetch(
        "WITH RECURSIVE part(oid) AS (SELECT $1::oid UNION"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid)"
        " SELECT c.oid, c.relkind::text, coalesce(m.amname, 'heap')::text,"
        " CASE WHEN c.relkind = 'r' THEN"
        "  pg_relation_size(c.oid) / current_setting('block_size')::bigint END"
        " FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid"
        " LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE c.relkind <> 'p'",
        table.oid,
    )
    if any(kind != "r" or method != "heap" for _, kind, method, _ in rows):
        return None
    return {int(oid): int(blocks or 0) for oid, _, _, blocks in rows}


def mark_of(session: Session, table: Table, before: Blocks, rows: int) -> Mark | None:
    """Describe the rows that this transaction has written.

    Args:
        session: In its transaction.
        table: Where they are.
        before: What `blocks_of` told before they were written.
        rows: How many.

    Returns:
        The mark; None where it does not tell these rows: triggers may have written them in a
        transaction within this one, which has another number, or deleted some.
    """
    after = blocks_of(session, table) or {}
    # The last block of those before may have had room.
    grown = [
        (oid, max(0, before.get(oid, 0) - 1), count)
        for oid, count in sorted(after.items())
        if count > before.get(oid, 0) or len(after) == 1
    ]
    places = tuple(grown) if len(grown) <= _PLACES else ()
    mark = Mark(int(session.fetch("SELECT txid_current()")[0][0]), places)
    triggers = session.fetch(
        "SELECT 1 FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY($1) LIMIT 1",
        [table.oid, *after],
    )
    if triggers and count_marked(session, table, mark, rows) != rows:
        return None
    return mark


def count_marked(session: Session, table: Table, mark: Mark, rows: int) -> int | None:
    """Count the rows of a table that still stand as an append has written them.

    Args:
        session: To ask.
        table: Where they are.
        mark: As the ledger keeps it.
        rows: How many there were; it counts no further.

    Returns:
        How many there are; None where the mark is too old to tell.
    """
    newest = session.fetch("SELECT txid_snapshot_xmax(txid_current_snapshot())")[0][0]
    if int(newest) - mark.transaction >= _WRAPS:
        return None
    written = f"xmin = '{mark.transaction % _WRAPS}'::xid"
    found = 0
    for oid, first, after in mark.places:
        part = session.fetch("SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = $1", oid)
        if part:
            found += session.fetch(
                f"SELECT count(*) FROM ONLY {part[0][0]}"
                f" WHERE ctid >= '({first},0)' AND ctid < '({after},0)' AND {written}"
            )[0][0]
    if found >= rows:
        return rows
    counted = f"SELECT count(*) FROM (SELECT FROM {table.sql} WHERE {written} LIMIT {rows}) r"
    return int(session.fetch(counted)[0][0])
