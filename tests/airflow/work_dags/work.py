"""Operators that run processes of this machine: the life of outside work without another system."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from killing_tasks import Watched
from tradewind.airflow import DockerOperator, SSHOperator
from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator
from tradewind.local.processes import wait_until

FOLDER = Path(os.environ["TRADEWIND_TEST_FOLDER"])
SOON = timedelta(seconds=0)


class ProcessOperator(WorkOperator):
    """Runs a script on this machine."""

    template_fields = ("script",)
    last_line = True

    def __init__(self, *, script: str, longest: float | None = None, **kwargs: Any) -> None:
        super().__init__(**{"poll_interval": 0.5, "retry_delay": SOON, **kwargs})
        self.script = script
        self.longest = longest

    def backend_spec(self) -> BackendSpec:
        arguments = {"root": str(FOLDER / "jobs")}
        return BackendSpec("tradewind.airflow.backends:open_process", arguments)

    def make_work(self, context: Any) -> Any:
        from tradewind.systems.process.backend import Command

        return Command(self.script, folder=str(FOLDER))

    def longest_run(self) -> float | None:
        return self.longest


class WatchedOperator(Watched, ProcessOperator):
    pass


class WatchedDockerOperator(Watched, DockerOperator):
    pass


class WatchedSSHOperator(Watched, SSHOperator):
    pass


class Meeting:
    """Waits for another attempt of the same task before it begins."""

    def execute(self, context: Any) -> Any:
        folder = FOLDER / "met" / context["dag"].dag_id / context["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(os.getpid())).touch()
        assert wait_until(lambda: len(list(folder.iterdir())) >= 2, seconds=60, interval=0.001)
        return super().execute(context)  # type: ignore[misc]


class MeetingOperator(Meeting, ProcessOperator):
    pass


class MeetingDockerOperator(Meeting, DockerOperator):
    pass


class MeetingSSHOperator(Meeting, SSHOperator):
    pass


WATCHED = (WatchedOperator, WatchedSSHOperator, WatchedDockerOperator)
MEETING = (MeetingOperator, MeetingSSHOperator, MeetingDockerOperator)

with DAG("work_results", schedule=None):
    ProcessOperator(
        task_id="json",
        script='echo hello; echo \'{"rows": 3, "day": "{{ ds }}"}\' > "$TRADEWIND_RESULT"',
    )
    ProcessOperator(task_id="text", script='printf plain > "$TRADEWIND_RESULT"')
    ProcessOperator(task_id="last_line", script="echo first; echo last")
    ProcessOperator(task_id="nothing", script="true")
    ProcessOperator(task_id="no_push", script="echo 12", do_xcom_push=False)
    ProcessOperator(
        task_id="told",
        script='env | grep -E "^(TRADEWIND_(OWNER|LOG|DATA)|AIRFLOW_CTX)" > "$TRADEWIND_RESULT"',
    )
    ProcessOperator(task_id="skipped", script="exit 99", skip_on_exit_code=99)
    ProcessOperator(task_id="long", script='seq 20000 > "$TRADEWIND_RESULT"')
    ProcessOperator.partial(task_id="mapped").expand(script=["echo a", "echo b"])

with DAG("work_deferred", schedule=None):
    ProcessOperator(
        task_id="deferred",
        deferrable=True,
        script='for n in 1 2 3; do echo "line $n of it"; sleep 0.4; done; '
        'echo \'["handed back"]\' > "$TRADEWIND_RESULT"',
    )
    ProcessOperator(task_id="failing", deferrable=True, script="echo last words; exit 7")
    ProcessOperator(
        task_id="skipped", deferrable=True, script="exit 99", skip_on_exit_code=[98, 99]
    )

with DAG("work_fails", schedule=None):
    ProcessOperator(task_id="large", script='seq 2000 > "$TRADEWIND_RESULT"', result_limit=1000)
    ProcessOperator(task_id="large_line", script="seq -s, 2000", result_limit=1000)
    ProcessOperator(task_id="code", script="echo last words; exit 3")
    ProcessOperator(task_id="slow", script="echo $$; sleep 300", longest=1)
    ProcessOperator(task_id="timeout", script="sleep 300", execution_timeout=timedelta(seconds=1.5))

with DAG("work_retried", schedule=None):
    ProcessOperator(
        task_id="second", retries=1, script="echo x >> second; [ $(wc -l < second) = 2 ]"
    )

with DAG("work_killed", schedule=None):
    WatchedOperator(
        task_id="killed",
        retries=60,
        script='echo "$TRADEWIND_OWNER" >> effects; echo running; sleep 0.3; echo 42',
    )


def on_each(
    dag_id: str, script: str, operators: tuple[Any, Any, Any] = WATCHED, **more: Any
) -> None:
    """Declare the same work on three systems; FOLDER in its script is where the test looks."""
    more = {"retries": 1, "retry_delay": SOON, "poll_interval": 0.5, **more}
    here = script.replace("FOLDER", str(FOLDER))
    with DAG(f"{dag_id}_process", schedule=None):
        operators[0](task_id="work", script=here, **more)
    with DAG(f"{dag_id}_ssh", schedule=None):
        operators[1](
            task_id="work",
            ssh_conn_id="ssh_default",
            job_folder=str(FOLDER / "jobs"),
            command=here,
            **more,
        )
    with DAG(f"{dag_id}_docker", schedule=None):
        operators[2](
            task_id="work",
            image="tradewind-tests/busybox:1",
            network_mode="none",
            mounts=[{"type": "bind", "source": str(FOLDER), "target": "/folder"}],
            command=["sh", "-c", script.replace("FOLDER", "/folder")],
            **more,
        )


for kind, how in {"": {}, "_deferred": {"deferrable": True}}.items():
    on_each(f"ended{kind}", "echo seen; echo $$ > FOLDER/begun; sleep 300", **how)
    on_each(
        f"cleared{kind}",
        "echo x >> FOLDER/cleared; echo seen; echo $$ > FOLDER/begun; "
        "[ $(wc -l < FOLDER/cleared) = 2 ] || sleep 300; echo again",
        **how,
    )
    on_each(
        f"left{kind}",
        "echo x >> FOLDER/left; echo seen; echo $$ > FOLDER/begun; "
        "while ! [ -e FOLDER/go ]; do sleep 0.1; done; echo done",
        **how,
    )
    on_each(
        f"timed_out{kind}",
        "echo seen; echo $$ > FOLDER/begun; sleep 300",
        **{"execution_timeout": timedelta(seconds=3), "retries": 0, **how},
    )

on_each(
    "met",
    "echo $$ >> FOLDER/ran; sleep 0.3; echo done",
    MEETING,
)
