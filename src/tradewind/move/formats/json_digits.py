"""Find in bytes of JSON what a reader of floats would round, without parsing them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tradewind.move.tables.exact import any_of, is_rounded_float

__all__ = ["has_rounded_numbers"]

_STEP = 8
_LONG = 2 * _STEP  # a point and 15 digits, which a double keeps, or 16 digits
_LONGEST = 32
_MANY = 1 << 14
_DIGIT = np.zeros(256, np.bool_)
_DIGIT[np.frombuffer(b".0123456789", np.uint8)] = True
_PART = _DIGIT.copy()
_PART[np.frombuffer(b"+-eE", np.uint8)] = True


def has_rounded_numbers(block: bytes) -> bool:
    """Whether digits stand anywhere that a double would change; in strings, too.

    Args:
        block: JSON.

    Returns:
        False where a double gives all numbers back. True where one may not.
    """
    octets = np.frombuffer(block, np.uint8)
    places = _long_runs(octets)
    signs = np.flatnonzero(octets == ord("-"))
    signs = signs[(octets[signs - 1] | 0x20 == ord("e")) & _DIGIT[octets[signs - 2]]]
    if len(signs):
        places = np.sort(np.concatenate([places, signs - 2]))
    return any(_any_rounded(octets, places[at : at + _MANY]) for at in range(0, len(places), _MANY))


def _long_runs(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Find where 16 digits and points or more stand in a row: a place within each."""
    # Of so many in a row, two neighbours of every eighth byte are some.
    each = _DIGIT[octets[::_STEP]]
    pairs = np.flatnonzero(each[:-1] & each[1:]) * _STEP
    for step in (4, 2, 6, 1, 3, 5, 7):
        pairs = pairs[_DIGIT[octets[pairs + step]]]
    # How many stand behind the second of the two, and before the first.
    behind, before = pairs + _STEP, pairs
    length = np.full(len(pairs), _STEP + 1)
    for way, side in ((1, behind), (-1, before)):
        more = np.ones(len(pairs), np.bool_)
        for step in range(1, _STEP):
            at = side + way * step
            inside = (at >= 0) & (at < len(octets))
            more &= inside & _DIGIT[octets[np.where(inside, at, 0)]]
            length += more
    return pairs[length >= _LONG]


def _any_rounded(octets: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> bool:
    """Whether a number around one of some places would be rounded."""
    begins = places.copy()
    for _ in range(_LONGEST):
        more = (begins > 0) & _DIGIT[octets[begins - 1]]
        if not more.any():
            break
        begins -= more
    begins = begins[np.diff(begins, prepend=-1) > 0]
    at = begins[:, None] + np.arange(_LONGEST)
    found = octets[np.minimum(at, len(octets) - 1, out=at)]
    parts = np.logical_and.accumulate(_PART[found], axis=1)
    if parts[:, -1].any():
        return True  # so long that it has to be read
    ends = np.concatenate([[0], np.cumsum(parts.sum(axis=1))]).astype(np.int32)
    words = pa.Array.from_buffers(
        pa.string(), len(begins), [None, pa.py_buffer(ends), pa.py_buffer(found[parts])]
    )
    return any_of(is_rounded_float(words, 64))
