"""Types told from text: never one that would change what is written."""

from __future__ import annotations

import contextlib
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats.parse import guard_floats, parse
from tradewind.move.formats.text import data_of
from tradewind.move.interface import option
from tradewind.move.types import UnfitValueError

__all__ = ["GUESSED", "infer", "parse_told"]

GUESSED = b"tradewind.guessed"
"""Key in a schema's metadata: its types were told from another object, not declared."""

_TRUE, _FALSE = pa.array(["t", "true"]), pa.array(["f", "false"])
_BOOLS = pa.concat_arrays([_TRUE, _FALSE])
_ZERO, _MINUS, _POINT = np.frombuffer(b"0-.", np.uint8)
# Numbers with leading zeros or a plus are codes, like those of places: they stay text.
_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"
_FIRST_DAY = -719_162  # 0001-01-01
_WORDS = pa.array(["NaN", "Infinity", "-Infinity"])
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_NAIVE = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_TIME}$"
_ZONED = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_TIME}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$"


def infer(name: str, strings: pa.ChunkedArray) -> pa.Field:
    """Tell a column's type from its first values; text where they allow no other.

    Args:
        name: The column's name.
        strings: Its first values as text.

    Returns:
        The field.
    """
    values = pc.drop_null(strings)
    if not len(values):
        return pa.field(name, pa.string())
    if _all(pc.is_in(values, _BOOLS)):
        return pa.field(name, pa.bool_())
    if _all(pc.match_substring_regex(values, _INTEGER)):
        return pa.field(name, pa.int64())
    number = pc.match_substring_regex(values, _NUMBER)
    if _all(pc.or_(number, pc.is_in(values, _WORDS))) and pc.any(number).as_py():
        exact = _keeps_digits(values.filter(number)) and not _codes(values)
        return pa.field(name, pa.float64() if exact else pa.string())
    for pattern, kind in (
        (_DATE, pa.date32()),
        (_NAIVE, pa.timestamp("us")),
        (_ZONED, pa.timestamp("us", tz="UTC")),
    ):
        fits = _all(pc.match_substring_regex(values, pattern)) and _converts(values, kind)
        if fits and not pc.any(pc.starts_with(values, "0000")).as_py():
            return pa.field(name, kind)
    return pa.field(name, pa.string())


def parse_told(strings: pa.Array, field: pa.Field, where: str) -> pa.Array:
    """Read values of a type that others told, if they would have told it themselves.

    Most of the check is Arrow's own strictness; beside it only the few bytes are looked at in
    which a code differs from a number, and only values that stand out by them are matched.

    Args:
        strings: The text; null stays null.
        field: Name and told type of the column.
        where: Format and place, for messages.

    Returns:
        An array of the field's type.

    Raises:
        UnfitValueError: A text is not of the type, or it is a code, or spelled in another way
            than numbers and dates are.
    """
    kind = field.type
    if pa.types.is_boolean(kind):
        true, false = pc.is_in(strings, _TRUE), pc.is_in(strings, _FALSE)
        if pc.all(pc.or_(true, false), min_count=0).as_py():
            return true
        if strings.null_count:
            right = pc.or_(pc.or_(true, false), strings.is_null())
            if pc.all(right, min_count=0).as_py():
                return pc.if_else(strings.is_valid(), true, pa.scalar(None, pa.bool_()))
        _match(strings, _BOOLS, None, field, where)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        try:
            values = strings.cast(kind)
        except (pa.ArrowException, ValueError):
            values = parse(strings, field, where)  # far years, which are spelled otherwise
            pattern = _DATE if pa.types.is_date(kind) else _NAIVE if kind.tz is None else _ZONED
            _match(strings, None, pattern, field, where)
        else:
            if _before_year_one(values):  # 0000, which stands for no date where it is written
                _match(strings.filter(pc.starts_with(strings, "0000")), None, r"^$", field, where)
            if pa.types.is_timestamp(kind):
                pattern = _NAIVE if kind.tz is None else _ZONED
                _match(_taken(strings, _without_seconds(strings)), None, pattern, field, where)
        return values
    values = parse(strings, field, where)
    if pa.types.is_integer(kind):
        _match(_taken(strings, _zeros(strings)), None, _INTEGER, field, where)
    elif pa.types.is_floating(kind):
        _match(_taken(strings, _odd_numbers(strings)), _WORDS, _NUMBER, field, where)
        guard_floats(strings, field, where)
    return values


def _starts(strings: pa.Array) -> tuple[Any, Any, Any]:
    """Show where each text that is not empty begins, where it ends, and all bytes."""
    offsets, data = data_of(strings)
    starts, ends = offsets[:-1], offsets[1:]
    full = starts != ends
    return (starts, ends, data) if full.all() else (starts[full], ends[full], data)


def _taken(strings: pa.Array, odd: Any) -> pa.Array:
    """Take the texts that stand out, of those that are not empty."""
    if not odd.any():
        return strings.slice(0, 0)
    offsets = data_of(strings)[0]
    return strings.take(pa.array(np.flatnonzero(offsets[:-1] != offsets[1:])[odd]))


def _zeros(strings: pa.Array) -> Any:
    """Flag integers that begin with a zero or a sign and one, and are more than it."""
    starts, ends, data = _starts(strings)
    first = data[starts]
    odd = (first == _ZERO) & (ends - starts > 1)
    minus = np.flatnonzero(first == _MINUS)
    if len(minus):
        odd[minus] = data[starts[minus] + 1] == _ZERO
    return odd


def _odd_numbers(strings: pa.Array) -> Any:
    """Flag numbers that are not plainly digits from 1 on, a point and digits."""
    starts, ends, data = _starts(strings)
    first = data[starts]
    minus = np.flatnonzero(first == _MINUS)
    if len(minus):
        starts = starts.copy()
        starts[minus] += starts[minus] + 1 < ends[minus]
        first = data[starts]
    odd = (first - _ZERO > 9) | (data[ends - 1] - _ZERO > 9)
    zero = np.flatnonzero(first == _ZERO)
    if len(zero):
        after = np.minimum(starts[zero] + 1, len(data) - 1)
        odd[zero] |= (ends[zero] - starts[zero] > 1) & (data[after] != _POINT)
    found = np.flatnonzero(data | 0x20 == ord("e"))
    if len(found):
        odd[np.searchsorted(starts, found, side="right") - 1] = True
    return odd


def _without_seconds(strings: pa.Array) -> Any:
    """Flag what Arrow reads as a timestamp and has no seconds."""
    starts, ends, data = _starts(strings)
    if len(starts) and (ends - starts).min() > 16:
        return data[starts + 16] != ord(":")
    return np.ones(len(starts), np.bool_)


def _match(
    strings: pa.Array, words: pa.Array | None, pattern: str | None, field: pa.Field, where: str
) -> None:
    """Refuse texts that are neither one of the words nor match the pattern."""
    if not len(strings):
        return
    right = strings.is_null()
    if pattern is not None:
        right = pc.or_kleene(right, pc.match_substring_regex(strings, pattern))
    if words is not None:
        right = pc.or_kleene(right, pc.is_in(strings, words))
    wrong = strings.filter(pc.invert(right))
    if len(wrong):
        raise UnfitValueError(
            field.name,
            wrong[0].as_py(),
            where=f"the type {field.type}, which the values before had told ({where}),",
            remedy="It is spelled in another way. Correct it, or declare the column's type: "
            f"{option('schema', {field.name: 'string'})} reads it as text.",
        )


def _all(flags: pa.ChunkedArray) -> bool:
    return bool(pc.all(flags).as_py())


def _before_year_one(values: pa.Array) -> bool:
    days = values.type.bit_width == 32
    first: int | None = pc.min(values.view(pa.int32() if days else pa.int64())).as_py()
    return first is not None and first < (_FIRST_DAY if days else _FIRST_DAY * 86_400_000_000)


def _codes(values: pa.ChunkedArray) -> bool:
    """Whether exponents are of whole numbers alone, like 1E5: those are codes, of products say."""
    bare = pc.any(pc.match_substring_regex(values, r"^-?[0-9]+[eE][0-9]+$")).as_py()
    return bool(bare) and not pc.any(pc.match_substring_regex(values, r"[.+]|[eE]-")).as_py()


def _converts(values: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        values.cast(kind)
    except (pa.ArrowException, ValueError):
        return False
    return True


def _keeps_digits(values: pa.ChunkedArray) -> bool:
    # However short, 1e400 and 1e-400 are no floats.
    far = pc.match_substring_regex(values, r"[eE][-+]?\d\d")
    some = values.filter(pc.or_(pc.greater(pc.binary_length(values), 15), far))
    with contextlib.suppress(pa.ArrowException):
        some = some.filter(pc.not_equal(some.cast(pa.float64()).cast(pa.string()), some))
    long = some.to_pylist()
    return all(decimal.Decimal(word) == decimal.Decimal(repr(float(word))) for word in long)
