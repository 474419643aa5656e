"""Triggers in a real event loop, on a backend that counts how often it is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from tradewind.airflow import backends
from tradewind.airflow.triggers import Watcher, WorkTrigger
from tradewind.errors import RetryError, SetupError
from tradewind.local.processes import wait_until
from tradewind.owner import Owner
from tradewind.run.backend import Backend, Job, JobState, JobStatus, LogLine

pytestmark = pytest.mark.airflow

INTERVAL = 0.2


class Counting(Backend[None]):
    """Work that ends when a test says so."""

    name = "counting"

    def __init__(self) -> None:
        self.works: dict[str, JobStatus] = {}
        self.lines: dict[str, list[str]] = {}
        self.opened = self.closed = self.listings = self.reads = 0
        self.errors: list[Exception] = []
        self.ended: list[str] = []
        self.lock = threading.Lock()
        self.listing = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        works = dict(self.works)
        with self.lock:
            self.listings += 1
        self.listing.set()
        assert self.go_on.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        for name, status in works.items():
            yield Job(name, "digest", "title", 1, status)

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        assert wait == 0
        with self.lock:
            self.reads += 1
        for number in range(int(after or 0), len(self.lines.get(name, []))):
            moment = datetime(2026, 1, 1, 1, 2, 3, tzinfo=UTC)
            yield LogLine(self.lines[name][number], str(number + 1), moment)

    def status(self, name: str) -> JobStatus:
        return self.works.get(name, JobStatus(JobState.ABSENT))

    def cancel(self, name: str) -> None:
        self.ended.append(f"stop {name}")
        self.works[name] = JobStatus(JobState.FAILED)

    def delete(self, name: str) -> None:
        self.ended.append(f"remove {name}")
        self.works.pop(name, None)

    def close(self) -> None:
        self.closed += 1

    def name_of(self, owner: Owner, number: int) -> str:
        raise AssertionError

    def submit(
        self, owner: Owner, number: int, work: None, *, variables: Mapping[str, str]
    ) -> None:
        raise AssertionError

    def result(self, name: str, *, limit: int) -> bytes | None:
        raise AssertionError


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    backend = Counting()

    def open_counting() -> Counting:
        with backend.lock:
            backend.opened += 1
            if backend.opened == 1 and backend.errors:
                raise backend.errors.pop(0)
        return backend

    monkeypatch.setattr(backends, "open_counting", open_counting, raising=False)
    yield backend
    assert not Watcher._watchers


@pytest.fixture
def trigger(backend: Counting) -> Callable[..., WorkTrigger]:
    def make(name: str, **more: Any) -> WorkTrigger:
        backend.works.setdefault(name, JobStatus(JobState.RUNNING))
        spec = {"opener": "tradewind.airflow.backends:open_counting", "arguments": {}}
        given = {"number": 1, "started": True, "poll_interval": INTERVAL, **more}
        return WorkTrigger(spec=spec, name=name, **given)

    return make


class Said:
    """What triggers log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *arguments: Any) -> None:
        self.lines.append(text % arguments)

    warning = error = info


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said = Said()
    monkeypatch.setattr(WorkTrigger, "log", said)
    return said.lines


async def fired(trigger: WorkTrigger) -> dict[str, Any]:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something; `run` gives up after a while."""
    while not condition():
        await asyncio.sleep(0.01)


def watchers() -> list[Watcher]:
    return [found.result() for found in Watcher._watchers.values() if found.done()]


def test_a_thousand_pieces_are_one_listing_an_interval(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    async def watch() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(fired(trigger(f"work-{n}"))) for n in range(1000)]
        await until(lambda: backend.listings >= 3 and backend.reads >= 1000)
        began, before = loop.time(), backend.listings
        await asyncio.sleep(5 * INTERVAL)  # the time in which listings are counted
        assert not any(task.done() for task in tasks)
        listings, passed = backend.listings - before, loop.time() - began
        for name in backend.works:
            backend.works[name] = JobStatus(JobState.SUCCEEDED)
        seen = backend.listings
        await asyncio.gather(*tasks)
        # The listing that was under way may have been too early to show it, the next was not.
        assert backend.listings - seen <= 2
        return listings, passed

    listings, passed = run(watch())
    assert listings <= passed / INTERVAL + 1
    assert backend.opened == 1
    assert wait_until(lambda: backend.closed == 1, seconds=10)


def test_it_says_what_has_ended_and_where_its_log_stands(
    backend: Counting, trigger: Callable[..., WorkTrigger], said: list[str]
):
    backend.lines["work"] = [f"line {n}" for n in range(2500)]

    async def watch() -> dict[str, Any]:
        task = asyncio.create_task(fired(trigger("work", cursor="10", number=3, started=False)))
        await until(lambda: len(said) >= 2491)
        backend.works["work"] = JobStatus(JobState.FAILED, "it ended with exit status 1", 1)
        return await task

    event = run(watch())
    assert event == {"name": "work", "number": 3, "started": False, "cursor": "2500"}
    assert said[0] == "Waiting for work."
    assert said[1:] == [f"01:02:03.000 line {n}" for n in range(10, 2500)]


def test_a_trigger_that_is_made_again_goes_on(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    first = trigger("work", cursor="7")

    async def restart() -> dict[str, Any]:
        task = asyncio.create_task(fired(first))
        await until(lambda: backend.listings > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not backend.ended  # a triggerer that goes away ends no work
        path, arguments = first.serialize()
        assert path == "tradewind.airflow.triggers.WorkTrigger"
        again = asyncio.create_task(fired(WorkTrigger(**arguments)))
        backend.works["work"] = JobStatus(JobState.SUCCEEDED)
        return await again

    assert run(restart()) == {"name": "work", "number": 1, "started": True, "cursor": "7"}


def test_work_that_is_gone_is_told(backend: Counting, trigger: Callable[..., WorkTrigger]):
    one = trigger("work")
    del backend.works["work"]
    assert run(fired(one))["name"] == "work"


def test_a_listing_that_began_before_shows_nothing(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    async def watch() -> None:
        backend.go_on.clear()
        other = asyncio.create_task(fired(trigger("other")))
        await until(backend.listing.is_set)
        # Of this work the listing that is under way knows nothing: that does not mean it is gone.
        task = asyncio.create_task(fired(trigger("work")))
        await until(lambda: [each.members for each in watchers()] == [2])
        before = backend.listings
        backend.go_on.set()
        await until(lambda: backend.listings >= before + 2)
        assert not task.done()
        backend.works["work"] = backend.works["other"] = JobStatus(JobState.SUCCEEDED)
        await asyncio.gather(task, other)

    run(watch())


def test_trouble_that_passes_is_waited_for(backend: Counting, trigger: Callable[..., WorkTrigger]):
    backend.errors = [RetryError("out of reach")] * 3  # the first one while it is opened
    backend.works["work"] = JobStatus(JobState.SUCCEEDED)
    assert run(fired(trigger("work")))["name"] == "work"
    assert not backend.errors


@pytest.mark.parametrize("error", [SetupError("the login is refused"), KeyError("no such key")])
def test_trouble_that_does_not_pass_goes_back_to_the_task(
    backend: Counting,
    trigger: Callable[..., WorkTrigger],
    said: list[str],
    error: Exception,
):
    async def watch() -> list[dict[str, Any]]:
        tasks = [asyncio.create_task(fired(trigger(f"work-{n}"))) for n in range(3)]
        await until(lambda: backend.listings >= 1)
        backend.errors.append(error)
        return await asyncio.gather(*tasks)

    assert [event["name"] for event in run(watch())] == ["work-0", "work-1", "work-2"]
    assert len(said) == 6
    assert all(str(error.args[0]) in line for line in said[3:])
    assert not backend.ended


def test_a_person_who_ends_the_task_ends_the_work(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    run(trigger("work").on_kill())
    assert backend.ended == ["stop work", "remove work"]
    assert backend.closed == 1


def in_state(
    made: WorkTrigger, state: str | None, monkeypatch: pytest.MonkeyPatch, *, map_index: int = -1
) -> WorkTrigger:
    """Let Airflow say this of the task that waits."""

    def get_task_states(**asked: Any) -> dict[str, Any]:
        assert asked == {
            "dag_id": "dag",
            "map_index": map_index,
            "task_ids": ["task"],
            "run_ids": ["run"],
        }
        return {"run": {"task" if map_index < 0 else f"task_{map_index}": state}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)
    ids = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": map_index}
    made._task_instance = SimpleNamespace(**ids)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("map_index", [-1, 7])
@pytest.mark.parametrize("state", ["failed", "success", None, "queued", "running"])
def test_work_that_runs_is_ended_when_its_task_waits_no_more(
    backend: Counting,
    trigger: Callable[..., WorkTrigger],
    monkeypatch: pytest.MonkeyPatch,
    state: str | None,
    map_index: int,
):
    run(in_state(trigger("work"), state, monkeypatch, map_index=map_index).on_kill())
    assert backend.ended == ["stop work", "remove work"]


def test_work_that_another_triggerer_watches_goes_on(
    backend: Counting, trigger: Callable[..., WorkTrigger], monkeypatch: pytest.MonkeyPatch
):
    run(in_state(trigger("work"), "deferred", monkeypatch).on_kill())
    assert backend.ended == []


@pytest.mark.parametrize(("state", "ended"), [("running", 0), ("failed", 2)])
def test_work_that_has_ended_is_left_to_a_task_that_collects_it(
    backend: Counting,
    trigger: Callable[..., WorkTrigger],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    ended: int,
):
    backend.works["work"] = JobStatus(JobState.SUCCEEDED)
    run(in_state(trigger("work"), state, monkeypatch).on_kill())
    assert len(backend.ended) == ended


def test_work_is_ended_however_long_it_takes(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    """Of very many, Airflow stops waiting for the last ones."""

    async def give_up() -> None:
        with backend.lock:  # so that opening waits
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(trigger("work").on_kill(), 0.05)
            assert backend.ended == []
        await until(lambda: backend.closed == 1)

    run(give_up())
    assert backend.ended == ["stop work", "remove work"]


def test_a_shorter_interval_does_not_wait_for_a_longer_one(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    async def watch() -> None:
        patient = asyncio.create_task(fired(trigger("patient", poll_interval=1000)))
        await until(lambda: [each._done for each in watchers()] == [1])  # it rests now
        backend.works["hasty"] = JobStatus(JobState.SUCCEEDED)
        await fired(trigger("hasty"))
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)

    run(watch())


def test_who_is_cancelled_while_it_connects_does_not_harm_the_others(
    backend: Counting, trigger: Callable[..., WorkTrigger]
):
    async def watch() -> None:
        with backend.lock:  # so that opening waits
            first = asyncio.create_task(fired(trigger("first")))
            await until(lambda: bool(Watcher._watchers))
            second = asyncio.create_task(fired(trigger("second")))
            await asyncio.sleep(0)  # it runs until it waits for the first one
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        backend.works["second"] = JobStatus(JobState.SUCCEEDED)
        await second

    run(watch())


def test_a_waiting_task_s_log_says_what_it_waits_for_and_where(
    backend: Counting, trigger: Callable[..., WorkTrigger], said: list[str]
):
    about = "on Docker at unix:///run/docker.sock, image busybox:1"
    backend.works["work"] = JobStatus(JobState.SUCCEEDED)
    made = trigger("work", about=about)
    run(fired(made))
    assert said[0] == f"Waiting for work, {about}."
    assert made.serialize()[1]["about"] == about
