"""The life of outside work: once, supervised through deaths, stopped when asked, cleaned up."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from notebook import Notebook
from processes import gone
from tradewind.errors import InputError, RetryError
from tradewind.local.processes import wait_until
from tradewind.owner import Owner
from tradewind.run.backend import History, JobState, JobStatus, LogLine, WorkFailedError
from tradewind.run.supervise import (
    Decision,
    LeftError,
    Outcome,
    StoppedError,
    end,
    recall_begun,
    supervise,
)
from tradewind.systems.process.backend import Command, ProcessBackend
from tradewind.testing.function_backend import FunctionBackend

OWNER = Owner("dag", "run", "task")


@pytest.fixture
def backend(tmp_path: Path) -> ProcessBackend:
    return ProcessBackend(tmp_path / "jobs")


@pytest.fixture
def memory() -> Notebook:
    return Notebook()


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that the work adds a line to each time it runs."""
    return tmp_path / "ran"


class Attempt:
    """One attempt at a job; what it logged is kept."""

    def __init__(self, backend: ProcessBackend, memory: Notebook, owner: Owner = OWNER) -> None:
        self.backend, self.memory, self.owner = backend, memory, owner
        self.lines: list[str] = []
        self.asked = Decision.CONTINUE
        self.on_line = lambda _: None

    def log(self, line: LogLine) -> None:
        self.lines.append(line.text)
        self.on_line(line)

    def run(self, script: str, **options) -> Outcome:
        return supervise(
            self.backend,
            self.owner,
            Command(script),
            log=self.log,
            state_store=self.memory,
            decide=lambda: self.asked,
            poll_seconds=0.2,
            **options,
        )


def test_work_runs_once_and_nothing_is_left(backend, memory, ran, tmp_path):
    attempt = Attempt(backend, memory)
    outcome = attempt.run(f"echo x >> {ran}; echo hello; echo 42 > $TRADEWIND_RESULT")
    assert outcome == Outcome(backend.name_of(OWNER, 1), "42\n", reattached=False)
    assert attempt.lines == ["hello"]
    assert ran.read_text() == "x\n"
    assert list((tmp_path / "jobs").iterdir()) == []


def test_the_last_line_is_the_result_where_that_is_asked_for(backend, memory):
    assert Attempt(backend, memory).run("echo 1; echo 2", last_line=True).result == "2"
    other = Owner("dag", "run", "other")
    script = "echo 3 > $TRADEWIND_RESULT; echo 4"
    assert Attempt(backend, memory, other).run(script, last_line=True).result == "3\n"


def test_a_retry_attends_what_a_dead_worker_has_started(backend, memory, ran):
    script = f"echo x >> {ran}; echo one; sleep 0.5; echo two"
    backend.submit(OWNER, 1, Command(script), variables={})
    attempt = Attempt(backend, memory)
    assert attempt.run(script).reattached
    assert attempt.lines == ["one", "two"]
    assert ran.read_text() == "x\n"


def test_a_retry_collects_what_has_ended_meanwhile(backend, memory, ran):
    script = f"echo x >> {ran}; echo 1 > $TRADEWIND_RESULT"
    backend.submit(OWNER, 1, Command(script), variables={})
    name = backend.name_of(OWNER, 1)
    assert wait_until(lambda: backend.status(name).state is JobState.SUCCEEDED, seconds=30)
    assert Attempt(backend, memory).run(script) == Outcome(name, "1\n", reattached=True)
    assert ran.read_text() == "x\n"


def test_collected_work_is_not_run_again_when_the_task_was_not_told(backend, memory, ran):
    script = f"echo x >> {ran}; echo 1 > $TRADEWIND_RESULT"
    first = Attempt(backend, memory).run(script)
    again = Attempt(backend, memory).run(script)
    assert (again.name, again.result) == (first.name, first.result)
    assert ran.read_text() == "x\n"


def test_a_clear_starts_anew(backend, memory, ran):
    script = f"echo x >> {ran}"
    Attempt(backend, memory).run(script)
    Attempt(backend, memory, Owner("dag", "run", "task", clears=1)).run(script)
    assert ran.read_text() == "x\nx\n"


def test_a_clear_ends_what_was_left_to_a_retry_that_never_came(backend, memory, ran, tmp_path):
    first, other = (tmp_path / name for name in ("first", "other"))
    backend.submit(OWNER, 1, Command(f"echo $$ > {first}; sleep 300"), variables={})
    stranger = Owner("dag", "run", "another task")
    backend.submit(stranger, 1, Command(f"echo $$ > {other}; sleep 300"), variables={})
    assert wait_until(lambda: first.exists() and other.exists(), seconds=20)
    Attempt(backend, memory, Owner("dag", "run", "task", clears=2)).run(f"echo x >> {ran}")
    assert ran.read_text() == "x\n"
    assert wait_until(lambda: gone(int(first.read_text())), seconds=20)
    assert [job.owner for job in backend.list()] == [stranger.digest]
    end(backend, backend.name_of(stranger, 1))


def test_failed_work_is_told_with_its_log_and_removed(backend, memory, tmp_path):
    attempt = Attempt(backend, memory)
    with pytest.raises(WorkFailedError, match="exit status 7") as caught:
        attempt.run("echo reason; exit 7")
    assert caught.value.exit_code == 7
    assert attempt.lines == ["reason"]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_failed_work_is_never_reattached(backend, memory, ran):
    script = f"echo x >> {ran}; [ $(wc -l < {ran}) -ge 2 ]"
    with pytest.raises(WorkFailedError):
        Attempt(backend, memory).run(script)
    assert not Attempt(backend, memory).run(script).reattached
    assert ran.read_text() == "x\nx\n"


def test_work_that_failed_while_nobody_looked_is_started_anew(backend, memory, ran):
    script = f"echo x >> {ran}; [ $(wc -l < {ran}) -ge 2 ]"
    backend.submit(OWNER, 1, Command(script), variables={})
    name = backend.name_of(OWNER, 1)
    assert wait_until(lambda: backend.status(name).state is JobState.FAILED, seconds=30)
    assert Attempt(backend, memory).run(script).name == backend.name_of(OWNER, 2)
    assert list(backend.list()) == []


def test_asked_to_stop_it_stops_and_removes_the_work(backend, memory, tmp_path):
    attempt = Attempt(backend, memory)

    def stop(_: LogLine) -> None:
        attempt.asked = Decision.CANCEL

    attempt.on_line = stop
    with pytest.raises(StoppedError):
        attempt.run("echo ready; sleep 300")
    assert list((tmp_path / "jobs").iterdir()) == []


def test_asked_to_leave_it_leaves_the_work_to_the_next_attempt(backend, memory, ran, tmp_path):
    go = tmp_path / "go"
    script = f"echo x >> {ran}; echo one; while [ ! -e {go} ]; do sleep 0.1; done; echo two"
    first = Attempt(backend, memory)

    def leave(_: LogLine) -> None:
        first.asked = Decision.LEAVE

    first.on_line = leave
    with pytest.raises(LeftError):
        first.run(script)
    go.touch()
    second = Attempt(backend, memory)
    assert second.run(script).reattached
    assert first.lines + second.lines == ["one", "two"], "no line is lost or repeated"
    assert ran.read_text() == "x\n"


def test_two_attempts_at_once_run_one_piece_of_work(backend, memory, ran):
    script = f"echo x >> {ran}; sleep 1; echo 5 > $TRADEWIND_RESULT"
    outcomes: list[Outcome] = []
    together = threading.Barrier(2)

    def attempt() -> None:
        together.wait()
        outcomes.append(Attempt(backend, memory).run(script))

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.result for outcome in outcomes] == ["5\n", "5\n"]
    assert ran.read_text() == "x\n"


def test_a_result_that_is_too_large_is_an_error_and_nothing_is_left(backend, memory, tmp_path):
    with pytest.raises(InputError, match="larger than 10 bytes"):
        Attempt(backend, memory).run("seq 100 > $TRADEWIND_RESULT", result_limit=10)
    assert list((tmp_path / "jobs").iterdir()) == []


class Flaky(ProcessBackend):
    """Out of reach for the first looks."""

    def __init__(self, root: Path, failures: int) -> None:
        super().__init__(root)
        self.failures = failures

    def status(self, name: str) -> JobStatus:
        self.failures -= 1
        if self.failures >= 0:
            raise RetryError("this machine: out of reach.")
        return super().status(name)


def test_trouble_that_passes_is_waited_out(tmp_path, memory, ran):
    backend = Flaky(tmp_path / "jobs", failures=2)
    Attempt(backend, memory).run(f"echo x >> {ran}")
    assert ran.read_text() == "x\n"


def test_trouble_that_stays_leaves_the_work_to_the_next_attempt(tmp_path, memory, ran):
    backend = Flaky(tmp_path / "jobs", failures=10**9)
    script = f"echo x >> {ran}"
    with pytest.raises(RetryError, match="the next attempt reattaches to it"):
        Attempt(backend, memory).run(script, patience=0)
    backend.failures = 0
    Attempt(backend, memory).run(script)
    assert ran.read_text() == "x\n"


class Queued(FunctionBackend):
    """Work that has to be begun by whoever finds it pending, on a system that forgets nothing."""

    class Called(History):
        def __init__(self) -> None:
            self.name = ""

        def note(self) -> str:
            return self.name

        def recall(self, note: str) -> None:
            self.name = note

    def __init__(self, called: str) -> None:
        super().__init__()
        self.history = self.Called()
        self.history.name = called
        self.waiting: set[str] = set()

    def name_of(self, owner: Owner, number: int) -> str:
        return f"{self.history.name}-{number}"

    def submit(self, owner: Owner, number: int, work: Any, *, variables: Mapping[str, str]) -> None:
        self.waiting.add(self.name_of(owner, number))
        self.begun = lambda: super(Queued, self).submit(owner, number, work, variables=variables)

    def status(self, name: str) -> JobStatus:
        return JobStatus(JobState.PENDING) if name in self.waiting else super().status(name)

    def resume(self, name: str) -> None:
        if name in self.waiting:
            self.waiting.remove(name)
            self.begun()


def test_work_that_waits_its_turn_is_begun_and_known_by_what_its_attempt_recorded(memory):
    first = Queued("written-at-noon")
    done = supervise(first, OWNER, lambda job: 7, log=print, state_store=memory)
    assert (done.name, done.result) == ("written-at-noon-1", "7")
    assert memory[f"tradewind.{OWNER.digest}.begun"] == '"written-at-noon"'  # as in version 0.1
    del memory[f"tradewind.{OWNER.digest}.done"]
    retry = Queued("written-at-one")
    recall_begun(retry, OWNER, memory)
    assert retry.name_of(OWNER, 1) == "written-at-noon-1"
