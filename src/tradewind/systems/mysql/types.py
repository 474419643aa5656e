"""How each type of MySQL and MariaDB is read: from the text that the server sends, exactly.

Columns of the protocol: https://mariadb.com/kb/en/result-set-packets/. Values come as bytes; whole
columns of them are turned into Arrow arrays at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.interface import option
from tradewind.move.types import UnfitValueError, field, logical_type

__all__ = ["MySQLReading", "durations", "mysql_reading", "refuse_choice"]

_INTEGERS = {
    1: (pa.int8(), pa.uint8()),
    2: (pa.int16(), pa.uint16()),
    9: (pa.int32(), pa.uint32()),
    3: (pa.int32(), pa.uint32()),
    8: (pa.int64(), pa.uint64()),
}
_DECIMAL, _NEWDECIMAL = 0, 246
_FLOAT, _DOUBLE = 4, 5
_TIMESTAMP, _DATE, _TIME, _DATETIME, _YEAR, _NEWDATE, _BIT = 7, 10, 11, 12, 13, 14, 16
_JSON, _GEOMETRY = 245, 255
_STRINGS = {15, 247, 248, 249, 250, 251, 252, 253, 254}
_UNSIGNED, _ZEROFILL, _ENUM, _SET = 32, 64, 256, 2048
_OWN = {36: "uuid", 39: "inet6", 15: "inet4"}
"""Types of MariaDB's own that travel as text: by their length in characters."""
_BYTES_A_CHARACTER = 4


@dataclass(frozen=True)
class MySQLReading:
    """How one column is read.

    Args:
        field: What it becomes.
        room: The most bytes of one value, as the server declares it.
        convert: Turns the texts (for binary fields: bytes) into the field's type; None where they
            are it already.
        is_float: A single-precision column, which the server prints with six digits only.
        is_printed_alike: Its text is just what CSV wants.
        kind: The number of its type.
        decimals: Digits that the server prints of a second.
        unsigned: Whether its numbers have no sign.
        zero_dates: ``error`` or ``null``.
    """

    field: pa.Field
    room: int
    convert: Callable[[pa.Array], pa.Array] | None = None
    is_float: bool = False
    is_printed_alike: bool = False
    kind: int = 0
    decimals: int = 0
    unsigned: bool = False
    zero_dates: str = "error"

    @property
    def is_number_as_text(self) -> bool:
        """Whether it travels as text in the binary protocol too, the way CSV wants it."""
        return self.is_printed_alike and self.kind in (_DECIMAL, _NEWDECIMAL)

    def array(self, raw: pa.Array) -> pa.Array:
        """Turn the bytes of one column into the field's type.

        Raises:
            UnfitValueError: A value has no room in it.
        """
        return raw if pa.types.is_binary(self.field.type) else self._converted(self.text(raw))

    def text(self, raw: pa.Array) -> pa.Array:
        """Take bytes as text."""
        if self.convert in (_bit, _bits):
            return raw
        try:
            return raw.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise UnfitValueError(
                self.field.name,
                "(bytes)",
                where="text in UTF-8",
                remedy=f"CAST({self.field.name} AS BINARY) in the query gives its bytes.",
            ) from error

    def _converted(self, text: pa.Array) -> pa.Array:
        if self.convert is None:
            return text
        try:
            return self.convert(text)
        except pa.ArrowInvalid as error:
            found = re.search(r"'(.*?)'", str(error), re.DOTALL)
            raise self.unfit(found[1] if found else str(error)) from error
        except _UnfitError as error:
            raise self.unfit(error.value) from error

    def unfit(self, value: object) -> UnfitValueError:
        """Make the error for a value that the field's type has no room for."""
        type_ = self.field.type
        name = self.field.name
        remedy = f"CAST({name} AS CHAR) in the query gives what the server prints."
        if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
            remedy = (
                "It is no date of the calendar. Correct it, leave it out in the query, or give "
                f"{option('zero_dates', 'null')}; CAST({name} AS CHAR) gives it as text."
            )
        elif pa.types.is_time(type_):
            remedy = (
                f"It is no time of a day. Give {option('times', 'interval')} to read it as a "
                "duration."
            )
        return UnfitValueError(
            name, value, where=logical_type(self.field) or str(type_), remedy=remedy
        )


class _UnfitError(Exception):
    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


def mysql_reading(
    described: tuple[Any, ...],
    flags: int,
    *,
    is_text: bool,
    zero_dates: str,
    times: str,
    json: frozenset[str],
) -> MySQLReading:
    """Choose how a column is read.

    Args:
        described: Name, type, and so on, as the library describes a column.
        flags: Its flags.
        is_text: Whether it has a character set.
        zero_dates: ``error`` or ``null``.
        times: ``time`` or ``interval``.
        json: Names of text columns that hold JSON.
    """
    name, kind, _, length, _, scale = described[:6]
    room = length if length >= 0 else 1 << 32

    def made(
        type_: pa.DataType,
        convert: Callable[[pa.Array], pa.Array] | None = None,
        logical: str | None = None,
        **more: bool,
    ) -> MySQLReading:
        return MySQLReading(
            field(name, type_, logical),
            room,
            convert,
            kind=kind,
            decimals=scale,
            unsigned=bool(flags & _UNSIGNED),
            zero_dates=zero_dates,
            **more,
        )

    if kind in _INTEGERS:
        type_ = _INTEGERS[kind][bool(flags & _UNSIGNED)]
        return made(type_, lambda text: text.cast(type_), is_printed_alike=not flags & _ZEROFILL)
    if kind in (_DECIMAL, _NEWDECIMAL):
        precision = length - (scale > 0) - (not flags & _UNSIGNED)
        precision = max(precision, scale, 1)
        decimal = (
            pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
        )
        return made(decimal, _decimals(decimal), is_printed_alike=not flags & _ZEROFILL)
    if kind == _FLOAT:
        return made(pa.float32(), _floats, is_float=True)
    if kind == _DOUBLE:
        return made(pa.float64(), lambda text: text.cast(pa.float64()))
    if kind in (_DATE, _NEWDATE):
        return made(pa.date32(), _dated(lambda text: text.cast(pa.date32()), zero_dates))
    if kind == _DATETIME:
        naive = pa.timestamp("us")
        return made(naive, _dated(lambda text: text.cast(naive), zero_dates))
    if kind == _TIMESTAMP:
        zoned = pa.timestamp("us", "UTC")
        return made(
            zoned, _dated(lambda text: text.cast(pa.timestamp("us")).cast(zoned), zero_dates)
        )
    if kind == _TIME:
        if times == "interval":
            return made(pa.string(), durations, "interval")
        return made(pa.time64("us"), _times)
    if kind == _YEAR:
        return made(pa.int16(), lambda text: text.cast(pa.int16()))
    if kind == _BIT:
        if length == 1:
            return made(pa.bool_(), _bit)
        return made(pa.uint64(), _bits)
    if kind == _JSON:
        return made(pa.string(), logical="json")
    if kind == _GEOMETRY or (kind in _STRINGS and not is_text):
        return made(pa.binary())
    return made(pa.string(), logical=_logical(name, kind, flags, length, json))


def _logical(name: str, kind: int, flags: int, length: int, json: frozenset[str]) -> str | None:
    if name in json:
        return "json"
    if flags & _ENUM or kind == 247:
        return "enum"
    if flags & _SET or kind == 248:
        return "set"
    if kind == 254 and flags & _UNSIGNED:
        return _OWN.get(length // _BYTES_A_CHARACTER)
    return None


# --------------------------------------------------------------------------------------- conversion


def _decimals(type_: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    return lambda text: text.cast(type_)


def _floats(text: pa.Array) -> pa.Array:
    # By way of double, which holds each float exactly; the other way round 1e39 would be infinite.
    return text.cast(pa.float64()).cast(pa.float32())


def _dated(
    convert: Callable[[pa.Array], pa.Array], zero_dates: str
) -> Callable[[pa.Array], pa.Array]:
    def dates(text: pa.Array) -> pa.Array:
        try:
            return convert(text)
        except pa.ArrowInvalid:
            zero = pc.match_substring_regex(text, "^(0000-|[0-9]{4}-00|[0-9]{4}-[0-9]{2}-00)")
            if not pc.any(zero).as_py():
                raise
            if zero_dates != "null":
                raise _UnfitError(text.filter(zero)[0].as_py()) from None
            return convert(pc.if_else(zero, pa.scalar(None, pa.string()), text))

    return dates


_OF_DAY = r"^(?:[01][0-9]|2[0-3]):"


def _times(text: pa.Array) -> pa.Array:
    wrong = pc.invert(pc.match_substring_regex(text, _OF_DAY))
    if pc.any(wrong).as_py():
        raise _UnfitError(text.filter(wrong)[0].as_py())
    # There is no cast from text to time; to timestamp there is.
    moment = pc.binary_join_element_wise("1970-01-01", text, " ").cast(pa.timestamp("us"))
    return moment.cast(pa.time64("us"))


def durations(text: pa.Array) -> pa.Array:
    """Write times as ISO 8601 writes durations."""
    return pa.array([None if value is None else _duration(value) for value in text.to_pylist()])


def _duration(text: str) -> str:
    """Write ``-838:59:59.5`` as ISO 8601 does: ``PT-838H-59M-59.5S``."""
    sign = "-" if text.startswith("-") else ""
    hours, minutes, seconds = text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    fraction = fraction.rstrip("0")
    parts = [(hours.lstrip("0"), "H"), (minutes.lstrip("0"), "M")]
    parts.append((f"{int(whole)}.{fraction}" if fraction else whole.lstrip("0"), "S"))
    written = "".join(f"{sign}{number}{unit}" for number, unit in parts if number)
    return f"PT{written or '0S'}"


def _bit(raw: pa.Array) -> pa.Array:
    return pc.equal(_bits(raw), 1)


def _bits(raw: pa.Array) -> pa.Array:
    """Read big-endian numbers of up to 8 bytes."""
    validity = np.asarray(raw.is_valid())
    values = raw.drop_null()
    numbers = np.zeros(len(raw), np.uint64)
    if len(values):
        joined = b"".join(value.rjust(8, b"\0") for value in values.to_pylist())
        numbers[validity] = np.frombuffer(joined, ">u8")
    return pa.array(numbers, pa.uint64(), mask=~validity)


def refuse_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse an option's value that is none of those allowed."""
    if value not in allowed:
        raise InputError(f"MySQL: {name} is {value!r}. Choose from: {', '.join(allowed)}.")
