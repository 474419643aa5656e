"""Runs DAGs of a folder in a process of its own, told what to do on stdin, one JSON object a line.

    {"dag": "id", "date": "2026-01-01"}  ->  states, XComs, rendered fields and asset events

With ``"clear": true`` the run is cleared and run again, as a person would. Everything that Airflow
prints, the tasks' logs too, goes to a file. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Runs:
    """The other side, used by tests.

    Args:
        home: AIRFLOW_HOME with a metadata database.
        dags: Folder of the DAG files.
        environment: Beside that of this process: connections, say.
    """

    def __init__(self, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        self.log_file = home / "runs.log"
        with self.log_file.open("a") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env=airflow_environment(home, dags, environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def run(self, dag: str, date: str = "2026-01-01", **more: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        before = len(self.log)
        self._process.stdin.write(json.dumps({"dag": dag, "date": date, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended:\n{self.log[-4000:]}"
        return {**json.loads(line), "log": self.log[before:]}

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def close(self) -> None:
        self._process.communicate(timeout=60)


def airflow_environment(home: Path, dags: Path, more: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **more,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONWARNINGS": "ignore",
    }


def make_home(home: Path, python: str = sys.executable) -> None:
    """Make the metadata database."""
    subprocess.run(
        [Path(python).with_name("airflow"), "db", "migrate"],
        env=airflow_environment(home, home, {}),
        capture_output=True,
        check=True,
    )


@contextmanager
def runs(home: Path, dags: Path, environment: Mapping[str, str]) -> Iterator[Runs]:
    one = Runs(home, dags, environment)
    try:
        yield one
    finally:
        one.close()


# --- in the process


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answer = run(**json.loads(line))
        print(json.dumps(answer, default=str), file=answers, flush=True)
    sys.stderr.flush()
    os._exit(0)


def run(
    dag: str, date: str, conf: dict[str, Any] | None = None, clear: bool = False
) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from sqlalchemy import select

    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if dag not in bag.dags:
        return {"errors": {str(path): text for path, text in bag.import_errors.items()}}
    done = bag.dags[dag].test(logical_date=timezone.parse(date), run_conf=conf or {})
    if clear:
        run_again(bag.dags[dag], done)
    with create_session() as session:
        here = {"dag_id": dag, "run_id": done.run_id}
        xcoms = session.scalars(select(XComModel).filter_by(**here)).all()
        fields = session.scalars(select(RenderedTaskInstanceFields).filter_by(**here)).all()
        events = session.execute(
            select(AssetModel.uri, AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetEvent.source_dag_id == dag, AssetEvent.source_run_id == done.run_id)
            .order_by(AssetEvent.id)
        ).all()
        return {
            "state": str(done.state),
            "tasks": {each.task_id: str(each.state) for each in done.get_task_instances()},
            "tries": {each.task_id: each.try_number for each in done.get_task_instances()},
            "xcoms": {
                each.task_id: XComModel.deserialize_value(each)
                for each in xcoms
                if each.key == "return_value"
            },
            "rendered": {each.task_id: each.rendered_fields for each in fields},
            "events": dict(map(tuple, events)),
        }


def run_again(dag: Any, done: Any) -> None:
    """Clear all tasks of a run, as the user interface does, and run them one by one."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from sqlalchemy import select

    mine = select(TaskInstance).filter_by(dag_id=dag.dag_id, run_id=done.run_id)
    with create_session() as session:
        clear_task_instances(session.scalars(mine).all(), session)
    with create_session() as session:
        for ti in session.scalars(mine).all():
            ti.try_number += 1
            session.commit()
            _run_task(ti=ti, task=dag.task_dict[ti.task_id])


if __name__ == "__main__":
    main()
