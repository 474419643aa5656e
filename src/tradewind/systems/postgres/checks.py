"""What PostgreSQL would do in silence, or refuse late: names cut, rows deleted elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from tradewind.errors import InputError, SetupError
from tradewind.move.interface import target_option
from tradewind.move.tables.names import refuse_new_names
from tradewind.move.tables.staging import refuse_cascade, refuse_names
from tradewind.systems.postgres.catalog import Table
from tradewind.systems.postgres.session import Session

__all__ = ["check_lengths", "check_new_names", "check_references", "deleting", "row_triggers"]

_SYSTEM_COLUMNS = ("ctid", "tableoid", "xmin", "xmax", "cmin", "cmax")
"""https://www.postgresql.org/docs/current/ddl-system-columns.html"""


def check_lengths(session: Session, names: Iterable[str | None]) -> None:
    """Refuse names that the server would cut (to 63 bytes, as it is usually built).

    Args:
        session: To ask.
        names: Of a schema, tables, columns; None is passed over.

    Raises:
        InputError: One is too long.
    """
    given = [name for name in names if name]
    if all(len(name) * 4 < 64 for name in given):
        return
    limit = int(session.fetch("SELECT current_setting('max_identifier_length')")[0][0])
    unicode = session.server_encoding.upper() in ("UTF8", "UNICODE")

    def size(name: str) -> int:
        if unicode or name.isascii():
            return len(name.encode("utf-8", "surrogatepass"))
        return int(session.fetch("SELECT octet_length($1::text)", name)[0][0])

    refuse_names(session.system, given, limit, "bytes", size)


def check_new_names(session: Session, names: Iterable[str]) -> None:
    """Refuse names that the columns of a new table cannot have.

    Args:
        session: To ask.
        names: Of the data's columns.

    Raises:
        InputError: There is none; one is empty, too long, that of another one, or of a column
            which every table has.
    """
    names = list(names)
    refuse_new_names(
        session.system,
        names,
        wrong=lambda name: "is the server's own in each table" if name in _SYSTEM_COLUMNS else "",
    )
    check_lengths(session, names)


def check_references(session: Session, table: Table, *, whole: bool, cascade: bool) -> None:
    """Refuse to delete rows where the server would change other tables' rows with them.

    Args:
        session: To ask.
        table: Whose rows are deleted.
        whole: Whether all of them are, so that its references to itself go anyway.
        cascade: Whether that was asked for.

    Raises:
        InputError: It would, and nobody asked for it.
    """
    if cascade:
        return
    # A partition's or an heir's rows are deleted too.
    rows = session.fetch(
        "WITH RECURSIVE own(oid) AS (SELECT $1::oid UNION"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN own ON i.inhparent = own.oid)"
        " SELECT DISTINCT c.conrelid::regclass::text, c.confdeltype::text"
        " FROM pg_catalog.pg_constraint c WHERE c.contype = 'f' AND c.confdeltype IN ('c','n','d')"
        " AND c.confrelid IN (SELECT oid FROM own)"
        " AND NOT ($2::bool AND c.conrelid IN (SELECT oid FROM own)) ORDER BY 1",
        table.oid,
        whole,
    )
    kinds = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
    refuse_cascade(session.system, str(table), [(name, kinds[kind]) for name, kind in rows])


def row_triggers(session: Session, table: Table) -> list[str]:
    """Name the triggers that may leave rows out: BEFORE INSERT or UPDATE, for each row.

    Args:
        session: To ask.
        table: Where rows go; its partitions' triggers count, too.
    """
    rows = session.fetch(
        "WITH RECURSIVE own(oid) AS (SELECT $1::oid UNION"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN own ON i.inhparent = own.oid)"
        # Bits of tgtype: row, before, insert, update.
        " SELECT DISTINCT t.tgname::text FROM pg_catalog.pg_trigger t"
        " JOIN own ON t.tgrelid = own.oid"
        " WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 1 = 1 AND t.tgtype & 2 = 2"
        " AND t.tgtype & 20 <> 0 ORDER BY 1",
        table.oid,
    )
    return [name for (name,) in rows]


@contextlib.contextmanager
def deleting(table: Table) -> Iterator[None]:
    """Tell a refusal to delete rows that others refer to, with what to do instead."""
    try:
        yield
    except (InputError, SetupError) as error:
        if not any(f"SQLSTATE {state}" in str(error) for state in ("23503", "23001")):
            raise
        raise InputError(
            f"{str(error).partition('Correct the data')[0].rstrip()} Rows of other tables refer "
            f"to rows of {table}, which a replace deletes. "
            f"{target_option('mode', 'upsert')} writes over rows and deletes none."
        ) from error
