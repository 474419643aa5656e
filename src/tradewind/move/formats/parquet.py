"""Parquet: row groups of a fixed number of rows, whatever the batches are.

Source: https://parquet.apache.org/docs/file-format/. The types of `tradewind.move.types` and their
notes are kept in the Arrow schema that the file carries.

Memory: writing holds one row group as Arrow batches and once more encoded; reading one batch (of
16,384 rows; fewer where these are 64 MB, or two million cells), its row group's pages, and what
Parquet's reader buffers. Ten columns of numbers and twenty of text in row groups of 100,000 rows
are some 60 MB. A page is unpacked whole, and with it a value that is refused: some copies of the
longest row come on top. Parquet keeps 2 KB of each column of each row group until the file is
closed: columns x row groups x 2 KB. A table of 256 columns or more is gathered without its nulls
(`parquet_sparse`), so that its row groups are long; they become longer still, and take more
memory, where a file has 65,536 columns of row groups: 32 MB for each so many. So memory of such a
table grows with the square root of the rows at most.

Over 400 lines: the options, which are documented in full, beside what they decide.
"""

from __future__ import annotations

import io
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.formats import text
from tradewind.move.formats.parquet_read import EMPTY
from tradewind.move.formats.parquet_sparse import STEP, WIDE, sparse_groups
from tradewind.move.interface import option
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["ParquetFormat"]

_COMPRESSIONS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")


@dataclass(frozen=True)
class ParquetFormat(Format):
    """Parquet.

    Args:
        row_group_rows: Rows in each row group but the last.
        row_group_bytes: A row group ends earlier when it holds so many bytes of Arrow data, which
            bounds the memory of wide tables. Rows alone decide where, so it is the same each time.
        compression: ``none``, ``snappy``, ``gzip``, ``brotli``, ``lz4`` or ``zstd``.
        compression_level: What that compression takes; None for its own default.
        dictionary: Whether to write repeated values once, in columns whose values repeat: those of
            the first row group tell.
        statistics: Whether to write the least and greatest value of each column and row group.
        max_record_bytes: The longest row that is read, in bytes of its texts, bytes, lists and
            structs. A longer one is refused with its size, once its page has been unpacked.

    Raises:
        InputError: An option has a value that it cannot have.
    """

    row_group_rows: int = 100_000
    row_group_bytes: int = 32 << 20
    compression: str = "zstd"
    compression_level: int | None = None
    dictionary: bool = True
    statistics: bool = True
    max_record_bytes: int = 64 << 20

    name: ClassVar[str] = "parquet"
    extensions: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    content_type: ClassVar[str] = "application/vnd.apache.parquet"

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSIONS:
            raise InputError(
                f"Parquet: compression is {self.compression!r}; choose from "
                f"{', '.join(_COMPRESSIONS)}."
            )
        if self.row_group_rows < 1 or self.row_group_bytes < 1:
            raise InputError("Parquet: a row group needs at least one row and one byte.")
        if self.max_record_bytes < 1:
            raise InputError("Parquet: max_record_bytes is a number of bytes above 0.")

    # ---------------------------------------------------------------------------------- write

    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records; see `Format.encode`.

        Where there are neither columns nor rows, as of an empty collection, the file has the
        column ``_extra`` of text and a note (`EMPTY`) that it stands for none: other programs read
        no Parquet without columns.
        """
        if not batches.schema.names:
            batches = _without_columns(batches)
        with batches:
            _check(batches.schema)
            sink = _Sink()
            # Refuses wrong options before anything is read.
            self._writer(pa.BufferOutputStream(), batches.schema, None).close()
            groups = self._groups(batches)
            first = next(groups, None)
            writer = self._writer(sink, batches.schema, first)
            try:
                if first is not None:
                    _write(writer, first)
                    del first
                    yield from sink.drain()
                for group in groups:
                    _write(writer, group)
                    del group  # before the next one is gathered
                    yield from sink.drain()
            finally:
                writer.close()
            yield from sink.drain()

    def _writer(self, sink: Any, schema: pa.Schema, first: pa.Table | None) -> pq.ParquetWriter:
        """Make a writer, which wants to know of all columns at once whether their values repeat."""
        import pyarrow.parquet as pq

        try:
            return pq.ParquetWriter(
                sink,
                schema,
                version="2.6",
                compression=self.compression,
                compression_level=self.compression_level,
                use_dictionary=_repeating(first) if self.dictionary and first else False,
                write_statistics=self.statistics,
                store_schema=True,
                write_page_checksum=True,
            )
        except pa.ArrowInvalid as error:
            raise InputError(f"Parquet: {error}. Change the option.") from None

    def _groups(self, batches: Batches) -> Iterator[pa.Table]:
        """Gather rows into row groups; where they end depends on the rows alone."""
        columns = len(batches.schema)
        chunks = 0

        def limit() -> tuple[int, int]:
            nonlocal chunks
            factor = max(1, chunks // _CHUNKS)
            chunks += columns
            return factor * self.row_group_rows, factor * self.row_group_bytes

        if columns >= WIDE:
            yield from sparse_groups(
                batches, batches.schema, rows=self.row_group_rows, limit=limit, size=_size
            )
            return
        waiting: list[pa.RecordBatch] = []
        rows = 0
        size = 0

        def group() -> pa.Table:
            nonlocal rows, size
            table = pa.Table.from_batches(waiting, batches.schema)
            waiting.clear()
            rows = size = 0
            return table

        for batch in batches:
            whole = sum(map(_size, batch.columns))
            if rows + batch.num_rows < self.row_group_rows and size + whole < self.row_group_bytes:
                waiting.append(batch)
                rows += batch.num_rows
                size += whole
                continue
            # Rows are looked at in steps of a fixed grid, so that cuts of the input do not matter.
            while batch.num_rows:
                room = min(self.row_group_rows - rows, _STEP - rows % _STEP)
                taken = batch.slice(0, room)
                batch = batch.slice(taken.num_rows)
                waiting.append(taken)
                rows += taken.num_rows
                size += sum(map(_size, taken.columns))
                full = rows >= self.row_group_rows
                if full or (rows % _STEP == 0 and size >= self.row_group_bytes):
                    yield group()
        if waiting:
            yield group()

    # ----------------------------------------------------------------------------------- read

    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Read records; see `Format.decode`.

        Parquet's index stands at the end of a file, so the bytes are first written to a temporary
        file, in the folder that ``TMPDIR`` names. `decode_file` needs none.
        """
        spool: IO[bytes] = tempfile.TemporaryFile(prefix="tradewind-parquet-")  # noqa: SIM115
        try:
            for chunk in chunks:
                spool.write(chunk)
            spool.seek(0)
            return self.decode_file(spool, schema=schema, on_close=spool.close)
        except BaseException:
            spool.close()
            raise

    def decode_file(
        self,
        file: Any,
        *,
        schema: pa.Schema | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> Batches:
        """Read records from a file that can be read anywhere, row group by row group.

        Args:
            file: A binary file with ``read``, ``seek`` and ``tell``, or a `pyarrow.NativeFile`.
            schema: As in `Format.decode`: columns are found by name.
            on_close: Called when the batches are closed.

        Returns:
            Batches; see `Format.decode`.

        Raises:
            CorruptDataError: The file is truncated or is not Parquet.
            InputError: `schema` names a column that the file does not have.
        """
        from tradewind.move.formats.parquet_read import read

        return read(file, schema, on_close, self.max_record_bytes)


_STEP = STEP
_CHUNKS = 1 << 16
"""Columns of row groups that may be in one file before row groups become longer."""


def _size(array: pa.Array) -> int:
    """Bytes that values take: by their number and length alone, unlike Arrow's own ``nbytes``."""
    kind = array.type
    kinds = pa.types
    if kinds.is_dictionary(kind):
        return len(array) * int(kind.index_type.bit_width) // 8
    if kinds.is_fixed_size_binary(kind):
        return len(array) * int(kind.byte_width)
    if (
        text.is_text(kind)
        or kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_binary_view(kind)
    ):
        return 4 * len(array) + int(pc.sum(pc.binary_length(array)).as_py() or 0)
    if kinds.is_struct(kind):
        return sum(map(_size, array.flatten()))
    if kinds.is_map(kind):
        return 4 * len(array) + _size(array.cast(pa.list_(_entry(kind))).flatten())
    if kinds.is_nested(kind):
        return 4 * len(array) + _size(array.flatten())
    return len(array) * int(max(8, kind.bit_width)) // 8


def _repeating(group: pa.Table) -> list[str]:
    """Choose the columns that a dictionary is worth its time for, as Parquet calls them."""
    found = []
    for name, column in zip(group.column_names, group.columns, strict=True):
        kind = column.type
        if pa.types.is_nested(kind):
            found += _leaves(name, kind)
        elif pa.types.is_dictionary(kind):
            found.append(name)
        elif not pa.types.is_boolean(kind):  # which Parquet writes as bits
            try:
                distinct = pc.count_distinct(column).as_py()
            except pa.ArrowNotImplementedError:
                distinct = 0
            if distinct * _REPEATED <= group.num_rows:
                found.append(name)
    return found


_REPEATED = 8
"""How often values have to come on average, so that a dictionary is faster to write than they."""


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """Name the columns that Parquet makes of a nested type."""
    if pa.types.is_struct(kind):
        return [
            leaf
            for index in range(kind.num_fields)
            for leaf in _leaves(f"{path}.{kind.field(index).name}", kind.field(index).type)
        ]
    if pa.types.is_map(kind):
        return [
            *_leaves(f"{path}.key_value.key", kind.key_type),
            *_leaves(f"{path}.key_value.value", kind.item_type),
        ]
    if pa.types.is_nested(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    return [path]


def _entry(kind: pa.DataType) -> pa.DataType:
    return pa.struct([kind.key_field, kind.item_field])


class _Sink(io.RawIOBase):
    """What Parquet's writer writes to: kept until it is drained."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[bytes] = deque()
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._waiting.append(piece)
        self._at += len(piece)
        return len(piece)

    def drain(self) -> Iterator[bytes]:
        """Hand on what was written, in pieces of some megabytes."""
        piece: list[bytes] = []
        size = 0
        while self._waiting:
            piece.append(self._waiting.popleft())
            size += len(piece[-1])
            if size >= _PIECE or not self._waiting:
                yield b"".join(piece)
                piece.clear()
                size = 0


_PIECE = 2 << 20


def _write(writer: pq.ParquetWriter, group: pa.Table) -> None:
    try:
        writer.write_table(group, row_group_size=max(1, group.num_rows))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        for name, column in zip(group.column_names, group.columns, strict=True):
            if pa.types.is_temporal(column.type):
                raise UnfitValueError(
                    name, str(column.type), where="Parquet", remedy=f"Parquet says: {error}"
                ) from None
        raise InputError(f"Parquet: {error}. Convert the column first.") from None


def _without_columns(batches: Batches) -> Batches:
    """Give records that have no columns one in their stead, if there are no records."""

    def generate() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                raise InputError(
                    "Parquet cannot hold records without columns. Select at least one."
                )
        return
        yield

    schema = pa.schema([pa.field("_extra", pa.string())], metadata={EMPTY: b"1"})
    return Batches(schema, generate(), on_close=batches.close)


def _check(schema: pa.Schema) -> None:
    """Refuse what Parquet cannot hold, or not so that others read it."""
    names = schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"Column {twice[0]!r}: Parquet cannot hold two columns of one name. Rename one."
        )
    for field in schema:
        _check_type(field.name, field.type)


def _check_type(column: str, kind: pa.DataType) -> None:
    kinds = pa.types
    if kinds.is_null(kind):
        raise InputError(
            f"Column {column!r}: it has no type, as all its values are null. Declare one, as by "
            f"{option('schema', {column: 'string'})}; a schema names all columns of Parquet that "
            "are read. Or cast it where there is a query."
        )
    if (
        kinds.is_interval(kind)
        or kinds.is_union(kind)
        or kinds.is_run_end_encoded(kind)
        or (kinds.is_struct(kind) and kind.num_fields == 0)
    ):
        raise text.unfit_type(column, kind, "Parquet")
    if kinds.is_dictionary(kind):
        _check_type(column, kind.value_type)
    elif kinds.is_nested(kind):
        for index in range(kind.num_fields):
            _check_type(column, kind.field(index).type)
