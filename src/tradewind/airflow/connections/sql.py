"""SQL databases from Airflow's connections: PostgreSQL, MySQL, SQLite natively, others by hooks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections.find import find_connection
from tradewind.airflow.connections.hooks import HookParams, hook_of
from tradewind.airflow.lineage import Dataset
from tradewind.errors import InputError, SetupError
from tradewind.registry import (
    all_systems,
    imported,
    system_of_connection_type,
    system_of_sql_connection_type,
)
from tradewind.system import System

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = [
    "Database",
    "database_of",
    "sql_source",
    "sql_source_class",
    "sql_table",
    "sql_table_class",
    "table_columns",
]

# ------------------------------------------------------------------------------ sources and targets


def sql_source(
    conn_id: str,
    *,
    query: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    hook_params: HookParams = None,
    **options: Any,
) -> Source:
    """Make the source of a query.

    Args:
        conn_id: Of any connection whose hook is a ``DbApiHook``.
        query: The SQL.
        parameters: Bound to it, as the database's driver writes placeholders.
        hook_params: Arguments of the hook, like ``{"schema": "shop"}``.
        options: Further arguments of the source's class.

    Returns:
        The source.

    Raises:
        InputError: Something of it is wrong.
        SetupError: There is no such connection, or it is not SQL.
    """
    connection = find_connection(conn_id)
    system = _system(connection)
    if system is not None and system.source and system.connection:
        made = imported(system.source)
        _check_options(made, {"query": query, **options})
        opened = imported(system.connection)(connection, hook_params)
        if parameters is not None:
            _check_options(made, {"parameters": parameters})
            options["parameters"] = parameters
        source: Source = made(opened, query, **options)
        return source
    hook = hook_of(connection, hook_params)
    from tradewind.systems.dbapi.source import DbApiSource

    _check_options(DbApiSource, options)
    return DbApiSource(
        hook.get_conn,
        query,
        parameters=parameters,
        name=f"{connection.conn_type}:{conn_id}",
        **options,
    )


def sql_table(
    conn_id: str, table: str, *, hook_params: HookParams = None, **options: Any
) -> Target:
    """Make the target of a table.

    Args:
        conn_id: Of a PostgreSQL, MySQL or SQLite connection.
        table: Its name.
        hook_params: Arguments of the hook, like ``{"database": "shop"}``.
        options: Further arguments of the target's class, like ``mode``.

    Returns:
        The target.

    Raises:
        InputError: Something of it is wrong.
        SetupError: There is no such connection, or no target for its type.
    """
    connection = find_connection(conn_id)
    made, connect = _target(connection)
    # Each system's class has its own constructor.
    target: Target = made(connect(connection, hook_params), table, **options)
    return target


def sql_source_class(conn_id: str) -> type[Source]:
    """Tell which source a connection leads to."""
    system = _system(find_connection(conn_id))
    if system is not None and system.source:
        found: type[Source] = imported(system.source)
        return found
    from tradewind.systems.dbapi.source import DbApiSource

    return DbApiSource


def sql_table_class(conn_id: str) -> type[Target]:
    """Tell which target a connection leads to.

    Raises:
        SetupError: There is no target for its type.
    """
    found: type[Target] = _target(find_connection(conn_id))[0]
    return found


def _target(connection: Connection) -> tuple[Any, Any]:
    system = _system(connection)
    if system is None or not system.target or not system.connection:
        titles = [each.title for each in all_systems().values() if each.target]
        raise SetupError(
            f"The connection {connection.conn_id!r} is of type {connection.conn_type!r}, into "
            f"which nothing is loaded yet. Load into {', '.join(titles[:-1])} or {titles[-1]}, "
            "or use the official operator."
        )
    return imported(system.target), imported(system.connection)


def table_columns(
    conn_id: str, table: str, *, schema: str | None = None, hook_params: HookParams = None
) -> list[str]:
    """Ask the database for the columns of a table, in their order.

    Args:
        conn_id: Of any connection whose hook is a ``DbApiHook``.
        table: Its name.
        schema: The schema that it is in; the connection's usual one when not given.
        hook_params: Arguments of the hook.

    Returns:
        Their names.

    Raises:
        SetupError: The table or the connection is missing.
    """
    connection = find_connection(conn_id)
    readings = _readings(_kind(connection), schema, table)
    hook = hook_of(connection, hook_params)
    try:
        opened = hook.get_conn()
        try:
            for named in readings:
                cursor = opened.cursor()
                try:
                    cursor.execute(f"SELECT * FROM {named} WHERE 1 = 0")  # noqa: S608  quoted
                except Exception:
                    if named == readings[-1]:
                        raise
                    opened.rollback()
                    continue
                return [column[0] for column in cursor.description]
            return []
        finally:
            opened.close()
    except Exception as error:
        raise SetupError(
            f"{conn_id}: the columns of table {table} cannot be read: {error}. Create the table, "
            "grant SELECT on it, or name the columns in column_list."
        ) from error


def _readings(kind: str, schema: str | None, table: str) -> list[str]:
    """Write a table's name in SQL: as it is written, then (PostgreSQL) as SQL reads it."""
    from tradewind.move.tables.names import spellings, split_name, unquoted

    quote = "`" if kind == "mysql" else '"'
    parts = split_name(table, quote) or tuple(table.split("."))
    given = [name for name in (schema, *parts) if name]
    written = [unquoted(name, quote) for name in given]
    read = [spellings(name)[-1] for name in given] if kind == "postgres" else written
    return list(
        dict.fromkeys(
            ".".join(f"{quote}{name.replace(quote, quote * 2)}{quote}" for name in names)
            for names in (written, read)
        )
    )


def _check_options(kind: type, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in inspect.signature(kind).parameters:
            raise InputError(f"{kind.__name__} has no {name}. Leave it out for this database.")


def _system(connection: Connection) -> System | None:
    extra = connection.extra_dejson
    if extra.get("redshift") or extra.get("redshift-serverless"):
        return None  # Its wire is PostgreSQL's, its COPY is not.
    kind = str(connection.conn_type or "")
    system = system_of_connection_type(kind)
    if system is None or not system.dialect:
        system = system_of_sql_connection_type(kind)
    return system if system is not None and system.dialect else None


def _kind(connection: Connection) -> str:
    extra = connection.extra_dejson
    if extra.get("redshift") or extra.get("redshift-serverless"):
        return "redshift"
    system = _system(connection)
    return str(connection.conn_type or "") if system is None else system.name


# ------------------------------------------------------------------------------------------ lineage


@dataclass(frozen=True)
class Database:
    """A database by OpenLineage's names: https://openlineage.io/docs/spec/naming/.

    Args:
        namespace: Like ``postgres://host:5432``.
        name: The database, None where the system has none above its schemas.
        schema: Where tables without a schema are.
        dialect: As OpenLineage's SQL parser calls it.
    """

    namespace: str
    name: str | None
    schema: str | None
    dialect: str

    def table(self, table: str, schema: str | None = None) -> Dataset:
        """Name a table."""
        if schema is None and "." in table:
            schema, _, table = table.partition(".")
        parts = (self.name, schema or self.schema, table)
        return Dataset(self.namespace, ".".join(part for part in parts if part))

    def tables_of(self, query: str) -> tuple[Dataset, ...]:
        """Name the tables that a query reads; none where OpenLineage's parser is not there."""
        try:
            # By the parser itself: the provider's SQLParser does the same, and imports all of
            # OpenLineage's client and transports, 12 MB and a quarter of a second for each task.
            from openlineage_sql import parse
        except ImportError:
            return ()
        try:
            parsed = parse([query], dialect=self.dialect, default_schema=self.schema)
        except BaseException as error:
            # Lineage never fails a task: the parser does not know every dialect. A panic of its
            # Rust is no Exception; a task's timeout is none either, and goes on.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            return ()
        found = parsed.in_tables if parsed is not None else []
        return tuple(dict.fromkeys(self.table(each.name, each.schema) for each in found))


def database_of(conn_id: str, hook_params: HookParams = None) -> Database:
    """Name the database of a connection.

    Args:
        conn_id: Of an SQL connection.
        hook_params: Arguments of its hook.
    """
    connection = find_connection(conn_id)
    kind = _kind(connection)
    given = dict(hook_params or {})
    name = given.get("database") or given.get("schema") or connection.schema
    system = _system(connection)
    if system is not None and system.in_file and system.connection:
        return Database("file", imported(system.connection)(connection, None), None, kind)
    port = connection.port or (None if system is None else system.default_port)
    host = f"{connection.host or 'localhost'}:{port}" if port else connection.host or conn_id
    schema = "public" if kind == "postgres" else None
    return Database(f"{kind}://{host}", name, schema, kind)
