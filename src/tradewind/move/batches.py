"""Record batches in a stream that can be ended early."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batches"]


class Batches:
    """A schema, and record batches of it, read once.

    `pyarrow.RecordBatchReader` would do, but its ``close`` does not reach a Python generator that
    feeds it: a cursor would stay open on the other system. This one's does.

    Args:
        schema: What every batch has.
        batches: The batches. A generator is closed by `close`.
        on_close: Ends what was opened before the first batch (cursor, connection): a generator
            that was never begun runs no ``finally``. May be called more than once.
    """

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        *,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.schema = schema
        self._batches = iter(batches)
        self._on_close = on_close

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches

    def close(self) -> None:
        """End the reading on the other system too. May be called again."""
        try:
            if isinstance(self._batches, Generator):
                self._batches.close()
        finally:
            self._on_close()

    def reader(self) -> pa.RecordBatchReader:
        """Give the batches to what takes Arrow's own reader; errors pass through it as they are.

        Returns:
            A reader of the rest of these batches. Closing it closes nothing here.
        """
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
