"""The example DAGs of the official operators of BigQuery, after changing the import.

From apache/airflow, providers/google/tests/system/google/cloud, example_bigquery_queries.py,
example_bigquery_to_gcs.py and example_gcs_to_bigquery.py. Only names of datasets and buckets
are this test's; what makes, checks and removes tables by other operators is left out.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from tradewind.airflow import (
    BigQueryInsertJobOperator,
    BigQueryToGCSOperator,
    GCSToBigQueryOperator,
)

PROJECT_ID = "tradewind"
DATASET_NAME = "official"
TABLE_1, TABLE_2, TABLE = "table1", "table2", "test"
BUCKET_NAME = "official-bucket"
BUCKET_FILE = "test.csv"
INSERT_DATE = "2030-01-01"
INSERT_ROWS_QUERY = (
    f"INSERT {DATASET_NAME}.{TABLE_1} VALUES "
    f"(42, 'monty python', '{INSERT_DATE}'), "
    f"(42, 'fishy fish', '{INSERT_DATE}');"
)
START = datetime(2021, 1, 1)

with DAG(
    "bigquery_queries",
    schedule="@once",
    start_date=START,
    catchup=False,
    user_defined_macros={
        "DATASET": DATASET_NAME,
        "TABLE": TABLE_1,
        "QUERY_SQL_PATH": "example_bigquery_query.sql",
    },
):
    insert_query_job = BigQueryInsertJobOperator(
        task_id="insert_query_job",
        configuration={
            "query": {
                "query": INSERT_ROWS_QUERY,
                "useLegacySql": False,
                "priority": "BATCH",
            }
        },
    )
    select_query_job = BigQueryInsertJobOperator(
        task_id="select_query_job",
        configuration={
            "query": {
                "query": "{% include QUERY_SQL_PATH %}",
                "useLegacySql": False,
            }
        },
    )
    execute_insert_query = BigQueryInsertJobOperator(
        task_id="execute_insert_query",
        configuration={
            "query": {
                "query": INSERT_ROWS_QUERY,
                "useLegacySql": False,
            }
        },
    )
    execute_query_save = BigQueryInsertJobOperator(
        task_id="execute_query_save",
        configuration={
            "query": {
                "query": f"SELECT * FROM {DATASET_NAME}.{TABLE_1}",
                "useLegacySql": False,
                "destinationTable": {
                    "projectId": PROJECT_ID,
                    "datasetId": DATASET_NAME,
                    "tableId": TABLE_2,
                },
            }
        },
    )
    bigquery_execute_multi_query = BigQueryInsertJobOperator(
        task_id="execute_multi_query",
        configuration={
            "query": {
                "query": [
                    f"SELECT * FROM {DATASET_NAME}.{TABLE_2}",
                    f"SELECT COUNT(*) FROM {DATASET_NAME}.{TABLE_2}",
                ],
                "useLegacySql": False,
            }
        },
    )
    insert_query_job >> [select_query_job, execute_insert_query]
    execute_insert_query >> execute_query_save >> bigquery_execute_multi_query

with DAG("bigquery_to_gcs", schedule="@once", start_date=START, catchup=False):
    bigquery_to_gcs = BigQueryToGCSOperator(
        task_id="bigquery_to_gcs",
        source_project_dataset_table=f"{DATASET_NAME}.{TABLE}",
        destination_cloud_storage_uris=[f"gs://{BUCKET_NAME}/{BUCKET_FILE}"],
    )
    bigquery_to_gcs_async = BigQueryToGCSOperator(
        task_id="bigquery_to_gcs_async",
        source_project_dataset_table=f"{DATASET_NAME}.{TABLE}",
        destination_cloud_storage_uris=[f"gs://{BUCKET_NAME}/{BUCKET_FILE}"],
        deferrable=True,
    )
    bigquery_to_gcs >> bigquery_to_gcs_async

with DAG("gcs_to_bigquery_operator", schedule="@once", start_date=START, catchup=False):
    load_csv = GCSToBigQueryOperator(
        task_id="gcs_to_bigquery_example",
        bucket="cloud-samples-data",
        source_objects=["bigquery/us-states/us-states.csv"],
        destination_project_dataset_table=f"{DATASET_NAME}.states",
        schema_fields=[
            {"name": "name", "type": "STRING", "mode": "NULLABLE"},
            {"name": "post_abbr", "type": "STRING", "mode": "NULLABLE"},
        ],
        write_disposition="WRITE_TRUNCATE",
    )
