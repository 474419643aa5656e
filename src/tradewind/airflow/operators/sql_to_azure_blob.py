"""`SqlToAzureBlobOperator`: the result of a query as a blob in Azure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.sql_to_objects import SqlToObjectsOperator

if TYPE_CHECKING:
    from tradewind.move.store import Store

__all__ = ["SqlToAzureBlobOperator"]


class SqlToAzureBlobOperator(SqlToObjectsOperator):
    """Stream the result of a query to Azure Blob Storage.

    There is no official operator of this kind; the parameters are those of `SqlToS3Operator` and,
    for the blob, those of the official operators that write blobs.

    Args:
        container_name: The container. (templated)
        blob_name: The blob; its ending becomes that of `file_format`. (templated)
        wasb_conn_id: The Azure connection. (templated)
        kwargs: See `SqlToObjectsOperator`: query, sql_conn_id, parameters, replace, ...
    """

    template_fields: Sequence[str] = (
        "container_name",
        "blob_name",
        "query",
        "sql_conn_id",
        "wasb_conn_id",
        "parameters",
    )

    def __init__(
        self,
        *,
        container_name: str,
        blob_name: str,
        wasb_conn_id: str = "wasb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.container_name = container_name
        self.blob_name = blob_name
        self.wasb_conn_id = wasb_conn_id

    def store_and_key(self) -> tuple[Store, str]:
        """Make the container's store."""
        from tradewind.systems.azure.airflow import azure_store

        return azure_store(self.container_name, self.wasb_conn_id), self.blob_name
