"""The rows of a RecordIO stream: found in its frames, and gathered into batches.

The frames themselves, and what this is for, are in :mod:`tradewind.systems.sagemaker.recordio`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import CorruptDataError, InputError
from tradewind.systems.sagemaker import protobuf as pb

__all__ = ["HEADER", "Gather", "Row", "frames_like", "parse"]

#: Bytes of a frame before its payload: magic and length.
HEADER = 8

# Unpacking integers takes some twenty times the memory of what is unpacked: so many at once.
_PIECE_VALUES = 1 << 16

Array: TypeAlias = NDArray[Any]
Rows: TypeAlias = tuple[Array, Array | None]


class Row(NamedTuple):
    """Where one record's values lie, relative to its frame."""

    dtype: np.dtype[Any]
    columns: int
    values: slice | None  # None: not in one piece of fixed width
    raw: bytes  # the packed values
    label_dtype: np.dtype[Any] | None
    label: slice | None
    label_raw: bytes


def parse(data: bytes, at: int, base: int) -> Row:
    """Look where the values of one record lie.

    Args:
        data: A piece of the stream.
        at: Where a whole frame begins in it.
        base: The stream's offset of the piece's first byte, for messages.

    Raises:
        CorruptDataError: The record is damaged.
        InputError: The record is sound but not a dense row with at most one label.
    """
    offset = base + at
    length = int.from_bytes(data[at + 4 : at + 8], "little")
    begin = at + HEADER
    try:
        record = pb.parse_record(data, begin, begin + length)
    except pb.MalformedError as error:
        raise CorruptDataError(f"RecordIO: a record is not sound: {error}", offset=offset) from None
    except pb.UnsupportedError as error:
        raise InputError(f"RecordIO: {error} (at byte offset {offset})") from None
    values, label = record.values, record.label
    if label is not None and label.count != 1:
        raise InputError(
            f"RecordIO: a label of {label.count} values, expected one (at byte offset {offset})"
        )
    return Row(
        dtype=values.dtype,
        columns=values.count,
        values=_within(values, at),
        raw=values.raw(data),
        label_dtype=None if label is None else label.dtype,
        label=None if label is None else _within(label, at),
        label_raw=b"" if label is None else label.raw(data),
    )


def _within(tensor: pb.Tensor, at: int) -> slice | None:
    """The tensor's bytes relative to the frame, where they lie in one piece of fixed width."""
    if tensor.dtype.kind == "i" or len(tensor.pieces) != 1:
        return None
    start, stop = tensor.pieces[0]
    return slice(start - at, stop - at)


def frames_like(data: bytes, at: int, size: int, row: Row) -> Array:
    """The frames from ``at`` on that equal the first but for the values, as rows of bytes."""
    whole = (len(data) - at) // size
    frames = np.frombuffer(data, np.uint8, whole * size, at).reshape(whole, size)
    if row.values is None or (row.label_dtype is not None and row.label is None):
        return frames[:1]
    edges = [0, row.values.start, row.values.stop]
    if row.label is not None:
        edges += [row.label.start, row.label.stop]
    edges = [*sorted(edges), size]
    fixed = list(zip(edges[::2], edges[1::2], strict=True))
    # In windows that double, so that rows of which each differs do not cost the chunk each.
    done, window = 1, 8
    while done < whole:
        block = frames[done : done + window]
        same = np.ones(len(block), dtype=bool)
        for start, stop in fixed:
            same &= (block[:, start:stop] == frames[0, start:stop]).all(axis=1)
        if not same.all():
            done += int(np.argmin(same))
            break
        done += len(block)
        window *= 2
    return frames[:done]


class Gather:
    """Collects rows into batches of one size."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.first: Row | None = None
        self.features: list[Array] = []
        self.labels: list[Array] = []
        self.count = 0
        self.raw: list[tuple[bytes, bytes]] = []

    def add(self, row: Row, run: Array, offset: int) -> Iterator[Rows]:
        """Take one record in, and yield the rows that are complete."""
        first = self.first or row
        self.first = first
        if (row.dtype, row.columns, row.label_dtype) != (
            first.dtype,
            first.columns,
            first.label_dtype,
        ):
            raise CorruptDataError(
                f"RecordIO: a record of {_say(row)} follows records of {_say(first)}",
                offset=offset,
            )
        if row.values is None or (row.label_dtype is not None and row.label is None):
            self.raw.append((row.raw, row.label_raw))
            self.count += 1
            if self.count == self.batch_size:
                yield self._emit()
            return
        while len(run):
            take = run[: self.batch_size - self.count]
            run = run[len(take) :]
            self._flush()
            self.features.append(_column(take, row.values, row.dtype))
            if row.label is not None and row.label_dtype is not None:
                self.labels.append(_column(take, row.label, row.label_dtype).reshape(-1))
            self.count += len(take)
            if self.count == self.batch_size:
                yield self._emit()

    def rest(self) -> Iterator[Rows]:
        """Yield the rows that are left at the end."""
        if self.count:
            yield self._emit()

    def _flush(self) -> None:
        """Turn the rows gathered one by one into arrays."""
        if not self.raw or self.first is None:
            return
        step = max(1, _PIECE_VALUES // self.first.columns)
        for at in range(0, len(self.raw), step):
            piece = self.raw[at : at + step]
            values = b"".join(value for value, _ in piece)
            self.features.append(pb.unpack(values, self.first.dtype).reshape(len(piece), -1))
        if self.first.label_dtype is not None:
            labels = b"".join(label for _, label in self.raw)
            self.labels.append(pb.unpack(labels, self.first.label_dtype))
        self.raw.clear()

    def _emit(self) -> Rows:
        self._flush()
        features = self.features[0] if len(self.features) == 1 else np.concatenate(self.features)
        labels: Array | None = None
        if self.labels:
            labels = self.labels[0] if len(self.labels) == 1 else np.concatenate(self.labels)
        self.features, self.labels, self.count = [], [], 0
        return features, labels


def _column(frames: Array, where: slice, dtype: np.dtype[Any]) -> Array:
    return (
        np.ascontiguousarray(frames[:, where])
        .view(dtype.newbyteorder("<"))
        .astype(dtype, copy=False)
    )


def _say(row: Row) -> str:
    label = "no label" if row.label_dtype is None else f"a {row.label_dtype} label"
    return f"{row.columns} {row.dtype} values and {label}"
