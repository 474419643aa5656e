"""Rows as BigQuery's REST API writes them, as Arrow.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.types import UnfitValueError
from tradewind.systems.bigquery.types import Column, kind_of

__all__ = ["batch_of", "iso_interval"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_INTERVAL = re.compile(r"(-?)(\d+)-(\d+) (-?\d+) (-?)(\d+):(\d+):(\d+)(?:\.(\d+))?")


def batch_of(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], schema: pa.Schema, *, system: str
) -> pa.RecordBatch:
    """Make a batch of rows of ``tabledata.list``, whose timestamps are microseconds.

    Args:
        rows: Each ``{"f": [{"v": ...}, ...]}``.
        columns: The table's.
        schema: As `tradewind.systems.bigquery.types.arrow_schema` gives it.
        system: The system and object, for messages.

    Raises:
        UnfitValueError: A value does not fit into Arrow's type.
    """
    arrays = []
    for number, (column, field) in enumerate(zip(columns, schema, strict=True)):
        read = _reader(column)
        cells = [row["f"][number]["v"] for row in rows]
        values = []
        for cell in cells:
            try:
                values.append(read(cell))
            except (ValueError, OverflowError, ArithmeticError) as error:
                raise UnfitValueError(
                    field.name, cell, where=f"{field.type} of Arrow", remedy=_REMEDY
                ) from error
        try:
            arrays.append(pa.array(values, type=field.type))
        except (pa.ArrowInvalid, OverflowError) as error:
            raise InputError(
                f"{system}: the column {field.name!r} has a value that {field.type} of Arrow cannot"
                f" hold: {error}. {_REMEDY}"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


_REMEDY = "Convert it in the query, like CAST(column AS STRING)."


def _reader(column: Column) -> Callable[[Any], Any]:
    one = _record(column["fields"]) if kind_of(column) == "RECORD" else _READERS[kind_of(column)]
    if column.get("mode") == "REPEATED":
        return lambda cell: [one(element["v"]) for element in cell or ()]
    return lambda cell: None if cell is None else one(cell)


def _record(columns: Sequence[Column]) -> Callable[[Any], Any]:
    readers = [(str(column["name"]), _reader(column)) for column in columns]

    def read(cell: Any) -> dict[str, Any]:
        return {
            name: reader(part["v"]) for (name, reader), part in zip(readers, cell["f"], strict=True)
        }

    return read


def _truth(text: Any) -> bool:
    return str(text).lower() == "true"


def _moment(text: str) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=int(text))


def iso_interval(months: int, days: int, microseconds: int) -> str:
    """Write an interval in ISO 8601, as `tradewind.move.types` has it."""
    year, month = divmod(abs(months), 12)
    sign = "-" if months < 0 else ""
    text = f"{sign}{year}Y" * bool(year) + f"{sign}{month}M" * bool(month) + f"{days}D" * bool(days)
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    sign = "-" if microseconds < 0 else ""
    clock = f"{sign}{hour}H" * bool(hour) + f"{sign}{minute}M" * bool(minute)
    if second or fraction:
        spelled = f"{second}.{fraction:06d}".rstrip("0") if fraction else str(second)
        clock += f"{sign}{spelled}S"
    return f"P{text}{'T' * bool(clock)}{clock}" if text or clock else "PT0S"


def _interval(text: str) -> str:
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise ValueError(text)
    months = int(found[2]) * 12 + int(found[3])
    clock = (int(found[6]) * 60 + int(found[7])) * 60 + int(found[8])
    micros = clock * 1_000_000 + int((found[9] or "").ljust(6, "0")[:6] or 0)
    return iso_interval(
        -months if found[1] else months, int(found[4]), -micros if found[5] else micros
    )


_READERS: dict[str, Callable[[Any], Any]] = {
    "INT64": int,
    "FLOAT64": float,
    "BOOL": _truth,
    "STRING": str,
    "BYTES": base64.b64decode,
    "DATE": datetime.date.fromisoformat,
    "TIME": datetime.time.fromisoformat,
    "DATETIME": datetime.datetime.fromisoformat,
    "TIMESTAMP": _moment,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
    "JSON": str,
    "GEOGRAPHY": str,
    "INTERVAL": _interval,
}
