"""Code in sessions of Livy, waited for and deferred."""

from __future__ import annotations

from airflow.sdk import DAG
from requests.auth import HTTPBasicAuth

from tradewind.airflow import LivySessionOperator

GATED = {"livy_conn_id": "gated", "livy_endpoint_prefix": "gateway/livy"}

with DAG("livy_sessions", schedule=None):
    for deferrable in (False, True):
        LivySessionOperator(
            task_id=f"session_{deferrable}",
            code="import time\ntime.sleep(1)\njson = {'day': '{{ ds }}'[:4]}",
            conf={"spark.executorEnv.GREETED": "world"},
            num_executors="2",
            livy_conn_auth_type=HTTPBasicAuth,
            poll_interval=0.5,
            deferrable=deferrable,
            **GATED,
        )
    LivySessionOperator(task_id="failing", code="raise ValueError('too few')", **GATED)
