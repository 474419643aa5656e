"""Values of which each has a type of its own, for formats without one type a column.

CSV and JSON lines hold any value in any record. Where a source has only guessed the types of its
columns from its first values, a later one of another type is no error there: each value is written
by its own type (`Source.loose_batches`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tradewind.errors import SourceChangedError
from tradewind.move import types

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["Group", "fixed_columns", "mixed"]

Group = tuple[Sequence[int], pa.Array, pa.Field]
"""Values of one type: their positions in the column, the values, their type."""


def mixed(
    name: str, groups: Sequence[Group], length: int, into: Format
) -> tuple[pa.Array, pa.Field]:
    """Put values of several types into one column.

    Args:
        name: Name of the column.
        groups: The values by type; what is in none of them is null.
        length: Values of the column.
        into: The format that is written.

    Returns:
        The column, and its field: of the values' type where they have one, or else as text that
        the format writes as it stands.

    Raises:
        UnfitValueError: The format cannot hold a value.
    """
    if not groups:
        return pa.nulls(length), pa.field(name, pa.null())
    order = np.full(length, -1, np.int64)
    begin = 0
    for positions, array, _ in groups:
        order[np.asarray(positions, np.int64)] = np.arange(begin, begin + len(array))
        begin += len(array)
    indices = pa.array(order, mask=order < 0)
    if len(groups) == 1:
        return groups[0][1].take(indices), groups[0][2]
    written = pa.concat_arrays([into.spelled(array, field) for _, array, field in groups])
    return written.take(indices), types.field(name, pa.string(), into.spelling)


def fixed_columns(
    batches: Iterable[pa.RecordBatch], names: Sequence[str], late: list[str], where: str
) -> Iterator[pa.RecordBatch]:
    """Pass batches on that a header has announced.

    Args:
        batches: The batches. Later ones may have further columns, behind the others.
        names: The columns of the header.
        late: Is given the further ones. All is read to the end for them, so that the next reading
            knows all.
        where: The source, for messages.

    Raises:
        SourceChangedError: There were further columns: read again from the beginning.
    """
    known = list(names)
    found: list[str] = []
    for batch in batches:
        if len(batch.schema.names) > len(known):
            further = batch.schema.names[len(known) :]
            found += further
            known += further
        if not found:
            yield batch
    if found:
        late += found
        raise SourceChangedError(
            f"{where}: records have further columns behind the first ones, like {found[0]!r}. Read "
            "it again from the beginning."
        )
