"""A worker is killed at points spread over the life of its work, by each system: it runs once.

Airflow's own supervisor runs the task in a child that it forks, as a worker does; that child dies
by SIGKILL, and Airflow tries again. The points are executed lines of Tradewind in each of four
phases: before the work is claimed (submit), while it is waited for (run), while its log is read
(log), and from its end to that of the task (collect).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_supervised import Supervised
from crash_systems import PRELOAD, SYSTEMS, CrashSystem
from killing import spread_over_phases
from matrices import Matrix

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-crashes")]

DAGS = Path(__file__).parent / "crash_dags"
#: An Airflow takes seconds to start.
TOGETHER = [("process", "docker", "ssh", "http"), ("livy",), ("spark",)]
MARKS = {
    "docker": [pytest.mark.container],
    # A start of theirs takes a second or more.
    "livy": [pytest.mark.long],
    "spark": [pytest.mark.long, pytest.mark.spark],
}


@dataclass
class Place:
    """Where one system's work runs.

    Args:
        name: Of the system.
        system: The system itself.
        folder: Where its work writes when it runs.
        airflow: Runs its DAG.
    """

    name: str
    system: CrashSystem
    folder: Path
    airflow: Supervised


@pytest.fixture(scope="module")
def places(
    airflow_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Place]]:
    """Starts a system when it is asked for, with those that share an Airflow with it."""
    made: dict[str, Place] = {}
    with ExitStack() as stack:

        def place(name: str) -> Place:
            if name not in made:
                folder = tmp_path_factory.mktemp("crashes")
                names = next(group for group in TOGETHER if name in group)
                systems = {each: stack.enter_context(SYSTEMS[each](folder)) for each in names}
                environment = {
                    "TRADEWIND_TEST_FOLDER": str(folder),
                    "PYTHONPATH": str(Path(__file__).parents[1]),
                }
                for each in systems.values():
                    environment |= each.environment
                airflow = Supervised(airflow_home, DAGS, environment, preload=PRELOAD)
                stack.callback(airflow.close)
                for each, system in systems.items():
                    made[each] = Place(each, system, folder, airflow)
            return made[name]

        yield place


def kill_everywhere(place: Place, *, count: int, year: int) -> None:
    dag = f"crash_{place.name}"
    first = place.airflow.run(dag, date=f"{year}-01-01")
    assert first["state"] == "success", first
    assert place.system.left() == []
    points = spread_over_phases(first["points"], count)
    died: Counter[str] = Counter()
    for number, point in enumerate(points):
        date = f"{year}-{2 + number // 28:02}-{1 + number % 28:02}"
        told = place.airflow.run(dag, date=date, die_at=[point])
        assert told["state"] == "success", (point, told)
        # Livy's batches hand nothing back but who they are.
        assert told["xcom"], (point, told)
        assert place.name == "livy" or str(told["xcom"][0]) == "42", (point, told)
        began = (place.folder / "began").read_text().split()
        assert began.count(f"{dag}/supervised-{date}") == 1, (point, told)
        assert place.system.left() == [], (point, told)
        died.update(each["phase"] for each in told["died"])
    print(f"{place.name}: killed in {dict(died)} of {len(points)}; lines: {first['points']}")
    # How often it is looked at depends on how fast the machine is; all else is executed always.
    assert died["submit"]
    assert died["collect"]
    assert died.total() >= len(points) * 3 // 4, died


WORKERS = Matrix("killed workers", "backend")
# What `spark` runs is a process.
WORKERS.row(backend=" ".join(name for name in SYSTEMS if name != "spark"))


def test_every_backend_has_a_row():
    WORKERS.check()


# SageMaker's jobs are in test_sagemaker_killed.py.
NAMES = [pytest.param(name, marks=MARKS.get(name, [])) for name in SYSTEMS if name != "sagemaker"]


@pytest.mark.parametrize("name", NAMES)
def test_work_runs_once_however_its_worker_dies(places: Callable[[str], Place], name: str):
    kill_everywhere(places(name), count=4, year=2026)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_work_runs_once_with_a_worker_killed_at_50_points(
    places: Callable[[str], Place], name: str
):
    kill_everywhere(places(name), count=50, year=2027)
