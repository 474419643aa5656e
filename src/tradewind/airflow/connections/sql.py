"""SQL databases from Airflow's connections: PostgreSQL, MySQL, SQLite natively, others by hooks."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections import find_connection
from tradewind.airflow.lineage import Dataset
from tradewind.errors import InputError, SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.move.source import Source
    from tradewind.move.target import Target
    from tradewind.systems.mysql.connection import MySQLConnection
    from tradewind.systems.postgres.connection import PostgresConnection

__all__ = [
    "Database",
    "database_of",
    "sql_source",
    "sql_source_class",
    "sql_table",
    "sql_table_class",
    "table_columns",
]

_NATIVE = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
_PORTS = {"postgres": 5432, "mysql": 3306}
# What the official hooks take from a connection's extra and does not belong to the database.
_HOOK_EXTRAS = {
    "iam",
    "redshift",
    "redshift-serverless",
    "cursor",
    "cluster-identifier",
    "workgroup-name",
    "aws_conn_id",
    "azure_conn_id",
    "azure_oauth_scope",
    "sqlalchemy_scheme",
    "sqlalchemy_query",
    "client",
    "local_infile",
    "dialect",
    "placeholder",
    "insert_statement_format",
    "replace_statement_format",
    "escape_word_format",
    "escape_column_names",
}

HookParams = Mapping[str, Any] | None


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
    kind = _kind(connection)
    if kind == "postgres":
        from tradewind.systems.postgres.source import PostgresSource

        _check_options(PostgresSource, options)
        return PostgresSource(
            postgres_connection(connection, hook_params), query, parameters=parameters, **options
        )
    if kind == "mysql":
        from tradewind.systems.mysql.source import MySQLSource

        _check_options(MySQLSource, options)
        return MySQLSource(
            mysql_connection(connection, hook_params), query, parameters=parameters, **options
        )
    if kind == "sqlite":
        from tradewind.systems.sqlite.source import SQLiteSource

        _check_options(SQLiteSource, options)
        return SQLiteSource(sqlite_path(connection), query, parameters=parameters, **options)
    hook = _hook(connection, hook_params)
    from tradewind.systems.dbapi.source import DbApiSource

    _check_options(DbApiSource, options)
    return DbApiSource(
        hook.get_conn, query, parameters=parameters, name=f"{kind}:{conn_id}", **options
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
    kind = _kind(connection)
    made: Target
    if kind == "postgres":
        from tradewind.systems.postgres.table import PostgresTable

        made = PostgresTable(postgres_connection(connection, hook_params), table, **options)
    elif kind == "mysql":
        from tradewind.systems.mysql.table import MySQLTable

        made = MySQLTable(mysql_connection(connection, hook_params), table, **options)
    elif kind == "sqlite":
        from tradewind.systems.sqlite.table import SQLiteTable

        made = SQLiteTable(sqlite_path(connection), table, **options)
    else:
        raise SetupError(
            f"The connection {conn_id!r} is of type {kind!r}, into which nothing is loaded yet. "
            "Load into PostgreSQL, MySQL, MariaDB or SQLite, or use the official operator."
        )
    return made


def sql_source_class(conn_id: str) -> type[Source]:
    """Tell which source a connection leads to."""
    from tradewind.move.registry import SOURCES, load

    scheme = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}
    kind = _kind(find_connection(conn_id))
    if kind in scheme:
        found: type[Source] = load(SOURCES, scheme[kind], what="source")
        return found
    from tradewind.systems.dbapi.source import DbApiSource

    return DbApiSource


def sql_table_class(conn_id: str) -> type[Target]:
    """Tell which target a connection leads to."""
    from tradewind.move.registry import TARGETS, load

    scheme = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}
    kind = _kind(find_connection(conn_id))
    if kind not in scheme:
        sql_table(conn_id, "")  # Says what is wrong.
    found: type[Target] = load(TARGETS, scheme[kind], what="target")
    return found


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
    hook = _hook(connection, hook_params)
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


# -------------------------------------------------------------------------------------- connections


def postgres_connection(
    connection: Connection, hook_params: HookParams = None
) -> PostgresConnection:
    """Read a connection as ``PostgresHook`` does."""
    from tradewind.systems.postgres.connection import PostgresConnection

    given = dict(hook_params or {})
    database = given.pop("database", None) or given.pop("schema", None)
    options = _extras(connection)
    if "options" in given:
        options["options"] = given.pop("options")
    _refuse(connection, given, "database, options", ignored={"enable_log_db_messages", "log_sql"})
    login, password, port = connection.login, connection.password, connection.port
    if connection.extra_dejson.get("iam"):
        login, password, port = _hook(connection, None).get_iam_token(connection)
    return PostgresConnection(
        host=connection.host or "",
        port=int(port or 0),
        user=login,
        password=password,
        database=database or connection.schema,
        options=options,
    )


def mysql_connection(connection: Connection, hook_params: HookParams = None) -> MySQLConnection:
    """Read a connection as ``MySqlHook`` does."""
    from tradewind.systems.mysql.connection import MySQLConnection

    given = dict(hook_params or {})
    database = given.pop("schema", None) or given.pop("database", None)
    options = _extras(connection)
    if "init_command" in given:
        options["init_command"] = given.pop("init_command")
    _refuse(connection, given, "schema, init_command", ignored={"local_infile"})
    password, port = connection.password, connection.port
    if connection.extra_dejson.get("iam"):
        password, port = _hook(connection, None).get_iam_token(connection)
    return MySQLConnection(
        host=connection.host or "localhost",
        port=int(port or _PORTS["mysql"]),
        user=connection.login or "",
        password=password,
        database=database or connection.schema or "",
        options=options,
    )


def sqlite_path(connection: Connection) -> str:
    """Read a connection as ``SqliteHook`` does: its host is the file."""
    if not connection.host and not connection.schema:
        raise SetupError(
            f"The connection {connection.conn_id!r} names no file. Give its path as the host."
        )
    host = connection.host or ""
    return host if not connection.schema else f"{host}/{connection.schema}"


def _extras(connection: Connection) -> dict[str, Any]:
    return {
        name: value
        for name, value in connection.extra_dejson.items()
        if name not in _HOOK_EXTRAS and not name.startswith("extra__")
    }


def _refuse(
    connection: Connection, given: Mapping[str, Any], known: str, *, ignored: set[str]
) -> None:
    rest = sorted(set(given) - ignored)
    if rest:
        raise InputError(
            f"sql_hook_params for the connection {connection.conn_id!r}: {rest[0]!r} has no "
            f"meaning here. Choose from: {known}; put other settings into the connection's extra."
        )


def _check_options(kind: type, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in inspect.signature(kind).parameters:
            raise InputError(f"{kind.__name__} has no {name}. Leave it out for this database.")


def _kind(connection: Connection) -> str:
    kind = str(connection.conn_type or "")
    extra = connection.extra_dejson
    if extra.get("redshift") or extra.get("redshift-serverless"):
        return "redshift"  # Its wire is PostgreSQL's, its COPY is not.
    return _NATIVE.get(kind, kind)


def _hook(connection: Connection, hook_params: HookParams) -> Any:
    try:
        # Untyped in Airflow.
        get_hook: Any = connection.get_hook
        hook = get_hook(hook_params=dict(hook_params) if hook_params else None)
    except Exception as error:
        raise SetupError(
            f"The connection {connection.conn_id!r} of type {connection.conn_type!r} has no hook "
            f"here: {error}. Install the provider of that type."
        ) from error
    if not callable(getattr(hook, "get_conn", None)) or not callable(
        getattr(hook, "get_records", None)
    ):
        raise SetupError(
            f"The connection {connection.conn_id!r} of type {connection.conn_type!r} is no SQL "
            "database. Name one whose hook is a DbApiHook."
        )
    return hook


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
        if importlib.util.find_spec("airflow.providers.openlineage") is None:
            return ()
        from airflow.providers.openlineage.sqlparser import SQLParser

        try:
            parsed = SQLParser(dialect=self.dialect, default_schema=self.schema).parse(query)
        except Exception:  # Lineage never fails a task: the parser does not know every dialect.
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
    if kind == "sqlite":
        return Database("file", sqlite_path(connection), None, "sqlite")
    port = connection.port or _PORTS.get(kind)
    host = f"{connection.host or 'localhost'}:{port}" if port else connection.host or conn_id
    schema = "public" if kind == "postgres" else None
    return Database(f"{kind}://{host}", name, schema, kind)
