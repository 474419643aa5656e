"""The application's own operator: it publishes the report, and links to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["PublishReportOperator", "ReportLink"]


class ReportLink(BaseOperatorLink):
    """The button at the task that leads to the report."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the address that the operator has made."""
        return str(getattr(operator, "address", ""))


class PublishReportOperator(BaseOperator):
    """Writes a month's report beside its results.

    Args:
        bucket: The bucket. (templated)
        month: Like ``2019-12``. (templated)
        url: Where the bucket's reports are served; without one the link is the object's URI.
            (templated)
        aws_conn_id: The AWS connection.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = ("bucket", "month", "url")
    operator_extra_links = (ReportLink(),)
    ui_color = "#f2ead3"

    def __init__(
        self,
        *,
        bucket: str,
        month: str,
        url: str = "",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.month = month
        self.url = url
        self.aws_conn_id = aws_conn_id

    @property
    def address(self) -> str:
        """Where the report is."""
        key = f"reports/{self.month}/index.html"
        return f"{self.url.rstrip('/')}/{key}" if self.url else f"s3://{self.bucket}/{key}"

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the results, write the page.

        Args:
            context: Of the task run.

        Returns:
            Where the report is, and its size in bytes.
        """
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from listings.report import Results, write

        client = S3Hook(aws_conn_id=self.aws_conn_id).get_conn()

        def read(key: str) -> bytes:
            return bytes(client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

        page = write(Results.read(self.month, read)).encode()
        key = f"reports/{self.month}/index.html"
        client.put_object(
            Bucket=self.bucket, Key=key, Body=page, ContentType="text/html; charset=utf-8"
        )
        self.log.info("The report is %s", self.address)
        return {"report": self.address, "bytes": len(page)}
