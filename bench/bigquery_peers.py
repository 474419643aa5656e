"""One load or read by a peer, in a process of its own and in the peers' environment.

See bench_bigquery.py. Each peer is used as its own documentation shows; what is timed is the work
alone, not the imports.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Order = dict[str, Any]


def pandas_gbq(order: Order) -> Callable[[], None]:
    """pandas-gbq: a data frame from and to a table, by the client that it is given."""
    import pandas_gbq
    import pyarrow.parquet as pq
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    nobody: Any = AnonymousCredentials
    client = Client(project=order["project"], credentials=nobody())
    common: dict[str, Any] = {"project_id": order["project"], "bigquery_client": client}

    def load() -> None:
        frame = pq.read_table(order["file"]).to_pandas()
        name = f"{order['dataset']}.{order['table']}"
        pandas_gbq.to_gbq(frame, name, if_exists="append", progress_bar=False, **common)

    def read() -> None:
        query = f"SELECT * FROM {order['dataset']}.stored LIMIT {order['rows']}"
        frame = pandas_gbq.read_gbq(query, progress_bar_type=None, **common)
        frame.to_parquet(order["out"])

    return load if order["what"] == "load" else read


def official(order: Order) -> Callable[[], None]:
    """The job of the official operators, by the hook that they use."""
    from airflow.providers.google.cloud.hooks.bigquery import BigQueryHook

    hook = BigQueryHook(gcp_conn_id="google_cloud_default", use_legacy_sql=False)

    def table(name: str) -> dict[str, str]:
        return {"projectId": order["project"], "datasetId": order["dataset"], "tableId": name}

    configuration: dict[str, Any] = {
        "load": {
            "sourceUris": ["gs://bench/rows.parquet"],
            "sourceFormat": "PARQUET",
            "destinationTable": table(order["table"]),
            "writeDisposition": "WRITE_APPEND",
        }
    }
    if order["what"] == "export_job":
        configuration = {
            "extract": {
                "sourceTable": table("stored"),
                "destinationFormat": "PARQUET",
                "destinationUris": [f"gs://bench/{order['table']}/*.parquet"],
            }
        }

    def submit() -> None:
        hook.insert_job(
            configuration=configuration, project_id=order["project"], location="US", nowait=False
        )

    return submit


def main() -> None:
    """Do what is asked for."""
    order: Order = json.loads(sys.argv[1])
    work = (official if order["what"].endswith("_job") else pandas_gbq)(order)
    begun = time.perf_counter()
    work()
    print(json.dumps({"seconds": time.perf_counter() - begun}))


main()
