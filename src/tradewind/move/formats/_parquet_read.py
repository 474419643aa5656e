"""Parquet files read row group by row group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.batches import Batches
from tradewind.move.types import UnfitValueError

__all__ = ["read"]

_ROWS = 16_384


def read(file: Any, schema: pa.Schema | None, on_close: Callable[[], None]) -> Batches:
    """Read a file; see `ParquetFormat.decode_file`."""
    try:
        # Without pre-buffering a row group is read page by page, not held whole.
        # Pages that carry a checksum are held against it: a flipped bit is no value.
        reader = pq.ParquetFile(
            file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
        )
        stored = reader.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # The last one: a column's name that is no text.
        raise _corrupt(error) from None
    found = stored.remove_metadata()
    if schema is None:
        columns, schema = None, found
    else:
        missing = [name for name in schema.names if name not in found.names]
        if missing:
            raise InputError(
                f"Parquet: the file has no column {missing[0]!r}; it has "
                f"{', '.join(found.names)}. Correct the schema."
            )
        columns = schema.names

    def generate() -> Iterator[pa.RecordBatch]:
        pieces = reader.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)
        while True:
            try:
                batch = next(pieces, None)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                raise _corrupt(error) from None
            if batch is None:
                return
            yield _fitted(batch, schema)

    def close() -> None:
        reader.close(force=True)
        on_close()

    return Batches(schema, generate(), on_close=close)


def _corrupt(error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"Parquet: the file is truncated or is not Parquet ({error}). Fetch or write it again",
        offset=0,
    )


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        array = batch.column(field.name)
        if array.type != field.type:
            try:
                array = array.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise UnfitValueError(
                    field.name,
                    str(array.type),
                    where=f"the type {field.type} asked for",
                    remedy=f"{error}. Correct the schema.",
                ) from None
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
