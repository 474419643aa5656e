"""A whole Airflow runs work, and each of its parts is killed in the middle, and started again.

The work runs once, its result is that of the task, and nothing is left.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from attack_report import Attack

from tradewind.local import Systems, up
from tradewind.local.processes import wait_until

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("attack-airflow"),
]
PROMISE = "Work elsewhere runs once, its result is collected, and nothing is left"
DAGS = Path(__file__).parent / "airflow_dags"
DATES = (f"2024-{number // 28 + 1:02}-{number % 28 + 1:02}" for number in itertools.count())
#: The one task of the DAG under attack.
TASK = "work"
SECONDS = 240
SETTINGS = {
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "6",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
}


class Live:
    """A running Airflow.

    Args:
        systems: It.
        folder: Where its work writes.
    """

    def __init__(self, systems: Systems, folder: Path) -> None:
        self.folder = folder
        self._airflow = systems["airflow"]
        login = self._airflow.offer.notes
        given = {"username": login["login"], "password": login["password"]}
        self._token = ""
        self._token = self.ask("POST", "/auth/token", given)["access_token"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self._airflow.offer.endpoint}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", "authorization": f"Bearer {self._token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def patiently(self, method: str, path: str, body: Any = None) -> Any:
        """Ask again while the API server has just been killed, or knows no such DAG yet."""
        last = time.monotonic() + SECONDS
        while True:
            try:
                return self.ask(method, path, body)
            except OSError:
                if time.monotonic() > last:
                    raise
            time.sleep(0.5)

    def kill(self, part: str) -> None:
        """Kill a part with all that it has started, and start it again."""
        children = self._airflow.children
        (child,) = (one for one in children.all if part in map(str, one.process.args))
        for process in psutil.Process(child.pid).children(recursive=True):
            process.kill()
        os.killpg(child.pid, signal.SIGKILL)
        child.process.wait()
        children.all.remove(child)
        port = self._airflow.offer.endpoint.rpartition(":")[2]
        command = [word.format(port=port) for word in COMMANDS[part]]
        environment = dict(self._airflow.offer.environment)
        children.start(command, name=part, environment=environment, grace=2.0)

    def ran(self, date: str) -> list[str]:
        file = self.folder / f"{date}.ran"
        return file.read_text().splitlines() if file.exists() else []


AIRFLOW = str(Path(sys.executable).with_name("airflow"))
COMMANDS = {
    "api-server": [AIRFLOW, "api-server", "--host=127.0.0.1", "--port={port}", "--workers=1"],
    "scheduler": [AIRFLOW, "scheduler", "--skip-serve-logs"],
    "dag-processor": [AIRFLOW, "dag-processor"],
    "triggerer": [AIRFLOW, "triggerer", "--skip-serve-logs"],
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("shared")
    tests = DAGS.parents[1]
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tests), *inherited]))
        patch.setenv("TRADEWIND_TEST_FOLDER", str(folder))
        patch.setenv("TRADEWIND_TEST_AIRFLOW", "A")
        # Each attempt that finds no API server costs one.
        patch.setenv("TRADEWIND_TEST_RETRIES", "50")
        patch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(DAGS))
        for name, value in SETTINGS.items():
            patch.setenv(f"AIRFLOW__{name}", value)
        with up(["airflow"], data=tmp_path_factory.mktemp("live")) as systems:
            yield Live(systems, folder)


#: The parts, and which task each one matters to. A worker is a child of the scheduler.
PARTS = {
    "scheduler": "two_process",
    "a task's process": "two_process",
    "a task's supervisor": "two_process",
    "dag-processor": "two_process",
    "api-server": "two_process",
    "triggerer": "two_deferred_process",
}


@pytest.mark.parametrize("count", [pytest.param(3, id="many")])
@pytest.mark.parametrize("part", PARTS)
def test_work_runs_once_whatever_part_is_killed(live: Live, part: str, count: int):
    attack = Attack(PROMISE, "SIGKILL of a part of a live Airflow, which starts again", part)
    dag = PARTS[part]
    for number in attack.rounds(count):
        date = next(DATES)
        run = f"killed-{date}"
        path = f"/api/v2/dags/{dag}/dagRuns"
        moment = f"{date}T00:00:00Z"
        live.patiently("POST", path, {"dag_run_id": run, "logical_date": moment})
        began = wait_until(partial(live.ran, date), seconds=SECONDS, interval=0.1)
        assert began, "the work has not begun"
        time.sleep(attack.chance.uniform(0, 2))
        try:
            if part in COMMANDS:
                live.kill(part)
            else:
                task = psutil.Process(int((live.folder / "pid").read_text()))
                (task if part == "a task's process" else task.parent() or task).kill()
        except psutil.NoSuchProcess:
            attack.note("where it had ended before")
        finally:
            (live.folder / f"{date}.go-A").touch()

        def state(one: str = f"{path}/{run}") -> str:
            return str(live.patiently("GET", one)["state"])

        wait_until(lambda: state() in ("success", "failed"), seconds=SECONDS, interval=1)
        found = state()
        attack.check(found == "success", f"{number}: the run is {found}")
        ran = live.ran(date)
        attack.check(len(ran) == 1, f"{number}: it ran {len(ran)} times")
        if found == "success":
            task = f"{path}/{run}/taskInstances/{TASK}"
            value = live.patiently("GET", f"{task}/xcomEntries/return_value")["value"]
            attack.check(value == ran[0], f"{number}: XCom {value!r} of {ran}")
        left = [one.name for one in (live.folder / "jobs").glob(f"*{date}*")]
        attack.check(left == [], f"{number}: left behind: {left}")
    attack.finish()
