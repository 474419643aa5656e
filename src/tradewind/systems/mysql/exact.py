"""Refuse values that MySQL or MariaDB would round, cut, pad or guess, also in strict mode.

INT takes 1.5 as 2, DATETIME cuts half a second off, DOUBLE rounds the seventeenth digit, BINARY(4)
pads, ENUM takes a number as a place in its list, TIME takes 10 as ten seconds: none with an error,
some with a warning on one road and none on the other. What the server refuses by itself it refuses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats.text import shown
from tradewind.move.tables.exact import (
    any_of,
    is_no_integer,
    is_rounded_float,
    more_digits,
    more_seconds,
)
from tradewind.move.tables.staging import TableColumn
from tradewind.move.types import UnfitValueError

__all__ = ["INTEGERS", "as_texts", "refuse_inexact", "settled"]

INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_MOMENTS = ("date", "datetime", "timestamp")
_TIMES = (*_MOMENTS, "time")
_NUMBERS = (*INTEGERS, "decimal", "float", "double", "year", "bit")
_ZERO = r"^\s*0000-00-00|^\s*\d{4}-(?:00-|\d\d?-00)"
_SHORT_YEAR = r"^\s*(?:\d{1,2}[-/.]\d|\d{6}(?:\d{6})?(?:[Tt ]|$))"
_BARE = r"^\s*-?\d{1,5}(?:\.\d*)?\s*$"
_ZONED = r"\d:\d\d(?::\d\d)?(?:[.,]\d*)?\s*(?:[+-]\d|[A-Za-z])"
_ROUND = "or round the values before (in the query, or where the file is made)"


def as_texts(array: pa.Array) -> pa.Array:
    """Write values of any plain type as texts."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def settled(array: pa.Array, name: str, column: TableColumn) -> pa.Array:
    """Write texts as the same values of other types are written, so that every road gives the same.

    A time with a zone becomes UTC, as typed ones do; ``true`` for a number becomes 1, as booleans.

    Args:
        array: The values, as the source gives them.
        name: Their column's name, for messages.
        column: Where they go.

    Raises:
        UnfitValueError: A text has a zone that is not told by an offset, or the column keeps none.
    """
    if not pa.types.is_string(array.type):
        return array
    if column.type in _TIMES:
        return _in_utc(array, name, column)
    if column.type in (*INTEGERS, "bit"):
        words = pc.match_substring_regex(array, r"^(?:t|f|true|false)$")
        if any_of(words):
            numbers = pc.if_else(pc.starts_with(array, "t"), "1", "0")
            return pc.if_else(pc.fill_null(words, False), numbers, array)
    if column.type == "year" and any_of(pc.match_substring_regex(array, r"^0$|\.0+$")):
        array = pc.replace_substring_regex(array, r"\.0+$", "")
        return pc.if_else(pc.equal(array, "0"), "0000", array)
    return array


def _in_utc(array: pa.Array, name: str, column: TableColumn) -> pa.Array:
    zoned = pc.match_substring_regex(array, _ZONED)
    if not any_of(zoned):
        return array
    if column.type in ("date", "time"):
        lost = "The date or the time of day, and the zone, would be lost: make the column a"
        _refuse(array, zoned, name, column, f"{lost} DATETIME, or give {column.type}s alone.")
    try:
        moments = array.filter(zoned).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        remedy = "Write the time in UTC and without a zone, or with an offset, like +05:00."
        _refuse(array, zoned, name, column, remedy)
    # Whole seconds without a fraction, as all that stands in a DATETIME(0) has none.
    texts = pc.replace_substring_regex(moments.cast(pa.string()), r"\.0+$", "")
    return pc.replace_with_mask(array, pc.fill_null(zoned, False), texts)


def refuse_inexact(array: pa.Array, name: str, column: TableColumn) -> None:
    """See that values arrive in a column as they are.

    Args:
        array: The values, as the source gives them.
        name: Their column's name, for messages.
        column: Where they go.

    Raises:
        UnfitValueError: The server would change one.
    """
    is_ = pa.types
    kind, own = column.type, array.type
    if is_.is_binary(own) or is_.is_large_binary(own) or is_.is_fixed_size_binary(own):
        if kind == "binary" and column.length is not None:
            wrong = pc.less(pc.binary_length(array), column.length)
            remedy = "The server fills it up with zero bytes: make the column VARBINARY."
            _refuse(array, wrong, name, column, remedy)
        return
    if kind == "binary" and column.length is not None and is_.is_string(own):
        wrong = pc.less(pc.binary_length(array), column.length)
        remedy = "The server fills it up with zero bytes: make the column VARBINARY."
        _refuse(array, wrong, name, column, remedy)
    is_text = is_.is_string(own) or is_.is_large_string(own) or is_.is_dictionary(own)
    is_number = is_.is_integer(own) or is_.is_floating(own) or is_.is_decimal(own)
    if (strange := _strange(own, column)) is not None:
        _refuse(array, pc.is_valid(array), name, column, strange)
    elif is_.is_timestamp(own):
        _refuse_timestamps(array, name, column)
    elif is_text or is_number:
        for wrong, remedy in _checks(array, column, is_text=is_text):
            texts = as_texts(array)
            _refuse(texts, wrong(texts), name, column, remedy)


def _strange(own: pa.DataType, column: TableColumn) -> str | None:
    """Say what to do where no value of a type is one of the column's; None where some are.

    MariaDB reads 10:11:12 as the year 2010, and some of a date's digits as a number.
    """
    is_, kind = pa.types, column.type
    advice = "make the column a {}, or convert the values before (in the query)."
    if is_.is_time(own) and kind in _MOMENTS:
        return f"It is a time without a date: {advice.format('TIME')}"
    if is_.is_date(own) and kind == "time":
        return f"It is a date without a time: {advice.format('DATE')}"
    if kind in _NUMBERS and (is_.is_date(own) or is_.is_time(own) or is_.is_timestamp(own)):
        fit = "DATE" if is_.is_date(own) else "TIME(6)" if is_.is_time(own) else "DATETIME(6)"
        return f"It is no number: {advice.format(fit)}"
    return None


_Check = tuple[Callable[[pa.Array], pa.Array], str]


def _checks(array: pa.Array, column: TableColumn, *, is_text: bool) -> list[_Check]:
    """Tell what makes a value unfit for a column, and what to do then."""
    kind, own = column.type, array.type
    is_whole = pa.types.is_integer(own)
    if kind in INTEGERS or (kind == "bit" and not is_text):
        return [] if is_whole else [(is_no_integer, f"Make the column a DECIMAL, {_ROUND}.")]
    if kind == "decimal" or (kind in ("float", "double") and column.scale is not None):
        scale = column.scale or 0
        if is_whole or (pa.types.is_decimal(own) and own.scale <= scale):
            return []
        return [(lambda texts: more_digits(texts, scale), f"Make the column wider, {_ROUND}.")]
    if kind in ("float", "double"):
        return _floats(own, kind)
    if kind in _TIMES:
        return _times(column, is_text=is_text)
    if kind == "year":
        right = r"^(?:0|\d{4})$" if is_whole else r"^\d{4}$"
        remedy = "Write the year with four digits, or make the column a SMALLINT."
        return [(lambda texts: pc.invert(pc.match_substring_regex(texts, right)), remedy)]
    if kind in ("enum", "set"):
        return [(_strangers(column), f"It has {', '.join(map(repr, column.members))[:200]}.")]
    if kind in ("char", "varchar") and column.length is not None:
        return [(_too_long(column.length, kind), "Make the column wider, or shorten the values.")]
    return []


def _floats(own: pa.DataType, kind: str) -> list[_Check]:
    bits = 32 if kind == "float" else 64
    narrow = pa.types.is_integer(own) and own.bit_width < bits
    if narrow or (pa.types.is_floating(own) and own.bit_width <= bits):
        return []
    wider = "a DECIMAL" if bits == 64 else "a DOUBLE or DECIMAL"
    return [(lambda texts: is_rounded_float(texts, bits), f"Make the column {wider}, {_ROUND}.")]


def _times(column: TableColumn, *, is_text: bool) -> list[_Check]:
    def matching(pattern: str, remedy: str) -> _Check:
        return (lambda texts: pc.match_substring_regex(texts, pattern), remedy)

    if column.type == "time":
        found = [matching(_BARE, "Write hours, minutes and seconds, like 10:00:00.")]
    else:
        clear = "Write the date with a year of four digits."
        found = [matching(_SHORT_YEAR, clear), matching(_ZERO, "Write NULL where there is none.")]
    if is_text and column.type != "date":
        kept = column.precision or 0
        wider = f"Make the column {column.type.upper()}(6), " if kept < 6 else "Make it a text, "
        found.append(matching(more_seconds(kept), f"{wider}{_ROUND}."))
    return found


def _strangers(column: TableColumn) -> Callable[[pa.Array], pa.Array]:
    members = pa.array(column.members, pa.string())

    def wrong(texts: pa.Array) -> pa.Array:
        known = pc.is_in(texts, value_set=members)
        strange = pc.and_(pc.invert(known), pc.is_valid(texts))
        if column.type == "set" and any_of(strange):
            own = set(column.members) | {""}
            told = [not set(text.split(",")) <= own for text in texts.filter(strange).to_pylist()]
            strange = pc.replace_with_mask(strange, strange, pa.array(told, pa.bool_()))
        return strange

    return wrong


def _too_long(most: int, kind: str) -> Callable[[pa.Array], pa.Array]:
    def wrong(texts: pa.Array) -> pa.Array:
        # Most columns are done with by their bytes, which are never fewer than characters.
        if (pc.max(pc.binary_length(texts)).as_py() or 0) <= most:
            return pa.array(np.zeros(len(texts), bool))
        # Blanks at the end of a CHAR are no part of the value, here as in the standard.
        counted = pc.utf8_rtrim(texts, " ") if kind == "char" else texts
        return pc.greater(pc.utf8_length(counted), most)

    return wrong


def _refuse_timestamps(array: pa.Array, name: str, column: TableColumn) -> None:
    if column.type == "time":
        remedy = "Its date would be lost: make the column a DATETIME, or give times alone."
        _refuse(array, pc.is_valid(array), name, column, remedy)
    elif column.type == "date":
        naive = array.cast(pa.timestamp(array.type.unit))
        timed = pc.not_equal(naive, pc.floor_temporal(naive, unit="day"))
        remedy = "The time of day would be lost: make the column a DATETIME, or give dates."
        _refuse(array, timed, name, column, remedy)


def _refuse(array: pa.Array, wrong: pa.Array, name: str, column: TableColumn, remedy: str) -> None:
    if not any_of(wrong):
        return
    value = shown(array.filter(pc.fill_null(wrong, False)))
    where = f"the column {column.name!r} of type {column.spelled or column.type.upper()}"
    raise UnfitValueError(name, value, where=where, remedy=remedy)
