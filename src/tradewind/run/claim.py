"""The first half of the one life of outside work: claim it, or find what was claimed before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from tradewind.errors import TradewindError
from tradewind.owner import Owner
from tradewind.run.backend import (
    AlreadyStartedError,
    Backend,
    Piece,
    Status,
    UnreachableError,
)
from tradewind.run.checkpoint import Memory, Notes, Outcome

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
_LIVES_AHEAD = 100
#: How long a system is tried that nobody has reached yet: its address may be wrong.
_SHORT_TRY_SECONDS = 5.0


@dataclass(frozen=True)
class Claim:
    """A piece of work that is to be attended.

    Args:
        name: What it is called on its system.
        number: Which piece of its owner it is.
        started: Whether the claim has started it; else an earlier attempt has.
        outcome: What an earlier attempt has collected; then there is nothing to attend.
    """

    name: str
    number: int
    started: bool
    outcome: Outcome | None = None


def claim(
    backend: Backend[WorkT],
    owner: Owner,
    work: WorkT,
    *,
    memory: Memory,
    tell: Mapping[str, str] | None = None,
    since: datetime | None = None,
) -> Claim:
    """Start an owner's work, or find what an earlier call has started: the first half of `attend`.

    What former lives of the owner have left on the system is ended first.

    Args:
        backend: The system that runs it.
        owner: Whose work it is: decides the name.
        work: What is to run.
        memory: Is handed from an attempt to the next.
        tell: What the work finds in its environment.
        since: When the owner's run has begun. A run may be deleted and made again under its id:
            what ended before, on a system that keeps it for good, was another one's.

    Returns:
        What is to be attended now.

    Raises:
        TradewindError: As `Backend.start`.
    """
    notes = Notes(memory, owner)
    if (outcome := notes.outcome()) is not None:
        return Claim(outcome.name, 0, started=False, outcome=outcome)

    def begin() -> tuple[int, bool]:
        _end_former_lives(backend, owner)
        return _claim(backend, owner, work, notes, tell or {}, since)

    number, started = patiently(begin, _SHORT_TRY_SECONDS, UnreachableError)
    return Claim(backend.name_of(owner, number), number, started)


def _end_former_lives(backend: Backend[WorkT], owner: Owner) -> None:
    """End what a person's clear, or a DAG run's deletion, has made pointless.

    As after a worker was killed, and the task was cleared before its retry; or after a DAG run was
    deleted while its work ran, and made again under its id.
    """
    former = {replace(owner, life=life).digest for life in range(owner.life)}
    if not former and not owner.generation:
        return
    for piece in list(backend.former(owner)):
        if piece.owner in former or _is_of_former_generation(piece, owner):
            end(backend, piece.name)


def _is_of_former_generation(piece: Piece, owner: Owner) -> bool:
    known = Owner.of_title(piece.title, piece.owner)
    if known is not None:
        return known.is_former_life_of(owner)
    if not (owner.deployment and owner.generation and piece.task_run == owner.run_digest):
        return False
    # By its name alone: of this task run, and of none of the lives that this generation may have.
    lives = range(owner.life, owner.life + _LIVES_AHEAD)
    return piece.owner not in {replace(owner, life=life).digest for life in lives}


def _claim(
    backend: Backend[WorkT],
    owner: Owner,
    work: WorkT,
    notes: Notes,
    tell: Mapping[str, str],
    since: datetime | None,
) -> tuple[int, bool]:
    """Find the piece of work to attend, or start the next one.

    Returns:
        Its number, and whether this call has started it.
    """
    failed = int(notes.get("failed") or 0)
    notes.recall_begun(backend)
    there = {piece.number: piece for piece in backend.list(owner)}
    if backend.history is not None and since is not None and notes.get("begun") is None:
        failed = max((failed, *(n for n, piece in there.items() if _is_older(piece, since))))
    last = max((failed, *there))
    if last > failed and there[last].sight.status is not Status.FAILED:
        if there[last].sight.status is Status.PENDING:
            backend.resume(there[last].name)
        return last, False
    for number, piece in there.items():
        # Told by the attempt that attended it, or failed while nobody did: never attended again.
        if piece.sight.status is Status.FAILED or number <= failed:
            backend.remove(piece.name)
    number = last + 1
    notes.begin(backend)
    try:
        backend.start(owner, number, work, tell=tell)
    except AlreadyStartedError:
        return number, False
    return number, True


def _is_older(piece: Piece, since: datetime) -> bool:
    return piece.sight.status.ended and piece.ended is not None and piece.ended < since


def end(backend: Backend[WorkT], name: str, *, grace: float = GRACE_SECONDS) -> None:
    """Stop a piece of work, give it a moment to end in order, and remove it.

    Args:
        backend: The system that runs it.
        name: What it is called there.
        grace: Seconds of that moment.
    """
    backend.stop(name)
    last = time.monotonic() + grace
    while time.monotonic() < last:
        status = backend.look(name).status
        if status.ended or status is Status.ABSENT:
            break
        time.sleep(FIRST_WAIT)
    backend.remove(name)


def patiently(
    call: Callable[[], ResultT],
    seconds: float,
    kinds: type[TradewindError] | tuple[type[TradewindError], ...],
    rest: Callable[[float], None] = time.sleep,
) -> ResultT:
    """Repeat a call while its system is out of reach.

    Args:
        call: What is called; may be repeated.
        seconds: How long.
        kinds: The errors that may pass.
        rest: Waits between two calls.
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
