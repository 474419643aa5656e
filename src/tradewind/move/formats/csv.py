"""CSV (RFC 4180): written as PostgreSQL's ``COPY ... (FORMAT csv)`` writes it, and read exactly.

A null is nothing at all, an empty string is ``""``; a value is quoted where it has to be, only.
Sources: RFC 4180; PostgreSQL's documentation of ``COPY`` and its ``CopyAttributeOutCSV``.

Memory: writing holds one piece of 4 MB and its text; reading a block of 4 MB, its text and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.format import Format
from tradewind.move.formats import text
from tradewind.move.formats.csv_dialect import CsvDialect
from tradewind.move.formats.encodings import as_utf8, written_in
from tradewind.move.formats.json_text import JsonStyle, json_strings

if TYPE_CHECKING:
    from tradewind.move.batches import Batches

__all__ = ["CsvFormat"]

_GATHER = 4 << 20
_UTF8_BOM = b"\xef\xbb\xbf"
#: What numbers, dates and booleans are spelled with.
_SPELLING = frozenset("0123456789+-.:eEafINntyBC ")


@dataclass(frozen=True)
class CsvFormat(CsvDialect, Format):
    r"""CSV in one of its dialects; the default is PostgreSQL's own.

    Args:
        delimiter: Stands between values; one ASCII character.
        quote: Stands around values; one ASCII character. Doubled within them.
        escape: Stands before `quote` and itself within quotes, instead of doubling.
        header: Whether the first line names the columns.
        null: What stands for a null, never quoted; a value that looks the same is quoted.
        line_end: ``\n`` or ``\r\n``.
        quoting: ``minimal``, or ``all`` for all values but nulls.
        names: What becomes of columns that the header names twice or not at all: ``error``, or
            ``number`` calls them ``a_2``, ``column_1``.
        nested: ``json`` to write lists, structs and maps as JSON text, or ``error``.
        max_record_bytes: The longest record that is believed when reading, in bytes: a longer one
            is taken for a quote that is never closed.
        types: Names and types of columns to read as declared; those of others are told from their
            values.
        sample_bytes: How much of the beginning tells types, in bytes.
        encoding: Of the text, like ``cp1252``; UTF-8 when not given, and to read what a mark of
            UTF-16 or UTF-32 at the beginning says.
        floats: What becomes of a number of more digits than a float keeps, in a column that is
            declared as floats: ``exact`` refuses it, ``nearest`` takes the nearest float.

    Raises:
        InputError: Options that contradict each other.
    """

    name: ClassVar[str] = "csv"
    extensions: ClassVar[tuple[str, ...]] = (".csv",)
    content_type: ClassVar[str] = "text/csv"
    loose: ClassVar[bool] = True

    # ---------------------------------------------------------------------------------- write

    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records; see `Format.encode`."""
        return written_in(self.encoding, self._pieces(batches), "CSV")

    def _pieces(self, batches: Batches) -> Iterator[tuple[bytes, pa.RecordBatch | None]]:
        with batches:
            schema = batches.schema
            single = len(schema) == 1
            waiting: list[bytes] = []
            batch = None
            if self.header and schema.names:
                names = pa.array(schema.names, pa.string())
                cells = self._quoted(names, single).to_pylist()
                waiting.append(self._begun((self.delimiter.join(cells) + self.line_end).encode()))
            size, begins = 0, not waiting
            for batch in batches:
                for piece in text.pieces(batch):
                    written = self._rows(piece, single)
                    if begins:
                        written, begins = self._begun(written), not written
                    waiting.append(written)
                    size += len(written)
                    if size >= _GATHER:
                        yield b"".join(waiting), batch
                        waiting, size = [], 0
            if waiting:
                yield b"".join(waiting), batch

    def _begun(self, text: bytes) -> bytes:
        """Quote a file's first value where it begins like a file with a byte order mark."""
        if not text.startswith(_UTF8_BOM):
            return text
        ends = [text.find(mark.encode()) for mark in (self.delimiter, self.line_end)]
        end = min(at for at in ends if at >= 0)
        quote = self.quote.encode()
        return quote + text[:end] + quote + text[end:]

    def _rows(self, batch: pa.RecordBatch, single: bool) -> bytes:
        if not batch.num_rows:
            return b""
        if not batch.num_columns:
            return self.line_end.encode() * int(batch.num_rows)
        columns = [
            self._cells(batch.column(index), field, single)
            for index, field in enumerate(batch.schema)
        ]
        # The line end goes to the shortest place: into the last column, before all are joined.
        last = text.joined(columns[-1], self.line_end, null=self.null)
        rows = last
        if len(columns) > 1:
            rows = pc.binary_join_element_wise(
                *columns[:-1],
                last,
                pa.scalar(self.delimiter),
                null_handling="replace",
                null_replacement=self.null,
            )
        return bytes(text.data_of(rows)[1])

    def _cells(self, array: pa.Array, field: pa.Field, single: bool) -> pa.Array:
        """Spell a column, quoted where it has to be."""
        array = text.plain(array)
        strings, spelled = self._strings(array, field)
        if spelled and self.quoting == "minimal" and not self._meets_spelling():
            return strings
        return self._quoted(strings, single)

    def _meets_spelling(self) -> bool:
        marks = {self.delimiter, self.quote, self.escape or self.quote}
        return bool(marks & _SPELLING) or bool(self.null and set(self.null) <= _SPELLING)

    def spelled(self, array: pa.Array, field: pa.Field) -> pa.Array:
        """Write values as text, not yet quoted; see `Format.spelled`."""
        return self._strings(text.plain(array), field)[0]

    def _strings(self, array: pa.Array, field: pa.Field) -> tuple[pa.Array, bool]:
        """Spell a column; the flag says that only characters of `_SPELLING` are in it."""
        kind = array.type
        kinds = pa.types
        if kinds.is_string(kind):
            return array, False
        if kinds.is_integer(kind):
            return array.cast(pa.string()), True
        if kinds.is_floating(kind):
            return text.floats(array)[0], True
        if kinds.is_decimal(kind):
            return text.decimals(array), True
        if kinds.is_boolean(kind):
            return text.bools(array, "t", "f"), True
        if kinds.is_timestamp(kind):
            return text.timestamps(array, _before_christ, "+00" if kind.tz else ""), True
        if kinds.is_date(kind):
            return text.date_strings(array, _before_christ), True
        if kinds.is_time(kind):
            return text.times(array), True
        if kinds.is_binary(kind):
            return text.hexadecimal(array), False
        if kinds.is_null(kind):
            return pa.nulls(len(array), pa.string()), True
        if kinds.is_nested(kind) and self.nested == "json":
            return json_strings(array, field, JsonStyle("JSON in CSV"), field.name), False
        raise text.unfit_type(field.name, kind, "CSV")

    def _quoted(self, strings: pa.Array, single: bool) -> pa.Array:
        """Put quotes around the values that need them, by PostgreSQL's rule."""
        if self.quoting == "all":
            return self._enclosed(strings)
        marks = [ord(self.delimiter), ord(self.quote), 0x0A, 0x0D]
        if self.escape is not None:
            marks.append(ord(self.escape))

        def look(data: Any) -> Any:
            found = data == marks[0]
            for mark in marks[1:]:
                found |= data == mark
            return found

        flags = text.flagged(strings, look)
        looks_null = self._looks_null(strings, single)
        if looks_null is not None:
            flags = looks_null if flags is None else flags | looks_null
        return text.replaced(strings, flags, self._enclosed)

    def _looks_null(self, strings: pa.Array, single: bool) -> Any:
        """Find values that are spelled as null is, or that alone on a line end COPY's data."""
        flags = None
        if self.null:
            flags = pc.equal(strings, self.null)
        else:
            lengths = np.diff(text.data_of(strings)[0])
            if not lengths.all():
                flags = pa.array(lengths == 0)
                if strings.null_count:
                    flags = pc.and_(flags, strings.is_valid())
        if single:
            ends = pc.equal(strings, "\\.")
            flags = ends if flags is None else pc.or_(flags, ends)
        if flags is None:
            return None
        return pc.fill_null(flags, False).to_numpy(zero_copy_only=False)

    def _enclosed(self, strings: pa.Array) -> pa.Array:
        if self.escape is None:
            strings = pc.replace_substring(strings, self.quote, self.quote * 2)
        else:
            strings = pc.replace_substring(strings, self.escape, self.escape * 2)
            strings = pc.replace_substring(strings, self.quote, self.escape + self.quote)
        return text.joined(self.quote, strings, self.quote)

    # ----------------------------------------------------------------------------------- read

    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Read records; see `Format.decode`.

        Columns are found by their names in the header, or by their order where there is none. A
        column of the file that `schema` does not name is left out.

        Without a schema types are told from the first `sample_bytes`: integers, floats that lose
        nothing, booleans, dates, timestamps, or else text. A later value that is of another type
        is an error that says so, as is one that is spelled in another way: a number with leading
        zeros is a code. Declare the column's type then.
        """
        from tradewind.move.formats.csv_read import read

        return read(self, as_utf8(chunks, self.encoding, "CSV"), schema)

    def decode_loose(
        self,
        chunks: Iterable[bytes],
        into: Format,
        *,
        schema: pa.Schema | None = None,
        late: Sequence[str] = (),
    ) -> Batches:
        """Read records for a loose format; see `Format.decode_loose`.

        Text stays as it is written. For JSON lines numbers and booleans are told from the first
        `sample_bytes`; a later value that is none is a string.
        """
        from tradewind.move.formats.csv_read import read

        return read(self, as_utf8(chunks, self.encoding, "CSV"), schema, into=into)


def _before_christ(year: int, rest: str) -> str:
    """PostgreSQL's way: four digits or more, and no year 0."""
    return f"{year:04d}{rest}" if year > 0 else f"{1 - year:04d}{rest} BC"
