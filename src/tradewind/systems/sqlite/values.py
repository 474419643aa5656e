"""Values as SQLite keeps them: by a column's declared type, with nothing lost."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.formats.text import plain as stored_plainly
from tradewind.move.formats.text import shown, unfit_type
from tradewind.move.tables.staging import TableColumn
from tradewind.move.types import UnfitValueError, logical_type

__all__ = ["check_new_names", "column_values", "plain", "quoted", "type_of"]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)


def quoted(name: str) -> str:
    """Write a name."""
    return '"' + name.replace('"', '""') + '"'


def check_new_names(system: str, names: Sequence[str]) -> None:
    """Refuse names that the columns of a new table cannot have.

    Args:
        system: SQLite and its file, for messages.
        names: The names.

    Raises:
        InputError: There is none, or one is empty, has a zero byte, or differs from another in
            ASCII's case alone.
    """
    if not names:
        raise InputError(f"{system}: the data have no columns, and a table has one at least.")
    seen: dict[str, str] = {}
    for name in names:
        why = ""
        if not name:
            why = "has no name"
        elif "\0" in name:
            why = "has a zero byte in its name, which SQLite cannot hold"
        other = seen.setdefault(name.translate(_LOWER), name)
        if other != name:
            why = f"is the column {other!r} to SQLite, which does not tell capitals from others"
        if why:
            raise InputError(
                f"{system}: the column {name!r} {why}. Rename it at its source, or in the query."
            )


def type_of(field: pa.Field) -> str:
    """Name the type of a column that keeps a field's values just as they are."""
    kind, is_ = stored_plainly(pa.nulls(0, field.type)).type, pa.types
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
    array = stored_plainly(array)
    kind = array.type
    if pa.types.is_nested(kind):
        array = json_strings(array, field, JsonStyle("JSON in SQLite"), field.name)
    elif pa.types.is_timestamp(kind) and kind.tz:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    elif pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise unfit_type(field.name, kind, "SQLite")
    say = _spelling(array.type, _affinity(column.type))
    if pa.types.is_temporal(array.type) and getattr(array.type, "unit", "") == "ns":
        return _with_nanoseconds(array)
    try:
        values: list[Any] = array.to_pylist()
    except OverflowError:
        raise UnfitValueError(
            field.name,
            _beyond(array),
            where=f"the column {column.name!r} in SQLite, whose dates are of the years 1 to 9999,",
            remedy="Correct it, or make it text in the query, or by a schema that says string.",
        ) from None
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


def _beyond(array: pa.Array) -> str:
    """Spell the first date that Python's own cannot be."""
    for at, value in enumerate(array):
        try:
            value.as_py()
        except OverflowError:
            number = f"{value.value} as {array.type}"  # Arrow's own text has wrong years
            return f"{shown(array.slice(at, 1))} ({number})"
    raise AssertionError("all are dates of Python")


def _with_nanoseconds(array: pa.Array) -> list[str | None]:
    """Spell times of a unit that Python's own have not."""
    kind = array.type
    numbers = array.cast(pa.int64()).to_pylist()
    parts = [(None, 0) if number is None else divmod(number, 1000) for number in numbers]
    coarse = pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us")
    spelled: list[str | None] = []
    zone = "+00:00" if getattr(kind, "tz", None) else ""
    for value, (_, rest) in zip(
        pa.array([whole for whole, _ in parts], pa.int64()).cast(coarse).to_pylist(),
        parts,
        strict=True,
    ):
        text = None if value is None else str(value)
        if text is not None and rest:
            text = f"{text if '.' in text else text + '.000000'}{rest:03d}"
        spelled.append(None if text is None else text + zone)
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
