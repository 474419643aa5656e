"""Rows that are in memory already, as a source."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tradewind.move.batches import Batches
from tradewind.move.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MemorySource"]


class MemorySource(Source):
    """Rows of an Arrow table.

    Args:
        table: The rows, in types of `tradewind.move.types`.
        batch_rows: The most rows of a batch.
        fail_after: Raises `error` after this many rows; None never does.
        error: What to raise then.
    """

    def __init__(
        self,
        table: pa.Table,
        *,
        batch_rows: int = 1000,
        fail_after: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.table = table
        self.batch_rows = batch_rows
        self.fail_after = fail_after
        self.error = error

    def describe(self) -> str:
        """Name the number of rows."""
        return f"{self.table.num_rows} rows in memory"

    def identity(self) -> Any:
        """Describe the rows by a digest of their content."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as writer:
            writer.write_table(self.table.combine_chunks())
        return ["memory", hashlib.sha256(sink.getvalue()).hexdigest()]

    def batches(self) -> Batches:
        """Read the rows."""

        def read() -> Any:
            count = 0
            for batch in self.table.to_batches(max_chunksize=self.batch_rows):
                if self.fail_after is not None and count + batch.num_rows > self.fail_after:
                    if self.fail_after > count:
                        yield batch.slice(0, self.fail_after - count)
                    raise self.error or RuntimeError("the source was told to fail here")
                count += batch.num_rows
                yield batch

        return Batches(self.table.schema, read())
