"""What every backend does, whatever its system.

A subclass has a fixture ``backend`` and says by `work` how its system runs a shell script.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tradewind.errors import InputError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, JobState, JobStatus, LogLine
from tradewind.run.supervise import claim

DEADLINE = 60.0


def until_ended(backend: Backend[Any], name: str, deadline: float = DEADLINE) -> JobStatus:
    """Wait until a job has ended; fails after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while True:
        status = backend.status(name)
        if status.state.ended or status.state is JobState.ABSENT:
            return status
        assert time.monotonic() < end, f"{name} is still {status}"
        list(backend.logs(name, None, wait=0.1))


def until_logged(backend: Backend[Any], name: str, text: str) -> LogLine:
    """Wait until a job has written a line."""
    end = time.monotonic() + DEADLINE
    cursor = None
    while time.monotonic() < end:
        for line in backend.logs(name, cursor, wait=0.2):
            cursor = line.cursor
            if line.text == text:
                return line
    raise AssertionError(f"{name} never wrote {text!r}")


class BackendConformance:
    """Tests that pass for every backend."""

    def work(self, script: str, **environment: str) -> Any:
        """Make work that runs a shell script with these variables in its environment."""
        raise NotImplementedError

    @pytest.fixture
    def owner(self) -> Owner:
        return Owner("conformance", uuid.uuid4().hex, "work")

    @pytest.fixture
    def start(self, backend: Backend[Any], owner: Owner) -> Iterator[Any]:
        """Starts a script as the owner's next job; all jobs are removed at the end."""
        names: list[str] = []

        def start(
            script: str, number: int = 1, *, variables: dict[str, str] | None = None, **env: str
        ) -> str:
            names.append(backend.name_of(owner, number))
            backend.submit(owner, number, self.work(script, **env), variables=variables or {})
            return names[-1]

        yield start
        for name in names:
            backend.delete(name)

    def test_work_runs_and_is_seen_to_succeed(self, backend: Backend[Any], start: Any) -> None:
        name = start("echo hello; echo world >&2")
        assert until_ended(backend, name) == JobStatus(JobState.SUCCEEDED, exit_code=0)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert sorted(lines) == ["hello", "world"]

    def test_nothing_is_there_before_and_after(
        self, backend: Backend[Any], owner: Owner, start: Any
    ) -> None:
        name = backend.name_of(owner, 1)
        assert backend.status(name).state is JobState.ABSENT
        start("true")
        until_ended(backend, name)
        backend.delete(name)
        backend.delete(name)
        assert backend.status(name).state is JobState.ABSENT
        assert list(backend.list(owner)) == []
        backend.cancel(name)

    def test_a_failure_tells_its_exit_code(self, backend: Backend[Any], start: Any) -> None:
        status = until_ended(backend, start("exit 3"))
        assert (status.state, status.exit_code) == (JobState.FAILED, 3)
        assert "exit status 3" in (status.reason or "")

    def test_a_signal_is_told_in_words(self, backend: Backend[Any], start: Any) -> None:
        # From a child: the first process of a container is immune to signals from inside.
        status = until_ended(backend, start("sh -c 'kill -KILL $$'; exit $?"))
        assert status.state is JobState.FAILED
        assert "SIGKILL" in (status.reason or "")

    def test_a_name_is_claimed_once(self, backend: Backend[Any], owner: Owner, start: Any) -> None:
        name = start("sleep 60")
        with pytest.raises(AlreadyStartedError):
            start("echo other")
        assert backend.status(name).state in (JobState.RUNNING, JobState.PENDING)

    def test_a_name_stays_taken_when_its_work_has_ended(
        self, backend: Backend[Any], start: Any
    ) -> None:
        name = start("echo once")
        until_ended(backend, name)
        with pytest.raises(AlreadyStartedError):
            start("true")
        backend.resume(name)  # it is for what was claimed and never begun
        assert backend.status(name).state is JobState.SUCCEEDED
        assert [line.text for line in backend.logs(name, None, wait=0)] == ["once"]

    def test_of_many_that_start_at_the_same_instant_one_does(
        self, backend: Backend[Any], owner: Owner, start: Any
    ) -> None:
        together = threading.Barrier(4)
        told: list[str] = []

        def try_it() -> None:
            together.wait()
            try:
                start("echo once; sleep 60")
                told.append("started")
            except AlreadyStartedError:
                told.append("taken")

        threads = [threading.Thread(target=try_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(told) == ["started", "taken", "taken", "taken"]
        name = backend.name_of(owner, 1)
        until_logged(backend, name, "once")
        assert [line.text for line in backend.logs(name, None, wait=0.2)] == ["once"]
        assert [job.name for job in backend.list(owner)] == [name]

    def test_a_run_that_is_made_again_ends_what_the_deleted_one_has_left(
        self, backend: Backend[Any], owner: Owner
    ) -> None:
        class Notes(dict[str, str]):
            def set(self, key: str, value: str) -> None:
                self[key] = value

        here = replace(owner, deployment="here", generation="g1")
        others = replace(here, deployment="there")
        again = replace(here, generation="g2")
        names = [backend.name_of(each, 1) for each in (here, others, again)]
        work = self.work("sleep 60")
        try:
            for each in (here, others, again):
                # `claim` is told of each by its system alone.
                claimed = claim(backend, each, work, state_store=Notes())
                assert (claimed.name, claimed.started) == (backend.name_of(each, 1), True)
            working = (JobState.RUNNING, JobState.PENDING)
            assert [backend.status(name).state in working for name in names] == [False, True, True]
            assert claim(backend, again, work, state_store=Notes()).started is False
        finally:
            for name in names:
                backend.delete(name)

    def test_stop_ends_the_work_and_all_it_has_started(
        self, backend: Backend[Any], start: Any
    ) -> None:
        name = start("sh -c 'sleep 300 & echo child; wait' & echo ready; wait")
        until_logged(backend, name, "child")
        backend.cancel(name)
        backend.cancel(name)
        status = until_ended(backend, name)
        assert status.state is JobState.FAILED
        assert "SIG" in (status.reason or "")

    def test_work_that_ignores_the_request_is_stopped_all_the_same(
        self, backend: Backend[Any], start: Any
    ) -> None:
        name = start("trap '' TERM INT; echo ready; while :; do sleep 1; done")
        until_logged(backend, name, "ready")
        backend.cancel(name)
        assert until_ended(backend, name).state is JobState.FAILED

    def test_remove_ends_what_still_runs(
        self, backend: Backend[Any], owner: Owner, start: Any
    ) -> None:
        name = start("echo ready; sleep 300")
        until_logged(backend, name, "ready")
        backend.delete(name)
        assert backend.status(name).state is JobState.ABSENT
        assert list(backend.list(owner)) == []

    def test_the_log_goes_on_from_a_cursor_without_loss_or_repetition(
        self, backend: Backend[Any], start: Any
    ) -> None:
        name = start("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.2; done")
        seen: list[str] = []
        cursor = None
        while not backend.status(name).state.ended:
            for line in backend.logs(name, cursor, wait=0.1):
                seen.append(line.text)
                cursor = line.cursor
                break
        seen += [line.text for line in backend.logs(name, cursor, wait=0)]
        assert seen == [f"line {number}" for number in range(1, 7)]

    def test_odd_lines_arrive_whole(self, backend: Backend[Any], start: Any) -> None:
        script = r"printf 'no end'; sleep 0.3; printf ' yet\n\n'; printf 'caf\303\251 \377\n'; "
        script += "head -c 300000 /dev/zero | tr '\\0' x; echo; printf last"
        name = start(script)
        until_ended(backend, name)
        lines = [line.text for line in backend.logs(name, None, wait=0)]
        assert lines == ["no end yet", "", "caf\u00e9 \ufffd", "x" * 300_000, "last"]

    def test_a_flood_is_whole(self, backend: Backend[Any], start: Any) -> None:
        name = start("seq 1 200000")
        until_ended(backend, name)
        count = 0
        for count, line in enumerate(backend.logs(name, None, wait=0), 1):
            assert line.text == str(count)
        assert count == 200_000

    def test_a_result_is_handed_back(self, backend: Backend[Any], start: Any) -> None:
        name = start("""printf '{"rows": 3}' > "$TRADEWIND_RESULT" """)
        until_ended(backend, name)
        assert backend.result(name, limit=100) == b'{"rows": 3}'
        with pytest.raises(InputError, match="larger than 5 bytes"):
            backend.result(name, limit=5)

    def test_no_result_is_none(self, backend: Backend[Any], start: Any) -> None:
        name = start("true")
        until_ended(backend, name)
        assert backend.result(name, limit=100) is None

    def test_the_last_line_is_known(self, backend: Backend[Any], start: Any) -> None:
        name = start("echo one; echo; echo '  two  '")
        until_ended(backend, name)
        assert backend.last_line(name) == "  two  "
        silent = start("true", 2)
        until_ended(backend, silent)
        assert backend.last_line(silent) is None

    def test_the_environment_arrives_as_it_is(self, backend: Backend[Any], start: Any) -> None:
        odd = 'it\'s "odd" $HOME `x` \\ \u00e9'
        name = start('printf "%s\\n" "$ODD" "$TOLD"', variables={"TOLD": "2026-01-01"}, ODD=odd)
        until_ended(backend, name)
        assert [line.text for line in backend.logs(name, None, wait=0)] == [odd, "2026-01-01"]

    def test_the_list_says_whose_each_piece_is(
        self, backend: Backend[Any], owner: Owner, start: Any
    ) -> None:
        start("sleep 60", 1)
        start("exit 1", 2)
        until_ended(backend, backend.name_of(owner, 2))
        jobs = {job.number: job for job in backend.list(owner)}
        assert set(jobs) == {1, 2}
        assert jobs[1].owner == owner.digest
        assert jobs[1].title == str(owner)
        assert jobs[1].status.state in (JobState.RUNNING, JobState.PENDING)
        assert jobs[1].started is not None
        assert jobs[2].status.state is JobState.FAILED
        assert {job.name for job in jobs.values()} <= {p.name for p in backend.list()}
        assert list(backend.list(Owner("somebody", "else", "work"))) == []
