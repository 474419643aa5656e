"""Generated tables of every type in `tradewind.move.types`."""

from __future__ import annotations

import decimal
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tradewind.move.types import field

WIDE = decimal.Context(prec=100)
_YEAR_1 = -62_135_596_800_000_000
_YEAR_9999 = 253_402_300_799_999_999
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        "NULL",
        "null",
        '"',
        '""',
        ",",
        "\n",
        "\r\n",
        "\r",
        "\\.",
        "\\N",
        " a ",
        "\t",
        "\0",
        "🙂",
        "'",
    ]
)
_JSON = st.sampled_from(
    [
        "{}",
        "[]",
        "1",
        '"a"',
        '{"a": 1.10}',
        '{"b":[1, null, "x\\ny"]}',
        "123456789012345678901.5",
        "true",
    ]
)


def _moments(least: int, most: int) -> st.SearchStrategy[int]:
    near = st.integers(least, most)
    whole = near.map(lambda number: number - number % 1_000_000)
    return near | whole | st.sampled_from([0, -1, 1, least, most])


def _float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    return (st.integers(-most, most) | st.sampled_from([0, 1, -1, most])).map(
        lambda number: Decimal(number).scaleb(-scale, context=WIDE)
    )


_FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1e15, 1e16, 1e-5, 0.0001, 5e-324, 1.7976931348623157e308, 0.1, 123456789.125]
)
_FLOATS32 = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from(
    [_float32(1e6), _float32(999999.5), _float32(1e-5), _float32(3.4e38), 16777216.0]
)


def _integers(kind: pa.DataType) -> st.SearchStrategy[int]:
    bits = kind.bit_width
    if pa.types.is_signed_integer(kind):
        least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    else:
        least, most = 0, (1 << bits) - 1
    return st.integers(least, most) | st.sampled_from([0, least, most])


INTEGERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()
]  # fmt: skip

SCALARS: list[tuple[pa.DataType, str | None, st.SearchStrategy[Any]]] = [
    (pa.bool_(), None, st.booleans()),
    *((kind, None, _integers(kind)) for kind in INTEGERS),
    (pa.float32(), None, _FLOATS32),
    (pa.float64(), None, _FLOATS),
    (pa.decimal128(38, 10), None, _decimals(38, 10)),
    (pa.decimal128(9, 0), None, _decimals(9, 0)),
    (pa.decimal128(5, 5), None, _decimals(5, 5)),
    (pa.decimal256(76, 30), None, _decimals(76, 30)),
    (pa.string(), "decimal", _decimals(50, 25).map(lambda number: format(number, "f"))),
    (pa.string(), None, _TEXT),
    (pa.large_string(), None, _TEXT),
    (pa.binary(), None, st.binary(max_size=12)),
    (pa.date32(), None, _moments(_YEAR_1, _YEAR_9999).map(lambda us: us // 86_400_000_000)),
    (pa.time64("us"), None, st.integers(0, 86_399_999_999)),
    (pa.timestamp("us"), None, _moments(_YEAR_1, _YEAR_9999)),
    (pa.timestamp("us", tz="UTC"), None, _moments(_YEAR_1, _YEAR_9999)),
    (pa.timestamp("us", tz="UTC"), None, _moments(-(10**17), 10**18)),
    (pa.date32(), None, st.integers(-1_000_000, 5_000_000)),
    (pa.string(), "interval", st.just("P1Y2M3DT4H5M6.789S")),
    (pa.string(), "timetz", st.just("12:34:56.5+05:30")),
    (pa.string(), "json", _JSON),
    (pa.string(), "uuid", st.uuids().map(str)),
    (pa.string(), "enum", st.sampled_from(["happy", "so, so", ""])),
]
"""Arrow type, note, and values as `array` takes them."""


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make an array; temporal values are numbers: Python's own end at the year 9999."""
    if pa.types.is_temporal(kind):
        numbers = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        return pa.array(values, numbers).cast(kind)
    return pa.array(values, kind)


def _lists(scalar: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    kind, logical, values = scalar
    inner = field("item", kind, logical)
    return pa.list_(inner), None, st.lists(st.none() | values, max_size=3)


def _nested_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    flat = [item for value in values if value is not None for item in value]
    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + len(value or ()))
    nulls = [value is None for value in values]
    at = pa.array(
        [None if null else offset for offset, null in zip(offsets, [*nulls, False], strict=True)],
        pa.int32(),
    )
    inner = make(flat, kind.value_type)
    return pa.ListArray.from_arrays(at, inner, type=kind)


def make(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make an array of a scalar type or a list of one."""
    if pa.types.is_list(kind):
        return _nested_array(values, kind)
    return array(values, kind)


@st.composite
def tables(
    draw: st.DrawFn,
    *,
    scalars: list[tuple[pa.DataType, str | None, st.SearchStrategy[Any]]] | None = None,
    lists: bool = True,
    max_rows: int = 6,
    max_columns: int = 5,
    nulls: bool = True,
) -> pa.Table:
    """Draw a table: some columns of some types, rows with nulls."""
    kinds = list(scalars or SCALARS)
    if lists:
        # JSON within lists is the same JSON, but may be spaced otherwise.
        kinds += [_lists(scalar) for scalar in kinds if scalar[1] != "json"]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=max_columns))
    rows = draw(st.integers(0, max_rows))
    fields, columns = [], []
    for index, (kind, logical, values) in enumerate(chosen):
        name = draw(st.sampled_from([f"c{index}", f"c {index}", f'c"{index}', f"ü,{index}"]))
        fields.append(field(name, kind, logical))
        value = st.none() | values if nulls else values
        columns.append(make(draw(st.lists(value, min_size=rows, max_size=rows)), kind))
    return pa.table(columns, schema=pa.schema(fields))


def same(one: pa.Table, other: pa.Table) -> bool:
    """Compare values and types; NaN equals NaN, and -0.0 is not 0.0."""
    if one.schema.types != other.schema.types or one.num_rows != other.num_rows:
        return False
    return all(
        _told(a, kind) == _told(b, kind)
        for a, b, kind in zip(one.columns, other.columns, one.schema.types, strict=True)
    )


def _told(column: pa.ChunkedArray, kind: pa.DataType) -> list[Any]:
    if pa.types.is_list(kind):
        inner = pa.types.is_temporal(kind.value_type)
        if inner:
            target = pa.int32() if pa.types.is_date32(kind.value_type) else pa.int64()
            column = column.cast(pa.list_(target))
        return [None if v is None else [repr(item) for item in v] for v in column.to_pylist()]
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    return [repr(value) for value in column.to_pylist()]


__all__ = ["SCALARS", "WIDE", "make", "same", "tables"]
