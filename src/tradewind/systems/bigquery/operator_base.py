"""What the operators of BigQuery's jobs have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.links import JobLink
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Claim, Outcome
    from tradewind.systems.bigquery.connection import BigQueryConnection

__all__ = ["BigQueryJobOperator", "checked_kill", "job_arguments"]

_JOB_ARGUMENTS = (
    "project_id",
    "location",
    "job_id",
    "gcp_conn_id",
    "impersonation_chain",
    "force_rerun",
    "reattach_states",
    "result_retry",
    "result_timeout",
    "deferrable",
    "poll_interval",
)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


class BigQueryJobOperator(WorkOperator):
    """What the operators of BigQuery's jobs have in common: subclasses say which job.

    The job's id is made from the task run, and BigQuery takes an id once: a retry reattaches to
    the job that an earlier attempt has started, whatever became of its worker. The XComs
    ``job_id``, ``job_id_path`` and ``statistics`` are those of the job.

    Args:
        project_id: The project that the job runs in; the connection's when not given.
        location: Where the job runs; needed everywhere but in the US and the EU.
        job_id: What the job's id begins with: letters, digits, ``_`` and ``-``. (templated)
        gcp_conn_id: A connection of type ``google_cloud_platform`` or ``gcpbigquery``; None for
            application default credentials.
        impersonation_chain: The service account to act as, or the chain to it. (templated)
        force_rerun: Has no effect: a retry reattaches to the job, a cleared task runs another one.
        reattach_states: Has no effect: a retry reattaches to the job in any state.
        result_retry: Has no effect: requests are repeated with backoff.
        result_timeout: Has no effect: `execution_timeout` ends the task with its job.
        kwargs: `WorkOperator`'s: ``deferrable``, ``poll_interval``, ``result_limit``.
    """

    operator_extra_links = (JobLink(),)

    def __init__(
        self,
        *,
        project_id: str | None = None,
        location: str | None = None,
        job_id: str | None = None,
        gcp_conn_id: str | None = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        force_rerun: bool = True,
        reattach_states: set[str] | None = None,
        result_retry: Any = None,
        result_timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.location = location
        self.job_id = job_id
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.force_rerun = force_rerun
        self.reattach_states = reattach_states or set()
        self.result_retry = result_retry
        self.result_timeout = result_timeout
        self._told: dict[str, Any] = {}

    def backend_spec(self) -> BackendSpec:
        """Say which project."""
        return BackendSpec(
            "tradewind.systems.bigquery.airflow:open_jobs",
            {
                "gcp_conn_id": self.gcp_conn_id,
                "project_id": self.project_id,
                "location": self.location,
                "impersonation_chain": self.impersonation_chain,
            },
        )

    def open_backend(self) -> Backend[Any]:
        """Open the project, with what the ids of jobs begin with."""
        return self.backend_spec().open(called=self.job_id)

    def connection(self) -> BigQueryConnection:
        """Read the connection, from the rendered fields."""
        from tradewind.systems.bigquery.airflow import bigquery_connection

        return bigquery_connection(
            self.gcp_conn_id,
            project_id=self.project_id,
            location=self.location,
            impersonation_chain=self.impersonation_chain,
        )

    def table_named(self, text: str) -> dict[str, str]:
        """Read the name of a table, as BigQuery's API spells it.

        Args:
            text: ``dataset.table``, ``project.dataset.table`` or ``project:dataset.table``.
        """
        found = self.connection().table_name(text)
        return {
            "projectId": found.project,
            "datasetId": found.dataset,
            "tableId": found.table,
        }

    def with_labels(self, given: Any) -> dict[str, str]:
        """Add DAG and task to the job's labels, as the official operator does.

        Args:
            given: The labels that the user gives; None for none.
        """
        labels = dict(given or {})
        ours = {
            "airflow-dag": str(self.dag_id).lower(),
            "airflow-task": self.task_id.lower().replace(".", "-"),
        }
        # What BigQuery does not take for a label stays away from the job.
        return labels | (ours if all(map(_LABEL.fullmatch, ours.values())) else {})

    def read_result(self, outcome: Outcome) -> Any:
        """Take the id of the job."""
        self._told = json.loads(outcome.result or "{}")
        return self._told.get("jobReference", {}).get("jobId", outcome.name)

    def _supervise(self, context: Context, claimed: Claim | None = None) -> Any:
        value = super()._supervise(context, claimed)
        reference = self._told.get("jobReference", {})
        if context.get("ti") is not None and self.do_xcom_push and reference:
            place = reference.get("location") or "US"
            path = f"{reference['projectId']}:{place}:{reference['jobId']}"
            context["ti"].xcom_push(key="job_id", value=reference["jobId"])
            context["ti"].xcom_push(key="job_id_path", value=path)
            context["ti"].xcom_push(key="statistics", value=self._told.get("statistics"))
        return value


def job_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Choose from an operator's arguments those that `BigQueryJobOperator` takes.

    Each operator names them itself, with the official defaults, which differ.

    Args:
        given: The ``locals()`` of its ``__init__``, at its beginning.
    """
    return {name: given[name] for name in _JOB_ARGUMENTS if name in given}


def checked_kill(cancel_on_kill: bool) -> None:
    """Refuse to leave a job behind when a person ends its task.

    Args:
        cancel_on_kill: As the official operators have it.

    Raises:
        InputError: It is False.
    """
    if not cancel_on_kill:
        raise InputError(
            "cancel_on_kill=False leaves a job behind that nobody supervises. Leave it out: a "
            "worker that goes away leaves the job to the retry, only a person ends it."
        )
