"""How an HTTP API runs jobs, declared; read by `tradewind.systems.http.backend`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import InputError
from tradewind.json_path import JsonPath

__all__ = ["Call", "JobApi", "JobLog", "RestJob"]

Call = tuple[str, str]
"""A method and a path, like ``("DELETE", "/jobs/{id}")``."""


@dataclass(frozen=True)
class RestJob:
    """A job to start.

    Args:
        body: What is posted as JSON; the name, and what work is told, are put into it.
        params: Query parameters.
    """

    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobLog:
    """Where a job's log is read.

    Without `offset` and `window`, each answer is the log from its beginning.

    Args:
        path: Of a GET.
        lines: JSON path of its lines: a list, or one text. Empty: the body is the text.
        offset: Query parameter that says how many lines are known; the answer goes on there.
        size: Query parameter that says how many lines are wanted.
        page: How many.
        params: Further query parameters.
        window: Whether the answer is the last lines of a log that moves on: what is new is found
            by what overlaps with the answer before.
        sections: Lines that head a part of such an answer: each part is a window of its own.
    """

    path: str
    lines: str = "$.log"
    offset: str | None = None
    size: str | None = None
    page: int = 2_000
    params: Mapping[str, str] = field(default_factory=dict)
    window: bool = False
    sections: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobApi:
    """An HTTP API that runs jobs.

    ``{id}`` in a path is what the API calls the job, ``{name}`` the name that was given to it. The
    name is the claim. Which of three kinds the API is decides what that is worth:

    - Names are unique (`unique`): it is atomic, as `Backend` promises.
    - It has names and a listing: a retry finds the job. Two attempts that start at the same
      instant both start one; the one with the higher id finds the other, and cancels itself.
    - It has neither, but heeds an idempotency key: the same key gives the same job, for as long
      as the API remembers keys. Such a job is found by the attempt that asked for it alone; it
      cannot be deferred or swept, and is cancelled only while its attempt lives.

    Args:
        start: The request that starts a job.
        id: JSON path of its id, in the answer to `start` and in the listing.
        name: JSON path of its name, in the body of `start` and in the listing; None where jobs have
            no names.
        name_limit: The most characters of a name.
        unique: Whether the API refuses a name that is taken.
        taken_status: Statuses that say so.
        taken_text: A regular expression found in the answer that says so, instead.
        refused_is_kept: Whether the API keeps the name of a job that it refused as invalid.
        idempotency_header: Name of a header for the name, like ``Idempotency-Key``.
        listing: Path of a GET that lists jobs; None where there is none.
        jobs: JSON path of the jobs in it.
        listing_params: Its query parameters.
        listing_offset: Query parameter that says how many jobs are known; None for no pages.
        listing_size: Query parameter that says how many jobs are wanted.
        listing_page: How many.
        look: Path of a GET that describes one job.
        state: JSON path of its state, there and in the listing; true, false and numbers are read
            as their text.
        pending: States before it runs.
        running: States of running; empty: all others.
        succeeded: States of success.
        failed: States of failure.
        reason: JSON path of why it failed.
        exit_code: JSON path of its exit status.
        started: JSON path of when it was started: ISO 8601, or seconds since 1970.
        log: Where its log is.
        result: JSON path, in the description, of what it hands back.
        result_path: Path of a GET whose body is what it hands back; 204 and 404 are nothing.
        page: Path of a page about a job, for a person's browser: the link of its task in Airflow.
        cancel: The request that ends a job.
        remove: The request that deletes it; ends it too where `cancel` is None.
        environment: JSON path of the object in the body of `start` that holds what work is told.
        environment_names: How its members are named; ``{}`` is the variable.
        system: What the API is called in messages.
    """

    start: Call = ("POST", "/jobs")
    id: str = "$.id"
    name: str | None = "$.name"
    name_limit: int = 63
    unique: bool = True
    taken_status: tuple[int, ...] = (409,)
    taken_text: str | None = None
    refused_is_kept: bool = False
    idempotency_header: str | None = None
    listing: str | None = "/jobs"
    jobs: str = "$.jobs"
    listing_params: Mapping[str, str] = field(default_factory=dict)
    listing_offset: str | None = None
    listing_size: str | None = None
    listing_page: int = 1_000
    look: str = "/jobs/{id}"
    state: str = "$.state"
    pending: frozenset[str] = frozenset({"pending", "queued", "submitted"})
    running: frozenset[str] = frozenset()
    succeeded: frozenset[str] = frozenset({"succeeded", "success", "finished", "completed"})
    failed: frozenset[str] = frozenset({"failed", "error", "cancelled", "canceled", "killed"})
    reason: str | None = None
    exit_code: str | None = None
    started: str | None = None
    log: JobLog | None = None
    result: str | None = None
    result_path: str | None = None
    page: str | None = None
    cancel: Call | None = None
    remove: Call | None = ("DELETE", "/jobs/{id}")
    environment: str | None = None
    environment_names: tuple[str, ...] = ("{}",)
    system: str = "the job API"

    def __post_init__(self) -> None:
        if self.cancel is None and self.remove is None:
            raise InputError(
                f"{self.system}: neither cancel nor remove is declared: work that cannot be "
                "stopped is not started. Declare the request that ends a job."
            )
        if not self.named and self.idempotency_header is None:
            raise InputError(
                f"{self.system}: a retry could not find the job again. Declare name and listing, "
                "or unique names that stand in the paths, or an idempotency_header."
            )
        if not self.succeeded:
            raise InputError(f"{self.system}: no state of success is declared.")
        for text in self._json_paths():
            JsonPath(text)
        for path in (*self._paths(), self.page or ""):
            try:
                path.format(id="", name="")
            except (KeyError, IndexError, ValueError) as error:
                raise InputError(
                    f"{self.system}: the path {path!r} is wrong ({error!r}). Only {{id}} and "
                    "{name} stand for something in it."
                ) from None

    @property
    def named(self) -> bool:
        """Whether a job is found by its name, by whoever knows that alone."""
        return self.name is not None and (self.listing is not None or not self.has_ids)

    @property
    def has_ids(self) -> bool:
        """Whether any path needs the job's id."""
        return any("{id}" in path for path in self._paths())

    def _paths(self) -> list[str]:
        calls = (self.start, self.cancel, self.remove)
        paths = [self.look, self.result_path, self.log.path if self.log else None]
        return [*(call[1] for call in calls if call), *(path for path in paths if path)]

    def _json_paths(self) -> list[str]:
        paths = (
            self.id,
            self.name,
            self.jobs,
            self.state,
            self.reason,
            self.exit_code,
            self.started,
            self.result,
            self.environment,
            self.log.lines if self.log else None,
        )
        return [path for path in paths if path]
