"""Row groups of tables with hundreds of columns, which are null nearly everywhere.

Parquet keeps something of each column of each row group until the file is closed, so such a table
needs long row groups; and a null of Arrow takes as much room as a value does, so these would not
fit into memory. Here a column of a row group is a list of pieces: its values, and between them
slices of nulls that all columns share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

__all__ = ["STEP", "WIDE", "sparse_groups"]

WIDE = 256
"""Columns from which on a table is gathered so."""

STEP = 1024
"""Rows that are looked at together: a row group ends behind a multiple of them."""

_PIECE = 512
"""Bytes of memory that a piece takes beside its values, about: with the nulls before it."""

_LARGE = 1 << 30
"""Bytes of a column in `STEP` rows above which they are left as they are."""


def sparse_groups(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    *,
    rows: int,
    limit: Callable[[], tuple[int, int]],
    size: Callable[[pa.Array], int],
) -> Iterator[pa.Table]:
    """Gather rows into row groups; where they end depends on the rows alone.

    Memory: the bytes that `limit` says, and `STEP` rows as Arrow has them.

    Args:
        batches: The rows.
        schema: Their columns.
        rows: How many nulls of a type are kept to take slices of.
        limit: Says how many rows and bytes the next row group may have.
        size: Bytes that the values of an array take.

    Yields:
        A row group.
    """
    group = _Group(schema, rows, size)
    most_rows, most_bytes = limit()
    waiting: list[pa.RecordBatch] = []
    count = 0  # rows that wait
    for whole in batches:
        batch = whole
        del whole
        while batch.num_rows:
            taken = batch.slice(0, min(STEP, most_rows - group.rows) - count)
            batch = batch.slice(taken.num_rows)
            waiting.append(taken)
            count += taken.num_rows
            if count < min(STEP, most_rows - group.rows):
                continue
            group.add(waiting)
            waiting, count = [], 0
            if group.rows >= most_rows or group.size >= most_bytes:
                yield group.table()
                most_rows, most_bytes = limit()
    if waiting:
        group.add(waiting)
    if group.rows:
        yield group.table()


class _Group:
    """A row group that is being gathered."""

    def __init__(self, schema: pa.Schema, rows: int, size: Callable[[pa.Array], int]) -> None:
        self._schema = schema
        self._size = size
        self._nulls = {
            kind: pa.nulls(rows, kind) for kind in {one.type for one in schema} if _is_plain(kind)
        }
        self._begin()

    def _begin(self) -> None:
        self.rows = 0
        self.size = 0
        self._pieces: list[list[pa.Array]] = [[] for _ in self._schema]
        self._missing = [0] * len(self._schema)  # nulls at the end of each column, not yet a piece

    def add(self, batches: list[pa.RecordBatch]) -> None:
        """Add some rows."""
        for at, field in enumerate(self._schema):
            parts = [batch.column(at) for batch in batches]
            if field.type in self._nulls and all(part.null_count == len(part) for part in parts):
                self._missing[at] += sum(map(len, parts))
                continue
            if sum(part.nbytes for part in parts) > _LARGE:
                # An array of text cannot be longer than 2 GB.
                self._end_nulls(at)
                self._pieces[at] += parts
                self.size += sum(map(self._size, parts))
                continue
            # A copy, also of one part: a slice would keep all of what it was taken from.
            array = pa.concat_arrays([*parts, parts[0].slice(0, 0)])
            found = len(array) - array.null_count
            size = self._size(array)
            if field.type in self._nulls and 2 * found * _PIECE < size:
                size = found * _PIECE + self._add_values(at, array)
            else:
                self._end_nulls(at)
                self._pieces[at].append(array)
            self.size += size
        self.rows += sum(batch.num_rows for batch in batches)

    def _add_values(self, at: int, array: pa.Array) -> int:
        """Add the values of a column that are not null; tell what they take."""
        values = array.drop_null()
        places = np.flatnonzero(np.asarray(array.is_valid()))
        starts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
        done = 0
        for first, last in zip(starts, [*starts[1:], len(places)], strict=True):
            self._missing[at] += int(places[first]) - done
            self._end_nulls(at)
            self._pieces[at].append(values.slice(first, last - first))
            done = int(places[last - 1]) + 1
        self._missing[at] += len(array) - done
        return self._size(values)

    def _end_nulls(self, at: int) -> None:
        nulls = self._nulls.get(self._schema.field(at).type)
        while nulls is not None and self._missing[at]:
            piece = nulls.slice(0, self._missing[at])
            self._pieces[at].append(piece)
            self._missing[at] -= len(piece)

    def table(self) -> pa.Table:
        """Give what was gathered, and begin anew."""
        columns = []
        for at, field in enumerate(self._schema):
            self._end_nulls(at)
            columns.append(pa.chunked_array(self._pieces[at], field.type))
            self._pieces[at] = []
        self._begin()
        return pa.Table.from_arrays(columns, schema=self._schema)


def _is_plain(kind: pa.DataType) -> bool:
    is_ = pa.types
    return not (
        is_.is_nested(kind) or is_.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType)
    )
