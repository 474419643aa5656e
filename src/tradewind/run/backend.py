"""What a backend is: an outside system that runs work under a name.

Everything rests on one property of such systems: a name can be claimed once. So the name is chosen
before the work is submitted, from its owner alone, and claiming the name *is* the submission. Who
comes second (a retry, another worker) is told that the name is taken, and reattaches to what is
there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.former_names import former_attribute, former_field, keep_former_methods
from tradewind.owner import Owner

__all__ = [
    "AlreadyStartedError",
    "Backend",
    "GoneError",
    "History",
    "Job",
    "JobState",
    "JobStatus",
    "LogLine",
    "UnreachableError",
    "WorkFailedError",
    "join_last",
]

WorkT = TypeVar("WorkT")

#: A last line is held whole: of no work more than this.
_LAST_LINE = 16 << 20


class AlreadyStartedError(TradewindError):
    """The name is taken: the work under it was started before, and is to be supervised."""


class GoneError(RetryError):
    """The work is not there any more: somebody else has removed it."""


class UnreachableError(SetupError):
    """Nobody answers at the system's address: it is wrong, or the system is just restarting.

    Which of the two only the caller knows: who has reached it before waits for it.
    """


class WorkFailedError(TradewindError):
    """The work has run, and has failed.

    Args:
        message: What failed where, in words.
        exit_code: What it ended with; None where there is none.
        final: Whether it would be the same again, as its system says.
    """

    def __init__(self, message: str, *, exit_code: int | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.final = final


class JobState(StrEnum):
    """How far a job is."""

    ABSENT = "absent"
    """There is none of that name."""
    PENDING = "pending"
    """It is accepted and has not begun."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED)


@dataclass(frozen=True)
class JobStatus:
    """How a job is doing.

    Args:
        state: How far it is.
        reason: Why it failed or is pending, in words a person can act on; None otherwise.
        exit_code: What it ended with, where its system knows.
        final: Whether the same work would fail again, as its system says.
    """

    state: JobState
    reason: str | None = None
    exit_code: int | None = None
    final: bool = False

    if not TYPE_CHECKING:
        status = former_field("status", "state")


class LogLine(NamedTuple):
    """One line that the work has written: a tuple, which is made by the million.

    Args:
        text: Without the line's end. Bytes that are no UTF-8 are replaced.
        cursor: Where to go on after this line: what `Backend.logs` takes.
        time: When it was written, where the system knows.
        goes_on: Whether this is a piece of a line, and the next one goes on with it. A line of
            more than 1 MiB comes in such pieces, so that one without an end needs no more memory.
    """

    text: str
    cursor: str
    time: datetime | None = None
    goes_on: bool = False


@dataclass(frozen=True)
class Job:
    """One job that Tradewind has on a system.

    Args:
        name: What it is called there.
        owner: `Owner.digest` of whose it is.
        title: The owner in words.
        number: Which job of that owner it is, counted from 1.
        status: How far it is.
        started: When, where the system knows.
        ended: When that was, where it has ended and the system knows.
        task_run: `Owner.run_digest` of whose it is, where the system keeps no title: the same for
            all clears and all generations of a task run.
    """

    name: str
    owner: str
    title: str
    number: int
    status: JobStatus
    started: datetime | None = None
    ended: datetime | None = None
    task_run: str = ""

    if not TYPE_CHECKING:
        sight = former_field("sight", "status")


class History:
    """What a backend needs whose system lists work that has ended for good.

    There an owner's work is not always this run's: a run may have been deleted, and made again
    under its id. So an attempt records before it submits that it is about to, and the next attempt
    reads the record. Where there is none, work that ended before the run began is not the run's.
    This class records the mere fact; a subclass also what it has to know to find the work.
    """

    def note(self) -> str:
        """Tell what the next attempt must know to find what this one is about to start."""
        return ""

    def recall(self, note: str) -> None:
        """Take what an earlier attempt has recorded by `note`."""


class Backend(ABC, Generic[WorkT]):
    """An outside system that runs work.

    All methods raise `SetupError` where connection, credentials or permissions are wrong,
    `RetryError` where the system is in trouble that may pass, and `InputError` where the work
    itself can never run (an unknown image, say): each at once, with system, object and remedy.
    They may be called from several threads.
    """

    name: str
    """What the system is called in messages, like ``docker``."""
    history: History | None = None
    """For a system that lists ended work for good, so that `delete` does not take it away; else
    None."""

    log_is_exact = False
    """Whether `logs` gives every line once, so that who has read to its end knows the last one."""

    tells_gone = False
    """Whether `result` raises `GoneError` for work that is gone, so that None is no result."""

    @abstractmethod
    def name_of(self, owner: Owner, number: int) -> str:
        """Spell the name of an owner's job as this system can.

        Args:
            owner: Whose work it is.
            number: Which job, counted from 1; the next one after each that has failed.
        """

    @abstractmethod
    def submit(
        self, owner: Owner, number: int, work: WorkT, *, variables: Mapping[str, str]
    ) -> None:
        """Claim the name and start, as one step that cannot be half done.

        Args:
            owner: Whose work it is; kept on the system, for `list`.
            number: Which job.
            work: What is to run.
            variables: What the work finds in its environment: owner, logical date, data interval.

        Raises:
            AlreadyStartedError: The name is taken.
        """

    def about(self, work: WorkT) -> str:
        """Say in words where work runs, and what of it tells a person which it is.

        Args:
            work: What is to run. Nothing of it that may be secret is said.
        """
        return f"on {self.name}"

    def page(self, name: str) -> str | None:
        """Tell where a person sees a job in a browser; None where its system has no such page.

        Args:
            name: What it is called. It was submitted before.

        Raises:
            TradewindError: The system was asked for it, and does not answer.
        """
        return None

    def resume(self, name: str) -> None:
        """Begin what was claimed and not begun, unless something is in its way; may be repeated.

        Called each time that work is found to be pending: its attempt may have died in between, or
        it may have had to wait for its turn.

        Args:
            name: A job that is pending. Systems where claim and start are one step have
                nothing to do.
        """

    @abstractmethod
    def status(self, name: str) -> JobStatus:
        """Ask how a job is doing."""

    @abstractmethod
    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read what the work has written since.

        Args:
            name: The job.
            after: Cursor of the last line known; None for all from the beginning.
            wait: How long to wait for more, in seconds, before the iterator ends.

        Yields:
            Whole lines in order, each once; the last one without a line's end only when the work
            has ended.
        """

    @abstractmethod
    def result(self, name: str, *, limit: int) -> bytes | None:
        """Fetch what the work has handed back.

        Args:
            name: A job that has succeeded.
            limit: The most bytes that are taken.

        Returns:
            What it wrote into the file that ``TRADEWIND_RESULT`` names; None where it wrote none.

        Raises:
            InputError: It is larger than `limit`.
            GoneError: The work is not there, where the backend `tells_gone`.
        """

    def last_line(self, name: str) -> str | None:
        """Tell the last line of a log; None where it is empty.

        Args:
            name: A job that has ended.
        """
        return join_last(self.logs(name, None, wait=0), where=f"{self.name}: {name}")

    def unclaimed(self) -> Iterator[Job]:
        """Tell what was prepared to become work, and has not claimed a name.

        Its creator has died, or is about to claim: what is older than a minute is left over.
        """
        return iter(())

    def delete_unclaimed(self, name: str) -> None:
        """Take away what `unclaimed` tells of; of work that has its name by now nothing.

        Args:
            name: As `unclaimed` tells it.
        """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_former_methods(cls)

    def close(self) -> None:
        """Close the connections; work goes on."""

    @abstractmethod
    def cancel(self, name: str) -> None:
        """End the work with all it has started: one quick call, which may be repeated."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Take away all there is of a job; ends it first. May be repeated."""

    @abstractmethod
    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Tell of all work that Tradewind has there, in as few calls as the system allows.

        Args:
            owner: Only this one's.
        """

    def former(self, owner: Owner) -> Iterator[Job]:
        """List jobs, among them all that earlier runs of the owner have left.

        Asked before the owner's own is started, in as few calls as the system allows.

        Args:
            owner: Who is about to start.
        """
        return self.list()


def join_last(lines: Iterable[LogLine], *, where: str) -> str | None:
    """Tell the last of some lines, joined of its pieces.

    Args:
        lines: Of a log.
        where: Whose log, for messages.

    Raises:
        InputError: It is longer than 16 MiB.
    """
    pieces: list[str] | None = None
    going_on, size = False, 0
    for line in lines:
        if not going_on or pieces is None:
            pieces, size = [], 0
        size += len(line.text)
        # What is too long is known by its size.
        if size <= _LAST_LINE:
            pieces.append(line.text)
        going_on = line.goes_on
    if size > _LAST_LINE:
        raise InputError(
            f"{where}: the last line of its log is to be its result, and is longer than "
            f"{_LAST_LINE >> 20} MiB. Write it to a store, and hand back where it stands."
        )
    return None if pieces is None else "".join(pieces)


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
