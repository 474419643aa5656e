"""BigQuery from Airflow's Google connections, without Airflow's Google provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections import find_connection
from tradewind.airflow.connections.hooks import HookParams, refuse_unknown

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.bigquery.connection import BigQueryConnection

__all__ = ["bigquery_connection", "connection_of"]

_PREFIX = "extra__google_cloud_platform__"


def connection_of(connection: Connection, hook_params: HookParams = None) -> BigQueryConnection:
    """Read a connection as ``BigQueryHook`` does; its schema is the usual dataset."""
    given = dict(hook_params or {})
    options: dict[str, Any] = {
        name: given.pop(name)
        for name in ("project_id", "location", "impersonation_chain")
        if name in given
    }
    refuse_unknown(
        connection,
        given,
        "project_id, location, impersonation_chain",
        ignored={"use_legacy_sql", "priority", "api_resource_configs"},
    )
    return bigquery_connection(str(connection.conn_id), **options)


def bigquery_connection(
    conn_id: str | None,
    *,
    project_id: str | None = None,
    dataset_id: str | None = None,
    location: str | None = None,
    impersonation_chain: str | Sequence[str] | None = None,
) -> BigQueryConnection:
    """Make the settings of a connection of type ``google_cloud_platform`` or ``gcpbigquery``.

    Args:
        conn_id: Id of the connection; None for application default credentials.
        project_id: The project, instead of the connection's.
        dataset_id: The dataset of tables that are named without one.
        location: Where jobs run.
        impersonation_chain: The service account to act as, or the chain that leads to it.

    Returns:
        The settings; credentials are read when they are needed.

    Raises:
        SetupError: The connection is missing.
    """
    from tradewind.systems.bigquery.connection import BigQueryConnection
    from tradewind.systems.gcs.airflow import google_credentials

    found = None if conn_id is None else find_connection(conn_id)
    extra = {} if found is None else found.extra_dejson

    def told(name: str) -> Any:
        return extra.get(name) or extra.get(f"{_PREFIX}{name}") or None

    endpoint = told("api_endpoint")
    made = BigQueryConnection(
        str(project_id or told("project") or told("project_id") or ""),
        str(dataset_id or (found.schema if found is not None else "") or ""),
        location=location or told("location"),
        endpoint=endpoint,
        storage_endpoint=told("storage_endpoint"),
    )
    if made.endpoint:
        return made
    return BigQueryConnection(
        made.project,
        made.dataset,
        location=made.location,
        credentials=lambda: google_credentials(conn_id, impersonation_chain=impersonation_chain),
    )
