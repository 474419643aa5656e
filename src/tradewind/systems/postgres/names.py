"""What a table is called: as SQL writes it, or as people do."""

from __future__ import annotations

import itertools

from tradewind.errors import InputError
from tradewind.move.tables.names import spellings, split_name
from tradewind.systems.postgres.sql import quoted

__all__ = ["identifiers", "split_table"]


def split_table(table: str, database: str | None) -> tuple[str | None, str]:
    """Tell a schema from a table's name, each still quoted as it was.

    Args:
        table: Like ``t``, ``shop."Order Items"`` or ``database.schema.t``.
        database: The connection's.

    Raises:
        InputError: The table is in another database.
    """
    parts = split_name(table, '"')
    if parts is None:
        # What is no name in SQL, like order-items, may be one all the same.
        schema, _, name = table.partition(".")
        return (schema, name) if schema and name and "." not in name else (None, table)
    if len(parts) == 3:
        if database not in spellings(parts[0]):
            raise InputError(
                f"PostgreSQL: the table {table} is in another database than the connection, "
                f"{database}. Connect to that database."
            )
        parts = parts[1:]
    return (parts[0] if len(parts) == 2 else None), parts[-1]


def identifiers(table: str, database: str | None) -> tuple[str, ...]:
    """List what a table's name may mean: as written, then as SQL reads it.

    Args:
        table: See `split_table`.
        database: The connection's.
    """
    schema, name = split_table(table, database)
    schemas = spellings(schema) if schema else ()
    if not schemas:
        return tuple(quoted(one) for one in spellings(name))
    return tuple(quoted(*both) for both in itertools.product(schemas, spellings(name)))
