"""A source of documents: records whose members may differ, as of MongoDB and of HTTP APIs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

from tradewind.move.document_columns import Values
from tradewind.move.documents import Block, Unknown, typed_batches
from tradewind.move.loose_documents import loose_batches
from tradewind.move.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.batches import Batches
    from tradewind.move.format import Format

__all__ = ["DocumentSource"]


class DocumentSource(Source):
    """Makes batches of documents; what a system adds is how they are read.

    Attributes:
        schema: The columns; None to tell them from the documents.
        sample: How many documents tell them.
        unknown: What becomes of members that they do not show.
    """

    schema: pa.Schema | None
    sample: int
    unknown: Unknown
    _declared: Mapping[str, pa.Field]
    _late: list[str]
    """Members that a reading before has met behind the first ones."""

    @abstractmethod
    def _documents(self) -> tuple[Generator[Block, None, None], Values]:
        """Begin to read.

        Returns:
            Blocks of documents, and what tells their values' types.
        """

    def batches(self) -> Batches:
        """Read typed record batches; see `tradewind.move.documents` for the columns."""
        blocks, values = self._documents()
        try:
            return typed_batches(
                blocks,
                values,
                schema=self.schema,
                declared=self._declared,
                sample=self.sample,
                unknown=self.unknown,
                on_close=blocks.close,
            )
        except BaseException:
            blocks.close()
            raise

    def loose_batches(self, format: Format) -> Batches | None:
        """Read each value by its own type, where no schema is given; see `Source`."""
        if self.schema is not None:
            return None
        blocks, values = self._documents()
        try:
            return loose_batches(
                blocks,
                values,
                format,
                where=self.describe(),
                late=self._late,
                declared=self._declared,
                sample=self.sample,
                unknown=self.unknown,
                on_close=blocks.close,
            )
        except BaseException:
            blocks.close()
            raise
