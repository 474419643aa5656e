"""Parquet files read row group by row group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.batches import Batches
from tradewind.move.formats.parquet_kept import check_kept, first_unfit
from tradewind.move.formats.parquet_types import unwrapped, unwrapped_field
from tradewind.move.formats.text import is_text, unfit_type
from tradewind.move.interface import format_option, option
from tradewind.move.row_limit import MAX_ROW_BYTES, check_batch
from tradewind.move.types import UnfitValueError

__all__ = ["EMPTY", "read"]

EMPTY = b"tradewind.empty"
"""Key in a file's schema metadata: its column stands for none, and it has no rows."""

_FAR_SECONDS = 900_000_000_000  # of the year 30489
_ROWS = 16_384
_CELLS = 2 << 20
"""The most cells of a batch: a null takes as much room as a number."""
_BYTES = 64 << 20
"""Bytes of a batch, about, where rows of a row group are as long as its mean."""
_NANOSECONDS_REACH = (1 << 63) // 1000 - 1


def read(
    file: Any,
    schema: pa.Schema | None,
    on_close: Callable[[], None],
    max_record_bytes: int = MAX_ROW_BYTES,
) -> Batches:
    """Read a file; see `ParquetFormat.decode_file`."""
    try:
        # Without pre-buffering a row group is read page by page, not held whole.
        # Pages that carry a checksum are held against it: a flipped bit is no value.
        reader = pq.ParquetFile(
            file,
            pre_buffer=False,
            buffer_size=1 << 20,
            page_checksum_verification=True,
            # Nanoseconds would wrap around outside of the years 1677 to 2262.
            coerce_int96_timestamp_unit="us",
        )
        stored = reader.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # The last one: a column's name that is no text.
        raise _corrupt(error) from None
    if EMPTY in (stored.metadata or {}):
        return Batches(schema or pa.schema([], metadata={EMPTY: b"1"}), (), on_close=on_close)
    found = stored.remove_metadata()
    if schema is not None:
        schema = pa.schema([unwrapped_field(field) for field in schema], metadata=schema.metadata)
    if schema is None:
        columns, schema = None, pa.schema([unwrapped_field(field) for field in found])
    else:
        missing = [name for name in schema.names if name not in found.names]
        if missing:
            raise InputError(
                f"Parquet: the file has no column {missing[0]!r}; it has "
                f"{', '.join(found.names)}. Correct the schema."
            )
        columns = schema.names
    old = sorted(
        {
            leaf.path.split(".")[0]
            for leaf in map(reader.schema.column, range(len(reader.schema)))
            if leaf.physical_type == "INT96"
            and (columns is None or leaf.path.split(".")[0] in columns)
        }
    )

    named = old if columns is None else columns
    twice = [name for name in named if found.names.count(name) > 1]
    if twice:
        raise InputError(
            f"Parquet: the file has the column {twice[0]!r} more than once, so that it cannot be "
            "found by its name. Write the file again with other names."
        )

    def generate() -> Iterator[pa.RecordBatch]:
        try:
            rows = _rows(reader.metadata, len(schema))
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(error) from None
        pieces = reader.iter_batches(batch_size=rows, columns=columns, use_threads=False)
        fine: Iterator[pa.RecordBatch] = iter(())
        if old:
            fine = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20).iter_batches(
                batch_size=rows, columns=old, use_threads=False
            )
        before = 0
        while True:
            try:
                batch = next(pieces, None)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                raise _corrupt(error) from None
            if batch is None:
                return
            check_batch("Parquet", batch, max_record_bytes, before=before, advice=_advice)
            before += batch.num_rows
            if old:
                batch = _exact_int96(batch, next(fine), schema)
            yield _checked(_fitted(batch, schema))

    def close() -> None:
        reader.close(force=True)
        on_close()

    return Batches(schema, generate(), on_close=close)


def _advice(allowed: int) -> str:
    return format_option("max_record_bytes", str(allowed))


def _rows(metadata: pq.FileMetaData, columns: int) -> int:
    """Tell how many rows a batch may have: by the file alone, so that it is the same each time.

    Args:
        metadata: The file's; its row groups say how long their rows are.
        columns: How many are read.
    """
    rows = min(_ROWS, _CELLS // max(1, columns))
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        if group.num_rows > 0:
            rows = min(rows, _BYTES * group.num_rows // max(1, group.total_byte_size))
    return max(1, rows)


def _exact_int96(batch: pa.RecordBatch, fine: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Hold INT96 read as microseconds against the same read as nanoseconds: nothing is cut.

    Args:
        batch: All columns, those of INT96 in microseconds, which reach all years.
        fine: The columns of INT96 in nanoseconds, which wrap around outside of 1677 to 2262.
        schema: What is asked for; a column of nanoseconds gets them.
    """
    for name in fine.schema.names:
        coarse, exact = batch.column(name), fine.column(name)
        if not pa.types.is_timestamp(coarse.type):
            try:
                exact.cast(coarse.type)  # within lists and structs: none may have nanoseconds
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise _unfit_int96(name, str(error)) from None
            continue
        numbers = coarse.cast(pa.int64())
        # One microsecond less at both ends, where nanoseconds begin and end within one.
        near = pc.and_(
            pc.greater(numbers, -_NANOSECONDS_REACH), pc.less(numbers, _NANOSECONDS_REACH)
        )
        if schema.field(name).type == exact.type:
            far = coarse.filter(pc.invert(near))
            if far.null_count != len(far):
                raise _unfit_int96(name, str(far.drop_null()[0]))
            batch = batch.set_column(batch.schema.get_field_index(name), name, exact)
            continue
        nanoseconds = exact.cast(pa.int64())
        # floor division, as the reader does it
        back = pc.multiply(pc.cast(numbers.filter(near), pa.int64()), 1000)
        cut = pc.not_equal(back, nanoseconds.filter(near))
        if pc.any(cut, min_count=0).as_py():
            raise _unfit_int96(name, str(exact.filter(near).filter(cut)[0].value))
    return batch


def _unfit_int96(name: str, value: str) -> UnfitValueError:
    return UnfitValueError(
        name,
        value,
        where="the unit of its timestamps (Parquet, INT96)",
        remedy="Values with nanoseconds are read as timestamp[ns], which ends in 2262, far dates "
        f"as timestamp[us]: declare one, as with {option('schema', {name: 'timestamp[ns]'})}; a "
        "schema names all columns that are read.",
    )


def _corrupt(error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"Parquet: the file is truncated or is not Parquet ({error}). Fetch or write it again",
        offset=0,
    )


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Refuse text that is none: the reader hands on the bytes of a text column as they stand."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise InputError(
                    f"Parquet: the column {name!r} has values that cannot be of its type "
                    f"{column.type} ({error}). Fetch or write the file again, or declare a column "
                    f"of text as binary: {option('schema', {name: 'binary'})}."
                ) from None
        raise
    return batch


def _check_text(array: pa.Array, field: pa.Field) -> None:
    """Refuse what Arrow would spell with other years, or as a number without its unit."""
    if pa.types.is_duration(array.type) and is_text(field.type):
        raise unfit_type(field.name, array.type, f"{field.type}, from Parquet,")
    if not pa.types.is_timestamp(array.type) or pa.types.is_timestamp(field.type):
        return
    seconds = array.cast(pa.int64()).cast(pa.float64(), safe=False)
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[array.type.unit]
    far = pc.greater(pc.abs(seconds), float(_FAR_SECONDS * per))
    if pc.any(far, min_count=0).as_py():
        value = array.cast(pa.int64()).filter(far)[0].as_py()
        raise UnfitValueError(
            field.name,
            value,
            where=f"{field.type}, from {array.type} of Parquet,",
            remedy="Its year is too far from ours. Leave the column out of the schema, or name "
            "its own type there.",
        )


def _is_bytes(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind))


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    by_place = batch.schema.names == schema.names  # also where two have one name
    for place, field in enumerate(schema):
        array = batch.column(place if by_place else field.name)
        if isinstance(array, pa.ExtensionArray) and _is_bytes(field.type):
            array = array.storage  # bytes are asked for: those of a UUID are 16
        array = unwrapped(array)
        if array.type != field.type:
            _check_text(array, field)
            try:
                found = array.cast(field.type)
                check_kept(array, found, field)
                array = found
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise UnfitValueError(
                    field.name,
                    first_unfit(array, field.type),
                    where=f"the type {field.type} asked for, from {array.type} of Parquet,",
                    remedy=f"{error}. Correct the schema.",
                ) from None
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
