"""Jobs of BigQuery that fail, are asked for dry, name files, and meet workers that die."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from killing_tasks import Watched
from tradewind.airflow import (
    BigQueryInsertJobOperator,
    BigQueryToGCSOperator,
    GCSToBigQueryOperator,
    Sql,
    SqlToBigQueryOperator,
    Table,
    TransferOperator,
)

START = datetime(2021, 1, 1)


class WatchedQuery(Watched, BigQueryInsertJobOperator):
    pass


class WatchedExport(Watched, BigQueryToGCSOperator):
    pass


class WatchedLoad(Watched, GCSToBigQueryOperator):
    pass


class WatchedMove(Watched, SqlToBigQueryOperator):
    pass


class WatchedTransfer(Watched, TransferOperator):
    pass


def query(sql: str) -> dict[str, object]:
    return {"query": {"query": sql, "useLegacySql": False}}


with DAG("bigquery_jobs", schedule=None, start_date=START):
    BigQueryInsertJobOperator(
        task_id="dry", configuration={**query("SELECT '{{ ds }}' AS day"), "dryRun": True}
    )
    BigQueryInsertJobOperator(
        task_id="file",
        job_id="from_file",
        configuration="job.json",  # type: ignore[arg-type]
        deferrable=True,
        poll_interval=0.2,
    )
    BigQueryInsertJobOperator(task_id="wrong", configuration=query("SELEC nothing"), retries=3)
    BigQueryInsertJobOperator(task_id="nothing", configuration={"labels": {"a": "b"}}, retries=3)
    GCSToBigQueryOperator(
        task_id="largest",
        bucket="jobs",
        source_objects="*.csv",
        destination_project_dataset_table="jobs.loaded",
        schema_object="schema.json",
        max_id_key="id",
        write_disposition="WRITE_APPEND",
    )

for name, deferrable in (("waiting", False), ("deferred", True)):
    with DAG(f"killed_query_{name}", schedule=None, start_date=START):
        WatchedQuery(
            task_id="killed",
            retries=20,
            configuration={
                **query("INSERT INTO killed.queried (run) VALUES ('{{ run_id }}')"),
                "labels": {"guard_wait": "1"},
            },
            deferrable=deferrable,
            poll_interval=0.2,
        )

with DAG("killed_export", schedule=None, start_date=START):
    WatchedExport(
        task_id="killed",
        retries=20,
        source_project_dataset_table="killed.exported",
        destination_cloud_storage_uris=["gs://killed/{{ run_id }}/*.parquet"],
        export_format="PARQUET",
        labels={"guard_wait": "1"},
    )

with DAG("killed_load", schedule=None, start_date=START):
    WatchedLoad(
        task_id="killed",
        retries=20,
        bucket="killed",
        source_objects=["rows-{{ ds }}.csv"],
        destination_project_dataset_table="killed.loaded",
        schema_fields=[{"name": "run", "type": "STRING"}, {"name": "n", "type": "INT64"}],
        write_disposition="WRITE_APPEND",
    )

with DAG("killed_move", schedule=None, start_date=START):
    WatchedMove(
        task_id="killed",
        retries=20,
        query="SELECT '{{ run_id }}' AS run, n FROM numbers",
        sql_conn_id="rows",
        destination_project_dataset_table="killed.moved",
    )

with DAG("killed_large_road", schedule=None, start_date=START):
    WatchedTransfer(
        task_id="killed",
        retries=20,
        source=Sql(
            "google_cloud_bigquery_default",
            "SELECT '{{ run_id }}' AS run, n FROM killed.exported",
            export="gs://killed-lake/{{ dag.dag_id }}",
        ),
        target=Table("google_cloud_bigquery_default", "killed.reread"),
    )
