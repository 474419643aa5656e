"""`SqlToS3Operator`: the result of a query as a file in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.sql_to_objects import SqlToObjectsOperator

if TYPE_CHECKING:
    from tradewind.move.store import Store

__all__ = ["SqlToS3Operator"]


class SqlToS3Operator(SqlToObjectsOperator):
    """Stream the result of a query to S3. Takes the place of the official operator.

    Args:
        s3_bucket: The bucket. (templated)
        s3_key: The key; its ending becomes that of `file_format`. (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        verify: Whether to check S3's certificate, or the file with those to trust.
        kwargs: See `SqlToObjectsOperator`: query, sql_conn_id, parameters, replace, ...
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_key",
        "query",
        "sql_conn_id",
        "aws_conn_id",
        "parameters",
    )

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_key: str,
        aws_conn_id: str | None = "aws_default",
        verify: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.aws_conn_id = aws_conn_id
        self.verify = verify

    def store_and_key(self) -> tuple[Store, str]:
        """Make the bucket's store."""
        from tradewind.systems.s3.airflow import s3_store

        return s3_store(self.s3_bucket, self.aws_conn_id, verify=self.verify), self.s3_key
