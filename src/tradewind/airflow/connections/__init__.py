"""Airflow's connections as settings of `tradewind.move`: one file a kind of system.

Connections are read as the official hooks read them, mostly by those hooks themselves. Secrets stay
in the objects made here, which do not show them.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, SetupError
from tradewind.registry import imported, system_of_connection_type

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["find_connection", "source_of_connection", "target_of_connection"]

_log = logging.getLogger(__name__)


def find_connection(conn_id: str) -> Connection:
    """Look a connection up where Airflow keeps them.

    Args:
        conn_id: Its id.

    Returns:
        The connection; Airflow masks its secrets in logs from here on.

    Raises:
        SetupError: There is none.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        if _take_from_metadata(conn_id):
            return BaseHook.get_connection(conn_id)
        raise SetupError(
            f"Airflow has no connection {conn_id!r}. Create it in the user interface, with "
            f"`airflow connections add {conn_id}`, or as AIRFLOW_CONN_{conn_id.upper()} in the "
            "environment."
        ) from error


def _take_from_metadata(conn_id: str) -> bool:
    """Take a connection of Airflow's metadata database, as the user interface makes them.

    On the command line nobody hands it out, as the supervisor of a task does. It goes into this
    process's environment, so that the official hooks find it there too.

    Returns:
        Whether there is one.
    """
    from airflow.sdk.execution_time import task_runner

    if hasattr(task_runner, "SUPERVISOR_COMMS"):
        return False  # a task, or the triggerer: it was asked already
    try:
        from airflow.secrets.metastore import MetastoreBackend

        found = MetastoreBackend().get_connection(conn_id)
    except Exception as error:
        _log.debug("Airflow's metadata database cannot be read: %s", type(error).__name__)
        return False
    if found is None:
        return False
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = found.as_json()
    return True


def source_of_connection(conn_id: str, options: Mapping[str, str]) -> Source:
    """Make the source that a connection leads to, as the command line names it.

    Args:
        conn_id: Id of the connection; its type decides what the source is.
        options: Arguments of the source by name, as text, like ``query`` or ``collection``; for
            object stores ``key`` is a URI, or a key beside ``bucket``.

    Returns:
        The source.

    Raises:
        InputError: An option is missing, unknown or wrong.
        SetupError: There is no such connection, or its type is not known.
    """
    from tradewind.airflow.connections.arguments import take_options

    connection = find_connection(conn_id)
    system = system_of_connection_type(str(connection.conn_type or ""))
    if system is not None and system.store:
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.objects.source import ObjectSource

        uri, rest = _uri_of(system.schemes[0], conn_id, dict(options))
        store, key = store_of(uri, conn_id)
        return ObjectSource(store, key, **take_options(ObjectSource, rest))
    if system is not None and system.source and system.connection:
        made = imported(system.source)
        arguments = _complete(made, take_options(made, options), conn_id, "--set-from")
        source: Source = made(imported(system.connection)(connection, None), **arguments)
        return source
    from tradewind.airflow.connections.sql import sql_source
    from tradewind.systems.dbapi.source import DbApiSource

    arguments = _complete(DbApiSource, take_options(DbApiSource, options), conn_id, "--set-from")
    return sql_source(conn_id, **arguments)


def target_of_connection(conn_id: str, options: Mapping[str, str]) -> Target:
    """Make the target that a connection leads to, as the command line names it.

    Args:
        conn_id: Id of the connection; its type decides what the target is.
        options: Arguments of the target by name, as text, like ``table``; for object stores
            ``key`` is a URI, or a key beside ``bucket``.

    Returns:
        The target.

    Raises:
        InputError: An option is missing, unknown or wrong.
        SetupError: There is no such connection, or its type is no target.
    """
    from tradewind.airflow.connections.arguments import take_options

    system = system_of_connection_type(str(find_connection(conn_id).conn_type or ""))
    if system is not None and system.store:
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.objects.target import ObjectTarget

        uri, rest = _uri_of(system.schemes[0], conn_id, dict(options))
        store, key = store_of(uri, conn_id)
        return ObjectTarget.from_options(store, key, rest)
    from tradewind.airflow.connections.sql import sql_table, sql_table_class

    made = sql_table_class(conn_id)
    return sql_table(conn_id, **_complete(made, take_options(made, options), conn_id, "--set-to"))


def _complete(made: type, arguments: dict[str, Any], conn_id: str, option: str) -> dict[str, Any]:
    """Refuse what lacks an argument, before a constructor does in its own words."""
    needed = list(inspect.signature(made).parameters.values())[1:]
    for parameter in needed:
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and parameter.name not in arguments:
            raise InputError(
                f"connection:{conn_id} needs {parameter.name}. Give it as "
                f"{option} {parameter.name}=..."
            )
    return arguments


def _uri_of(scheme: str, conn_id: str, options: dict[str, str]) -> tuple[str, dict[str, str]]:
    key, bucket = options.pop("key", ""), options.pop("bucket", "")
    if "://" in key and not bucket:
        return key, options
    if not bucket or not key:
        raise InputError(
            f"connection:{conn_id} leads to an object store: set key={scheme}://bucket/key, or "
            "bucket and key."
        )
    return f"{scheme}://{bucket}/{key}", options
