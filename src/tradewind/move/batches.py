"""Record batches in a stream that can be ended early."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CELLS", "Batches", "in_cells", "rows_of"]

CELLS = 2 << 20
"""The most cells of a batch: sparse records have few bytes, and a null in each other column."""


def rows_of(columns: int) -> int:
    """Tell how many rows a batch of so many columns may have."""
    return max(1, CELLS // max(1, columns))


def in_cells(
    records: Sequence[Mapping[str, Any]], known: dict[str, None]
) -> Iterator[tuple[int, int]]:
    """Cut records so that a batch of each part has no more than `CELLS` cells.

    Args:
        records: The records, each with some of the columns.
        known: The columns so far. Those of a part are added before it is given, and none of the
            next one.

    Yields:
        Where a part begins, and where it ends.
    """
    begin = 0
    for at, record in enumerate(records):
        if record.keys() <= known.keys():
            further = {}
        else:
            further = dict.fromkeys(name for name in record if name not in known)
        if at > begin and (at + 1 - begin) * (len(known) + len(further)) > CELLS:
            yield begin, at
            begin = at
        known.update(further)
    if begin < len(records):
        yield begin, len(records)


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
