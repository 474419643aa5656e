"""CSV read back: cut into blocks of whole records, parsed by Arrow, each value told exactly.

Over 400 lines: one reader, whose steps share where in the file they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.batches import Batches
from tradewind.move.formats import json_values
from tradewind.move.formats.csv_checks import (
    ROWLESS,
    EmptyFileError,
    QuoteCheck,
    check_delimiter,
    check_names,
    counted,
    has_lone_returns,
    is_plainly_quoted,
    numbered,
)
from tradewind.move.formats.encodings import not_utf8
from tradewind.move.formats.infer import GUESSED, infer, parse_told
from tradewind.move.formats.jsonl_dialect import JsonLinesDialect
from tradewind.move.formats.loose_text import as_json, becomes_json
from tradewind.move.formats.parse import keep_floats, parse
from tradewind.move.interface import format_option
from tradewind.move.types import LOGICAL_TYPE

if TYPE_CHECKING:
    from tradewind.move.format import Format
    from tradewind.move.formats.csv_dialect import CsvDialect

__all__ = ["read"]

_BLOCK = 4 << 20
_UTF8_BOM = b"\xef\xbb\xbf"
_TOLD = b"tradewind.told"
"""Key in a field's metadata: the type that the first values have, where all are kept as text."""


def read(
    format: CsvDialect,
    chunks: Iterable[bytes],
    schema: pa.Schema | None,
    *,
    places: Sequence[int] | None = None,
    width: int | None = None,
    into: Format | None = None,
    looked_at: bool = False,
) -> Batches:
    """Read records; see `CsvFormat.decode`.

    Args:
        format: The dialect.
        chunks: The bytes.
        schema: Columns and types; None to tell them from the data.
        places: Where in each record the schema's columns stand, if these are not all of them.
        width: How many values each record has, where `places` is given.
        into: The loose format that is written; see `CsvFormat.decode_loose`.
        looked_at: Whether the bytes have been through `QuoteCheck.pieces` of the same dialect.
    """

    def close() -> None:
        if isinstance(chunks, Generator):
            chunks.close()

    try:
        reader = _Reader(format, chunks, schema, places, width, into, looked_at)
    except BaseException:
        close()
        raise
    return Batches(reader.schema, reader.batches(), on_close=close)


class _Reader:
    def __init__(
        self,
        format: CsvDialect,
        chunks: Iterable[bytes],
        schema: pa.Schema | None,
        places: Sequence[int] | None = None,
        asked: int | None = None,
        into: Format | None = None,
        looked_at: bool = False,
    ) -> None:
        self._format = format
        # Such a check leaves texts with another escape alone.
        self._looked_at = looked_at and format.escape is None
        self._into = into
        self._exact = format.floats == "exact"
        self._at = 0  # bytes of the stream before the block at hand
        self._rows = 0  # records before it
        self._guarded = into is not None or schema is None or GUESSED in (schema.metadata or {})
        self._declared = dict(format.types) if self._guarded else {}
        schema = schema and schema.remove_metadata()
        self._blocks = self._cut(iter(chunks))
        first = next(self._blocks, b"")
        self._look(first)
        if format.header and not first[self._at :].strip(b"\r\n"):
            names, first = [], b""  # an empty file, or line ends alone
        elif format.header:
            names = self._names(first)
            if format.names == "number":
                names = numbered(names)
        else:
            width = self._width(first)
            expected = asked or (0 if schema is None else len(schema))
            if schema is not None and first and width != expected:
                raise InputError(
                    f"CSV: records have {width} values, the schema has {expected} columns. "
                    "Correct the schema, or the delimiter."
                )
            names = [f"column_{index + 1}" for index in range(width)]
        if not names and schema is not None:
            names = schema.names  # an empty file: no record contradicts the schema
        elif not names and self._declared:
            names = list(self._declared)
        elif not names:
            raise EmptyFileError
        self._first = first[self._at :]
        if not self._first.strip(b"\r\n") and (more := next(self._blocks, b"")):
            self._first += more  # the first record is longer than the sample
        self._file_names = names
        self._single = len(names) == 1
        if schema is None:
            if self._single and names[0] not in self._declared:
                check_delimiter(format, first)
            check_names(names)
            self._indexes = list(range(len(names)))
            schema = self._inferred(names)
        elif places is not None:
            self._indexes = list(places)
        else:
            self._indexes = [self._find(name, place) for place, name in enumerate(schema.names)]
        self.schema = schema

    def _find(self, name: str, place: int) -> int:
        if not self._format.header:
            return place
        if self._file_names.count(name) == 1:
            return self._file_names.index(name)
        if name in self._file_names:
            raise InputError(f"CSV: the header has the column {name!r} more than once. Correct it.")
        raise InputError(
            f"CSV: the header has no column {name!r}; it has {', '.join(self._file_names)}. "
            "Correct the schema or the delimiter; if the file has no header, give "
            f"{format_option('header', 'false')}."
        )

    def _inferred(self, names: list[str]) -> pa.Schema:
        missing = [name for name in self._declared if name not in names]
        if missing:
            raise InputError(
                f"CSV: the file has no column {missing[0]!r}, whose type is declared; it has "
                f"{', '.join(names)}. Correct the schema or the delimiter."
            )
        if not self._first if self._single else not self._first.strip(b"\r\n"):
            return pa.schema(
                [pa.field(name, self._declared.get(name, pa.string())) for name in names],
                metadata={ROWLESS: b"1"},
            )
        table = self._table(self._first)
        return pa.schema(
            [
                pa.field(name, self._declared[name])
                if name in self._declared
                else self._told(name, table.column(f"f{index}"))
                for index, name in enumerate(names)
            ]
        )

    def _told(self, name: str, strings: pa.ChunkedArray) -> pa.Field:
        """Tell a column's type; where each value is kept as it is written, text."""
        if self._into is None:
            return infer(name, strings)
        if not isinstance(self._into, JsonLinesDialect):
            return pa.field(name, pa.string())
        kind = infer(name, strings).type
        if not becomes_json(kind):
            return pa.field(name, pa.string())
        note = {LOGICAL_TYPE: self._into.spelling or "", _TOLD: str(kind)}
        return pa.field(name, pa.string(), metadata=note)

    # --------------------------------------------------------------------------------- blocks

    def _cut(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Cut anew into blocks that end where a record ends: at a line end outside of quotes."""
        waiting: list[bytes] = []
        size, want = 0, self._format.sample_bytes
        for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size < want:
                continue
            data = b"".join(waiting)
            at = 0
            while len(data) - at >= want:
                # Always so much, whatever the chunks are: types are told from the first block.
                end = self._end(data, at, at + want)
                if end > at:
                    yield data[at:end]
                    at = end
                    want = _BLOCK
                    continue
                if want > self._format.max_record_bytes:
                    raise self._too_long(0, self._at)
                want = min(2 * want, max(want, self._format.max_record_bytes) + 1)
            waiting, size = [data[at:]], len(data) - at
        data = b"".join(waiting)
        if data:
            yield data

    def _too_long(self, before: int, offset: int) -> CorruptDataError:
        return CorruptDataError(
            f"CSV: record {self._rows + before + 1} is over {self._format.max_record_bytes} "
            "bytes long; a quote may never be closed there. Correct it, or give "
            f"{self._greater()}",
            offset=offset,
        )

    def _check_lengths(self, block: bytes) -> None:
        """Refuse what is too long in a block that is longer than a record may be."""
        if len(block) <= self._format.max_record_bytes:
            return
        starts = self._starts(block)
        long = np.flatnonzero(np.diff(starts, append=len(block)) > self._format.max_record_bytes)
        if len(long):
            at = int(long[0])
            raise self._too_long(at, self._at + int(starts[at]))

    def _greater(self) -> str:
        return format_option("max_record_bytes", str(4 * self._format.max_record_bytes))

    def _end(self, data: bytes, begin: int, stop: int) -> int:
        """Find where the last whole record of some bytes ends; their begin where there is none."""
        if self._format.escape is not None:
            data = data[:begin] + self._without_escapes(data[begin:stop])
        quote = self._format.quote.encode()
        end = max(data.rfind(b"\n", begin, stop) + 1, begin)
        odd = counted(data, quote, begin, end) % 2
        while end > begin and odd:
            before = max(data.rfind(b"\n", begin, end - 1) + 1, begin)
            odd ^= data.count(quote, before, end) % 2
            end = before
        return end

    def _without_escapes(self, data: bytes) -> bytes:
        escape = self._format.escape
        if escape is None or escape.encode() not in data:
            return data
        return re.sub(re.escape(escape.encode()) + b".", b"__", data, flags=re.DOTALL)

    def _line_ends(self, data: bytes) -> Any:
        """Find where each record ends: line feeds outside of quotes."""
        octets = np.frombuffer(self._without_escapes(data), np.uint8)
        feeds = np.flatnonzero(octets == 0x0A)
        quotes = np.flatnonzero(octets == ord(self._format.quote))
        if len(quotes):
            feeds = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
        return feeds

    # --------------------------------------------------------------------------------- header

    def _look(self, first: bytes) -> None:
        """Step over the mark of UTF-8."""
        if first.startswith(_UTF8_BOM):
            self._at = len(_UTF8_BOM)

    def _names(self, first: bytes) -> list[str]:
        end = self._first_end(first)
        names = self._record(first[self._at : end], what="header")
        self._at = end
        return names

    def _width(self, first: bytes) -> int:
        return len(self._record(first[self._at : self._first_end(first)], what="first record"))

    def _first_end(self, first: bytes) -> int:
        for size in (1 << 16, len(first)):
            ends = self._line_ends(first[:size])
            if len(ends):
                return int(ends[0]) + 1
        return len(first)

    def _record(self, data: bytes, *, what: str) -> list[str]:
        try:
            line = data.decode()
        except UnicodeDecodeError as error:
            raise self._not_utf8(data[error.start], self._at + error.start) from None
        if line.rstrip("\r\n") == "":
            return [""] if data else []
        # The module's own limit is 128 KiB a value, for all of the process: it is only raised.
        csv.field_size_limit(max(csv.field_size_limit(), len(data) + 1))
        rows = list(
            csv.reader(
                io.StringIO(line, newline=""),
                delimiter=self._format.delimiter,
                quotechar=self._format.quote,
                doublequote=self._format.escape is None,
                escapechar=self._format.escape,
            )
        )
        if len(rows) != 1:
            raise CorruptDataError(
                f"CSV: the {what} does not end with a line feed; carriage returns alone are not "
                "read as line ends. Convert them",
                offset=self._at,
            )
        return rows[0]

    # -------------------------------------------------------------------------------- records

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the first block and all others."""
        block = self._first
        self._first = b""
        more: bytes | None = block
        while more is not None:
            if more[:2].strip(b"\r\n") or more.strip(b"\r\n") or (self._single and more):
                self._check_lengths(more)
                table = self._table(more)
                if table.num_rows:
                    yield self._batch(table)
                self._rows += table.num_rows
            self._at += len(more)
            more = next(self._blocks, None)

    def _batch(self, table: pa.Table) -> pa.RecordBatch:
        where = f"CSV, records from {self._rows + 1} on"
        arrays = []
        for field, index in zip(self.schema, self._indexes, strict=True):
            column = table.column(f"f{index}")
            strings = column.combine_chunks()
            if isinstance(strings, pa.ChunkedArray):
                strings = strings.chunk(0)
            if pa.types.is_nested(field.type):
                arrays.append(json_values.parse_texts(strings, field, where, exact=self._exact))
                continue
            told = self._guarded and field.name not in self._declared
            if self._into is not None and told:
                arrays.append(self._kept(strings, field))
                continue
            arrays.append((parse_told if told else parse)(strings, field, where))
            if self._exact and not told:
                keep_floats(strings, arrays[-1], field, where)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _kept(self, strings: pa.Array, field: pa.Field) -> pa.Array:
        kind = (field.metadata or {}).get(_TOLD)
        if kind is None or not isinstance(self._into, JsonLinesDialect):
            return strings
        like = pa.field(field.name, pa.type_for_alias(kind.decode()))
        return as_json(strings, like, self._into.style)

    def _table(self, block: bytes) -> pa.Table:
        """Parse a block into strings."""
        if not block.endswith(b"\n"):
            escape = (self._format.escape or "\n").encode()
            if (len(block) - len(block.rstrip(escape))) % 2:
                raise CorruptDataError(
                    f"CSV: the last record ends with {self._format.escape!r}, which escapes "
                    "nothing there. Correct it, or fetch the file again if it was cut off",
                    offset=self._at + len(block) - 1,
                )
            # Without its line feed, Arrow takes an empty value behind a quoted one for quoted.
            block += b"\n"
        # Arrow leaves one mark out of what it is given, which here is no beginning of a file.
        marked = _UTF8_BOM + block if block.startswith(_UTF8_BOM) else block
        names = [f"f{index}" for index in range(len(self._file_names))]
        try:
            table = pcsv.read_csv(
                pa.BufferReader(marked),
                read_options=pcsv.ReadOptions(
                    use_threads=False, block_size=len(marked) + 1, column_names=names
                ),
                parse_options=pcsv.ParseOptions(
                    delimiter=self._format.delimiter,
                    quote_char=self._format.quote,
                    double_quote=self._format.escape is None,
                    escape_char=self._format.escape or False,
                    newlines_in_values=True,
                    ignore_empty_lines=not self._single,
                ),
                convert_options=pcsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[f"f{index}" for index in sorted(set(self._indexes))],
                    null_values=[self._format.null],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._corrupt(block, str(error)) from None
        if self._is_plain(block):
            return table
        self._count(block, table.num_rows)
        where = f"among the records from {self._rows + 1} on"
        QuoteCheck(self._format, literal=True, where=where).look(block)
        return table

    def _is_plain(self, block: bytes) -> bool:
        """Whether no quote and no carriage return can have hidden a record from Arrow."""
        if not self._looked_at:
            return is_plainly_quoted(self._format, block)
        odd = counted(block, self._format.quote.encode()) % 2
        return not odd and not has_lone_returns(block)

    def _count(self, block: bytes, rows: int) -> None:
        """Compare what was parsed with the line ends: a quote in the wrong place hides some."""
        quotes = counted(self._without_escapes(block), self._format.quote.encode())
        if quotes % 2 or len(self._starts(block)) != rows:
            raise CorruptDataError(
                f"CSV: among the records from {self._rows + 1} on a quote stands in the wrong "
                "place or is never closed. Quote the whole value and double the quotes in it",
                offset=self._at,
            )

    def _starts(self, block: bytes) -> Any:
        """Find where each record of a block begins."""
        ends = self._line_ends(block) + 1
        starts = np.concatenate(([0], ends))
        if starts[-1] >= len(block):
            starts = starts[:-1]
        if self._single:
            return starts
        octets = np.frombuffer(block, np.uint8)
        empty = octets[starts] == 0x0A
        returned = np.flatnonzero(octets[starts] == 0x0D)
        if len(returned):
            after = np.minimum(starts[returned] + 1, len(octets) - 1)
            empty[returned] = octets[after] == 0x0A
        return starts[~empty]

    def _corrupt(self, block: bytes, message: str) -> CorruptDataError:
        starts = self._starts(block)
        if "UTF8" in message:
            try:
                block.decode()
            except UnicodeDecodeError as error:
                return self._not_utf8(block[error.start], self._at + error.start, starts, error)
        found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
        if found is None:
            return CorruptDataError(
                f"CSV: the records from {self._rows + 1} on cannot be read ({message}). Correct "
                "them",
                offset=self._at,
            )
        place = int(found[1]) - 1
        begin = int(starts[place]) if place < len(starts) else 0
        return CorruptDataError(
            f"CSV: record {self._rows + place + 1} has {found[3]} values, the file has {found[2]} "
            "columns. Correct the record, or give the delimiter and quote that the file uses",
            offset=self._at + begin,
        )

    def _not_utf8(
        self, octet: int, offset: int, starts: Any = None, error: Any = None
    ) -> CorruptDataError:
        record = ""
        if starts is not None:
            row = int(np.searchsorted(starts, error.start, side="right"))
            record = f"record {self._rows + row}"
        return not_utf8(octet, record or "the header", "CSV", offset)
