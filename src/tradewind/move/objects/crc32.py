"""The CRC32 of two pieces one after the other, from the CRC32 of each.

Source: `crc32_combine` of zlib (Mark Adler): a CRC is linear over GF(2), and zeros that follow a
piece are a multiplication by a power of x modulo the polynomial.
"""

from __future__ import annotations

__all__ = ["combined"]

_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


def combined(first: int, second: int, second_size: int) -> int:
    """Compute the CRC32 of a piece and the one after it.

    Args:
        first: CRC32 of the first piece.
        second: CRC32 of the second piece.
        second_size: Bytes of the second piece.
    """
    return _times(_power(8 * second_size), first) ^ second


def _times(left: int, right: int) -> int:
    """Multiply two polynomials modulo CRC32's; the highest bit is x to the power of 0."""
    product = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = (right >> 1) ^ (_POLYNOMIAL if right & 1 else 0)
    return product


def _power(exponent: int) -> int:
    """Compute x to a power modulo CRC32's polynomial, by squaring."""
    result, base = _ONE, 1 << 30
    while exponent:
        if exponent & 1:
            result = _times(result, base)
        base = _times(base, base)
        exponent >>= 1
    return result
