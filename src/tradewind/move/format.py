"""What a format is: how records are written as bytes. One file a format in ``formats/``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
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
    loose: ClassVar[bool] = False
    """Whether any record may hold any value, whatever others have in the same column."""
    spelling: ClassVar[str | None] = None
    """What a column of text that `spelled` has written is noted as, in a loose format."""

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

    def spelled(self, array: pa.Array, field: pa.Field) -> pa.Array:
        """Write values as text, as they stand in a record; of loose formats only.

        Args:
            array: The values.
            field: Name and type of their column.

        Returns:
            Strings; null where the value is null. In a column noted as `spelling`, `encode` writes
            them as it would have written the values.

        Raises:
            UnfitValueError: The format cannot hold a value.
        """
        raise NotImplementedError(f"{self.name} has one type a column")

    def decode_loose(
        self,
        chunks: Iterable[bytes],
        into: Format,
        *,
        schema: pa.Schema | None = None,
        late: Sequence[str] = (),
    ) -> Batches:
        """Read records for a loose format: each value as it is written; of loose formats only.

        Args:
            chunks: The bytes, in pieces of any length.
            into: The format that is written.
            schema: Columns that came before, in other objects.
            late: Columns that another reading has met behind the first records.

        Returns:
            Batches that may differ in types and, behind the first columns, in further ones.

        Raises:
            CorruptDataError: The bytes are truncated or not of this format.
            UnfitValueError: A value does not fit its declared type.
        """
        raise NotImplementedError(f"{self.name} has one type a column")

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
