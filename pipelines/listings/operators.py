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
        store: ``s3``, ``gs`` or ``az``, whose usual connection is used. (templated)
        aws_conn_id: The AWS connection, for ``s3``.
        kwargs: Of `BaseOperator`.
    """

    template_fields: Sequence[str] = ("bucket", "month", "url", "store")
    operator_extra_links = (ReportLink(),)
    ui_color = "#f2ead3"

    def __init__(
        self,
        *,
        bucket: str,
        month: str,
        url: str = "",
        store: str = "s3",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.month = month
        self.url = url
        self.store = store
        self.aws_conn_id = aws_conn_id

    @property
    def address(self) -> str:
        """Where the report is."""
        key = f"reports/{self.month}/index.html"
        return (
            f"{self.url.rstrip('/')}/{key}" if self.url else f"{self.store}://{self.bucket}/{key}"
        )

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the results, write the page.

        Args:
            context: Of the task run.

        Returns:
            Where the report is, and its size in bytes.
        """
        from listings.report import Results, write
        from tradewind.airflow.connections.stores import store_of

        key = f"reports/{self.month}/index.html"
        connection = self.aws_conn_id if self.store == "s3" else None
        store, key = store_of(f"{self.store}://{self.bucket}/{key}", connection)

        page = write(Results.read(self.month, lambda one: b"".join(store.read(one)))).encode()
        upload = store.upload(key, content_type="text/html; charset=utf-8")
        try:
            upload.write(page)
            upload.complete()
        except BaseException:
            upload.abort()
            raise
        self.log.info("The report is %s", self.address)
        return {"report": self.address, "bytes": len(page)}
