"""Formats without one type a column: a late value of another type is written as it is."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.interface import interface
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.dbapi.source import DbApiSource
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.source import SQLiteSource

OWNER = Owner("dag", "run", "task")


def moved(source, folder: Path, name: str, **options: object) -> list:
    """Move and read what arrived with the standard library."""
    transfer(source, ObjectTarget(FileStore(folder), name, **options), OWNER)
    text = (folder / name).read_text()
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.reader(text.splitlines()))


def csv_file(folder: Path, early: str, *late: str) -> ObjectSource:
    """A file whose first block has one kind of value, and later ones others."""
    lines = [f"{number},{early}" for number in range(200)] + [f"9,{value}" for value in late]
    (folder / "in.csv").write_text("id,v\n" + "\n".join(lines) + "\n")
    return ObjectSource(FileStore(folder), "in.csv", format=CsvFormat(sample_bytes=500))


LATE = ["02139", "0x1F", "+5", "1e5", "1.50", "n/a", "true", "2026-01-31", "12345678901234567890"]


@pytest.mark.parametrize("early", ["90001", "1.50", "true", "2026-01-31", "x", ""])
def test_csv_to_csv_keeps_each_text(tmp_path: Path, early: str) -> None:
    source = csv_file(tmp_path, early, *LATE)
    found = moved(source, tmp_path, "out.csv", format=CsvFormat(delimiter=","), compression=None)
    assert [row[1] for row in found[1:]] == [early] * 200 + LATE
    (tmp_path / "out.csv").unlink()
    transfer(
        source, ObjectTarget(FileStore(tmp_path), "o.csv", format=CsvFormat(delimiter=";")), OWNER
    )
    text = (tmp_path / "o.csv").read_text().splitlines()
    assert [line.split(";")[1] for line in text[1:]] == [early] * 200 + LATE


@pytest.mark.parametrize("early", ["90001", "1.50", "true", "2026-01-31", "x"])
def test_csv_to_json_lines_keeps_each_text(tmp_path: Path, early: str) -> None:
    moved(csv_file(tmp_path, early, *LATE), tmp_path, "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    words = [line.partition('"v":')[2].removesuffix("}") for line in lines]
    assert [word.strip('"') for word in words] == [early] * 200 + LATE
    for word, text in zip(words[200:], LATE, strict=True):
        # A code is never a number.
        assert text not in ("02139", "0x1F", "+5", "n/a", "2026-01-31") or word == f'"{text}"'


def test_csv_of_whole_numbers_makes_no_number_of_a_code_with_an_e(tmp_path: Path) -> None:
    found = moved(csv_file(tmp_path, "7", "1E5", "1.50"), tmp_path, "out.jsonl")
    assert [row["v"] for row in found[-2:]] == ["1E5", 1.5]


def test_nan_in_csv_to_json_lines(tmp_path: Path) -> None:
    source = csv_file(tmp_path, "1.5", "NaN", "2")
    with pytest.raises(InputError, match="nan"):
        moved(source, tmp_path, "out.jsonl")
    found = moved(source, tmp_path, "out.jsonl", format=JsonLinesFormat(nan="null"))
    assert [row["v"] for row in found[-2:]] == [None, 2]


@pytest.mark.parametrize("mark", [",", ";"])
def test_several_csv_objects_keep_their_texts_and_order(tmp_path: Path, mark: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "d" / "2.csv").write_text("b,a\ny,02\n")
    source = ObjectSource(FileStore(tmp_path), "d/", format="csv")
    rows = moved(source, tmp_path, "out.jsonl")
    assert rows == [{"a": 1, "b": "x"}, {"a": "02", "b": "y"}]


def json_file(folder: Path, *late: str) -> ObjectSource:
    early = "".join(f'{{"n":{number},"p":1.50,"s":"{"x" * 1000}"}}\n' for number in range(9000))
    (folder / "in.jsonl").write_text(early + "".join(f"{line}\n" for line in late))
    return ObjectSource(FileStore(folder), "in.jsonl")


def test_json_lines_to_csv_keep_late_types_and_members(tmp_path: Path) -> None:
    source = json_file(
        tmp_path,
        '{"n":"two","p":12345678901234567890.12,"note":{"a":[1.0,null]}}',
        '{"n":true,"s":1,"more":"x"}',
        '{"n":1e400,"s":null}',
    )
    found = moved(source, tmp_path, "out.csv")
    assert found[0] == ["n", "p", "s", "note", "more"]
    assert found[1][:2] == ["0", "1.50"]
    assert found[-3:] == [
        ["two", "12345678901234567890.12", "", '{"a":[1.0,null]}', ""],
        ["t", "", "1", "", "x"],
        ["1e400", "", "", "", ""],
    ]


def test_json_lines_to_a_typed_format_name_value_and_way_out(tmp_path: Path) -> None:
    source = json_file(tmp_path, '{"n":"two","note":1}')
    with interface("cli"), pytest.raises(InputError, match=r"'note'.*line.*--set-from 'schema=\{"):
        transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
    for options in ({"note": "int64"}, {"note": "json"}):
        source = ObjectSource.from_uri(f"{tmp_path}/in.jsonl", {"schema": json.dumps(options)})
        with pytest.raises(InputError, match=r"'n'.*line.*'two'.*\"json\""):
            transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
    words = {"note": "int64", "n": "json"}
    source = ObjectSource.from_uri(f"{tmp_path}/in.jsonl", {"schema": json.dumps(words)})
    transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column("n").to_pylist()[-2:] == ["8999", '"two"']
    assert table.column("note").to_pylist()[-2:] == [None, 1]
    assert table.schema.field("p").type == pa.float64()


def test_json_lines_with_other_options_keep_all(tmp_path: Path) -> None:
    late = '{"n":"two","p":12345678901234567890.12,"note":{"a":[1.0,null]}}'
    source = json_file(tmp_path, late)
    moved(source, tmp_path, "out.jsonl", format=JsonLinesFormat(omit_null=True))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert lines[-1] == late
    assert lines[0].startswith('{"n":0,"p":1.50,')
    found = moved(source, tmp_path, "out.jsonl", format=JsonLinesFormat(decimals="string"))
    assert (found[0]["p"], found[-1]["p"]) == (1.5, "12345678901234567890.12")


@pytest.fixture
def pay(tmp_path: Path) -> Path:
    path = tmp_path / "pay.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE pay (id INTEGER, amount NUMERIC, day DATE, k)")
        rows = [(number, number, "2026-01-01", b"a") for number in range(5000)]
        rows += [(1, 10.5, "soon", "x"), (2, "n/a", None, b"z"), ("three", None, 5, None)]
        connection.executemany("INSERT INTO pay VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return path


def test_sqlite_to_csv_and_json_lines_keep_each_value(tmp_path: Path, pay: Path) -> None:
    source = SQLiteSource(pay, "SELECT * FROM pay")
    found = moved(source, tmp_path, "out.csv")
    assert found[5000:] == [
        ["4999", "4999", "2026-01-01", "\\x61"],
        ["1", "10.5", "soon", "x"],
        ["2", "n/a", "", "\\x7a"],
        ["three", "", "5", ""],
    ]
    rows = moved(source, tmp_path, "out.jsonl")
    assert rows[-3:] == [
        {"id": 1, "amount": 10.5, "day": "soon", "k": "x"},
        {"id": 2, "amount": "n/a", "day": None, "k": "eg=="},
        {"id": "three", "amount": None, "day": 5, "k": None},
    ]


def test_sqlite_to_a_typed_format_takes_the_way_out(tmp_path: Path, pay: Path) -> None:
    uri = f"sqlite:///{pay}"
    target = ObjectTarget(FileStore(tmp_path), "o.parquet")
    with interface("cli"), pytest.raises(InputError, match=r"'id'.*'three'.*--set-from 'schema="):
        transfer(SQLiteSource.from_uri(uri, {"table": "pay"}), target, OWNER)
    words = '{"id": "string", "amount": "string", "day": "string", "k": "string"}'
    query = "SELECT id, amount, day, CAST(k AS TEXT) AS k FROM pay"
    transfer(SQLiteSource.from_uri(uri, {"query": query, "schema": words}), target, OWNER)
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column("amount").to_pylist()[-3:] == ["10.5", "n/a", None]
    assert table.column("id").to_pylist()[-1] == "three"
    words = '{"day": "string", "id": "string", "k": "string"}'
    sampled = {"query": query, "schema": words, "sample": "100000"}
    transfer(SQLiteSource.from_uri(uri, sampled), target, OWNER)
    assert pq.read_table(tmp_path / "o.parquet").column("day").to_pylist()[-3] == "soon"


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ('{"n":1}', '{"n":2,"late":"x"}', "'late'"),
        ('{"n":1,"p":1.5}', '{"n":2,"p":1.5,"late":"x"}', "'late'"),
        ('{"n":1}', '{"n":"two"}', "'n'"),
        ('{"p":1.5}', '{"p":12345678901234567890.12}', "'p'"),
        ('{"n":1}', '{"n":true}', "'n'"),
        ('{"s":"x"}', '{"s":5}', "'s'"),
    ],
)
def test_a_later_object_of_json_lines_loses_nothing(
    tmp_path: Path, first: str, second: str, named: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.jsonl").write_text(f"{first}\n")
    (tmp_path / "d" / "2.jsonl").write_text(f"{second}\n")
    source = ObjectSource(FileStore(tmp_path), "d/")
    with pytest.raises(InputError, match=rf"2\.jsonl.*{named}.*schema="):
        transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
    rows = moved(source, tmp_path, "out.jsonl", format=JsonLinesFormat(nan="null"))
    expected = [json.loads(line) for line in (first, second)]
    assert [{name: row[name] for name in one} for row, one in zip(rows, expected, strict=True)] == (
        expected
    )


@pytest.mark.parametrize("target", ["o.parquet", "o.csv"])
@pytest.mark.parametrize("line", ['{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":["\\ud800"]}'])
def test_lone_surrogates_are_refused_in_words(tmp_path: Path, line: str, target: str) -> None:
    (tmp_path / "in.jsonl").write_text(f"{line}\n")
    source = ObjectSource(FileStore(tmp_path), "in.jsonl")
    with pytest.raises(InputError, match=r"ud800|udfff"):
        transfer(source, ObjectTarget(FileStore(tmp_path), target), OWNER)


def test_any_driver_to_formats_without_types(tmp_path: Path, pay: Path) -> None:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(pay, check_same_thread=False)

    source = DbApiSource(connect, "SELECT id, amount, k FROM pay", first=10)
    found = moved(source, tmp_path, "out.csv")
    assert found[-3:] == [["1", "10.5", "x"], ["2", "n/a", "\\x7a"], ["three", "", ""]]
    rows = moved(source, tmp_path, "out.jsonl")
    assert rows[-2:] == [
        {"id": 2, "amount": "n/a", "k": "eg=="},
        {"id": "three", "amount": None, "k": None},
    ]
    with pytest.raises(InputError, match=r"'id'.*'three'"):
        transfer(source, ObjectTarget(FileStore(tmp_path), "o.parquet"), OWNER)
