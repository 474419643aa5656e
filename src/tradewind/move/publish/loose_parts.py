"""Parts of a format without one type a column, where a late value is of another type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from tradewind.move import types

if TYPE_CHECKING:
    from tradewind.move.batches import Batches
    from tradewind.move.format import Format
    from tradewind.move.publish.manifest import Manifest
    from tradewind.move.publish.writing import Writing

__all__ = ["write_loose"]


def write_loose(writing: Writing, batches: Batches, format: Format) -> Manifest:
    """Write batches that may differ in their types; name in the manifest what holds all of them.

    Args:
        writing: Writes the parts.
        batches: As `Source.loose_batches` gives them.
        format: The format that is written.

    Returns:
        The manifest. Columns that are of one type throughout have it; others are text there, JSON
        where the format is JSON lines.
    """
    fields: dict[str, pa.Field] = {}

    def seen() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for field in batch.schema:
                known = fields.get(field.name)
                fields[field.name] = field if known is None else _both(known, field, format)
            yield batch

    written = writing.write(batches.schema, seen())
    if not fields:
        return written
    schema = pa.schema([_readable(field, format) for field in fields.values()])
    return dataclasses.replace(written, schema=schema)


def _both(one: pa.Field, other: pa.Field, format: Format) -> pa.Field:
    """Give a field that holds the values of two."""
    if one.equals(other, check_metadata=True) or pa.types.is_null(other.type):
        return one
    if pa.types.is_null(one.type):
        return other
    return types.field(one.name, pa.string(), format.spelling)


def _readable(field: pa.Field, format: Format) -> pa.Field:
    """Note a text that the format writes as it stands as what it is to a reader."""
    if format.spelling is None or types.logical_type(field) != format.spelling:
        return field
    return types.field(field.name, pa.string(), "json")
