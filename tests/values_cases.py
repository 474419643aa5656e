"""What happens to values, case by case: run by `test_values_page`, and written into docs/values.md.

A case says what is read, where it goes, and what comes of it: it is kept, converted or refused.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import re
import sqlite3
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import values_databases
import values_targets
from tradewind.errors import InputError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.sqlite.source import SQLiteSource

__all__ = ["BEGIN", "CASES", "END", "PAGE", "Case", "outcome", "table"]

PAGE = Path(__file__).parents[1] / "docs" / "values.md"
BEGIN = "<!-- written by scripts/values_page.py from tests/values_cases.py -->"
END = "<!-- end of what is written by scripts/values_page.py -->"

EXTENSIONS = {"CSV": "csv", "JSON lines": "jsonl", "Parquet": "parquet"}
#: So many bytes tell the types of CSV in these cases: what stands behind them is late.
SAMPLE = 64


@dataclass(frozen=True)
class Case:
    """One value, from one system to another.

    Args:
        what: What is read, in words.
        source: ``CSV``, ``JSON lines``, ``Parquet`` or ``SQLite``.
        given: Values of the one column ``v`` in their order: as text of CSV and JSON; as Python's
            for the others.
        target: ``CSV``, ``JSON lines`` or ``Parquet``.
        does: ``kept``, ``converted`` or ``refused``.
        last: What the last value is in the target: its text, or Python's of Parquet; of a refusal
            a part of the message.
        note: What else the page says.
        kind: Arrow's type of the column, or how SQLite declares it.
        options: Of the source, as on the command line.
        written: Of the target.
    """

    what: str
    source: str
    given: tuple[Any, ...]
    target: str
    does: str
    last: Any
    note: str = ""
    kind: Any = None
    options: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def late(early: str, value: str, times: int = 40) -> tuple[str, ...]:
    """A value behind those that tell the type."""
    return (*[early] * times, value)


def untyped(what: str, early: str, value: str, in_json: str, typed: str) -> list[Case]:
    """A late value of CSV to each target."""
    given = late(early, value)
    return [
        Case(what, "CSV", given, "CSV", "kept", value, written={"delimiter": "|"}),
        Case(what, "CSV", given, "JSON lines", "kept", in_json),
        Case(what, "CSV", given, "Parquet", "refused", typed, "`schema` reads the column as text"),
    ]


DOUBLE = {"schema": '{"v": "double"}'}
FIVE = uuid.UUID(int=5)
FAR = datetime.datetime(9999, 12, 31, 23, 59, 59)
CASES: list[Case] = [
    Case("a number with leading zeros", "CSV", ("02139",), "Parquet", "kept", "02139", "as text"),
    Case("a number with leading zeros", "CSV", ("02139",), "JSON lines", "kept", '"02139"'),
    *untyped("leading zeros after whole numbers", "90001", "02139", '"02139"', "02139"),
    *untyped("hexadecimal digits after whole numbers", "31", "0x1F", '"0x1F"', "0x1F"),
    *untyped("a plus after whole numbers", "5", "+5", '"+5"', r"\+5"),
    *untyped("text after whole numbers", "1", "n/a", '"n/a"', "n/a"),
    *untyped("an exponent after whole numbers", "1", "1E5", '"1E5"', "1E5"),
    *untyped("a fraction after whole numbers", "1", "1.50", "1.50", "1.50"),
    *untyped("more digits than a float keeps", "0.5", "0.12345678901234567890",
             "0.12345678901234567890", "0.12345678901234567890"),
    *untyped("`yes` after booleans", "true", "yes", '"yes"', "yes"),
    *untyped("a date after times", "2026-01-31 10:00:00", "2026-01-31", '"2026-01-31"',
             "2026-01-31"),
    Case("a number that no float holds", "CSV", ("0.5", "1e-400"), "Parquet", "kept", "1e-400",
         "as text"),
    Case("a float such as `1.50`", "CSV", ("1.50",), "CSV", "kept", "1.50",
         written={"delimiter": "|"}),
    Case("a float such as `1.50`", "CSV", ("1.50",), "JSON lines", "kept", "1.50"),
    Case("a float such as `1.50`", "CSV", ("1.50",), "Parquet", "converted", 1.5,
         "the number, not its spelling"),
    Case("a time with an offset", "CSV", ("2026-01-31 12:00:00+05:00",), "JSON lines", "kept",
         '"2026-01-31 12:00:00+05:00"'),
    Case("a time with an offset", "CSV", ("2026-01-31 12:00:00+05:00",), "Parquet", "converted",
         datetime.datetime(2026, 1, 31, 7, tzinfo=datetime.UTC), "the moment, in UTC"),
    Case("NaN", "CSV", ("1.5", "NaN"), "JSON lines", "refused", "nan=", "unless `nan=null`"),
    Case("NaN", "CSV", ("1.5", "NaN"), "JSON lines", "converted", "null",
         written={"nan": "null"}),
    Case("text of one column with `schema`", "CSV", late("1", "02139"), "Parquet", "kept", "02139",
         options={"schema": '{"v": "string"}'}),
    *[
        Case(what, source, (word,), "Parquet", does, last, note, options=options)
        for source, reads in (("CSV", "text"), ("JSON lines", "JSON"))
        for what, word, does, last, note, options in (
            ("17 digits of a `double`, declared as such", "0.30000000000000004", "kept",
             0.30000000000000004, "", DOUBLE),
            ("digits of a `double` as C prints them, declared as such", "0.29999999999999999",
             "kept", 0.3, "as many digits give the text back", DOUBLE),
            ("more digits than the declared `double` keeps", "0.12345678901234567890", "refused",
             "floats", f"`schema` reads {reads} or a decimal", DOUBLE),
            ("more digits than the declared `double` keeps", "0.12345678901234567890", "converted",
             0.12345678901234568, "the nearest one, by `floats=nearest`",
             {**DOUBLE, "floats": "nearest"}),
        )
    ],
    Case("text in cp1252, told by `encoding`", "CSV", ("Größe €",), "JSON lines", "kept",
         '"Größe €"', options={"encoding": "cp1252"}),
    Case("a number to the last digit", "JSON lines", ("12345678901234567890.12",), "CSV", "kept",
         "12345678901234567890.12"),
    Case("a number to the last digit", "JSON lines", ("12345678901234567890.12",), "Parquet",
         "kept", "12345678901234567890.12", "as text, noted as decimal"),
    Case("a float such as `1.50`", "JSON lines", ("1.50",), "CSV", "kept", "1.50"),
    Case("a float such as `1.50`", "JSON lines", ("1.50",), "Parquet", "converted", 1.5,
         "the number, not its spelling"),
    Case("values of several types", "JSON lines", ("1", '"two"'), "CSV", "kept", "two"),
    Case("values of several types", "JSON lines", ("1", '"two"'), "Parquet", "kept", '"two"',
         "as JSON"),
    Case("true and false", "JSON lines", ("true", "false"), "CSV", "converted", "f",
         "`t` and `f`"),
    Case("an object", "JSON lines", ('{"a":[1.0,null]}',), "CSV", "kept", '{"a":[1.0,null]}',
         "as JSON"),
    Case("an object", "JSON lines", ('{"a":[1.0,null]}',), "Parquet", "kept", '{"a":[1.0,null]}',
         "as JSON"),
    Case("a lone surrogate", "JSON lines", ('"\\ud800"',), "Parquet", "refused", "'v'"),
    Case("a lone surrogate", "JSON lines", ('"\\ud800"',), "JSON lines", "kept", '"\\ud800"',
         "the bytes pass through"),
    Case("the year 9999", "Parquet", (FAR,), "CSV", "kept", "9999-12-31 23:59:59",
         kind=pa.timestamp("us")),
    Case("the year 9999", "Parquet", (FAR,), "JSON lines", "kept", '"9999-12-31T23:59:59"',
         kind=pa.timestamp("us")),
    Case("nanoseconds", "Parquet", (1_700_000_000_123_456_789,), "CSV", "kept",
         "2023-11-14 22:13:20.123456789", kind=pa.timestamp("ns")),
    Case("a decimal", "Parquet", (decimal.Decimal("1.50"),), "CSV", "kept", "1.50",
         kind=pa.decimal128(10, 2)),
    Case("a decimal", "Parquet", (decimal.Decimal("1.50"),), "JSON lines", "kept", "1.50",
         kind=pa.decimal128(10, 2)),
    Case("bytes", "Parquet", (b"\x00\xff",), "CSV", "converted", "\\x00ff", "hexadecimal",
         kind=pa.binary()),
    Case("bytes", "Parquet", (b"\x00\xff",), "JSON lines", "converted", '"AP8="', "base64",
         kind=pa.binary()),
    Case("a map", "Parquet", ([("k", 1)],), "CSV", "converted", '{"k":1}', "as JSON",
         kind=pa.map_(pa.string(), pa.int64())),
    Case("decimals in a struct", "Parquet", ({"d": decimal.Decimal("1.10")},), "JSON lines",
         "kept", '{"d":1.10}', kind=pa.struct([("d", pa.decimal128(5, 2))])),
    Case("a UUID", "Parquet", (FIVE.bytes,), "CSV", "kept", str(FIVE), kind=pa.uuid()),
    Case("a UUID", "Parquet", (FIVE.bytes,), "JSON lines", "kept", f'"{FIVE}"', kind=pa.uuid()),
    Case("JSON", "Parquet", ('{"a":1.50}',), "JSON lines", "kept", '{"a":1.50}', kind=pa.json_()),
    Case("a dictionary type", "Parquet", ("x",), "CSV", "kept", "x",
         kind=pa.dictionary(pa.int32(), pa.string())),
    Case("a large type", "Parquet", ("x",), "CSV", "kept", "x", kind=pa.large_string()),
    Case("an empty string beside null", "Parquet", (None, ""), "CSV", "kept", "",
         'null is nothing, the empty string is `""`', kind=pa.string()),
    Case("NaN", "Parquet", (float("nan"),), "CSV", "kept", "NaN", kind=pa.float64()),
    Case("NaN", "Parquet", (float("nan"),), "JSON lines", "refused", "nan=",
         "unless `nan=null`", kind=pa.float64()),
    Case("NaN", "Parquet", (float("nan"),), "JSON lines", "converted", "null",
         kind=pa.float64(), written={"nan": "null"}),
    Case("a fraction after 5,000 whole numbers of NUMERIC", "SQLite", (*range(5000), 10.5), "CSV",
         "kept", "10.5", kind="NUMERIC"),
    Case("a fraction after 5,000 whole numbers of NUMERIC", "SQLite", (*range(5000), 10.5),
         "JSON lines", "kept", "10.5", kind="NUMERIC"),
    Case("a fraction after 5,000 whole numbers of NUMERIC", "SQLite", (*range(5000), 10.5),
         "Parquet", "refused", "10.5", "`schema`, or a CAST in the query", kind="NUMERIC"),
    Case("a fraction after 5,000 whole numbers of NUMERIC", "SQLite", (*range(5000), 10.5),
         "Parquet", "kept", "10.5", "as text, by `schema`", kind="NUMERIC",
         options={"schema": '{"v": "string"}'}),
    Case("text in a column of INTEGER", "SQLite", (1, "n/a"), "CSV", "kept", "n/a",
         kind="INTEGER"),
    Case("text in a column of INTEGER", "SQLite", (1, "n/a"), "Parquet", "refused", "n/a",
         kind="INTEGER"),
    Case("what is no date in a column of DATE", "SQLite", ("2026-01-31", "soon"), "JSON lines",
         "kept", '"soon"', kind="DATE"),
    Case("what is no date in a column of DATE", "SQLite", ("2026-01-31", "soon"), "Parquet",
         "refused", "soon", kind="DATE"),
    Case("bytes", "SQLite", (b"\x00\xff",), "CSV", "converted", "\\x00ff", "hexadecimal",
         kind="BLOB"),
]  # fmt: skip


def outcome(case: Case, folder: Path) -> Any:
    """Move a case's values, and tell the last one in the target, or the message of a refusal."""
    place = FileStore(folder)
    name = f"out.{EXTENSIONS[case.target]}"
    target = ObjectTarget.from_options(place, name, case.written)
    try:
        transfer(_source(case, folder), target, Owner("dag", "run", "task"))
    except InputError as error:
        return error
    if case.target == "Parquet":
        return pq.read_table(folder / name).column("v").to_pylist()[-1]
    line = (folder / name).read_text().splitlines()[-1]
    if case.target == "JSON lines":
        return line.partition('"v":')[2].removesuffix("}")
    return line[1:-1].replace('""', '"') if line.startswith('"') else line


def _source(case: Case, folder: Path) -> Any:
    if case.source == "SQLite":
        with sqlite3.connect(folder / "in.db") as connection:
            connection.execute(f"CREATE TABLE t (v {case.kind})")
            connection.executemany("INSERT INTO t VALUES (?)", ([value] for value in case.given))
        connection.close()
        return SQLiteSource.from_uri(
            f"sqlite:///{folder / 'in.db'}", {"query": "SELECT v FROM t", **case.options}
        )
    path = folder / f"in.{EXTENSIONS[case.source]}"
    options = dict(case.options)
    if case.source == "Parquet":
        pq.write_table(pa.table({"v": pa.array(case.given, case.kind)}), path)
    elif case.source == "CSV":
        text = "v\n" + "".join(f"{value}\n" for value in case.given)
        path.write_bytes(text.encode(options.get("encoding", "utf-8")))
        options["sample_bytes"] = str(SAMPLE)
    else:
        path.write_text("".join(f'{{"v":{value}}}\n' for value in case.given))
    return ObjectSource.from_uri(str(path), options)


def table() -> str:
    """Write the tables of the page: one a source."""
    parts = []
    sources = list(dict.fromkeys(case.source for case in CASES))
    for source, cases in itertools.groupby(
        sorted(CASES, key=lambda case: sources.index(case.source)), lambda case: case.source
    ):
        lines = [f"### {source}", "", "| what is read | into | | |", "| --- | --- | --- | --- |"]
        for case in cases:
            shown = "" if case.does == "refused" else f"`{_shown(case.last)}`"
            if case.written and case.target == "JSON lines":
                options = ", ".join(f"`{name}={word}`" for name, word in case.written.items())
                shown = f"{shown} ({options})"
            said = "; ".join(part for part in (shown, case.note) if part)
            lines.append(f"| {case.what} | {case.target} | {case.does} | {said} |")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, values_databases.table(), values_targets.table()])


def _shown(value: Any) -> str:
    return re.sub(r"\|", r"\\|", str(value)) or '""'
