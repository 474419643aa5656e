"""JSON lines: one JSON object a line, every number to its last digit.

Numbers are numbers, decimals too; bytes are base64; points in time are ISO 8601, with ``Z`` where
they have a zone; JSON columns stand as JSON, lists, structs and maps as arrays and objects.
Sources: RFC 8259 (JSON), RFC 4648 (base64), ISO 8601, https://jsonlines.org.

Memory: writing holds one piece of 4 MB and its text; reading a block of 4 MB, its text and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.format import Format
from tradewind.move.formats import text
from tradewind.move.formats.encodings import as_utf8, written_in
from tradewind.move.formats.json_text import SPELLED, json_strings, row_strings
from tradewind.move.formats.jsonl_dialect import JsonLinesDialect

if TYPE_CHECKING:
    from tradewind.move.batches import Batches

__all__ = ["JsonLinesFormat"]

_GATHER = 4 << 20


@dataclass(frozen=True)
class JsonLinesFormat(JsonLinesDialect, Format):
    """JSON lines.

    Args:
        decimals: ``number``, to the last digit, or ``string``, for readers whose numbers are
            floats only.
        nan: ``error``, or ``null`` to write NaN and the infinities as null: JSON has no such words.
        omit_null: Whether to leave out members that are null.
        max_record_bytes: The longest line that is believed when reading, in bytes.
        types: Members to read as declared; the types of others are told from their values.
        encoding: Of the text, like ``utf-16``; UTF-8 when not given, and to read what a mark of
            UTF-16 or UTF-32 at the beginning says.
        floats: What becomes of a number of more digits than a float keeps, in a column that is
            declared as floats: ``exact`` refuses it, ``nearest`` takes the nearest float.

    Raises:
        InputError: An option has a value that it cannot have.
    """

    name: ClassVar[str] = "jsonl"
    extensions: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")
    content_type: ClassVar[str] = "application/x-ndjson"
    loose: ClassVar[bool] = True
    spelling: ClassVar[str | None] = SPELLED

    def spelled(self, array: pa.Array, field: pa.Field) -> pa.Array:
        """Write values as JSON; see `Format.spelled`."""
        return json_strings(array, field, self.style, field.name)

    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records; see `Format.encode`."""
        return written_in(self.encoding, self._pieces(batches), "JSON lines")

    def _pieces(self, batches: Batches) -> Iterator[tuple[bytes, pa.RecordBatch | None]]:
        with batches:
            names = batches.schema.names
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InputError(
                    f"Column {twice[0]!r}: JSON cannot hold two columns of one name. Rename one."
                )
            style = self.style
            waiting: list[bytes] = []
            batch = None
            size = 0
            for batch in batches:
                names = batch.schema.names  # a loose source's grow
                named = sum(len(name) for name in names) + len(names)
                for piece in text.pieces(batch, named=named):
                    written = text.data_of(row_strings(piece, style))[1].tobytes()
                    waiting.append(written)
                    size += len(written)
                    if size >= _GATHER:
                        yield b"".join(waiting), batch
                        waiting, size = [], 0
            if waiting:
                yield b"".join(waiting), batch

    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Read records; see `Format.decode`.

        A member that `schema` does not name is left out, one that a line does not have is null.

        Without a schema types are told from the first 4 MB: booleans, integers, floats that lose
        nothing, text, lists of those, or else JSON. A later line that has another member, or a
        value of another type, is an error that says so: give a schema then.
        """
        from tradewind.move.formats.json_read import read

        return read(self, as_utf8(chunks, self.encoding, "JSON lines"), schema)

    def decode_loose(
        self,
        chunks: Iterable[bytes],
        into: Format,
        *,
        schema: pa.Schema | None = None,
        late: Sequence[str] = (),
    ) -> Batches:
        """Read records for a loose format; see `Format.decode_loose`."""
        from tradewind.move.formats.json_loose import read_loose

        return read_loose(self, as_utf8(chunks, self.encoding, "JSON lines"), into, schema, late)
