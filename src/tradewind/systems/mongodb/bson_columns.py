"""Columns of BSON values as JSON texts, exactly as `_extended_json` writes each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.documents import load_orjson

__all__ = ["BINARY", "KINDS", "InvalidTextError", "Kind", "escaped"]

Raw = np.ndarray[Any, np.dtype[np.uint8]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

_MAX_MS = 253402300799999  # the last millisecond of the year 9999
_DAY_MS = 86_400_000


class InvalidTextError(Exception):
    """A string is not UTF-8; the slow way says which one."""


@dataclass(frozen=True)
class Kind:
    """A BSON type of fixed width.

    Args:
        width: Bytes of a value.
        text: Writes values, given as rows of bytes and whether it is canonical.
        fits: Says which values `text` can write; None for all.
        relaxed: What stands before and after the text in relaxed mode.
        canonical: The same in canonical mode.
    """

    width: int
    text: Callable[[Raw, bool], pa.Array]
    fits: Callable[[Raw, bool], Bools | None] = lambda raw, canonical: None
    relaxed: tuple[bytes, bytes] = (b"", b"")
    canonical: tuple[bytes, bytes] = (b"", b"")


def _texts(characters: Raw, lengths: np.ndarray[Any, Any] | None = None) -> pa.Array:
    """Make a binary array of rows of characters, all of one length or of their own."""
    count, width = characters.shape
    offsets = np.zeros(count + 1, np.int32)
    if lengths is None:
        offsets[:] = np.arange(count + 1) * width
    else:
        np.cumsum(lengths, out=offsets[1:])
        characters = characters[np.arange(width) < lengths[:, None]]
    data = np.ascontiguousarray(characters)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def _listed(text: bytes) -> pa.Array:
    """Make a binary array of a JSON list of numbers, without a copy."""
    data = np.frombuffer(text, np.uint8)
    commas = np.flatnonzero(data == ord(","))
    # Each number but the first keeps the comma before it; they are cut off by a second view.
    offsets = np.empty(2 * len(commas) + 2, np.int32)
    offsets[0] = 1
    offsets[1:-1:2] = commas
    offsets[2:-1:2] = commas + 1
    offsets[-1] = len(text) - 1
    both = pa.Array.from_buffers(
        pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )
    return both.take(pa.array(np.arange(0, len(offsets) - 1, 2)))


def _integers(dtype: str) -> Callable[[Raw, bool], pa.Array]:
    def text(raw: Raw, canonical: bool) -> pa.Array:
        return pa.array(raw.view(dtype)[:, 0]).cast(pa.string()).cast(pa.binary())

    return text


def _double(raw: Raw, canonical: bool) -> pa.Array:
    values = raw.view("<f8")[:, 0]
    if canonical:  # as Python writes them, like json_util
        return pa.array([repr(value).encode() for value in values.tolist()], pa.binary())
    orjson = load_orjson("mongo")
    return _listed(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))


def _double_fits(raw: Raw, canonical: bool) -> Bools:
    finite: Bools = np.isfinite(raw.view("<f8")[:, 0])
    return finite


def _boolean(raw: Raw, canonical: bool) -> pa.Array:
    return _BOOLEANS.take(pa.array(raw[:, 0]))


_BOOLEANS = pa.array([b"false", b"true"], pa.binary())
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def _object_id(raw: Raw, canonical: bool) -> pa.Array:
    return _texts(_HEX[raw].view(np.uint8))


_TWO_DIGITS = np.frombuffer("".join(f"{one:02d}" for one in range(100)).encode(), np.uint16)


def _date_fits(raw: Raw, canonical: bool) -> Bools | None:
    if canonical:
        return None
    values = raw.view("<i8")[:, 0]
    return (values >= 0) & (values <= _MAX_MS)


def _date(raw: Raw, canonical: bool) -> pa.Array:
    if canonical:
        before, after = b'{"$numberLong":"', b'"}'
        return pc.binary_join_element_wise(
            pa.scalar(before), _integers("<i8")(raw, canonical), pa.scalar(after), pa.scalar(b"")
        )
    values = raw.view("<i8")[:, 0]
    days = values // _DAY_MS
    left = values - days * _DAY_MS
    date = days.view("M8[D]")
    months = date.astype("M8[M]")
    month = months.view(np.int64)
    year = month // 12 + 1970
    out = np.empty((len(values), 26), np.uint8)
    out[:] = np.frombuffer(b'"0000-00-00T00:00:00.000Z"', np.uint8)
    seconds, milliseconds = left // 1000, left % 1000
    for column, number in (
        (1, year // 100),
        (3, year % 100),
        (6, month % 12 + 1),
        (9, (date - months.astype("M8[D]")).view(np.int64) + 1),
        (12, seconds // 3600),
        (15, seconds // 60 % 60),
        (18, seconds % 60),
        (21, milliseconds // 10),
    ):
        out[:, column : column + 2] = _TWO_DIGITS[number].view(np.uint8).reshape(-1, 2)
    out[:, 23] = milliseconds % 10 + ord("0")
    whole = milliseconds == 0
    out[whole, 20:22] = np.frombuffer(b'Z"', np.uint8)
    return _texts(out, np.where(whole, 22, 26))


_LARGEST = (1 << 63) - 1
_PLAIN_DIGITS = 18


def _decimal_parts(raw: Raw) -> tuple[Any, Any, Any, Any]:
    """Coefficient, its upper half, exponent and sign (binary integer decimals, IEEE 754-2008)."""
    words = raw.view("<u8")
    low, high = words[:, 0], words[:, 1]
    exponent = ((high >> np.uint64(49)) & np.uint64(0x3FFF)).astype(np.int64) - 6176
    return low, high & np.uint64((1 << 49) - 1), exponent, high >> np.uint64(63)


def _decimal_fits(raw: Raw, canonical: bool) -> Bools:
    low, above, exponent, _ = _decimal_parts(raw)
    # Others are written with an exponent, or are NaN and Infinity, or large.
    plain = (exponent <= 0) & (exponent >= -6)
    good: Bools = (above == 0) & (low <= _LARGEST) & plain
    return good


def _decimal(raw: Raw, canonical: bool) -> pa.Array:
    low, _, exponent, sign = _decimal_parts(raw)
    powers = 10 ** (-exponent)
    low = low.astype(np.int64)
    whole = pa.array(low // powers).cast(pa.string()).cast(pa.binary())
    rest = low % powers
    digits = np.empty((len(low), 7), np.uint8)
    digits[:, 0] = ord(".")
    for place in range(6):
        # Digit after the point, where there are so many.
        power = powers // 10 ** (place + 1)
        digits[:, place + 1] = rest // np.maximum(power, 1) % 10 + ord("0")
    lengths = np.where(exponent == 0, 0, 1 - exponent)
    signs = pa.array([b"", b"-"], pa.binary()).take(pa.array(sign))
    return pc.binary_join_element_wise(signs, whole, _texts(digits, lengths), pa.scalar(b""))


_BASE64 = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)


def _base64(raw: Raw, canonical: bool) -> pa.Array:
    count, width = raw.shape
    missing = -width % 3
    padded = np.zeros((count, width + missing), np.uint32)
    padded[:, :width] = raw
    groups = padded[:, 0::3] << 16 | padded[:, 1::3] << 8 | padded[:, 2::3]
    out = np.empty((count, groups.shape[1], 4), np.uint8)
    for place, shift in enumerate((18, 12, 6, 0)):
        out[:, :, place] = _BASE64[groups >> shift & 63]
    characters = out.reshape(count, -1)
    if missing:
        characters[:, -missing:] = ord("=")
    return _texts(characters)


BINARY = Kind(0, _base64)
"""Binary data of one length."""

_LONG = (b'{"$numberLong":"', b'"}')
KINDS = {
    0x01: Kind(8, _double, _double_fits, canonical=(b'{"$numberDouble":"', b'"}')),
    0x07: Kind(12, _object_id, relaxed=(b'{"$oid":"', b'"}'), canonical=(b'{"$oid":"', b'"}')),
    0x08: Kind(1, _boolean, lambda raw, canonical: raw[:, 0] <= 1),
    0x09: Kind(8, _date, _date_fits, relaxed=(b'{"$date":', b"}"), canonical=(b'{"$date":', b"}")),
    0x10: Kind(4, _integers("<i4"), canonical=(b'{"$numberInt":"', b'"}')),
    0x12: Kind(8, _integers("<i8"), canonical=_LONG),
    0x13: Kind(
        16,
        _decimal,
        _decimal_fits,
        relaxed=(b'{"$numberDecimal":"', b'"}'),
        canonical=(b'{"$numberDecimal":"', b'"}'),
    ),
}
"""By the byte that BSON has for them."""

_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x20)} | {
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
}
_ESCAPED = np.zeros(256, np.bool_)
_ESCAPED[:0x20] = True
_ESCAPED[[0x22, 0x5C]] = True


def escaped(texts: pa.Array) -> pa.Array:
    """Check and escape strings for JSON.

    Args:
        texts: Strings, not yet known to be UTF-8.

    Raises:
        InvalidTextError: One is not UTF-8.
    """
    data = texts.buffers()[2]
    if data is None or not data.size:
        return texts.cast(pa.binary())
    content = np.frombuffer(data, np.uint8)
    if content.max() >= 0x80:
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as error:
            raise InvalidTextError from error
    if _ESCAPED[content].any():
        present = np.flatnonzero(np.bincount(content, minlength=256))
        if 0x5C in present:
            texts = pc.replace_substring(texts, "\\", "\\\\")
        for code in present:
            if int(code) in _ESCAPES:
                texts = pc.replace_substring(texts, chr(code), _ESCAPES[int(code)])
    return texts.cast(pa.binary())
