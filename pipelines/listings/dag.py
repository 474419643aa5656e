"""The DAG ``listings``: each month exported and kept, the whole history crunched elsewhere.

Production databases forget. So each month's listings are exported to object store, with its reviews
and exchange rates; over the history so far a program outside Airflow finds whose price moves
fastest; its result goes back into a table and into a page. See docs/listings.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import TaskGroup, dag, task
from airflow.sdk.timezone import utc
from airflow.timetables.interval import CronDataIntervalTimetable

from listings import settings
from listings.operators import PublishReportOperator
from tradewind.airflow import (
    DockerOperator,
    HttpToS3Operator,
    LivyOperator,
    MongoToS3Operator,
    Objects,
    SparkSubmitOperator,
    Sql,
    SSHOperator,
    Table,
    TransferOperator,
)
from tradewind.systems.http.source import Page

MONTH = "{{ data_interval_start.strftime('%Y-%m') }}"
SLICE = {"start": "{{ data_interval_start | ds }}", "end": "{{ data_interval_end | ds }}"}
CRUNCH = [
    "--bucket={{ params.bucket }}",
    f"--start={settings.START:%Y-%m}",
    f"--month={MONTH}",
    "--format={{ params.format }}",
]
#: The AWS connection as what runs elsewhere reads it. Airflow masks the secret wherever it shows.
S3 = {
    "AWS_ACCESS_KEY_ID": "{{ conn.aws_default.login }}",
    "AWS_SECRET_ACCESS_KEY": "{{ conn.aws_default.password }}",
    "AWS_REGION": "{{ s3(conn.aws_default).region }}",
    "AWS_ENDPOINT_URL_S3": "{{ s3(conn.aws_default).endpoint }}",
}


@dag(
    dag_id="listings",
    schedule=CronDataIntervalTimetable("@monthly", timezone=utc),
    start_date=datetime(settings.START.year, settings.START.month, 1, tzinfo=utc),
    end_date=datetime(settings.END.year, settings.END.month, 1, tzinfo=utc),
    catchup=True,
    max_active_runs=6,
    default_args={"retries": settings.RETRIES, "retry_delay": settings.RETRY_DELAY},
    params=settings.parameters(),
    user_defined_macros={"s3": settings.s3},
    tags=["tradewind", "listings"],
    doc_md=__doc__,
)
def listings() -> None:
    """Declares the tasks."""
    export_listings = TransferOperator(
        task_id="export_listings",
        doc_md="The month's listings. Waits for the month before: the history has no gaps.",
        depends_on_past=True,
        source=Sql(
            "{{ params.source }}_default",
            "SELECT * FROM listings WHERE download_date >= %(start)s AND download_date < %(end)s "
            "ORDER BY download_date, id",
            parameters=SLICE,
        ),
        target=Objects(f"s3://{{{{ params.bucket }}}}/listings/{MONTH}.{{{{ params.format }}}}"),
    )
    export_reviews = MongoToS3Operator(
        task_id="export_reviews",
        mongo_collection="reviews",
        mongo_query=[
            {"$match": {"date": {"$gte": SLICE["start"], "$lt": SLICE["end"]}}},
            {"$sort": {"_id": 1}},
        ],
        s3_bucket="{{ params.bucket }}",
        s3_key=f"reviews/{MONTH}.jsonl",
        replace=True,
    )
    export_rates = HttpToS3Operator(
        task_id="export_rates",
        http_conn_id="rates_api",
        endpoint="/rates",
        data=SLICE,
        records="$.rates",
        pagination=Page("page"),
        s3_bucket="{{ params.bucket }}",
        s3_key=f"rates/{MONTH}.jsonl",
        replace=True,
    )

    @task.branch(doc_md="One of the four ways to run the same program: the parameter `way`.")
    def choose_way(**context: Any) -> str:
        return f"crunch_numbers.{context['params']['way']}"

    with TaskGroup("crunch_numbers") as crunch_numbers:
        DockerOperator(
            task_id="docker",
            image="{{ params.image }}",
            command=["python3", "/app/crunch.py", *CRUNCH],
            environment=S3,
            network_mode="host",
            poll_interval=0.5,
        )
        SSHOperator(
            task_id="ssh",
            ssh_conn_id="ssh_default",
            command=f"{{{{ params.python }}}} {{{{ params.program }}}} {' '.join(CRUNCH)}",
            environment=S3,
            poll_interval=0.5,
        )
        SparkSubmitOperator(
            task_id="spark",
            conn_id="spark_default",
            application="{{ params.program }}",
            application_args=[*CRUNCH, "--spark"],
            env_vars=S3,
            conf={"spark.ui.enabled": "false"},
        )
        LivyOperator(
            task_id="livy",
            livy_conn_id="livy_default",
            file="{{ params.program }}",
            args=[*CRUNCH, "--spark"],
            conf={
                "spark.ui.enabled": "false",
                "spark.hadoop.fs.s3a.access.key": S3["AWS_ACCESS_KEY_ID"],
                "spark.hadoop.fs.s3a.secret.key": S3["AWS_SECRET_ACCESS_KEY"],
                "spark.hadoop.fs.s3a.endpoint.region": S3["AWS_REGION"],
                "spark.hadoop.fs.s3a.endpoint": S3["AWS_ENDPOINT_URL_S3"],
            },
            polling_interval=1,
        )

    load_summary = TransferOperator(
        task_id="load_summary",
        doc_md="The ten movers back into the database.",
        # Three of the four ways are skipped.
        trigger_rule="none_failed_min_one_success",
        source=Objects(f"s3://{{{{ params.bucket }}}}/results/{MONTH}/movers.jsonl"),
        target=Table(
            "{{ params.source }}_default",
            "listings_movers",
            mode="upsert",
            keys=["month", "direction", "place"],
        ),
    )
    publish_report = PublishReportOperator(
        task_id="publish_report",
        doc_md="A page with plots. The task has a link to it.",
        bucket="{{ params.bucket }}",
        month=MONTH,
        url="{{ params.reports }}",
    )
    [export_listings, choose_way()] >> crunch_numbers >> load_summary >> publish_report
    [export_reviews, export_rates] >> publish_report


listings()
