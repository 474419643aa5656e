"""Deferred work in front of a real triggerer: a person ends it, or time does, or it is moved."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import airflow_environment
from airflow_supervised import Supervised
from crash_systems import PRELOAD, SYSTEMS, CrashSystem
from processes import gone
from tradewind.local.processes import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-triggerer")]

DAGS = Path(__file__).parent / "work_dags"
DATES = count(1)
SYSTEM_MARKS = [
    "process",
    pytest.param("docker", marks=[pytest.mark.container, pytest.mark.long]),
    pytest.param("ssh", marks=pytest.mark.long),
]


class Triggerer:
    """A triggerer in a session of its own.

    Args:
        home: AIRFLOW_HOME.
        environment: Beside that of this process: connections, say.
    """

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        more = {
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        }
        with (home / "triggerer.log").open("a") as log:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("airflow"), "triggerer", "--skip-serve-logs"],
                env=airflow_environment(home, DAGS, {**environment, **more}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)

    def die(self) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
        self._process.wait()


@dataclass
class Place:
    """Where one system's work runs, and what watches it.

    Args:
        name: Of the system.
        system: The system itself.
        folder: Where its work writes when it runs.
        home: AIRFLOW_HOME.
        airflow: Runs its DAGs.
        start_triggerer: Starts another triggerer.
        triggerer: The one that is to watch.
    """

    name: str
    system: CrashSystem
    folder: Path
    home: Path
    airflow: Supervised
    start_triggerer: Callable[[], Triggerer]
    triggerer: Triggerer

    def log(self) -> str:
        """What triggerers have written, and their triggers."""
        files = [self.home / "triggerer.log", *self.home.glob("logs/**/*.trigger.*.log")]
        return "".join(file.read_text(errors="replace") for file in files)

    def says(self, text: str, *, times: int = 1) -> bool:
        """Wait for something to be in the log."""
        return wait_until(lambda: self.log().count(text) >= times, seconds=60, interval=0.2)

    def run(self, kind: str, **order: Any) -> dict[str, Any]:
        """Run a DAG of this system; `order` is as `Supervised.run` has it."""
        dag, date = f"{kind}_deferred_{self.name}", f"2026-03-{next(DATES):02}"
        return self.airflow.run(dag, date=date, triggerer=True, **order)

    @contextmanager
    def once_watched(self, then: Callable[[], None]) -> Iterator[None]:
        """Do something when a trigger has written the first line of the work's log."""
        times = self.log().count("seen") + 1
        said: list[bool] = []

        def wait() -> None:
            said.append(self.says("seen", times=times))
            then()

        thread = threading.Thread(target=wait)
        thread.start()
        yield
        thread.join()
        assert said == [True], self.log()[-4000:]

    def ended(self) -> bool:
        """Wait for the work to be gone; of a container this one does not know the process."""
        nothing = wait_until(lambda: not self.system.left(), seconds=60)
        pid = int((self.folder / "begun").read_text())
        return nothing and (self.name == "docker" or gone(pid))


@pytest.fixture(scope="module", autouse=True)
def new_ids(airflow_home: Path) -> None:
    """Give no trigger the id that another one has had, as PostgreSQL and MySQL do.

    SQLite does: a triggerer then takes the trigger of the next task for that of the last one, and
    tells nobody that a person has ended the task.
    """
    with closing(sqlite3.connect(airflow_home / "airflow.db")) as database, database:
        found = database.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'trigger'")
        table, *indexes = [sql for (sql,) in found if sql]
        new = "id INTEGER PRIMARY KEY AUTOINCREMENT"
        table, changed = re.subn(r"\bid INTEGER NOT NULL", new, table, count=1)
        table, no_more = re.subn(r"CONSTRAINT \w+ PRIMARY KEY \(id\),?", "", table)
        assert changed == no_more == 1
        database.execute("DROP TABLE trigger")
        for sql in (table, *indexes):
            database.execute(sql)


@pytest.fixture(scope="module", params=SYSTEM_MARKS)
def module_place(
    request: pytest.FixtureRequest, airflow_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    name, folder = request.param, tmp_path_factory.mktemp("triggerer")
    with SYSTEMS[name](folder) as system:
        environment = {
            "TRADEWIND_TEST_FOLDER": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **system.environment,
        }
        with ExitStack() as stack:

            def start() -> Triggerer:
                one = Triggerer(airflow_home, environment)
                stack.callback(one.die)
                return one

            first = start()  # takes ten seconds, as the other does
            airflow = Supervised(airflow_home, DAGS, environment, preload=PRELOAD)
            stack.callback(airflow.close)
            yield Place(name, system, folder, airflow_home, airflow, start, first)


@pytest.fixture
def place(module_place: Place) -> Iterator[Place]:
    for name in ("begun", "go", "left", "cleared", "when"):
        (module_place.folder / name).unlink(missing_ok=True)
    yield module_place
    assert module_place.system.left() == []


@pytest.mark.parametrize(
    ("then", "state"),
    [("fail", "failed"), pytest.param("succeed", "success", marks=pytest.mark.long)],
)
def test_a_person_who_marks_a_deferred_task_stops_the_work(place: Place, then: str, state: str):
    when = place.folder / "when"
    with place.once_watched(when.touch):
        told = place.run("ended", when=str(when), then=then)
    assert told["state"] == state
    assert place.ended(), place.log()[-4000:]


def test_a_person_who_clears_a_deferred_task_stops_the_work_and_starts_anew(place: Place):
    when, first = place.folder / "when", []

    def clear() -> None:
        first.append(int((place.folder / "begun").read_text()))
        when.touch()

    with place.once_watched(clear):
        told = place.run("cleared", when=str(when), then="clear")
    assert told["xcom"] == ["again"]
    assert (place.folder / "cleared").read_text() == "x\nx\n"
    assert place.ended(), place.log()[-4000:]
    assert place.name == "docker" or gone(first[0])


@pytest.mark.long
def test_work_of_a_task_that_is_cleared_before_a_triggerer_has_it_is_ended_by_the_next_life(
    place: Place,
):
    place.triggerer.die()
    first = []

    def start_late() -> None:
        if wait_until((place.folder / "begun").exists, seconds=60):
            first.append(int((place.folder / "begun").read_text() or 0))
        both = place.folder / "cleared"
        wait_until(lambda: both.exists() and len(both.read_text()) == 4, seconds=60)
        place.triggerer = place.start_triggerer()

    thread = threading.Thread(target=start_late)
    thread.start()
    told = place.run("cleared", when=str(place.folder / "begun"), then="clear")
    thread.join()
    assert told["xcom"] == ["again"]
    assert (place.folder / "cleared").read_text() == "x\nx\n"
    assert place.ended(), place.log()[-4000:]
    assert place.name == "docker" or gone(first[0])


@pytest.mark.long
def test_a_deferred_task_that_waits_too_long_stops_the_work(place: Place):
    told = place.run("timed_out")
    assert told["state"] == "failed"
    assert place.system.left() == []
    assert place.ended()


def test_a_triggerer_that_dies_leaves_the_work_to_the_next_one(place: Place):
    def move() -> None:
        place.triggerer.die()
        place.triggerer = place.start_triggerer()
        (place.folder / "go").touch()

    with place.once_watched(move):
        told = place.run("left")
    assert told["xcom"] == ["done"], told
    assert (place.folder / "left").read_text() == "x\n"


@pytest.mark.long
def test_a_triggerer_that_was_taken_for_dead_leaves_the_work_alone(place: Place):
    """It comes back, and Airflow tells its trigger the same as when a person ends the task."""
    goes_on = "is left alone here: its task waits"
    said: list[bool] = []

    def move() -> None:
        old, seen, before = place.triggerer, place.log().count("seen"), place.log().count(goes_on)
        old.signal(signal.SIGSTOP)
        place.triggerer = place.start_triggerer()
        said.append(place.says("seen", times=seen + 1))
        old.signal(signal.SIGCONT)
        said.append(place.says(goes_on, times=before + 1))
        old.die()
        (place.folder / "go").touch()

    with place.once_watched(move):
        told = place.run("left")
    assert said == [True, True], place.log()[-4000:]
    assert told["xcom"] == ["done"], told
    assert (place.folder / "left").read_text() == "x\n"
