"""PostgreSQL from an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradewind.airflow.connections.hooks import HookParams, extras_of, hook_of, refuse_unknown

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.postgres.connection import PostgresConnection

__all__ = ["connection_of"]


def connection_of(connection: Connection, hook_params: HookParams = None) -> PostgresConnection:
    """Read a connection as ``PostgresHook`` does."""
    from tradewind.systems.postgres.connection import PostgresConnection

    given = dict(hook_params or {})
    database = given.pop("database", None) or given.pop("schema", None)
    options = extras_of(connection)
    if "options" in given:
        options["options"] = given.pop("options")
    refuse_unknown(
        connection, given, "database, options", ignored={"enable_log_db_messages", "log_sql"}
    )
    login, password, port = connection.login, connection.password, connection.port
    if connection.extra_dejson.get("iam"):
        login, password, port = hook_of(connection, None).get_iam_token(connection)
    return PostgresConnection(
        host=connection.host or "",
        port=int(port or 0),
        user=login,
        password=password,
        database=database or connection.schema,
        options=options,
    )
