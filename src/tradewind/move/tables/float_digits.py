"""Tell of texts and the floats that were read of them that the floats give the texts back.

Where ``d`` is the double next to the number ``m / 10**p`` that a text of ``p`` places shows, it is
printed with as many places as ``M / 10**p``, ``M`` being the whole number next to ``d * 10**p``.
That product is exact as a sum of two doubles (T. J. Dekker, "A floating-point technique for
extending the available precision", 1971), as ``10**22`` is a double. Half of a unit in the last
place of ``d`` is all that lies between: so ``m`` and ``M`` are a dozen apart at most where they
have 17 digits, and are the same if their last two digits are. No text has to be printed, and none
read but for those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["are_given_back"]

_STEP = 4096
"""Texts at a time, whose numbers stay in the processor's cache."""
_SPLIT = 134_217_729.0  # 2**27 + 1
_POWERS = 10.0 ** np.arange(23)
_HIGH = _POWERS * _SPLIT - (_POWERS * _SPLIT - _POWERS)
_LOW = _POWERS - _HIGH
_MOST = {32: 5e8, 64: 1e17}
_LEAST = {32: 1.2e-38, 64: 2.3e-308}
_SHORT = {32: 6, 64: 15}
_POINT, _ZERO = np.uint8(ord(".")), np.uint8(ord("0"))


def are_given_back(
    offsets: npt.NDArray[np.int32],
    octets: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.float64],
    bits: int,
) -> npt.NDArray[np.bool_]:
    """Tell which floats, written with as many digits as their texts, are surely these again.

    Args:
        offsets: Where each text begins, and where the last one ends.
        octets: The bytes of all texts, which are numbers.
        numbers: The floats, as doubles.
        bits: 32 or 64.

    Returns:
        A flag a text; False where it is not certain.
    """
    begins, ends = offsets[:-1], offsets[1:]
    points = np.flatnonzero(octets == _POINT)
    if len(points) == len(ends) and ((points >= begins) & (points < ends)).all():
        places = ends - 1 - points
    else:
        places = np.zeros(len(ends), np.int64)
        rows = np.searchsorted(ends, points, side="right")
        places[rows] = ends[rows] - 1 - points
    kept = ends - begins <= _SHORT[bits]
    for at in range(0, len(ends), _STEP):
        part = slice(at, at + _STEP)
        kept[part] |= _same_digits(ends[part], octets, numbers[part], places[part], _MOST[bits])
    powers = np.concatenate([np.flatnonzero(octets == ord(mark)) for mark in "eE"])
    if len(powers):
        rows = np.searchsorted(ends, powers, side="right")
        short = ends[rows] - begins[rows] <= _SHORT[bits]
        kept[rows] = short & (np.abs(numbers[rows]) >= _LEAST[bits]) & np.isfinite(numbers[rows])
    return kept


def _same_digits(
    ends: npt.NDArray[np.int32],
    octets: npt.NDArray[np.uint8],
    numbers: npt.NDArray[np.float64],
    places: npt.NDArray[np.int64],
    most: float,
) -> npt.NDArray[np.bool_]:
    far = places > 22
    if far.any():
        places = np.where(far, 0, places)
    size = np.abs(numbers)
    with np.errstate(over="ignore"):
        product = size * _POWERS[places]
    plain = (product < most) & ~far  # NaN is not
    if not plain.all():
        size, product = np.where(plain, size, 0), np.where(plain, product, 0)
    split = size * _SPLIT
    high = split - (split - size)
    low = size - high
    high_of, low_of = _HIGH[places], _LOW[places]
    rest = ((high * high_of - product) + high * low_of + low * high_of) + low * low_of
    whole = np.rint(product)
    rest += product - whole
    more = np.rint(rest)
    plain &= np.abs(rest - more) < 0.499
    digits = whole.astype(np.int64) + more.astype(np.int64)
    digits -= digits // 100 * 100
    last = octets[ends - 1] - _ZERO
    plain &= last <= 9  # not a point
    before = octets[ends - np.where(places == 1, 3, 2)] - _ZERO
    same: npt.NDArray[np.bool_] = plain & (digits == before * 10 + last)
    return same
