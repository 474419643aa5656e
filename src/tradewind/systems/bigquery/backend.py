"""Jobs of BigQuery: queries, loads, extracts, copies.

The claim is the job's id, which its user chooses and which BigQuery takes once in a project and
location. Labels, which are given with it, say whose it is. A job that has ended stays in BigQuery's
history for 180 days.

Protocol: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tradewind.backoff import rest
from tradewind.errors import InputError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    History,
    Job,
    JobState,
    JobStatus,
    LogLine,
)
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.errors import PATIENCE, failure_of_job, patient, translated

__all__ = ["BigQueryBackend", "JobConfiguration", "Work", "dry_run", "job_of"]

JobConfiguration = Mapping[str, Any]
"""What BigQuery's API calls a JobConfiguration: one of query, load, extract, copy; and labels."""

Work = JobConfiguration | Callable[[], JobConfiguration]
"""A configuration, or what makes it: it is called only where the job is started."""

_OWNER, _NUMBER, _TASK_RUN = "tradewind_owner", "tradewind_number", "tradewind_task_run"
_KINDS = ("query", "load", "extract", "copy")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,900}")
_TAKEN = re.compile(r"Job [a-z0-9.:-]+:([A-Za-z0-9-]+)\.")
"""Finds in the answer about an id that is taken where its job is."""
_STATES = {"PENDING": JobState.PENDING, "RUNNING": JobState.RUNNING}


class _Called(History):
    """What the job is called: a template that tells the time would call it otherwise."""

    def __init__(self, backend: BigQueryBackend) -> None:
        self._backend = backend

    def note(self) -> str:
        return self._backend.called

    def recall(self, note: str) -> None:
        self._backend.called = note


class BigQueryBackend(Backend[Work]):
    """Runs jobs in a project.

    The result is the job's description as JSON, with its statistics, without the rows of a query,
    its text and its plan, which BigQuery keeps.

    Args:
        connection: The project, the location, and who asks.
        called: What the names of jobs begin with; DAG, task and run when not given.
    """

    name = "bigquery"

    def __init__(self, connection: BigQueryConnection, *, called: str = "") -> None:
        if called and not _NAME.fullmatch(called):
            raise InputError(
                f"BigQuery: {called!r} cannot be a job id. Let it have letters, digits, _ and -."
            )
        self._connection = connection
        self.called = called
        self.history = _Called(self)
        self._places: dict[str, str] = {}
        self._opened: Any = None

    @property
    def _client(self) -> Any:
        if self._opened is None:
            self._opened = self._connection.client()
        return self._opened

    @property
    def _system(self) -> str:
        return f"BigQuery, project {self._client.project}"

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell the id of a job."""
        begin = f"{self.called}-{owner.digest}" if self.called else owner.name(limit=200)
        return f"{begin}-{number}"

    def about(self, work: Work) -> str:
        """Name the kind of job and the project."""
        kinds = [] if callable(work) else [kind for kind in _KINDS if kind in work]
        kind = f"a {kinds[0]} job" if kinds else "a job"
        return f"as {kind} of BigQuery, project {self._client.project}"

    def page(self, name: str) -> str | None:
        """Name the console's page of the job; an emulator has none."""
        if self._connection.endpoint:
            return None
        if name not in self._places:
            self._find(name)
        place, project = self._places.get(name), self._client.project
        job = f"bq:{place}:{name}" if place else name
        return (
            f"https://console.cloud.google.com/bigquery?project={quote(project)}&j={quote(job)}"
            "&page=queryresults"
        )

    def submit(
        self, owner: Owner, number: int, work: Work, *, variables: Mapping[str, str]
    ) -> None:
        """Insert the job: its id is the claim."""
        from google.api_core.exceptions import Conflict

        name = self.name_of(owner, number)
        work = work() if callable(work) else work
        labels = {
            **(work.get("labels") or {}),
            "tradewind": "job",
            _OWNER: owner.digest,
            _NUMBER: str(number),
            _TASK_RUN: owner.run_digest,
        }
        job = job_of(self._client, name, {**work, "labels": labels})
        with translated(f"{self._system}, job {name}"):
            try:
                job._begin(retry=patient(), timeout=PATIENCE)
                self._note_place(job)
            except Conflict as error:
                if place := _TAKEN.search(str(error)):
                    # Where no location is given, BigQuery finds jobs in the US and the EU only.
                    self._places.setdefault(name, place[1])
                if self._find(name) is None:
                    raise  # Of something that the job makes, not of the job.
                raise AlreadyStartedError(
                    f"{self._system}: the job {name} was created before."
                ) from error

    def _note_place(self, job: Any) -> None:
        if job.location:
            self._places[job.job_id] = job.location

    def _find(self, name: str) -> Any | None:
        from google.api_core.exceptions import NotFound

        with translated(f"{self._system}, job {name}"):
            try:
                return self._client.get_job(
                    name, location=self._places.get(name), retry=patient(), timeout=PATIENCE
                )
            except NotFound:
                return None

    def status(self, name: str) -> JobStatus:
        """Describe the job."""
        job = self._find(name)
        return JobStatus(JobState.ABSENT) if job is None else _job_status(job)

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Wait: a job writes no log."""
        rest(wait)
        return iter(())

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Describe the job, with its statistics."""
        job = self._find(name)
        if job is None:
            return None
        text = json.dumps(_told_of(job._properties), default=str).encode()
        if len(text) > limit:
            raise InputError(
                f"{self._system}: the description of {name} is larger than {limit:,} bytes."
            )
        return text

    def cancel(self, name: str) -> None:
        """Ask BigQuery to cancel it."""
        from google.api_core.exceptions import NotFound

        with translated(f"{self._system}, job {name}"):
            try:
                self._client.cancel_job(
                    name, location=self._places.get(name), retry=patient(), timeout=PATIENCE
                )
            except NotFound:
                return

    def delete(self, name: str) -> None:
        """End what still runs; the job's history is BigQuery's."""
        if self.status(name).state in (JobState.RUNNING, JobState.PENDING):
            self.cancel(name)

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """List an owner's jobs, by their ids; or all that have not ended, whoever's they are."""
        if owner is not None:
            number = 1
            while (job := self._find(self.name_of(owner, number))) is not None:
                yield _piece(job, owner.digest, str(owner), number)
                number += 1
            return
        seen: set[str] = set()
        # In the order of a job's life: one that begins between the two calls is in one of them.
        for state in ("pending", "running"):
            for job in self._listed(state):
                labels = job.labels or {}
                if _OWNER in labels and job.job_id not in seen:
                    seen.add(job.job_id)
                    self._note_place(job)
                    yield _piece(job, labels[_OWNER], "", int(labels.get(_NUMBER, "0")))

    def _listed(self, state: str) -> Sequence[Any]:
        asked = {"state_filter": state, "retry": patient(), "timeout": PATIENCE}
        try:
            with translated(self._system):
                return (*self._client.list_jobs(all_users=True, **asked),)
        except SetupError:
            # Who may run jobs may list their own.
            with translated(self._system):
                return (*self._client.list_jobs(**asked),)


def job_of(
    client: Any, name: str, configuration: JobConfiguration, *, location: str | None = None
) -> Any:
    """Make a job of the client library, which is not begun.

    Args:
        client: The client.
        name: The job's id.
        configuration: What it does.
        location: Where it runs; the client's when not given.

    Raises:
        InputError: The configuration is wrong.
    """
    from google.cloud import bigquery

    kinds = [kind for kind in _KINDS if kind in configuration]
    if len(kinds) != 1:
        raise InputError(
            f"BigQuery: the configuration has {', '.join(kinds) or 'no kind of job'}. Give one of "
            f"{', '.join(_KINDS)}."
        )
    made: Any = {
        "query": bigquery.QueryJob,
        "load": bigquery.LoadJob,
        "extract": bigquery.ExtractJob,
        "copy": bigquery.CopyJob,
    }[kinds[0]]
    reference = {"projectId": client.project, "jobId": name}
    if location or client.location:
        reference["location"] = location or client.location
    described = {"jobReference": reference, "configuration": json.loads(json.dumps(configuration))}
    try:
        return made.from_api_repr(described, client)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"BigQuery: the configuration of the {kinds[0]} job lacks something, or has it in "
            f"another form: {type(error).__name__} {error}."
        ) from error


def _told_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Choose of a job's description what a task hands on: not its text, not its long plan."""
    kept = ("id", "jobReference", "configuration", "statistics", "status")
    found = {key: told[key] for key in kept if key in told}
    for group, dropped in (
        ("configuration", ("query", "queryParameters")),
        ("statistics", ("queryPlan", "timeline")),
    ):
        inner = dict(found.get(group, {}))
        if "query" in inner:
            inner["query"] = {
                key: value for key, value in inner["query"].items() if key not in dropped
            }
            found[group] = inner
    return found


def dry_run(connection: BigQueryConnection, configuration: JobConfiguration) -> dict[str, Any]:
    """Ask what a query would do, without running it.

    Args:
        connection: The project, and who asks.
        configuration: Of a query job.

    Returns:
        ``totalBytesProcessed``, ``statementType``, ``schema`` and what else BigQuery says.

    Raises:
        InputError: The query is wrong, or it is no query job.
    """
    if "query" not in configuration:
        raise InputError("BigQuery: a dry run is made of a query job only.")
    client = connection.client()
    try:
        job = job_of(client, f"tradewind-dry-{time.time_ns()}", {**configuration, "dryRun": True})
        with translated(f"BigQuery, project {client.project}"):
            job._begin(retry=patient(), timeout=PATIENCE)
        found: dict[str, Any] = dict(job._properties.get("statistics", {}).get("query", {}))
        return found
    finally:
        client.close()


def _job_status(job: Any) -> JobStatus:
    if job.state != "DONE":
        return JobStatus(_STATES.get(job.state, JobState.PENDING))
    if not job.error_result:
        return JobStatus(JobState.SUCCEEDED)
    error = failure_of_job(f"job {job.job_id}", job.error_result)
    stopped = job.error_result.get("reason") == "stopped"
    reason = "it was cancelled" if stopped else str(error)
    # What is wrong with the job itself is as wrong the next time.
    return JobStatus(JobState.FAILED, reason, final=not stopped and isinstance(error, InputError))


def _piece(job: Any, digest: str, title: str, number: int) -> Job:
    labels = job.labels or {}
    created: datetime | None = job.created
    return Job(
        job.job_id, digest, title, number, _job_status(job), created, job.ended,
        task_run=labels.get(_TASK_RUN, ""),
    )  # fmt: skip
