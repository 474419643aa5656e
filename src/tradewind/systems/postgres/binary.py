"""COPY's binary format as record batches, by the decoder in Rust."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from tradewind.errors import RetryError, TradewindError
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.fields import DecodeError, printed
from tradewind.systems.postgres.text import not_utf8
from tradewind.systems.postgres.types import Reading

__all__ = ["OPTIONS", "batches", "words"]

OPTIONS = {"FORMAT": "binary"}
"""How COPY has to write."""


def words(columns: tuple[Reading, ...]) -> list[str] | None:
    """Give the decoder's word of each column; None where one has none."""
    found = [column.word for column in columns]
    return [word for word in found if word] if all(found) else None


def batches(
    decoder: Any,
    pieces: Iterable[list[bytes]],
    columns: tuple[Reading, ...],
    schema: pa.Schema,
    *,
    system: str,
) -> Iterator[pa.RecordBatch]:
    """Decode a stream.

    Args:
        decoder: Of the package in Rust, or its plain form.
        pieces: The stream, as it came.
        columns: How each column is read.
        schema: They as fields.
        system: Which server sent it, for messages.

    Yields:
        Batches whose borders depend on the rows alone.

    Raises:
        UnfitValueError: A value has no room in its column's type.
        RetryError: The bytes are no such stream.
    """

    def made(batch: Any) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(pa.record_batch(batch).columns, schema=schema)

    try:
        for piece in pieces:
            for batch in decoder.decode(piece):
                yield made(batch)
        last = decoder.finish()
    except TradewindError:
        raise
    except ValueError as error:
        if type(error).__name__ != DecodeError.__name__:
            raise
        raise _told(error, columns, system) from error
    if last is not None:
        yield made(last)


def _told(error: ValueError, columns: tuple[Reading, ...], system: str) -> TradewindError:
    what, offset, *at = error.args
    if not at:
        return RetryError(
            f"{system}: at byte {offset} of what the server sent stands what it should not: "
            f"{what}. Try again; if it stays, TRADEWIND_CORE=python reads it as text."
        )
    column, raw = columns[at[0]], at[1]
    if "UTF-8" in what:
        return not_utf8(column)
    try:
        value = printed(column.word or "", raw)
    except (ValueError, struct.error):  # malformed behind what was found
        value = repr(raw)
    unfit: UnfitValueError = column.unfit(value)
    return unfit
