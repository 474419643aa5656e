"""Run a job once, on any backend: claim or reattach, log, wait, collect, delete."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from tradewind.backoff import hearing, rest
from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.former_names import former_attribute, former_keywords
from tradewind.owner import Owner
from tradewind.run.backend import (
    Backend,
    GoneError,
    JobState,
    JobStatus,
    LogLine,
    UnreachableError,
    WorkFailedError,
)
from tradewind.run.checkpoint import (
    Checkpoint,
    Outcome,
    StateStore,
    recall_begun,
    recall_cursor,
    remember_cursor,
)
from tradewind.run.claim import (
    FIRST_PAUSE,
    FIRST_WAIT,
    GRACE_SECONDS,
    LONGEST_PAUSE,
    Claim,
    claim,
    end,
    patiently,
)

__all__ = [
    "GRACE_SECONDS",
    "RESULT_LIMIT",
    "Claim",
    "Decision",
    "LeftError",
    "Outcome",
    "StateStore",
    "StoppedError",
    "claim",
    "end",
    "heard_claim",
    "recall_begun",
    "recall_cursor",
    "remember_cursor",
    "supervise",
]

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")

RESULT_LIMIT = 1 << 20
"""The most bytes that a result may have, when nothing else is said: it becomes an XCom."""

_CURSOR_SECONDS = 5.0
#: Airflow gives a task some five seconds to end.
_DECIDE_SECONDS = 1.0


class StoppedError(TradewindError):
    """A person has ended the task: the work was stopped and removed."""


class LeftError(TradewindError):
    """The worker is going away: the work goes on, and the next attempt reattaches to it."""


class Decision(StrEnum):
    """What is asked of a supervisor while it waits."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    """A person has ended the task: stop the work and remove it."""
    LEAVE = "leave"
    """The worker goes away: leave the work to the retry."""
    # What version 0.1 called them.
    GO_ON = CONTINUE
    STOP = CANCEL


@former_keywords(memory="state_store", ask="decide", tell="variables", look_seconds="poll_seconds")
def supervise(
    backend: Backend[WorkT],
    owner: Owner,
    work: WorkT,
    *,
    log: Callable[[LogLine], None],
    state_store: StateStore,
    decide: Callable[[], Decision] = lambda: Decision.CONTINUE,
    variables: Mapping[str, str] | None = None,
    poll_seconds: float = 1.0,
    patience: float = 300.0,
    result_limit: int = RESULT_LIMIT,
    last_line: bool = False,
    whole_log: bool = False,
    claimed: Claim | None = None,
    since: datetime | None = None,
    check: Callable[[str], None] = lambda _: None,
    on_claim: Callable[[Claim], None] = lambda _: None,
) -> Outcome:
    """Run work exactly once, whoever calls this how often for the same owner.

    The first call starts it; later ones reattach to what is running, or collect what has ended.
    Work that failed is told once and never reattached to: the next call starts anew. Memory: one
    line of the log.

    Args:
        backend: The system that runs it.
        owner: Whose work it is: decides the name.
        work: What is to run.
        log: Takes each line that it writes, once.
        state_store: Is handed from an attempt to the next.
        decide: Is asked about every second what to do.
        variables: What the work finds in its environment.
        poll_seconds: The longest time between two looks at it; the first ones are closer together.
        patience: How long the system may be out of reach, or refuse connections, in seconds, before
            this gives up and leaves the work to the next attempt. What was never reached at all
            is tried for five seconds.
        result_limit: The most bytes that its result may have.
        last_line: Whether the last line of its log is the result of work that hands back none.
        whole_log: Whether the whole log is the result.
        claimed: What `claim` has returned before, for work that was watched elsewhere since: it is
            not started anew when it is gone.
        since: As `claim` has it.
        check: Is handed the text that the work has handed back in its result file; raises
            `InputError` where the caller has no use for it.
        on_claim: Is told, once, what was submitted or found; not where `claimed` is given.

    Returns:
        How it ended.

    Raises:
        WorkFailedError: It failed; nothing of it is left.
        StoppedError: It was asked to stop; nothing of it is left.
        LeftError: It was asked to leave; the work goes on.
        RetryError: The system stayed out of reach; the work goes on if it ran.
        TradewindError: As `Backend`.
    """
    if claimed is None:
        with heard_claim(backend, owner, decide):
            claimed = claim(
                backend, owner, work, state_store=state_store, variables=variables, since=since
            )
        on_claim(claimed)
        if claimed.started and recall_cursor(state_store, owner, claimed.name) is not None:
            # Of a job that had this name, and was stopped and removed.
            remember_cursor(state_store, owner, claimed.name, "")
    name = claimed.name
    if claimed.outcome is not None:
        # An earlier attempt has collected it, and died before its task was told.
        backend.delete(name)
        return claimed.outcome
    checkpoint = Checkpoint(state_store, owner)
    keep = partial(remember_cursor, state_store, owner, name)
    known = recall_cursor(state_store, owner, name)
    supervision = _Supervision(backend, name, log, keep, known, decide, poll_seconds, patience)
    status = supervision.wait()
    if status.state is JobState.ABSENT and (outcome := checkpoint.outcome()) is not None:
        # Another attempt of the same owner, believed dead, was quicker.
        return outcome
    if status.state is not JobState.SUCCEEDED:
        checkpoint.set("failed", str(claimed.number))
        supervision.patiently(lambda: backend.delete(name))
        reason = status.reason or "it failed, and its system does not say why"
        raise WorkFailedError(
            f"{backend.name}: {name}: {reason}", exit_code=status.exit_code, final=status.final
        )

    def collect() -> tuple[str | None, bool, bool]:
        """Give the result, whether the log has it, and whether the work was surely there."""
        try:
            found = backend.result(name, limit=result_limit)
        except GoneError:
            return None, False, False
        result: str | None = None
        if found is not None:
            check(result := _text_of(backend, name, found))
            return result, False, True
        sure = backend.tells_gone
        if whole_log:
            result, sure = _whole_log(backend, name, result_limit), False
        elif last_line:
            result = supervision.last_line if backend.log_is_exact else None
            if result is None:
                # Read after its result was: it may have gone in between.
                result, sure = backend.last_line(name), False
            _check_size(backend, name, result, result_limit)
        return result, result is not None, sure

    try:
        result, from_log, sure = supervision.patiently(collect)
    except RetryError:
        # Another attempt may have removed it in the middle of this: that one has it whole.
        if (outcome := checkpoint.outcome()) is not None:
            return outcome
        raise
    except InputError:
        # It would be as wrong the next time.
        checkpoint.set("failed", str(claimed.number))
        supervision.patiently(lambda: backend.delete(name))
        raise
    if not sure and supervision.patiently(lambda: backend.status(name)).state is JobState.ABSENT:
        if (outcome := checkpoint.outcome()) is not None:
            # Another attempt removed it while this one was collecting: that one has it whole.
            return outcome
        # What is not there has no result, not even none.
        checkpoint.set("failed", str(claimed.number))
        raise WorkFailedError(
            f"{backend.name}: {name}: it had succeeded, and somebody else has removed it before "
            "its result was read"
        )
    checkpoint.set("done", json.dumps([name, result, from_log]))
    supervision.patiently(lambda: backend.delete(name))
    return Outcome(name, result, reattached=not claimed.started, from_log=from_log)


@contextmanager
def heard_claim(
    backend: Backend[WorkT], owner: Owner, decide: Callable[[], Decision]
) -> Iterator[None]:
    """Let a claim hear what is asked of it while it waits for its system.

    Args:
        backend: The system.
        owner: Whose jobs end where that is asked for.
        decide: As `supervise` has it, which raises the same errors.
    """

    def obey() -> None:
        asked = decide()
        if asked is Decision.CANCEL:
            for job in list(backend.list(owner)):
                end(backend, job.name)
            raise StoppedError(f"{backend.name}: the task ends before its job was claimed.")
        if asked is Decision.LEAVE:
            raise LeftError(
                f"{backend.name}: the next attempt claims the job, or reattaches to it."
            )

    with hearing(obey):
        yield


def _text_of(backend: Backend[WorkT], name: str, found: bytes) -> str:
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{backend.name}: the result of {name} is no text in UTF-8 (byte {error.start:,}). "
            "Write bytes to a store, and hand back where they stand."
        ) from None


def _whole_log(backend: Backend[WorkT], name: str, limit: int) -> str | None:
    texts: list[str] = []
    size = 0
    for line in backend.logs(name, None, wait=0):
        texts += [line.text, "" if line.goes_on else "\n"]
        size += len(line.text) + 1
        if size > limit + 1:
            break
    text = "".join(texts).removesuffix("\n") if texts else None
    _check_size(backend, name, text, limit)
    return text


def _check_size(backend: Backend[WorkT], name: str, text: str | None, limit: int) -> None:
    if text is not None and len(text.encode()) > limit:
        raise InputError(
            f"{backend.name}: {name}: what it has written to its log is to be its result, and is "
            f"larger than {limit:,} bytes. Write it to a store, and hand back where it stands."
        )


class _Supervision:
    """A job from its start to its end, as one supervisor sees it."""

    def __init__(
        self,
        backend: Backend[WorkT],
        name: str,
        log: Callable[[LogLine], None],
        keep: Callable[[str], None],
        cursor: str | None,
        decide: Callable[[], Decision],
        poll_seconds: float,
        patience: float,
    ) -> None:
        self._backend = backend
        self._name = name
        self._log = log
        self._keep_cursor = keep
        self._decide = decide
        self._poll_seconds = poll_seconds
        self._patience = patience
        self._cursor = cursor
        self._kept = self._obeyed = time.monotonic()
        self._last: LogLine | None = None
        self._last_whole = False

    @property
    def last_line(self) -> str | None:
        """The log's last line, where this supervisor has read it, and whole."""
        return self._last.text if self._last is not None and self._last_whole else None

    def patiently(self, call: Callable[[], ResultT]) -> ResultT:
        """Call what reaches the system, as often as needed while that is in passing trouble."""
        with hearing(self._obey):
            return patiently(call, self._patience, UnreachableError)

    def wait(self) -> JobStatus:
        """Stay until the work has ended, or is asked to stop or to be left."""
        with hearing(self._obey):
            return self._wait()

    def _wait(self) -> JobStatus:
        trouble_since: float | None = None
        pause, wait = FIRST_PAUSE, FIRST_WAIT
        while True:
            self._obey()
            try:
                status = self._backend.status(self._name)
                if status.state is JobState.PENDING:
                    self._backend.resume(self._name)
                self._read(wait=0 if status.state.ended else min(wait, _DECIDE_SECONDS))
            except (RetryError, UnreachableError) as error:
                # It was reached when the work was claimed: whoever restarts it needs a moment.
                now = time.monotonic()
                trouble_since = trouble_since or now
                if now - trouble_since > self._patience:
                    raise RetryError(
                        f"{error} That has gone on for {self._patience:.0f} s; the work "
                        f"{self._name} may go on, and the next attempt reattaches to it."
                    ) from error
                rest(pause * random.uniform(0.5, 1.5))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            trouble_since, pause = None, FIRST_PAUSE
            if not status.state.ended and status.state is not JobState.ABSENT:
                # A system that is looked at seldom is left alone, whoever decides is not.
                rest(max(0.0, wait - _DECIDE_SECONDS))
            # Short work is not kept waiting by the calm with which long work is looked at.
            wait = min(self._poll_seconds, 1.5 * wait)
            if status.state.ended:
                return status
            if status.state is JobState.ABSENT:
                return JobStatus(JobState.ABSENT, "it is gone: somebody else has removed it")

    def _obey(self) -> None:
        self._obeyed = time.monotonic()
        with hearing(None):  # once is enough
            asked = self._decide()
            if asked is Decision.CANCEL:
                end(self._backend, self._name)
        if asked is Decision.CANCEL:
            raise StoppedError(f"{self._backend.name}: {self._name} was stopped and removed.")
        if asked is Decision.LEAVE:
            self._keep()
            raise LeftError(
                f"{self._backend.name}: {self._name} goes on; the next attempt reattaches to it."
            )

    def _read(self, *, wait: float) -> None:
        for line in self._backend.logs(self._name, self._cursor, wait=wait):
            self._log(line)
            self._last_whole = not (line.goes_on or (self._last is not None and self._last.goes_on))
            self._last = line
            self._cursor = line.cursor
            now = time.monotonic()
            if now - self._kept > _CURSOR_SECONDS:
                self._keep()
            if now - self._obeyed > _DECIDE_SECONDS:
                self._obey()

    def _keep(self) -> None:
        if self._cursor is not None:
            self._keep_cursor(self._cursor)
        self._kept = time.monotonic()


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
