"""A source whose rows a test made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from tradewind.move.batches import Batches
from tradewind.move.source import Source

__all__ = ["Rows"]


class Rows(Source):
    """Batches that a test made; `before` is called before each but the first."""

    def __init__(self, *tables: pa.Table, before: Callable[[], None] | None = None) -> None:
        self.tables = tables
        self.before = before
        self.asked = False

    def describe(self) -> str:
        return "rows of the test"

    def batches(self) -> Batches:
        self.asked = True

        def generate() -> Iterator[pa.RecordBatch]:
            for number, table in enumerate(self.tables):
                if number and self.before:
                    self.before()
                yield from table.to_batches()

        return Batches(self.tables[0].schema, generate())
