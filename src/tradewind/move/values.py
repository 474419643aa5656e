"""Python values of a database driver as Arrow columns, exactly or not at all."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.move.loose import Group, mixed
from tradewind.move.types import UnfitValueError, field, logical_type

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["column", "guessed", "loose_column"]

_LONG = pa.int64()
_UTC = datetime.UTC


def guessed(name: str, values: Sequence[Any], *, declared: Sequence[Any] = ()) -> pa.Field:
    """Choose a type that holds all of some values.

    Args:
        name: Name of the column.
        values: The first values; None counts for nothing.
        declared: What the driver says of the column: precision and scale of decimals, or nothing.

    Returns:
        The field; a string where nothing is known.
    """
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return field(name, pa.string())
    for classes, make in _KINDS:
        if all(issubclass(kind, classes) for kind in kinds):
            made = make(name, [value for value in values if value is not None], declared)
            if made is not None:
                return made
    return field(name, pa.string())


def _integer(name: str, values: list[Any], _: Sequence[Any]) -> pa.Field | None:
    if all(-(1 << 63) <= value < 1 << 63 for value in values):
        return field(name, _LONG)
    if all(0 <= value < 1 << 64 for value in values):
        return field(name, pa.uint64())
    return field(name, pa.string(), "decimal")


def _decimal(name: str, values: list[Any], declared: Sequence[Any]) -> pa.Field | None:
    # Only what the driver declares holds for rows yet to come.
    precision, scale = ([*declared, None, None])[:2]
    known = isinstance(precision, int) and isinstance(scale, int)
    if known and precision and 0 <= scale <= precision <= 76:
        wide = pa.decimal128 if precision <= 38 else pa.decimal256
        return field(name, wide(precision, scale))
    return field(name, pa.string(), "decimal")


def _timestamp(name: str, values: list[Any], _: Sequence[Any]) -> pa.Field | None:
    zoned = {value.tzinfo is not None for value in values}
    if len(zoned) > 1:
        return None
    return field(name, pa.timestamp("us", "UTC") if zoned == {True} else pa.timestamp("us"))


def _time(name: str, values: list[Any], _: Sequence[Any]) -> pa.Field | None:
    if any(value.tzinfo is not None for value in values):
        return field(name, pa.string(), "timetz")
    return field(name, pa.time64("us"))


def _of(type_: pa.DataType, logical: str | None = None) -> Callable[..., pa.Field]:
    return lambda name, values, declared: field(name, type_, logical)


_KINDS: list[tuple[Any, Callable[[str, list[Any], Sequence[Any]], pa.Field | None]]] = [
    (bool, _of(pa.bool_())),
    (int, _integer),
    (float, _of(pa.float64())),
    ((decimal.Decimal, int), _decimal),
    (str, _of(pa.string())),
    ((bytes, bytearray, memoryview), _of(pa.binary())),
    (datetime.datetime, _timestamp),
    (datetime.date, _of(pa.date32())),
    (datetime.time, _time),
    (datetime.timedelta, _of(pa.string(), "interval")),
    (uuid.UUID, _of(pa.string(), "uuid")),
    ((dict, list, tuple), _of(pa.string(), "json")),
]


def column(values: Sequence[Any], into: pa.Field, *, remedy: str, where: str = "") -> pa.Array:
    """Turn values into an array of a field's type.

    Args:
        values: Python's; None is null.
        into: The field.
        remedy: What to do about a value that does not fit, one sentence.
        where: What the column is called in the message, if not by its type.

    Raises:
        UnfitValueError: A value does not fit as it is.
    """
    type_ = into.type
    accept = _accepts(type_, logical_type(into))
    try:
        return pa.array([None if v is None else accept(v) for v in values], type_)
    except (_NoFitError, pa.ArrowException, OverflowError, TypeError, ValueError):
        for value in values:
            if value is None:
                continue
            try:
                pa.array([accept(value)], type_)
            except (_NoFitError, pa.ArrowException, OverflowError, TypeError, ValueError) as error:
                shown = where or logical_type(into) or str(type_)
                raise UnfitValueError(into.name, value, where=shown, remedy=remedy) from error
        raise


def loose_column(
    values: Sequence[Any],
    into: pa.Field,
    format: Format,
    *,
    remedy: str,
    make: Callable[[list[Any], pa.Field], pa.Array] | None = None,
) -> tuple[pa.Array, pa.Field]:
    """Turn values into a column of a format in which each has a type of its own.

    Args:
        values: Python's; None is null.
        into: The type that the column has by its declaration, or that its first values have.
        format: The format that is written.
        remedy: What to do about a value that does not fit, one sentence.
        make: Makes an array of values that are of the field's type, where `column` does not.

    Returns:
        An array of the field's type where all fit; else of each value's own, as text.
    """
    made = make or (lambda some, field: column(some, field, remedy=remedy))
    if make is not None or len(set(map(type, values)) - {type(None)}) <= 1:
        try:
            return made(list(values), into), into
        except UnfitValueError:
            pass
    groups: dict[Any, tuple[list[int], list[Any]]] = {}
    for position, value in enumerate(values):
        if value is None:
            continue
        kind: Any = type(value)
        if make is not None:
            try:
                made([value], into)
                kind = None  # as declared
            except UnfitValueError:
                pass
        positions, members = groups.setdefault(kind, ([], []))
        positions.append(position)
        members.append(value)
    parts: list[Group] = []
    for kind, (positions, members) in groups.items():
        own = into if kind is None else guessed(into.name, members)
        array = made(members, own) if kind is None else column(members, own, remedy=remedy)
        parts.append((positions, array, own))
    return mixed(into.name, parts, len(values), format)


class _NoFitError(Exception):
    pass


def _accepts(type_: pa.DataType, logical: str | None) -> Callable[[Any], Any]:
    """Give what passes a value through or refuses it: Arrow itself would round or cut some."""
    is_ = pa.types
    if is_.is_boolean(type_):
        return _only(bool)
    if is_.is_integer(type_):
        return _integral
    if is_.is_floating(type_):
        return _float32 if type_.bit_width < 64 else _floating
    if is_.is_decimal(type_):
        return _only(decimal.Decimal, int, but=bool)
    if is_.is_timestamp(type_):
        return _zoned if type_.tz else _naive
    if is_.is_date(type_):
        return _only(datetime.date, but=datetime.datetime)
    if is_.is_time(type_):
        return _plain_time
    if is_.is_binary(type_) or is_.is_large_binary(type_):
        return _bytes
    if is_.is_string(type_) or is_.is_large_string(type_):
        return _TEXTS.get(logical or "", _text)
    return lambda value: value


def _only(*kinds: type, but: type | None = None) -> Callable[[Any], Any]:
    def accept(value: Any) -> Any:
        if not isinstance(value, kinds) or (but is not None and isinstance(value, but)):
            raise _NoFitError
        return value

    return accept


def _integral(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, decimal.Decimal) and value == value.to_integral_value():
        return int(value)
    raise _NoFitError


def _floating(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) == value:
        return float(value)
    raise _NoFitError


def _float32(value: Any) -> float:
    import struct

    number = _floating(value)
    if number == number and struct.unpack("f", struct.pack("f", number))[0] != number:
        raise _NoFitError
    return number


def _zoned(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(_UTC)
    raise _NoFitError


def _naive(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value
    raise _NoFitError


def _plain_time(value: Any) -> datetime.time:
    if isinstance(value, datetime.time) and value.tzinfo is None:
        return value
    raise _NoFitError


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise _NoFitError


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID):
        return str(value)
    raise _NoFitError


def _decimal_text(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _json_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _time_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.time) else _text(value)


def _interval(value: Any) -> str:
    """Write a duration in ISO 8601: ``P1DT2H``, ``PT-0.5S``."""
    if not isinstance(value, datetime.timedelta):
        return _text(value)
    sign = "-" if value < datetime.timedelta() else ""
    value = abs(value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    day = f"{sign}{value.days}D" if value.days else ""
    time = f"{sign}{hours}H" * bool(hours) + f"{sign}{minutes}M" * bool(minutes)
    if seconds or fraction:
        time += f"{sign}{seconds}{fraction}S"
    if not day and not time:
        return "PT0S"
    return f"P{day}" + (f"T{time}" if time else "")


_TEXTS: dict[str, Callable[[Any], str]] = {
    "decimal": _decimal_text,
    "json": _json_text,
    "interval": _interval,
    "timetz": _time_text,
}
