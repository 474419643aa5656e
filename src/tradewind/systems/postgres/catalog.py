"""A table of PostgreSQL as its catalogue describes it, and the statements that concern it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.tables.names import spellings
from tradewind.move.types import logical_type
from tradewind.systems.postgres.composed import limits
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.sql import quoted

__all__ = [
    "LEDGER",
    "Table",
    "TableColumn",
    "create_sql",
    "find_table",
    "lock_keys",
    "named_table",
]

LEDGER = "tradewind_published"


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Args:
        name: Its name.
        type: As SQL writes it, like ``numeric(10,2)``.
        category: Of its type, ``A`` being arrays.
        scale: Of a numeric that has one.
        filled: Whether the server fills it when it is left out: default, identity, generated.
        generated: Whether it cannot be written.
        identity: Whether it is GENERATED ALWAYS AS IDENTITY: filled by the server, unless a
            statement says OVERRIDING SYSTEM VALUE (as COPY does in itself), and never updated.
        base: What limits its values, where `type` does not say it: the type that a domain stands
            for, the types of what a range, composite type or an array of them holds; see
            `tradewind.systems.postgres.composed.limits`.
    """

    name: str
    type: str
    category: str
    scale: int | None
    filled: bool
    generated: bool
    identity: bool = False
    base: str = ""

    @property
    def limits(self) -> str:
        """The type that limits its values."""
        return self.base or self.type

    @property
    def is_json(self) -> bool:
        """Whether it holds JSON documents."""
        return self.type in ("json", "jsonb")


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        schema: Where it is.
        name: Its name.
        columns: Its columns, in order; none where it does not exist yet.
        unique: The sets of columns that are unique, the primary key first.
        primary: The primary key's columns, in its order.
        oid: What the server calls it: another table of the same name has another one.
        deferrable: The sets of columns whose uniqueness may be checked late, by DEFERRABLE keys.
        file: What holds its rows: TRUNCATE gives it another one, and so do VACUUM FULL, CLUSTER and
            some ALTER TABLE. 0 where it has none of its own (partitioned, foreign).
    """

    schema: str
    name: str
    columns: tuple[TableColumn, ...] = ()
    unique: tuple[frozenset[str], ...] = ()
    primary: tuple[str, ...] = ()
    oid: int = 0
    deferrable: tuple[frozenset[str], ...] = ()
    file: int = 0

    @property
    def exists(self) -> bool:
        """Whether it exists."""
        return bool(self.columns)

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return quoted(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> TableColumn | None:
        """Find a column by name."""
        return next((column for column in self.columns if column.name == name), None)


def find_table(session: Session, schema: str | None, name: str) -> Table:
    """Look a table up.

    Args:
        session: To ask.
        schema: Where it is; None to look where the session's search path says.
        name: Its name.

    Returns:
        The table, or one without columns where it does not exist.

    Raises:
        InputError: It is nothing that rows can be copied into.
    """
    found = session.fetch(
        "SELECT c.oid, n.nspname, c.relkind::text, c.relfilenode FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.oid = to_regclass($1)",
        quoted(schema, name) if schema else quoted(name),
    )
    if not found:
        if schema is None:
            schema = session.fetch("SELECT current_schema()")[0][0]
        return Table(schema or "public", name)
    oid, schema, kind, file = found[0]
    if kind not in ("r", "p", "f"):
        raise InputError(f"{session.system}: {schema}.{name} is no table. Name a table.")
    rows = session.fetch(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory::text,"
        " CASE WHEN a.atttypid = 'numeric'::regtype AND a.atttypmod >= 4"
        "  THEN (((a.atttypmod - 4) & 2047) # 1024) - 1024 END,"
        " a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '', a.attgenerated <> '',"
        " a.attidentity = 'a',"
        " a.atttypid, a.atttypmod, t.typtype IN ('c', 'd', 'r', 'm') OR e.typtype IN"
        " ('c', 'd', 'r', 'm')"
        " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'"
        " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        oid,
    )
    unique = session.fetch(
        "SELECT array_agg(a.attname::text ORDER BY k.place), i.indisprimary, i.indimmediate"
        " FROM pg_catalog.pg_index i,"
        " unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)"
        " JOIN pg_catalog.pg_attribute a ON a.attnum = k.number"
        " WHERE i.indrelid = $1 AND a.attrelid = $1 AND i.indisunique AND i.indisvalid"
        " AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts"
        " GROUP BY i.indexrelid, i.indisprimary, i.indimmediate ORDER BY i.indisprimary DESC",
        oid,
    )
    primary = next((tuple(names) for names, is_primary, _ in unique if is_primary), ())
    return Table(
        schema,
        name,
        tuple(
            TableColumn(*(*row[:7], limits(session, row[7], row[8]) if row[9] else ""))
            for row in rows
        ),
        tuple(frozenset(names) for names, _, immediate in unique if immediate),
        primary,
        int(oid),
        tuple(frozenset(names) for names, _, immediate in unique if not immediate),
        int(file),
    )


def named_table(session: Session, schema: str | None, name: str) -> Table:
    """Look a table up by a name as a person writes it.

    Args:
        session: To ask.
        schema: Where it is, perhaps quoted; None to look where the search path says.
        name: Its name, perhaps quoted.

    Returns:
        The table that has the name as written, else the one that SQL would find; where there is
        none, what SQL would create.

    Raises:
        InputError: It is nothing that rows can be copied into.
    """
    schemas = spellings(schema) if schema else (None,)
    for one in schemas:
        for spelled in spellings(name):
            table = find_table(session, one, spelled)
            if table.exists:
                return table
    known = [
        one
        for one in schemas
        if one and session.fetch("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", one)
    ]
    return find_table(session, (*known, schemas[-1])[0], spellings(name)[-1])


def lock_keys(table: Table) -> tuple[int, int]:
    """Give the two keys of the advisory lock that loads of a table take in turn."""
    digest = hashlib.sha256(f"tradewind {table}".encode()).digest()
    return (
        int.from_bytes(digest[:4], "big", signed=True),
        int.from_bytes(digest[4:8], "big", signed=True),
    )


# ----------------------------------------------------------------------------------------- creation

_KNOWN_NAMES = {
    "json": "jsonb",
    "uuid": "uuid",
    "decimal": "numeric",
    "interval": "interval",
    "timetz": "time with time zone",
    "xml": "xml",
    "inet": "inet",
    "cidr": "cidr",
    "macaddr": "macaddr",
    "macaddr8": "macaddr8",
    "money": "money",
    "bit": "bit varying",
    "varbit": "bit varying",
    "point": "point",
    "line": "line",
    "lseg": "lseg",
    "box": "box",
    "path": "path",
    "polygon": "polygon",
    "circle": "circle",
    "tsvector": "tsvector",
    "tsquery": "tsquery",
    "pg_lsn": "pg_lsn",
    "jsonpath": "jsonpath",
    **{
        name: name
        for kind in ("int4", "int8", "num", "ts", "tstz", "date")
        for name in (f"{kind}range", f"{kind}multirange")
    },
}
_SIMPLE: tuple[tuple[Any, str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "smallint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_uint8, "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_uint16, "integer"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_uint32, "bigint"),
    (pa.types.is_uint64, "numeric(20,0)"),
    (pa.types.is_float16, "real"),
    (pa.types.is_float32, "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "interval"),
    (pa.types.is_binary, "bytea"),
    (pa.types.is_large_binary, "bytea"),
    (pa.types.is_binary_view, "bytea"),
    (pa.types.is_fixed_size_binary, "bytea"),
    (pa.types.is_struct, "jsonb"),
    (pa.types.is_map, "jsonb"),
)


def create_sql(table: Table, schema: pa.Schema, keys: Iterable[str]) -> str:
    """Write the statement that makes a table for a schema.

    Args:
        table: Its name.
        schema: Its columns.
        keys: The columns of its primary key.

    Returns:
        ``CREATE TABLE ...``.
    """
    columns = [f"{quoted(field.name)} {_sql_type(field)}" for field in schema]
    keys = [quoted(key) for key in keys]
    if keys:
        columns.append(f"PRIMARY KEY ({', '.join(keys)})")
    return f"CREATE TABLE {table.sql} ({', '.join(columns)})"


def _sql_type(field: pa.Field) -> str:
    type_ = field.type
    if isinstance(type_, pa.BaseExtensionType):
        return _sql_type(pa.field(field.name, type_.storage_type))
    if pa.types.is_dictionary(type_):
        return _sql_type(pa.field(field.name, type_.value_type))
    if (
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
        or pa.types.is_list_view(type_)
        or pa.types.is_large_list_view(type_)
    ):
        return f"{_sql_type(type_.value_field)}[]"
    if pa.types.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_):
        return "timestamp with time zone" if type_.tz else "timestamp"
    for is_type, name in _SIMPLE:
        if is_type(type_):
            return name
    return _KNOWN_NAMES.get(logical_type(field) or "", "text")
