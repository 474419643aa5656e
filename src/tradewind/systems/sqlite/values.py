"""Values as SQLite keeps them: by a column's declared type, with nothing lost."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.tables.staging import TableColumn
from tradewind.move.types import UnfitValueError, logical_type

__all__ = ["column_values", "plain", "quoted", "type_of"]

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


def quoted(name: str) -> str:
    """Write a name."""
    return '"' + name.replace('"', '""') + '"'


def type_of(field: pa.Field) -> str:
    """Name the type of a column that keeps a field's values just as they are."""
    kind, is_ = field.type, pa.types
    if is_.is_boolean(kind):
        return "BOOLEAN"
    if is_.is_integer(kind):
        return "INTEGER"
    if is_.is_floating(kind):
        return "REAL"
    if is_.is_decimal(kind):
        # DECIMAL alone would keep it as a float.
        return f"DECIMAL_TEXT({kind.precision},{kind.scale})"
    if is_.is_date(kind):
        return "DATE"
    if is_.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "DATETIME"
    if is_.is_time(kind):
        return "TIME"
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind):
        return "BLOB"
    if is_.is_nested(kind):
        return "JSON_TEXT"
    noted = {"decimal": "DECIMAL_TEXT", "json": "JSON_TEXT", "uuid": "UUID_TEXT"}
    return noted.get(logical_type(field) or "", "TEXT")


def _affinity(declared: str) -> str:
    if "int" in declared:
        return "integer"
    if any(part in declared for part in ("char", "clob", "text")):
        return "text"
    if "blob" in declared or not declared:
        return "none"
    return "real" if any(part in declared for part in ("real", "floa", "doub")) else "numeric"


def column_values(array: pa.Array, field: pa.Field, column: TableColumn) -> list[Any]:
    """Turn an array into values that SQLite keeps in this column just as they are."""
    if pa.types.is_nested(field.type):
        array = json_strings(array, field, JsonStyle("JSON in SQLite"), field.name)
    elif pa.types.is_timestamp(field.type) and field.type.tz:
        array = array.cast(pa.timestamp(field.type.unit, "UTC"))
    say = _spelling(array.type, _affinity(column.type))
    values: list[Any] = array.to_pylist()
    if say is None:
        return values
    spelled = []
    for value in values:
        try:
            spelled.append(None if value is None else say(value))
        except ValueError as error:
            shown = column.type.upper() or "none"
            raise UnfitValueError(
                field.name,
                value,
                where=f"the column {column.name!r} of type {shown} in SQLite",
                remedy="Declare the column as TEXT, or convert the value in the query.",
            ) from error
    return spelled


def _spelling(kind: pa.DataType, affinity: str) -> Callable[[Any], Any] | None:
    is_ = pa.types
    if is_.is_boolean(kind):
        return int
    if is_.is_integer(kind):
        return _INTEGERS.get(affinity, _small)
    if is_.is_floating(kind):
        return repr if affinity == "text" else _finite
    if is_.is_decimal(kind):
        return _digits if affinity in ("text", "none") else _number
    if is_.is_timestamp(kind):
        return lambda value: value.isoformat(" ")
    if is_.is_date(kind) or is_.is_time(kind):
        return lambda value: value.isoformat()
    if is_.is_string(kind) and affinity in ("integer", "real", "numeric"):
        return _no_number
    return None


def _small(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(value)
    return value


def _real(value: int) -> float:
    if int(float(value)) != value:
        raise ValueError(value)
    return float(value)


_INTEGERS: dict[str, Callable[[Any], Any]] = {"text": str, "real": _real}


def _finite(value: float) -> float:
    if math.isnan(value):
        raise ValueError(value)  # SQLite would make it NULL.
    return value


def _digits(value: decimal.Decimal) -> str:
    return format(value, "f")


def _number(value: decimal.Decimal) -> int | float:
    if value == value.to_integral_value():
        return _small(int(value))
    if decimal.Decimal(repr(float(value))) != value:
        raise ValueError(value)
    return float(value)


def _no_number(value: str) -> str:
    if _NUMBER.fullmatch(value):
        raise ValueError(value)  # SQLite would make it one, and lose its zeros.
    return value


def plain(value: Any) -> Any:
    """Spell a value of a condition as it stands in the table."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal) else value
