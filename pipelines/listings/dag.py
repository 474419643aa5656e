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
    Http,
    LivyOperator,
    MongoCollection,
    Objects,
    SparkSubmitOperator,
    Sql,
    SSHOperator,
    Table,
    TransferOperator,
)
from tradewind.systems.http.source import Page

MONTH = "{{ data_interval_start.strftime('%Y-%m') }}"
STORE = "{{ params.store }}://{{ params.bucket }}"
SLICE = {"start": "{{ data_interval_start | ds }}", "end": "{{ data_interval_end | ds }}"}
CRUNCH = [
    "--store={{ params.store }}",
    "--bucket={{ params.bucket }}",
    f"--start={settings.START:%Y-%m}",
    f"--month={MONTH}",
    "--format={{ params.format }}",
]


def _s3(value: str) -> str:
    return f"{{{{ {value} if params.store == 's3' else '' }}}}"


#: The store's connection as what runs elsewhere reads it. Airflow masks secrets wherever it shows.
ACCESS = {
    "AWS_ACCESS_KEY_ID": _s3("conn.aws_default.login"),
    "AWS_SECRET_ACCESS_KEY": _s3("conn.aws_default.password"),
    "AWS_REGION": _s3("s3(conn.aws_default).region"),
    "AWS_ENDPOINT_URL_S3": _s3("s3(conn.aws_default).endpoint"),
    "LISTINGS_STORE_ENDPOINT": "{{ access(params.store, 'endpoint') }}",
    "LISTINGS_STORE_ACCOUNT": "{{ access(params.store, 'account') }}",
    "LISTINGS_STORE_ACCESS_KEY": "{{ access(params.store, 'key') }}",
    "LISTINGS_STORE_SAS_TOKEN": "{{ access(params.store, 'sas') }}",
    "LISTINGS_STORE_TOKEN": "{{ access(params.store, 'token') }}",
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
    user_defined_macros={"s3": settings.s3, "access": settings.access},
    tags=["tradewind", "listings"],
    doc_md=__doc__,
)
def listings() -> None:
    """Declares the tasks."""
    export_listings = TransferOperator(
        task_id="export_listings",
        doc_md="The month's listings. Waits for the month before: the history has no gaps.",
        # So that of a source that is down one month fails, and those after it wait.
        depends_on_past=True,
        source=Sql(
            "{{ params.source }}_default",
            "SELECT * FROM listings WHERE download_date >= %(start)s AND download_date < %(end)s "
            "ORDER BY download_date, id",
            parameters=SLICE,
        ),
        target=Objects(f"{STORE}/listings/{MONTH}.{{{{ params.format }}}}"),
    )
    export_reviews = TransferOperator(
        task_id="export_reviews",
        depends_on_past=True,
        source=MongoCollection(
            "mongo_default",
            "reviews",
            pipeline=[
                {"$match": {"date": {"$gte": SLICE["start"], "$lt": SLICE["end"]}}},
                {"$sort": {"_id": 1}},
            ],
        ),
        target=Objects(f"{STORE}/reviews/{MONTH}.jsonl"),
    )
    export_rates = TransferOperator(
        task_id="export_rates",
        depends_on_past=True,
        source=Http(
            "rates_api",
            "/rates",
            params=SLICE,
            records="$.rates",
            pagination=Page("page"),
        ),
        target=Objects(f"{STORE}/rates/{MONTH}.jsonl"),
    )

    @task.branch(doc_md="One of the four ways to run the same program: the parameter `way`.")
    def choose_way(**context: Any) -> str:
        return f"crunch_numbers.{context['params']['way']}"

    with TaskGroup("crunch_numbers") as crunch_numbers:
        DockerOperator(
            task_id="docker",
            image="{{ params.image }}",
            command=["python3", "/app/crunch.py", *CRUNCH],
            environment=ACCESS,
            network_mode="host",
            poll_interval=0.5,
        )
        SSHOperator(
            task_id="ssh",
            ssh_conn_id="ssh_default",
            command=f"{{{{ params.python }}}} {{{{ params.program }}}} {' '.join(CRUNCH)}",
            environment=ACCESS,
            poll_interval=0.5,
        )
        SparkSubmitOperator(
            task_id="spark",
            conn_id="spark_default",
            application="{{ params.program }}",
            application_args=[*CRUNCH, "--spark"],
            env_vars=ACCESS,
            conf={"spark.ui.enabled": "false"},
        )
        LivyOperator(
            task_id="livy",
            livy_conn_id="livy_default",
            file="{{ params.program }}",
            args=[*CRUNCH, "--spark"],
            conf={
                "spark.ui.enabled": "false",
                "spark.hadoop.fs.s3a.access.key": ACCESS["AWS_ACCESS_KEY_ID"],
                "spark.hadoop.fs.s3a.secret.key": ACCESS["AWS_SECRET_ACCESS_KEY"],
                "spark.hadoop.fs.s3a.endpoint.region": ACCESS["AWS_REGION"],
                "spark.hadoop.fs.s3a.endpoint": ACCESS["AWS_ENDPOINT_URL_S3"],
                # Under names that Spark itself shows no values of.
                "spark.listings.endpoint": ACCESS["LISTINGS_STORE_ENDPOINT"],
                "spark.listings.account": ACCESS["LISTINGS_STORE_ACCOUNT"],
                "spark.listings.access.key": ACCESS["LISTINGS_STORE_ACCESS_KEY"],
                "spark.listings.sas.token": ACCESS["LISTINGS_STORE_SAS_TOKEN"],
                "spark.listings.token": ACCESS["LISTINGS_STORE_TOKEN"],
            },
            polling_interval=1,
        )

    load_summary = TransferOperator(
        task_id="load_summary",
        doc_md="The ten movers back into the database.",
        # Three of the four ways are skipped.
        trigger_rule="none_failed_min_one_success",
        source=Objects(f"{STORE}/results/{MONTH}/movers.jsonl"),
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
        store="{{ params.store }}",
        bucket="{{ params.bucket }}",
        month=MONTH,
        url="{{ params.reports }}",
    )
    [export_listings, choose_way()] >> crunch_numbers >> load_summary >> publish_report
    [export_reviews, export_rates] >> publish_report


listings()
