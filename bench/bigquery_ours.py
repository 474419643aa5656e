"""One move or job of BigQuery by Tradewind, in a process of its own: see bench_bigquery.py.

The order comes as JSON on the command line; the last line of the answer is JSON. What is timed is
the work alone, not the imports.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import google.cloud.bigquery
import google.cloud.bigquery_storage_v1  # noqa: F401 - imported before the clock runs

from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.run.supervise import supervise
from tradewind.systems.bigquery import export as _export  # noqa: F401
from tradewind.systems.bigquery import load as _load  # noqa: F401
from tradewind.systems.bigquery.backend import BigQueryBackend
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.source import BigQuerySource
from tradewind.systems.bigquery.table import BigQueryTable
from tradewind.systems.files.store import FileStore


class Notes(dict[str, str]):
    """What an attempt leaves for the next one."""

    def set(self, key: str, value: str) -> None:
        """Keep it."""
        self[key] = value


def main() -> None:
    """Do what is asked for."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    connection = BigQueryConnection(order["project"], order["dataset"])
    owner = Owner("bench", uuid.uuid4().hex, order["what"])
    file, out = Path(order["file"]), Path(order["out"])

    def moved(source: Any, target: Any) -> None:
        transfer(source, target, owner)

    def job(configuration: dict[str, Any]) -> None:
        backend = BigQueryBackend(connection)
        supervise(backend, owner, configuration, log=lambda _: None, state_store=Notes())
        backend.close()

    def table(name: str) -> dict[str, str]:
        return {"projectId": order["project"], "datasetId": order["dataset"], "tableId": name}

    stored = ObjectTarget(FileStore(out.parent), out.name)
    begun = time.perf_counter()
    if order["what"] == "load":
        source = ObjectSource(FileStore(file.parent), file.name)
        moved(source, BigQueryTable(connection, order["table"]))
    elif order["what"] == "load_job":
        job({"load": {
            "sourceUris": ["gs://bench/rows.parquet"], "sourceFormat": "PARQUET",
            "destinationTable": table(order["table"]), "writeDisposition": "WRITE_APPEND",
        }})  # fmt: skip
    elif order["what"] == "read":
        moved(BigQuerySource(connection, table="stored"), stored)
    elif order["what"] == "read_export":
        moved(BigQuerySource(connection, table="stored", export="gs://bench/exports"), stored)
    else:
        job({"extract": {
            "sourceTable": table("stored"), "destinationFormat": "PARQUET",
            "destinationUris": [f"gs://bench/{order['table']}/*.parquet"],
        }})  # fmt: skip
    print(json.dumps({"seconds": time.perf_counter() - begun}))


main()
