"""MySQL or MariaDB from an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradewind.airflow.connections.hooks import HookParams, extras_of, hook_of, refuse_unknown

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.mysql.connection import MySQLConnection

__all__ = ["connection_of"]


def connection_of(connection: Connection, hook_params: HookParams = None) -> MySQLConnection:
    """Read a connection as ``MySqlHook`` does."""
    from tradewind.systems.mysql.connection import MySQLConnection

    given = dict(hook_params or {})
    database = given.pop("schema", None) or given.pop("database", None)
    options = extras_of(connection)
    if "init_command" in given:
        options["init_command"] = given.pop("init_command")
    refuse_unknown(connection, given, "schema, init_command", ignored={"local_infile"})
    password, port = connection.password, connection.port
    if connection.extra_dejson.get("iam"):
        password, port = hook_of(connection, None).get_iam_token(connection)
    return MySQLConnection(
        host=connection.host or "localhost",
        port=int(port or 3306),
        user=connection.login or "",
        password=password,
        database=database or connection.schema or "",
        options=options,
    )
