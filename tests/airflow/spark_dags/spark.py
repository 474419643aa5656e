"""Spark applications in cluster mode, waited for and deferred."""

from __future__ import annotations

import json
import os
from datetime import datetime

from airflow.sdk import DAG

from tradewind.airflow import SparkSubmitOperator

START = datetime(2021, 1, 1)
GIVEN = json.loads(os.environ["TRADEWIND_TEST_SPARK"])

for system in ("standalone", "yarn"):
    with DAG(f"spark_{system}", schedule=None, start_date=START):
        for deferrable in (False, True):
            SparkSubmitOperator(
                task_id=f"count_{deferrable}",
                conn_id=system,
                application=GIVEN["application"],
                application_args=["--day", "{{ ds }}"],
                conf=GIVEN["conf"],
                driver_memory="512m",
                executor_memory="512m",
                env_vars={**GIVEN["environment"], "COLOUR": "green"},
                spark_binary=GIVEN["binary"],
                post_submit_commands=[f"touch {GIVEN['folder']}/{system}-{deferrable}"],
                deferrable=deferrable,
                poll_interval=1,
            )
        SparkSubmitOperator(
            task_id="wrong",
            conn_id=system,
            application="/nowhere/application.jar",
            java_class="Main",
            spark_binary=GIVEN["binary"],
            env_vars=GIVEN["environment"],
        )
