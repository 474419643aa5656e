"""One DAG a system: work that says in a file when it begins and when it ends, and hands back 42."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from killing_tasks import FOLDER, RUN, Watched, script, training
from tradewind.airflow import (
    DockerOperator,
    HttpJobOperator,
    LivyOperator,
    SageMakerTrainingOperator,
    SparkSubmitOperator,
    SSHOperator,
)
from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator

AGAIN = {"retries": 60, "retry_delay": timedelta(0)}


class ProcessOperator(WorkOperator):
    """Runs a script on this machine."""

    template_fields = ("script",)
    last_line = True

    def __init__(self, *, script: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.script = script

    def backend_spec(self) -> BackendSpec:
        return BackendSpec(
            "tradewind.airflow.backends:open_process", {"root": str(FOLDER / "jobs")}
        )

    def make_work(self, context: Any) -> Any:
        from tradewind.systems.process.backend import Command

        return Command(self.script)


class Process(Watched, ProcessOperator):
    pass


class Docker(Watched, DockerOperator):
    pass


class SSH(Watched, SSHOperator):
    pass


class HttpJob(Watched, HttpJobOperator):
    pass


class Livy(Watched, LivyOperator):
    pass


class SparkSubmit(Watched, SparkSubmitOperator):
    pass


class SageMakerTraining(Watched, SageMakerTrainingOperator):
    pass


with DAG("crash_process", schedule=None):
    Process(task_id="killed", script=script(), **AGAIN)

with DAG("crash_docker", schedule=None):
    Docker(
        task_id="killed",
        image="tradewind-tests/busybox:1",
        network_mode="none",
        mounts=[{"type": "bind", "source": str(FOLDER), "target": "/folder"}],
        command=["sh", "-c", script("/folder")],
        **AGAIN,
    )

with DAG("crash_ssh", schedule=None):
    SSH(
        task_id="killed",
        ssh_conn_id="ssh_default",
        job_folder=str(FOLDER / "jobs"),
        command=script(),
        **AGAIN,
    )

with DAG("crash_http", schedule=None):
    HttpJob(
        task_id="killed",
        http_conn_id="jobs",
        body={"script": script() + " > $TRADEWIND_RESULT"},
        api={
            "start": ["POST", "/jobs"],
            "exit_code": "$.exit_code",
            "log": {"path": "/jobs/{id}/log", "offset": "from", "size": "size"},
            "result_path": "/jobs/{id}/result",
            "environment": "$.env",
        },
        poll_interval=0.5,
        **AGAIN,
    )

with DAG("crash_livy", schedule=None):
    Livy(
        task_id="killed",
        livy_conn_id="livy",
        file=os.environ.get("TRADEWIND_TEST_SCRIPT", "not.py"),
        args=[RUN],
        polling_interval=0.5,
        **AGAIN,
    )

with DAG("crash_spark", schedule=None):
    SparkSubmit(
        task_id="killed",
        conn_id="spark",
        application=os.environ.get("TRADEWIND_TEST_APPLICATION", "not.py"),
        application_args=[RUN],
        job_folder=str(FOLDER / "jobs"),
        poll_interval=0.5,
        **AGAIN,
    )

with DAG("crash_sagemaker", schedule=None):
    SageMakerTraining(task_id="killed", config=training("ours"), check_interval=1, **AGAIN)
