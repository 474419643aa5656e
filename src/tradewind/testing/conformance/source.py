"""What every source does, whatever its system."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
import pytest

from tradewind.errors import TradewindError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.testing.memory_store import MemoryStore

__all__ = ["SourceConformance", "rows_of"]


def rows_of(source: Source) -> list[dict[str, Any]]:
    """Read all rows of a source, as dicts of Python's values."""
    with source.batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


class SourceConformance:
    """Tests that pass for every source.

    A subclass gives `source`, whose rows are `expected`, in this order.
    """

    expected: ClassVar[list[dict[str, Any]]]
    """The rows of `source`; at least two, and a NULL somewhere."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """What must not be shown anywhere."""

    def source(self) -> Source:
        """Make the source anew."""
        raise NotImplementedError

    def wrong_source(self) -> Source:
        """Make a source of what is not there: another table, file or path."""
        pytest.skip("this source gives none")

    def test_it_names_itself_in_a_line_without_secrets(self) -> None:
        described = self.source().describe()
        assert described
        assert "\n" not in described
        for secret in self.secrets:
            assert secret not in described
            assert secret not in repr(self.source())

    def test_batches_are_the_rows(self) -> None:
        assert rows_of(self.source()) == self.expected

    def test_every_batch_has_the_schema(self) -> None:
        with self.source().batches() as batches:
            assert batches.schema.names == list(self.expected[0])
            for batch in batches:
                assert batch.schema.equals(batches.schema)

    def test_reading_again_gives_the_same(self) -> None:
        source = self.source()
        assert rows_of(source) == rows_of(source)

    def test_closing_early_ends_the_reading(self) -> None:
        source = self.source()
        batches = source.batches()
        next(iter(batches), None)
        batches.close()
        batches.close()
        assert rows_of(source) == self.expected

    def test_it_is_known_for_the_same(self) -> None:
        first, second = self.source().identity(), self.source().identity()
        assert first == second
        for secret in self.secrets:
            assert secret not in str(first)

    @pytest.mark.parametrize("format", [CsvFormat(), JsonLinesFormat(), ParquetFormat()], ids=repr)
    def test_it_moves_into_every_format(self, format: Any) -> None:
        store = MemoryStore()
        target = ObjectTarget(store, "rows", format=format, compression="none")
        receipt = transfer(self.source(), target, Owner("conformance", "run", "source"))
        assert receipt.rows in (None, len(self.expected))
        read = rows_of(ObjectSource(store, "rows", format=format))
        assert len(read) == len(self.expected)
        if isinstance(format, ParquetFormat):
            assert read == self.expected

    @pytest.mark.parametrize("format", [CsvFormat(), JsonLinesFormat()], ids=repr)
    def test_what_the_system_writes_itself_is_what_batches_are(self, format: Any) -> None:
        encoded = self.source().encoded(format)
        if encoded is None:
            pytest.skip("its system does not write this format")
        native = b"".join(encoded.chunks)
        store = MemoryStore()
        for key, data in (("native", native), ("encoded", self._encoded(format))):
            upload = store.upload(key)
            upload.write(data)
            upload.complete()
        assert rows_of(ObjectSource(store, "native", format=format)) == rows_of(
            ObjectSource(store, "encoded", format=format)
        )
        assert encoded.rows() in (None, len(self.expected))

    def _encoded(self, format: Any) -> bytes:
        with self.source().batches() as batches:
            return b"".join(bytes(chunk) for chunk in format.encode(batches))

    def test_what_is_not_there_is_told_in_our_words(self) -> None:
        wrong = self.wrong_source()
        with pytest.raises(TradewindError) as told:
            rows_of(wrong)
        for secret in self.secrets:
            assert secret not in str(told.value)

    def test_types_are_those_that_all_targets_know(self) -> None:
        with self.source().batches() as batches:
            for field in batches.schema:
                assert not pa.types.is_dictionary(field.type), field
                assert not pa.types.is_null(field.type), field
