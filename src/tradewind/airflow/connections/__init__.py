"""Airflow's connections as settings of `tradewind.move`: one file a kind of system.

Connections are read as the official hooks read them, mostly by those hooks themselves. Secrets stay
in the objects made here, which do not show them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections.find import find_connection
from tradewind.errors import InputError
from tradewind.registry import imported, system_of_connection_type

if TYPE_CHECKING:
    from tradewind.move.source import Source
    from tradewind.move.target import Target
    from tradewind.system import System

__all__ = ["find_connection", "source_of_connection", "target_of_connection"]


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
    _refuse_backend(system, conn_id)
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
    _refuse_backend(system, conn_id)
    from tradewind.airflow.connections.sql import sql_table, sql_table_class

    made = sql_table_class(conn_id)
    return sql_table(conn_id, **_complete(made, take_options(made, options), conn_id, "--set-to"))


def _refuse_backend(system: System | None, conn_id: str) -> None:
    if system is not None and system.backend and not system.source and not system.target:
        raise InputError(
            f"connection:{conn_id} leads to {system.title}: it runs jobs, and no rows can be read "
            "from it or written to it. Name it to tradewind sweep, tradewind doctor or an operator."
        )


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
