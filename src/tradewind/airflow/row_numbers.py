"""A first column that numbers the rows, as pandas writes its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RowNumbers"]


class RowNumbers:
    """A transform that numbers rows from 0.

    Args:
        name: Of the column; pandas leaves it empty.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._next = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the batch with the column."""
        import pyarrow as pa

        numbers = pa.array(range(self._next, self._next + batch.num_rows), type=pa.int64())
        self._next += batch.num_rows
        schema = batch.schema.insert(0, pa.field(self._name, pa.int64()))
        return pa.RecordBatch.from_arrays([numbers, *batch.columns], schema=schema)
