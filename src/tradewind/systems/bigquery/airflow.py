"""BigQuery from Airflow's Google connections, without Airflow's Google provider."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.connections import find_connection
from tradewind.airflow.connections.hooks import HookParams, refuse_unknown
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tradewind.systems.bigquery.backend import BigQueryBackend
    from tradewind.systems.bigquery.connection import BigQueryConnection

__all__ = [
    "bigquery_connection",
    "connection_of",
    "largest_value",
    "open_jobs",
    "read_schema_object",
]

_PREFIX = "extra__google_cloud_platform__"
_SCHEMA_BYTES = 1 << 20


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


def open_jobs(
    gcp_conn_id: str | None,
    *,
    project_id: str | None = None,
    location: str | None = None,
    impersonation_chain: str | Sequence[str] | None = None,
    called: str | None = None,
) -> BigQueryBackend:
    """Open the backend of jobs.

    Args:
        gcp_conn_id: As `bigquery_connection`, and so `project_id`, `location` and
            `impersonation_chain`.
        project_id: The project.
        location: Where jobs run.
        impersonation_chain: The service account to act as.
        called: What the ids of jobs begin with.
    """
    from tradewind.systems.bigquery.backend import BigQueryBackend

    connection = bigquery_connection(
        gcp_conn_id,
        project_id=project_id,
        location=location,
        impersonation_chain=impersonation_chain,
    )
    return BigQueryBackend(connection, called=called or "")


def read_schema_object(
    bucket: str,
    key: str,
    gcp_conn_id: str | None,
    *,
    impersonation_chain: str | Sequence[str] | None = None,
) -> list[Any]:
    """Read the columns of a table from an object of Google Cloud Storage.

    Args:
        bucket: The bucket.
        key: The object: JSON, a list of what BigQuery's API calls a TableFieldSchema.
        gcp_conn_id: The Google connection.
        impersonation_chain: The service account to act as.

    Raises:
        InputError: It is no such list, or larger than 1 MiB.
    """
    from tradewind.systems.gcs.airflow import gcs_store

    store = gcs_store(bucket, gcp_conn_id, impersonation_chain=impersonation_chain)
    found = bytearray()
    for piece in store.read(key):
        found += piece
        if len(found) > _SCHEMA_BYTES:
            raise InputError(f"schema_object: gs://{bucket}/{key} is larger than 1 MiB.")
    try:
        fields = json.loads(found)
    except ValueError as error:
        raise InputError(f"schema_object: gs://{bucket}/{key} is no JSON ({error}).") from None
    if not isinstance(fields, list):
        raise InputError(f"schema_object: gs://{bucket}/{key} is no list of columns.")
    return fields


def largest_value(connection: BigQueryConnection, table: str, column: str) -> str:
    """Ask for a column's largest value, as text; ``0`` where there is none.

    Args:
        connection: The project, and who asks.
        table: The table, as the operators name it.
        column: The column, ``record.field`` within one.
    """
    from tradewind.systems.bigquery.commit import run_query
    from tradewind.systems.bigquery.connection import TableName, quoted

    found = connection.table_name(table)
    # A partition is loaded into; the largest value is the table's.
    whole = TableName(found.project, found.dataset, found.table.partition("$")[0])
    name = ".".join(map(quoted, column.split(".")))
    client = connection.client()
    try:
        (row,) = run_query(
            client,
            f"SELECT MAX({name}) AS largest FROM {whole.sql}",  # noqa: S608 - names are quoted
            f"BigQuery, project {client.project}, table {whole}",
        )
    finally:
        client.close()
    return str(row["largest"] or 0)
