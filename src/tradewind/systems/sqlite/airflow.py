"""SQLite from an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["connection_of"]


def connection_of(connection: Connection, hook_params: Mapping[str, Any] | None = None) -> str:
    """Read a connection as ``SqliteHook`` does: its host is the file."""
    if not connection.host and not connection.schema:
        raise SetupError(
            f"The connection {connection.conn_id!r} names no file. Give its path as the host."
        )
    host = connection.host or ""
    return host if not connection.schema else f"{host}/{connection.schema}"
