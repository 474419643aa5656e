"""Work that runs as a Python function in a thread of this process."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, Job, JobState, JobStatus, LogLine

__all__ = ["FunctionBackend", "FunctionJob"]


@dataclass
class FunctionJob:
    """What a function sees of the job that it is.

    Args:
        name: What the job is called.
        environment: What other backends put into the environment of work: owner, logical date,
            data interval.
        stopped: Is set when the job is to end; long functions look at it.
    """

    name: str
    environment: Mapping[str, str]
    stopped: threading.Event = field(default_factory=threading.Event)
    _lines: list[tuple[str, datetime]] = field(default_factory=list, repr=False)
    _grown: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def log(self, line: str) -> None:
        """Write a line into the job's log."""
        with self._grown:
            self._lines.append((line, datetime.now(UTC)))
            self._grown.notify_all()


@dataclass
class _Running:
    job: FunctionJob
    owner: Owner
    number: int
    started: datetime
    status: JobStatus = field(default_factory=lambda: JobStatus(JobState.RUNNING))
    result: bytes | None = None
    ended: datetime | None = None


class FunctionBackend(Backend[Callable[[FunctionJob], Any]]):
    """Runs functions in threads, by the same rules as any other backend.

    A test double: it shows how a pipeline behaves when work succeeds, fails, is cancelled or
    reattached, without any other system. What a function returns, as JSON, is the result; what it
    raises is the failure. A function that is stopped and does not look at `FunctionJob.stopped`
    runs on unseen: threads cannot be killed.
    """

    name = "function"
    log_is_exact = True

    def __init__(self) -> None:
        self._jobs: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell the name of an owner's job."""
        return f"tradewind-{owner.digest}-{number}"

    def submit(
        self,
        owner: Owner,
        number: int,
        work: Callable[[FunctionJob], Any],
        *,
        variables: Mapping[str, str],
    ) -> None:
        """Claim the name and start."""
        name = self.name_of(owner, number)
        running = _Running(FunctionJob(name, dict(variables)), owner, number, datetime.now(UTC))
        with self._lock:
            if name in self._jobs:
                raise AlreadyStartedError(f"function: {name} was started before.")
            self._jobs[name] = running
        threading.Thread(target=self._run, args=(running, work), name=name, daemon=True).start()

    def _run(self, running: _Running, work: Callable[[FunctionJob], Any]) -> None:
        try:
            given = work(running.job)
            result = None if given is None else json.dumps(given).encode()
            status = JobStatus(JobState.SUCCEEDED, exit_code=0)
        except Exception as error:
            for line in traceback.format_exc().splitlines():
                running.job.log(line)
            result, code = None, getattr(error, "exit_code", None)
            status = JobStatus(JobState.FAILED, f"{type(error).__name__}: {error}", exit_code=code)
        self._end(running, status, result)

    def _end(self, running: _Running, status: JobStatus, result: bytes | None = None) -> None:
        with self._lock, running.job._grown:
            if not running.status.state.ended:
                running.status, running.result = status, result
                running.ended = datetime.now(UTC)
            running.job._grown.notify_all()

    def status(self, name: str) -> JobStatus:
        """Tell how far a job is."""
        with self._lock:
            found = self._jobs.get(name)
            return JobStatus(JobState.ABSENT) if found is None else found.status

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read what the function has logged since."""
        running = self._jobs.get(name)
        if running is None:
            return
        number = int(after or 0)
        lines, grown = running.job._lines, running.job._grown
        with grown:
            grown.wait_for(lambda: len(lines) > number or running.status.state.ended, wait)
        while number < len(lines):
            text, time = lines[number]
            number += 1
            yield LogLine(text, str(number), time)

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Fetch what the function returned, as JSON."""
        found = self._jobs[name].result
        if found is not None and len(found) > limit:
            raise InputError(
                f"function: the result of {name} is larger than {limit} bytes. Return less."
            )
        return found

    def cancel(self, name: str) -> None:
        """Ask the function to end, and count it as ended."""
        running = self._jobs.get(name)
        if running is not None:
            running.job.stopped.set()
            self._end(
                running, JobStatus(JobState.FAILED, "it was stopped (SIGTERM)", exit_code=143)
            )

    def delete(self, name: str) -> None:
        """Forget a job; end it first."""
        self.cancel(name)
        with self._lock:
            self._jobs.pop(name, None)

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Tell of all jobs."""
        with self._lock:
            found = sorted(self._jobs.items())
        for name, one in found:
            if owner is None or one.owner == owner:
                yield Job(
                    name,
                    one.owner.digest,
                    str(one.owner),
                    one.number,
                    one.status,
                    started=one.started,
                    ended=one.ended,
                )
