"""Tasks that have a secret to hide, those that fail too."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from tradewind.airflow import (
    DockerOperator,
    HttpToS3Operator,
    Objects,
    Sql,
    SSHOperator,
    TransferOperator,
)

FOLDER = os.environ["TRADEWIND_TEST_FOLDER"]
QUERY = "SELECT 1 AS id"
TOKEN = "{{ conn.token.password }}"

with DAG("secrets", schedule=None):
    to = Objects(f"file://{FOLDER}/rows.csv")
    TransferOperator(task_id="move", source=Sql("postgres_default", QUERY), target=to)
    TransferOperator(task_id="wrong_postgres", source=Sql("wrong_postgres", QUERY), target=to)
    TransferOperator(
        task_id="wrong_aws",
        source=Sql("postgres_default", QUERY),
        target=Objects("s3://attack-secrets/rows.csv", "wrong_aws"),
    )
    DockerOperator(
        task_id="docker",
        image="tradewind-tests/busybox:1",
        network_mode="none",
        command=["sh", "-c", 'test -n "$TOKEN" && test -n "$OTHER" && echo fine'],
        environment={"TOKEN": TOKEN},
        private_environment={"OTHER": TOKEN},
    )
    SSHOperator(
        task_id="ssh",
        ssh_conn_id="ssh_default",
        job_folder=f"{FOLDER}/jobs",
        command='test -n "$TOKEN" && echo fine',
        environment={"TOKEN": TOKEN},
    )
    HttpToS3Operator(
        task_id="wrong_http",
        http_conn_id="jobs",
        endpoint="nothing/here?token={{ conn.token.password }}",
        s3_bucket="not-there",
        s3_key="x.json",
    )
    SSHOperator(
        task_id="wrong_work",
        ssh_conn_id="ssh_default",
        job_folder=f"{FOLDER}/jobs",
        command='test -z "$TOKEN"',
        environment={"TOKEN": TOKEN},
    )
