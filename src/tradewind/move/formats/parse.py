r"""Columns from text: whole columns at a time, and the few odd values one by one.

Reads what `tradewind.move.formats.text` writes and what is usual beside: ``T`` or a space in
timestamps, zones as ``Z``, ``+05`` or ``+05:30``, years before Christ as ``0044-03-15 BC`` or
``-0043-03-15``, bytes as ``\x00ff``.
"""

from __future__ import annotations

import contextlib
import decimal
import re
from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats import text
from tradewind.move.interface import format_option, option
from tradewind.move.tables.exact import any_of, is_rounded_float
from tradewind.move.types import UnfitValueError

__all__ = [
    "day_number",
    "guard_floats",
    "keep_floats",
    "parse",
    "rounded_float",
    "seconds_fraction",
    "unfit",
]

_TRUE = pa.array(["t", "true", "T", "True", "TRUE", "1", "y", "yes", "on"])
_FALSE = pa.array(["f", "false", "F", "False", "FALSE", "0", "n", "no", "off"])
_DATE = re.compile(
    r"([+-]?)(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ZONE = re.compile(r"(?:(Z|z)|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)?( BC)?$")
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


class _OddError(ValueError):
    """A text that is not of the type."""


def unfit(field: pa.Field, value: object, where: str, why: str = "") -> UnfitValueError:
    """Say that a value is not of its column's type."""
    if isinstance(value, str) and _SURROGATE.search(value):
        return UnfitValueError(
            field.name,
            value,
            where=f"{field.type} ({where})",
            remedy="It has half of a pair of UTF-16, which no text has. Correct the data; JSON "
            "lines that are moved into JSON lines keep it as it is.",
        )
    remedy = f"{why} " if why else ""
    return UnfitValueError(
        field.name,
        value,
        where=f"{field.type} ({where})",
        remedy=f"{remedy}Correct the data, or declare another type of the column, as with "
        f"{option('schema', {field.name: _anything(where)})}.",
    )


def _anything(where: str) -> str:
    """Name the type that holds all values there, to the last digit."""
    return "json" if where.startswith("JSON") else "string"


def parse(strings: pa.Array, field: pa.Field, where: str) -> pa.Array:
    """Turn text into values.

    Args:
        strings: The text; null stays null.
        field: Name and type of the column.
        where: Format and place, for messages.

    Returns:
        An array of the field's type.

    Raises:
        UnfitValueError: A text is not of the type, or the type cannot hold it exactly.
        InputError: The type cannot be read from text.
    """
    kind = field.type
    if pa.types.is_string(kind):
        return strings
    convert = _converter(kind)
    if convert is None:
        raise text.unfit_type(field.name, kind, where)
    try:
        return convert(strings)
    except (pa.ArrowException, ValueError, ArithmeticError):
        value = _first_unfit(strings, convert)
        raise unfit(field, value, where) from None


def _first_unfit(strings: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> str | None:
    """Find the first text that does not convert, by halves."""
    begin, end = 0, len(strings)
    while end - begin > 1:
        middle = (begin + end) // 2
        try:
            convert(strings.slice(begin, middle - begin))
        except (pa.ArrowException, ValueError, ArithmeticError):
            end = middle
        else:
            begin = middle
    return strings[begin].as_py() if len(strings) else None


def _converter(kind: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    kinds = pa.types
    if text.is_text(kind):
        return lambda strings: strings.cast(kind)
    if kinds.is_integer(kind):
        return lambda strings: _integers(strings, kind)
    if kinds.is_boolean(kind):
        return _bools
    if kinds.is_floating(kind):
        return lambda strings: _floats(strings, kind)
    if kinds.is_decimal(kind):
        return lambda strings: _decimals(strings, kind)
    if kinds.is_date(kind):
        return lambda strings: _dates(strings, kind)
    if kinds.is_time(kind):
        return lambda strings: _times(strings, kind)
    if kinds.is_timestamp(kind):
        return lambda strings: _timestamps(strings, kind)
    if (
        kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_binary_view(kind)
        or kinds.is_fixed_size_binary(kind)
    ):
        return lambda strings: _hexadecimal(strings).cast(kind)
    if kinds.is_null(kind):
        return _nulls
    if kinds.is_dictionary(kind):
        values = _converter(kind.value_type)
        if values is not None:
            return lambda strings: values(strings).dictionary_encode().cast(kind)
    return None


def _integers(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    numbers = strings.cast(kind)
    if ((text.data_of(strings)[1] | 0x20) == ord("x")).any():
        raise _OddError  # Arrow reads hexadecimal digits; no format here has such numbers
    return numbers


def _nulls(strings: pa.Array) -> pa.Array:
    if strings.null_count != len(strings):
        raise _OddError
    return pa.nulls(len(strings))


def _bools(strings: pa.Array) -> pa.Array:
    true, false = pc.is_in(strings, _TRUE), pc.is_in(strings, _FALSE)
    if not pc.all(pc.or_(pc.or_(true, false), strings.is_null()), min_count=0).as_py():
        raise _OddError
    return pc.if_else(strings.is_valid(), true, pa.scalar(None, pa.bool_()))


def _floats(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    wide = pa.float32() if pa.types.is_float16(kind) else kind
    numbers = strings.cast(wide)
    if wide != kind:
        numbers = numbers.cast(kind).cast(wide)  # from 65520 on a half float is infinite
    infinite = pc.fill_null(pc.is_inf(numbers), False)
    if pc.any(infinite).as_py():
        # A number beyond the type's range is read as infinite: only the word is.
        words = strings.filter(infinite)
        if not pc.all(pc.match_substring_regex(words, "(?i)^[+-]?inf(inity)?$")).as_py():
            raise _OddError
    return numbers.cast(kind)


def guard_floats(strings: pa.Array, field: pa.Field, where: str) -> None:
    """Refuse numbers of so many digits, or so near to zero, that a float would change them.

    Words like NaN are left alone.

    Raises:
        UnfitValueError: There is one.
    """
    offsets, data = text.data_of(strings)
    odd = np.diff(offsets) > 15  # a float keeps any 15 digits
    if odd.any():
        # Points and signs are none.
        digits = np.concatenate([[0], np.cumsum((data >= ord("0")) & (data <= ord("9")))])
        odd = np.diff(digits[offsets - offsets[0]]) > 15
    if (data | 0x20 == ord("e")).any():
        far = pc.fill_null(pc.match_substring_regex(strings, r"[eE][+-]?[0-9]{3}"), False)
        odd = odd | far.to_numpy(zero_copy_only=False)
    if not odd.any():
        return
    some = strings.take(pa.array(np.flatnonzero(odd)))
    if pa.types.is_float64(field.type):
        with contextlib.suppress(pa.ArrowException):
            some = some.filter(pc.not_equal(some.cast(field.type).cast(pa.string()), some))
    for word in some.to_pylist():
        if word.lstrip("+-")[0].isalpha():
            continue
        if decimal.Decimal(word) != decimal.Decimal(repr(float(word))):
            raise unfit(field, word, where, "It has more digits than a float keeps.")


def keep_floats(strings: pa.Array, numbers: pa.Array, field: pa.Field, where: str) -> None:
    """Refuse numbers that their column's floats, declared as such, would change.

    As many digits as were given have to come back: ``0.1`` and ``0.29999999999999999`` do.

    Args:
        strings: The text.
        numbers: What was read of it.
        field: Name and type of the column; one of other types is passed over.
        where: Format and place, for messages.

    Raises:
        UnfitValueError: There is one.
    """
    if not pa.types.is_floating(field.type):
        return
    rounded = is_rounded_float(strings, field.type.bit_width, numbers)
    if any_of(rounded):
        raise rounded_float(strings.filter(rounded)[0].as_py(), field, where)


def rounded_float(word: object, field: pa.Field, where: str) -> UnfitValueError:
    """Say that a number has more digits than its column's floats."""
    kept = _anything(where)
    return UnfitValueError(
        field.name,
        word,
        where=f"{field.type} ({where})",
        remedy="It has more digits than such a float keeps. Declare "
        f"{'JSON' if kept == 'json' else 'text'} or a decimal instead, as with "
        f"{option('schema', {field.name: kept})}, or take the nearest float: "
        f"{format_option('floats', 'nearest')}.",
    )


def _decimals(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return strings.cast(kind)
    except (pa.ArrowException, ValueError):
        context = decimal.Context(prec=kind.precision + 10, traps=[decimal.Inexact])
        quantum = decimal.Decimal(1).scaleb(-kind.scale)
        values: list[decimal.Decimal | None] = []
        for word in strings.to_pylist():
            if word is None:
                values.append(None)
                continue
            if not word.isascii() or "_" in word:
                raise _OddError from None  # Python reads digits of other scripts, too.
            value = context.create_decimal(word.strip())
            if not value.is_finite():
                raise _OddError from None
            values.append(value.quantize(quantum, context=context))
        return pa.array(values, kind)


def _dates(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return strings.cast(pa.date32()).cast(kind)
    except (pa.ArrowException, ValueError):
        days = [None if word is None else _day(word) for word in strings.to_pylist()]
        return pa.array(days, pa.int32()).cast(pa.date32()).cast(kind)


def _day(word: str) -> int:
    match = _DATE.match(word)
    if match is None or match[5] is not None or word[match.end() :] not in ("", " BC"):
        raise _OddError
    return day_number(_year(match, word.endswith(" BC")), int(match[3]), int(match[4]))


def _year(match: re.Match[str], before_christ: bool) -> int:
    year = -int(match[2]) if match[1] == "-" else int(match[2])
    if before_christ:
        if year < 1:
            raise _OddError
        return 1 - year
    return year


def day_number(year: int, month: int, day: int) -> int:
    """Count days from 1970-01-01 in the calendar of today, in any year.

    Raises:
        ValueError: There is no such day.
    """
    # The calendar repeats every 400 years, which are 146,097 days.
    cycles, within = divmod(year - 1, 400)
    return date(within + 1, month, day).toordinal() + cycles * 146_097 - 719_163


def _times(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    begun = pc.fill_null(pc.match_substring_regex(strings, r"^\d\d:"), True)
    if not pc.all(begun, min_count=0).as_py():
        raise _OddError
    moment = pc.binary_join_element_wise("1970-01-01", strings, " ")
    return _timestamps(moment, pa.timestamp(kind.unit)).cast(kind)


def _timestamps(strings: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return strings.cast(kind)
    except (pa.ArrowException, ValueError):
        numbers = [
            None if word is None else _moment(word, kind.unit, zoned=kind.tz is not None)
            for word in strings.to_pylist()
        ]
        return pa.array(numbers, pa.int64()).cast(kind)


def _moment(word: str, unit: str, *, zoned: bool) -> int:
    match = _DATE.match(word)
    if match is None or (zone := _ZONE.match(word, match.end())) is None:
        raise _OddError
    if (zone[1] is not None or zone[2] is not None) != zoned:
        raise _OddError
    hour, minute, second = (int(match[place] or 0) for place in (5, 6, 7))
    if hour > 23 or minute > 59 or second > 59:
        raise _OddError
    day = day_number(_year(match, zone[6] is not None), int(match[3]), int(match[4]))
    offset = sum(int(zone[place] or 0) * size for place, size in ((3, 3600), (4, 60), (5, 1))) * (
        -1 if zone[2] == "-" else 1
    )
    seconds = day * 86_400 + hour * 3600 + minute * 60 + second - offset
    return seconds * int(10 ** _DIGITS[unit]) + seconds_fraction(match[8] or "", unit)


def seconds_fraction(digits: str, unit: str) -> int:
    """Read the digits after the point of seconds.

    Raises:
        ValueError: The unit is coarser than the last of them.
    """
    kept = _DIGITS[unit]
    if digits[kept:].strip("0"):
        raise _OddError
    return int(digits[:kept].ljust(kept, "0") or "0")


def _hexadecimal(strings: pa.Array) -> pa.Array:
    marked = pc.fill_null(pc.starts_with(strings, "\\x"), True)
    if not pc.all(marked, min_count=0).as_py():
        raise _OddError
    offsets, data = text.data_of(strings)
    # What is left without the marks has two digits a byte, or something else stood there.
    digits = data.tobytes().replace(b"\\x", b"")
    marks = np.cumsum(np.concatenate(([0], strings.is_valid().to_numpy(zero_copy_only=False))))
    offsets = offsets - 2 * marks
    if (offsets % 2).any() or offsets[-1] != len(digits):
        raise _OddError
    content = bytes.fromhex(digits.decode("ascii"))
    if len(content) * 2 != len(digits):
        raise _OddError  # it holds spaces
    half = pa.py_buffer((offsets // 2).astype(np.int32))
    values = pa.Array.from_buffers(pa.binary(), len(strings), [None, half, pa.py_buffer(content)])
    return pc.if_else(strings.is_valid(), values, pa.scalar(None, pa.binary()))
