"""DuckDB as a system of Tradewind: rows of a query as a source, a table as a target."""

from __future__ import annotations

from typing import Any

from tradewind.errors import SetupError
from tradewind.system import System

__all__ = ["SYSTEM", "connection_of"]


def connection_of(connection: Any, hook_params: Any = None) -> str:
    """Read an Airflow connection: its host is the file.

    Args:
        connection: Of type ``duckdb``.
        hook_params: Without a meaning here.

    Raises:
        SetupError: It names no file.
    """
    if not connection.host:
        raise SetupError(
            f"The connection {connection.conn_id!r} names no file. Give its path as the host."
        )
    return str(connection.host)


SYSTEM = System(
    name="duckdb",
    title="DuckDB",
    schemes=("duckdb",),
    source="tradewind_duckdb.source:DuckDBSource",
    target="tradewind_duckdb.table:DuckDBTable",
    connection_types=("duckdb",),
    default_connection="duckdb_default",
    connection="tradewind_duckdb:connection_of",
    dialect="duckdb",
    in_file=True,
    install="pip install tradewind-duckdb",
)
