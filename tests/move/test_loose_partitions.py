"""Parts with partition columns, of CSV and JSON lines: late values, late members, later days."""

from __future__ import annotations

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
from tradewind.move.publish.destination import Parts
from tradewind.move.source import Source
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.source import SQLiteSource

FORMATS = {"c": CsvFormat(), "j": JsonLinesFormat()}
EARLY = "{0},7,1.50,t,2026-01-31,a{0}"


def csv_source(folder: Path, *late: str, early: str = EARLY, count: int = 60) -> ObjectSource:
    lines = ["id,n,p,b,d,city", *(early.format(number % 3) for number in range(count)), *late]
    (folder / "in.csv").write_text("\n".join(lines) + "\n")
    return ObjectSource(FileStore(folder), "in.csv", format=CsvFormat(sample_bytes=300))


def publish(
    folder: Path, prefix: str, source: Source, *by: str, day: str = "run", **more: object
) -> pa.Schema:
    into = ObjectTarget(
        FileStore(folder),
        f"{prefix}/",
        format=FORMATS[prefix[0]],
        compression=None,
        parts=Parts(by=by, **more),
    )
    transfer(source, into, Owner("dag", day, "task"))
    with ObjectSource(FileStore(folder), f"{prefix}/").batches() as batches:
        return batches.schema


def rows(folder: Path, prefix: str) -> list[dict]:
    with ObjectSource(FileStore(folder), f"{prefix}/").batches() as batches:
        return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("prefix", FORMATS)
def test_a_late_value_makes_only_its_own_column_text(tmp_path: Path, prefix: str) -> None:
    source = csv_source(tmp_path, "9,n/a,2.50,f,2026-02-01,a9", "9,02139,,,,a9")
    schema = publish(tmp_path, prefix, source, "city")
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds.pop("n") == "string"
    assert kinds == {
        "id": "int64",
        "p": "double",
        "b": "bool",
        "d": "date32[day]",
        "city": "string",
    }
    found = rows(tmp_path, prefix)
    words = [str(row["n"]).strip('"') for row in found]
    assert sorted(words) == sorted([*["7"] * 60, "n/a", "02139"])
    assert {row["city"] for row in found} == {"a0", "a1", "a2", "a9"}
    if prefix == "j":
        (part,) = (tmp_path / "j" / "city=a9").iterdir()
        first, second = map(json.loads, part.read_text().splitlines())
        assert first == {"id": 9, "n": "n/a", "p": 2.5, "b": False, "d": "2026-02-01"}
        assert second["n"] == "02139"


@pytest.mark.parametrize("prefix", FORMATS)
@pytest.mark.parametrize("keep", [False, True])
def test_a_late_value_in_the_partition_column_itself(
    tmp_path: Path, prefix: str, keep: bool
) -> None:
    schema = publish(tmp_path, prefix, csv_source(tmp_path, "1,n/a,,,,x"), "n", keep=keep)
    folders = {each.name for each in (tmp_path / prefix).iterdir() if each.is_dir()}
    assert folders == {"n=7", "n=n%2Fa"}
    found = {row["n"] for row in rows(tmp_path, prefix)}
    # Files of JSON lines have the column as JSON; a folder's name is text.
    assert found == ({"7", '"n/a"'} if prefix == "j" and keep else {"7", "n/a"})
    assert (schema.field("n").type, schema.field("p").type) == (pa.string(), pa.float64())


@pytest.mark.parametrize("prefix", FORMATS)
def test_partitions_of_other_types_are_named_as_without_late_values(
    tmp_path: Path, prefix: str
) -> None:
    publish(tmp_path, f"{prefix}1", csv_source(tmp_path), "p", "b", "d")
    publish(tmp_path, f"{prefix}2", csv_source(tmp_path, "x,7,1.50,t,2026-01-31,a"), "p", "b", "d")
    one, other = (
        {str(each.relative_to(tmp_path / name).parent) for each in (tmp_path / name).rglob("part*")}
        for name in (f"{prefix}1", f"{prefix}2")
    )
    assert one == other == {"p=1.5/b=true/d=2026-01-31"}


@pytest.mark.parametrize("prefix", FORMATS)
def test_late_members_and_values_of_sqlite_and_json_lines(tmp_path: Path, prefix: str) -> None:
    early = [f'{{"id":{number},"p":1.5,"s":"{"x" * 1500}"}}' for number in range(3000)]
    late = '{"id":"two","p":12345678901234567890.12,"city":"b","w":[1.50]}'
    (tmp_path / "in.jsonl").write_text("".join(f"{line}\n" for line in [*early, late]))
    schema = publish(tmp_path, prefix, ObjectSource(FileStore(tmp_path), "in.jsonl"), "city")
    assert set(schema.names) == {"id", "p", "s", "w", "city"}
    assert {each.name for each in (tmp_path / prefix).iterdir() if each.is_dir()} == {
        "city=b",
        "city=__HIVE_DEFAULT_PARTITION__",
    }
    (last,) = (row for row in rows(tmp_path, prefix) if row["city"] == "b")
    assert (last["id"].strip('"'), last["p"]) == ("two", "12345678901234567890.12")
    assert (last["w"], last["s"]) == ("[1.50]", None)

    with sqlite3.connect(tmp_path / "in.db") as database:
        database.execute("CREATE TABLE t (id, v, r, city)")
        values = [(number, 7, 1.5, "a") for number in range(200)]
        values += [("x", 2**60, 2**60 + 1, b"\x00\xff"), (None, "t", 2, 5)]
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", values)
    database.close()
    source = SQLiteSource(tmp_path / "in.db", "SELECT * FROM t ORDER BY rowid", sample=50)
    schema = publish(tmp_path, f"{prefix}s", source, "city")
    assert {field.name: str(field.type) for field in schema} == dict.fromkeys(
        ("id", "v", "r", "city"), "string"
    )
    found = [
        {name: value and value.strip('"') for name, value in row.items()}
        for row in rows(tmp_path, f"{prefix}s")[-2:]
    ]
    bytes_ = "\\x00ff" if prefix == "c" else "AP8="
    assert found == [
        {"id": "x", "v": str(2**60), "r": str(2**60 + 1), "city": bytes_},
        {"id": None, "v": "t", "r": "2", "city": "5"},
    ]


@pytest.mark.parametrize("prefix", FORMATS)
def test_days_beside_each_other_take_the_types_that_stand(tmp_path: Path, prefix: str) -> None:
    source = csv_source(tmp_path, "1,n/a,,,,bad")
    publish(tmp_path, prefix, source, "city")
    # The next day has whole numbers alone, which the text that stands holds.
    later = csv_source(tmp_path, early="1,8,1.50,t,2026-01-31,next")
    publish(tmp_path, prefix, later, "city", day="two")
    found = rows(tmp_path, prefix)
    assert {row["n"].strip('"') for row in found} == {"7", "8", "n/a"}
    assert {row["city"] for row in found} == {"a0", "a1", "a2", "bad", "next"}
    # Text beside whole numbers would make these text for whoever reads them.
    publish(tmp_path, f"{prefix}2", csv_source(tmp_path), "city")
    with pytest.raises(InputError, match=r"n int64.*n string.*declare their types"):
        publish(tmp_path, f"{prefix}2", csv_source(tmp_path, "1,n/a,,,,bad"), "city", day="two")
    assert {row["n"] for row in rows(tmp_path, f"{prefix}2")} == {7}
    assert len(list((tmp_path / f"{prefix}2").rglob("part*"))) == 3


def test_all_columns_as_partition_columns_are_told_the_option_in_use(tmp_path: Path) -> None:
    source = csv_source(tmp_path)
    names = ("id", "n", "p", "b", "d", "city")
    for used, said in (
        ("cli", "--set-to keep_columns=true"),
        ("airflow", r"parts=\{'keep': True\}"),
        ("python", r"Parts\(keep=True\)"),
    ):
        with interface(used), pytest.raises(InputError, match=said):  # type: ignore[arg-type]
            publish(tmp_path, "c", source, *names)
