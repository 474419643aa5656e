"""Reads RecordIO-protobuf, the binary format of SageMaker's built-in algorithms: the features only.

A stream is a sequence of frames, each ``<u32 magic 0xCED7230A><u32 length><payload><zeros to a
multiple of 4>``, little-endian; the payload is one protobuf ``Record``, one row::

    message Float32Tensor { repeated float  values = 1 [packed]; repeated uint64 keys = 2 [packed]; repeated uint64 shape = 3 [packed]; }
    message Float64Tensor { repeated double values = 1 [packed]; ... }
    message Int32Tensor   { repeated int32  values = 1 [packed]; ... }
    message Value  { oneof value { Float32Tensor float32_tensor = 2; Float64Tensor float64_tensor = 3; Int32Tensor int32_tensor = 7; Bytes bytes = 9; } }
    message Record { map<string, Value> features = 1; map<string, Value> label = 2; ... }

Source: "Common data formats for training" in Amazon SageMaker's developer guide.

Tradewind has a codec of its own, and this package shares no line with it: it is installed without
Tradewind, and what Tradewind writes is read here by another reader, as it is on AWS. The tests hold
the two against each other.

It is no reader made by a protobuf library because that was measured to take 15 microseconds a row,
a third of the time of a whole training job on MNIST. Here frames that equal the first one but for
their numbers, which is all of them in most objects, are read as one matrix of bytes.

Memory: a batch twice while it is put together, and one chunk of input, or one record's if larger.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from sagemaker_local.errors import InputError

__all__ = ["LENGTH_BITS", "MAGIC", "RecordIOError", "decode"]

MAGIC = bytes.fromhex("0a23d7ce")
#: The part of a frame's second word that is its length; the rest says that a record is continued.
LENGTH_BITS = (1 << 29) - 1

_HEADER = 8
_MAX_RECORD_BYTES = 64 << 20
_FEATURES, _LABEL = 1, 2
_BYTES = 9
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
_WIRE: dict[np.dtype[Any], int] = {
    np.dtype("<f4"): _I32,
    np.dtype("<f8"): _I64,
    np.dtype("<i4"): _VARINT,
}
# Unpacking integers takes some twenty times their memory: so many bytes of them at once.
_PIECE_BYTES = 1 << 17

Rows = npt.NDArray[Any]


class RecordIOError(InputError):
    """The bytes are not RecordIO-protobuf, or not dense rows of numbers; says where and why."""


def decode(chunks: Iterable[bytes], *, batch_size: int = 4096) -> Iterator[Rows]:
    """Decode a stream into the features of its rows; labels are left away.

    Args:
        chunks: The stream in pieces, cut anywhere.
        batch_size: Rows a batch; the last batch has fewer.

    Yields:
        Arrays of shape (rows, features), float32, float64 or int32; all of a stream have one
        width and one type.

    Raises:
        RecordIOError: The stream is damaged or cut off, or holds what is no dense row of numbers.
    """
    batch = _Batch(batch_size)
    rest = b""
    base = 0  # the stream's offset of the first byte of `data`
    for chunk in chunks:
        data = b"".join((rest, chunk)) if rest else bytes(chunk)
        at = 0
        while size := _frame_size(data, at, base):
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            try:
                features, label = _record(data, at + _HEADER, at + _HEADER + length)
                batch.expect(features)
            except _UnsoundError as error:
                _refuse(str(error), base + at)
            frames = _frames_like(data, at, size, features, label)
            if features.fixed:
                start, stop = features.pieces[0]
                yield from batch.add(frames[:, start - at : stop - at])
            else:
                yield from batch.add_row(features.raw(data))
            at += size * len(frames)
        rest = data[at:]
        base += at
    if rest:
        _refuse(
            f"the stream ends within a record ({len(rest)} bytes of it are there); it was cut off",
            base,
        )
    if batch.count:
        yield batch.take()


def _refuse(text: str, offset: int) -> NoReturn:
    raise RecordIOError(f"RecordIO: {text} (at byte offset {offset})") from None


def _frame_size(data: bytes, at: int, base: int) -> int:
    """Size of the frame at ``at`` with its padding, or 0 while it is not there whole."""
    left = len(data) - at
    if left >= 4 and data[at : at + 4] != MAGIC:
        _refuse(
            f"no record begins here: found {data[at : at + 4].hex()}, expected {MAGIC.hex()}",
            base + at,
        )
    if left < _HEADER:
        return 0
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    if length > LENGTH_BITS:
        _refuse("a record in several parts; SageMaker knows only whole ones", base + at)
    if length > _MAX_RECORD_BYTES:
        _refuse(f"a record says it has {length} bytes, over {_MAX_RECORD_BYTES}", base + at)
    size = _HEADER + length + -length % 4
    if left < size:
        return 0
    if any(data[at + _HEADER + length : at + size]):
        _refuse("a record's padding is not zero", base + at)
    return size


# ---------------------------------------------------------------------------------- protobuf


class _UnsoundError(Exception):
    """A record is not what it should be; the text says why."""


class _Tensor(NamedTuple):
    """Where a tensor's values lie, and what they are."""

    dtype: np.dtype[Any]
    pieces: tuple[tuple[int, int], ...]
    columns: int

    @property
    def fixed(self) -> bool:
        """Whether the values are one piece of as many bytes in each row."""
        return self.dtype.kind == "f" and len(self.pieces) == 1

    def raw(self, data: bytes) -> bytes:
        """The values' bytes in one piece."""
        return b"".join(data[start:stop] for start, stop in self.pieces)


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _UnsoundError("a number is cut off or too long")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """All fields of a message: number, wire type, begin and end of the content."""
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        stop = at
        if wire == _LEN:
            length, at = _varint(data, at, end)
            stop = at + length
        elif wire == _VARINT:
            _, stop = _varint(data, at, end)
        elif wire in (_I64, _I32):
            stop = at + (8 if wire == _I64 else 4)
        else:
            raise _UnsoundError(f"a record has a field of wire type {wire}")
        if number == 0 or stop > end:
            raise _UnsoundError(f"a record's field {number} is not sound")
        yield number, wire, at, stop
        at = stop


def _messages(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """All fields of a message that consists of texts and messages."""
    for number, wire, start, stop in _fields(data, at, end):
        if wire != _LEN:
            raise _UnsoundError(f"a record's field {number} is no message")
        yield number, start, stop


def _record(data: bytes, at: int, end: int) -> tuple[_Tensor, _Tensor | None]:
    """The features of one record and its label, both under the key ``values``."""
    found: dict[tuple[int, bytes], _Tensor] = {}
    for number, _, start, stop in _fields(data, at, end):
        if number not in (_FEATURES, _LABEL):
            continue  # uid, metadata, configuration
        key, tensor = b"", None
        for part, begin, close in _messages(data, start, stop):
            if part == 1:
                key = data[begin:close]
            elif part == 2:
                tensor = _value(data, begin, close)
        if tensor is None:
            raise _UnsoundError("a record has an entry without a value")
        if key != b"values" or (number, key) in found:
            raise _UnsoundError(
                f"a record has the entry {key.decode('utf-8', 'replace')!r}; expected just 'values'"
            )
        found[number, key] = tensor
    features = found.get((_FEATURES, b"values"))
    if features is None:
        raise _UnsoundError("a record has no features, expected 'values'")
    return features, found.get((_LABEL, b"values"))


def _value(data: bytes, at: int, end: int) -> _Tensor:
    tensors = []
    for number, start, stop in _messages(data, at, end):
        if number == _BYTES:
            raise _UnsoundError("a record holds bytes (an image?), not a tensor of numbers")
        if number in _TENSORS:
            tensors.append(_tensor(data, start, stop, _TENSORS[number]))
    if len(tensors) != 1:
        raise _UnsoundError(f"a value holds {len(tensors)} tensors, expected one")
    return tensors[0]


def _tensor(data: bytes, at: int, end: int, dtype: np.dtype[Any]) -> _Tensor:
    pieces = []
    count, size, shaped = 0, 1, False
    for number, wire, start, stop in _fields(data, at, end):
        if number == 1:
            # Packed, or each value a field of its own: protobuf's readers have to take both.
            if wire not in (_LEN, _WIRE[dtype]):
                raise _UnsoundError("a tensor's values are of the wrong wire type")
            pieces.append((start, stop))
            count += _count(data[start:stop], dtype)
        elif number == 2 and start < stop:
            raise _UnsoundError("a record is sparse (it has keys); only dense ones are read")
        elif number == 3:
            shaped = True
            while start < stop:
                side, start = _varint(data, start, stop)
                size *= side
    if not count:
        raise _UnsoundError("a record holds an empty tensor")
    if shaped and size != count:
        raise _UnsoundError(f"{count} values do not fill a tensor's shape of {size}")
    return _Tensor(dtype, tuple(pieces), count)


def _count(raw: bytes, dtype: np.dtype[Any]) -> int:
    if dtype.kind == "f":
        count, odd = divmod(len(raw), dtype.itemsize)
        if odd:
            raise _UnsoundError(f"{len(raw)} bytes are no whole number of {dtype.name} values")
        return count
    octets = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise _UnsoundError("the last integer is cut off")
    if len(ends) and np.diff(ends, prepend=-1).max() > 10:
        raise _UnsoundError("an integer is longer than 10 bytes")
    return len(ends)


def _unpack(raw: bytes) -> Rows:
    """Integers that were packed one after the other, each in one to ten groups of seven bits."""
    octets = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(octets < 0x80)
    starts = np.concatenate(([0], ends[:-1] + 1))
    bits = np.zeros(len(ends), np.uint32)
    # Beyond 32 bits values are cut, as protobuf's own parsers do for int32: five groups matter.
    for group in range(5):
        at = starts + group
        part = (octets[np.minimum(at, ends)] & np.uint8(0x7F)).astype(np.uint32)
        bits |= np.where(at <= ends, part << np.uint32(7 * group), np.uint32(0))
    return bits.view(np.int32)


# ----------------------------------------------------------------------------------- batches


def _frames_like(
    data: bytes, at: int, size: int, features: _Tensor, label: _Tensor | None
) -> npt.NDArray[np.uint8]:
    """The frames from ``at`` on that equal the first but for their numbers, as rows of bytes."""
    whole = (len(data) - at) // size
    frames = np.frombuffer(data, np.uint8, whole * size, at).reshape(whole, size)
    if not features.fixed or (label is not None and not label.fixed):
        return frames[:1]
    tensors = sorted(tensor.pieces[0] for tensor in (features, label) if tensor)
    edges = [0, *(edge - at for tensor in tensors for edge in tensor), size]
    # In windows that double, so that rows of which each differs do not cost the chunk each.
    done, window = 1, 8
    while done < whole:
        block = frames[done : done + window]
        same = np.ones(len(block), dtype=bool)
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            same &= (block[:, start:stop] == frames[0, start:stop]).all(axis=1)
        if not same.all():
            return frames[: done + int(np.argmin(same))]
        done += len(block)
        window *= 2
    return frames


class _Batch:
    """Collects rows into batches of one size.

    Args:
        size: Rows a batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._like: _Tensor | None = None
        self._parts: list[bytes] = []
        self.count = 0

    def expect(self, row: _Tensor) -> None:
        """Hold a row against the first one."""
        like = self._like = self._like or row
        if (row.dtype, row.columns) != (like.dtype, like.columns):
            raise _UnsoundError(
                f"a record of {row.columns} {row.dtype.name} values follows records of "
                f"{like.columns} {like.dtype.name} values"
            )

    def add(self, rows: npt.NDArray[np.uint8]) -> Iterator[Rows]:
        """Take rows of values of fixed width; give the batches that are full now."""
        while len(rows):
            part = rows[: self._size - self.count]
            rows = rows[len(part) :]
            self._parts.append(part.tobytes())
            self.count += len(part)
            if self.count == self._size:
                yield self.take()

    def add_row(self, row: bytes) -> Iterator[Rows]:
        """Take the bytes of one row; give the batch if it is full now."""
        self._parts.append(row)
        self.count += 1
        if self.count == self._size:
            yield self.take()

    def take(self) -> Rows:
        """Give what has been collected."""
        assert self._like is not None  # noqa: S101
        parts, self._parts = self._parts, []
        count, self.count = self.count, 0
        if self._like.dtype.kind == "f":
            return np.frombuffer(bytearray().join(parts), self._like.dtype).reshape(count, -1)
        step = max(1, _PIECE_BYTES // max(map(len, parts)))
        pieces = [_unpack(b"".join(parts[at : at + step])) for at in range(0, count, step)]
        return np.concatenate(pieces).reshape(count, -1)
