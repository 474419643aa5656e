"""Tell by their bytes that texts are written plainly, so that nothing else need be looked for.

A regular expression on each value of a column costs more than to send it. Nearly all columns are
written in one plain way, which a few passes over all of their bytes show. What is not is no fault:
it is only unknown here, and has to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Moments", "has_byte", "is_short_behind_points", "moments", "text_parts"]

_DAY = "dddd-dd-dd"
_CLOCK = "dddd-dd-dd?dd:dd:dd"
_OFFSET = len(_CLOCK)
_WIDTHS = {
    len(_DAY): _DAY,
    _OFFSET: _CLOCK,
    _OFFSET + 1: f"{_CLOCK}Z",
    _OFFSET + 3: f"{_CLOCK}+dd",
    _OFFSET + 4: f"{_CLOCK}.ddd",
    _OFFSET + 6: f"{_CLOCK}+dd:dd",
    _OFFSET + 7: f"{_CLOCK}.dddddd",
    _OFFSET + 10: f"{_CLOCK}.dddddd+dd",
}
_SIDE = 64
_MANY = 8
"""Places behind the point, beyond which a regular expression is as fast."""


def text_parts(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Give where each text begins and the last one ends, and the bytes that they are in."""
    _, offsets, data = texts.buffers()
    begin = texts.offset
    found = np.frombuffer(offsets, np.int32)[begin : begin + len(texts) + 1]
    octets = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return found - found[0], octets[found[0] : found[-1]]


def has_byte(texts: pa.Array, marks: bytes) -> bool:
    """Whether a text may hold one of some bytes; where it says no, none does.

    Args:
        texts: Strings.
        marks: The bytes: ASCII characters.
    """
    if not pa.types.is_string(texts.type):
        return True
    if not len(texts):
        return False
    data = text_parts(texts)[1].tobytes()
    return any(mark in data for mark in marks)


def is_short_behind_points(texts: pa.Array, places: int) -> bool:
    """Whether no text has more than so many characters behind a point.

    Args:
        texts: Strings.
        places: How many there may be.

    Returns:
        True where it is so; False where it may be otherwise.
    """
    if not pa.types.is_string(texts.type) or not 0 <= places <= _MANY:
        return False
    if not len(texts):
        return True
    offsets, octets = text_parts(texts)
    points = int(np.count_nonzero(octets == ord(".")))
    begins, ends = offsets[:-1], offsets[1:]
    for back in range(1, places + 2):
        if not points:
            return True
        at = ends - back
        inside = at >= begins
        points -= int(np.count_nonzero(octets[at[inside]] == ord(".")))
    return not points


def _extremes(octets: npt.NDArray[np.uint8], width: int) -> tuple[bytes, bytes]:
    """Give the least and the greatest byte at each place of texts of one width."""
    # Many texts side by side make rows long enough for the processor's vectors.
    wide = width * _SIDE
    whole = len(octets) // wide * wide
    long, rest = octets[:whole].reshape(-1, wide), octets[whole:].reshape(-1, width)
    low = [np.minimum.reduce(part) for part in (long, rest) if len(part)]
    high = [np.maximum.reduce(part) for part in (long, rest) if len(part)]
    return (
        np.minimum.reduce(np.concatenate(low).reshape(-1, width)).tobytes(),
        np.maximum.reduce(np.concatenate(high).reshape(-1, width)).tobytes(),
    )


@dataclass(frozen=True)
class Moments:
    """How all texts of a column are written.

    Args:
        clock: Whether they have a time of day, as hours, minutes and seconds.
        fraction: Digits of its fraction.
        zone: Whether a zone follows.
    """

    clock: bool
    fraction: int
    zone: bool


def moments(texts: pa.Array) -> Moments | None:
    """See whether all texts are dates, or dates with times, that are written alike and in full.

    Args:
        texts: Strings, like ``2026-01-31`` or ``2026-01-31 12:00:00.123456+00``.

    Returns:
        How they are written: a year of four digits, seconds up to 59. None where one may not be.
    """
    count = len(texts) - texts.null_count
    if not pa.types.is_string(texts.type) or not count:
        return None
    offsets, octets = text_parts(texts)
    width, rest = divmod(len(octets), count)
    shape = _WIDTHS.get(width)
    if rest or shape is None:
        return None
    lengths = np.diff(offsets)
    if int(np.count_nonzero(lengths == width)) != count or lengths.max() != width:
        return None  # so a NULL has none of the bytes
    least, most = _extremes(octets, width)
    for mark, low, high in zip(shape, least, most, strict=True):
        if mark == "d":
            plain = low >= ord("0") and high <= ord("9")
        elif mark == "?":
            plain = low == high and low in b" T"
        else:
            plain = low == high == ord(mark)
        if not plain:
            return None
    if width > len(_DAY) and most[17] > ord("5"):
        return None  # perhaps a leap second
    behind = shape[_OFFSET:]
    return Moments(
        clock=width > len(_DAY),
        fraction=behind.partition("+")[0].count("d"),
        zone="+" in behind or "Z" in behind,
    )
