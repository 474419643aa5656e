"""Data on their way from a source to a target: counted, and stopped when asked."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradewind.errors import CancelledError, InputError
from tradewind.move.batches import Batches
from tradewind.move.source import Encoded, Source

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.format import Format

__all__ = ["CancelledError", "Flow", "Progress", "Transform"]

Transform = Callable[["pa.RecordBatch"], "pa.RecordBatch"]


@dataclass(frozen=True)
class Progress:
    """How far a move has come.

    Args:
        rows: Rows handed on so far; None where the bytes pass through uncounted.
        bytes: Bytes read so far: encoded ones, or those of Arrow batches where the target takes
            batches.
        seconds: Since the move began.
    """

    rows: int | None
    bytes: int
    seconds: float


class Flow:
    """What a target reads: the source's data by the shortest way, each piece counted.

    Args:
        source: Where from.
        progress: Is told about once a second how far it is.
        stop: Once set, the next piece raises `CancelledError`.
        transform: Changes each batch, and may change its schema in the same way for all.
        interval: Seconds between two calls of `progress`.
    """

    def __init__(
        self,
        source: Source,
        *,
        progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
        transform: Transform | None = None,
        interval: float = 1.0,
    ) -> None:
        self._source = source
        self._progress = progress
        self.stop = source.stop = stop or threading.Event()
        """Once set, the move is to end; a target that waits for its system looks at it too."""
        self._transform = transform
        self._interval = interval
        self._began = self._told = time.monotonic()
        self._rows = 0
        self._read = False
        self._bytes = 0
        self._encoded: Encoded | None = None

    @property
    def rows(self) -> int | None:
        """Rows handed on so far; for bytes passed through what their source says at the end.

        None before anything was asked for: a target that finds its owner's work done reads nothing.
        """
        if self._encoded is not None:
            return self._encoded.rows()
        return self._rows if self._read else None

    @property
    def touched(self) -> bool:
        """Whether anything was asked for."""
        return self._read or self._encoded is not None

    @property
    def size(self) -> int:
        """Bytes read so far."""
        return self._bytes

    def batches(self) -> Batches:
        """Read typed batches; see `Source.batches`."""
        self._read = True
        return self._batches(self._source.batches())

    def loose_batches(self, format: Format) -> Batches | None:
        """Read from the beginning again, each value by its own type; see `Source.loose_batches`.

        Args:
            format: The format that is written.

        Returns:
            The batches, counted anew. None where types are certain, or the format has them.
        """
        if not format.loose or self._transform is not None:
            return None
        loose = self._source.loose_batches(format)
        if loose is None:
            return None
        self._rows = self._bytes = 0
        return self._batches(loose)

    def _batches(self, source: Batches) -> Batches:
        self._read = True
        schema = source.schema
        if self._transform is not None:
            try:
                # A transform tells its schema by what it makes of a batch, here of an empty one.
                schema = self._transform(_empty(schema)).schema
            except BaseException:
                source.close()
                raise

        def generate() -> Iterator[pa.RecordBatch]:
            for batch in source:
                changed = batch
                if self._transform is not None:
                    changed = self._transform(batch)
                    _check_transformed(changed, schema)
                self._count(changed.num_rows, batch.nbytes)
                yield changed
            self._tell()

        return Batches(schema, generate(), on_close=source.close)

    def encoded(self, format: Format) -> Encoded:
        """Read bytes in a format, written by the source's own system where it can.

        Args:
            format: The format asked for.

        Returns:
            The bytes, counted as they pass.
        """
        shortest = self.passed_through(format)
        if shortest is not None:
            return shortest
        loose = None
        if format.loose and self._transform is None:
            loose = self._source.loose_batches(format)
        batches = self.batches() if loose is None else self._batches(loose)
        return Encoded(
            format.encode(batches),
            columns=tuple(batches.schema.names),
            rows=lambda: self._rows,
        )

    @property
    def own_format(self) -> Format | None:
        """The format that the data are in already; see `Source.own_format`."""
        return self._source.own_format

    def passed_through(self, format: Format) -> Encoded | None:
        """Read bytes that the source's own system writes; None where it cannot.

        Args:
            format: The format asked for.
        """
        if self._transform is not None:
            return None
        encoded = self._source.encoded(format)
        if encoded is None:
            return None
        self._encoded = encoded
        return Encoded(self._counted(encoded.chunks), encoded.columns, encoded.rows)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for chunk in chunks:
                self._count(0, len(chunk))
                yield chunk
            self._tell()
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    def _count(self, rows: int, size: int) -> None:
        self._rows += rows
        self._bytes += size
        if self.stop.is_set():
            raise CancelledError(f"The move from {self._source.describe()} was asked to stop.")
        if time.monotonic() - self._told >= self._interval:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self._progress is not None:
            rows = None if self._encoded is not None else self._rows
            self._progress(Progress(rows, self._bytes, self._told - self._began))


def _check_transformed(batch: pa.RecordBatch, schema: pa.Schema) -> None:
    if batch.schema.equals(schema):
        return
    for found, expected in itertools.zip_longest(batch.schema, schema):
        if found != expected:
            raise InputError(
                f"The transform made of an empty batch {_words(expected)} where it makes "
                f"{_words(found)} of another one. Have it give the same columns for every batch."
            )


def _words(field: pa.Field | None) -> str:
    return "no column" if field is None else f"the column {field.name!r} of type {field.type}"


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(
        [pa.array([], type=field.type) for field in schema], schema=schema
    )
