"""Row groups of wide tables that are null nearly everywhere: all values, in little memory."""

from __future__ import annotations

import decimal
import io
import random
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.move.batches import Batches
from tradewind.move.formats import parquet_sparse
from tradewind.move.formats.parquet import ParquetFormat

KINDS = [
    pa.int64(),
    pa.string(),
    pa.float64(),
    pa.bool_(),
    pa.binary(),
    pa.decimal128(9, 2),
    pa.timestamp("us", "UTC"),
    pa.list_(pa.int32()),
    pa.struct([("a", pa.int8()), ("b", pa.string())]),
    pa.dictionary(pa.int8(), pa.string()),
]
VALUES = [
    7,
    "text",
    1.5,
    True,
    b"\0\xff",
    decimal.Decimal("1.25"),
    1_600_000_000_000_000,
    [1, None],
    {"a": 1, "b": None},
    "word",
]


def wide(rows: int, columns: int = parquet_sparse.WIDE + 44) -> pa.Table:
    """Columns that are full, half full, sparse, with runs of values, and empty, of all kinds."""
    chosen = random.Random(5)
    shares = [0.0, 0.002, 0.01, 0.5, 1.0]
    arrays, fields = [], []
    for at in range(columns):
        kind, value = KINDS[at % 10], VALUES[at % 10]
        share = shares[at // 10 % 5]
        cells = [value if chosen.random() < share else None for _ in range(rows)]
        if at // 50 % 2:
            cells[rows // 3 : rows // 3 + 20] = [value] * 20
        arrays.append(pa.array(cells, kind))
        fields.append(pa.field(f"c{at}", kind, nullable=share < 1 or kind == KINDS[9]))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def written(table: pa.Table, size: int, format: ParquetFormat) -> bytes:
    batches = Batches(table.schema, iter(table.to_batches(max_chunksize=size)))
    return b"".join(format.encode(batches))


def groups(data: bytes) -> list[int]:
    meta = pq.read_metadata(io.BytesIO(data))
    return [meta.row_group(at).num_rows for at in range(meta.num_row_groups)]


def test_all_values_arrive_and_row_groups_do_not_depend_on_the_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = wide(2500)
    found = set()
    for size in (2500, 333):
        data = written(table, size, ParquetFormat(row_group_bytes=1 << 19))
        assert pq.read_table(io.BytesIO(data)).equals(table)
        found.add(tuple(groups(data)))
    assert len(found) == 1
    assert all(rows % 1024 == 0 for rows in found.pop()[:-1])
    with monkeypatch.context() as patched:
        patched.setattr(parquet_sparse, "_LARGE", 0)
        data = written(table, 700, ParquetFormat())
        assert pq.read_table(io.BytesIO(data)).equals(table)
    assert groups(written(table, 700, ParquetFormat(row_group_rows=2000))) == [2000, 500]
    assert groups(written(table.slice(0, 0), 9, ParquetFormat())) in ([], [0])


def test_row_groups_become_longer_where_a_file_has_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradewind.move.formats.parquet._CHUNKS", 600)
    table = wide(1000)
    data = written(table, 350, ParquetFormat(row_group_rows=100))
    assert groups(data) == [100, 100, 100, 100, 200, 200, 200]
    assert pq.read_table(io.BytesIO(data)).equals(table)


def test_nulls_take_no_memory_of_their_own() -> None:
    rows, columns = 20 * 1024, 400
    before = pa.total_allocated_bytes()
    schema = pa.schema([pa.field(f"c{at}", pa.int64()) for at in range(columns)])
    nulls = pa.nulls(1024, pa.int64())

    def batches() -> Iterator[pa.RecordBatch]:
        for begin in range(0, rows, 1024):
            cells = [nulls] * columns
            cells[begin // 1024] = pa.array([begin] + [None] * 1023, pa.int64())
            yield pa.RecordBatch.from_arrays(cells, schema=schema)

    gathered = parquet_sparse.sparse_groups(
        batches(), schema, rows=rows, limit=lambda: (100_000, 1 << 20), size=lambda one: one.nbytes
    )
    (table,) = gathered
    assert table.num_rows == rows
    # As Arrow has them: 65 MB.
    assert pa.total_allocated_bytes() - before < 2 << 20


def test_wide_and_long_rows_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradewind.move.formats.parquet_read._CELLS", 30_000)
    monkeypatch.setattr("tradewind.move.formats.parquet_read._BYTES", 1 << 20)
    wide_file = pa.table({f"c{at}": pa.nulls(500, pa.int8()) for at in range(300)})
    # Of different lengths, as equal ones would be written once.
    long_file = pa.table({"a": [chr(97 + at % 26) * (60_000 + at) for at in range(90)]})
    for table, most in [(wide_file, 100), (long_file, 17)]:
        file = io.BytesIO(written(table, 1000, ParquetFormat(row_group_rows=400)))
        with ParquetFormat().decode_file(file) as batches:
            found = list(batches)
        assert max(batch.num_rows for batch in found) == most
        assert pa.Table.from_batches(found).equals(table)
