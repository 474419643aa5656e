"""Columns as text, the way PostgreSQL prints them: whole columns at a time.

What Arrow prints itself is taken where it is the same, which is nearly always; the few values
that it prints otherwise (``1e-05``, ``Infinity``, years before Christ) are replaced one by one.

Source: ``COPY`` of PostgreSQL with ``DateStyle`` ISO, ``TimeZone`` UTC and the default
``extra_float_digits``; its ``float8out``, ``timestamptz_out`` and ``byteaout``.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradewind.errors import InputError
from tradewind.move.interface import option

__all__ = [
    "FarDate",
    "Strings",
    "bools",
    "data_of",
    "date_strings",
    "decimals",
    "each",
    "flagged",
    "floats",
    "hexadecimal",
    "is_text",
    "iso_year",
    "joined",
    "pieces",
    "plain",
    "replaced",
    "shown",
    "times",
    "timestamps",
    "unfit_type",
]

Strings = Any  # a pyarrow.StringArray
FarDate = Callable[[int, str], str]

_FIRST_DAY = -719162  # 0001-01-01, the first that needs no BC
_LAST_DAY = 2932896  # 9999-12-31, the last with four digits
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_PIECE_BYTES = 4 << 20
_NAMES_BYTES = 32 << 20


def pieces(
    batch: pa.RecordBatch, most: int = _PIECE_BYTES, *, named: int = 0
) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces, without copying.

    Args:
        batch: The batch.
        most: Bytes of a piece, about.
        named: Bytes of the names that are written with each row; those of a piece are 32 MB at
            most, as long names of many columns may be far more than their values.
    """
    size = max(batch.nbytes, 1)
    rows = max(1, batch.num_rows * most // size)
    if named:
        rows = max(1, min(rows, _NAMES_BYTES // named))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def is_text(type_: pa.DataType) -> bool:
    """Tell whether a type holds text as it is."""
    return bool(
        pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_string_view(type_)
    )


def plain(array: pa.Array) -> pa.Array:
    """Undo what is only another way of storing: dictionaries, views, large offsets, run lengths."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return plain(array.storage)
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if (
        pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return array.cast(pa.binary())
    return array


def unfit_type(column: str, type_: pa.DataType, where: str) -> InputError:
    """Say that a format has no word for a type."""
    remedy = "Convert it in the query, or where the file is made, for example to text."
    if pa.types.is_duration(type_):
        remedy = (
            f"As a whole number of its unit ({type_.unit}) it is read by "
            f"{option('schema', {column: 'int64'})}; a schema names all columns of Parquet that "
            "are read. Or convert it in the query, or where the file is made."
        )
    return InputError(f"Column {column!r}: {where} cannot hold the type {type_}. {remedy}")


def iso_year(year: int, rest: str) -> str:
    """ISO 8601: years beyond four digits carry a sign, and so do those before the year 0."""
    if 0 <= year <= 9999:
        return f"{year:04d}{rest}"
    return f"{'-' if year < 0 else '+'}{abs(year):04d}{rest}"


def shown(array: pa.Array) -> Any:
    """Give the first value as an error shows it: as it stands, also where Python has no such one.

    Python's times end at microseconds and in the year 9999; Arrow's do not.
    """
    first = plain(array.slice(0, 1))
    try:
        return _spelled_time(first)[0].as_py() if _is_time(first.type) else first[0].as_py()
    except (ValueError, OverflowError):  # of Arrow, too
        return first.to_string(indent=0).replace("\n", "")[:80]


def _is_time(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_timestamp(kind) or is_.is_date(kind) or is_.is_time(kind))


def _spelled_time(array: pa.Array) -> Strings:
    kind = array.type
    if pa.types.is_timestamp(kind):
        return timestamps(array, _plain_year, "+00:00" if kind.tz else "")
    return date_strings(array, _plain_year) if pa.types.is_date(kind) else times(array)


def _plain_year(year: int, rest: str) -> str:
    return f"{year:04d}{rest}"


def data_of(array: Strings) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Show offsets (from 0) and bytes of a string or binary array, without copying the bytes."""
    if not len(array):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return bounds - bounds[0], content[bounds[0] : bounds[-1]]


def flagged(array: Strings, look: Callable[[NDArray[np.uint8]], Any]) -> NDArray[np.bool_] | None:
    """Find the strings that hold certain bytes.

    Args:
        array: The strings.
        look: Says of each byte whether it is one of those.

    Returns:
        A flag a string, or None where no string has any.
    """
    offsets, data = data_of(array)
    found = np.flatnonzero(look(data))
    if not len(found):
        return None
    flags = np.zeros(len(array), np.bool_)
    flags[np.searchsorted(offsets, found, side="right") - 1] = True
    return flags


def replaced(array: Strings, flags: Any, change: Callable[[Strings], Strings]) -> Strings:
    """Change the flagged strings and leave the others."""
    if flags is None:
        return array
    if not isinstance(flags, np.ndarray):
        flags = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(flags)
    if not len(places):
        return array
    changed = change(array.take(pa.array(places)))
    if len(places) == len(array):
        return changed
    return pc.replace_with_mask(array, pa.array(flags), changed)


def joined(*parts: Any, null: str | None = None) -> Strings:
    """Join strings row by row; plain ``str`` are the same in each row.

    Args:
        parts: Arrays and strings.
        null: What stands for a null; None to make the whole row null.
    """
    scalars = [pa.scalar(part) if isinstance(part, str) else part for part in parts]
    if null is None:
        return pc.binary_join_element_wise(*scalars, pa.scalar(""), null_handling="emit_null")
    return pc.binary_join_element_wise(
        *scalars, pa.scalar(""), null_handling="replace", null_replacement=null
    )


def each(array: pa.Array, say: Callable[[Any], str]) -> Strings:
    """Spell value by value; for the few that need it."""
    return pa.array([None if value is None else say(value) for value in array], pa.string())


def bools(array: pa.Array, true: str, false: str) -> Strings:
    """Spell booleans."""
    return pc.if_else(array, pa.scalar(true), pa.scalar(false))


def floats(array: pa.Array) -> tuple[Strings, Any]:
    """Spell floats in the fewest digits that read back the same, as ``float8out`` does.

    Returns:
        The strings, and which of them are neither infinite nor NaN.
    """
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    strings = array.cast(pa.string())
    numbers = array.to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    # PostgreSQL writes an exponent below 1e-4 and from 1e15 (1e6 in single precision) on, Arrow
    # from 1e10 on.
    scalar: Any = np.float32 if pa.types.is_float32(array.type) else np.float64
    most = 1e6 if scalar is np.float32 else 1e15
    odd = (size < 1e-4) & (size > 0)
    odd |= (size >= most) if most < 1e10 else (size >= 1e10) & (size < most)
    finite = np.isfinite(numbers)
    odd |= ~finite
    if array.null_count:
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        odd &= valid
        finite |= ~valid
    if odd.any():
        places = np.flatnonzero(odd)
        words = [_float(scalar(number), most) for number in numbers[places]]
        strings = pc.replace_with_mask(strings, pa.array(odd), pa.array(words, pa.string()))
    return strings, finite


def _float(number: Any, most: float) -> str:
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if 1e-4 <= abs(number) < most:
        return str(np.format_float_positional(number, unique=True, trim="-"))
    return str(np.format_float_scientific(number, unique=True, trim="-", exp_digits=2))


def decimals(array: pa.Array) -> Strings:
    """Spell decimals with all digits of their scale and no exponent."""
    strings = array.cast(pa.string())
    if array.type.scale == 0:
        return strings
    if array.type.scale > 0:
        # Zeros are what Arrow spells with an exponent (0E-10) often; the rest is rare.
        zero = "0." + "0" * array.type.scale
        strings = pc.if_else(pc.equal(array, _zero(array.type)), pa.scalar(zero), strings)
    context = decimal.Context(prec=100)
    exponent = pc.match_substring(strings, "E")

    def say(words: Strings) -> Strings:
        return each(words, lambda word: format(context.create_decimal(word.as_py()), "f"))

    return replaced(strings, exponent, say)


def _zero(type_: pa.DataType) -> pa.Scalar:
    return pa.scalar(decimal.Decimal(0), type_)


def hexadecimal(array: pa.Array) -> Strings:
    r"""Spell bytes as ``\x`` and two hexadecimal digits each."""
    offsets, data = data_of(array)
    digits = pa.py_buffer(data.tobytes().hex().encode())
    valid = None
    if array.null_count:
        valid = pa.array(array.is_valid()).cast(pa.bool_())
    double = pa.py_buffer((offsets * 2).astype(np.int32))
    strings = pa.Array.from_buffers(pa.string(), len(array), [None, double, digits])
    strings = joined("\\x", strings)
    return strings if valid is None else pc.if_else(valid, strings, pa.scalar(None, pa.string()))


def date_strings(array: pa.Array, far: FarDate) -> Strings:
    """Spell dates; those whose year is not of four digits as `far` says.

    Args:
        array: Dates.
        far: Gets the year as astronomers count (0 is 1 BC), and what follows it.
    """
    dates = array.cast(pa.date32())
    return _with_far(dates.cast(pa.string()), dates.cast(pa.int32()), 1, far)


def timestamps(array: pa.Array, far: FarDate, zone: str = "") -> Strings:
    """Spell points in time without useless zeros, in UTC where they have a zone.

    Args:
        array: Points in time.
        far: As for `date_strings`.
        zone: What follows each.
    """
    unit = array.type.unit
    numbers = array.cast(pa.int64())
    strings = _seconds(numbers.cast(pa.timestamp(unit)), numbers, unit)
    if zone:
        strings = joined(strings, zone)
    return _with_far(strings, numbers, _DAY[unit], lambda year, rest: far(year, rest + zone))


def _with_far(strings: Strings, numbers: pa.Array, day: int, far: FarDate) -> Strings:
    bounds = pc.min_max(numbers)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is None or (low >= _FIRST_DAY * day and high < (_LAST_DAY + 1) * day):
        return strings
    flags = pc.or_(
        pc.less(numbers, _FIRST_DAY * day), pc.greater_equal(numbers, (_LAST_DAY + 1) * day)
    )
    flags = pc.fill_null(flags, False)
    # Arrow's own spelling ends at the year 32767.
    words = pa.array([_far(number, day, far) for number in numbers.filter(flags).to_pylist()])
    return pc.replace_with_mask(strings, flags, words.cast(pa.string()))


def _far(number: int, day: int, far: FarDate) -> str:
    days, within = divmod(number, day)
    # The calendar repeats every 400 years, which are 146,097 days.
    cycles, rest = divmod(days - _FIRST_DAY, 146_097)
    found = date.fromordinal(rest + 1)
    clock = ""
    if day > 1:
        seconds, fraction = divmod(within, day // 86_400)
        clock = f" {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        if fraction:
            clock += "." + str(fraction).zfill(len(str(day // 86_400)) - 1).rstrip("0")
    return far(found.year + 400 * cycles, f"-{found.month:02d}-{found.day:02d}{clock}")


def times(array: pa.Array) -> Strings:
    """Spell times of day, without useless zeros."""
    unit = array.type.unit
    kind = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    return _seconds(array, array.cast(kind), unit)


def _seconds(array: pa.Array, numbers: pa.Array, unit: str) -> Strings:
    if unit == "s":
        return array.cast(pa.string())
    whole = _DAY[unit] // 86_400
    values = np.asarray(pc.fill_null(numbers, 0))
    if not (values % whole).any():
        # Most columns of seconds have no fraction: shorter to print than to cut off.
        coarse = pa.timestamp("s") if pa.types.is_timestamp(array.type) else pa.time32("s")
        return array.cast(coarse).cast(pa.string())
    strings = array.cast(pa.string())
    return pc.ascii_rtrim(pc.ascii_rtrim(strings, "0"), ".")
