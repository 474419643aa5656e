"""A dataset of BigQuery's emulator, and a value of each type that it keeps as it was."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.move.receipt import Receipt
from tradewind.move.transfer import transfer
from tradewind.move.types import LOGICAL_TYPE
from tradewind.owner import Owner
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.table import BigQueryTable
from tradewind.testing.memory_source import MemorySource

__all__ = ["NOTE", "VALUES", "Place", "load", "values"]


class Place:
    """A dataset of its own, and a client to look into it."""

    def __init__(self, environment: Any) -> None:
        self.connection = BigQueryConnection(
            environment["GOOGLE_CLOUD_PROJECT"],
            f"d{uuid.uuid4().hex}",
            endpoint=environment["BIGQUERY_EMULATOR_HOST"],
            storage_endpoint=environment["BIGQUERY_STORAGE_EMULATOR_HOST"],
        )
        self.client: Any = self.connection.client()
        self.client.create_dataset(self.connection.dataset, retry=None)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        sql = sql.replace("{}", f"`{self.connection.project}`.`{self.connection.dataset}`")
        job = self.client.query(sql, retry=None, job_retry=None)
        return [tuple(row) for row in job.result(retry=None, job_retry=None)]

    def tables(self) -> set[str]:
        return {one.table_id for one in self.client.list_tables(self.connection.dataset)}

    def make(self, name: str, *columns: dict[str, Any]) -> None:
        from google.cloud.bigquery import SchemaField, Table

        fields = [SchemaField.from_api_repr(column) for column in columns]
        self.client.create_table(
            Table(f"{self.connection.project}.{self.connection.dataset}.{name}", fields),
            retry=None,
        )


D = Decimal
UTC = datetime.UTC
NOTE = {LOGICAL_TYPE: b"json"}

VALUES: dict[str, tuple[str, pa.Field, list[Any]]] = {
    "i": ("INT64", pa.field("i", pa.int64()), [-(2**63), 2**63 - 1]),
    "f": ("FLOAT64", pa.field("f", pa.float64()), [5e-324, float("-inf")]),
    "b": ("BOOL", pa.field("b", pa.bool_()), [True, False]),
    "s": ("STRING", pa.field("s", pa.string()), ["", "it's \\ \U0001f600\n"]),
    "y": ("BYTES", pa.field("y", pa.binary()), [b"", b"\x00\xff"]),
    "n": (
        "NUMERIC",
        pa.field("n", pa.decimal128(38, 9)),
        [D("0.000000001"), D("-99999999999999999999999999999.999999999")],
    ),
    "d": ("DATE", pa.field("d", pa.date32()), [datetime.date.min, datetime.date.max]),
    "t": ("TIME", pa.field("t", pa.time64("us")), [datetime.time.min, datetime.time.max]),
    "dt": (
        "DATETIME",
        pa.field("dt", pa.timestamp("us")),
        [datetime.datetime.min, datetime.datetime.max],
    ),
    "ts": (
        "TIMESTAMP",
        pa.field("ts", pa.timestamp("us", "UTC")),
        [
            datetime.datetime.min.replace(tzinfo=UTC),
            datetime.datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC),
        ],
    ),
    "j": ("JSON", pa.field("j", pa.string(), metadata=NOTE), ['{"a":[1,null]}', '"x"']),
    "l": ("INT64", pa.field("l", pa.list_(pa.int64()), nullable=False), [[1, 2], []]),
    "r": (
        "RECORD",
        pa.field("r", pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
        [{"a": 1, "b": ["x", ""]}, {"a": None, "b": []}],
    ),
}
"""A column of each type, with its extremes. Of GEOGRAPHY and BIGNUMERIC the emulator keeps nothing
as it was; see docs/bigquery.md."""


def values() -> pa.Table:
    fields = [field for _, field, _ in VALUES.values()]
    columns = [
        pa.array([*values, [] if name == "l" else None], field.type)
        for name, (_, field, values) in VALUES.items()
    ]
    return pa.table(columns, schema=pa.schema(fields))


def load(table: pa.Table, target: BigQueryTable, owner: Owner | None = None) -> Receipt:
    return transfer(MemorySource(table), target, owner or Owner("d", uuid.uuid4().hex, "t"))
