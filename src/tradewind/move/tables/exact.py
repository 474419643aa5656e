"""Find values that a column of limited digits would round, before the server does.

All work on arrays of texts, in Arrow's own loops; what these cannot tell for certain is told one by
one with `decimal`. A text that is no number or time at all is left to the server, which refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.tables.shapes import has_byte, is_short_behind_points

__all__ = ["any_of", "is_no_integer", "is_rounded_float", "more_digits", "more_seconds"]

_DIGITS = {32: 6, 64: 15}
"""So many decimal digits survive any float of so many bits (FLT_DIG and DBL_DIG of C)."""


def any_of(mask: pa.Array) -> bool:
    """Whether a mask has any true value."""
    return bool(pc.any(mask).as_py())


def more_digits(texts: pa.Array, scale: int) -> pa.Array:
    """Tell which numbers have digits, other than zeros, beyond a number of decimal places.

    Args:
        texts: Numbers as people and programs write them: ``-1.25``, ``1e-3``.
        scale: Places that are kept; tens, hundreds and so on are lost where it is negative.

    Returns:
        A mask.
    """
    if scale < 0:
        return _told(texts, pc.is_valid(texts), lambda text: _has_more(text, scale))
    if is_short_behind_points(texts, scale) and not has_byte(texts, b"eE_"):
        return _none(texts)
    # In PostgreSQL 16 and later, digits may be grouped: 1_000.5.
    surplus = pc.match_substring_regex(texts, rf"\.\d{{{scale}}}\d*[1-9]|[eE_]")
    if not any_of(surplus):
        return surplus
    surplus = pc.match_substring_regex(texts, rf"\.\d{{{scale}}}\d*[1-9]")
    unclear = pc.match_substring_regex(texts, "[eE_]")
    return _told(texts, unclear, lambda text: _has_more(text, scale), surplus)


def is_no_integer(texts: pa.Array) -> pa.Array:
    """Tell which numbers are no integers."""
    return more_digits(texts, 0)


def more_seconds(precision: int) -> str:
    """Write what finds a time with fractions of a second, beyond zeros, of more digits."""
    return rf"\.\d{{{precision}}}\d*[1-9]"


def is_rounded_float(texts: pa.Array, bits: int) -> pa.Array:
    """Tell which numbers would be others once they are floats.

    A number is the same if the float, written with as many digits, gives it back: ``0.1`` and
    ``0.29999999999999999`` (as C prints 0.3) do, ``9007199254740993`` does not.

    Args:
        texts: Numbers.
        bits: 32 or 64.

    Returns:
        A mask.
    """
    lengths = pc.binary_length(texts)
    # However short, 1e-400 is nothing as a float.
    powers = has_byte(texts, b"eE")
    if not powers and (pc.max(lengths).as_py() or 0) <= _DIGITS[bits]:
        return _none(texts)
    long = pc.fill_null(pc.greater(lengths, _DIGITS[bits]), False)
    if powers:
        long = pc.or_(long, pc.fill_null(pc.match_substring_regex(texts, r"[eE]-\d\d"), False))
    if not any_of(long):
        return long
    if not powers:
        # Neither a point nor a sign is a digit.
        some = texts.filter(long)
        marks = pc.add(pc.count_substring(some, "."), pc.count_substring(some, "-"))
        digits = pc.subtract(pc.binary_length(some), marks)
        if pc.max(digits).as_py() <= _DIGITS[bits]:
            return _none(texts)
    unclear = long
    try:
        kind = pa.float32() if bits == 32 else pa.float64()
        printed = texts.filter(long).cast(kind).cast(pa.string())
        differs = pc.not_equal(printed, texts.filter(long))
        unclear = pc.replace_with_mask(long, long, differs)
    except pa.ArrowInvalid:
        pass  # One of them is spelled in a way that Arrow does not read.
    return _told(texts, unclear, lambda text: _is_rounded(text, bits))


def _none(texts: pa.Array) -> pa.Array:
    return pa.array(np.zeros(len(texts), bool))


def _told(
    texts: pa.Array, unclear: pa.Array, tell: Callable[[str], bool], surely: pa.Array | None = None
) -> pa.Array:
    """Ask about each unclear text by itself."""
    none: Any = _none(texts) if surely is None else surely
    unclear = pc.fill_null(unclear, False)
    if not any_of(unclear):
        return none
    told = [tell(text) for text in texts.filter(unclear).to_pylist()]
    return pc.replace_with_mask(pc.fill_null(none, False), unclear, pa.array(told, pa.bool_()))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _has_more(text: str, scale: int) -> bool:
    number = _number(text)
    if number is None or not number:
        return False
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return int(exponent) + zeros < -scale


def _is_rounded(text: str, bits: int) -> bool:
    number = _number(text)
    if number is None:
        return False
    with np.errstate(over="ignore", under="ignore"):
        stored = np.float64(text) if bits == 64 else np.float32(text.strip())
    if not number or not np.isfinite(stored):
        return False  # The server refuses what is too large.
    if Decimal(str(stored)) == number:
        return False
    written = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    return Context(prec=len(written)).create_decimal(Decimal(float(stored))) != number
