"""Runs the DAG digits in a process of its own, told what to do on stdin, one JSON object a line.

    {"date": "2026-01-01", "conf": {...}}  ->  {"state": "success", "tasks": {"...": "success"}}
    {"date": null}                             a run without a logical date
    {"date": ..., "only": "task"}              all other tasks count as done; no retries
    {"look": {"NAME": "value"}}            ->  what the DAG folder holds, with these variables set

Everything that Airflow prints goes to stderr. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

PIPELINES = Path(__file__).parents[1] / "pipelines"


class Driver:
    """The other side, used by tests.

    Args:
        home: AIRFLOW_HOME, with a metadata database.
        environment: Of the systems to work on, and what else is to be set.
        log: File for what Airflow prints.
    """

    def __init__(self, home: Path, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env=airflow_environment(home, environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def send(self, **request: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the process ended:\n{self.log[-4000:]}"
        return dict(json.loads(line))

    def run(self, date: str | None, **conf: Any) -> dict[str, Any]:
        self.send(date=date, conf=conf)
        return self.receive()

    @property
    def log(self) -> str:
        """What Airflow printed so far."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        self._process.communicate(timeout=60)


def airflow_environment(home: Path, environment: dict[str, str]) -> dict[str, str]:
    """Environment for an Airflow of the tests."""
    return {
        **os.environ,
        **environment,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PIPELINES),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Nothing here is to go through a proxy of the surroundings.
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def driver(home: Path, environment: dict[str, str], log: Path) -> Iterator[Driver]:
    one = Driver(home, environment, log)
    try:
        yield one
    finally:
        one.close()


# --- in the process


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        if "look" in request:
            answer = look(request["look"])
        else:
            answer = run(request["date"], request.get("conf") or {}, request.get("only"))
        print(json.dumps(answer), file=answers, flush=True)
    # Airflow's API server, which runs tasks' requests inside this process, takes long to wind down.
    sys.stderr.flush()
    os._exit(0)


def run(date: str | None, conf: dict[str, Any], only: str | None) -> dict[str, Any]:
    from airflow.sdk import timezone

    dag = _bag().dags["digits"]
    skipped = None
    if only:
        skipped = "|".join(each.task_id for each in dag.tasks if each.task_id != only)
        for each in dag.tasks:
            each.retries = 0
    logical_date = None if date is None else timezone.parse(date)
    done = dag.test(logical_date=logical_date, run_conf=conf, mark_success_pattern=skipped)
    tasks = {each.task_id: str(each.state) for each in done.get_task_instances()}
    return {"state": str(done.state), "tasks": tasks}


def look(variables: dict[str, str]) -> dict[str, Any]:
    import socket

    from airflow.utils.file import list_py_file_paths

    def refuse(*_: Any) -> None:
        raise AssertionError("the DAG file opened a connection while it was read")

    with patch.object(socket.socket, "connect", refuse), patch.dict(os.environ, variables):
        bag = _bag()
    dag = bag.dags.get("digits")
    return {
        "errors": {str(path): error for path, error in bag.import_errors.items()},
        "dags": sorted(bag.dags),
        "files": sorted(
            str(Path(each).relative_to(PIPELINES)) for each in list_py_file_paths(PIPELINES)
        ),
        "tasks": {
            each.task_id: {
                "downstream": sorted(each.downstream_task_ids),
                "class": [kind.__name__ for kind in type(each).__mro__],
                "at_once": each.max_active_tis_per_dag,
            }
            for each in (dag.tasks if dag else [])
        },
        "schedule": str(dag.schedule) if dag else None,
        "params": {name: dag.params[name] for name in dag.params} if dag else {},
        "heavy": sorted({"matplotlib", "sklearn", "scipy", "PIL"} & set(sys.modules)),
    }


def _bag() -> Any:
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(PIPELINES, bundle_path=PIPELINES, bundle_name="dags-folder")


if __name__ == "__main__":
    main()
