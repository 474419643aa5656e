"""Jobs of an HTTP API and batches of Livy, waited for and deferred."""

from __future__ import annotations

import os
from datetime import datetime

from airflow.sdk import DAG
from requests.auth import HTTPBasicAuth

from tradewind.airflow import HttpJobOperator, LivyOperator

START = datetime(2021, 1, 1)
SCRIPTS = os.environ["TRADEWIND_TEST_SCRIPTS"]
API = {
    "start": ["POST", "/jobs"],
    "exit_code": "$.exit_code",
    "log": {"path": "/jobs/{id}/log", "offset": "from", "size": "size"},
    "result_path": "/jobs/{id}/result",
    "environment": "$.env",
}
JOB = {
    "script": "echo hello $GREETED on {{ ds }}; sleep 1; echo last words; "
    """printf '{"rows": 3, "task": "%s"}' $AIRFLOW_CTX_TASK_ID > $TRADEWIND_RESULT""",
    "env": {"GREETED": "world"},
}

with DAG("http_jobs", schedule=None, start_date=START):
    for deferrable in (False, True):
        HttpJobOperator(
            task_id=f"job_{deferrable}",
            http_conn_id="jobs",
            body=JOB,
            api=API,
            deferrable=deferrable,
            poll_interval=0.5,
        )
    HttpJobOperator(
        task_id="failing", http_conn_id="jobs", body={"script": "echo why; exit 7"}, api=API
    )
    HttpJobOperator(task_id="wrong", http_conn_id="jobs", body={"nothing": 1}, api=API, retries=3)

with DAG("livy_batches", schedule=None, start_date=START):
    for deferrable in (False, True):
        LivyOperator(
            task_id=f"batch_{deferrable}",
            file=f"{SCRIPTS}/good.sh",
            args=["{{ ds }}", 2],
            conf={"spark.executorEnv.GREETED": "world"},
            driver_memory="1g",
            num_executors="2",
            livy_conn_id="livy",
            livy_conn_auth_type=HTTPBasicAuth,
            livy_endpoint_prefix="/gateway/livy/",
            polling_interval=0.5,
            deferrable=deferrable,
        )
    LivyOperator(
        task_id="not_waited_for",
        file=f"{SCRIPTS}/slow.sh",
        livy_conn_id="livy",
        livy_endpoint_prefix="gateway/livy",
    )
    LivyOperator(
        task_id="failing",
        file=f"{SCRIPTS}/bad.sh",
        livy_conn_id="livy",
        livy_endpoint_prefix="gateway/livy",
        polling_interval=1,
    )
