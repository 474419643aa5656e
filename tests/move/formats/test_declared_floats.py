"""Columns that are declared as floats keep the digits of a text, or refuse it."""

from __future__ import annotations

import datetime
import decimal
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.json_digits import has_rounded_numbers
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.interface import interface
from tradewind.move.tables.exact import is_rounded, is_rounded_float

KEPT = [
    "0.1", "1.50", "007.25", "0.30000000000000004", "0.10000000000000001", "-1e-05", "1E+300",
    "8.123456789012345e-05", "0.00008123456789012345", "9007199254740992", "15e21",
    "0.1000000000000000055511151231257827", "5e-324", "2.5e-10", "NaN", "-Infinity",
]  # fmt: skip
ROUNDED = [
    "0.12345678901234567890", "9007199254740993", "-9007199254740993.0", "1e-400", "4e-324",
    "12345678901234567890.12", "0.30000000000000005551",
]  # fmt: skip
SINGLE = {"0.1": False, "16777217": True, "0.12345678": False, "0.123456789": True, "1e-46": True}


def of_csv(words: list[str], kind: pa.DataType, **options: str) -> list:
    text = "\n".join(["v", *words, ""]).encode()
    schema = pa.schema([pa.field("v", kind)])
    with CsvFormat(**options).decode([text], schema=schema) as batches:
        return [row["v"] for batch in batches for row in batch.to_pylist()]


def of_json(words: list[str], kind: pa.DataType, **options: str) -> list:
    text = "".join(f'{{"v":{word}}}\n' for word in words).encode()
    schema = pa.schema([pa.field("v", kind)])
    with JsonLinesFormat(**options).decode([text], schema=schema) as batches:
        return [row["v"] for batch in batches for row in batch.to_pylist()]


def test_what_comes_back_is_read() -> None:
    found = of_csv(KEPT, pa.float64())
    assert found[:-2] == [float(word) for word in KEPT[:-2]]
    words = [word for word in KEPT if word[-1].isdecimal() and word[:2] != "00"]
    assert of_json(words, pa.float64()) == [float(word) for word in words]
    lists = of_json([f"[{word}]" for word in words], pa.list_(pa.float64()))
    assert lists == [[float(word)] for word in words]


@pytest.mark.parametrize("word", ROUNDED)
def test_what_would_be_rounded_is_refused(word: str) -> None:
    inner = pa.struct([pa.field("x", pa.list_(pa.float64()))])
    for read, words, kind in (
        (of_csv, ["0.1", word], pa.float64()),
        (of_json, ["0.1", word], pa.float64()),
        (of_json, ["null", f'{{"x":[1,{word}]}}'], inner),
        (of_csv, [f'"{{""x"":[1,{word}]}}"'], inner),
    ):
        with interface("cli"), pytest.raises(InputError) as caught:
            read(words, kind)
        assert "'v'" in str(caught.value)
        assert "--set-from floats=nearest" in str(caught.value)
        assert "schema=" in str(caught.value)
        found = str(read(words, kind, floats="nearest")[-1])
        assert str(float(word)) in found


def test_floats_of_other_widths() -> None:
    for word, rounded in SINGLE.items():
        for read in (of_csv, of_json):
            if rounded:
                with pytest.raises(InputError, match="floats"):
                    read([word], pa.float32())
            else:
                read([word], pa.float32())
    assert of_csv(["0.5", "0.1"], pa.float16())[0] == 0.5
    with pytest.raises(InputError, match="floats"):
        of_csv(["0.12345"], pa.float16())


def test_digits_are_found_wherever_they_stand_in_bytes() -> None:
    chance = random.Random(5)
    for _ in range(300):
        words = [chance.choice([*KEPT[:13], *ROUNDED]) for _ in range(chance.randrange(1, 4))]
        pad = " " * chance.randrange(20)
        other = chance.choice(['"2026-01-31T00:00:00"', '"a-b"', "1700000000000", "1.5", '"e-9"'])
        text = f'{pad}{{"a":{other},"v":[{",".join(words)}]}}\n'
        expected = any(is_rounded(word, 64) for word in words)
        assert has_rounded_numbers(text.encode()) or not expected, text
        short = max(map(len, words)) < 32
        assert not has_rounded_numbers(text.encode()) or expected or not short, text


def test_digits_are_compared_as_decimals_compare_them() -> None:
    chance = random.Random(7)
    words = [str(chance.getrandbits(chance.randrange(1, 64))) for _ in range(500)]
    for _ in range(3000):
        number = chance.choice([1, -1]) * chance.random() * 10.0 ** chance.randrange(-6, 18)
        words += [repr(number), f"{number:.17g}", f"{number:.{chance.randrange(20)}f}"]
        # One more or less in the last place.
        words += [words[-1][:-1] + chance.choice("0123456789") for _ in range(2)]
    words += [
        "0.5",
        "2.5",
        "1125899906842624.125",
        "4503599627370497.5",
        "9007199254740993",
        "-0.0",
    ]
    chance.shuffle(words)
    for bits in (64, 32):
        expected = [is_rounded(word, bits) for word in words]
        assert is_rounded_float(pa.array(words), bits).to_pylist() == expected
        assert 0.1 < sum(expected) / len(words) < 0.9
        some = pa.array([None, *words, None])[1:]
        assert is_rounded_float(some, bits).to_pylist()[:-1] == expected


def test_a_number_beyond_a_declared_float_is_not_infinite() -> None:
    for word, kind in (("1e39", pa.float32()), ("70000", pa.float16()), ("1e400", pa.float64())):
        for read in (of_csv, of_json):
            for options in ({}, {"floats": "nearest"}):
                with pytest.raises(InputError, match=r"'v': .* cannot hold the value"):
                    read(["0.5", word], kind, **options)
    assert of_csv(["65504", "inf"], pa.float16()) == [65504.0, float("inf")]


def test_a_refused_number_is_shown_as_it_stands() -> None:
    with pytest.raises(InputError, match=r"value 12345678901234567890\.12\. .*\"json\"|'json'"):
        of_json(["12345678901234567890.12"], pa.string())


def test_values_of_parquet_that_a_declared_type_would_change_are_refused() -> None:
    zoned = pa.timestamp("us", "Asia/Tokyo")
    big = decimal.Decimal("12345678901234567890.12")
    wide = pa.decimal128(30, 2)
    morning = datetime.datetime(2026, 2, 1, 8, 30)
    midnight = datetime.datetime(2026, 2, 1)
    cases = [
        # value, its type, the declared one, what the error shows (None where it is kept)
        (big, wide, pa.float64(), str(big)),
        (decimal.Decimal("1.10"), wide, pa.float64(), None),
        (decimal.Decimal("123456789.01"), wide, pa.float32(), "123456789.01"),
        (0.30000000000000004, pa.float64(), pa.float32(), "0.30000000000000004"),
        (1e39, pa.float64(), pa.float32(), "1e+39"),
        (1e-300, pa.float64(), pa.float32(), "1e-300"),
        (0.1, pa.float64(), pa.float32(), None),
        (-0.0, pa.float64(), pa.float32(), None),
        (float("inf"), pa.float64(), pa.float32(), None),
        (0.1, pa.float64(), pa.float16(), None),
        (1.0001, pa.float32(), pa.float16(), "1.0001"),
        (2**53 + 1, pa.int64(), pa.float64(), "9007199254740993"),
        ({"a": big}, pa.struct([("a", wide)]), pa.struct([("a", pa.float64())]), str(big)),
        ([big], pa.list_(wide), pa.list_(pa.float64()), str(big)),
        ({"k": big}, pa.map_("string", wide), pa.map_("string", pa.float64()), str(big)),
        (morning, zoned, pa.timestamp("us"), "2026-02-01 08:30:00+00:00"),
        (None, zoned, pa.timestamp("us"), None),
        (morning, zoned, pa.timestamp("ms", "UTC"), None),
        (morning, pa.timestamp("us"), pa.date32(), "2026-02-01 08:30:00"),
        (midnight, pa.timestamp("us"), pa.date32(), None),
        (morning, pa.timestamp("us"), pa.time64("us"), "2026-02-01 08:30:00"),
        (5, pa.int64(), pa.bool_(), "5"),
        (1, pa.int64(), pa.bool_(), None),
        (b"\xff\xfe", pa.binary(), pa.string(), r"\xfffe"),
    ]
    for value, stored, declared, shown in cases:
        data = io.BytesIO()
        cell = [*value.items()] if pa.types.is_map(stored) else value
        pq.write_table(pa.table({"v": pa.array([None, cell], stored)}), data)
        schema = pa.schema([pa.field("v", declared)])
        if shown is None:
            with ParquetFormat().decode([data.getvalue()], schema=schema) as batches:
                assert sum(batch.num_rows for batch in batches) == 2
            continue
        decoded = ParquetFormat().decode([data.getvalue()], schema=schema)
        with pytest.raises(InputError) as caught, decoded as batches:
            list(batches)
        assert "'v'" in str(caught.value)
        assert shown in str(caught.value)
