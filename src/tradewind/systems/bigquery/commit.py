"""The job that publishes: its id is the claim, so that of many attempts one takes effect.

BigQuery takes a job id once in a project and location. Source:
https://cloud.google.com/bigquery/docs/running-jobs#generate-jobid
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.backoff import rest
from tradewind.errors import RetryError
from tradewind.systems.bigquery.connection import TableName
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated
from tradewind.systems.bigquery.parameters import query_parameters

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

    from tradewind.owner import Owner

__all__ = ["Claims", "run_query", "short_digest", "wait_until_done"]

_LOOK_SECONDS = 0.5
_LONGEST_SECONDS = 6 * 3600.0
"""BigQuery itself ends a query after six hours: https://cloud.google.com/bigquery/quotas."""
_MOST = 1000


def short_digest(table: TableName) -> str:
    """Digest a table's name for names that belong to an owner and a table."""
    return hashlib.sha256(str(table).encode()).hexdigest()[:8]


def run_query(
    client: Client, query: str, system: str, parameters: Any = None, *, dry: bool = False
) -> list[dict[str, Any]]:
    """Run a query that changes nothing, and give its few rows.

    Args:
        client: The client.
        query: One statement in GoogleSQL.
        system: For messages.
        parameters: Of the query.
        dry: Whether only its correctness is asked for.
    """
    from google.cloud.bigquery import QueryJobConfig

    made: Any = QueryJobConfig
    config = made(query_parameters=query_parameters(parameters), use_legacy_sql=False, dry_run=dry)
    with translated(system):
        job = client.query(
            query, job_config=config, retry=patient(), job_retry=None, timeout=PATIENCE
        )
        if dry:
            return []
        return [dict(row) for row in job.result(retry=patient(), job_retry=None)]


def wait_until_done(
    job: Any,
    system: str,
    stop: threading.Event | None,
    *,
    doing: str,
    seconds: float = _LONGEST_SECONDS,
) -> None:
    """Wait until a job has ended, however.

    Args:
        job: As the client library has it.
        system: The system and object, for messages.
        stop: Ends the wait.
        doing: What the job does, for messages.
        seconds: How long it may take.

    Raises:
        RetryError: It takes longer, or BigQuery stays in trouble.
    """
    last = time.monotonic() + seconds
    while job.state != "DONE":
        if time.monotonic() > last:
            raise RetryError(
                f"{system}: the job {job.job_id} {doing} since more than {_spelled(seconds)}. Look "
                "at it in BigQuery's console, and cancel it or wait; a retry is safe, as it looks "
                "at this job first."
            )
        rest(_LOOK_SECONDS, stop)
        with translated(system):
            job.reload(retry=patient(), timeout=PATIENCE)


def _spelled(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 3600 else f"{seconds:.0f} seconds"


class Claims:
    """The publishing jobs of one owner and one table, numbered from 1.

    Args:
        client: The client.
        table: The target.
        owner: Whose effect it is.
        system: For messages.
        stop: Ends a wait for a job.
    """

    def __init__(
        self,
        client: Client,
        table: TableName,
        owner: Owner,
        system: str,
        *,
        stop: threading.Event | None = None,
    ) -> None:
        self._client = client
        self._stop = stop
        self._system = f"{system}, table {table}"
        self._prefix = f"tradewind-publish-{owner.digest}-{short_digest(table)}"
        self._number = 1
        self.location: str | None = None
        """Of the dataset. Outside of the US and the EU, BigQuery finds jobs only where they are."""
        self.aborted = False
        """Whether the last one was aborted because of another transaction on the table."""

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def _find(self, name: str) -> Any | None:
        from google.api_core.exceptions import NotFound

        with translated(self._system):
            try:
                return self._client.get_job(
                    name, location=self.location, retry=patient(), timeout=PATIENCE
                )
            except NotFound:
                return None

    def settle(self) -> None:
        """Wait for what earlier attempts have begun to publish, and find the next number."""
        while (job := self._find(self._name(self._number))) is not None:
            self._wait(job)
            self._number += 1
            if self._number > _MOST:
                raise RetryError(f"{self._system}: {_MOST} attempts were made by this run.")

    def _wait(self, job: Any) -> None:
        wait_until_done(job, self._system, self._stop, doing="publishes")

    def publish(self, script: str, parameters: Any, labels: Mapping[str, str]) -> bool:
        """Run a script that is one transaction.

        Args:
            script: The script.
            parameters: Of the script.
            labels: Of the job.

        Returns:
            False where another attempt has claimed it, and has ended.

        Raises:
            TradewindError: It failed; nothing of it is visible.
        """
        from google.api_core.exceptions import Conflict
        from google.cloud.bigquery import QueryJobConfig

        made: Any = QueryJobConfig
        config = made(query_parameters=query_parameters(parameters), use_legacy_sql=False)
        config.labels = {"tradewind": "publish", **labels}
        name = self._name(self._number)
        self.aborted = False
        with translated(self._system):
            try:
                job = self._client.query(
                    script,
                    job_config=config,
                    job_id=name,
                    location=self.location,
                    retry=patient(),
                    job_retry=None,
                    timeout=PATIENCE,
                )
                ours = True
            except Conflict:
                # Another attempt's, or this one's, whose answer was lost on the way.
                found = self._find(name)
                if found is None:
                    raise
                job, ours = found, getattr(found, "query", None) == script
        try:
            self._wait(job)
        except BaseException:
            with translated(self._system):
                job.cancel(retry=None, timeout=PATIENCE)
            raise
        self._number += 1
        if not ours:
            return False
        if job.error_result:
            error = failure_of_job(self._system, job.error_result)
            self.aborted = isinstance(error, RetryError)
            raise error
        return True
