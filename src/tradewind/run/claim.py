"""The first half of the one life of outside work: claim it, or find what was claimed before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from tradewind.backoff import rest
from tradewind.errors import TradewindError
from tradewind.former_names import former_keywords
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    Job,
    JobState,
    UnreachableError,
)
from tradewind.run.checkpoint import Checkpoint, Outcome, StateStore

__all__ = ["GRACE_SECONDS", "Claim", "claim", "end", "patiently"]

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")

GRACE_SECONDS = 2.0
"""How long work may take to end in order; Airflow gives a task that is killed some five seconds."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two tries of a system that is out of reach, at first and at most."""
FIRST_WAIT = 0.05
"""Seconds between the first two looks at work."""

#: How often a person may clear a task while a worker of an earlier life still begins.
_CLEARS_AHEAD = 100
#: How long a system is tried that nobody has reached yet: its address may be wrong.
_SHORT_TRY_SECONDS = 5.0


@dataclass(frozen=True)
class Claim:
    """A job that is to be supervised.

    Args:
        name: What it is called on its system.
        number: Which job of its owner it is.
        started: Whether the claim has started it; else an earlier attempt has.
        outcome: What an earlier attempt has collected; then there is nothing to supervise.
    """

    name: str
    number: int
    started: bool
    outcome: Outcome | None = None


@former_keywords(memory="state_store", tell="variables")
def claim(
    backend: Backend[WorkT],
    owner: Owner,
    work: WorkT,
    *,
    state_store: StateStore,
    variables: Mapping[str, str] | None = None,
    since: datetime | None = None,
) -> Claim:
    """Submit an owner's job, or find the one that an earlier call has submitted.

    What earlier runs of the owner have left on the system is ended first.

    Args:
        backend: The system that runs it.
        owner: Whose work it is: decides the name.
        work: What is to run.
        state_store: Is handed from an attempt to the next.
        variables: What the work finds in its environment.
        since: When the owner's run has begun. A run may be deleted and made again under its id:
            what ended before, on a system that keeps it for good, was another one's.

    Returns:
        What is to be supervised now.

    Raises:
        TradewindError: As `Backend.submit`.
    """
    checkpoint = Checkpoint(state_store, owner)
    if (outcome := checkpoint.outcome()) is not None:
        return Claim(outcome.name, 0, started=False, outcome=outcome)

    def begin() -> tuple[int, bool]:
        _end_earlier_jobs(backend, owner)
        return _claim(backend, owner, work, checkpoint, variables or {}, since)

    number, started = patiently(begin, _SHORT_TRY_SECONDS, UnreachableError)
    return Claim(backend.name_of(owner, number), number, started)


def _end_earlier_jobs(backend: Backend[WorkT], owner: Owner) -> None:
    """End what a person's clear, or a DAG run's deletion, has made pointless.

    As after a worker was killed, and the task was cleared before its retry; or after a DAG run was
    deleted while its work ran, and made again under its id.
    """
    former = {replace(owner, clears=number).digest for number in range(owner.clears)}
    if not former and not owner.generation:
        return
    for job in list(backend.former(owner)):
        if job.owner in former or _is_of_former_generation(job, owner):
            end(backend, job.name)


def _is_of_former_generation(job: Job, owner: Owner) -> bool:
    known = Owner.of_title(job.title, job.owner)
    if known is not None:
        return known.is_superseded_by(owner)
    if not (owner.deployment and owner.generation and job.task_run == owner.run_digest):
        return False
    # By its name alone: of this task run, and of none of the lives that this generation may have.
    clears = range(owner.clears, owner.clears + _CLEARS_AHEAD)
    return job.owner not in {replace(owner, clears=number).digest for number in clears}


def _claim(
    backend: Backend[WorkT],
    owner: Owner,
    work: WorkT,
    checkpoint: Checkpoint,
    variables: Mapping[str, str],
    since: datetime | None,
) -> tuple[int, bool]:
    """Find the job to supervise, or start the next one.

    Returns:
        Its number, and whether this call has started it.
    """
    failed = int(checkpoint.get("failed") or 0)
    checkpoint.recall_begun(backend)
    there = {job.number: job for job in backend.list(owner)}
    if backend.history is not None and since is not None and checkpoint.get("begun") is None:
        failed = max((failed, *(n for n, job in there.items() if _is_older(job, since))))
    last = max((failed, *there))
    if last > failed and there[last].status.state is not JobState.FAILED:
        if there[last].status.state is JobState.PENDING:
            backend.resume(there[last].name)
        return last, False
    for number, job in there.items():
        # Told by the attempt that supervised it, or failed while nobody did: never reattached to.
        if job.status.state is JobState.FAILED or number <= failed:
            backend.delete(job.name)
    number = last + 1
    checkpoint.begin(backend)
    try:
        backend.submit(owner, number, work, variables=variables)
    except AlreadyStartedError:
        return number, False
    return number, True


def _is_older(job: Job, since: datetime) -> bool:
    return job.status.state.ended and job.ended is not None and job.ended < since


def end(backend: Backend[WorkT], name: str, *, grace: float = GRACE_SECONDS) -> None:
    """Stop a job, give it a moment to end in order, and remove it.

    Args:
        backend: The system that runs it.
        name: What it is called there.
        grace: Seconds of that moment.
    """
    backend.cancel(name)
    last = time.monotonic() + grace
    while time.monotonic() < last:
        status = backend.status(name).state
        if status.ended or status is JobState.ABSENT:
            break
        rest(FIRST_WAIT)
    backend.delete(name)


def patiently(
    call: Callable[[], ResultT],
    seconds: float,
    kinds: type[TradewindError] | tuple[type[TradewindError], ...],
) -> ResultT:
    """Repeat a call while its system is out of reach.

    Args:
        call: What is called; may be repeated.
        seconds: How long.
        kinds: The errors that may pass.
    """
    last = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return call()
        except kinds:
            if time.monotonic() > last:
                raise
        rest(pause * random.uniform(0.5, 1.5))  # noqa: S311
        pause = min(2 * pause, LONGEST_PAUSE)
