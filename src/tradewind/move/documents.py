"""Documents (dicts) as JSON lines, and as typed record batches: what MongoDB and REST share.

How documents become columns, where no schema is declared and the first documents decide:

- A field of one kind of scalar is a column of that type (see `tradewind.move.types`).
- Whole numbers and floating-point numbers in one field make a float64 column; a whole number that
  float64 cannot hold exactly is then an error.
- A list of one kind of scalar is a list column.
- Nested documents, lists of documents or of several kinds, fields of several kinds and fields that
  were always null are JSON: a string column with the note ``json``. So nothing is flattened,
  guessed or dropped.

A declared schema may say otherwise: struct and list columns take nested documents, decimal columns
take numbers to the last digit. A value that its column cannot hold is an `UnfitValueError` that
names field, value and document. A field that the schema does not have is one too, or goes into one
extra JSON column when asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from tradewind.errors import InputError, MissingExtraError
from tradewind.move import types
from tradewind.move.batches import Batches, in_cells, rows_of
from tradewind.move.document_columns import EMPTY_LIST, JSON, Column, Kind, Values, united
from tradewind.move.interface import option

__all__ = [
    "BATCH_BYTES",
    "EXTRA_COLUMN",
    "Block",
    "Document",
    "Unknown",
    "cut",
    "cut_growing",
    "json_lines",
    "load_orjson",
    "sample_schema",
    "typed_batches",
]

Document = Mapping[str, Any]
Unknown = Literal["error", "extra"]
"""What to do with a field that the schema does not have: raise, or keep it in an extra column."""

EXTRA_COLUMN = "_extra"
"""The column of what the schema does not have: one JSON object a document, or null."""

BATCH_BYTES = 4 << 20
"""Bytes of documents in a batch, about, in the system's own encoding."""


@dataclass(frozen=True)
class Block:
    """Some documents, as they were read together.

    Args:
        documents: The documents.
        size: What they took in the system's own encoding, in bytes.
        origin: Where they come from, for messages, like ``page 3``; empty where it says nothing.
    """

    documents: Sequence[Document]
    size: int
    origin: str = ""


def load_orjson(extra: str) -> Any:
    """Import orjson.

    Args:
        extra: The extra that brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import orjson
    except ImportError as error:
        raise MissingExtraError("orjson", extra=extra, purpose="Writing JSON") from error
    return orjson


def json_lines(
    documents: Iterable[Document], dumps: Callable[[Any], bytes], *, size: int = BATCH_BYTES
) -> Iterator[tuple[bytes, int]]:
    """Write documents as JSON lines.

    Args:
        documents: The documents.
        dumps: Writes one of them, without a line end.
        size: Bytes of a piece, about.

    Yields:
        A piece that ends with a line, and how many documents are in it.
    """
    # Not a list of lines: orjson gives each of them some 4 KB of memory, whatever its length.
    piece = bytearray()
    count = 0
    for document in documents:
        piece += dumps(document)
        piece += b"\n"
        count += 1
        if len(piece) >= size:
            yield bytes(piece), count
            piece.clear()
            count = 0
    if count:
        yield bytes(piece), count


def sample_schema(documents: Iterable[Document], values: Values) -> pa.Schema:
    """Tell the columns that documents have; see the table of this module.

    Args:
        documents: Some of them.
        values: What the system's values are.

    Returns:
        Fields in the order in which they first appear.
    """
    kinds: dict[str, Kind | None] = {}
    for document in documents:
        for name, value in document.items():
            kind = values.kind(value)
            known = kinds.get(name)
            if known is None:
                kinds[name] = kind
            elif kind is not None and kind != known:
                kinds[name] = united(known, kind)
    return pa.schema(
        [
            types.field(name, *(JSON if kind in (None, EMPTY_LIST) else kind))
            for name, kind in kinds.items()
        ]
    )


def typed_batches(
    blocks: Iterator[Block],
    values: Values,
    *,
    schema: pa.Schema | None = None,
    declared: Mapping[str, pa.Field] | None = None,
    sample: int = 1000,
    unknown: Unknown = "error",
    on_close: Callable[[], None] = lambda: None,
) -> Batches:
    """Make documents into typed record batches.

    Memory: the documents of a batch as Python objects, and those sampled. A document of 200 bytes
    of BSON takes about 2 KB so. A batch has at most two million cells (documents times columns),
    which take some 20 MB where most are null.

    Args:
        blocks: The documents. Where they begin and end decides where batches do.
        values: What the system's values are.
        schema: Columns and types; what `sample_schema` says of the first documents, when not given.
        declared: Some columns by name; the first documents tell the others, where `schema` is not
            given.
        sample: How many documents to look at where no schema is given, rounded up to a block.
        unknown: What to do with a field that the schema does not have.
        on_close: Ends the reading; see `Batches`.

    Returns:
        Batches of about 4 MB of documents, smaller where there are many columns.

    Raises:
        UnfitValueError: A value does not fit its column (while the batches are read).
        InputError: A field is not in the schema (while the batches are read).
    """
    if unknown not in ("error", "extra"):
        raise InputError(f"unknown={unknown!r} is not known. Choose 'error' or 'extra'.")
    sampled: list[Block] = []
    whole = schema is not None
    if schema is None:
        count = 0
        while count < sample and (block := next(blocks, None)) is not None:
            sampled.append(block)
            count += len(block.documents)
        schema = sample_schema((one for block in sampled for one in block.documents), values)
        for name, field in (declared or {}).items():
            place = schema.get_field_index(name)
            schema = schema.append(field) if place < 0 else schema.set(place, field)
    if unknown == "extra" and EXTRA_COLUMN not in schema.names:
        schema = schema.append(types.field(EXTRA_COLUMN, *JSON))
    table = _Table(schema, values, unknown, declared=whole)

    def generate() -> Iterator[pa.RecordBatch]:
        try:
            gathered: list[Block] = []
            size = 0
            while sampled:
                gathered.append(sampled.pop(0))
                size += gathered[-1].size
                if size >= BATCH_BYTES:
                    yield from table.batches(gathered)
                    gathered, size = [], 0
            for block in blocks:
                gathered.append(block)
                size += block.size
                del block
                if size >= BATCH_BYTES:
                    yield from table.batches(gathered)
                    gathered, size = [], 0
            if gathered:
                yield from table.batches(gathered)
        finally:
            on_close()

    return Batches(schema, generate(), on_close=on_close)


def cut(blocks: list[Block], columns: int) -> Iterator[list[Block]]:
    """Give blocks together, or in parts where a batch of them would have too many cells.

    Args:
        blocks: The blocks.
        columns: How many columns a batch has.
    """
    rows = rows_of(columns)
    if sum(len(block.documents) for block in blocks) <= rows:
        yield blocks
        return
    for block in blocks:
        for begin in range(0, len(block.documents), rows):
            yield [Block(block.documents[begin : begin + rows], 0, block.origin)]


def cut_growing(blocks: list[Block], known: dict[str, None]) -> Iterator[list[Block]]:
    """Do the same where fields that no document before has had become further columns.

    Args:
        blocks: The blocks.
        known: The columns so far; those of the documents that are given are added before.
    """
    documents = [document for block in blocks for document in block.documents]
    for begin, end in in_cells(documents, known):
        if end - begin == len(documents):
            yield blocks
            return
        part: list[Block] = []
        at = 0  # where a block begins among the documents
        for block in blocks:
            inside = block.documents[max(0, begin - at) : max(0, end - at)]
            if inside:
                part.append(Block(inside, 0, block.origin))
            at += len(block.documents)
        yield part


class _Table:
    """Makes record batches of documents."""

    def __init__(
        self, schema: pa.Schema, values: Values, unknown: Unknown, *, declared: bool
    ) -> None:
        self._schema = schema
        self._values = values
        self._columns = [Column(field, values) for field in schema]
        self._names = frozenset(schema.names)
        self._extra = schema.names.index(EXTRA_COLUMN) if unknown == "extra" else None
        self._declared = declared
        self._rows = 0

    def batches(self, blocks: list[Block]) -> Iterator[pa.RecordBatch]:
        """Make one batch of the blocks; several where they would have too many cells."""
        for part in cut(blocks, len(self._columns)):
            yield self.batch(part)

    def batch(self, blocks: list[Block]) -> pa.RecordBatch:
        if self._columns and self._extra is None:
            short = self._values.arrays(self._schema, [block.documents for block in blocks])
            if short is not None:
                self._rows += len(short[0])
                return pa.RecordBatch.from_arrays(short, schema=self._schema)
        documents = [document for block in blocks for document in block.documents]

        def describe(position: int) -> str:
            named = self._values.identify(documents[position], self._rows + position + 1)
            for block in blocks:
                if position < len(block.documents):
                    return f"{named} of {block.origin}" if block.origin else named
                position -= len(block.documents)
            return named

        if not self._columns and documents:
            raise InputError(
                f"{describe(0)[0].upper()}{describe(0)[1:]} and those after it have no fields, so "
                "there are no columns. Declare a schema, or ask for other fields."
            )
        names = self._names
        extra: list[Any] | None = None if self._extra is None else [None] * len(documents)
        for position, document in enumerate(documents):
            if not document.keys() <= names:
                unknown = {name: document[name] for name in document if name not in names}
                if extra is None:
                    raise self._unknown(next(iter(unknown)), describe(position))
                extra[position] = unknown
        arrays = []
        for index, column in enumerate(self._columns):
            name = column.field.name
            values = extra if index == self._extra and extra is not None else None
            if values is None:
                values = [document.get(name) for document in documents]
            elif any(name in document for document in documents):
                raise InputError(
                    f"A document has a field {name!r} itself, which is the column of fields "
                    "that the schema does not have. Declare a schema without "
                    f"{option('unknown', 'extra')}."
                )
            arrays.append(column.array(values, describe))
        self._rows += len(documents)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _unknown(self, name: str, document: str) -> InputError:
        if self._declared:
            schema, more = "the declared schema. Declare it", ""
        else:
            schema = "the schema of the first documents. Declare it with "
            schema += option("schema", {name: "json"})
            more = f", or look at more of them with {option('sample', 1_000_000)}"
        return InputError(
            f"Field {name!r} of {document} is not in {schema}, or keep such fields in the column "
            f"{EXTRA_COLUMN} with {option('unknown', 'extra')}{more}."
        )
