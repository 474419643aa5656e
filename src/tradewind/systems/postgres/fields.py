"""COPY's binary format in plain Python: what the decoder in Rust does, short and a field at a time.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT; each type's bytes as
its ``send`` function in PostgreSQL's source writes them. A column is a word:

``bool int2 int4 int8 oid float4 float8 date time timestamp timestamptz bytea text jsonb numeric
uuid interval timetz``, ``decimal:PRECISION:SCALE``, and ``list:WORD``.

The tests hold the one against the other. It also says how PostgreSQL prints a value that its
column cannot hold, for messages.

Over 400 lines: one small function a type, beside how its values are printed.
"""

from __future__ import annotations

import datetime
import decimal
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

__all__ = ["DecodeError", "PlainCopyDecoder", "printed"]

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_DAYS = 10_957  # from 1970 to 2000
_DAY = 86_400_000_000
_YEARS = range(-719_162, 2_932_897)
"""The days of the years 1 to 9999."""
_INFINITE = {
    (1 << 63) - 1: "infinity",
    -(1 << 63): "-infinity",
    (1 << 31) - 1: "infinity",
    -(1 << 31): "-infinity",
}
_EXACT = decimal.Context(prec=1_000_000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)


class DecodeError(ValueError):
    """As that of the package in Rust: what, offset, and for a value its column and its bytes."""


class _UnfitError(Exception):
    """The column's type has no room for the value."""


class _ShortError(Exception):
    """The bytes end too early."""


class PlainCopyDecoder:
    """Decodes a stream of rows, as ``CopyDecoder`` of the package in Rust does.

    Args:
        columns: Their words.
        size: A batch ends with the row that makes it so many bytes of the stream.
    """

    def __init__(self, columns: list[str], size: int) -> None:
        self._columns = [_column(word) for word in columns]
        self._written = [at for at, word in enumerate(columns) if word.split(":")[-1] in _WRITTEN]
        self._most = size
        self._buffer = b""
        self._base = 0
        self._in_rows = False
        self._rows: list[list[Any]] = []
        self._size = 0

    def decode(self, pieces: list[bytes]) -> list[pa.RecordBatch]:
        """Take bytes as they came, and give the batches that they complete."""
        self._buffer += b"".join(pieces)
        batches: list[pa.RecordBatch] = []
        at = 0
        try:
            for end in self._read():
                at = end
                if self._size >= self._most:
                    batches.append(self._batch())
        except _ShortError:
            pass
        self._buffer = self._buffer[at:]
        self._base += at
        return batches

    def finish(self) -> pa.RecordBatch | None:
        """Give the rows that are left, after the stream's end."""
        if self._in_rows or self._buffer:
            where = self._base + len(self._buffer)
            raise DecodeError("the stream ends before its end mark", where)
        return self._batch() if self._rows else None

    def _read(self) -> Iterator[int]:
        """Read header, row or end; tell each time where that ended."""
        data, at = self._buffer, 0
        while True:
            begin = at
            if not self._in_rows:
                if data[at : at + 11] != _SIGNATURE[: len(data) - at]:
                    raise DecodeError("it is no binary COPY", self._base + at)
                flags, extension = _unpack(">ii", data, at + 11)
                if flags & 0xFFFF0000 or extension < 0:
                    what = f"a header with flags {flags & 0xFFFFFFFF:#x}"
                    raise DecodeError(f"{what} and {extension} bytes behind it", self._base + at)
                at += 19 + extension
                if at > len(data):
                    raise _ShortError
                self._in_rows = True
                yield at
                continue
            (count,) = _unpack(">h", data, at)
            at += 2
            if count == -1:
                self._in_rows = False
                yield at
                continue
            if count != len(self._columns):
                what = f"a row of {count} fields, where {len(self._columns)} are expected"
                raise DecodeError(what, self._base + begin)
            fields: list[tuple[int, bytes | None]] = []
            for _ in self._columns:
                (length,) = _unpack(">i", data, at)
                if length < -1:
                    raise DecodeError(f"a field of {length} bytes", self._base + at)
                at += 4
                fields.append((at, None if length < 0 else data[at : at + length]))
                at += max(length, 0)
            if at > len(data):
                raise _ShortError
            row = [self._value(number, *field) for number, field in enumerate(fields)]
            self._rows.append(row)
            # A number of few bytes may be of many digits.
            grown = sum(_length(row[number]) for number in self._written)
            self._size += max(at - begin, grown)
            yield at

    def _value(self, number: int, at: int, raw: bytes | None) -> Any:
        if raw is None:
            return None
        try:
            return self._columns[number][1](raw)
        except _UnfitError as error:
            raise DecodeError(str(error), self._base + at, number, raw) from None
        except (ValueError, struct.error) as error:
            raise DecodeError(str(error), self._base + at) from None

    def _batch(self) -> pa.RecordBatch:
        columns = zip(*self._rows, strict=True)
        arrays = [
            pa.array(values, type_)
            for values, (type_, _) in zip(columns, self._columns, strict=True)
        ]
        self._rows, self._size = [], 0
        return pa.RecordBatch.from_arrays(arrays, [str(at) for at in range(len(arrays))])


_WRITTEN = {"numeric", "uuid", "interval", "timetz"}


def _length(value: str | list[str | None] | None) -> int:
    return sum(map(_length, value)) if isinstance(value, list) else len(value or "")


def _unpack(form: str, data: bytes, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(form) > len(data):
        raise _ShortError
    return struct.unpack_from(form, data, at)


def _fixed(form: str, raw: bytes) -> Any:
    return struct.unpack(form, raw)[0]


# ------------------------------------------------------------------------------------------- values

_Read = Callable[[bytes], Any]


def _column(word: str) -> tuple[pa.DataType, _Read]:
    """Give type and reader of a column's word."""
    kind, _, rest = word.partition(":")
    if kind == "list":
        type_, read = _column(rest)
        return pa.list_(type_), lambda raw: _list(raw, read)
    if kind == "decimal":
        precision, scale = map(int, rest.split(":"))
        make = pa.decimal128 if precision <= 38 else pa.decimal256
        return make(precision, scale), lambda raw: _decimal(raw, precision, scale)
    return _COLUMNS[kind]


def _bool(raw: bytes) -> bool:
    if raw not in (b"\0", b"\1"):
        raise ValueError("a boolean of neither 0 nor 1")
    return raw == b"\1"


def _float(form: str) -> _Read:
    def read(raw: bytes) -> float:
        number: float = _fixed(form, raw)
        return math.nan if math.isnan(number) else number

    return read


def _date(raw: bytes) -> int:
    days: int = _fixed(">i", raw) + _DAYS
    if days not in _YEARS:
        raise _UnfitError("a date outside the years 1 to 9999")
    return days


def _time(raw: bytes) -> int:
    micros: int = _fixed(">q", raw)
    if not 0 <= micros <= _DAY:
        raise ValueError("a time of no day")
    if micros == _DAY:
        raise _UnfitError("24:00:00")
    return micros


def _timestamp(raw: bytes) -> int:
    micros: int = _fixed(">q", raw) + _DAYS * _DAY
    if micros // _DAY not in _YEARS:
        raise _UnfitError("a timestamp outside the years 1 to 9999")
    return micros


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _UnfitError("text that is not UTF-8") from None


def _jsonb(raw: bytes) -> str:
    if raw[:1] != b"\1":
        raise ValueError("jsonb of no known version")
    return _text(raw[1:])


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))


def _number(raw: bytes) -> tuple[Decimal, int]:
    """Read a number of base 10,000; gives the digits after the point to show, too."""
    count, weight, sign, scale = struct.unpack_from(">hhHH", raw)
    if sign in _SPECIAL:
        raise _UnfitError(_SPECIAL[sign])
    digits = struct.unpack(f">{count}H", raw[8:]) if count >= 0 else None
    if digits is None or sign not in (0, 0x4000) or any(digit > 9999 for digit in digits):
        raise ValueError("no number")
    whole = int("".join(f"{digit:04d}" for digit in digits) or "0")
    number = Decimal(whole).scaleb(4 * (weight - count + 1), _EXACT)
    return (number.copy_negate() if sign else number), scale & 0x3FFF


_SPECIAL = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}


def _decimal(raw: bytes, precision: int, scale: int) -> Decimal:
    number, _ = _number(raw)
    scaled = number.scaleb(scale, _EXACT)
    if scaled != scaled.to_integral_value(context=_EXACT) or scaled.copy_abs() >= 10**precision:
        raise _UnfitError("more digits than the column has")
    return Decimal(int(scaled)).scaleb(-scale, _EXACT)


def _numeric(raw: bytes) -> str:
    special = _SPECIAL.get(int.from_bytes(raw[4:6], "big"))
    if special:
        return special
    number, scale = _number(raw)
    shown = number.quantize(Decimal(1).scaleb(-scale, _EXACT), decimal.ROUND_DOWN, _EXACT)
    sign = "-" if struct.unpack_from(">H", raw, 4)[0] else ""
    return f"{sign}{shown.copy_abs():f}"


def _interval(raw: bytes) -> str:
    micros, days, months = struct.unpack(">qii", raw)
    if (micros, days, months) == ((1 << 63) - 1, (1 << 31) - 1, (1 << 31) - 1):
        return "infinity"
    if (micros, days, months) == (-(1 << 63), -(1 << 31), -(1 << 31)):
        return "-infinity"
    sign = -1 if months < 0 else 1
    years, months = sign * (abs(months) // 12), sign * (abs(months) % 12)
    date = "".join(
        f"{number}{unit}" for number, unit in ((years, "Y"), (months, "M"), (days, "D")) if number
    )
    minus = "-" if micros < 0 else ""
    minutes, rest = divmod(abs(micros), 60_000_000)
    parts = [
        f"{minus}{number}{unit}"
        for number, unit in ((minutes // 60, "H"), (minutes % 60, "M"))
        if number
    ]
    if rest:
        parts.append(f"{minus}{_seconds(rest, 1)}S")
    time = "".join(parts)
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"


def _seconds(micros: int, width: int) -> str:
    whole, fraction = divmod(micros, 1_000_000)
    return f"{whole:0{width}d}" + (f".{fraction:06d}".rstrip("0") if fraction else "")


def _clock(micros: int) -> str:
    minutes, rest = divmod(micros, 60_000_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{_seconds(rest, 2)}"


def _timetz(raw: bytes) -> str:
    micros, west = struct.unpack(">qi", raw)
    if not 0 <= micros <= _DAY:
        raise ValueError("a time of no day")
    hours, rest = divmod(abs(west), 3600)
    zone = f"{hours:02d}"
    if rest:
        zone += f":{rest // 60:02d}"
    if rest % 60:
        zone += f":{rest % 60:02d}"
    return f"{_clock(micros)}{'-' if west > 0 else '+'}{zone}"


def _list(raw: bytes, read: _Read) -> list[Any]:
    lengths, items = _items(raw)
    if len(lengths) > 1:
        raise _UnfitError("an array of several dimensions")
    if lengths and lengths[0][1] != 1:
        raise _UnfitError("an array that does not begin with 1")
    return [None if item is None else read(item) for item in items]


def _items(raw: bytes) -> tuple[list[tuple[int, int]], list[bytes | None]]:
    """Take an array apart: length and lower bound of each dimension, and the elements."""
    dimensions, _, _ = struct.unpack_from(">iii", raw)
    if not 0 <= dimensions <= 6:
        raise ValueError(f"an array of {dimensions} dimensions")
    lengths = [struct.unpack_from(">ii", raw, 12 + 8 * at) for at in range(dimensions)]
    at = 12 + 8 * dimensions
    count = math.prod(length for length, _ in lengths) if lengths else 0
    if any(length < 0 for length, _ in lengths) or count > (len(raw) - at) // 4:
        raise ValueError(f"an array of {count} elements")
    items: list[bytes | None] = []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", raw, at)
        at += 4
        if length < -1 or at + length > len(raw):
            raise ValueError("an element of another length than it says")
        items.append(None if length < 0 else raw[at : at + length])
        at += max(length, 0)
    if at != len(raw):
        raise ValueError("it is longer than its type")
    return [(length, lower) for length, lower in lengths], items


_COLUMNS: dict[str, tuple[pa.DataType, _Read]] = {
    "bool": (pa.bool_(), _bool),
    "int2": (pa.int16(), lambda raw: _fixed(">h", raw)),
    "int4": (pa.int32(), lambda raw: _fixed(">i", raw)),
    "int8": (pa.int64(), lambda raw: _fixed(">q", raw)),
    "oid": (pa.uint32(), lambda raw: _fixed(">I", raw)),
    "float4": (pa.float32(), _float(">f")),
    "float8": (pa.float64(), _float(">d")),
    "date": (pa.date32(), _date),
    "time": (pa.time64("us"), _time),
    "timestamp": (pa.timestamp("us"), _timestamp),
    "timestamptz": (pa.timestamp("us", "UTC"), _timestamp),
    "bytea": (pa.binary(), bytes),
    "text": (pa.string(), _text),
    "jsonb": (pa.string(), _jsonb),
    "numeric": (pa.string(), _numeric),
    "uuid": (pa.string(), _uuid),
    "interval": (pa.string(), _interval),
    "timetz": (pa.string(), _timetz),
}


# ----------------------------------------------------------------------------------------- messages


def printed(word: str, raw: bytes) -> str:
    """Write a value as PostgreSQL prints it, also one that its column cannot hold.

    Args:
        word: The column's word.
        raw: The value's bytes.
    """
    kind, _, rest = word.partition(":")
    if kind == "list":
        lengths, items = _items(raw)
        texts = ["NULL" if item is None else _element(printed(rest, item)) for item in items]
        for length, _ in reversed(lengths):
            texts = [
                f"{{{','.join(texts[at : at + length])}}}" for at in range(0, len(texts), length)
            ]
        bounds = "".join(f"[{lower}:{lower + length - 1}]" for length, lower in lengths)
        return (f"{bounds}=" if any(low != 1 for _, low in lengths) else "") + "".join(texts)
    if kind == "decimal":
        return _numeric(raw)
    if kind == "time":
        return _clock(_fixed(">q", raw))
    if kind == "bytea":
        return f"\\x{raw.hex()}"
    if kind not in ("date", "timestamp", "timestamptz"):
        value = _column(word)[1](raw)
        return "ft"[value] if kind == "bool" else str(value)
    number = _fixed(">i" if kind == "date" else ">q", raw)
    if number in _INFINITE and (kind == "date") == (number in (2147483647, -2147483648)):
        return _INFINITE[number]
    days, micros = (number, 0) if kind == "date" else divmod(number, _DAY)
    date, era = _civil(days + _DAYS)
    clock = "" if kind == "date" else f" {_clock(micros)}"
    return f"{date}{clock}{'+00' if kind == 'timestamptz' else ''}{era}"


def _element(text: str) -> str:
    if text and text.upper() != "NULL" and not set(text) & set(' \t\r\n\v\f,"{}\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _civil(days: int) -> tuple[str, str]:
    """Write a day since 1970 of any year: the date, and the era of one before the year 1."""
    # A cycle of 400 years is 146,097 days: moved into Python's years by whole ones.
    cycles, within = divmod(days + 719_162, 146_097)
    date = datetime.date.fromordinal(within + 1)
    year = date.year + 400 * cycles
    shown = year if year > 0 else 1 - year
    return f"{shown:04d}-{date.month:02d}-{date.day:02d}", "" if year > 0 else " BC"
