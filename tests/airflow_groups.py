"""Runs whole DAG runs, task by task, each attempt by Airflow's own supervisor in a forked child.

What a scheduler decides is asked of Airflow: which tasks are due, how a mapped task expands, what
is skipped. A task whose child dies by SIGKILL is retried while it has retries, as a scheduler does
that hears of it from its executor. Runs of one order take turns: none is ever ahead by a task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_runs import airflow_environment


class Groups:
    """The other side, used by tests.

    Args:
        home: AIRFLOW_HOME with a metadata database.
        dags: Folder of the DAG files.
        environment: Beside that of this process: connections, say.
    """

    def __init__(self, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        self.log_file = home / "groups.log"
        with self.log_file.open("a") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env=airflow_environment(home, dags, environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def run(
        self,
        dags: Sequence[str],
        date: str,
        *,
        die_in: str = "",
        die_at: str = "",
        sweep: str = "",
    ) -> list[dict[str, Any]]:
        """Run DAGs until they have ended.

        Args:
            dags: Their ids; their runs take turns.
            date: Their logical date.
            die_in: Id of a task, ``group.move[1]``, whose first attempt dies.
            die_at: Where, as `killing_tasks` has it.
            sweep: A place of files whose leftovers are judged after each task.

        Returns:
            Of each: ``state``, ``tasks`` and ``tries`` by id, ``xcom`` of its tasks by id,
            ``points`` of the attempt of `die_in`, ``certain``: what a sweep would have removed
            while it ran.
        """
        assert self._process.stdin
        assert self._process.stdout
        order = {"dags": dags, "date": date, "die_in": die_in, "die_at": die_at, "sweep": sweep}
        before = len(self.log)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended:\n{self.log[-6000:]}"
        log = self.log[before:]
        return [{**told, "log": log} for told in json.loads(line)]

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def close(self) -> None:
        self._process.communicate(timeout=60)


# --- in the process


def main() -> None:
    from airflow_supervised import BAGS

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sync(BAGS)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line)), default=str), file=answers, flush=True)
    os._exit(0)


def sync(bags: dict[str, Any]) -> None:
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    bags["bag"] = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    assert not bags["bag"].import_errors, bags["bag"].import_errors
    with create_session() as session:
        if session.get(DagBundleModel, "dags-folder") is None:
            session.add(DagBundleModel(name="dags-folder"))
    sync_bag_to_db(bags["bag"], "dags-folder", None)


def run(
    dags: Sequence[str], date: str, die_in: str, die_at: str, sweep: str
) -> list[dict[str, Any]]:
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    moment = timezone.parse(date)
    found: set[str] = set()
    with create_session() as session:
        for dag in dags:
            serialized = DBDagBag().get_latest_version_of_dag(dag, session=session)
            assert serialized is not None
            serialized.create_dagrun(
                run_id=f"group-{date}",
                logical_date=moment,
                data_interval=(moment, moment),
                run_after=moment,
                run_type=DagRunType.MANUAL,
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                session=session,
            )
    folder = Path(os.environ["TRADEWIND_TEST_FOLDER"])
    for name in ("died", "points"):
        (folder / name).unlink(missing_ok=True)
    going = list(dags)
    while going:
        for dag in list(going):
            if not step(dag, f"group-{date}", die_in, die_at):
                going.remove(dag)
            elif sweep:
                found |= certain(sweep)
    points = folder / "points"
    return [
        {
            **told(dag, f"group-{date}"),
            "points": json.loads(points.read_text()) if points.exists() else {},
            "died": (folder / "died").exists(),
            "certain": sorted(found),
        }
        for dag in dags
    ]


def step(dag: str, run_id: str, die_in: str, die_at: str) -> bool:
    """Run one attempt of a task that is due; tell whether the run goes on."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    from airflow_supervised import attempt

    with create_session() as session:
        dr = session.scalars(select(DagRun).filter_by(dag_id=dag, run_id=run_id)).one()
        dr.dag = DBDagBag().get_latest_version_of_dag(dag, session=session)
        schedulable, _ = dr.update_state(session=session)
        if str(dr.state) != "running":
            return False
        if not schedulable:
            return True  # what is due was decided just now: skipped, say
        ti = min(schedulable, key=lambda one: (one.task_id, one.map_index))
        ti.try_number += 1
        ti.state = TaskInstanceState.QUEUED
        key = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
        first, ident = ti.try_number == 1, ti.id
    os.environ["TRADEWIND_DIE_IN"] = key
    os.environ["TRADEWIND_DIE_AT"] = die_at if key == die_in and first else ""
    os.environ["TRADEWIND_WATCHED"] = "1" if key == die_in and first else ""
    mine = select(TaskInstance).filter_by(id=ident)
    attempt(mine)
    with create_session() as session:
        ti = session.scalars(mine).one()
        if str(ti.state) in ("running", "queued"):  # it was killed
            again = ti.try_number <= ti.max_tries
            ti.set_state(
                TaskInstanceState.UP_FOR_RETRY if again else TaskInstanceState.FAILED,
                session=session,
            )
    return True


def certain(place: str) -> set[str]:
    """Tell what `tradewind sweep` would remove at this moment."""
    from datetime import UTC, datetime

    from tradewind.airflow.task_runs import TaskRuns
    from tradewind.move.objects.uris import store_of
    from tradewind.sweep.leftover import judge
    from tradewind.sweep.objects import leftovers_of_objects

    store, prefix = store_of(place, {})
    found = list(leftovers_of_objects("files", store, prefix))
    judged = judge(found, TaskRuns().ask, now=datetime.now(UTC))
    return {f"{one.what}: {one.reason}" for one in judged if one.certain}


def told(dag: str, run_id: str) -> dict[str, Any]:
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        dr = session.scalars(select(DagRun).filter_by(dag_id=dag, run_id=run_id)).one()
        xcoms = session.scalars(
            select(XComModel).filter_by(dag_id=dag, run_id=run_id, key="return_value")
        ).all()

        def name(one: Any) -> str:
            return str(one.task_id if one.map_index < 0 else f"{one.task_id}[{one.map_index}]")

        return {
            "state": str(dr.state),
            "tasks": {name(each): str(each.state) for each in dr.get_task_instances()},
            "tries": {name(each): each.try_number for each in dr.get_task_instances()},
            "xcom": {name(each): XComModel.deserialize_value(each) for each in xcoms},
        }


if __name__ == "__main__":
    main()
