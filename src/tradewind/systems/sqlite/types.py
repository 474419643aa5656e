"""The types that columns of SQLite declare, as Arrow's; and values that have to be of them.

Source: https://www.sqlite.org/datatype3.html. A column's declared type is a wish; each value has a
type of its own. Values that do not fit what their column declares are errors here.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tradewind.move.interface import option
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.move.values import column

__all__ = ["Convert", "array_of", "as_text", "converter", "declared_field", "is_text", "remedy"]

_FINER = re.compile(r"[.,]\d{6}\d*[1-9]", re.ASCII)
_SIZE = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")

Convert = Callable[[Any], Any]


def declared_field(name: str, declared: str) -> pa.Field | None:
    """Turn a declared type into a field; None where it says nothing."""
    words = declared.upper()
    sized = _SIZE.search(words)
    bare = _SIZE.sub("", words).strip()
    if not bare:
        return None
    if bare in ("BOOLEAN", "BOOL"):
        return field(name, pa.bool_())
    if bare == "DATE":
        return field(name, pa.date32())
    if bare in ("DATETIME", "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE"):
        return field(name, pa.timestamp("us"))
    if bare in ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"):
        return field(name, pa.timestamp("us", "UTC"))
    if bare == "TIME":
        return field(name, pa.time64("us"))
    if bare in ("JSON", "JSON_TEXT", "UUID", "UUID_TEXT"):
        return field(name, pa.string(), bare.removesuffix("_TEXT").lower())
    if bare in ("DECIMAL", "NUMERIC", "DECIMAL_TEXT"):
        precision = int(sized[1]) if sized else 0
        scale = int(sized[2] or 0) if sized else 0
        if 0 < precision <= 76 and scale <= precision:
            wide = pa.decimal128 if precision <= 38 else pa.decimal256
            return field(name, wide(precision, scale))
        return field(name, pa.string(), "decimal") if bare == "DECIMAL_TEXT" else None
    # The rules of affinity, in SQLite's own order.
    if "INT" in bare:
        return field(name, pa.int64())
    if any(part in bare for part in ("CHAR", "CLOB", "TEXT")):
        return field(name, pa.string())
    if "BLOB" in bare:
        return field(name, pa.binary())
    if any(part in bare for part in ("REAL", "FLOA", "DOUB")):
        return field(name, pa.float64())
    return None


def remedy(name: str, values: list[Any]) -> str:
    """Say what helps where a value of a column does not fit."""
    if any(isinstance(value, bytes) for value in values):
        alone = all(isinstance(value, bytes | None) for value in values)
        read = f", or read them with {option('schema', {name: 'binary'})}" if alone else ""
        return (
            "SQLite keeps any value in any column, and bytes are no text. Write them as text in "
            f"the query, as with hex(){read}."
        )
    return (
        "SQLite keeps any value in any column. Correct it, CAST it in the query, or declare "
        f"another type with {option('schema', {name: 'string'})}."
    )


def array_of(values: list[Any], into: pa.Field, convert: Convert | None) -> pa.Array:
    """Make an array of a field's type.

    Args:
        values: As Python has them.
        into: The field.
        convert: Makes of each value one that fits; None where they do.

    Raises:
        UnfitValueError: One does not.
    """
    if convert is not None:
        converted = []
        for value in values:
            try:
                converted.append(value if value is None else convert(value))
            except (ValueError, ArithmeticError, TypeError) as error:
                raise UnfitValueError(
                    into.name, value, where=str(into.type), remedy=remedy(into.name, values)
                ) from error
        values = converted
    return column(values, into, remedy=remedy(into.name, values))


def converter(type_: pa.DataType) -> Convert | None:
    """Find what makes of SQLite's values those of a type; None where they are alike."""
    is_ = pa.types
    if is_.is_boolean(type_):
        return _boolean
    if is_.is_date(type_):
        return lambda value: value if not isinstance(value, str) else _date(value)
    if is_.is_timestamp(type_):
        return lambda value: _moment(value, zoned=type_.tz is not None)
    if is_.is_time(type_):
        return _time
    if is_.is_decimal(type_):
        return _decimal
    return None


def is_text(into: pa.Field) -> bool:
    """Tell whether a field is any text."""
    return bool(pa.types.is_string(into.type)) and logical_type(into) is None


def as_text(value: Any) -> Any:
    """Write a number as SQLite does: a float with the digits that tell it."""
    return str(value) if isinstance(value, int | float) else value


def _date(text: str) -> datetime.date:
    if len(text) != 10:
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def _boolean(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _moment(value: Any, *, zoned: bool) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.datetime.fromisoformat(_kept(value))
    if (moment.tzinfo is not None) != zoned:
        raise ValueError(value)
    return moment


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    time = datetime.time.fromisoformat(_kept(value))
    if time.tzinfo is not None:
        raise ValueError(value)
    return time


def _kept(text: str) -> str:
    """Refuse a time of more digits of a second than Python's own have, which it would cut off."""
    if _FINER.search(text):
        raise ValueError(text)
    return text


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, str) and not (value.isascii() and "_" not in value):
        raise ValueError(value)  # Python reads digits of other scripts, and underscores, too.
    # A float is what SQLite makes of a decimal: its shortest spelling is what was meant.
    return decimal.Decimal(repr(value) if isinstance(value, float) else value)
