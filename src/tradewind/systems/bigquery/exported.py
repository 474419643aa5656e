"""Parquet that BigQuery has exported, in the types of the table that it was exported from.

Only types that hold each value are taken: what came in another one is refused, not converted.
Source: https://cloud.google.com/bigquery/docs/exporting-data#parquet_export_details
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.types import UnfitValueError
from tradewind.systems.bigquery.types import Column, kind_of

__all__ = ["check_exportable", "conformed"]

_NOT_EXPORTED = {
    "GEOGRAPHY": "ST_ASTEXT(column)",
    "INTERVAL": "CAST(column AS STRING)",
    "RANGE": "CAST(column AS STRING)",
}
"""Types that Parquet has as others, and what a query may write instead."""


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_moment(kind: pa.DataType) -> bool:
    # Both kinds of moments are microseconds of UTC there; the table tells which has a zone.
    return bool(pa.types.is_timestamp(kind)) and kind.unit == "us" and kind.tz in (None, "UTC")


_HOLD: dict[str, Callable[[pa.DataType], bool]] = {
    "INT64": pa.types.is_int64,
    "FLOAT64": pa.types.is_float64,
    "BOOL": pa.types.is_boolean,
    "STRING": _is_text,
    "BYTES": _is_bytes,
    "DATE": pa.types.is_date32,
    "TIME": lambda kind: kind == pa.time64("us"),
    "DATETIME": _is_moment,
    "TIMESTAMP": _is_moment,
    "NUMERIC": pa.types.is_decimal,
    "BIGNUMERIC": pa.types.is_decimal,
    "JSON": _is_text,
}


def check_exportable(columns: Sequence[Column], *, system: str) -> None:
    """Refuse types that an export has as others, before a job is started.

    Args:
        columns: Those that are read.
        system: The system and object, for messages.

    Raises:
        InputError: One is of such a type.
    """
    for column in columns:
        kind = kind_of(column)
        if kind == "RECORD":
            check_exportable(column["fields"], system=system)
        elif kind in _NOT_EXPORTED:
            raise InputError(
                f"{system}: the column {column['name']!r} is of type {kind}, which an export has "
                f"as another type. Leave export out, or convert it in the query, like "
                f"{_NOT_EXPORTED[kind]}."
            )


def conformed(
    batch: pa.RecordBatch, columns: Sequence[Column], schema: pa.Schema, *, system: str
) -> pa.RecordBatch:
    """Give a batch of an exported object in the table's types.

    Args:
        batch: As it stands in the object.
        columns: The table's.
        schema: As `tradewind.systems.bigquery.types.arrow_schema` gives it.
        system: The system and object, for messages.

    Raises:
        InputError: A column is missing, or came in a type that may not hold each value.
    """
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        at = batch.schema.get_field_index(field.name)
        if at < 0:
            raise InputError(f"{system}: it has no column {field.name!r}. Leave export out.")
        arrays.append(_told(batch.column(at), field, column, system))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _told(array: pa.Array, field: pa.Field, column: Column, system: str) -> pa.Array:
    kind, is_ = array.type, pa.types
    if column.get("mode") == "REPEATED":
        if not (is_.is_list(kind) or is_.is_large_list(kind)):
            raise _other(kind, field, system)
        # BigQuery has no NULL for an array: an empty one may stand as either.
        sizes = pc.fill_null(pc.list_value_length(array), 0)
        ends = pc.cumulative_sum(sizes).cast(pa.int32())
        starts = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        one = {**column, "mode": "NULLABLE"}
        values = _told(array.flatten(), field.type.value_field, one, system)
        return pa.ListArray.from_arrays(starts, values, type=field.type)
    if kind_of(column) == "RECORD":
        if not is_.is_struct(kind):
            raise _other(kind, field, system)
        parts = dict(zip((part.name for part in kind), array.flatten(), strict=True))
        if missing := [part.name for part in field.type if part.name not in parts]:
            raise InputError(
                f"{system}: the column {field.name!r} has no field {missing[0]!r}. Leave "
                f"export out."
            )
        made = [
            _told(parts[part.name], part, inner, system)
            for part, inner in zip(field.type, column["fields"], strict=True)
        ]
        return pa.StructArray.from_arrays(made, fields=list(field.type), mask=array.is_null())
    if not _HOLD[kind_of(column)](kind):
        raise _other(kind, field, system)
    if kind == field.type:
        return array
    try:
        return array.cast(field.type)
    except pa.ArrowInvalid as error:
        raise UnfitValueError(
            field.name,
            str(error),
            where=f"{field.type} of Arrow",
            remedy="Convert it in the query, like CAST(column AS STRING).",
        ) from error


def _other(kind: Any, field: pa.Field, system: str) -> InputError:
    return InputError(
        f"{system}: the column {field.name!r} was exported as {kind}, which may not hold each "
        "value of it. Leave export out, so that it is read by the Storage Read API."
    )
