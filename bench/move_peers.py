"""One move by a peer, in a process of its own and in the peers' environment: see bench_move.py.

The order comes as JSON on the command line; the last line of the answer is JSON. What is timed is
the move alone, not the imports. Each peer is used as its own documentation shows.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Order = dict[str, Any]


def official(order: Order) -> Callable[[], None]:
    """Airflow's own operators: `execute`, with connections from the environment."""
    from airflow.sdk.bases.operator import ExecutorSafeguard

    ExecutorSafeguard.test_mode = True  # there is no task runner around it
    common: dict[str, Any] = {"task_id": "move", "aws_conn_id": "aws_default"}
    stored: dict[str, Any] = {"s3_bucket": order["bucket"], "s3_key": order["key"], "replace": True}
    operator: Any
    if order["target"] == "table":
        from airflow.providers.amazon.aws.transfers.s3_to_sql import S3ToSqlOperator

        def rows(path: str) -> Iterator[list[str | None]]:
            with open(path, newline="", encoding="utf-8") as file:
                lines = csv.reader(file)
                next(lines)
                yield from ([value or None for value in line] for line in lines)

        operator = S3ToSqlOperator(
            s3_bucket=order["bucket"],
            s3_key=order["staged"],
            table="loaded",
            parser=rows,
            sql_conn_id="postgres_default",
            **common,
        )
    elif order["source"] == "mongodb":
        from airflow.providers.amazon.aws.transfers.mongo_to_s3 import MongoToS3Operator

        operator = MongoToS3Operator(
            mongo_conn_id="mongo_default",
            mongo_db="tradewind",
            mongo_collection="listings",
            mongo_query={},
            **stored,
            **common,
        )
    elif order["source"] == "rest":
        from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

        operator = HttpToS3Operator(
            http_conn_id="http_default",
            endpoint="/everything",  # it knows no pages, and stores the answer as it is
            method="GET",
            **stored,
            **common,
        )
    else:
        import pandas  # noqa: F401  (imported before the clock runs)
        import sqlalchemy  # noqa: F401
        from airflow.providers.amazon.aws.transfers.sql_to_s3 import SqlToS3Operator

        name = {"postgres": "postgres_default", "mariadb": "mysql_default"}[order["source"]]
        operator = SqlToS3Operator(
            query=order["query"],
            sql_conn_id=name,
            file_format=order["format"],
            pd_kwargs={"index": False} if order["format"] == "csv" else None,
            **stored,
            **common,
        )
    return lambda: operator.execute({})


def dlt(order: Order) -> Callable[[], None]:
    """dlt: its SQL or REST source into its filesystem destination, or files into PostgreSQL."""
    import dlt
    from dlt.destinations import filesystem, postgres

    # What it imports on its way, before the clock runs.
    for library in ("pyarrow.parquet", "s3fs"):
        importlib.import_module(library)
    if order.get("backend") == "connectorx":
        importlib.import_module("connectorx")

    folder = order["folder"]  # dlt's working folder
    os.environ["DLT_DATA_DIR"] = folder
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    aws = {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"],
        "region_name": os.environ["AWS_REGION"],
    }
    bucket = f"s3://{order['bucket']}/{order['key'].rpartition('/')[0]}"
    to: Any = filesystem(bucket_url=bucket, credentials=aws)
    if order["target"] == "table":
        from dlt.sources.filesystem import filesystem as files
        from dlt.sources.filesystem import read_csv

        place, _, name = order["staged"].rpartition("/")
        source: Any = files(
            bucket_url=f"s3://{order['bucket']}/{place}", file_glob=name, credentials=aws
        ) | read_csv(chunksize=50_000)
        source = source.with_name("loaded")
        to = postgres(credentials=order["postgres"])
    elif order["source"] == "rest":
        from dlt.sources.rest_api import rest_api_source

        source = rest_api_source(
            {
                "client": {
                    "base_url": order["rest"],
                    "paginator": {"type": "json_link", "next_url_path": "next"},
                },
                "resources": [
                    {
                        "name": "listings",
                        "max_table_nesting": 0,
                        "endpoint": {"path": "listings", "data_selector": "items"},
                    }
                ],
            }
        )
    else:
        from dlt.sources.sql_database import sql_table

        source = sql_table(
            credentials=order[order["source"]],
            table="listings",
            backend=order["backend"],
            chunk_size=100_000,
            **({"schema": "public"} if order["source"] == "postgres" else {}),
        )
    pipeline = dlt.pipeline("bench", destination=to, dataset_name="dlt", pipelines_dir=folder)
    written = {"csv": "csv", "parquet": "parquet", "jsonl": "jsonl"}.get(order["format"])
    chosen = {"loader_file_format": written} if written and order["target"] != "table" else {}

    def run() -> None:
        pipeline.run(source, write_disposition="append", **chosen).raise_on_failed_jobs()

    return run


def wire(order: Order) -> Callable[[], None]:
    """The limit for MongoDB: raw batches, read and thrown away."""
    import pymongo

    client: Any = pymongo.MongoClient(order["mongodb"])
    client.admin.command("ping")

    def run() -> None:
        for _ in client["tradewind"]["listings"].find_raw_batches({}):
            pass

    return run


def rows(order: Order) -> Callable[[], None]:
    """The limit for MariaDB: rows as bytes, read and thrown away."""
    import MySQLdb
    import MySQLdb.cursors

    connection = MySQLdb.connect(
        host=os.environ["MYSQL_HOST"],
        port=int(os.environ["MYSQL_TCP_PORT"]),
        user=os.environ["MYSQL_USER"],
        passwd=os.environ["MYSQL_PWD"],
        db=os.environ["MYSQL_DATABASE"],
        charset="utf8mb4",
        cursorclass=MySQLdb.cursors.SSCursor,
        conv={},
    )

    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(order["query"])
            while cursor.fetchmany(10_000):
                pass

    return run


PEERS = {"official": official, "dlt": dlt, "wire": wire, "rows": rows}


def main() -> None:
    """Carry out one order."""
    order = json.loads(sys.argv[1])
    run = PEERS[order["peer"]](order)
    began = time.monotonic()
    run()
    print(json.dumps({"seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
