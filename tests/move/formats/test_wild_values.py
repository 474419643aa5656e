"""Values as they lie around: they arrive as they were, or the error names them.

Over 400 lines: one case a value that lies around somewhere.
"""

from __future__ import annotations

import contextlib
import datetime as d
import decimal
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.infer import infer, parse_told
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore


def rows(source: ObjectSource) -> list[dict[str, object]]:
    with source.batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ("90001", "02139"),
        ("90001", "0x1F"),
        ("90001", "+5"),
        ("1.5", "00.5"),
        ("1.5", "+2.5"),
        ("1.5", "0.12345678901234567890"),
        ("true", "1"),
        ("true", "yes"),
        ("2026-01-31", "2026-01-31T10:00:00"),
        ("2026-01-31 10:00:00", "2026-01-31"),
    ],
)
@pytest.mark.parametrize("place", ["early", "late", "next object"])
def test_a_late_value_spelled_otherwise_is_no_other_value(
    tmp_path: Path, usual: str, odd: str, place: str
) -> None:
    line = f"1,{usual}\n"
    many = line * 200
    format = CsvFormat(sample_bytes=1 << 10)
    folder = tmp_path / "in"
    folder.mkdir()
    if place == "next object":
        (folder / "1.csv").write_text("id,v\n" + line)
        (folder / "2.csv").write_text(f"id,v\n{line}2,{odd}\n")
    else:
        text = f"2,{odd}\n{line}" if place == "early" else f"{many}2,{odd}\n"
        (folder / "1.csv").write_text("id,v\n" + text)
    if place == "early":
        assert rows(ObjectSource(FileStore(tmp_path), "in/", format=format))[0]["v"] == odd
        return
    with pytest.raises(InputError) as caught:
        rows(ObjectSource(FileStore(tmp_path), "in/", format=format))
    for word in ("'v'", odd[:10], "schema="):
        assert word in str(caught.value)
    declared = ObjectSource.from_uri(f"file://{folder}/", {"schema": '{"v": "string"}'})
    assert rows(declared)[-1] == {"id": 2, "v": odd}


@pytest.mark.parametrize(
    ("usual", "others"),
    [
        ("7", "0 00 -0 -07 07 -5 123456789012345678 +7"),
        (
            "1.5",
            "0 0.5 -0.5 00.5 -00.5 .5 -.5 5. 5.e3 1e5 1E-05 1e0005 nan NaN -nan Infinity inf + -",
        ),
        ("t", "f true 1 T TRUE no"),
        ("2026-01-31", "2026-02-30 0044-03-15|BC 20260131 2026-01-31T00"),
        (
            "2026-01-31T10:00:00",
            "2026-01-31|10:00:00.1 2026-01-31|10 2026-01-31|10:00 2026-01-31T10:00:00,5 "
            "2026-01-31T10:00:00.1234567 2026-01-31T10:00:00.1000000 2026-01-31T10:00:00Z "
            "012026-01-31T10:00:00 0044-03-15|10:00:00|BC",
        ),
        (
            "2026-01-31T10:00:00Z",
            "2026-01-31|10:00:00.1+05 2026-01-31T10:00:00+0530 2026-01-31T10:00:00.5-05:30 "
            "2026-01-31T10:00+05:30 2026-01-31T10+05:30:00 2026-01-31T10:00:00+05:30:00 "
            "2026-01-31T10:00:00z 2026-01-31T10:00:00 2026-01-31T10:00:00.1000000Z",
        ),
    ],
)
@pytest.mark.parametrize("with_null", [False, True])
def test_what_tells_a_type_early_is_read_late_and_nothing_else(
    usual: str, others: str, with_null: bool
) -> None:
    for word in others.replace("|", "_").split():
        other = word.replace("_", " ")
        values = pa.array([usual, other] + [None] * with_null)
        told = infer("v", pa.chunked_array([pa.array([usual])]))
        kept = infer("v", pa.chunked_array([values])).type == told.type
        if kept:
            read = parse_told(values, told, "CSV")
            assert read.type == told.type
            assert read.null_count == with_null
        else:
            with pytest.raises(UnfitValueError) as caught:
                parse_told(values, told, "CSV")
            assert repr(other) in str(caught.value)


NUMBERLIKE = """0 7 -7 -0 +5 007 00 0x1F 0b1 0o7 1_000 1,234 1.234,56 1'000 12345678901234567
123456789012345678 1234567890123456789 9223372036854775808 123456789012345678901234567890 1.0 1.50
.5 5. -.5 1e5 1E5 2E3 1E-5 1e+5 1.5e3 1e400 -1e400 1.5e308 1.8e308 1e-400 5e-324 2e-324 0.1
0.30000000000000004 0.12345678901234567890 1.7976931348623157e308 0.1e1 00.5 +1.5 1.5f 1d NaN nan
-NaN Infinity inf +inf true TRUE True t T yes on 1 false f no \u00bd \uff11\uff12 \u0663 1\uff12
\u00b2 1\u00a0000 \u22125 5% $5 (5) 5- 1/2 12:30 2026-01-31 2026-1-31 31/01/2026 20260131
2026-02-30 2026-13-01 0000-01-01 0001-01-01 9999-12-31 10000-01-01 2026-W05 2026-01-31T10:00:00
2026-01-31T10:00 2026-01-31T24:00:00 2026-01-31T23:59:60 2026-01-31T10:00:00Z
2026-01-31T10:00:00+05:30 2026-01-31T10:00:00.123456789 0000-01-01T00:00:00 null NULL None \\N N/A
NA #N/A -"""


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([*NUMBERLIKE.split(), " 5", "5 ", ""]), min_size=1, max_size=3))
@example(["1E5", "2E3"])
@example(["1.5", "1e-400"])
@example(["2026-01-31", "0000-01-01"])
def test_text_that_is_like_a_number_is_that_number_or_text_or_an_error(words: list[str]) -> None:
    """Each is written first, and behind another: in Parquet's types, and as JSON."""
    lines = "v,w\n" + "".join(f'"{word}",x\n' for word in words)
    with contextlib.suppress(InputError), CsvFormat(sample_bytes=4).decode([lines.encode()]) as got:
        table = pa.Table.from_batches(list(got), got.schema)
        for word, value in zip(words, table.column("v"), strict=True):
            assert same(word, value), (words, value)
    loose = CsvFormat(sample_bytes=4).decode_loose([lines.encode()], JsonLinesFormat(nan="null"))
    for word, line in zip(
        words, b"".join(JsonLinesFormat().encode(loose)).splitlines(), strict=True
    ):
        value = re.fullmatch(rb'\{"v":(.*),"w":"x"\}', line)
        assert value is not None
        told = value[1].decode()
        assert told == word or json.loads(told) in (word, {"t": True, "f": False}.get(word, word))


def same(word: str, value: pa.Scalar) -> bool:
    """Whether a value is what a text says."""
    kind = value.type
    if pa.types.is_string(kind):
        return bool(value.as_py() == word)
    if pa.types.is_integer(kind):
        return str(value.as_py()) == word
    if pa.types.is_boolean(kind):
        return bool(value.as_py() is (word in ("t", "true"))) and word in (
            "t",
            "true",
            "f",
            "false",
        )
    if pa.types.is_floating(kind):
        if word in ("NaN", "Infinity"):
            return repr(value.as_py()) == word[:3].lower()
        return decimal.Decimal(repr(value.as_py())) == decimal.Decimal(word)
    moment = d.datetime.fromisoformat(word)
    found = value.as_py()
    if pa.types.is_date(kind):
        return bool(found == moment.date())
    return bool(found == moment)


def test_a_declared_integer_is_not_read_from_hexadecimal_digits(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v\n1\n0x1F\n")
    schema = pa.schema([("v", pa.int64())])
    with pytest.raises(InputError, match="0x1F"):
        rows(ObjectSource(FileStore(tmp_path), "a.csv", schema=schema))


def test_old_timestamps_of_parquet_keep_far_dates_and_never_lose_nanoseconds(
    tmp_path: Path,
) -> None:
    far = [d.datetime(9999, 12, 31, 23, 59, 59), d.datetime(1, 1, 1), None]
    far.append(d.datetime(2024, 2, 29, 12, 0, 0, 123456))
    table = pa.table({"id": range(4), "valid_to": pa.array(far, pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "far.parquet", use_deprecated_int96_timestamps=True)
    found = rows(ObjectSource(FileStore(tmp_path), "far.parquet"))
    assert [row["valid_to"] for row in found] == far
    exact = pa.table({"at": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))})
    pq.write_table(exact, tmp_path / "ns.parquet", use_deprecated_int96_timestamps=True)
    with pytest.raises(InputError, match="'at'"):
        rows(ObjectSource(FileStore(tmp_path), "ns.parquet"))
    with ObjectSource(FileStore(tmp_path), "ns.parquet", schema=exact.schema).batches() as batches:
        assert pa.Table.from_batches(list(batches)).equals(exact)
    wanted = pa.schema([("valid_to", pa.timestamp("ns"))])
    with pytest.raises(InputError, match="'valid_to'"):
        rows(ObjectSource(FileStore(tmp_path), "far.parquet", schema=wanted))


@pytest.mark.parametrize(
    "parts",
    [
        {"0.jsonl": "", "1.jsonl": '{"a":1}\n{"a":2}\n'},
        {"0.csv": "", "1.csv": "a\n1\n2\n"},
        {"0.csv": "a\n1\n", "1.csv": "", "2.csv": "a\n2\n"},
        {"0.csv": "a\n1\n", "x_$folder$": "", "2.csv": "\ufeffa\n2\n"},
        {"0.jsonl": '\ufeff{"a":1}\n', "1.jsonl": '\ufeff{"a":2}\n'},
    ],
)
def test_empty_parts_and_marks_of_utf8_are_no_rows(tmp_path: Path, parts: dict[str, str]) -> None:
    for name, text in parts.items():
        (tmp_path / name).write_text(text)
    source = ObjectSource(FileStore(tmp_path), "")
    assert rows(source) == [{"a": 1}, {"a": 2}]
    format = CsvFormat() if "2.csv" in parts or "1.csv" in parts else JsonLinesFormat()
    encoded = source.encoded(format)
    assert encoded is not None
    assert b"\xef\xbb\xbf" not in b"".join(encoded.chunks)


@pytest.mark.parametrize("header", [False, True])
def test_values_and_names_beyond_128_kib_are_read(tmp_path: Path, header: bool) -> None:
    (tmp_path / "docs.csv").write_text(f'1,"{"x" * 200_000}"\n2,y\n')
    source = ObjectSource(FileStore(tmp_path), "docs.csv", format=CsvFormat(header=header))
    with source.batches() as batches:
        table = pa.Table.from_batches(list(batches), batches.schema)
    if header:
        assert len(table.schema.names[1]) == 200_000
    else:
        assert len(table.column(1)[0].as_py()) == 200_000


def test_parquet_files_that_differ_in_nothing_they_hold_are_one_table(tmp_path: Path) -> None:
    a = pa.table({"id": pa.array([1], pa.int64()), "coupon": pa.nulls(1)})
    b = pa.table({"id": pa.array([2], pa.int64()), "coupon": pa.array(["X"])})
    required = pa.field("id", pa.int64(), nullable=False)
    c = b.cast(pa.schema([required, pa.field("coupon", pa.string())]))
    d = b.select(["coupon", "id"])
    deep = pa.list_(pa.struct([pa.field("x", pa.int64(), nullable=False)]))
    loose = pa.list_(pa.struct([pa.field("x", pa.int64())]))
    e, f = (pa.table({"l": pa.array([[{"x": 1}]], kind)}) for kind in (deep, loose))
    nulled = pa.table({"id": pa.array([None], pa.int64()), "coupon": pa.array(["Y"])})
    pairs = [(b, a), (a, b), (b, c), (c, b), (c, nulled), (b, d), (d, a), (a, a), (e, f), (f, e)]
    for number, pair in enumerate(pairs):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, table in zip("12", pair, strict=True):
            pq.write_table(table, folder / f"{name}.parquet")
        wanted = [row for table in pair for row in table.to_pylist()]
        with ObjectSource(FileStore(tmp_path), f"{number}/").batches() as batches:
            table = pa.Table.from_batches(list(batches), batches.schema)
        table.validate(full=True)
        assert table.to_pylist() == wanted
    other = pa.table({"id": pa.array(["3"]), "coupon": pa.array(["X"])})
    folder = tmp_path / "other"
    folder.mkdir()
    pq.write_table(b, folder / "1.parquet")
    pq.write_table(other, folder / "2.parquet")
    with pytest.raises(InputError, match=r"2\.parquet.*'id' of type string.*int64.*schema=\{"):
        rows(ObjectSource(FileStore(tmp_path), "other/"))
    pq.write_table(b.drop(["coupon"]), folder / "2.parquet")
    with pytest.raises(InputError, match="no column 'coupon'"):
        rows(ObjectSource(FileStore(tmp_path), "other/"))
    words = {"schema": '{"id": "int64"}'}
    assert rows(ObjectSource.from_uri(f"file://{folder}/", words)) == [{"id": 2}, {"id": 2}]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_file_with_another_delimiter_is_not_one_column(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_text(f"id{mark}zip\n1{mark}02139\n2{mark}NA\n")
    with pytest.raises(InputError, match=r"format_options=.'delimiter'"):
        rows(ObjectSource.from_uri(f"{tmp_path}/a.csv", {}))
    word = "\\t" if mark == "\t" else mark
    options = {"delimiter": word, "null": "NA", "schema": '{"zip": "string"}'}
    wanted = [{"id": 1, "zip": "02139"}, {"id": 2, "zip": None}]
    assert rows(ObjectSource.from_uri(f"{tmp_path}/a.csv", options)) == wanted
    source = ObjectSource(
        FileStore(tmp_path), "a.csv", format_options={"delimiter": mark, "header": False}
    )
    assert [*rows(source)[0].values()] == ["id", "zip"]
    name = f"id{mark}zip"
    text = ObjectSource(FileStore(tmp_path), "a.csv", types={name: "string"})
    assert rows(text)[0] == {name: f"1{mark}02139"}


def test_options_of_a_format_are_options_of_objects(tmp_path: Path) -> None:
    from tradewind.move.objects.target import ObjectTarget

    target = ObjectTarget.from_uri(f"{tmp_path}/a.jsonl", {"nan": "null"})
    table = pa.table({"v": [1.5, float("nan")]})
    from tradewind.move.batches import Batches

    encoded = target.format.encode(Batches(table.schema, iter(table.to_batches())))
    assert b"".join(encoded) == b'{"v":1.5}\n{"v":null}\n'
    for options in ({"nan": "zero"}, {"delimiter": ";"}, {"omit_null": "maybe"}):
        with pytest.raises(InputError):
            ObjectTarget.from_uri(f"{tmp_path}/a.jsonl", options)


@pytest.mark.parametrize("words", [["1.5", "9007199254740993"], ["9007199254740993", "1e5", "0.5"]])
def test_sixteen_digits_are_no_float_that_has_others(words: list[str]) -> None:
    assert infer("a", pa.chunked_array([words])).type == pa.string()
    assert infer("a", pa.chunked_array([["1.5", "9007199254740992"]])).type == pa.float64()
    with pytest.raises(UnfitValueError, match="more digits than a float keeps"):
        parse_told(pa.array(words), pa.field("a", pa.float64()), "CSV")


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("last", ['"x",', '"",', ",", '"",""'])
def test_the_last_record_is_the_same_with_and_without_its_line_end(
    tmp_path: Path, last: str, end: str
) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n{last}{end}")
    told = {"": None, '""': "", '"x"': "x"}
    a, b = (told[cell] for cell in last.split(","))
    assert rows(ObjectSource(FileStore(tmp_path), "a.csv")) == [{"a": a, "b": b}]


@pytest.mark.parametrize("header", [True, False])
def test_a_first_value_that_begins_with_a_byte_order_mark_comes_back(
    tmp_path: Path, header: bool
) -> None:
    name, value = "\ufeffname", "\ufeffvalue"
    batch = pa.record_batch({name: [value, value], "b": ["c", "d"]})
    format = CsvFormat(header=header)
    written = b"".join(format.encode(Batches(batch.schema, iter([batch.slice(0, 0), batch]))))
    (tmp_path / "a.csv").write_bytes(written)
    source = ObjectSource(FileStore(tmp_path), "a.csv", format=format)
    with source.batches() as batches:
        table = pa.Table.from_batches(list(batches), batches.schema)
    assert table.column(0).to_pylist() == [value, value]
    assert not header or table.schema.names == [name, "b"]


@pytest.mark.parametrize("word", ["1_000", "\u0663", "\uff11"])
def test_a_declared_decimal_is_read_from_plain_digits_alone(tmp_path: Path, word: str) -> None:
    (tmp_path / "a.csv").write_text(f"a\n{word}\n")
    types = {"a": "decimal(10, 2)"}
    with pytest.raises(UnfitValueError, match="Column 'a'"):
        rows(ObjectSource(FileStore(tmp_path), "a.csv", types=types))


def test_half_a_pair_of_utf16_is_advised_what_works(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": "x\\ud800"}\n')
    for types in ({}, {"a": "json"}):
        with pytest.raises(UnfitValueError, match="half of a pair") as told:
            rows(ObjectSource(FileStore(tmp_path), "a.jsonl", types=types))
        assert "schema" not in str(told.value)


def test_an_escape_at_the_end_is_not_left_out(tmp_path: Path) -> None:
    for text, value in (("a\nx\\", None), ("a\nx\\\\", "x\\"), ("a\nx\\\\\n", "x\\")):
        (tmp_path / "a.csv").write_text(text)
        source = ObjectSource(FileStore(tmp_path), "a.csv", format=CsvFormat(escape="\\"))
        if value is None:
            with pytest.raises(InputError, match="escapes nothing there"):
                rows(source)
        else:
            assert rows(source) == [{"a": value}]


@pytest.mark.parametrize("format", [CsvFormat(), ParquetFormat()])
def test_json_that_is_nested_too_deeply_is_told(tmp_path: Path, format: Format) -> None:
    flat = '{"a":[' + '{"[":"[{"},' * 400 + "1]}"
    for begin, end, deep, fits in (
        ("[", "]", 250, True),
        ("[", "]", 500, False),
        ('{"b":', "}", 900, False),
        ("[", "]", 5000, False),
    ):
        (tmp_path / "a.jsonl").write_text(f'{flat}\n{{"a":{begin * deep}1{end * deep}}}\n')
        target = ObjectTarget(FileStore(tmp_path), "out", format=format)
        source = ObjectSource(FileStore(tmp_path), "a.jsonl")
        if fits:
            assert transfer(source, target, Owner("d", "r", "t")).rows == 2
        else:
            with pytest.raises(CorruptDataError, match=r"line 2 .*nested too deeply"):
                transfer(source, target, Owner("d", "r", "t"))


def test_two_columns_of_one_name_in_parquet_are_kept_or_told(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    pq.write_table(table, tmp_path / "a.parquet")
    source = ObjectSource(FileStore(tmp_path), "a.parquet")
    target = ObjectTarget(FileStore(tmp_path), "out.csv")
    transfer(source, target, Owner("d", "r", "t"))
    assert (tmp_path / "out.csv").read_text() == "a,a\n1,x\n"
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(InputError, match="the column 'a' more than once"):
        rows(ObjectSource(FileStore(tmp_path), "a.parquet", schema=schema))


def test_timestamps_of_far_years_are_no_text_of_other_years(tmp_path: Path) -> None:
    for number, kind in ((2**40, pa.timestamp("ms")), (2**62, pa.timestamp("us", "UTC"))):
        array = pa.array([None, 0, number], pa.int64()).cast(kind)
        pq.write_table(pa.table({"a": array}), tmp_path / "a.parquet")
        schema = pa.schema([("a", pa.string())])
        source = ObjectSource(FileStore(tmp_path), "a.parquet", schema=schema)
        if number == 2**40:
            assert rows(source)[2] == {"a": "2004-11-03 19:53:47.776"}
        else:
            with pytest.raises(UnfitValueError, match=r"Column 'a'.*too far"):
                rows(source)
