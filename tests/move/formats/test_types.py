"""Every type through every format and compression, and back: the values are the same."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from move.formats.tables import SCALARS, same, tables
from tradewind.move.batches import Batches
from tradewind.move.compression import compress, decompress
from tradewind.move.format import Format
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.systems.sagemaker.recordio_format import RecordIOFormat

FORMATS = [
    CsvFormat(),
    CsvFormat(delimiter=";", line_end="\r\n"),
    CsvFormat(quoting="all", delimiter="\t"),
    CsvFormat(null="\\N", header=False),
    CsvFormat(null="0"),
    CsvFormat(escape="\\", quote="'"),
    CsvFormat(delimiter="."),
    JsonLinesFormat(),
    JsonLinesFormat(decimals="string"),
    JsonLinesFormat(omit_null=True),
    ParquetFormat(),
    ParquetFormat(row_group_rows=2, compression="none", dictionary=False, statistics=False),
]


def encoded(format: Format, table: pa.Table, rows: int = 1_000_000) -> bytes:
    batches = Batches(table.schema, table.to_batches(max_chunksize=rows))
    return b"".join(format.encode(batches))


def decoded(format: Format, data: bytes, schema: pa.Schema | None, cut: int = 7) -> pa.Table:
    pieces = (data[start : start + cut] for start in range(0, len(data), cut))
    with format.decode(pieces, schema=schema) as batches:
        return pa.Table.from_batches(batches, batches.schema)


def distinct(table: pa.Table) -> pa.Table:
    return table.rename_columns([f"{name}{i}" for i, name in enumerate(table.column_names)])


@pytest.mark.parametrize("format", FORMATS, ids=repr)
@given(table=tables().map(distinct), cut=st.integers(1, 40))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_values_survive(format: Format, table: pa.Table, cut: int) -> None:
    data = encoded(format, table)
    assert data == encoded(format, table, rows=1)
    assert data == encoded(format, table, rows=2)
    found = decoded(format, data, table.schema, cut)
    assert same(found, table), (found.to_pydict(), data)


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS, ids=repr)
@given(table=tables(max_rows=30, max_columns=20).map(distinct), cut=st.integers(1, 400))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_values_survive_long(format: Format, table: pa.Table, cut: int) -> None:
    found = decoded(format, encoded(format, table, rows=3), table.schema, cut)
    assert same(found, table)


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: f"{scalar[0]} {scalar[1]}")
@pytest.mark.parametrize("format", [CsvFormat(), JsonLinesFormat(), ParquetFormat()], ids=repr)
def test_an_empty_table_and_one_of_nulls(format: Format, scalar: tuple) -> None:
    schema = pa.schema([pa.field("only", scalar[0])])
    for table in (schema.empty_table(), pa.table([pa.nulls(3, scalar[0])], schema=schema)):
        assert same(decoded(format, encoded(format, table), schema), table)


def test_parquet_keeps_types_and_notes_by_itself() -> None:
    @given(table=tables().map(distinct))
    @settings(max_examples=60, deadline=None)
    def check(table: pa.Table) -> None:
        found = decoded(ParquetFormat(), encoded(ParquetFormat(), table), None)
        assert found.schema.types == table.schema.types
        assert [f.metadata for f in found.schema] == [f.metadata for f in table.schema]
        assert same(found, table)

    check()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("level", [None, 3])
@given(pieces=st.lists(st.binary(max_size=300), max_size=5), cut=st.integers(1, 100))
@settings(max_examples=40, deadline=None)
def test_compressions(compression: str, level: int | None, pieces: list[bytes], cut: int) -> None:
    def cuts(data: bytes) -> Iterator[bytes]:
        return (data[start : start + cut] for start in range(0, len(data), cut))

    whole = b"".join(pieces)
    packed = b"".join(compress(pieces, compression, level))
    assert packed == b"".join(compress(cuts(whole), compression, level))
    assert b"".join(decompress(cuts(packed))) == whole
    assert b"".join(decompress(cuts(packed + packed), compression)) == whole * 2
    for end in range(0, len(packed) - 1, max(1, len(packed) // 7)):
        with pytest.raises(Exception, match=r"cut off|empty"):
            list(decompress(cuts(packed[:end]), compression))


_NUMBERS = [scalar for scalar in SCALARS if scalar[0] in (pa.int8(), pa.int16(), pa.float32())]


@given(table=tables(scalars=_NUMBERS, lists=False, nulls=False).map(distinct))
@settings(max_examples=60, deadline=None)
def test_numbers_through_recordio(table: pa.Table) -> None:
    data = encoded(RecordIOFormat(), table)
    assert data == encoded(RecordIOFormat(), table, rows=1)
    assert same(decoded(RecordIOFormat(), data, table.schema), table)
