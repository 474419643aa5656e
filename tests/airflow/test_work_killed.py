"""Tasks that a person ends, that run too long, and whose worker is drained: by Airflow's own
supervisor. Workers that die are in test_crashes.py.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_supervised import Supervised
from busybox import with_busybox
from container_engine import Engine, docker_engine
from crash_systems import PRELOAD
from processes import gone
from ssh_server import SSHServer, ssh_server
from tradewind.local.processes import wait_until

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.container,
    pytest.mark.xdist_group("airflow-work-killed"),
]

DAGS = Path(__file__).parent / "work_dags"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with with_busybox(docker_engine()) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def supervised(
    airflow_home: Path, folder: Path, engine: Engine, server: SSHServer
) -> Iterator[Supervised]:
    connection = {
        "conn_type": "ssh",
        "host": "127.0.0.1",
        "port": server.port,
        "login": server.username,
        "extra": {"key_file": str(server.key_file), "host_key": server.host_key},
    }
    (folder / "jobs").mkdir()
    environment = {
        "DOCKER_HOST": engine.address,
        "AIRFLOW_CONN_SSH_DEFAULT": json.dumps(connection),
        "TRADEWIND_TEST_FOLDER": str(folder),
        "PYTHONPATH": f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}",
    }
    one = Supervised(airflow_home, DAGS, environment, preload=PRELOAD)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def begun(folder: Path, engine: Engine) -> Iterator[Path]:
    """A file that work makes when it begins, with its pid."""
    begun = folder / "begun"
    begun.unlink(missing_ok=True)
    yield begun
    assert list((folder / "jobs").iterdir()) == []
    assert engine.containers() == []


def test_a_worker_that_dies_again_and_again(supervised: Supervised, folder: Path):
    die_at = ["submit:100", "submit:250", "run:10", "log:10", "collect:20", "collect:40"]
    told = supervised.run("work_killed", date="2028-01-01", die_at=die_at)
    assert told["xcom"] == [42]
    died = [each["phase"] for each in told["died"]]
    assert died[:5] == ["submit", "submit", "run", "log", "collect"]
    ran = [line.partition("@")[0] for line in (folder / "effects").read_text().splitlines()]
    assert ran.count("work_killed/supervised-2028-01-01/killed") == 1


SYSTEMS = ["process", "docker", "ssh"]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("then", "state"), [("fail", "failed"), ("succeed", "success")])
def test_a_person_who_marks_the_task_stops_the_work(
    supervised: Supervised, begun: Path, system: str, then: str, state: str
):
    date = {"fail": "2026-01-01", "succeed": "2026-01-02"}[then]
    told = supervised.run(f"ended_{system}", date=date, when=str(begun), then=then)
    assert told["state"] == state
    assert system == "docker" or gone(int(begun.read_text()))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_person_who_clears_the_task_stops_the_work_and_starts_anew(
    supervised: Supervised, folder: Path, begun: Path, system: str
):
    (folder / "cleared").unlink(missing_ok=True)
    told = supervised.run(f"cleared_{system}", when=str(begun), then="clear")
    assert told["state"] == "success"
    assert told["xcom"] == ["again"]
    assert (folder / "cleared").read_text() == "x\nx\n"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_task_that_runs_too_long_stops_the_work(supervised: Supervised, begun: Path, system: str):
    told = supervised.run(f"timed_out_{system}")
    assert told["state"] == "failed"
    assert system == "docker" or gone(int(begun.read_text()))


LEFT = {
    "drain": "the next attempt reattaches to it",
    # Airflow knows no longer of whoever would tell.
    "reset": "Failed to report terminal task state",
}


@pytest.mark.parametrize(
    ("system", "then"), [*((system, "drain") for system in SYSTEMS), ("process", "reset")]
)
def test_a_worker_that_is_drained_or_taken_for_orphaned_leaves_the_work(
    supervised: Supervised, folder: Path, begun: Path, system: str, then: str
):
    for name in ("left", "go"):
        (folder / name).unlink(missing_ok=True)
    log_before = supervised.log_file.stat().st_size

    def let_go() -> None:
        # When the first attempt has left.
        assert wait_until(
            lambda: LEFT[then] in supervised.log_file.read_text()[log_before:],
            seconds=60,
        )
        (folder / "go").touch()

    thread = threading.Thread(target=let_go)
    thread.start()
    date = {"drain": "2026-01-01", "reset": "2026-01-02"}[then]
    told = supervised.run(f"left_{system}", date=date, when=str(begun), then=then)
    thread.join()
    assert told["xcom"] == ["done"]
    assert len(told["exits"]) == 2
    assert (folder / "left").read_text() == "x\n"
