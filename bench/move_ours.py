"""One move by Tradewind, in a process of its own: started by bench_move.py.

The order comes as JSON on the command line; the last line of the answer is JSON. What is timed is
the move alone, not the imports.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.http.connection import HttpConnection
from tradewind.systems.s3.store import S3Store


def source_of(order: dict[str, Any]) -> Source:
    """The source of a case."""
    system = order["source"]
    if system == "postgres":
        from tradewind.systems.postgres.connection import PostgresConnection
        from tradewind.systems.postgres.source import PostgresSource

        several: dict[str, Any] = (
            {"split": "ctid", "connections": 2} if order["connections"] == 2 else {}
        )
        return PostgresSource(
            PostgresConnection.from_uri("postgresql://"), order["query"], **several
        )
    if system == "mariadb":
        from tradewind.systems.mysql.connection import MySQLConnection
        from tradewind.systems.mysql.source import MySQLSource

        return MySQLSource(MySQLConnection.from_uri("mysql://"), order["query"])
    if system == "mongodb":
        from tradewind.systems.mongodb.connection import MongoConnection
        from tradewind.systems.mongodb.source import MongoSource

        return MongoSource(
            MongoConnection.from_uri(os.environ["MONGODB_URI"]),
            database="tradewind",
            collection="listings",
        )
    if system == "rest":
        from tradewind.systems.http.source import NextLink, RestSource

        return RestSource(
            HttpConnection.from_uri(order["rest"]),
            "listings",
            records="$.items",
            pagination=NextLink("$.next"),
        )
    from tradewind.move.objects.source import ObjectSource

    return ObjectSource(S3Store(order["bucket"]), order["staged"])


def target_of(order: dict[str, Any]) -> Target:
    """The target of a case."""
    if order["target"] == "table":
        from tradewind.systems.postgres.connection import PostgresConnection
        from tradewind.systems.postgres.table import PostgresTable

        return PostgresTable(PostgresConnection.from_uri("postgresql://"), "loaded")
    return ObjectTarget(S3Store(order["bucket"]), order["key"])


_LIBRARIES = {
    "postgres": ("asyncpg", "pyarrow.csv"),
    "mariadb": ("MySQLdb",),
    "mongodb": ("pymongo",),
    "rest": ("httpx",),
    "table": ("asyncpg",),
    "parquet": ("pyarrow.parquet",),
}
"""What is imported on the way. Imports are not timed, those of peers neither."""


def main() -> None:
    """Carry out one order."""
    order = json.loads(sys.argv[1])
    os.environ["TRADEWIND_CORE"] = order.get("core", "")
    source, target = source_of(order), target_of(order)
    for what in (order["source"], order["target"], order["format"]):
        for library in ("boto3", "botocore.client", *_LIBRARIES.get(what, ())):
            importlib.import_module(library)
    owner = Owner("bench-move", str(time.time_ns()), order["case"])
    began = time.monotonic()
    receipt = transfer(source, target, owner)
    print(json.dumps({"seconds": time.monotonic() - began, "rows": receipt.rows}))


if __name__ == "__main__":
    main()
