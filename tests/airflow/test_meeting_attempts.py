"""Two workers run attempts of the same task at the same instant: its work runs once.

As when a scheduler has heard nothing of a worker for too long, and that one is not dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_supervised import Supervised
from crash_systems import PRELOAD, SYSTEMS, CrashSystem

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-meeting")]

DAGS = Path(__file__).parent / "work_dags"
NAMES = ["process", "docker", "ssh"]
MARKS = {"docker": [pytest.mark.container]}


@dataclass
class Place:
    """Where the work runs.

    Args:
        systems: By name.
        folder: Where work writes when it runs.
        workers: Two of them.
    """

    systems: dict[str, CrashSystem]
    folder: Path
    workers: tuple[Supervised, Supervised]


@pytest.fixture(scope="module")
def place(airflow_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("meeting")
    with ExitStack() as stack:
        systems = {name: stack.enter_context(SYSTEMS[name](folder)) for name in NAMES}
        environment = {
            "TRADEWIND_TEST_FOLDER": str(folder),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        for system in systems.values():
            environment |= system.environment

        def work() -> Supervised:
            # The first attempt is not to hear before it is over that there is another one.
            worker = Supervised(airflow_home, DAGS, environment, preload=PRELOAD, heartbeat=60)
            stack.callback(worker.close)
            return worker

        yield Place(systems, folder, (work(), work()))


def meet(place: Place, name: str, *, times: int, year: int) -> None:
    first, second = place.workers
    gone_wrong = []
    for number in range(times):
        ran, dag = place.folder / "ran", f"met_{name}"
        ran.unlink(missing_ok=True)
        date = f"{year}-{1 + number // 28:02}-{1 + number % 28:02}"
        with ThreadPoolExecutor(1) as threads:
            early = threads.submit(first.run, dag, date=date, once=True)
            late = second.run(dag, date=date, beside=True)
        told = (date, early.result()["exits"], late, ran.read_text().split())
        print(told)
        assert place.systems[name].left() == [], told
        if late["state"] != "success" or late["xcom"] != ["done"] or len(told[-1]) != 1:
            gone_wrong.append(told)
    assert gone_wrong == []


PARAMS = [pytest.param(name, marks=MARKS.get(name, [])) for name in NAMES]


@pytest.mark.parametrize("name", PARAMS)
def test_work_runs_once_when_two_attempts_begin_together(place: Place, name: str):
    meet(place, name, times=2, year=2026)


@pytest.mark.long
@pytest.mark.parametrize("name", PARAMS)
def test_work_runs_once_when_attempts_begin_together_20_times(place: Place, name: str):
    meet(place, name, times=20, year=2027)
