"""Whoever attends a piece of work is killed at random moments, and tried again: it runs once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_report import Attack, Try
from attack_workers import Workers

from busybox import IMAGE
from container_engine import Engine
from job_server import job_server
from livy_server import livy_server
from ssh_server import SSHServer
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.livy.backend import LivyBackend

PROMISE = "Work elsewhere runs once, its result is collected, and nothing is left"
HOW = "SIGKILL of the attendant at a random moment, then the retry"
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]
COUNTS = [pytest.param(4, id="some"), pytest.param(120, id="many", marks=LONG)]

#: Appends to a file each time it runs, writes a log, hands back a result.
SCRIPT = "echo x >> {ran}; for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done; "
SCRIPT += "echo 42 > $TRADEWIND_RESULT"
LINES = {f"line {number}" for number in range(1, 6)}


def check(
    attendants: Workers,
    action: str,
    folder: Path,
    attack: Attack,
    count: int,
    lanes: int = 4,
    **options: Any,
) -> None:
    """Kill the attendant so often, each time with a new piece of work; `finish` is left to do."""

    def arguments(name: str) -> dict[str, Any]:
        (folder / name).mkdir()
        return {
            "run": name,
            "script": SCRIPT.format(ran=folder / name / "ran"),
            "memory": str(folder / name / "memory"),
            "log": str(folder / name / "log"),
            **options,
        }

    def lane(tries: Iterator[Try]) -> None:
        seconds = 0.0
        for number, chance in tries:
            if not seconds:
                whole = arguments(f"whole{os.urandom(3).hex()}")
                told, seconds = attendants.measured(action, **whole)
                assert told["answer"] == "42\n", told
            name = f"k{number}x{os.urandom(3).hex()}"
            given = arguments(name)
            moment = chance.uniform(0, seconds)
            child = attendants.start(action, **given)
            time.sleep(moment)
            killed = child.kill()
            attack.note("killed" if killed == {"signal": 9} else "had ended before")
            again, took = attendants.measured(action, **given)
            # The machine may be busier by now, or less so; a retry is as long as what is left.
            seconds = (2 * seconds + max(took, moment)) / 3
            attack.check(again.get("answer") == "42\n", f"{number}, {moment:.3f} s: {again}")
            ran = folder / name / "ran"
            times = ran.read_text().count("x") if ran.exists() else 0
            attack.check(times == 1, f"{number}, {moment:.3f} s: it ran {times} times")
            lines = (folder / name / "log").read_text().split("\n")[:-1]
            attack.check(set(lines) == LINES, f"{number}, {moment:.3f} s: its log is {lines}")

    attack.in_lanes(count, lanes, lane)


@pytest.mark.parametrize("count", COUNTS)
def test_of_a_process(attendants: Workers, tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "a process of this machine")
    jobs = tmp_path / "jobs"
    check(attendants, "process", tmp_path, attack, count, root=str(jobs))
    left = [path.name for path in jobs.iterdir()]
    attack.check(not left, f"left behind: {left}")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.xdist_group("run-ssh")
def test_over_ssh(attendants: Workers, tmp_path: Path, server: SSHServer, count: int):
    attack = Attack(PROMISE, HOW, "a process over SSH")
    jobs = tmp_path / "jobs"
    where = {"port": server.port, "username": server.username}
    files = {"key_file": str(server.key_file), "known_hosts": str(server.known_hosts)}
    check(attendants, "ssh", tmp_path, attack, count, root=str(jobs), **where, **files)
    left = [path.name for path in jobs.iterdir()]
    attack.check(not left, f"left behind: {left}")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.container
@pytest.mark.xdist_group("run-docker")
def test_of_a_container(attendants: Workers, tmp_path: Path, daemon: Engine, count: int):
    attack = Attack(PROMISE, HOW, "a container (Docker)")
    given = {"engine": daemon.address, "image": IMAGE, "shared": str(tmp_path)}
    check(attendants, "docker", tmp_path, attack, count, **given)
    left = daemon.containers()
    attack.check(left == [], f"left behind: {len(left)} containers")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
def test_of_a_job_of_an_http_api(attendants: Workers, tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "a job of an HTTP API")
    with job_server(tmp_path / "jobs") as server:
        check(attendants, "rest", tmp_path, attack, count, url=server.url)
        attack.check(server.jobs == {}, f"left behind: {list(server.jobs)}")
    attack.finish()


@pytest.mark.parametrize("count", [pytest.param(40, id="many")])
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_of_a_batch_of_livy(attendants: Workers, tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "a batch of Livy")
    with livy_server(tmp_path / "livy", allowed=tmp_path) as server:
        check(attendants, "livy", tmp_path, attack, count, url=server.url)
        backend = LivyBackend(RestConnection(server.url))
        left = list(backend.list())
        backend.close()
        attack.check(left == [], f"left behind: {left}")
    attack.finish()
