"""Check Airflow's connections one by one, for ``tradewind doctor``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections.find import find_connection
from tradewind.doctor import Check, checks_of, reach
from tradewind.errors import SetupError
from tradewind.redaction import is_secret_name, secrets_of
from tradewind.registry import imported, system_of_connection_type
from tradewind.system import System

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["kept_connections", "look_at"]


def kept_connections() -> list[str]:
    """List the ids of the connections in Airflow's metadata database.

    Raises:
        SetupError: It cannot be read from here.
    """
    from airflow.configuration import conf
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    address = str(conf.get("database", "sql_alchemy_conn"))
    path = address.partition("sqlite:///")[2]
    if path and not os.path.exists(path):
        # Looking would make an empty one.
        raise SetupError(
            f"Airflow's metadata database {path} is not there. Run `airflow db migrate`, or set "
            "AIRFLOW_HOME."
        )
    try:
        with create_session() as session:
            return sorted(str(one) for one in session.scalars(select(Connection.conn_id)))
    except Exception as error:
        raise SetupError(
            f"Airflow's metadata database cannot be read from here ({type(error).__name__}). "
            "Run this where `airflow db check` succeeds, with the same settings."
        ) from error


def look_at(
    conn_id: str, named: str, timeout: float, secrets: set[str]
) -> tuple[str, Iterator[Check]]:
    """Read a connection, and look at the system that it leads to.

    Args:
        conn_id: Its id.
        named: The bucket, table or path to look at; empty where none is named.
        timeout: Seconds that a request may take.
        secrets: Gets what is not to be shown of it.

    Returns:
        The system's title, and what is found, as it is found.

    Raises:
        TradewindError: There is no such connection, or it is wrong.
    """
    connection = find_connection(conn_id)
    secrets |= _secrets(connection)
    kind = str(connection.conn_type or "")
    system = system_of_connection_type(kind)
    extra = connection.extra_dejson
    redshift = extra.get("redshift") or extra.get("redshift-serverless")
    if system is None or redshift or not system.connection:
        title = kind or "no type" if system is None or redshift else system.title
        return title, _by_hook(connection, system, timeout)
    read = imported(system.connection)
    if not system.store:
        return system.title, checks_of(system, read(connection, None), named, timeout)
    service = extra.get("service_config") or {}
    if not named and isinstance(service, dict):
        # As the official S3 hook takes it where no bucket is named.
        named = str((service.get("s3") or {}).get("bucket_name") or "")

    def make(bucket: str) -> Any:
        return read(bucket, conn_id)

    return system.title, checks_of(system, make, named, timeout)


def _secrets(connection: Connection) -> set[str]:
    """Gather what of a connection is not to be shown: by names, and whole addresses by pieces."""
    found = {connection.password or "", *secrets_of(connection.host or "")}
    waiting: list[tuple[str, Any]] = list(connection.extra_dejson.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str) and value.lstrip().startswith("{"):
            with suppress(ValueError):
                waiting.append((name, json.loads(value)))
        if isinstance(value, dict):
            waiting += [(f"{name} {inner}", one) for inner, one in value.items()]
        elif isinstance(value, list):
            waiting += [(name, one) for one in value]
        elif isinstance(value, str):
            found |= {value} if is_secret_name(name) else secrets_of(value)
    return {one for one in found if one}


def _by_hook(connection: Connection, system: System | None, timeout: float) -> Iterator[Check]:
    """Ask the official hook whether its connection works, as Airflow's own test does."""
    port = connection.port or (None if system is None else system.default_port)
    host = connection.host or ""
    if host and port and "://" not in host:
        reached = reach(host, int(port), timeout)
        yield reached
        if reached.status == "fail":
            return
    try:
        # Untyped in Airflow.
        get_hook: Any = connection.get_hook
        test = getattr(get_hook(), "test_connection", None)
    except Exception as error:
        yield Check(
            "warn",
            "login",
            f"not tried: the type {connection.conn_type!r} has no hook here "
            f"({type(error).__name__})",
            "Install the provider of that type.",
        )
        return
    if not callable(test):
        yield Check("warn", "login", "not tried: its hook has no test of connections")
        return
    try:
        works, said = test()
    except Exception as error:
        works, said = False, f"{type(error).__name__}: {error}"
    if works:
        yield Check("ok", "login", f"the hook's own test succeeds: {_line(said)}")
    else:
        yield Check("fail", "login", f"the hook's own test fails: {_line(said)}", "Correct it.")


def _line(text: Any) -> str:
    said = " ".join(str(text).split()).rstrip(".")
    return said if len(said) <= 200 else f"{said[:197]}..."
