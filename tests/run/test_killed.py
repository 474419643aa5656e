"""A worker is killed at points spread over the whole life of its work: it runs exactly once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from busybox import IMAGE
from container_engine import Engine
from job_server import job_server
from killing import Worker, spread
from livy_server import livy_server
from matrices import Matrix
from ssh_server import SSHServer
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.livy.backend import LivyBackend

ATTEMPTS = Matrix("killed attempts", "backend")

ACTIONS = Path(__file__).parents[1] / "faults_actions.py"

#: Appends to a file each time it runs, writes a log, hands back a result.
SCRIPT = "echo x >> {ran}; for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done; "
SCRIPT += "echo 42 > $TRADEWIND_RESULT"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(ACTIONS, "tradewind.run") as worker:
        yield worker


def check_it_runs_once(worker: Worker, action: str, folder: Path, points: int, **options) -> None:
    """Kill an attempt at each point, try again until one ends, and look at what has happened."""

    def arguments(name: str) -> dict:
        (folder / name).mkdir()
        return {
            "run": name,
            "script": SCRIPT.format(ran=folder / name / "ran"),
            "memory": str(folder / name / "memory"),
            "log": str(folder / name / "log"),
            **options,
        }

    whole = worker.run(action, **arguments("whole"))
    assert whole["answer"] == "42\n", whole
    for point in spread(whole["points"], points):
        name = f"{point}-{uuid.uuid4().hex[:6]}"
        given = arguments(name)
        first = worker.run(action, die_at=point, **given)
        # How often the work is looked at is a matter of time, and so is the number of points.
        assert first == {"signal": 9} or first["answer"] == "42\n", first
        again = worker.run(action, **given)
        assert again.get("answer") == "42\n", (point, again)
        assert (folder / name / "ran").read_text() == "x\n", f"killed at {point}"
        lines = (folder / name / "log").read_text().split("\n")[:-1]
        assert set(lines) == {f"line {number}" for number in range(1, 6)}


POINTS = [10, pytest.param(50, marks=pytest.mark.long)]


def test_every_backend_has_a_row():
    ATTEMPTS.check()


@ATTEMPTS.row(backend="process")
@pytest.mark.parametrize("points", POINTS)
def test_a_process_runs_once(worker: Worker, tmp_path: Path, points: int):
    check_it_runs_once(worker, "process", tmp_path, points, root=str(tmp_path / "jobs"))
    assert list((tmp_path / "jobs").iterdir()) == []


@ATTEMPTS.row(backend="ssh")
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.xdist_group("run-ssh")
def test_a_process_over_ssh_runs_once(
    worker: Worker, tmp_path: Path, server: SSHServer, points: int
):
    check_it_runs_once(
        worker,
        "ssh",
        tmp_path,
        points,
        root=str(tmp_path / "jobs"),
        port=server.port,
        username=server.username,
        key_file=str(server.key_file),
        known_hosts=str(server.known_hosts),
    )
    assert list((tmp_path / "jobs").iterdir()) == []


@ATTEMPTS.row(backend="docker")
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.container
@pytest.mark.xdist_group("run-docker")
def test_a_container_runs_once(worker: Worker, tmp_path: Path, daemon: Engine, points: int):
    check_it_runs_once(
        worker,
        "docker",
        tmp_path,
        points,
        engine=daemon.address,
        image=IMAGE,
        shared=str(tmp_path),
    )
    assert daemon.containers() == []


@ATTEMPTS.row(backend="http")
@pytest.mark.parametrize("points", POINTS)
def test_a_job_of_an_http_api_runs_once(worker: Worker, tmp_path: Path, points: int):
    with job_server(tmp_path / "jobs") as server:
        check_it_runs_once(worker, "rest", tmp_path, points, url=server.url)
        assert server.jobs == {}


@ATTEMPTS.row(backend="livy")
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.long
def test_a_batch_of_livy_runs_once(worker: Worker, tmp_path: Path, points: int):
    with livy_server(tmp_path / "livy", allowed=tmp_path) as server:
        check_it_runs_once(worker, "livy", tmp_path, points, url=server.url)
        backend = LivyBackend(RestConnection(server.url))
        assert list(backend.list()) == []
        backend.close()
