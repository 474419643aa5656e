"""Documents for a format without one type a column: each value by its own type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move import types
from tradewind.move.batches import Batches
from tradewind.move.document_columns import EMPTY_LIST, JSON, Column, Kind, Values
from tradewind.move.documents import BATCH_BYTES, EXTRA_COLUMN, Block, Unknown, cut, cut_growing
from tradewind.move.interface import option
from tradewind.move.loose import Group, fixed_columns, mixed
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["loose_batches"]

_NOTHING = type(None)


def loose_batches(
    blocks: Iterator[Block],
    values: Values,
    into: Format,
    *,
    where: str,
    late: list[str],
    declared: Mapping[str, pa.Field],
    sample: int = 1000,
    unknown: Unknown = "error",
    on_close: Callable[[], None] = lambda: None,
) -> Batches:
    """Make documents into batches whose columns may be of another type in each.

    Memory: as `tradewind.move.documents.typed_batches`.

    Args:
        blocks: The documents.
        values: What the system's values are.
        into: The format that is written.
        where: The source, for messages.
        late: Fields that an earlier reading has met behind the first documents; further ones are
            added.
        declared: Declared columns.
        sample: How many documents tell the columns of a header.
        unknown: ``extra`` keeps fields that those do not have as JSON in one column.
        on_close: Ends the reading.

    Raises:
        UnfitValueError: A value does not fit its declared column (while the batches are read).
        SourceChangedError: A header lacks a field: read again.
    """
    sampled: list[Block] = []
    count = 0
    while count < sample and (block := next(blocks, None)) is not None:
        sampled.append(block)
        count += len(block.documents)
    names = dict.fromkeys(
        name for block in sampled for document in block.documents for name in document
    )
    names.update(dict.fromkeys(declared))
    names.update(dict.fromkeys(late))
    table = _LooseTable(list(names), values, into, declared, extra=unknown == "extra")

    def generate() -> Iterator[pa.RecordBatch]:
        try:
            gathered: list[Block] = []
            size = 0
            while (block := sampled.pop(0) if sampled else next(blocks, None)) is not None:
                gathered.append(block)
                size += block.size
                if size >= BATCH_BYTES:
                    yield from table.batches(gathered)
                    gathered, size = [], 0
            if gathered:
                yield from table.batches(gathered)
        finally:
            on_close()

    batches = generate()
    if into.name == "csv":
        batches = _closing(fixed_columns(batches, table.names, late, where), batches)
    schema = pa.schema([pa.field(name, pa.string()) for name in table.names])
    return Batches(schema, batches, on_close=on_close)


def _closing(
    outer: Iterator[pa.RecordBatch], inner: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from outer
    finally:
        inner.close()  # type: ignore[attr-defined]


class _LooseTable:
    """Makes record batches of documents."""

    def __init__(
        self,
        names: list[str],
        values: Values,
        into: Format,
        declared: Mapping[str, pa.Field],
        *,
        extra: bool,
    ) -> None:
        self.names = names + ([EXTRA_COLUMN] if extra else [])
        self._known = frozenset(names)
        self._values = values
        self._into = into
        self._declared = {name: Column(field, values) for name, field in declared.items()}
        self._extra = extra
        self._columns: dict[tuple[str, Kind], Column] = {}
        self._rows = 0

    def batches(self, blocks: list[Block]) -> Iterator[pa.RecordBatch]:
        """Make one batch of the blocks; several where they would have too many cells."""
        if self._extra:
            parts = cut(blocks, len(self.names))
        else:
            parts = cut_growing(blocks, dict.fromkeys(self.names))
        for part in parts:
            if any(block.documents for block in part):
                yield self._batch(part)

    def _batch(self, blocks: list[Block]) -> pa.RecordBatch:
        documents = [document for block in blocks for document in block.documents]

        def describe(position: int) -> str:
            named = self._values.identify(documents[position], self._rows + position + 1)
            for block in blocks:
                if position < len(block.documents):
                    return f"{named} of {block.origin}" if block.origin else named
                position -= len(block.documents)
            return named

        extra: list[Any] | None = [None] * len(documents) if self._extra else None
        for position, document in enumerate(documents):
            if document.keys() <= self._known:
                continue
            further = [name for name in document if name not in self._known]
            if extra is not None:
                if EXTRA_COLUMN in document:
                    raise InputError(
                        f"A document has a field {EXTRA_COLUMN!r} itself, which is the column of "
                        "the fields that the first documents do not have. Read it without "
                        f"{option('unknown', 'extra')}."
                    )
                extra[position] = {name: document[name] for name in further}
                continue
            self.names += further
            self._known |= set(further)
        arrays, fields = [], []
        for name in self.names:
            if name == EXTRA_COLUMN and extra is not None:
                field = types.field(name, *JSON)
                array = Column(field, self._values).array(extra, describe)
            else:
                found = [document.get(name) for document in documents]
                array, field = self._column(name, found, describe)
            arrays.append(array)
            fields.append(field)
        self._rows += len(documents)
        if not fields:
            raise InputError(
                f"{describe(0)[0].upper()}{describe(0)[1:]} and those after it have no fields, so "
                "there are no columns. Declare a schema, or ask for other fields."
            )
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _column(
        self, name: str, found: list[Any], describe: Callable[[int], str]
    ) -> tuple[pa.Array, pa.Field]:
        declared = self._declared.get(name)
        if declared is not None:
            return declared.array(found, describe), declared.field
        kinds = set(map(type, found)) - {_NOTHING}
        if len(kinds) == 1 and not kinds <= {list, dict}:
            kind = self._kind(next(value for value in found if value is not None))
            try:
                column = self._typed(name, kind)
                return column.array(found, describe), column.field
            except UnfitValueError:
                pass  # a number that is too large, say: by its own type below
        groups: dict[Kind, tuple[list[int], list[Any]]] = {}
        for position, value in enumerate(found):
            if value is not None:
                positions, members = groups.setdefault(self._kind(value), ([], []))
                positions.append(position)
                members.append(value)
        made: list[Group] = []
        for kind, (positions, members) in groups.items():
            column = self._typed(name, kind)
            at = positions
            array = column.array(members, lambda place, at=at: describe(at[place]))  # type: ignore[misc]
            made.append((positions, array, column.field))
        return mixed(name, made, len(found), self._into)

    def _kind(self, value: Any) -> Kind:
        kind = self._values.kind(value)
        return JSON if kind is None or kind == EMPTY_LIST else kind

    def _typed(self, name: str, kind: Kind) -> Column:
        column = self._columns.get((name, kind))
        if column is None:
            column = Column(types.field(name, *kind), self._values)
            self._columns[name, kind] = column
        return column
