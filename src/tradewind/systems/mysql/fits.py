"""Which values MySQL or MariaDB may refuse, so that a refusal can name the value.

``LOAD DATA LOCAL`` goes on behind a row that does not fit, and says at its end that there was one,
of which column, and no value. What is found here refuses nothing: it is told when the server has.
Ranges: https://mariadb.com/kb/en/numeric-data-type-overview/, .../date-and-time-data-types/.
"""

from __future__ import annotations

import calendar
import datetime
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.text import shown
from tradewind.move.tables.exact import any_of
from tradewind.move.tables.staging import TableColumn
from tradewind.move.types import UnfitValueError

__all__ = ["Suspects"]

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_FLOATS = {"float": Decimal("3.402823466e38"), "double": Decimal("1.7976931348623157e308")}
_NUMBER = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]?\d(?::[0-5]?\d(?:\.\d*)?)?"
_DAY = r"[1-9]\d{3}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|1\d|2[0-8])|0\d{3}-\d\d-[0-2]\d"
_MOMENT = rf"^(?:{_DAY})(?:[T\s]+{_CLOCK})?$"
_FAR = r"^(?:0|1[0-8]|19[0-6]|1970|203[89]|20[4-9]|2[1-9]|[3-9])"
_PLAIN_TIME = r"^-?(?:\d{1,2}|[1-7]\d\d|8[0-2]\d):[0-5]?\d(?::[0-5]?\d(?:\.\d*)?)?$"
_SIZES = {
    "tinytext": 255, "text": 65_535, "mediumtext": (1 << 24) - 1,
    "tinyblob": 255, "blob": 65_535, "mediumblob": (1 << 24) - 1,
}  # fmt: skip
_MOMENTS = ("date", "datetime", "timestamp")
_TEXTS = CsvFormat(header=False, null="NULL")
_LONGEST_TIME = 48
"""Characters that no date or time has as text."""
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_END = datetime.date.max.toordinal() + 1 - _EPOCH
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Suspects:
    """The first value of each column that the server may refuse."""

    def __init__(self) -> None:
        self._found: dict[str, UnfitValueError] = {}

    def look(self, array: pa.Array, name: str, column: TableColumn) -> None:
        """Look at some values.

        Args:
            array: Numbers, texts, bytes, dates or timestamps.
            name: Their column's name.
            column: Where they go.
        """
        if column.name in self._found or not len(array):
            return
        for value in _unclear(array, column):
            if (remedy := _refused(value, column)) is not None:
                where = f"the column {column.name!r} of type {column.spelled}"
                self._found[column.name] = UnfitValueError(name, value, where=where, remedy=remedy)
                return

    def told(self, message: str) -> UnfitValueError | None:
        """Find what a refusal of the server is about: it names the column."""
        for name, error in self._found.items():
            if f"'{name}'" in message or f"`{name}`" in message or f".{name}`" in message:
                return error
        return None


def _unclear(array: pa.Array, column: TableColumn) -> list[Any]:
    """Give the values that have to be looked at one by one: nearly always none."""
    is_, own, kind = pa.types, array.type, column.type
    text = is_.is_string(own) or is_.is_large_string(own)
    number = is_.is_integer(own) or is_.is_floating(own) or is_.is_decimal(own)
    limits = _range(column)
    if limits is not None and number:
        extremes = pc.min_max(array).as_py()
        low, high = extremes["min"], extremes["max"]
        return [] if _within(low, high, limits) else array.to_pylist()
    if kind in _MOMENTS and number:
        return [None if value is None else str(value) for value in array.to_pylist()]
    if limits is not None and text:
        wrong = pc.invert(pc.match_substring_regex(array, _NUMBER))
        try:
            numbers = pc.min_max(array.cast(pa.float64())).as_py()
            # Within the half, so that what a float rounds cannot hide.
            half = limits[0] / 2, limits[1] / 2
            near = not _within(numbers["min"], numbers["max"], half)
        except pa.ArrowInvalid:
            near = True
        return array.to_pylist() if near else _where(array, wrong)
    if kind in _MOMENTS and text:
        wrong = pc.invert(pc.match_substring_regex(array, _MOMENT))
        if kind == "timestamp":
            wrong = pc.or_(wrong, pc.match_substring_regex(array, _FAR))
        return _where(array, wrong)
    if kind in _MOMENTS and (is_.is_timestamp(own) or is_.is_date(own)):
        return _moments(array, kind)
    if kind == "time" and text:
        return _where(array, pc.invert(pc.match_substring_regex(array, _PLAIN_TIME)))
    if (most := _most_bytes(column)) is not None and (text or is_.is_binary(own)):
        return _where(array, pc.greater(pc.binary_length(array), most))
    if kind in ("char", "varchar") and column.length is not None:
        return _long(array, column.length)
    return []


def _long(array: pa.Array, most: int) -> list[Any]:
    """Give the values that have more than so many characters as text."""
    is_, own = pa.types, array.type
    if is_.is_date(own) or is_.is_time(own) or is_.is_timestamp(own):
        if most >= _LONGEST_TIME:
            return []
        array = _TEXTS.spelled(array, pa.field("", own))
    elif not (is_.is_string(own) or is_.is_binary(own) or is_.is_large_string(own)):
        return []  # numbers are refused before
    return _where(array, pc.greater(pc.binary_length(array), most))


def _moments(array: pa.Array, kind: str) -> list[str]:
    """Spell the moments that the column may have no room for, of any year."""
    first, last = (1971, 2038) if kind == "timestamp" else (1, 10_000)
    unit = getattr(array.type, "unit", None)
    numbers = array.cast(pa.int32() if pa.types.is_date32(array.type) else pa.int64())
    day = 1 if pa.types.is_date32(array.type) else 86_400 * _PER_SECOND[unit or "ms"]
    begin, end = (
        (datetime.date(year, 1, 1).toordinal() - _EPOCH) if year < 10_000 else _END
        for year in (first, last)
    )
    if unit == "ns":  # its years are 1677 to 2262
        begin, end = max(begin, -100_000), min(end, 106_000)
    wrong = pc.or_(pc.less(numbers, begin * day), pc.greater_equal(numbers, end * day))
    if not any_of(wrong):
        return []
    some = array.filter(pc.fill_null(wrong, False))
    return [shown(some.slice(at, 1)) for at in range(len(some))]


def _within(low: Any, high: Any, limits: tuple[Decimal, Decimal]) -> bool:
    if low is None:
        return True
    if low != low or high != high:  # NaN, which has no order
        return False
    return bool(limits[0] <= low and high <= limits[1])


def _where(array: pa.Array, mask: pa.Array) -> list[Any]:
    found: list[Any] = array.filter(mask).to_pylist() if any_of(mask) else []
    return found


def _range(column: TableColumn) -> tuple[Decimal, Decimal] | None:
    """Give the least and the greatest number that a column has room for."""
    kind, signed = column.type, "UNSIGNED" not in column.spelled
    digits = [int(one) for one in re.findall(r"\d+", column.spelled)]
    if kind in _BITS:
        bits = _BITS[kind] - signed
        most = Decimal((1 << bits) - 1)
        return (-most - 1 if signed else Decimal(0)), most
    if kind == "bit":
        return Decimal(0), Decimal((1 << (digits or [1])[0]) - 1)
    if kind == "year":
        return Decimal(1901), Decimal(2155)
    if kind in ("decimal", *_FLOATS) and len(digits) > 1:
        most = Decimal(10) ** (digits[0] - digits[1]) - Decimal(10) ** -digits[1]
    elif kind in _FLOATS and not digits:
        most = _FLOATS[kind]
    else:
        return None
    return (-most if signed else Decimal(0)), most


def _most_bytes(column: TableColumn) -> int | None:
    return column.length if column.type == "varbinary" else _SIZES.get(column.type)


def _refused(value: Any, column: TableColumn) -> str | None:
    """Say why the server refuses a value; None where it may take it."""
    if value is None:
        return None
    limits = _range(column)
    if limits is not None:
        return _no_number(value, *limits)
    if column.type in _MOMENTS:
        return _no_moment(value, column.type)
    if column.type == "time":
        return None if _is_time(value) else "Write a time of -838:59:59 to 838:59:59, alone."
    if column.type in ("char", "varchar"):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if len(text) <= (column.length or 0):
            return None
        return f"It holds {column.length} characters: make the column longer."
    return f"It holds {_most_bytes(column)} bytes: make the column longer."


def _no_number(value: Any, low: Decimal, high: Decimal) -> str | None:
    wider = f"It holds {low} to {high}: make the column wider, or correct the data."
    if isinstance(value, str):
        if re.fullmatch(_NUMBER, value) is None:
            return "It is no number that MySQL reads: correct the data, or make the column a text."
        try:
            return None if low <= Decimal(value) <= high else wider
        except InvalidOperation:
            return wider
    return None if _within(value, value, (low, high)) else wider


def _no_moment(value: Any, kind: str) -> str | None:
    if isinstance(value, str):
        found = re.match(r"(\d{4,5})\D?(\d\d?)\D?(\d\d?)(?!\d)(?:[T\s]+(.*))?$", value.strip())
        if found is None:
            return "Write a date, like 2026-01-31, of the years 1 to 9999, or NULL."
        year, month, day = int(found[1]), int(found[2]), int(found[3])
        in_range = 1 <= year <= 9999 and 1 <= month <= 12
        if not in_range or not 1 <= day <= calendar.monthrange(year, month)[1]:
            return (
                "It is no date of the calendar, of the years 1 to 9999: correct it, or write NULL."
            )
        if found[4] and re.fullmatch(_CLOCK, found[4]) is None:
            return "Write the time of day as 00:00:00 to 23:59:59."
        if kind != "timestamp":
            return None
        value = datetime.datetime(year, month, day)
    if kind == "timestamp" and not 1970 < value.year < 2038:
        return "A TIMESTAMP holds moments of 1970 to 2038: make the column a DATETIME."
    return None


def _is_time(value: str) -> bool:
    found = re.fullmatch(r"-?(?:(\d+)\s+)?(\d+):([0-5]?\d)(?::[0-5]?\d(?:\.\d*)?)?", value.strip())
    return found is not None and int(found[1] or 0) * 24 + int(found[2]) <= 838
