"""The work of tests/airflow/crash_dags/crash.py by the official operators, for bench_crash.py.

Each is set so that it leaves as little as it can: containers are removed whatever happens, the
folders of remote jobs too. What is not set here has its default.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.providers.apache.livy.operators.livy import LivyOperator
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.ssh.operators.ssh import SSHOperator
from airflow.providers.ssh.operators.ssh_remote_job import SSHRemoteJobOperator
from airflow.sdk import DAG
from docker.types import Mount

from killing_tasks import FOLDER, RUN, Watched, script, training

AGAIN = {
    "task_id": "killed",
    "retries": 5,
    "retry_delay": timedelta(0),
    "execution_timeout": timedelta(minutes=2),
}


class Docker(Watched, DockerOperator):
    """DockerOperator."""


class SSH(Watched, SSHOperator):
    """SSHOperator."""


class SSHRemoteJob(Watched, SSHRemoteJobOperator):
    """SSHRemoteJobOperator."""


class Livy(Watched, LivyOperator):
    """LivyOperator."""


class SparkSubmit(Watched, SparkSubmitOperator):
    """SparkSubmitOperator."""


class SageMakerTraining(Watched, SageMakerTrainingOperator):
    """SageMakerTrainingOperator."""


with DAG("official_docker", schedule=None):
    Docker(
        image="tradewind-tests/busybox:1",
        network_mode="none",
        mounts=[Mount("/folder", str(FOLDER), type="bind")],
        mount_tmp_dir=False,
        command=["sh", "-c", script("/folder")],
        auto_remove="force",
        **AGAIN,
    )

with DAG("official_ssh", schedule=None):
    SSH(ssh_conn_id="ssh_default", command=script(), **AGAIN)

with DAG("official_ssh_remote", schedule=None):
    SSHRemoteJob(
        ssh_conn_id="ssh_default",
        command=script(),
        remote_base_dir=str(FOLDER / "remote-jobs"),
        poll_interval=1,
        cleanup="always",
        **AGAIN,
    )

with DAG("official_livy", schedule=None):
    Livy(
        livy_conn_id="livy",
        file=os.environ.get("TRADEWIND_TEST_SCRIPT", ""),
        args=[RUN],
        polling_interval=1,
        **AGAIN,
    )

with DAG("official_spark", schedule=None):
    SparkSubmit(
        conn_id="spark",
        application=os.environ.get("TRADEWIND_TEST_APPLICATION", ""),
        application_args=[RUN],
        **AGAIN,
    )

with DAG("official_sagemaker", schedule=None):
    SageMakerTraining(
        config=training("official"),
        wait_for_completion=True,
        check_interval=1,
        # With its log, it looks at a job that has begun each 30 s, whatever the interval.
        print_log=False,
        **AGAIN,
    )
