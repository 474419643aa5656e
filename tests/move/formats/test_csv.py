"""CSV: the bytes that PostgreSQL's COPY writes, and honest words for what cannot be read."""

from __future__ import annotations

import os
import subprocess
from decimal import Decimal

import pyarrow as pa
import pytest

from tradewind.errors import CorruptDataError, InputError
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.types import UnfitValueError


def encoded(table: pa.Table, format: CsvFormat | None = None) -> bytes:
    return b"".join((format or CsvFormat()).encode(Batches(table.schema, table.to_batches())))


def decoded(data: bytes, schema: pa.Schema | None = None, **options: object) -> pa.Table:
    with CsvFormat(**options).decode([data], schema=schema) as batches:  # type: ignore[arg-type]
        return pa.Table.from_batches(batches, batches.schema)


def column(*values: object, type: pa.DataType) -> pa.Table:
    return pa.table({"c": pa.array(values, type)})


_US = 1_000_000
_COPY: list[tuple[str, str, pa.Array]] = [
    (
        "double precision",
        "0,-0,1,1e15,999999999999999,1e14,0.0001,0.00001,1e-6,5e-324,1.7976931348623157e308,"
        "0.1,0.30000000000000004,123456.789,Infinity,-Infinity,NaN,1e22,12345678901234567890",
        pa.float64(),
    ),
    (
        "real",
        "0,-0,1,1e6,999999,0.0001,0.00001,16777216,3.4028235e38,1e-45,0.1,123456.7,Infinity,NaN",
        pa.float32(),
    ),
]


@pytest.mark.parametrize(("name", "values", "kind"), _COPY, ids=lambda value: str(value)[:9])
def test_floats_are_spelled_as_copy_spells_them(
    local_postgres: Systems, name: str, values: str, kind: pa.DataType
) -> None:
    words = values.split(",")
    array = pa.array([float(word) for word in words], pa.float64()).cast(kind)
    query = " UNION ALL ".join(f"SELECT {i}, '{word}'::{name}" for i, word in enumerate(words))
    assert encoded(pa.table({"i": range(len(words)), "c": array})) == _copy(
        local_postgres, f"SELECT * FROM ({query}) AS t(i, c) ORDER BY 1"
    )


def test_all_else_is_spelled_as_copy_spells_it(local_postgres: Systems) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "text": ["", None, 'quotes " and,\nlines \\. \\N'],
            "odd, name": ["\r", " space ", "\\."],
            "amount": pa.array([Decimal(0), Decimal("-12.5"), None], pa.decimal128(38, 10)),
            "flag": [True, False, None],
            "at": pa.array([0, 1_577_836_800_500_000, -(10**17)], pa.timestamp("us", "UTC")),
            "naive": pa.array([253_402_300_800 * _US, -1, None], pa.timestamp("us")),
            "day": pa.array([-800_000, 0, 3_000_000], pa.date32()),
            "clock": pa.array([0, 1, 86_399_999_999], pa.time64("us")),
            "bytes": pa.array([b"", b"\x00\xffa", None], pa.binary()),
            "": ["emoji 🙂", "NULL", "x;y"],
        }
    )  # fmt: skip
    query = r"""
        SELECT * FROM (VALUES
        (1, '', E'\r', 0.0000000000, true, timestamptz '1970-01-01 00:00:00+00',
         timestamp '10000-01-01 00:00:00', date '0222-09-04 BC', time '00:00:00', ''::bytea,
         'emoji 🙂'),
        (2, NULL, ' space ', -12.5000000000, false, '2020-01-01 00:00:00.5+00',
         '1969-12-31 23:59:59.999999', '1970-01-01', '00:00:00.000001', '\x00ff61', 'NULL'),
        (3, E'quotes " and,\nlines \\. \\N', '\.', NULL, NULL, '1200-02-15 14:13:20+00 BC',
         NULL, '10183-09-21', '23:59:59.999999', NULL, 'x;y'))
        AS t(id, text, "odd, name", amount, flag, at, naive, day, clock, bytes, last)
    """
    expected = _copy(local_postgres, query).replace(b"bytes,last\n", b'bytes,""\n')
    assert encoded(table) == expected


@pytest.mark.parametrize("words", [["", None, "\\.", "a"], [None], [""], ["\\."]])
def test_a_single_column_as_copy_writes_it(
    local_postgres: Systems, words: list[str | None]
) -> None:
    rows = ", ".join("(NULL)" if word is None else f"('{word}')" for word in words)
    data = encoded(column(*words, type=pa.string()))
    assert data == _copy(local_postgres, f"SELECT * FROM (VALUES {rows}) AS t(c)")
    assert decoded(data, pa.schema([("c", pa.string())])).to_pydict() == {"c": words}


def _copy(systems: Systems, query: str) -> bytes:
    return subprocess.run(
        ["psql", "-Xq", "-c", f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)"],
        env=os.environ
        | dict(systems.environment)
        | {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"},
        check=True,
        capture_output=True,
    ).stdout


# ---------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n3\n", "record 2 has 1 values, the file has 2 columns.*byte offset 8"),
        (b"a,b\n1,2\n3,4,5\n", "record 2 has 3 values, the file has 2 columns"),
        (b'a,b\n1,"2\n', "a quote stands in the wrong place or is never closed"),
        (b"a,b\n1,2\n3,\xe9\n", "byte 0xe9 in record 2 is not UTF-8.*encoding.*byte offset 10"),
        (b"a,\xe9\n1,2\n", "byte 0xe9 in the header is not UTF-8"),
        (b"a\rb\rc\r", "carriage returns alone"),
        (b'a,b\n1,"x\n2,3\n4,"y"\n', "quote"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, says: str) -> None:
    with pytest.raises(CorruptDataError, match=rf"(?s)CSV: .*{says}"):
        decoded(data)


@pytest.mark.parametrize(
    ("data", "says"), [(b"a,a\n1,2\n", "more than once"), (b"a,\n1,2\n", "without a name")]
)
def test_names_have_to_be_plain(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        decoded(data)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no column 'z'; it has a, b"):
        decoded(b"a,b\n1,2\n", pa.schema([("z", pa.int64())]))


def test_columns_by_name_and_not_all() -> None:
    found = decoded(b"a,b,c\n1,2,3\n", pa.schema([("c", pa.int8()), ("a", pa.string())]))
    assert found.to_pydict() == {"c": [3], "a": ["1"]}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (pa.int8(), "128"),
        (pa.uint64(), "-1"),
        (pa.int64(), ""),
        (pa.int64(), "1.5"),
        (pa.float64(), "1e400"),
        (pa.decimal128(5, 2), "1.234"),
        (pa.decimal128(5, 2), "NaN"),
        (pa.bool_(), "maybe"),
        (pa.date32(), "2020-02-30"),
        (pa.time64("us"), "24:00:00"),
        (pa.timestamp("us"), "2020-01-01 00:00:00.1234567"),
        (pa.timestamp("us"), "2020-01-01 00:00:00+00"),
        (pa.timestamp("us", "UTC"), "2020-01-01 00:00:00"),
        (pa.timestamp("us", "UTC"), "infinity"),
        (pa.binary(), "00"),
        (pa.binary(), "\\x0"),
        (pa.binary(), "\\x0g"),
        (pa.list_(pa.int64()), "[1,"),
        (pa.list_(pa.int64()), '[""a""]'),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_named(kind: pa.DataType, word: str) -> None:
    with pytest.raises(UnfitValueError, match=r"Column 'c': .*cannot hold the value") as caught:
        decoded(f'n,c\n1,\n2,"{word}"\n'.encode(), pa.schema([("c", kind)]))
    assert word[:3].strip('"[') in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (pa.timestamp("us", "UTC"), "2020-01-01T05:30:00.25+05:30", 1_577_836_800_250_000),
        (pa.timestamp("us", "UTC"), "2020-01-01 00:00:00Z", 1_577_836_800_000_000),
        (pa.timestamp("us", "UTC"), "1900-01-01 00:19:32+00:19:32", -2_208_988_800_000_000),
        (pa.timestamp("us"), "0001-12-31 23:59:59 BC", -62_135_596_801_000_000),
        (pa.date32(), "-0001-01-01", -719_893),
        (pa.uint64(), "18446744073709551615", 2**64 - 1),
        (pa.bool_(), "true", True),
    ],
)
def test_other_spellings(kind: pa.DataType, word: str, value: object) -> None:
    found = decoded(f"c\n{word}\n".encode(), pa.schema([("c", kind)]))["c"]
    if pa.types.is_temporal(kind):
        found = found.cast(pa.int32() if kind == pa.date32() else pa.int64())
    assert found.to_pylist() == [value]


def test_types_are_told_from_the_data() -> None:
    data = (
        b"i,f,exact,code,flag,day,naive,zoned,text,nothing\n"
        b"1,1.5,12345678901234567.89,007,t,2020-01-01,2020-01-01 00:00:00,2020-01-01T00:00:00Z,"
        b'"",\n'
        b"-2,1e-5,1,010,f,1899-12-31,2020-01-01 00:00:00.5,2020-01-01 00:00:00+01,x,\n"
    )
    found = decoded(data)
    assert [str(kind) for kind in found.schema.types] == [
        "int64", "double", "string", "string", "bool", "date32[day]", "timestamp[us]",
        "timestamp[us, tz=UTC]", "string", "string",
    ]  # fmt: skip
    assert found["exact"].to_pylist() == ["12345678901234567.89", "1"]
    assert found["text"].to_pylist() == ["", "x"]


def test_a_float_that_would_lose_digits_later_is_an_error() -> None:
    first = b"c\n" + b"1.5\n" * 1_500_000
    with pytest.raises(UnfitValueError, match="more digits than a float keeps"):
        decoded(first + b"12345678901234567.89\n")


def test_blocks_are_cut_between_records() -> None:
    words = [f'line one {i}\nline "two",\r\n' * 20 for i in range(20_000)] + ["end"]
    table = pa.table({"c": words, "i": range(len(words))})
    assert decoded(encoded(table), table.schema).equals(table)


def test_a_quote_never_closed_does_not_fill_the_memory() -> None:
    chunks = (b'a,b\n1,"' if i == 0 else b"x,y\n" * 250_000 for i in range(100))
    with pytest.raises(CorruptDataError, match=r"may never be closed there"):
        list(CsvFormat(max_record_bytes=8 << 20).decode(chunks))


def test_the_mark_of_utf8_is_not_data() -> None:
    assert decoded(b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,\r\n").to_pydict() == {
        "a": [1, 2],
        "b": ["x", None],
    }


def test_memory_is_flat() -> None:
    batch = pa.record_batch({"i": list(range(50_000)), "s": ["some, text"] * 50_000})

    def peak(times: int) -> int:
        most = 0
        encoder = CsvFormat().encode(Batches(batch.schema, (batch for _ in range(times))))
        with CsvFormat().decode(encoder, schema=batch.schema) as found:
            for _ in found:
                most = max(most, pa.total_allocated_bytes())
        return most

    few = peak(20)
    assert peak(60) < few * 1.3 + (1 << 20)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ",", "quote": ","},
        {"quote": "\n"},
        {"null": "a,b"},
        {"line_end": "\r"},
        {"quoting": "some"},
        {"nested": "xml"},
    ],
    ids=str,
)
def test_options_that_make_no_sense(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="CSV: "):
        CsvFormat(**options)  # type: ignore[arg-type]


def test_nested_values_can_be_refused() -> None:
    table = pa.table({"c": [[1]]})
    with pytest.raises(InputError, match="Column 'c': CSV cannot hold the type list"):
        encoded(table, CsvFormat(nested="error"))
    with pytest.raises(InputError, match="duration"):
        encoded(pa.table({"c": pa.array([1], pa.duration("s"))}))
