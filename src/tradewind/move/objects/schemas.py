"""Columns of objects: declared in words, and compared from one object to the next."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move import types
from tradewind.move.interface import option

__all__ = [
    "declared",
    "declared_fields",
    "fitted",
    "named",
    "same_columns",
    "told",
    "unknown",
    "widened",
]

_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")
_TEXTS = ("json", "uuid", "decimal")
_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), *(?:tz=)?UTC\]")


def named(schema: pa.Schema | Mapping[str, str] | str | None) -> dict[str, str]:
    """Take the names of types by column out of what declares columns in any way.

    Args:
        schema: Arrow's, which names no types by words; names of types by column; or text that
            `declared` reads.
    """
    if isinstance(schema, str):
        return declared(schema)
    return {} if schema is None or isinstance(schema, pa.Schema) else dict(schema)


def declared_fields(words: Mapping[str, str]) -> dict[str, pa.Field]:
    """Find columns by the names of their types; beside those of Arrow json, uuid and decimal.

    Args:
        words: Names of types by column.

    Raises:
        InputError: A type is not known.
    """
    return {
        name: types.field(name, pa.string(), said)
        if (said := str(word).strip()) in _TEXTS
        else pa.field(name, _type(name, said))
        for name, word in words.items()
    }


def declared(text: str) -> dict[str, str]:
    """Read declared types.

    Args:
        text: A JSON object of columns and types, like ``{"zip": "string"}``, or the path of a file
            that holds one, with ``@`` before it or without. Types are named as Arrow does:
            ``string``, ``int64``, ``double``, ``bool``, ``date32``, ``timestamp[us]``,
            ``timestamp[us, UTC]``, ``decimal(12, 2)``; and ``json``, ``uuid``, ``decimal``.

    Returns:
        The names of types by column; none for no text.

    Raises:
        InputError: It is no such object, or a type is not known.
    """
    if not text:
        return {}
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text.strip().removeprefix("@")).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(
                f"schema: it is neither a JSON object nor a file that can be read ({error}). "
                'Give columns and types, like {"zip": "string"}.'
            ) from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"schema: it is not JSON ({error}). Correct it.") from None
    if not isinstance(found, dict) or not found:
        raise InputError('schema: give an object of columns and types, like {"zip": "string"}.')
    return {name: str(word) for name, word in found.items()}


def _type(name: str, word: object) -> pa.DataType:
    said = str(word).strip()
    if match := _DECIMAL.fullmatch(said):
        digits, scale = int(match[1]), int(match[2])
        if scale <= digits and 1 <= digits <= 76:
            return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, scale)
    if match := _ZONED.fullmatch(said):
        return pa.timestamp(match[1], tz="UTC")
    try:
        return pa.type_for_alias(said)
    except ValueError:
        raise InputError(
            f"schema: column {name!r} has the type {said!r}, which is not known. Choose from "
            "string, int64, double, bool, date32, timestamp[us], timestamp[us, UTC], binary, "
            "decimal(12, 2), json, uuid and decimal."
        ) from None


def widened(schema: pa.Schema) -> pa.Schema:
    """Give the columns of one object as those of many: each may be null, in each depth."""
    fields = [_nullable(field) for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def unknown(schema: pa.Schema) -> bool:
    """Whether a column has nothing but nulls, so that another object has to tell its type."""
    return any(pa.types.is_null(field.type) for field in schema)


def told(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Take the types of columns that have only nulls from the columns of another object."""
    for index, field in enumerate(schema):
        if pa.types.is_null(field.type) and other.names.count(field.name) == 1:
            schema = schema.set(index, _nullable(other.field(field.name)))
    return schema


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Put the columns of an object that `same_columns` let pass as the first object has them."""
    if batch.schema.equals(schema, check_metadata=False):
        return batch
    arrays = []
    for index, field in enumerate(schema):
        place = (
            index if batch.schema.names == schema.names else batch.schema.names.index(field.name)
        )
        array = batch.column(place)
        if pa.types.is_null(array.type):
            array = pa.nulls(len(array), field.type)
        elif array.type != field.type:
            array = array.cast(field.type)  # only whether values within may be null
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def same_columns(first: pa.Schema, schema: pa.Schema, where: str) -> None:
    """Refuse an object whose columns are others than the first one's.

    Their order, and whether they may be null, is no part of what they hold; a column that has
    only nulls fits any type.

    Args:
        first: The first object's columns, as `widened` gives them.
        schema: The columns of the object.
        where: What it is called, for messages.

    Raises:
        InputError: A column is missing, too many, or of another type.
    """
    ordered = list(schema)
    if schema.names != first.names and len({*first.names}) == len(first):
        known = {field.name: field for field in schema}
        new = [field for field in schema if field.name not in first.names]
        ordered = [known.get(name) for name in first.names] + new
    for expected, found in itertools.zip_longest(first, ordered):
        fits = expected is not None and found is not None and expected.name == found.name
        if fits and not pa.types.is_null(found.type):
            fits = _nullable(found).type == expected.type
        if not fits:
            named = (found or expected).name
            raise InputError(
                f"{where}: it has {_words(found, named)} where the first object has "
                f"{_words(expected, named)}. Choose objects with the same columns, or give a "
                "schema that names the columns to read and their types, like "
                f"{option('schema', {named: 'string'})}."
            )


def _nullable(field: pa.Field) -> pa.Field:
    """Allow nulls in a field and in what it holds."""
    kind = field.type
    kinds = pa.types
    if kinds.is_struct(kind):
        kind = pa.struct([_nullable(kind.field(index)) for index in range(kind.num_fields)])
    elif kinds.is_map(kind):
        kind = pa.map_(kind.key_type, _nullable(kind.item_field), kind.keys_sorted)
    elif kinds.is_list(kind):
        kind = pa.list_(_nullable(kind.value_field).with_name("item"))
    elif kinds.is_large_list(kind):
        kind = pa.large_list(_nullable(kind.value_field).with_name("item"))
    return field.with_type(kind).with_nullable(True)


def _words(field: pa.Field | None, name: str) -> str:
    return (
        f"no column {name!r}"
        if field is None
        else f"the column {field.name!r} of type {field.type}"
    )
