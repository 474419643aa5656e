"""Buttons of a task in Airflow's UI: to the page of what it published, and of its job.

Airflow stores a link as an XCom when the task ends. That of a job is stored as soon as the job is
claimed, so that it leads there while the job runs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.move.receipt import Receipt
    from tradewind.run.backend import Backend

__all__ = ["JobLink", "PublishedLink", "link_job", "page_of"]

_log = logging.getLogger(__name__)


class PublishedLink(BaseOperatorLink):
    """The page of the object or manifest that a move has published, where its store has one."""

    name = "Published"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the address; empty, and so no button, where there is none.

        Args:
            operator: That has moved it.
            ti_key: Of the task run.
        """
        return getattr(operator, "published_page", None) or ""


class JobLink(BaseOperatorLink):
    """The page of the job, where its system has pages: Livy, YARN, SageMaker, BigQuery."""

    name = "Job"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Give the address; empty, and so no button, where there is none.

        Args:
            operator: That has run it.
            ti_key: Of the task run.
        """
        return getattr(operator, "job_page", None) or ""


def page_of(target: Any, receipt: Receipt) -> str | None:
    """Name the page of what was published; never fails, since it is published.

    Args:
        target: Where. A target of a user's own may have no `page`.
        receipt: What was done.
    """
    try:
        page: str | None = target.page(receipt.stored)
    except Exception as error:
        _log.debug("No page of %s: %s", receipt.target, error)
        return None
    return page


def link_job(operator: Any, context: Context, backend: Backend[Any], name: str) -> None:
    """Give a task its button now: Airflow stores links by itself only when the task ends.

    Args:
        operator: That runs the job; its `job_page` is set. Without a `JobLink` nothing is asked.
        context: Of the task run.
        backend: The system that runs it.
        name: What the job is called there.
    """
    links = [link for link in operator.operator_extra_links if isinstance(link, JobLink)]
    if not links:
        return
    ti = context.get("ti")
    try:
        operator.job_page = backend.page(name)
        if operator.job_page and ti is not None:
            for link in links:
                ti.xcom_push(key=link.xcom_key, value=operator.job_page)
    except Exception as error:
        # A button is no reason to fail, whoever does not answer: the log has the job's name.
        _log.debug("No link to %s: %s", name, error)
