"""One value of a document in the Python type that Arrow takes exactly, or an error."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.move import types
from tradewind.move.tables.exact import is_rounded
from tradewind.move.types import UnfitValueError

__all__ = ["UnfitError", "converter"]

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_FRACTION = re.compile(r"[.,](\d+)")


class UnfitError(ValueError):
    """A value does not fit; the caller knows column and document."""


def _refuse(value: Any) -> UnfitError:
    return UnfitError(f"It is a {getattr(value, 'kind', type(value).__name__)}")


def converter(
    field: pa.Field, plain: Callable[[Any], Any], dumps: Callable[[Any], bytes]
) -> Callable[[Any], Any]:
    """Make the function that gives a value in the Python type that Arrow takes exactly."""
    type_, logical = field.type, types.logical_type(field)
    if logical == "json":
        return lambda value: dumps(value).decode()
    special = {"decimal": _decimal_text, "uuid": _uuid_text}.get(logical or "")
    if special is not None:
        return lambda value: special(plain(value))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        element = converter(type_.value_field, plain, dumps)
        return lambda value: _list(value, element)
    if pa.types.is_struct(type_):
        children = {child.name: converter(child, plain, dumps) for child in type_}
        return lambda value: _struct(value, children)
    for test, convert in _CONVERTERS:
        if test(type_):
            return lambda value: convert(plain(value), type_)
    raise UnfitValueError(
        field.name,
        str(type_),
        where="a schema of documents",
        remedy="Declare a type of the table in tradewind.move.types.",
    )


def _list(value: Any, element: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise _refuse(value)
    return [None if one is None else element(one) for one in value]


def _struct(value: Any, children: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(value)
    unknown = value.keys() - children.keys()
    if unknown:
        raise UnfitError(f"The struct has no field {min(unknown)!r}")
    return {
        name: None if value.get(name) is None else convert(value[name])
        for name, convert in children.items()
    }


def _bool(value: Any, type_: pa.DataType) -> bool:
    if isinstance(value, bool):
        return value
    raise _refuse(value)


def _int(value: Any, type_: pa.DataType) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float | Decimal):
        # Systems without integers of their own tell them as 3.0.
        if isinstance(value, Decimal) and not value.is_finite():
            raise UnfitError("It is not a finite number")
        if value == value // 1:
            return int(value)
        raise UnfitError("It is not a whole number")
    raise _refuse(value)


def _float(value: Any, type_: pa.DataType) -> float:
    if hasattr(value, "of_text"):
        if is_rounded(str(value), type_.bit_width):
            raise UnfitError(f"It has more digits than {type_} keeps")
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value)
    try:
        near = pa.scalar(float(value), pa.float64()).cast(type_, safe=False).as_py()
    except OverflowError:
        near = None
    if near != value and value == value:
        raise UnfitError(f"{type_} would round it")
    return float(value)


def _decimal(value: Any, type_: pa.DataType) -> Decimal:
    if isinstance(value, Decimal):
        exact = value
    elif isinstance(value, int) and not isinstance(value, bool):
        exact = Decimal(value)
    else:
        raise _refuse(value)
    if not exact.is_finite():
        raise UnfitError("It is not a finite number")
    sign, digits, power = exact.as_tuple()
    exponent = int(power)
    while exponent < -type_.scale and digits and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if exponent < -type_.scale and any(digits):
        raise UnfitError(f"It has more than {type_.scale} digits after the point")
    return Decimal((sign, digits or (0,), exponent if digits else 0))


def _text(value: Any, type_: pa.DataType) -> str:
    if isinstance(value, str | uuid.UUID | Decimal):
        return str(value)
    raise _refuse(value)


def _decimal_text(value: Any) -> str:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise _refuse(value)


def _uuid_text(value: Any) -> str:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str):
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise UnfitError("It is not a UUID") from None
    raise _refuse(value)


def _binary(value: Any, type_: pa.DataType) -> bytes:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise UnfitError("It is not base64") from None
    raise _refuse(value)


def _iso(text: str) -> datetime.datetime:
    fraction = _FRACTION.search(text)
    if fraction and fraction[1][6:].strip("0"):
        raise UnfitError("It has more than six digits of a second")
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UnfitError("It is not a timestamp of ISO 8601") from None


def _timestamp(value: Any, type_: pa.DataType) -> Any:
    if isinstance(value, str):
        moment = _iso(value)
        if (moment.tzinfo is None) != (type_.tz is None):
            raise UnfitError("It has no zone" if type_.tz else "It has a zone, the column has none")
    elif isinstance(value, datetime.datetime):
        moment = value  # a naive one is UTC, as systems without zones mean it
    elif hasattr(value, "milliseconds"):
        return _in_unit(value.milliseconds * 1000, type_)
    else:
        raise _refuse(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return _in_unit((moment - _EPOCH) // _MICROSECOND, type_)


def _in_unit(microseconds: int, type_: pa.DataType) -> Any:
    try:
        moment = pa.scalar(microseconds, pa.timestamp("us", tz=type_.tz)).cast(type_)
    except (pa.ArrowException, OverflowError) as error:
        raise UnfitError(f"{type_} cannot tell it: {error}") from None
    return moment.value


def _date(value: Any, type_: pa.DataType) -> datetime.date:
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise UnfitError("It is not a date of ISO 8601") from None
    if isinstance(value, datetime.datetime):
        if value.time() != datetime.time():
            raise UnfitError("It has a time of day")
        return value.date()
    if isinstance(value, datetime.date):
        return value
    raise _refuse(value)


def _time(value: Any, type_: pa.DataType) -> datetime.time:
    if isinstance(value, str):
        fraction = _FRACTION.search(value)
        if fraction and fraction[1][6:].strip("0"):
            raise UnfitError("It has more than six digits of a second")
        try:
            value = datetime.time.fromisoformat(value)
        except ValueError:
            raise UnfitError("It is not a time of ISO 8601") from None
    if isinstance(value, datetime.time):
        if value.tzinfo is not None:
            raise UnfitError("It has a zone")
        step = {"s": 1_000_000, "ms": 1000}.get(type_.unit, 1)
        if value.microsecond % step:
            raise UnfitError(f"{type_} would round it")
        return value
    raise _refuse(value)


_CONVERTERS: list[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]]] = [
    (pa.types.is_boolean, _bool),
    (pa.types.is_integer, _int),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_binary, _binary),
    (pa.types.is_large_binary, _binary),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_date32, _date),
    (pa.types.is_time, _time),
]
