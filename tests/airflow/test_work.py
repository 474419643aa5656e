"""The life of outside work as Airflow sees it: results, failures, deferring."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_runs import Runs, runs
from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator
from tradewind.airflow.work_context import RunLimit, TaskStateStore
from tradewind.owner import Owner
from tradewind.run.supervise import Outcome
from tradewind.systems.process.backend import Command, ProcessBackend

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-work")]

DAGS = Path(__file__).parent / "work_dags"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def work_runs(airflow_home: Path, folder: Path) -> Iterator[Runs]:
    environment = {
        "TRADEWIND_TEST_FOLDER": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with runs(airflow_home, DAGS, environment) as one:
        yield one


def nothing_is_left(folder: Path) -> bool:
    return not any((folder / "jobs").iterdir())


def test_results(work_runs: Runs, folder: Path):
    told = work_runs.run("work_results")
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    found = told["xcoms"]
    assert found["json"] == {"rows": 3, "day": "2026-01-01"}
    assert found["text"] == "plain"
    assert found["last_line"] == "last"
    assert found.get("nothing") is None
    assert "no_push" not in found
    assert found["long"].split() == [str(n) for n in range(1, 20001)]
    assert told["tasks"]["skipped"] == "skipped"
    environment = dict(line.split("=", 1) for line in found["told"].splitlines())
    assert environment["AIRFLOW_CTX_DAG_ID"] == "work_results"
    assert environment["AIRFLOW_CTX_TASK_ID"] == "told"
    assert environment["TRADEWIND_OWNER"].startswith("work_results/")
    assert environment["TRADEWIND_OWNER"].partition("@")[0].endswith("/told")
    assert environment["TRADEWIND_LOGICAL_DATE"] == "2026-01-01T00:00:00+00:00"
    assert "TRADEWIND_DATA_INTERVAL_START" in environment
    assert "hello" in told["log"]
    assert nothing_is_left(folder)


def test_deferred(work_runs: Runs, folder: Path):
    told = work_runs.run("work_deferred")
    assert told["tasks"] == {"deferred": "success", "failing": "failed", "skipped": "skipped"}
    assert told["xcoms"]["deferred"] == ["handed back"]
    for n in (1, 2, 3):
        assert told["log"].count(f"line {n} of it") == 1
    assert told["log"].count("last words") == 1
    assert "exit status 7" in told["log"]
    assert nothing_is_left(folder)


def test_failures(work_runs: Runs, folder: Path):
    told = work_runs.run("work_fails")
    assert set(told["tasks"].values()) == {"failed"}
    assert told["log"].count("larger than 1,000 bytes") >= 2
    assert "last words" in told["log"]
    assert "exit status 3" in told["log"]
    assert "ran longer than the 1 s that it may, and was stopped and removed" in told["log"]
    assert nothing_is_left(folder)


def test_failed_work_is_started_anew_by_a_retry(work_runs: Runs, folder: Path):
    told = work_runs.run("work_retried")
    assert told["tasks"] == {"second": "success"}
    assert (folder / "second").read_text() == "x\nx\n"
    assert nothing_is_left(folder)


def test_a_person_who_clears_starts_anew(work_runs: Runs, folder: Path):
    (folder / "second").unlink(missing_ok=True)
    told = work_runs.run("work_retried", date="2026-01-02", clear=True)
    # Two attempts, and one more, which fails since there are three lines by then.
    assert (folder / "second").read_text() == "x\nx\nx\n", told["log"][-3000:]


def test_a_line_of_the_log_is_text_and_a_result_is_json():
    # As the official operators have it, whatever the line looks like.
    operator = ProcessOfTest(task_id="t")
    assert operator.read_result(Outcome("n", "12", reattached=False, from_log=True)) == "12"
    assert operator.read_result(Outcome("n", "12", reattached=False)) == 12
    assert operator.read_result(Outcome("n", "a\nb\n", reattached=False)) == "a\nb"


class ProcessOfTest(WorkOperator):
    def backend_spec(self) -> BackendSpec:
        return BackendSpec("tradewind.airflow.backends:open_process", {"root": "nowhere"})

    def make_work(self, context: object) -> None:
        return None


class Store:
    """A task state store that refuses values of more than 64 KB."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    def set(self, key: str, value: str) -> None:
        assert len(json.dumps(value)) < 65535
        self.values[key] = value


@pytest.mark.parametrize(
    "text", ["short", "", "ä" * 123_456, "\n" * 50_000, "😀" * 10_001], ids=range(5)
)
def test_memory_takes_values_of_any_length(text: str):
    store = Store()
    TaskStateStore(store).set("key", text)
    assert TaskStateStore(store).get("key") == text
    assert TaskStateStore(store).get("other") is None


def test_memory_without_airflow():
    memory = TaskStateStore(None)
    memory.set("key", "x" * 30_000)
    assert memory.get("key") == "x" * 30_000


@pytest.mark.parametrize("off", [-3600, 3600])
def test_a_longest_run_is_counted_by_the_workers_clock(tmp_path: Path, off: int):
    backend, owner, memory = ProcessBackend(tmp_path), Owner("d", "r", "t"), TaskStateStore(None)
    first = RunLimit(backend, owner, memory, 600, None)
    backend.submit(owner, 1, Command("sleep 60"), variables={})
    name = backend.name_of(owner, 1)
    # The clock of the machine that runs it is off.
    (tmp_path / name / "began").write_text(str(int(time.time()) + off))
    assert not first.is_over()
    assert not RunLimit(backend, owner, memory, 600, None).is_over(), "the next attempt"
    assert RunLimit(backend, owner, memory, 0, None).is_over()
    # An attempt that has noted nothing is followed by one that knows when the DAG run has begun.
    unknown = TaskStateStore(None)
    assert not RunLimit(backend, owner, unknown, 600, datetime.now(UTC)).is_over()
    assert RunLimit(backend, owner, unknown, 0, None).is_over()
    backend.delete(name)
