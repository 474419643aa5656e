"""Which rows are a slice of a table of PostgreSQL, and which keys are equal but not the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.systems.postgres.catalog import Table, TableColumn
from tradewind.systems.postgres.naive_times import (
    has_zones,
    is_naive,
    is_timestamp,
    refuse_lossy,
)
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.sql import bind, literal, quoted

__all__ = ["loose_keys", "slice_sql"]

_WIDEST = {
    "smallint": "numeric",
    "integer": "numeric",
    "bigint": "numeric",
    "numeric": "numeric",
    "date": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
"""Types that keep what a cast to a column's own type cuts or rounds."""


def slice_sql(table: Table, slice: Mapping[str, Any] | str | tuple[str, Any], system: str) -> str:
    """Write the condition of the rows that are replaced.

    Args:
        table: The table.
        slice: Values by column; or a condition; or a condition and its parameters.
        system: For messages.

    Returns:
        The condition in SQL.

    Raises:
        InputError: It names a column that the table has not, or is empty.
    """
    if isinstance(slice, str):
        return slice
    if isinstance(slice, tuple):
        return bind(slice[0], slice[1])
    if not slice:
        raise InputError(f"{system}: the slice of {table} names no column. Leave it out, or name.")
    terms = []
    for name, value in slice.items():
        column = table.column(name)
        if column is None:
            raise InputError(
                f"{system}: the slice names the column {name!r}, which {table} has not. "
                f"Choose from: {', '.join(column.name for column in table.columns)}."
            )
        values = value if isinstance(value, list | tuple | set) else [value]
        given = [_literal(column, one) for one in values if one is not None]
        cast = ", ".join(f"CAST({one} AS {column.type})" for one in given)
        either = [f"{quoted(name)} IN ({cast}){_exactly(column, given)}"] if given else []
        if None in values:
            either.append(f"{quoted(name)} IS NULL")
        terms.append(f"({' OR '.join(either) or 'false'})")
    return " AND ".join(terms)


def _literal(column: TableColumn, value: Any) -> str:
    """Write a value; a text with a zone, for a time without one, as that moment in UTC.

    Rows with a zone arrive there in UTC as well. PostgreSQL itself would drop the zone.
    """
    if isinstance(value, str) and is_naive(column.limits):
        text = pa.array([value], pa.string())
        if has_zones(text):
            if is_timestamp(column.limits):
                return f"CAST({literal(value)} AS timestamptz)"
            refuse_lossy(text, column.name, column.limits)
    return literal(value)


def _exactly(column: TableColumn, given: Iterable[str]) -> str:
    """Write that a value is one of those given, not only equal to one: by collation or by a cast.

    The column's own comparison stands beside it, so that an index serves.
    """
    name = quoted(column.name)
    base = re.sub(r"\(\d+(,-?\d+)?\)", "", column.limits)
    if column.category == "S":
        # citext and collations that are not deterministic hold 'A' for 'a'; varchar(1) cuts 'ab'.
        kind = "bpchar" if base == "character" else "text"
        texts = ", ".join(f"CAST(CAST({one} AS {kind}) AS text)" for one in given)
        return f' AND CAST({name} AS text) COLLATE "C" IN ({texts})'
    if base in _WIDEST:
        return f" AND {name} IN ({', '.join(f'CAST({one} AS {_WIDEST[base]})' for one in given)})"
    return ""


def loose_keys(session: Session, table: Table, keys: Iterable[str]) -> frozenset[str]:
    """Tell which key columns hold texts for equal that are not: citext, and some collations.

    Args:
        session: To ask.
        table: The table.
        keys: Names of its columns.
    """
    # Servers before 12 have not the column, so that it is asked for by its name.
    rows = session.fetch(
        "SELECT a.attname::text FROM pg_catalog.pg_attribute a"
        " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype"
        " LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
        " WHERE a.attrelid = $1 AND a.attnum > 0 AND t.typcategory = 'S'"
        " AND (t.typname = 'citext' OR b.typname = 'citext'"
        " OR to_jsonb(c) ->> 'collisdeterministic' = 'false' OR EXISTS ("
        "SELECT 1 FROM pg_catalog.pg_index i, unnest(i.indcollation::oid[]) o"
        " JOIN pg_catalog.pg_collation n ON n.oid = o"
        " WHERE i.indrelid = a.attrelid AND i.indisunique"
        " AND to_jsonb(n) ->> 'collisdeterministic' = 'false'))",
        table.oid,
    )
    return frozenset(name for (name,) in rows).intersection(keys)
