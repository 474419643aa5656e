"""Columns that are passed by their bytes alone: none that a look at each value would find."""

from __future__ import annotations

import random
import re
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pytest

from tradewind.errors import TradewindError
from tradewind.move.formats import csv_read
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.csv_checks import counted, is_plainly_quoted
from tradewind.move.tables.exact import is_rounded_float, more_digits
from tradewind.move.tables.shapes import Moments, has_byte, is_short_behind_points, moments
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.checked_csv import CheckedCsv
from tradewind.systems.postgres.exact import refuse_inexact
from tradewind.systems.postgres.naive_times import refuse_lossy

WRITTEN = {
    "2026-01-31": Moments(clock=False, fraction=0, zone=False),
    "2026-01-31 12:00:59": Moments(clock=True, fraction=0, zone=False),
    "2026-01-31T12:00:59Z": Moments(clock=True, fraction=0, zone=True),
    "2026-01-31 12:00:59+00": Moments(clock=True, fraction=0, zone=True),
    "2026-01-31 12:00:59.123": Moments(clock=True, fraction=3, zone=False),
    "2026-01-31T12:00:59+00:00": Moments(clock=True, fraction=0, zone=True),
    "2026-01-31 12:00:59.123456": Moments(clock=True, fraction=6, zone=False),
    "2026-01-31 12:00:59.123456+05": Moments(clock=True, fraction=6, zone=True),
}


def test_times_that_are_written_alike() -> None:
    for text, expected in WRITTEN.items():
        for count in (1, 63, 64, 65, 130):
            texts = pa.array([None, *[text] * count, None])
            assert moments(texts) == expected
            assert moments(texts.slice(1, 1)) == expected
        for at in (0, 63, 64):
            for place, own in enumerate(text):
                for other in "x\t-+.:":
                    if other != own:
                        odd = [text] * 65
                        odd[at] = text[:place] + other + text[place + 1 :]
                        assert moments(pa.array(odd)) is None, odd[at]
    for odd in (["2026-01-31 12:00:60"], ["2026-01-31", "2026-01-31 12:00:00"], [""], [None], []):
        assert moments(pa.array(odd, pa.string())) is None
    # Together as long as two that are written in full.
    assert moments(pa.array(["2026-01-3", "2026-01-311"])) is None
    assert moments(pa.array(["2026-01-31 12:00:00", "2026-01-31T12:00:00"])) is None


def test_a_slice_is_looked_at_by_itself() -> None:
    texts = pa.array(["1e5", "1.2345", "7", "1.25", None, "3.5", "2026"])
    assert has_byte(texts, b"eE")
    assert not has_byte(texts.slice(1), b"eE")
    assert not is_short_behind_points(texts, 2)
    assert is_short_behind_points(texts.slice(2), 2)
    assert not is_short_behind_points(texts.slice(2), 1)
    assert is_short_behind_points(texts.slice(2, 1), 0)
    assert is_short_behind_points(texts.slice(0, 0), 0)
    assert not has_byte(pa.array([None, None], pa.string()), b"e")


def surplus(text: str, scale: int) -> bool:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return re.search(rf"\.\d{{{scale}}}\d*[1-9]", text) is not None
    return number.is_finite() and number != round(number, scale)


def test_numbers_are_told_as_they_are_one_by_one() -> None:
    chance = random.Random(1)
    for _ in range(300):
        scale = chance.randrange(4)
        drawn = [
            "".join(chance.choice("0012.-") for _ in range(chance.randrange(7))) for _ in range(3)
        ]
        if chance.random() < 0.5:
            drawn.append(chance.choice(["1e-3", "1E2", "12.50e1", "1_000.5", "0.000", ".5", "5."]))
        drawn = [text for text in drawn if "e" not in text.lower() or text.count(".") < 2]
        expected = [surplus(text, scale) for text in drawn]
        found = more_digits(pa.array(drawn, pa.string()), scale).to_pylist()
        assert [bool(one) for one in found] == expected, (drawn, scale)


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_that_are_short_by_their_exponent(bits: int) -> None:
    texts = ["1", "0.5", "1e-400", None, "1E-400", "123456789012345678"]
    assert is_rounded_float(pa.array(texts), bits).to_pylist() == [
        False, False, True, False, True, True,
    ]  # fmt: skip
    assert is_rounded_float(pa.array(["1", None, "0.25"]), bits).to_pylist() == [False] * 3


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        ("timestamp without time zone", "2026-01-31 12:00:00+05"),
        ("timestamp without time zone", "2026-01-31 12:00:60"),
        ("timestamp(3) without time zone", "2026-01-31 12:00:00.123456"),
        ("timestamp(0) with time zone", "2026-01-31 12:00:00.500"),
        ("timestamp with time zone", "today"),
        ("timestamp with time zone", "26-01-2031 12:00:00"),
        ("date", "2026-01-31 12:00:00"),
        ("date", "2026-01-31T12:00:00Z"),
        ("date", "31-01-2026"),
        ("time without time zone", "2026-01-31"),
        ("time without time zone", "2026-01-31 12:00:00"),
    ],
)
def test_one_that_a_column_would_change_among_others(type_: str, wrong: str) -> None:
    def look(texts: pa.Array) -> None:
        if "with time zone" not in type_:
            refuse_lossy(texts, "v", type_)
        refuse_inexact(texts, "v", type_)

    for texts in ([wrong], [wrong] * 70, [*["2026-01-31"] * 70, wrong]):
        with pytest.raises(UnfitValueError):
            look(pa.array(texts))


def test_bytes_are_counted_over_the_edges_of_pieces() -> None:
    data = b'"a' * 200_000
    for begin, end in ((0, None), (1, None), (0, 131_072), (131_071, 131_073), (5, 5)):
        assert counted(data, b'"', begin, end) == data[begin:end].count(b'"')
    assert counted(b"", b'"') == 0


def test_blocks_that_are_plainly_quoted_are_read_as_with_a_look_at_each_line(monkeypatch) -> None:
    chance = random.Random(2)
    pieces = [b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b'","', b'"\n', b'\n"', b" "]
    format, schema = CsvFormat(header=False), pa.schema([("a", pa.string()), ("b", pa.string())])

    def rows(data: bytes) -> object:
        try:
            with csv_read.read(format, iter([data]), schema) as batches:
                return [row for batch in batches for row in batch.to_pylist()]
        except TradewindError as error:
            return str(error)

    drawn = [b"".join(chance.choices(pieces, k=chance.randrange(1, 12))) for _ in range(1500)]
    plain = [data for data in drawn if is_plainly_quoted(format, data)]
    found = [rows(data) for data in plain]
    monkeypatch.setattr(csv_read._Reader, "_is_plain", lambda reader, block: False)
    assert found == [rows(data) for data in plain]
    assert len(plain) > 100


@pytest.mark.parametrize(
    "late", [b"3,2026-01-31\r4,2026-01-31\n", b'3,2026-01-31\n"4,2026-01-31\n']
)
def test_what_hides_a_record_is_told(late: bytes) -> None:
    rows = b"id,at\n" + b"1,2026-01-31\n" * 400_000
    checked = CheckedCsv([rows, late], CsvFormat(), [("id", "integer"), ("at", "date")])
    assert b"".join(checked) == rows + late
    assert "quote" in str(checked.failure)
