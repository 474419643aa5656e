"""RecordIO-protobuf, the format SageMaker's built-in algorithms read: dense batches in a stream.

A stream is a sequence of frames, each ``<u32 magic 0xCED7230A><u32 length><payload><zeros to a
multiple of 4>``, little-endian; the payload is one protobuf ``Record`` (one row)::

    message Float32Tensor { repeated float  values = 1 [packed]; repeated uint64 keys = 2 [packed]; repeated uint64 shape = 3 [packed]; }
    message Float64Tensor { repeated double values = 1 [packed]; ... }
    message Int32Tensor   { repeated int32  values = 1 [packed]; ... }
    message Value  { oneof value { Float32Tensor float32_tensor = 2; Float64Tensor float64_tensor = 3; Int32Tensor int32_tensor = 7; Bytes bytes = 9; } }
    message Record { map<string, Value> features = 1; map<string, Value> label = 2; optional string uid = 3; optional string metadata = 4; optional string configuration = 5; }

Sources: "Common data formats for training" in Amazon SageMaker's developer guide; what the
SageMaker Python SDK 2.x writes, byte for byte; MXNet's recordio for the frame (the top three bits
of its length are a continuation flag, which SageMaker never sets).

Why it is fast: in a batch of rows of one shape every byte but the values is the same for all rows,
so a whole batch is one numpy byte matrix. Only integers, which protobuf writes in variable length,
take a slower way.

Memory: encoding holds one batch and twice ``CHUNK_BYTES`` of output (or one row's, if larger);
decoding one batch twice while it is put together, and one chunk of input (or one record's).
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import CorruptDataError, InputError
from tradewind.systems.sagemaker import protobuf as pb
from tradewind.systems.sagemaker import recordio_rows as records

__all__ = [
    "CHUNK_BYTES",
    "CONTENT_TYPE",
    "MAX_RECORD_BYTES",
    "Batch",
    "decode",
    "encode",
    "encode_batch",
    "frame",
    "read",
]

CONTENT_TYPE = "application/x-recordio-protobuf"
CHUNK_BYTES = 8 << 20
MAX_RECORD_BYTES = 64 << 20

_MAGIC = 0xCED7230A
_LENGTH_BITS = (1 << 29) - 1

Array: TypeAlias = NDArray[Any]
Bytes: TypeAlias = bytes | bytearray | memoryview


class Batch(NamedTuple):
    """Rows that were decoded together.

    Attributes:
        features: Shape (n, d), float32, float64 or int32.
        labels: Shape (n,), float32, float64 or int32; None where the rows carry none.
    """

    features: Array
    labels: Array | None


# ------------------------------------------------------------------------------------- encode


def encode(batches: Iterable[Array | tuple[Array, Array | None]]) -> Iterator[Bytes]:
    """Encode batches as a stream of RecordIO-protobuf.

    Args:
        batches: Feature arrays of shape (n, d), or pairs of features and labels of shape (n,).
            float32, float64, and integers (int32 or int64, as the SDK takes them) whose values
            fit 32 bits. Rows of all batches are expected to have one shape.

    Yields:
        Chunks of whole frames, of at most ``CHUNK_BYTES`` unless a single row is larger.

    Raises:
        InputError: An array has a shape or type that the format cannot hold.
    """
    for batch in batches:
        features, labels = batch if isinstance(batch, tuple) else (batch, None)
        _check(features, labels)
        # The largest a row can get: 10 bytes for a negative integer, some 80 for the rest. Integers
        # go in smaller chunks, since packing them takes several times their memory.
        widest, most = features.dtype.itemsize, CHUNK_BYTES
        if features.dtype.kind == "i":
            widest, most = 10, CHUNK_BYTES // 8
        rows = max(1, most // (features.shape[1] * widest + 80))
        for start in range(0, len(features), rows):
            stop = start + rows
            yield _encode(features[start:stop], None if labels is None else labels[start:stop])


def encode_batch(features: Array, labels: Array | None = None) -> Bytes:
    """Encode one batch whole.

    Args:
        features: Shape (n, d); float32, float64, int32 or int64 with values of 32 bits.
        labels: Shape (n,), of the same choice of types, or None.

    Returns:
        The frames of all n rows.

    Raises:
        InputError: An array has a shape or type that the format cannot hold.
    """
    _check(features, labels)
    return _encode(features, labels)


def frame(payload: bytes) -> bytes:
    """Put one serialized record into a frame.

    Args:
        payload: The serialized protobuf message, under 512 MiB.

    Returns:
        Header, payload and padding.

    Raises:
        InputError: The payload is longer than the frame's 29-bit length can say.
    """
    if len(payload) > _LENGTH_BITS:
        raise InputError(f"RecordIO: a record of {len(payload)} bytes is over 512 MiB; split it")
    return b"".join((_frame_header(len(payload)), payload, bytes(-len(payload) % 4)))


def _frame_header(length: int) -> bytes:
    return _MAGIC.to_bytes(4, "little") + length.to_bytes(4, "little")


def _check(features: Array, labels: Array | None) -> None:
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError(
            f"RecordIO: features have shape {features.shape}; give rows of at least one column"
        )
    if labels is not None and labels.shape != (len(features),):
        raise InputError(
            f"RecordIO: labels have shape {labels.shape}, expected ({len(features)},): one a row"
        )
    for what, array in (("features", features), ("labels", labels)):
        if array is None:
            continue
        if array.dtype not in pb.ENCODABLE:
            raise InputError(
                f"RecordIO: {what} are of type {array.dtype}; convert them to float32, float64 "
                "or int32 first"
            )
        if array.dtype.itemsize == 8 and array.dtype.kind == "i" and array.size:
            low, high = int(array.min()), int(array.max())
            if low < -(1 << 31) or high >= 1 << 31:
                raise InputError(
                    f"RecordIO: {what} hold {low if low < -(1 << 31) else high}, which does not "
                    "fit 32 bits; convert them to float64"
                )
    # A packed tensor's size, and so the record's, must fit the frame's length.
    widest = 10 if features.dtype.kind == "i" else features.dtype.itemsize
    if features.shape[1] * widest + 80 > _LENGTH_BITS:
        raise InputError(f"RecordIO: rows of {features.shape[1]} columns are over 512 MiB each")


def _encode(features: Array, labels: Array | None) -> Bytes:
    if not len(features):
        return b""
    values = pb.pack(features)
    label = None if labels is None else pb.pack(labels.reshape(-1, 1))
    if values.width is None or (label is not None and label.width is None):
        return _encode_ragged(values, label)
    before, after = _surroundings(values, values.width, label, label.width if label else None)
    parts: list[bytes | Array] = [before, values.matrix()]
    length = len(before) + values.width + sum(map(len, after))
    if label is not None and label.width is not None:
        parts += [after[0], label.matrix()]
        length += label.width
    parts.insert(0, _frame_header(length))
    parts.append(bytes(-length % 4))
    out = np.empty((len(features), records.HEADER + length + -length % 4), dtype=np.uint8)
    column = 0
    for part in parts:
        block = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
        width = block.shape[-1]
        out[:, column : column + width] = block
        column += width
    return out.reshape(-1).data


def _encode_ragged(values: pb.Packed, label: pb.Packed | None) -> bytes:
    parts: list[bytes] = []
    for row in range(len(values)):
        value = values.row(row)
        mark = None if label is None else label.row(row)
        before, after = _surroundings(values, len(value), label, len(mark) if mark else None)
        payload = b"".join((before, value, *after, mark or b""))
        parts.append(frame(payload))
    return b"".join(parts)


def _surroundings(
    values: pb.Packed, width: int, label: pb.Packed | None, label_width: int | None
) -> tuple[bytes, tuple[bytes, ...]]:
    """What stands before a row's values, and between them and the label."""
    before = pb.entry(pb.FEATURES, values.tag, width)
    if label is None or label_width is None:
        return before, ()
    return before, (pb.entry(pb.LABEL, label.tag, label_width),)


# ------------------------------------------------------------------------------------- decode


def read(
    stream: BinaryIO, *, batch_size: int = 4096, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Batch]:
    """Decode a binary stream; see :func:`decode`.

    Args:
        stream: Anything with ``read(n)`` that returns bytes, empty at the end.
        batch_size: Rows a batch; the last batch has fewer.
        max_record_bytes: Longest record believed, in bytes.

    Yields:
        Batches.

    Raises:
        CorruptDataError: As :func:`decode`.
        InputError: As :func:`decode`.
    """
    chunks = iter(lambda: stream.read(1 << 20), b"")
    return decode(chunks, batch_size=batch_size, max_record_bytes=max_record_bytes)


def decode(
    chunks: Iterable[Bytes], *, batch_size: int = 4096, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Batch]:
    """Decode a stream of RecordIO-protobuf into batches.

    Args:
        chunks: The stream in pieces, cut anywhere.
        batch_size: Rows a batch; the last batch has fewer.
        max_record_bytes: Longest record believed, in bytes; a longer one is taken for damage.

    Yields:
        Batches; all of a stream have one shape and one type.

    Raises:
        CorruptDataError: A frame is truncated or damaged; carries the frame's byte offset.
        InputError: A record is sound but holds what this codec does not read (sparse tensors,
            bytes, features under other keys), or ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise InputError(f"RecordIO: batch_size is {batch_size}; it must be at least 1")
    return _decode(chunks, batch_size, max_record_bytes)


def _decode(chunks: Iterable[Bytes], batch_size: int, max_record_bytes: int) -> Iterator[Batch]:
    gather = records.Gather(batch_size)
    rest = b""
    base = 0  # the stream's offset of the first byte of `data`
    for chunk in chunks:
        data = b"".join((rest, chunk)) if rest else bytes(chunk)
        at = 0
        while (size := _frame_size(data, at, base, max_record_bytes)) is not None:
            row = records.parse(data, at, base)
            frames = records.frames_like(data, at, size, row)
            for rows in gather.add(row, frames, base + at):
                yield Batch(*rows)
            at += size * len(frames)
        rest = data[at:]
        base += at
    if rest:
        raise CorruptDataError(
            f"RecordIO: the stream ends within a record ({len(rest)} bytes of it are there); "
            "it was cut off, fetch it again",
            offset=base,
        )
    for rows in gather.rest():
        yield Batch(*rows)


def _frame_size(data: bytes, at: int, base: int, most: int) -> int | None:
    """Size of the frame at ``at`` with its padding, or None while it is not there whole."""
    left = len(data) - at
    if left >= 4 and int.from_bytes(data[at : at + 4], "little") != _MAGIC:
        raise CorruptDataError(
            f"RecordIO: no record begins here: found {data[at : at + 4].hex()}, expected "
            f"{_MAGIC.to_bytes(4, 'little').hex()}",
            offset=base + at,
        )
    if left < records.HEADER:
        return None
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    if length > _LENGTH_BITS:
        raise CorruptDataError(
            "RecordIO: a record in several parts (continuation flag set); SageMaker knows "
            "only whole ones",
            offset=base + at,
        )
    if length > most:
        raise CorruptDataError(
            f"RecordIO: a record says it is {length} bytes long, over the limit of {most}",
            offset=base + at,
        )
    size = records.HEADER + length + -length % 4
    if left < size:
        return None
    if any(data[at + records.HEADER + length : at + size]):
        raise CorruptDataError("RecordIO: a record's padding is not zero", offset=base + at)
    return size
