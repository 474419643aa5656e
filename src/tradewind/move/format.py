"""What a format is: how records are written as bytes. One file a format in ``formats/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.batches import Batches

__all__ = ["Format"]


class Format(ABC):
    """How records are written as bytes and read again. An instance holds the options.

    Subclasses are frozen dataclasses, so that two formats are equal when they write the same.
    """

    name: ClassVar[str]
    """What it is called in parameters: ``csv``, ``jsonl``, ``parquet``, ``recordio``."""
    extensions: ClassVar[tuple[str, ...]]
    """How names of its files end, the usual one first: ``.csv``."""
    content_type: ClassVar[str]
    """Its media type."""

    @abstractmethod
    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records.

        Args:
            batches: The records. They are closed when the iterator ends or is closed.

        Yields:
            Bytes in pieces of some megabytes. They depend on schema and rows alone, never on time
            or chance; an empty input still gives a header, schema or empty file.

        Raises:
            UnfitValueError: The format cannot hold a column or value.
        """

    @abstractmethod
    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Read records.

        Args:
            chunks: The bytes, in pieces of any length.
            schema: Columns and types to read; what the format holds, or else what the first rows
                look like, when not given.

        Returns:
            Batches of some megabytes, a few in memory at a time.

        Raises:
            CorruptDataError: The bytes are truncated or not of this format.
            UnfitValueError: A value does not fit the schema.
        """
