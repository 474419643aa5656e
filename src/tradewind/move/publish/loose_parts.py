"""Parts of a format without one type a column, where a late value is of another type.

The data are read twice: once to find a type for each column that holds all of its values, and once
to write them. So only the columns concerned become text, and partitions are named by what the
values are.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import SourceChangedError
from tradewind.move import types
from tradewind.move.batches import Batches
from tradewind.move.formats import json_values
from tradewind.move.formats.infer import parse_told
from tradewind.move.formats.parse import parse, unfit
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["readable", "settled"]

_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_DOCUMENT = r"^[\[{]"


def settled(
    read: Callable[[], Batches], told: pa.Schema, format: Format, always: Sequence[str] = ()
) -> Batches:
    """Read batches that may differ in their types, and give them in the types that hold all.

    Args:
        read: Begins to read, as `Source.loose_batches`; called twice.
        told: Columns and types that the first values have told, or that others have already.
        format: The format that is written.
        always: Columns that each batch has to have; others that come late are not in those before.

    Returns:
        Batches. A column that holds its told type throughout has it; others are text: strings,
        or in JSON lines where they are not all strings JSON as it is written.

    Raises:
        UnfitValueError: The format cannot hold a value.
        SourceChangedError: While batches are read: the data are others than the first time.
    """
    columns: dict[str, list[pa.Field]] = {}
    with contextlib.closing(read()) as batches:
        names = list(batches.schema.names)
        for batch in batches:
            for array, field in zip(batch.columns, batch.schema, strict=True):
                if (ways := columns.get(field.name)) is None:
                    place = told.get_field_index(field.name)
                    known = told.field(place) if place >= 0 else None
                    ways = columns[field.name] = _ways(field, known, format)
                while len(ways) > 1 and not _fits(array, field, ways[0], format):
                    del ways[0]
    for name in names:
        place = told.get_field_index(name)
        columns.setdefault(name, [told.field(place) if place >= 0 else _text(name, format)])
    schema = pa.schema([ways[0] for ways in columns.values()])
    again = read()

    def generate() -> Iterator[pa.RecordBatch]:
        for batch in again:
            if not set(batch.schema.names) <= set(schema.names):
                raise _changed(next(iter(set(batch.schema.names) - set(schema.names))))
            fields = [
                field
                for field in schema
                if field.name in batch.schema.names or field.name in always
            ]
            arrays = []
            for field in fields:
                if field.name not in batch.schema.names:
                    arrays.append(pa.nulls(batch.num_rows, field.type))
                    continue
                found = batch.schema.field(field.name)
                try:
                    arrays.append(_fitted(batch.column(field.name), found, field, format))
                except UnfitValueError as error:
                    if columns[field.name][-1] is field:
                        raise
                    raise _changed(field.name) from error
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    return Batches(schema, generate(), on_close=again.close)


def readable(schema: pa.Schema, format: Format, partitions: Sequence[str]) -> pa.Schema:
    """Note text that the format writes as it stands as what it is to a reader.

    Args:
        schema: The columns as they are written.
        format: The format that is written.
        partitions: Columns that stand in the folders' names alone, which are text.
    """
    return pa.schema(
        [
            types.field(field.name, pa.string(), None if field.name in partitions else "json")
            if format.spelling is not None and types.logical_type(field) == format.spelling
            else field
            for field in schema
        ],
        metadata=schema.metadata,
    )


def _changed(name: str) -> SourceChangedError:
    return SourceChangedError(
        f"Column {name!r}: the data have changed while they were read. Read them again."
    )


def _text(name: str, format: Format) -> pa.Field:
    """Give the field that holds anything."""
    return types.field(name, pa.string(), format.spelling)


def _ways(field: pa.Field, told: pa.Field | None, format: Format) -> list[pa.Field]:
    """List what a column may become, the best first; the last one holds anything."""
    name = field.name
    if told is None and not pa.types.is_null(field.type) and not pa.types.is_string(field.type):
        told = field
    ways = [] if told is None else [told]
    ways += [pa.field(name, pa.string()), _text(name, format)]
    return [way for at, way in enumerate(ways) if way not in ways[at + 1 :]]


def _fits(array: pa.Array, field: pa.Field, into: pa.Field, format: Format) -> bool:
    try:
        _fitted(array, field, into, format)
    except UnfitValueError:
        return False
    return True


def _fitted(array: pa.Array, field: pa.Field, into: pa.Field, format: Format) -> pa.Array:
    """Turn values into a column's type where that changes none.

    Raises:
        UnfitValueError: It would change one, or the format cannot hold one.
    """
    kind, note = into.type, types.logical_type(into)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if array.type == kind and types.logical_type(field) == note:
        return array
    spelled = strings = format.spelled(array, field)
    if format.spelling is not None:
        if note in (format.spelling, "json"):
            return strings
        if pa.types.is_string(kind) or pa.types.is_temporal(kind):
            strings = _decoded(strings, into, numbers=note == "decimal")
    if pa.types.is_string(kind):
        pattern = {None: "", "decimal": _NUMBER, "json": _DOCUMENT}.get(note, "^[^\\s\\S]")
        odd = pc.fill_null(pc.invert(pc.match_substring_regex(strings, pattern)), False)
        if pc.any(odd).as_py():
            raise unfit(into, strings.filter(odd)[0].as_py(), format.name)
        if note == "json":
            json_values.parse_texts(strings, into, format.name)
        return strings
    if pa.types.is_nested(kind):
        return json_values.parse_texts(strings, into, format.name)
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
    ):
        return parse_told(strings, into, format.name)
    values = parse(strings, into, format.name)
    other = pc.fill_null(pc.not_equal(format.spelled(values, into), spelled), False)
    if pc.any(other).as_py():
        raise unfit(into, strings.filter(other)[0].as_py(), format.name)
    return values


def _decoded(strings: pa.Array, into: pa.Field, *, numbers: bool) -> pa.Array:
    """Take the text out of JSON strings; where asked, leave numbers as they are."""
    values = []
    for word in strings.to_pylist():
        if word is not None and word.startswith('"'):
            values.append(json.loads(word))
        elif word is None or numbers:
            values.append(word)
        else:
            raise unfit(into, word, "JSON lines")
    return json_values.texts(values, pa.field(into.name, pa.string()), "JSON lines")
