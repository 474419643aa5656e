"""The few protobuf messages of RecordIO, written and read by hand because speed is their point.

Source: the protobuf encoding guide (varints, tags, packed fields, maps as entries) and SageMaker's
``record.proto``, quoted in :mod:`tradewind.systems.sagemaker.recordio`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ENCODABLE",
    "FEATURES",
    "LABEL",
    "MalformedError",
    "Packed",
    "Record",
    "Tensor",
    "UnsupportedError",
    "entry",
    "pack",
    "parse_record",
    "unpack",
    "varint",
]

FEATURES = 1
LABEL = 2
_FLOAT32, _FLOAT64, _INT32, _BYTES = 2, 3, 7, 9
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5

#: Array types that can be encoded, and the tensor each becomes.
ENCODABLE: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): _FLOAT32,
    np.dtype(np.float64): _FLOAT64,
    np.dtype(np.int32): _INT32,
    np.dtype(np.int64): _INT32,
}
_DTYPES: dict[int, np.dtype[Any]] = {
    _FLOAT32: np.dtype(np.float32),
    _FLOAT64: np.dtype(np.float64),
    _INT32: np.dtype(np.int32),
}
_CONTINUED = bytes(range(0x80, 0x100))
_OVERLONG = re.compile(rb"[\x80-\xff]{10}")
_ITEM_WIRE = {_FLOAT32: _I32, _FLOAT64: _I64, _INT32: _VARINT}


class MalformedError(Exception):
    """The bytes are not a protobuf message of this kind."""


class UnsupportedError(Exception):
    """The message is sound but holds what the codec does not read."""


# ------------------------------------------------------------------------------------- write


def varint(value: int) -> bytes:
    """Encode a non-negative integer in base 128, least significant group first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _len_field(number: int, length: int) -> bytes:
    return varint(number << 3 | _LEN) + varint(length)


@functools.lru_cache(maxsize=4096)
def entry(where: int, tensor: int, width: int, key: bytes = b"values") -> bytes:
    """What stands before a tensor's packed values: the map entry, value and tensor around them.

    Args:
        where: ``FEATURES`` or ``LABEL``.
        tensor: The tensor's field number in ``Value``.
        width: Length of the packed values in bytes.
        key: The map's key.

    Returns:
        The bytes up to the first value. Nothing follows the values.
    """
    values = _len_field(1, width)
    value = _len_field(tensor, len(values) + width)
    name = _len_field(1, len(key)) + key
    inner = _len_field(2, len(value) + len(values) + width)
    content = len(name) + len(inner) + len(value) + len(values) + width
    return _len_field(where, content) + name + inner + value + values


@dataclass(frozen=True)
class Packed:
    """Rows of an array as protobuf packs their values.

    Attributes:
        tag: The tensor's field number in ``Value``.
        data: All rows' bytes, one after the other.
        bounds: Where row i begins (i) and ends (i + 1) in ``data``; None when all have one width.
        width: Bytes a row, or None when rows differ.
        rows: Number of rows.
    """

    tag: int
    data: NDArray[np.uint8]
    bounds: NDArray[np.int64] | None
    width: int | None
    rows: int

    def __len__(self) -> int:
        return self.rows

    def matrix(self) -> NDArray[np.uint8]:
        """All rows as a byte matrix; only where they have one width."""
        return self.data.reshape(self.rows, -1)

    def row(self, index: int) -> bytes:
        """One row's bytes."""
        if self.bounds is None:
            width = self.width or 0
            return self.data[index * width : (index + 1) * width].tobytes()
        return self.data[self.bounds[index] : self.bounds[index + 1]].tobytes()


def pack(array: NDArray[Any]) -> Packed:
    """Pack the rows of a matrix of a type in ``ENCODABLE``, of shape (n, d)."""
    tag = ENCODABLE[array.dtype]
    rows, columns = array.shape
    if array.dtype.kind == "f":
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        width = columns * array.dtype.itemsize
        return Packed(tag, plain.view(np.uint8).reshape(-1), None, width, rows)
    # int32 is written as the varint of its 64-bit two's complement: 10 bytes when negative.
    bits = np.ascontiguousarray(array, dtype=np.int64).reshape(-1).view(np.uint64)
    groups = (max(int(bits.max()).bit_length(), 1) + 6) // 7
    octets = np.empty((len(bits), groups), dtype=np.uint8)
    used = np.empty((len(bits), groups), dtype=bool)
    used[:, 0] = True
    for group in range(groups):
        left = bits >> np.uint64(7 * group)
        octets[:, group] = left.astype(np.uint8) | np.uint8(0x80)
        if group + 1 < groups:
            np.not_equal(left >> np.uint64(7), 0, out=used[:, group + 1])
    sizes = used.sum(axis=1)
    data = octets[used]
    ends = np.cumsum(sizes)
    data[ends - 1] &= np.uint8(0x7F)  # the last group of each carries no continuation bit
    bounds = np.concatenate(([0], ends[columns - 1 :: columns]))
    widths = np.diff(bounds)
    if (widths == widths[0]).all():
        return Packed(tag, data, None, int(widths[0]), rows)
    return Packed(tag, data, bounds, None, rows)


# ------------------------------------------------------------------------------------- read


@dataclass
class Tensor:
    """Where a tensor's packed values lie.

    Attributes:
        dtype: Type of the values.
        pieces: Begin and end of each run of packed values.
        count: How many values there are.
        shape: The declared shape, empty where none is.
    """

    dtype: np.dtype[Any]
    pieces: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0
    shape: list[int] = field(default_factory=list)

    def raw(self, data: bytes) -> bytes:
        """The packed values in one piece."""
        return b"".join(data[start:stop] for start, stop in self.pieces)


@dataclass
class Record:
    """One row: its features and its label, both under the key ``values``."""

    values: Tensor
    label: Tensor | None


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise MalformedError("a number is cut off or too long")


def _fields(data: bytes, at: int, end: int) -> list[tuple[int, int, int, int]]:
    """All fields of a message: number, wire type, begin and end of the content."""
    found = []
    while at < end:
        tag, at = _read_varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise MalformedError("field number 0")
        if wire == _LEN:
            length, at = _read_varint(data, at, end)
            stop = at + length
        elif wire == _VARINT:
            _, stop = _read_varint(data, at, end)
        elif wire in (_I64, _I32):
            stop = at + (8 if wire == _I64 else 4)
        else:
            raise MalformedError(f"wire type {wire}")
        if stop > end:
            raise MalformedError(f"field {number} reaches beyond its message")
        found.append((number, wire, at, stop))
        at = stop
    return found


def parse_record(data: bytes, at: int, end: int) -> Record:
    """Parse the ``Record`` in ``data[at:end]``.

    Raises:
        MalformedError: The bytes are no such message.
        UnsupportedError: The record holds sparse tensors, bytes, or features under other keys.
    """
    features: dict[bytes, Tensor] = {}
    labels: dict[bytes, Tensor] = {}
    for number, wire, start, stop in _fields(data, at, end):
        if number not in (FEATURES, LABEL):
            continue  # uid, metadata, configuration
        if wire != _LEN:
            raise MalformedError(f"field {number} is not a message")
        key, tensor = _parse_entry(data, start, stop)
        (features if number == FEATURES else labels)[key] = tensor
    if set(features) != {b"values"}:
        keys = ", ".join(sorted(repr(key.decode("utf-8", "replace")) for key in features))
        raise UnsupportedError(f"a record has features {keys or 'none'}, expected just 'values'")
    if labels and set(labels) != {b"values"}:
        keys = ", ".join(sorted(repr(key.decode("utf-8", "replace")) for key in labels))
        raise UnsupportedError(f"a record has labels {keys}, expected just 'values'")
    return Record(features[b"values"], labels.get(b"values"))


def _parse_entry(data: bytes, at: int, end: int) -> tuple[bytes, Tensor]:
    key = b""
    tensor: Tensor | None = None
    for number, wire, start, stop in _fields(data, at, end):
        if wire != _LEN:
            raise MalformedError("a map entry is not made of key and message")
        if number == 1:
            key = data[start:stop]
        elif number == 2:
            tensor = _parse_value(data, start, stop)
    if tensor is None:
        raise MalformedError(f"the map entry {key.decode('utf-8', 'replace')!r} has no value")
    return key, tensor


def _parse_value(data: bytes, at: int, end: int) -> Tensor:
    tensor: Tensor | None = None
    for number, wire, start, stop in _fields(data, at, end):
        if number == _BYTES:
            raise UnsupportedError("a record holds bytes (an image?), not a tensor of numbers")
        if number not in _DTYPES:
            continue
        if wire != _LEN:
            raise MalformedError("a tensor is not a message")
        tensor = _parse_tensor(data, start, stop, number)
    if tensor is None:
        raise MalformedError("a value holds no tensor")
    return tensor


def _parse_tensor(data: bytes, at: int, end: int, kind: int) -> Tensor:
    tensor = Tensor(_DTYPES[kind])
    item = _ITEM_WIRE[kind]
    for number, wire, start, stop in _fields(data, at, end):
        if number == 1:
            if wire not in (_LEN, item):
                raise MalformedError("a tensor's values are of the wrong wire type")
            tensor.pieces.append((start, stop))
            tensor.count += _count(data, start, stop, tensor.dtype)
        elif number == 2 and start < stop:
            raise UnsupportedError("a record is sparse (it has keys); only dense ones are read")
        elif number == 3:
            tensor.shape += _shape(data, start, stop)
    if not tensor.count:
        raise UnsupportedError("a record holds an empty tensor")
    if tensor.shape and int(np.prod(tensor.shape)) != tensor.count:
        raise MalformedError(f"{tensor.count} values do not fill the shape {tensor.shape}")
    return tensor


def _count(data: bytes, start: int, stop: int, dtype: np.dtype[Any]) -> int:
    if dtype.kind == "f":
        count, odd = divmod(stop - start, dtype.itemsize)
        if odd:
            raise MalformedError(f"{stop - start} bytes are no whole number of {dtype} values")
        return count
    raw = data[start:stop]
    if raw and raw[-1] >= 0x80:
        raise MalformedError("the last integer is cut off")
    if _OVERLONG.search(raw):
        raise MalformedError("an integer is longer than 10 bytes")
    return len(raw.translate(None, _CONTINUED))


def _shape(data: bytes, at: int, end: int) -> list[int]:
    sizes = []
    while at < end:
        size, at = _read_varint(data, at, end)
        sizes.append(size)
    return sizes


def unpack(raw: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Unpack values that were packed one after the other.

    Args:
        raw: The packed bytes, checked by :func:`parse_record`.
        dtype: float32, float64 or int32.

    Returns:
        A flat array of its own.
    """
    if dtype.kind == "f":
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    octets = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(octets < 0x80) + 1
    starts = np.concatenate(([0], ends[:-1]))
    sizes = ends - starts
    bits = np.zeros(len(ends), dtype=np.uint32)
    # Beyond 32 bits values are cut, as protobuf's own parsers do for int32: five groups matter.
    for group in range(min(int(sizes.max()), 5)):
        at = starts if group == 0 else np.minimum(starts + group, ends - 1)
        part = (octets[at] & np.uint8(0x7F)).astype(np.uint32) << np.uint32(7 * group)
        bits |= part if group == 0 else part * (sizes > group)
    return bits.view(np.int32)
