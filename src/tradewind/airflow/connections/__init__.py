"""Airflow's connections as settings of `tradewind.move`: one file a kind of system.

Connections are read as the official hooks read them, mostly by those hooks themselves. Secrets stay
in the objects made here, which do not show them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["find_connection", "source_of_connection", "target_of_connection"]

_log = logging.getLogger(__name__)

OBJECT_STORES = {"aws": "s3", "s3": "s3", "google_cloud_platform": "gs", "wasb": "az"}
"""Connection types of object stores, and the scheme of their URIs."""


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

    kind = find_connection(conn_id).conn_type
    if kind in OBJECT_STORES:
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.objects.source import ObjectSource

        uri, rest = _uri_of(OBJECT_STORES[kind], conn_id, dict(options))
        store, key = store_of(uri, conn_id)
        return ObjectSource(store, key, **take_options(ObjectSource, rest))
    if kind == "mongo":
        from tradewind.airflow.connections.documents import mongo_source

        return mongo_source(conn_id, **_mongo_options(dict(options)))
    if kind in ("http", "https"):
        from tradewind.airflow.connections.documents import http_connection
        from tradewind.systems.http.source import RestSource

        given = dict(options)
        pagination = given.pop("pagination", None)
        arguments = take_options(RestSource, given)
        if pagination is not None:
            written = RestSource.from_uri("http://_", {"pagination": pagination})
            arguments["pagination"] = written.pagination
        path = arguments.pop("path", "")
        return RestSource(http_connection(conn_id), path, **arguments)
    from tradewind.airflow.connections.sql import sql_source, sql_source_class

    return sql_source(conn_id, **take_options(sql_source_class(conn_id), options))


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

    kind = find_connection(conn_id).conn_type
    if kind in OBJECT_STORES:
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.objects.target import ObjectTarget

        uri, rest = _uri_of(OBJECT_STORES[kind], conn_id, dict(options))
        store, key = store_of(uri, conn_id)
        return ObjectTarget.from_options(store, key, rest)
    from tradewind.airflow.connections.sql import sql_table, sql_table_class

    return sql_table(conn_id, **take_options(sql_table_class(conn_id), options))


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


def _mongo_options(options: dict[str, str]) -> dict[str, Any]:
    from tradewind.airflow.connections.arguments import take_options
    from tradewind.systems.mongodb.source import MongoSource

    return take_options(MongoSource, options)
