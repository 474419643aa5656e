"""One field of many documents as an Arrow array: exactly, or an error that names the document."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.move import types
from tradewind.move.types import UnfitValueError

__all__ = ["EMPTY_LIST", "JSON", "Column", "Kind", "Values", "united"]

Kind = tuple[pa.DataType, str | None]
"""An Arrow type, and what it means; see `tradewind.move.types`."""

JSON: Kind = (pa.string(), "json")

_INT64 = range(-(1 << 63), 1 << 63)
_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UTC = datetime.UTC
_FRACTION = re.compile(r"[.,](\d+)")


class Values(ABC):
    """What the values of one system's documents are."""

    @abstractmethod
    def dumps(self, value: Any) -> bytes:
        """Write any value as JSON, without a line end."""

    def plain(self, value: Any) -> Any:
        """Give the standard library's equal of a scalar: str, Decimal, datetime, UUID, ...

        A value that has none is returned as it is.
        """
        return value

    def scalar_kind(self, value: Any) -> Kind:
        """Tell the column that a scalar wants, given as `plain` gives it; `JSON` if none does."""
        return _SCALARS.get(type(value), JSON)

    def kind(self, value: Any) -> Kind | None:
        """Tell the column that a value wants; None for null, which fits all."""
        if value is None:
            return None
        if isinstance(value, dict):
            return JSON
        if isinstance(value, list):
            elements: Kind | None = None
            for element in value:
                kind = self.kind(element)
                elements = kind if elements is None else united(elements, kind)
            if elements is None or elements == JSON or pa.types.is_list(elements[0]):
                return JSON if elements is not None or value else EMPTY_LIST
            return pa.list_(types.field("item", *elements)), None
        plain = self.plain(value)
        if type(plain) is int and plain not in _INT64:
            return JSON
        return self.scalar_kind(plain)

    def identify(self, document: Any, number: int) -> str:
        """Name a document in a message.

        Args:
            document: The document.
            number: Which it is in the reading, from 1 on.
        """
        for key in ("_id", "id"):
            if isinstance(document, dict) and key in document:
                return f"the document with {key} {document[key]!r}"[:120]
        return f"document {number}"


_SCALARS: dict[type, Kind] = {
    bool: (pa.bool_(), None),
    int: (pa.int64(), None),
    float: (pa.float64(), None),
    str: (pa.string(), None),
    bytes: (pa.binary(), None),
    Decimal: (pa.string(), "decimal"),
    datetime.datetime: (pa.timestamp("us", tz="UTC"), None),
    uuid.UUID: (pa.string(), "uuid"),
}
EMPTY_LIST: Kind = (pa.list_(pa.null()), None)


def united(one: Kind, other: Kind | None) -> Kind:
    """Tell the column that holds what two kinds hold; see the table in `documents`."""
    if other is None or one == other:
        return one
    if {one, other} == {_SCALARS[int], _SCALARS[float]}:
        return _SCALARS[float]
    if pa.types.is_list(one[0]) and pa.types.is_list(other[0]):
        elements = [
            (kind[0].value_type, types.logical_type(kind[0].value_field)) for kind in (one, other)
        ]
        if pa.types.is_null(elements[0][0]):
            return other
        if pa.types.is_null(elements[1][0]):
            return one
        both = united(*elements)
        return JSON if both == JSON else (pa.list_(types.field("item", *both)), None)
    return JSON


class _UnfitError(ValueError):
    """A value does not fit; the caller knows column and document."""


class Column:
    """Makes Arrow arrays of one column.

    Args:
        field: Name and type of the column.
        values: What the system's values are.
    """

    def __init__(self, field: pa.Field, values: Values) -> None:
        self.field = field
        self._direct = _direct(field)
        self._convert = _converter(field, values)
        self._values = values

    def array(self, values: Sequence[Any], describe: Callable[[int], str]) -> pa.Array:
        """Make an array.

        Args:
            values: The values, None for null.
            describe: Names the document of a position.

        Raises:
            UnfitValueError: A value does not fit.
        """
        type_ = self.field.type
        if set(map(type, values)) <= self._direct:
            try:
                return pa.array(values, type=type_)
            except (pa.ArrowException, OverflowError, ValueError):
                pass  # found below, one by one
        converted = []
        convert = self._convert
        for position, value in enumerate(values):
            try:
                converted.append(None if value is None else convert(value))
            except _UnfitError as error:
                raise self._unfit(value, describe(position), str(error)) from None
        try:
            return pa.array(converted, type=type_)
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            for position, one in enumerate(converted):
                try:
                    pa.array([one], type=type_)
                except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
                    raise self._unfit(values[position], describe(position), str(error)) from None
            raise

    def _unfit(self, value: Any, document: str, reason: str) -> UnfitValueError:
        kind = types.logical_type(self.field) or str(self.field.type)
        return UnfitValueError(
            self.field.name,
            value,
            where=f"{kind} of {document}",
            remedy=f"{reason.rstrip('.')}. Declare a schema in which the field has a type that "
            "holds it (JSON holds all), or leave it out of the query.",
        )


def _direct(field: pa.Field) -> set[type]:
    """Which Python types Arrow itself takes exactly, or refuses."""
    type_, nothing = field.type, type(None)
    if types.logical_type(field) is not None:
        return (
            {nothing, str}
            if types.logical_type(field) not in ("json", "decimal", "uuid")
            else {nothing}
        )
    for test, kind in (
        (pa.types.is_boolean, bool),
        (pa.types.is_integer, int),
        (pa.types.is_float64, float),
        (pa.types.is_string, str),
        (pa.types.is_large_string, str),
        (pa.types.is_binary, bytes),
    ):
        if test(type_):
            return {nothing, kind}
    return {nothing}


def _refuse(value: Any) -> _UnfitError:
    return _UnfitError(f"It is a {getattr(value, 'kind', type(value).__name__)}")


def _converter(field: pa.Field, values: Values) -> Callable[[Any], Any]:
    """Make the function that gives a value in the Python type that Arrow takes exactly."""
    type_, logical, plain = field.type, types.logical_type(field), values.plain
    if logical == "json":
        return lambda value: values.dumps(value).decode()
    special = {"decimal": _decimal_text, "uuid": _uuid_text}.get(logical or "")
    if special is not None:
        return lambda value: special(plain(value))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        element = _converter(type_.value_field, values)
        return lambda value: _list(value, element)
    if pa.types.is_struct(type_):
        children = {child.name: _converter(child, values) for child in type_}
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
        raise _UnfitError(f"The struct has no field {min(unknown)!r}")
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
            raise _UnfitError("It is not a finite number")
        if value == value // 1:
            return int(value)
        raise _UnfitError("It is not a whole number")
    raise _refuse(value)


def _float(value: Any, type_: pa.DataType) -> float:
    if hasattr(value, "of_text"):
        return float(value)  # the nearest double is what a column of doubles means by a text
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value)
    try:
        near = pa.scalar(float(value), pa.float64()).cast(type_, safe=False).as_py()
    except OverflowError:
        near = None
    if near != value and value == value:
        raise _UnfitError(f"{type_} would round it")
    return float(value)


def _decimal(value: Any, type_: pa.DataType) -> Decimal:
    if isinstance(value, Decimal):
        exact = value
    elif isinstance(value, int) and not isinstance(value, bool):
        exact = Decimal(value)
    else:
        raise _refuse(value)
    if not exact.is_finite():
        raise _UnfitError("It is not a finite number")
    sign, digits, power = exact.as_tuple()
    exponent = int(power)
    while exponent < -type_.scale and digits and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if exponent < -type_.scale and any(digits):
        raise _UnfitError(f"It has more than {type_.scale} digits after the point")
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
            raise _UnfitError("It is not a UUID") from None
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
            raise _UnfitError("It is not base64") from None
    raise _refuse(value)


def _iso(text: str) -> datetime.datetime:
    fraction = _FRACTION.search(text)
    if fraction and fraction[1][6:].strip("0"):
        raise _UnfitError("It has more than six digits of a second")
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise _UnfitError("It is not a timestamp of ISO 8601") from None


def _timestamp(value: Any, type_: pa.DataType) -> Any:
    if isinstance(value, str):
        moment = _iso(value)
        if (moment.tzinfo is None) != (type_.tz is None):
            raise _UnfitError(
                "It has no zone" if type_.tz else "It has a zone, the column has none"
            )
    elif isinstance(value, datetime.datetime):
        moment = value  # a naive one is UTC, as systems without zones mean it
    elif isinstance(value, int) and hasattr(value, "milliseconds"):
        return _in_unit(int(value) * 1000, type_)
    else:
        raise _refuse(value)
    if moment.tzinfo is not None:
        moment = moment.astimezone(_UTC).replace(tzinfo=None)
    return _in_unit((moment - _EPOCH) // _MICROSECOND, type_)


def _in_unit(microseconds: int, type_: pa.DataType) -> Any:
    try:
        moment = pa.scalar(microseconds, pa.timestamp("us", tz=type_.tz)).cast(type_)
    except (pa.ArrowException, OverflowError) as error:
        raise _UnfitError(f"{type_} cannot tell it: {error}") from None
    return moment.value


def _date(value: Any, type_: pa.DataType) -> datetime.date:
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise _UnfitError("It is not a date of ISO 8601") from None
    if isinstance(value, datetime.datetime):
        if value.time() != datetime.time():
            raise _UnfitError("It has a time of day")
        return value.date()
    if isinstance(value, datetime.date):
        return value
    raise _refuse(value)


def _time(value: Any, type_: pa.DataType) -> datetime.time:
    if isinstance(value, str):
        fraction = _FRACTION.search(value)
        if fraction and fraction[1][6:].strip("0"):
            raise _UnfitError("It has more than six digits of a second")
        try:
            value = datetime.time.fromisoformat(value)
        except ValueError:
            raise _UnfitError("It is not a time of ISO 8601") from None
    if isinstance(value, datetime.time):
        if value.tzinfo is not None:
            raise _UnfitError("It has a zone")
        step = {"s": 1_000_000, "ms": 1000}.get(type_.unit, 1)
        if value.microsecond % step:
            raise _UnfitError(f"{type_} would round it")
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
