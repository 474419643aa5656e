"""Runs one task by Airflow's own supervisor, in a child that it forks, as a worker does.

Orders stand on stdin, one JSON object a line; see `Supervised`. Needs what `airflow_runs` needs.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_runs import airflow_environment


class Supervised:
    """The other side, used by tests.

    Args:
        home: AIRFLOW_HOME with a metadata database.
        dags: Folder of the DAG files.
        environment: Beside that of this process: connections, say.
        preload: Modules that are imported once, before a child is forked for each attempt.
        python: The interpreter, when it is not this one.
        heartbeat: Seconds between two times that a task's supervisor asks whether it may go on.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str],
        *,
        preload: Sequence[str] = (),
        python: str = sys.executable,
        heartbeat: int = 1,
    ) -> None:
        self.log_file = home / "supervised.log"
        more = {
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(heartbeat),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "6",
        }
        with self.log_file.open("a") as stderr:
            self._process = subprocess.Popen(
                [python, __file__, *preload],
                env=airflow_environment(home, dags, {**environment, **more}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def run(self, dag: str, **order: Any) -> dict[str, Any]:
        """Run attempts of a DAG's only task until none is left.

        Args:
            dag: Its id.
            order: ``date``; ``die_at``: where attempts die, one after the other, as
                `killing_tasks` has it; ``counted``: the packages whose lines are counted;
                ``environment``: more of it from now on;
                ``when`` and ``then``: what happens when a file is there: ``drain`` sends SIGTERM,
                ``fail``, ``succeed`` and ``clear`` are a person's, the last three of a
                task that is deferred where ``triggerer`` says that one runs. Where none does, its
                trigger runs in this process;
                ``once``: make one attempt only;
                ``beside``: make the next attempt while another one of these processes still makes
                that of the same run;
                ``again``: go on with the run that is there;
                ``deleted``: delete the run that is there, and make it again under its id.

        Returns:
            ``state``, ``exits``, ``died``, ``points`` of the last attempt, ``all_points`` of all
            that came to an end, and ``xcom``.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"dag": dag, **order}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended:\n{self.log_file.read_text()[-6000:]}"
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        self._process.communicate(timeout=60)


# --- in the process


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line)), default=str), file=answers, flush=True)
    os._exit(0)


BAGS: dict[str, Any] = {}


def run(
    dag: str,
    date: str = "2026-01-01",
    die_at: tuple[str, ...] = (),
    counted: str = "tradewind",
    environment: dict[str, str] | None = None,
    triggerer: bool = False,
    when: str | None = None,
    then: str | None = None,
    once: bool = False,
    beside: bool = False,
    again: bool = False,
    deleted: bool = False,
) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.models.dagbag import DBDagBag
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    run_id = f"supervised-{date}"
    mine = select(TaskInstance).filter_by(dag_id=dag, run_id=run_id)
    if beside:
        waiting = Path(os.environ["TRADEWIND_TEST_FOLDER"]) / "met" / dag / run_id
        give_up(mine, waiting)
    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    if not BAGS:
        BAGS["bag"] = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
        with create_session() as session:
            from airflow.models.dagbundle import DagBundleModel

            if session.get(DagBundleModel, "dags-folder") is None:
                session.add(DagBundleModel(name="dags-folder"))
        sync_bag_to_db(BAGS["bag"], "dags-folder", None)
    moment = timezone.parse(date)
    if deleted:
        delete_run(dag, run_id)
    with create_session() as session:
        serialized = DBDagBag().get_latest_version_of_dag(dag, session=session)
        assert session.get(DagModel, dag)
        beside or again or serialized.create_dagrun(
            run_id=run_id,
            logical_date=moment,
            data_interval=(moment, moment),
            run_after=moment,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            triggered_by=DagRunTriggeredByType.TEST,
            session=session,
        )
    tests = Path(os.environ["TRADEWIND_TEST_FOLDER"])
    exits: list[int] = []
    died: list[Any] = []
    points: list[Any] = []
    os.environ.update(environment or {})
    dies = list(die_at)
    while True:
        with create_session() as session:
            ti = session.scalars(mine).one()
            if ti.state in ("success", "failed", "skipped"):
                break
            if ti.state == "deferred":
                if triggerer:
                    wait_for_triggerer(mine)
                else:
                    watch(ti)
                continue
            # Of a worker that died the scheduler learns from its executor, and lets it be retried.
            known = (None, "up_for_retry", "restarting", "running", "scheduled")
            assert ti.state in known, ti.state
            if ti.state != "scheduled":  # by its trigger
                assert ti.try_number <= ti.max_tries, "no retry is left"
                ti.try_number += 1
            ti.state = TaskInstanceState.QUEUED
        os.environ["TRADEWIND_DIE_AT"] = dies.pop(0) if dies else ""
        os.environ["TRADEWIND_COUNTED"] = counted
        for name in ("died", "points"):
            (tests / name).unlink(missing_ok=True)
        if then is not None:
            given = (when, then, mine, triggerer)
            threading.Thread(target=interfere, args=given, daemon=True).start()
            then = None
        exits.append(attempt(mine))
        if (tests / "died").exists():
            died.append(json.loads((tests / "died").read_text()))
        elif (tests / "points").exists():
            points.append(json.loads((tests / "points").read_text()))
        if once:
            break
    with create_session() as session:
        ti = session.scalars(mine).one()
        xcoms = session.scalars(
            select(XComModel).filter_by(dag_id=dag, run_id=run_id, key="return_value")
        ).all()
        return {
            "state": str(ti.state),
            "exits": exits,
            "died": died,
            "points": points[-1] if points else {},
            "all_points": points,
            "xcom": [XComModel.deserialize_value(each) for each in xcoms],
        }


def delete_run(dag: str, run_id: str) -> None:
    """Do what the user interface does."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag, DagRun.run_id == run_id))


def attempt(mine: Any) -> int:
    """Let the supervisor run it."""
    from airflow.executors.workloads import BundleInfo
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.api.datamodels._generated import TaskInstance as Described
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task
    from airflow.utils.session import create_session

    with create_session() as session:
        ti: TaskInstance = session.scalars(mine).one()
        described = Described(
            id=ti.id,
            task_id=ti.task_id,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            try_number=ti.try_number,
            map_index=ti.map_index,
            dag_version_id=ti.dag_version_id,
        )
    dag = BAGS["bag"].dags[described.dag_id]
    return supervise_task(
        ti=described,
        bundle_info=BundleInfo(name="dags-folder"),
        dag_rel_path=Path(dag.fileloc).name,
        token="",
        client=InProcessTestSupervisor._api_client(dag),
        subprocess_logs_to_stdout=True,
    )


def watch(ti: Any) -> None:
    """Do what a triggerer does."""
    from airflow._shared.module_loading import import_string
    from airflow.models.trigger import Trigger
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.get(Trigger, ti.trigger_id)
        trigger = import_string(row.classpath)(**row.kwargs)
    event = InProcessTestSupervisor.run_trigger_in_process(trigger=trigger, ti=ti)
    Trigger.submit_event(ti.trigger_id, event)


def wait_for_triggerer(mine: Any) -> None:
    """Do what a scheduler does meanwhile."""
    import logging
    from types import SimpleNamespace

    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.utils.session import create_session

    scheduler: Any = SimpleNamespace(log=logging.getLogger("scheduler"))
    last = time.monotonic() + 120
    while True:
        assert time.monotonic() < last, "no triggerer has done anything"
        SchedulerJobRunner.check_trigger_timeouts(scheduler)
        with create_session() as session:
            if session.scalars(mine).one().state != "deferred":
                return
        time.sleep(0.2)


def give_up(mine: Any, waiting: Path) -> None:
    """Do what a scheduler does that has heard nothing of a running task for too long.

    Args:
        mine: Selects the task.
        waiting: Where the attempt leaves a file when it waits for the other one. Its supervisor has
            said by then that it is there, and asks no more for a while.
    """
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    last = time.monotonic() + 60
    while time.monotonic() < last:
        with create_session() as session:
            ti = session.scalars(mine).one_or_none()
            if ti is not None and ti.state == "running" and any(waiting.glob("*")):
                ti.prepare_db_for_next_try(session)
                ti.state = TaskInstanceState.UP_FOR_RETRY
                return
        time.sleep(0.05)
    raise AssertionError("the other attempt has not begun")


def interfere(when: str, then: str, mine: Any, deferred: bool) -> None:
    """Do what a person, a scheduler or a worker that goes away does."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    while not Path(when).exists():
        time.sleep(0.02)
    folder = Path(os.environ["TRADEWIND_TEST_FOLDER"])
    if then == "drain":
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        return
    while deferred:
        with create_session() as session:
            deferred = session.scalars(mine).one().state != "deferred"
        time.sleep(0.1)
    with create_session() as session:
        ti = session.scalars(mine).one()
        if then == "clear":
            clear_task_instances([ti], session)
        elif then == "reset":  # as a scheduler does with what it takes for orphaned
            ti.prepare_db_for_next_try(session)
            ti.state = None
        else:
            state = {"fail": TaskInstanceState.FAILED, "succeed": TaskInstanceState.SUCCESS}[then]
            ti.set_state(state, session=session)


if __name__ == "__main__":
    main()
