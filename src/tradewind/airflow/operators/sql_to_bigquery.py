"""`SqlToBigQueryOperator`: the result of a query as rows of a table in BigQuery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.base import Move, MoveOperator
from tradewind.airflow.lineage import Lineage
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["SqlToBigQueryOperator"]

_MODES = ("append", "replace", "upsert")


class SqlToBigQueryOperator(MoveOperator):
    """Stream the result of a query into a table of BigQuery, in one transaction, once a task run.

    There is no official operator of this kind, only several by way of files. The parameters are
    those of `SqlToS3Operator`, of the official operators that load tables of BigQuery, and of
    `S3ToSqlOperator`.

    Args:
        query: The SQL, or the name of a ``.sql`` file. (templated)
        sql_conn_id: An Airflow connection of any SQL database. (templated)
        destination_project_dataset_table: ``dataset.table`` or ``project.dataset.table``.
            (templated)
        parameters: Bound to the query. (templated)
        sql_hook_params: Arguments of the official hook, like ``{"database": "shop"}``.
        mode: ``append``, ``replace`` or ``upsert``.
        slice: What ``replace`` replaces, like ``{"day": "{{ ds }}"}``. (templated)
        keys: What ``upsert`` tells rows apart by.
        column_list: Columns to fill, in the order of the data. (templated)
        create: Whether to create the table where it is missing.
        time_partitioning: Of a table that is created: ``{"type": "DAY", "field": "day"}``.
        cluster_fields: Of a table that is created.
        gcp_conn_id: The Google connection; None for application default credentials. (templated)
        project_id: The project that jobs run in; the connection's when not given. (templated)
        location: Where jobs run; needed everywhere but in the US and the EU.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        labels: Of the jobs. (templated)
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = (
        "query",
        "sql_conn_id",
        "parameters",
        "destination_project_dataset_table",
        "slice",
        "column_list",
        "gcp_conn_id",
        "project_id",
        "impersonation_chain",
        "labels",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"query": "sql"}
    ui_color = "#d7ecf5"

    def __init__(
        self,
        *,
        query: str,
        sql_conn_id: str,
        destination_project_dataset_table: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        sql_hook_params: dict[str, Any] | None = None,
        mode: str = "append",
        slice: Any = None,
        keys: Sequence[str] = (),
        column_list: list[str] | None = None,
        create: bool = False,
        time_partitioning: dict[str, Any] | None = None,
        cluster_fields: list[str] | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        project_id: str | None = None,
        location: str | None = None,
        impersonation_chain: str | Sequence[str] | None = None,
        labels: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.query = query
        self.sql_conn_id = sql_conn_id
        self.destination_project_dataset_table = destination_project_dataset_table
        self.parameters = parameters
        self.sql_hook_params = sql_hook_params
        self.mode = mode
        self.slice = slice
        self.keys = keys
        self.column_list = column_list
        self.create = create
        self.time_partitioning = time_partitioning or {}
        self.cluster_fields = cluster_fields
        self.gcp_conn_id = gcp_conn_id
        self.project_id = project_id
        self.location = location
        self.impersonation_chain = impersonation_chain
        self.labels = labels
        if mode not in _MODES:
            raise InputError(f"mode={mode!r}: choose from {', '.join(_MODES)}.")
        unknown = sorted(set(self.time_partitioning) - {"type", "field"})
        if unknown:
            raise InputError(
                f"time_partitioning: {unknown[0]!r} is not known. Choose from type, field; make "
                "the table beforehand for more."
            )
        if self.time_partitioning and "field" not in self.time_partitioning:
            raise InputError("time_partitioning: say which column, as 'field'.")

    def plan_move(self, context: Context) -> Move:
        """Read the query into the table."""
        from tradewind.airflow.descriptions import Sql
        from tradewind.systems.bigquery.airflow import bigquery_connection
        from tradewind.systems.bigquery.table import BigQueryTable

        connection = bigquery_connection(
            self.gcp_conn_id,
            project_id=self.project_id,
            location=self.location,
            impersonation_chain=self.impersonation_chain,
        )
        target = BigQueryTable(
            connection,
            self.destination_project_dataset_table,
            mode=self.mode,
            slice=self.slice,
            keys=self.keys,
            columns=self.column_list,
            create=self.create,
            partition_by=self.time_partitioning.get("field"),
            partition_type=self.time_partitioning.get("type", "DAY"),
            cluster_by=self.cluster_fields or (),
            labels=self.labels,
        )
        read = Sql(self.sql_conn_id, self.query, self.parameters, hook_params=self.sql_hook_params)
        return Move(read.source(), target, lineage=Lineage(read.datasets(), query=read.text))
