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

from tradewind.move.tables.float_digits import are_given_back
from tradewind.move.tables.shapes import has_byte, is_short_behind_points, text_parts

__all__ = [
    "any_of",
    "is_no_integer",
    "is_rounded",
    "is_rounded_float",
    "more_digits",
    "more_seconds",
]

_DIGITS = {16: 3, 32: 6, 64: 15}
"""So many decimal digits survive any float of so many bits (FLT_DIG and DBL_DIG of C)."""
_TYPES: dict[int, Any] = {16: np.float16, 32: np.float32, 64: np.float64}


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


def is_rounded_float(texts: pa.Array, bits: int, numbers: pa.Array | None = None) -> pa.Array:
    """Tell which numbers would be others once they are floats.

    A number is the same if the float, written with as many digits, gives it back: ``0.1`` and
    ``0.29999999999999999`` (as C prints 0.3) do, ``9007199254740993`` does not.

    Args:
        texts: Numbers.
        bits: 16, 32 or 64.
        numbers: The floats, where they are known already.

    Returns:
        A mask.
    """
    if (
        not has_byte(texts, b"eE")
        and (pc.max(pc.binary_length(texts)).as_py() or 0) <= (_DIGITS[bits])
    ):
        return _none(texts)  # with a power, however short, 1e-400 is nothing as a float
    unclear = pc.is_valid(texts)
    if bits != 16 and pa.types.is_string(texts.type):
        try:
            if numbers is None:
                numbers = texts.cast(pa.float32() if bits == 32 else pa.float64())
            unclear = _unclear(texts, numbers, bits)
        except pa.ArrowInvalid:
            pass  # One of them is spelled in a way that Arrow does not read.
    return _told(texts, unclear, lambda text: is_rounded(text, bits))


def _unclear(texts: pa.Array, numbers: pa.Array, bits: int) -> pa.Array:
    """Tell which texts have to be looked at one by one."""
    offsets, octets = text_parts(texts)
    doubles = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False)
    surely = are_given_back(offsets, octets, doubles, bits)
    unclear = pa.array(~surely)
    if texts.null_count:
        unclear = pc.and_(unclear, texts.is_valid())
    if not any_of(unclear):
        return unclear
    # The shortest digits that give the float again: most programs write these.
    printed = numbers.filter(unclear).cast(pa.string())
    return pc.replace_with_mask(unclear, unclear, pc.not_equal(printed, texts.filter(unclear)))


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


def is_rounded(text: str, bits: int) -> bool:
    """Tell whether a number would be another one once it is a float; see `is_rounded_float`.

    Args:
        text: The number; what is none, is not rounded.
        bits: 16, 32 or 64.
    """
    number = _number(text)
    if number is None:
        return False
    with np.errstate(over="ignore", under="ignore"):
        stored = _TYPES[bits](text.strip())
    if not number or not np.isfinite(stored):
        return False  # The server refuses what is too large.
    if Decimal(str(stored)) == number:
        return False
    written = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    return Context(prec=len(written)).create_decimal(Decimal(float(stored))) != number
