"""Partitions that are published beside others, which stay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move import types
from tradewind.move.interface import part_option
from tradewind.move.publish.manifest import MANIFEST, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from tradewind.move.publish.destination import Destination, Parts
    from tradewind.move.store import ObjectInfo

__all__ = [
    "UnlikeColumnsError",
    "adds",
    "check_alike",
    "merged",
    "retyped",
    "standing_types",
    "stays",
]


class UnlikeColumnsError(InputError):
    """The columns are others than those of the partitions that stay."""


def adds(parts: Parts) -> bool:
    """Whether other partitions stay published."""
    return bool(parts.by) and parts.overwrite == "partitions"


def stays(seen: Manifest, run: str) -> bool:
    """Whether a run without rows leaves partitions published, beside which no file may stand.

    Readers that list the prefix would find a file in no partition (DuckDB: a mismatch).
    """
    return any(part.rows and part.run != run for part in seen.parts)


def merged(
    written: Manifest, seen: tuple[Manifest, ObjectInfo] | None, parts: Parts, run: str
) -> Manifest:
    """Name what was written, and what stays published beside it."""
    if seen is None or not adds(parts):
        return written
    replaced = {part.partition for part in written.parts}
    kept = [
        part
        for part in seen[0].parts
        # Without rows there is no partition; such a part only tells the columns.
        if part.rows and part.partition not in replaced and part.run != run
    ]
    own = [part for part in written.parts if part.rows or not kept]
    return replace(written, parts=(*kept, *own))


def standing_types(seen: Manifest, told: pa.Schema, first: pa.RecordBatch | None) -> pa.Schema:
    """Take the types of the partitions that stand for columns that have no value so far.

    A file without rows tells no types, nor does a column of CSV that is empty on some day.

    Args:
        seen: What stands.
        told: The columns that come.
        first: The first batch of theirs with rows; None where there is none.

    Returns:
        The columns to write; those that come where their names are others, or where what stands has
        no rows: it binds nobody.
    """
    import pyarrow as pa

    if told.names != seen.schema.names or not any(part.rows for part in seen.parts):
        return told
    empty = [True] * len(told)
    if first is not None:
        empty = [column.null_count == len(column) for column in first.columns]
    return pa.schema(
        [
            stands.with_nullable(True) if is_empty and stands.type != comes.type else comes
            for stands, comes, is_empty in zip(seen.schema, told, empty, strict=True)
        ],
        metadata=told.metadata,
    )


def retyped(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, refuse: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    """Give columns without values the types of a schema.

    Args:
        batches: Of the same names.
        schema: As `standing_types` gives it.
        refuse: Raises; called where a column of another type has a value after all.

    Raises:
        UnlikeColumnsError: The same, where `refuse` does not: no value is given up.
    """
    import pyarrow as pa

    for batch in batches:
        columns = []
        for column, field in zip(batch.columns, schema, strict=True):
            if column.type != field.type and column.null_count < len(column):
                refuse()
                raise UnlikeColumnsError(
                    f"Column {field.name!r} has no value at first, and values of {column.type} "
                    f"later, where {field.type} stands. Declare its type."
                )
            same = column.type == field.type
            columns.append(column if same else pa.nulls(len(column), field.type))
        yield pa.record_batch(columns, schema=schema)


def check_alike(
    target: Destination, parts: Parts, seen: Manifest, schema: pa.Schema, prefix: str
) -> None:
    """Refuse to publish partitions beside others that a reader could not read with them."""
    if not any(part.rows for part in seen.parts):
        return
    where = target.store.uri(prefix + MANIFEST)
    for what, before, now in (
        ("the format", seen.format, target.format.name),
        ("the partition columns", seen.partition_columns, parts.by),
        ("partition columns in the files", seen.kept, parts.keep),
    ):
        if before != now:
            raise InputError(
                f"{where}: it publishes partitions with {what} {before!r}, and these have {now!r}. "
                "Make them alike, replace the whole with "
                f"{part_option('overwrite', 'all')}, or choose another prefix."
            )
    stand, come = _columns(seen.schema, seen.format), _columns(schema, seen.format)
    if stand != come:
        odd = sorted(set(stand) ^ set(come))
        raise UnlikeColumnsError(
            f"{where}: it publishes partitions of other columns ({', '.join(odd) or 'their order'} "
            "differ). Select the same columns, declare their types, replace the whole with "
            f"{part_option('overwrite', 'all')}, or choose another prefix."
        )


def _columns(schema: pa.Schema, format: str) -> list[str]:
    """Say what a reader takes the columns for: in JSON lines, JSON is other text than strings."""
    return [
        f"{field.name} {field.type}"
        + (" of JSON" if format == "jsonl" and types.logical_type(field) == "json" else "")
        for field in schema
    ]
