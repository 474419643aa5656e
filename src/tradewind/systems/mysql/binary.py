"""Rows of MySQL's binary protocol, turned into Arrow arrays a whole column at a time.

A row is a bitmap of its nulls and one value after the other: numbers of fixed width, dates and
times with their length before them, anything else as text or bytes with theirs. Where a value
stands in a row depends on those before it, so each column is found in all rows at once, from left
to right, and no Python object is made of any value.

Source: https://mariadb.com/kb/en/resultset-row/#binary-resultset-row.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tradewind.errors import RetryError
from tradewind.systems.mysql.packets import Block
from tradewind.systems.mysql.types import MySQLReading, durations

__all__ = ["BinaryRows"]

_Places = NDArray[np.int64]
_Flags = NDArray[np.bool_]

_NUMBERS = {1: "i1", 2: "<i2", 13: "<i2", 3: "<i4", 9: "<i4", 8: "<i8", 4: "<f4", 5: "<f8"}
"""Types of fixed width."""
_DATES, _TIME = {7, 10, 12, 14}, 11
_ARROW: dict[int, tuple[pa.DataType, pa.DataType]] = {
    1: (pa.int8(), pa.uint8()),
    2: (pa.int16(), pa.uint16()),
    13: (pa.int16(), pa.int16()),
    3: (pa.int32(), pa.uint32()),
    9: (pa.int32(), pa.uint32()),
    8: (pa.int64(), pa.uint64()),
    4: (pa.float32(), pa.float32()),
    5: (pa.float64(), pa.float64()),
}
_DAY = 86_400_000_000


class BinaryRows:
    """Turns blocks of rows into arrays.

    Args:
        columns: How each column is read.
    """

    def __init__(self, columns: tuple[MySQLReading, ...]) -> None:
        self._columns = columns
        self._bitmap = (len(columns) + 7 + 2) // 8
        self._texts = [
            column.kind not in _NUMBERS and column.kind not in _DATES and column.kind != _TIME
            for column in columns
        ]

    def arrays(self, block: Block) -> list[pa.Array]:
        """Turn one block into an array a column.

        Raises:
            UnfitValueError: A value has no room in its column's type.
            RetryError: It is no block of such rows.
        """
        data, starts, ends = block
        rows = _Rows(data, starts + (1 + self._bitmap))
        nulls = self._nulls(data, starts)
        bounds = np.empty((len(starts), 2 * sum(self._texts)), np.int32)
        arrays: list[pa.Array | None] = []
        texts = 0
        for column, is_text, null in zip(self._columns, self._texts, nulls, strict=True):
            if is_text:
                rows.text(null, bounds, texts)
                texts += 2
                arrays.append(None)
            elif column.kind in _NUMBERS:
                arrays.append(_number(column, rows.fixed(_NUMBERS[column.kind], null), null))
            elif column.kind == _TIME:
                arrays.append(_time(column, *rows.parts(null, (0, 8, 12)), null))
            else:
                arrays.append(_date(column, *rows.parts(null, (0, 4, 7, 11)), null))
        if not rows.ended(ends):
            raise RetryError(
                "MySQL: the server sent a row whose values do not end where it does. Try again."
            )
        return [
            column.array(self._taken(data, bounds, index, null)) if array is None else array
            for column, array, index, null in zip(
                self._columns, arrays, np.cumsum(self._texts) - 1, nulls, strict=True
            )
        ]

    def _nulls(self, data: NDArray[np.uint8], starts: _Places) -> list[_Flags | None]:
        """Read the bitmaps, whose first two bits mean nothing."""
        found: list[_Flags | None] = []
        for byte in range(self._bitmap):
            bits = data[starts + (1 + byte)]
            used = int(np.bitwise_or.reduce(bits)) if len(bits) else 0
            for bit in range(8):
                mask = np.uint8(1 << bit)
                found.append((bits & mask) != 0 if used & int(mask) else None)
        return found[2 : 2 + len(self._columns)]

    def _taken(
        self, data: NDArray[np.uint8], bounds: NDArray[np.int32], index: int, null: _Flags | None
    ) -> pa.Array:
        """Take one column of bytes out of all.

        The rows' bytes are seen as one array, whose elements are values and what is between them
        in turn; Arrow takes every so many-th of them at once.
        """
        width = bounds.shape[1]
        if not len(bounds):
            return pa.array([], pa.binary())
        between = pa.Array.from_buffers(
            pa.binary(), bounds.size - 1, [None, pa.py_buffer(bounds), pa.py_buffer(data)]
        )
        places = np.arange(len(bounds), dtype=np.int32) * width + 2 * index
        return between.take(pa.array(places, mask=null))


class _Rows:
    """A block of rows, gone through from left to right.

    Args:
        data: The bytes.
        at: Where in them the first value of each row is.
    """

    def __init__(self, data: NDArray[np.uint8], at: _Places) -> None:
        self._data = data
        self._at = at
        self._step = 0  # what all rows have passed since

    def _seen(self, kind: str) -> NDArray[Any]:
        """See the bytes as numbers that begin at each of them."""
        size = np.dtype(kind).itemsize
        return np.ndarray((len(self._data) - size + 1,), kind, self._data, strides=(1,))

    def _here(self) -> _Places:
        return self._at + self._step if self._step else self._at

    def _pass(self, sizes: Any, null: _Flags | None) -> None:
        """Go on by so many bytes, but not where nothing stands."""
        if null is None and isinstance(sizes, int):
            self._step += sizes
            return
        if null is not None:
            sizes = np.where(null, 0, sizes)
        self._at = self._at + (sizes + self._step)
        self._step = 0

    def ended(self, ends: _Places) -> bool:
        """Tell whether each row ended where its last value did: or it was not understood."""
        return bool((self._here() == ends).all())

    def fixed(self, kind: str, null: _Flags | None) -> NDArray[Any]:
        """Read numbers."""
        values: NDArray[Any] = self._seen(kind)[self._here()]
        self._pass(values.itemsize, null)
        return values

    def text(self, null: _Flags | None, bounds: NDArray[np.int32], column: int) -> None:
        """Find texts: put where each begins and ends into two columns of `bounds`."""
        here = self._here()
        marks = self._data[here]
        heads: Any = 1
        if null is not None:
            marks[null] = 0  # what stands there is the next value's
        sizes = marks.astype(np.int64)
        if len(sizes) and int(sizes.max()) > 0xFA:
            heads = np.ones(len(sizes), np.int64)
            for mark, width, kind in ((0xFC, 2, "<u2"), (0xFD, 3, "<u4"), (0xFE, 8, "<i8")):
                rows = np.flatnonzero(marks == mark)
                if len(rows):
                    found = self._seen(kind)[here[rows] + 1].astype(np.int64)
                    sizes[rows] = found & 0xFFFFFF if width == 3 else found
                    heads[rows] = 1 + width
        if null is not None:
            heads = np.where(null, 0, heads)
        begin = here + heads
        end = begin + sizes
        bounds[:, column] = begin
        bounds[:, column + 1] = end
        self._at, self._step = end, 0

    def parts(
        self, null: _Flags | None, allowed: tuple[int, ...]
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Read dates and times: their first eight bytes and the next eight, 0 where they end."""
        here = self._here()
        sizes = self._data[here].astype(np.int64)
        if null is not None:
            sizes[null] = 0
        least, most = (int(sizes.min()), int(sizes.max())) if len(sizes) else (0, 0)
        if most > allowed[-1]:
            raise RetryError(f"MySQL: the server sent a date or time of {most} bytes. Try again.")
        seen = self._seen("<u8")
        first, second = seen[here + 1], seen[here + 9]
        if least < 8:
            first &= _MASKS[np.minimum(sizes, 8)]
        if least == most:
            second &= _MASKS[max(most - 8, 0)]
        else:
            second &= _MASKS[np.maximum(sizes - 8, 0)]
        self._pass(1 + most if least == most else 1 + sizes, null)
        return first, second


_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)


def _number(column: MySQLReading, values: NDArray[Any], null: _Flags | None) -> pa.Array:
    type_ = _ARROW[column.kind][column.unsigned]
    if column.unsigned and values.dtype.kind == "i" and column.kind != 13:
        values = values.view(values.dtype.str.replace("i", "u"))
    array = pa.array(values, type_, mask=null)
    return array if array.type == column.field.type else array.cast(column.field.type)


@functools.cache
def _months() -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """For each month, at 16 x year + month: days from 1970 to before its first, and its length.

    A month that does not exist has no days; nor has one of the year 0, which is not a year but a
    date left open.
    """
    first = np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]")
    days = first.astype(np.int64)
    begins = np.zeros((10_000, 16), np.int32)
    lengths = np.zeros((10_000, 16), np.int8)
    begins[:, 1:13] = days[:-1].reshape(10_000, 12) - 1
    lengths[1:, 1:13] = np.diff(days).reshape(10_000, 12)[1:]
    return begins.ravel(), lengths.ravel()


def _date(
    column: MySQLReading,
    first: NDArray[np.uint64],
    second: NDArray[np.uint64],
    null: _Flags | None,
) -> pa.Array:
    """Make dates, or dates with times: year (2 bytes), month, day, hour, minute, second, 4 more."""
    begins, lengths = _months()
    low = first.astype(np.uint32)
    year = low & 0xFFFF
    month = low >> 16 & 0xFF
    day = (low >> 24).astype(np.int32)
    place = np.minimum(year, 9999) * 16 + np.minimum(month, 15)
    wrong = (day == 0) | (day > lengths[place])
    if null is not None:
        wrong &= ~null
    if wrong.any():
        zero = wrong & ((year == 0) | (month == 0) | (day == 0))
        if column.zero_dates != "null" or (wrong & ~zero).any():
            at = int(np.flatnonzero(wrong if column.zero_dates != "null" else wrong & ~zero)[0])
            raise column.unfit(_date_text(column, int(first[at]), int(second[at])))
        null = zero if null is None else null | zero
    days = begins[place] + day
    if pa.types.is_date(column.field.type):
        return pa.array(days, pa.int32(), mask=null).view(pa.date32())
    # The second lies across both: its bytes are the last of the first eight.
    clock = (first >> np.uint64(32)).astype(np.uint32)
    seconds = (clock & 0xFF).astype(np.int64) * 3600
    seconds += (clock >> 8 & 0xFF) * 60 + (clock >> 16 & 0xFF)
    micros = days * np.int64(_DAY) + seconds * 1_000_000
    micros += (clock >> 24) | (second.astype(np.uint32) & 0xFFFFFF) << 8
    return pa.array(micros, pa.int64(), mask=null).view(column.field.type)


def _date_text(column: MySQLReading, first: int, second: int) -> str:
    """Write a date as the server prints it, for a message."""
    head = first.to_bytes(8, "little")
    text = f"{int.from_bytes(head[:2], 'little'):04d}-{head[2]:02d}-{head[3]:02d}"
    if pa.types.is_date(column.field.type):
        return text
    micros = int.from_bytes(head[7:] + second.to_bytes(8, "little")[:3], "little")
    return f"{text} {head[4]:02d}:{head[5]:02d}:{head[6]:02d}{_fraction(micros, column.decimals)}"


def _fraction(micros: int, digits: int) -> str:
    return f".{micros:06d}"[: 1 + digits] if 0 < digits <= 6 else ""


def _time(
    column: MySQLReading,
    first: NDArray[np.uint64],
    second: NDArray[np.uint64],
    null: _Flags | None,
) -> pa.Array:
    """Make times: sign (1 byte), days (4), hour, minute, second, microseconds (4)."""
    negative = (first & np.uint64(0xFF)) != 0
    days = (first >> np.uint64(8)).astype(np.uint32).astype(np.int64)
    hours = (first >> np.uint64(40) & np.uint64(0xFF)).astype(np.int64)
    minutes = (first >> np.uint64(48) & np.uint64(0xFF)).astype(np.int64)
    seconds = (first >> np.uint64(56)).astype(np.int64)
    micros = (second & np.uint64(0xFFFFFFFF)).astype(np.int64)

    def text(at: int) -> str:
        sign = "-" if negative[at] else ""
        hour = int(days[at] * 24 + hours[at])
        fraction = _fraction(int(micros[at]), column.decimals)
        return f"{sign}{hour:02d}:{minutes[at]:02d}:{seconds[at]:02d}{fraction}"

    if pa.types.is_string(column.field.type):
        missing = np.zeros(len(first), bool) if null is None else null
        return durations(
            pa.array([None if none else text(at) for at, none in enumerate(missing)], pa.string())
        ).cast(pa.string())
    wrong = negative | (days > 0)
    if null is not None:
        wrong &= ~null
    if wrong.any():
        raise column.unfit(text(int(np.flatnonzero(wrong)[0])))
    total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
    return pa.array(total, pa.int64(), mask=null).view(pa.time64("us"))
