"""JSON lines, Parquet and RecordIO: honest words for what cannot be written or read."""

from __future__ import annotations

import io
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.batches import Batches
from tradewind.move.compression import format_of
from tradewind.move.format import Format
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.registry import FORMATS, load
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.systems.sagemaker.recordio_format import RecordIOFormat

JSON = JsonLinesFormat()


def encoded(table: pa.Table, format: Format = JSON) -> bytes:
    return b"".join(format.encode(Batches(table.schema, table.to_batches())))


def decoded(data: bytes, schema: pa.Schema | None = None, format: Format = JSON) -> pa.Table:
    with format.decode([data], schema=schema) as batches:
        return pa.Table.from_batches(batches, batches.schema)


def test_values_as_they_are_written() -> None:
    table = pa.table(
        {
            "number": pa.array([Decimal("1.10"), None], pa.decimal128(20, 2)),
            "bytes": [b"\x00\xff", None],
            "at": pa.array([500_000, None], pa.timestamp("us", "UTC")),
            "naive": pa.array([0, -(10**17)], pa.timestamp("us")),
            "text": ['a"\\\n\x01\u2028🙂', ""],
            "list": [[1, None], None],
            "map": pa.array([[("k", 1.5)], None], pa.map_(pa.string(), pa.float64())),
        }
    ).append_column(field("doc", pa.string(), "json"), pa.array(['{"a":\n1.0}', None]))
    assert encoded(table).decode() == (
        '{"number":1.10,"bytes":"AP8=","at":"1970-01-01T00:00:00.5Z",'
        '"naive":"1970-01-01T00:00:00","text":"a\\"\\\\\\n\\u0001\u2028🙂","list":[1,null],'
        '"map":{"k":1.5},"doc":{"a": 1.0}}\n'
        '{"number":null,"bytes":null,"at":null,"naive":"-1199-02-15T14:13:20","text":"",'
        '"list":null,"map":null,"doc":null}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_is_an_error_or_null(value: float) -> None:
    table = pa.table({"c": [1.5, value]})
    with pytest.raises(UnfitValueError, match=r"Column 'c'.*(NaN|Infinity)"):
        encoded(table)
    assert encoded(table, JsonLinesFormat(nan="null")) == b'{"c":1.5}\n{"c":null}\n'


def test_what_is_no_json_is_an_error() -> None:
    table = pa.table([["{"]], schema=pa.schema([field("c", pa.string(), "json")]))
    with pytest.raises(UnfitValueError, match="Column 'c'"):
        encoded(table)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'[{"a":1}]', "begins with an array.*jq"),
        (b'{"a":1}\n{"a":\n', "line 2 is not JSON.*byte offset 8"),
        (b'{"a":1}\n{"a":2', "line 2 is not JSON"),
        (b'{"a":1}{"a":2}\n', "line 1 is not JSON"),
        (b'{"a":1}\n5\n', "line 2 is not an object"),
        (b'{"a":"\xe9"}\n', "byte 0xe9 in line 1 is not UTF-8"),
        (b'{"a":NaN}\n', "line 1 is not JSON"),
    ],
)
@pytest.mark.parametrize("schema", [None, pa.schema([("a", pa.int64())])])
def test_what_is_wrong_is_said(data: bytes, says: str, schema: pa.Schema | None) -> None:
    with pytest.raises(CorruptDataError, match=rf"JSON lines: .*{says}"):
        decoded(data, schema)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (pa.int64(), "1.5"),
        (pa.int8(), "300"),
        (pa.int64(), '"1"'),
        (pa.string(), "1"),
        (pa.bool_(), "1"),
        (pa.float64(), "1e400"),
        (pa.decimal128(4, 2), "1.234"),
        (pa.binary(), '"?"'),
        (pa.timestamp("us", "UTC"), '"2020-01-01T00:00:00"'),
        (pa.list_(pa.int64()), "{}"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_named(kind: pa.DataType, word: str) -> None:
    with pytest.raises(UnfitValueError, match="Column 'c'"):
        decoded(f'{{"c":null}}\n{{"c":{word}}}\n'.encode(), pa.schema([("c", kind)]))


def test_types_are_told_from_the_first_lines() -> None:
    data = (
        b'{"i":1,"f":1,"big":1,"s":"x","l":[1,2],"o":{"a":1.10},"mixed":1,"none":null}\n'
        b'{"i":2,"f":1.5,"big":12345678901234567.89,"l":[],"mixed":"x"}\n'
    )
    found = decoded(data)
    assert found.to_pydict() == {
        "i": [1, 2],
        "f": [1.0, 1.5],
        "big": ["1", "12345678901234567.89"],
        "s": ["x", None],
        "l": [[1, 2], []],
        "o": ['{"a":1.10}', None],
        "mixed": ["1", '"x"'],
        "none": [None, None],
    }
    assert logical_type(found.schema.field("big")) == "decimal"
    assert logical_type(found.schema.field("o")) == "json"


def test_a_member_that_comes_later_is_an_error() -> None:
    lines = b'{"a":1}\n' * 600_000
    with pytest.raises(UnfitValueError, match="Column 'b'"):
        decoded(lines + b'{"a":1,"b":2}\n')


def test_parquet_row_groups_do_not_depend_on_the_batches() -> None:
    import pyarrow.parquet as pq

    table = pa.table({"a": range(10_000), "s": ["x" * 100] * 10_000})
    format = ParquetFormat(row_group_rows=3000)
    data = encoded(table, format)
    assert data == b"".join(
        format.encode(Batches(table.schema, table.to_batches(max_chunksize=777)))
    )
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [3000] * 3 + [1000]
    small = ParquetFormat(row_group_bytes=200_000)
    assert encoded(table, small) == b"".join(
        small.encode(Batches(table.schema, table.to_batches(max_chunksize=777)))
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({"c": pa.nulls(1)}), r"'c': it has no type.* schema=\{\"c\": \"string\"\}"),
        (pa.table([[1], [2]], names=["c", "c"]), "Column 'c': Parquet cannot hold two columns"),
        (pa.table({"c": pa.array([None], pa.month_day_nano_interval())}), "Column 'c'"),
        (pa.table({"c": [1]}).select([]), "without columns"),
    ],
)
def test_what_parquet_cannot_hold(table: pa.Table, says: str) -> None:
    with pytest.raises(InputError, match=says):
        encoded(table, ParquetFormat())


def test_a_truncated_parquet_file() -> None:
    data = encoded(pa.table({"c": range(1000)}), ParquetFormat())
    for end in (0, 4, len(data) // 2, len(data) - 1):
        with pytest.raises(CorruptDataError, match="Parquet: the file is truncated"):
            decoded(data[:end], format=ParquetFormat())


def test_recordio_names_what_it_cannot_hold() -> None:
    with pytest.raises(InputError, match="Column 't': RecordIO holds numbers only"):
        encoded(pa.table({"t": ["x"]}), RecordIOFormat())
    with pytest.raises(UnfitValueError, match="Column 'n'"):
        encoded(pa.table({"n": [1.0, None]}), RecordIOFormat())
    with pytest.raises(UnfitValueError, match="Column 'n'"):
        encoded(pa.table({"n": [1 << 24 | 1, 1 << 25]}), RecordIOFormat())
    with pytest.raises(InputError, match="label 'y'"):
        encoded(pa.table({"n": [1.0]}), RecordIOFormat(label="y"))


def test_names_of_files_tell_their_format() -> None:
    for name in FORMATS:
        format = load(FORMATS, name, what="format")
        for end in format.extensions:
            assert format_of(f"a/b.x{end}.gz") == (format(), "gzip")
            assert format_of(f"{end.upper()}.zst") == (format(), "zstd")
    assert format_of("a.csv/b") == (None, None)


@pytest.mark.parametrize("nested", [False, True])
def test_text_in_parquet_that_is_none_is_refused_by_its_column(nested: bool) -> None:
    offsets = pa.array([0, 2, 4], pa.int32()).buffers()[1]
    text: pa.Array = pa.Array.from_buffers(
        pa.string(), 2, [None, offsets, pa.py_buffer(b"\xc3\x28ab")]
    )
    column = pa.ListArray.from_arrays([0, 1, 2], text) if nested else text
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "label": column}), sink)
    with pytest.raises(InputError, match=r"'label'.*UTF8"):
        decoded(sink.getvalue(), format=ParquetFormat())
    if not nested:
        binary = pa.schema([("label", pa.binary())])
        found = decoded(sink.getvalue(), binary, ParquetFormat())
        assert found["label"].to_pylist() == [b"\xc3\x28", b"ab"]
