"""How long a row of a database may be: some copies of it are in memory, so it has a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.interface import interface_in_use, option
from tradewind.move.sizes import bytes_of

__all__ = ["MAX_ROW_BYTES", "check_batch", "check_limit", "too_long"]

MAX_ROW_BYTES = 64 << 20
"""The longest row that is read where nothing else is asked for, as its system sends it, in bytes:
as long as a record of CSV or a line of JSON may be."""


def check_limit(system: str, limit: int | str) -> int:
    """Read a limit, and refuse what is none.

    Args:
        system: Whose rows.
        limit: Bytes of the longest row; as text with a unit, perhaps, see `bytes_of`.

    Raises:
        InputError: It is not above 0.
    """
    limit = bytes_of("max_row_bytes", limit)
    if limit < 1:
        raise InputError(f"{system}: max_row_bytes is a number of bytes above 0.")
    return limit


def too_long(
    system: str,
    size: int,
    limit: int,
    *,
    column: str | None = None,
    among: Sequence[str] = (),
    row: int | None = None,
    advice: str | None = None,
) -> InputError:
    """Make the error of a row that is too long.

    Args:
        system: Where it is read from.
        size: Its bytes, or those of the value in `column`.
        limit: How many there may be.
        column: The one whose value is too long alone.
        among: Those whose values may make the row so long.
        row: Its number, from 1 on, where that is known.
        advice: The option that allows it, as the interface in use spells it; ``max_row_bytes`` of a
            source when None.
    """
    which = "a row" if row is None else f"row {row}"
    if column is not None:
        what = f"column {column!r} of {which} has {size} bytes"
    else:
        what = f"{which} has {size} bytes"
        if among:
            more = ", ..." if len(among) > 5 else ""
            what += f" (look at {', '.join(map(repr, among[:5]))}{more})"
    # Room for the rest of the row, and for the next one that is a bit longer.
    allowed = advice or option("max_row_bytes", 2 * max(size, limit))
    if advice is None and interface_in_use() == "airflow":
        allowed = f"Sql(..., {allowed}), or the operator {allowed}"
    return InputError(
        f"{system}: {what}, where {limit} are allowed. Several copies of it are in memory at a "
        f"time. If there is room for that, give {allowed}; or leave it out of the query."
    )


def check_batch(
    system: str, batch: pa.RecordBatch, limit: int, *, before: int = 0, advice: Any = None
) -> None:
    """Refuse a batch with a row that is too long.

    Args:
        system: Where it is read from.
        batch: Rows.
        limit: Bytes of the longest row, as Arrow has its texts, bytes, lists and structs.
        before: Rows before these.
        advice: Spells the option that allows a number of bytes; see `too_long`.

    Raises:
        InputError: One is longer.
    """
    if sum(map(_held, batch.columns)) <= limit:
        return
    sizes = [_sizes(column) for column in batch.columns]
    totals: np.ndarray[Any, Any] = np.asarray(np.sum(sizes, axis=0, dtype=np.int64))
    worst = int(totals.argmax())
    if totals[worst] <= limit:
        return
    longest = int(np.argmax([each[worst] for each in sizes]))
    size, column = int(sizes[longest][worst]), batch.schema.names[longest]
    alone = size > limit
    size = size if alone else int(totals[worst])
    raise too_long(
        system,
        size,
        limit,
        column=column if alone else None,
        among=() if alone else (column,),
        row=before + worst + 1,
        advice=None if advice is None else advice(2 * max(size, limit)),
    )


def _held(column: pa.Array) -> int:
    """Give what a column takes at most: a view shares its buffers with other arrays."""
    return int(column.get_total_buffer_size())


def _sizes(column: pa.Array) -> np.ndarray[Any, Any]:
    """Give the bytes of each value of varying length."""
    kind, is_ = column.type, pa.types
    if is_.is_dictionary(kind):
        lengths = _sizes(column.dictionary)
        indices = np.asarray(pc.fill_null(column.indices.cast(pa.int64()), -1))
        return np.asarray(np.append(lengths, 0)[indices])
    if is_.is_string_view(kind) or is_.is_binary_view(kind):
        column, kind = column.cast(pa.large_binary()), pa.large_binary()
    texts = (is_.is_string, is_.is_large_string, is_.is_binary, is_.is_large_binary)
    if any(is_text(kind) for is_text in texts):
        return np.asarray(pc.fill_null(pc.binary_length(column), 0)).astype(np.int64)
    if is_.is_nested(kind):
        return np.array([column.slice(at, 1).nbytes for at in range(len(column))], np.int64)
    return np.zeros(len(column), np.int64)
