"""BigQuery's types as Arrow's and back.

Source: https://cloud.google.com/bigquery/docs/reference/storage#arrow_schema_details and
https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.types import field, logical_type

__all__ = ["arrow_field", "arrow_schema", "column_of", "spelled"]

Column = Mapping[str, Any]
"""What BigQuery's API calls a TableFieldSchema: name, type, mode, fields, precision, scale."""

_PLAIN: dict[str, tuple[pa.DataType, str | None]] = {
    "INT64": (pa.int64(), None),
    "FLOAT64": (pa.float64(), None),
    "BOOL": (pa.bool_(), None),
    "STRING": (pa.string(), None),
    "BYTES": (pa.binary(), None),
    "DATE": (pa.date32(), None),
    "TIME": (pa.time64("us"), None),
    "DATETIME": (pa.timestamp("us"), None),
    "TIMESTAMP": (pa.timestamp("us", "UTC"), None),
    "JSON": (pa.string(), "json"),
    "GEOGRAPHY": (pa.string(), "geography"),
    "INTERVAL": (pa.string(), "interval"),
}
_FORMER = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "STRUCT": "RECORD"}
_NUMERIC_DIGITS, _NUMERIC_SCALE = 29, 9
_BIG_DIGITS, _BIG_SCALE = 38, 38


def kind_of(column: Column) -> str:
    """Name a column's type by the word of GoogleSQL; a STRUCT is a ``RECORD``."""
    kind = str(column["type"]).upper()
    return _FORMER.get(kind, kind)


def arrow_schema(columns: Sequence[Column], *, system: str) -> pa.Schema:
    """Give the schema in which rows of these columns are handed out.

    Args:
        columns: A table's or a query's.
        system: The system and object, for messages.

    Raises:
        InputError: A type has no place in Arrow.
    """
    return pa.schema([arrow_field(column, system=system) for column in columns])


def arrow_field(column: Column, *, system: str) -> pa.Field:
    """Give the Arrow field of one column."""
    name = str(column["name"])
    kind, logical = _value_type(column, system)
    if column.get("mode") == "REPEATED":
        # The note of an element stands on the list, where formats look for it.
        return field(name, pa.list_(pa.field("item", kind)), logical)
    return field(name, kind, logical)


def _value_type(column: Column, system: str) -> tuple[pa.DataType, str | None]:
    kind = kind_of(column)
    if kind == "RECORD":
        return pa.struct([arrow_field(one, system=system) for one in column["fields"]]), None
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return decimal_of(column), None
    if kind not in _PLAIN:
        raise InputError(
            f"{system}: the column {column['name']!r} is of type {kind}, which is not read. Convert"
            " it in the query, like TO_JSON_STRING(column) or CAST(column AS STRING)."
        )
    return _PLAIN[kind]


def decimal_of(column: Column) -> pa.DataType:
    """Give the decimal that holds all that a NUMERIC or BIGNUMERIC column may have."""
    big = kind_of(column) == "BIGNUMERIC"
    precision, scale = column.get("precision"), int(column.get("scale") or 0)
    if precision is None:
        # BIGNUMERIC has 76 digits and a part of a 77th, which no decimal of Arrow holds.
        return pa.decimal256(76, 38) if big else pa.decimal128(38, 9)
    digits = int(precision)
    return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale)


def column_of(one: pa.Field, *, system: str) -> dict[str, Any]:
    """Give the column that keeps a field's values just as they are.

    Args:
        one: A field, with its note.
        system: The system and object, for messages.

    Raises:
        InputError: BigQuery has no such type.
    """
    kind, is_ = one.type, pa.types
    made: dict[str, Any] = {"name": one.name, "mode": "NULLABLE" if one.nullable else "REQUIRED"}
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        inner = kind.value_field
        if is_.is_nested(inner.type) and not is_.is_struct(inner.type):
            raise _no_type(one, system, "an array of arrays")
        noted = inner.metadata or one.metadata
        element = column_of(pa.field(one.name, inner.type, metadata=noted), system=system)
        return {**element, "mode": "REPEATED"}
    if is_.is_struct(kind):
        if not kind.num_fields:
            raise _no_type(one, system, "a struct without fields")
        parts = [column_of(kind.field(n), system=system) for n in range(kind.num_fields)]
        return {**made, "type": "RECORD", "fields": parts}
    return {**made, **_scalar_of(one, system)}


def _scalar_of(one: pa.Field, system: str) -> dict[str, Any]:
    kind, is_ = one.type, pa.types
    if is_.is_uint64(kind):
        return {"type": "NUMERIC", "precision": "20"}
    for tells, word in (
        (is_.is_boolean, "BOOL"),
        (is_.is_integer, "INT64"),
        (is_.is_floating, "FLOAT64"),
        (is_.is_date, "DATE"),
        (is_.is_time, "TIME"),
        (is_.is_binary, "BYTES"),
        (is_.is_large_binary, "BYTES"),
        (is_.is_fixed_size_binary, "BYTES"),
    ):
        if tells(kind):
            return {"type": word}
    if is_.is_timestamp(kind):
        return {"type": "TIMESTAMP" if kind.tz else "DATETIME"}
    if is_.is_decimal(kind):
        whole = kind.precision - kind.scale
        if kind.scale >= 0 and whole <= _NUMERIC_DIGITS and kind.scale <= _NUMERIC_SCALE:
            return {"type": "NUMERIC"}
        if kind.scale >= 0 and whole <= _BIG_DIGITS and kind.scale <= _BIG_SCALE:
            return {"type": "BIGNUMERIC"}
        raise _no_type(one, system, f"a decimal of {kind.precision} digits, {kind.scale} of them")
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        noted = {"json": "JSON", "geography": "GEOGRAPHY"}
        return {"type": noted.get(logical_type(one) or "", "STRING")}
    if is_.is_dictionary(kind):
        return _scalar_of(pa.field(one.name, kind.value_type, metadata=one.metadata), system)
    if is_.is_null(kind):
        return {"type": "STRING"}
    raise _no_type(one, system, f"{kind}")


def _no_type(one: pa.Field, system: str, what: str) -> InputError:
    return InputError(
        f"{system}: the column {one.name!r} is {what}, for which BigQuery has no type. Convert it "
        "where it is read, to text or JSON, say."
    )


def spelled(column: Column) -> str:
    """Write a column's type, for messages."""
    kind = kind_of(column)
    if column.get("precision"):
        scale = column.get("scale")
        kind = f"{kind}({column['precision']}{f', {scale}' if scale else ''})"
    elif column.get("maxLength"):
        kind = f"{kind}({column['maxLength']})"
    return f"ARRAY<{kind}>" if column.get("mode") == "REPEATED" else kind
