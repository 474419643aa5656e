"""Workers that die, are drained, or are told to end a task: by Airflow's own supervisor."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from airflow_supervised import Supervised
from busybox import IMAGE, busybox_root
from container_engine import Engine, docker_engine
from killing import spread
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
    root = busybox_root()
    with docker_engine() as daemon:
        name, _, tag = IMAGE.partition(":")
        daemon.import_image(name, tag, root)
        yield daemon
        assert daemon.containers() == []


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
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    one = Supervised(airflow_home, DAGS, environment)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def begun(folder: Path) -> Iterator[Path]:
    """A file that work makes when it begins, with its pid."""
    begun = folder / "begun"
    begun.unlink(missing_ok=True)
    yield begun
    assert list((folder / "jobs").iterdir()) == []


def kill_everywhere(
    supervised: Supervised, folder: Path, dag: str, *, count: int, year: int
) -> None:
    first = supervised.run(dag, date=f"{year}-01-01")
    killed = 0
    for number, point in enumerate(spread(first["points"], count)):
        date = f"{year}-{2 + number // 28:02}-{1 + number % 28:02}"
        told = supervised.run(dag, date=date, die_at=[point])
        assert told["state"] == "success", (point, told)
        assert told["xcom"] == [42], (point, told)
        ran = (folder / "effects").read_text().splitlines()
        assert ran.count(f"{dag}/supervised-{date}/killed") == 1, (point, told)
        assert list((folder / "jobs").iterdir()) == [], (point, told)
        killed += -9 in told["exits"]
    # How many lines are executed depends on how fast the machine is; all but the last ones are.
    assert killed > count / 2


DAG_IDS = ["work_killed", "work_killed_docker", "work_killed_ssh"]


@pytest.mark.parametrize("dag", DAG_IDS)
def test_a_killed_worker_leaves_the_work_to_the_retry(
    supervised: Supervised, folder: Path, dag: str
):
    kill_everywhere(supervised, folder, dag, count=4, year=2026)


@pytest.mark.long
@pytest.mark.parametrize("dag", DAG_IDS)
def test_a_worker_killed_at_50_points(supervised: Supervised, folder: Path, dag: str):
    kill_everywhere(supervised, folder, dag, count=50, year=2027)


def test_a_worker_that_dies_again_and_again(supervised: Supervised, folder: Path):
    told = supervised.run("work_killed", date="2028-01-01", die_at=[150, 300, 450, 600, 750])
    assert told["xcom"] == [42]
    ran = (folder / "effects").read_text().splitlines()
    assert ran.count("work_killed/supervised-2028-01-01/killed") == 1


@pytest.mark.parametrize(("then", "state"), [("fail", "failed"), ("succeed", "success")])
def test_a_person_who_marks_the_task_stops_the_work(
    supervised: Supervised, begun: Path, then: str, state: str
):
    date = {"fail": "2026-01-01", "succeed": "2026-01-02"}[then]
    told = supervised.run("work_ended", date=date, when=str(begun), then=then)
    assert told["state"] == state
    assert wait_until(lambda: not psutil.pid_exists(int(begun.read_text())), seconds=10)


def test_a_person_who_clears_the_task_stops_the_work_and_starts_anew(
    supervised: Supervised, folder: Path, begun: Path
):
    told = supervised.run("work_cleared", when=str(begun), then="clear")
    assert told["state"] == "success"
    assert told["xcom"] == ["again"]
    assert (folder / "cleared").read_text() == "x\nx\n"


def test_a_worker_that_is_drained_leaves_the_work(
    supervised: Supervised, folder: Path, begun: Path
):
    log_before = supervised.log_file.stat().st_size

    def let_go() -> None:
        # When the first attempt has left.
        assert wait_until(
            lambda: "the next attempt attends it" in supervised.log_file.read_text()[log_before:],
            seconds=30,
        )
        (folder / "go").touch()

    thread = threading.Thread(target=let_go)
    thread.start()
    told = supervised.run("work_left", when=str(begun), then="drain")
    thread.join()
    assert told["xcom"] == ["done"]
    assert len(told["exits"]) == 2
    assert (folder / "left").read_text() == "x\n"
