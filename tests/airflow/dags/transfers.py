"""What `TransferOperator` is asked to do by tests/airflow/test_transfer.py."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, task

from tradewind.airflow import MongoCollection, Objects, Sql, Table, TransferOperator

FOLDER = os.environ.get("TRADEWIND_TEST_FOLDER", "/tmp")
QUERY = "SELECT * FROM (VALUES (1, 'a', '{{ ds }}'), (2, NULL, '')) AS t (id, name, day)"


def dag(name: str, **more: Any) -> DAG:
    return DAG(
        name, schedule=None, default_args={"retries": 0, "retry_delay": timedelta(0), **more}
    )


with dag("to_table"):
    TransferOperator(
        task_id="move",
        source=Sql(
            "postgres_default",
            "SELECT %(id)s::int AS id, '{{ ds }}'::date AS day, %(word)s AS word",
            parameters={"id": 7, "word": "{{ ds_nodash }}"},
        ),
        target=Table("postgres_default", "airflow_words", create=True),
        outlets=[Asset("postgres://shop/postgres/public/airflow_words")],
    )

with dag("from_file", retries=0):
    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "words.sql", parameters=["{{ ds }}"]),
        target=Table("postgres_default", "airflow_file", create=True, mode="replace"),
    )

with dag("fails_once", retries=1):

    def stumble(batch: Any) -> Any:
        mark = Path(FOLDER) / "stumbled"
        if batch.num_rows and not mark.exists():
            mark.touch()
            raise ConnectionError("the first attempt fails")
        return batch

    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT 1 AS id"),
        target=Table("postgres_default", "airflow_once", create=True),
        transform=stumble,
    )

with dag("life", retries=1):
    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT '{{ ti.try_number }}' AS life"),
        target=Table("postgres_default", "airflow_lives", create=True),
    )

with dag("killed", retries=1):

    def kill_me(batch: Any) -> Any:
        mark = Path(FOLDER) / "killed"
        if batch.num_rows and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return batch

    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT 1 AS id"),
        target=Table("postgres_default", "airflow_killed", create=True),
        transform=kill_me,
    )

with dag("wrong_query", retries=3):
    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELEC 1"),
        target=Table("postgres_default", "airflow_never", create=True),
    )

with dag("no_connection", retries=1):
    TransferOperator(
        task_id="move",
        source=Sql("not_there", "SELECT 1"),
        target=Table("postgres_default", "airflow_words"),
    )

with dag("xcoms"):

    @task
    def table_name() -> str:
        return "airflow_named"

    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT 1 AS id"),
        target=Table("postgres_default", table_name(), create=True),
    )

with dag("mapped"):
    TransferOperator.partial(
        task_id="move",
        source=Sql("postgres_default", "SELECT '{{ ti.map_index }}' AS number"),
    ).expand(
        target=[
            Table("postgres_default", "airflow_mapped_{{ ti.map_index }}", create=True),
            Table("postgres_default", "airflow_mapped_{{ ti.map_index }}", create=True),
        ]
    )

with dag("to_objects"):
    TransferOperator(
        task_id="csv",
        source=Sql("postgres_default", QUERY),
        target=Objects("s3://airflow-transfer/{{ ds }}/rows.csv"),
        outlets=[Asset("s3://airflow-transfer/rows.csv")],
    )
    TransferOperator(
        task_id="parts",
        source=Sql("postgres_default", "SELECT i AS id FROM generate_series(1, 100) AS i"),
        target=Objects("s3://airflow-transfer/parts", format="csv", parts={"rows": 2}),
    )
    TransferOperator(
        task_id="documents",
        source=MongoCollection("mongo_default", "airflow_words", query={"day": "{{ ds }}"}),
        target=Objects("s3://airflow-transfer/{{ ds }}/words.jsonl.gz"),
    )
    TransferOperator(
        task_id="file",
        source=Sql("postgres_default", QUERY),
        target=Objects(f"file://{FOLDER}/rows.parquet"),
    )

with dag("refuses"):
    TransferOperator(
        task_id="move",
        source=Sql("postgres_default", "SELECT 1 AS id"),
        target=Objects("s3://airflow-transfer/refuses.csv", replace=False),
    )
