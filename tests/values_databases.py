"""What happens to values of databases and APIs: run by `test_values_databases`, shown on the page.

A case is one value of its system; all that a target keeps go there in one move, a column each, and
each that it refuses goes alone.

Over 400 lines: one table of values a system, which a page of the documentation shows.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.errors import InputError
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

__all__ = ["READ", "TARGETS", "Make", "Read", "check", "moved", "refusal", "selected", "table"]

TARGETS = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
REFUSED = None


@dataclass(frozen=True)
class Read:
    """One value that is read.

    Args:
        what: What it is, in words.
        given: How the system writes it: an expression of SQL, or JSON.
        csv: What a CSV has then; None where the move is refused.
        jsonl: The same of JSON lines.
        parquet: The same of Parquet, behind its type.
        alone: Whether its record goes another way, on which others have no room: lists of all but
            numbers and texts are no CSV that PostgreSQL writes.
    """

    what: str
    given: str
    csv: str | None
    jsonl: str | None
    parquet: str | None
    alone: bool = False


Make = Callable[[Mapping[str, str]], Source]
"""Makes a source of one record: what each column is given."""


def selected(given: Mapping[str, str]) -> str:
    """Write the query of one record."""
    return "SELECT " + ", ".join(f"{one} AS {name}" for name, one in given.items())


def moved(make: Make, cases: Sequence[Read], target: str, folder: Path) -> list[str]:
    """Move one record with all cases; tell what each is in the target."""
    names = [f"c{number}" for number in range(len(cases))]
    given = {name: case.given for name, case in zip(names, cases, strict=True)}
    _transfer(make(given), target, folder)
    path = folder / f"out.{target}"
    if target == "parquet":
        found = pq.read_table(path)
        shown = [f"{found.schema.field(name).type}: {_parquet(found[name])}" for name in names]
        path.unlink()
        return shown
    text = path.read_text(encoding="utf-8")
    path.unlink()
    if target == "csv":
        # Python's csv takes nothing and "" for the same; within quotes they would be doubled.
        told = re.sub(r'(?<![^,\n])""(?![^,\r\n])', '""""""', text)
        header, row = list(csv.reader(io.StringIO(told, newline="")))
        return [row[header.index(name)] for name in names]
    pairs = json.loads(text, parse_float=_Number, parse_int=_Number, object_pairs_hook=_Pairs)
    record = dict(pairs)
    return [_json(record[name]) for name in names]


def refusal(make: Make, case: Read, target: str, folder: Path) -> InputError | None:
    """Move one case; give its refusal, None where there was none."""
    try:
        _transfer(make({"v": case.given}), target, folder)
    except InputError as error:
        return error
    return None


def check(system: str, make: Make, folder: Path) -> None:
    """Assert that all values of a system arrive as the page says."""
    for target in TARGETS:
        kept = [case for case in READ[system] if getattr(case, target) is not None]
        apart = [case for case in kept if case.alone]
        for group in ([case for case in kept if not case.alone], *([case] for case in apart)):
            expected = {case.what: getattr(case, target) for case in group}
            found = moved(make, group, target, folder)
            assert dict(zip(expected, found, strict=True)) == expected
        for case in READ[system]:
            if getattr(case, target) is None:
                error = refusal(make, case, target, folder)
                assert error is not None, (target, case.what)
                assert "'v'" in str(error) or '"v"' in str(error)
                assert not list(folder.glob("out.*"))


def _transfer(source: Source, target: str, folder: Path) -> None:
    transfer(source, ObjectTarget(FileStore(folder), f"out.{target}"), Owner("d", "r", "t"))


def _parquet(column: pa.ChunkedArray) -> Any:
    # Python's own datetime ends with the year 9999.
    return (column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column)[0]


class _Pairs(list[tuple[str, Any]]):
    """An object with all of its members, equal names too."""


class _Number(str):
    """A number as it is spelled."""


def _json(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, _Pairs):
        return "{" + ",".join(f"{_json(key)}:{_json(one)}" for key, one in value) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    return json.dumps(value, ensure_ascii=False)


def table() -> str:
    """Write the tables of the page: one a source."""
    parts = []
    for source, cases in READ.items():
        lines = [
            f"### {source}", "", f"| what is read | as | {' | '.join(TARGETS.values())} |",
            "| --- | --- | --- | --- | --- |",
        ]  # fmt: skip
        for case in cases:
            found = [_shown(getattr(case, target)) for target in TARGETS]
            lines.append(f"| {case.what} | {_shown(case.given)} | {' | '.join(found)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shown(text: str | None) -> str:
    if text is None:
        return "refused"
    escaped = text.replace("|", r"\|").replace("\n", r"\n")
    if not escaped:
        return "nothing"
    return f"`` {escaped} ``" if "`" in escaped else f"`{escaped}`"


READ: dict[str, list[Read]] = {
    "PostgreSQL": [
        Read(
            "a number of `numeric(6,2)`",
            "1.50::numeric(6,2)",
            "1.50",
            "1.50",
            "decimal128(6, 2): 1.50",
        ),
        Read(
            "a sum of `numeric` without digits",
            "(SELECT sum(n) FROM (VALUES (1.5), (2.25)) v(n))",
            "3.75",
            "3.75",
            "string: 3.75",
        ),
        Read(
            "40 digits",
            "1234567890123456789012345678901234567890.5::numeric(50,1)",
            "1234567890123456789012345678901234567890.5",
            "1234567890123456789012345678901234567890.5",
            "decimal256(50, 1): 1234567890123456789012345678901234567890.5",
        ),
        Read("more than 76 digits", "1::numeric(80,1)", "1.0", "1.0", "string: 1.0"),
        Read("NaN of `numeric`", "'NaN'::numeric", "NaN", REFUSED, "string: NaN"),
        Read("NaN of `numeric(6,2)`", "'NaN'::numeric(6,2)", "NaN", REFUSED, REFUSED),
        Read("NaN of `double precision`", "'NaN'::float8", "NaN", REFUSED, "double: nan"),
        Read("`real`", "0.1::real", "0.1", "0.1", "float: 0.10000000149011612"),
        Read(
            "`bigint`",
            "9223372036854775807",
            "9223372036854775807",
            "9223372036854775807",
            "int64: 9223372036854775807",
        ),
        Read("`oid`", "4294967295::oid", "4294967295", "4294967295", "uint32: 4294967295"),
        Read("`money`", "12.5::numeric::money", "$12.50", '"$12.50"', "string: $12.50"),
        Read("true", "true", "t", "true", "bool: True"),
        Read("an empty text", "''", '""', '""', "string: "),
        Read("null", "NULL::text", "", "null", "string: None"),
        Read("`char(4)`", "'ab'::char(4)", "ab  ", '"ab  "', "string: ab  "),
        Read("infinity", "'infinity'::timestamp", "infinity", REFUSED, REFUSED),
        Read("a year BC", "'0044-03-15 BC'::date", "0044-03-15 BC", REFUSED, REFUSED),
        Read("a year beyond 9999", "'10000-01-01'::date", "10000-01-01", REFUSED, REFUSED),
        Read(
            "`timestamp`",
            "'2026-01-31 12:00:00.5'::timestamp",
            "2026-01-31 12:00:00.5",
            '"2026-01-31T12:00:00.5"',
            "timestamp[us]: 2026-01-31 12:00:00.500000",
        ),
        Read(
            "`timestamptz`",
            "'2026-01-31 12:00:00+05'::timestamptz",
            "2026-01-31 07:00:00+00",
            '"2026-01-31T07:00:00Z"',
            "timestamp[us, tz=UTC]: 2026-01-31 07:00:00.000000Z",
        ),
        Read("`24:00:00`", "'24:00:00'::time", "24:00:00", REFUSED, REFUSED),
        Read(
            "`timetz`",
            "'12:00:00+05'::timetz",
            "12:00:00+05",
            '"12:00:00+05"',
            "string: 12:00:00+05",
        ),
        Read(
            "`interval`",
            "'1 mon 2 days 03:04:05.6'::interval",
            "P1M2DT3H4M5.6S",
            '"P1M2DT3H4M5.6S"',
            "string: P1M2DT3H4M5.6S",
        ),
        Read("`bytea`", "'\\x00ff'::bytea", "\\x00ff", '"AP8="', "binary: b'\\x00\\xff'"),
        Read("`bit`", "B'101'", "101", '"101"', "string: 101"),
        Read(
            "`uuid`",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
            "string: a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        Read(
            "`json`, with equal keys",
            '\'{"a": 1.10, "a": 2}\'::json',
            '{"a": 1.10, "a": 2}',
            '{"a":1.10,"a":2}',
            'string: {"a": 1.10, "a": 2}',
        ),
        Read(
            "`inet`", "'10.0.0.1/24'::inet", "10.0.0.1/24", '"10.0.0.1/24"', "string: 10.0.0.1/24"
        ),
        Read(
            "a composite type", "ROW(1, 'x y')", '(1,"x y")', '"(1,\\"x y\\")"', 'string: (1,"x y")'
        ),
        Read("a range", "'[1,3)'::int4range", "[1,3)", '"[1,3)"', "string: [1,3)"),
        Read(
            "a multirange", "'{[1,3)}'::int4multirange", "{[1,3)}", '"{[1,3)}"', "string: {[1,3)}"
        ),
        Read(
            "an array", "ARRAY[1, NULL]", "[1,null]", "[1,null]", "list<element: int32>: [1, None]"
        ),
        Read(
            "an array of texts",
            "ARRAY['a,b']",
            '["a,b"]',
            '["a,b"]',
            "list<element: string>: ['a,b']",
        ),
        Read(
            "an array of times",
            "ARRAY['2026-01-31 12:00'::timestamp]",
            '["2026-01-31T12:00:00"]',
            '["2026-01-31T12:00:00"]',
            "list<element: timestamp[us]>: [datetime.datetime(2026, 1, 31, 12, 0)]",
            alone=True,
        ),
        Read("an array of two dimensions", "ARRAY[[1,2],[3,4]]", "[[1,2],[3,4]]", REFUSED, REFUSED),
        Read("an array that begins at 0", "'[0:1]={1,2}'::int[]", "[0:1]={1,2}", REFUSED, REFUSED),
        Read("`point`", "'(1.5,2)'::point", "(1.5,2)", '"(1.5,2)"', "string: (1.5,2)"),
        Read("`xml`", "'<a/>'::xml", "<a/>", '"<a/>"', "string: <a/>"),
        Read("`tsvector`", "'a b'::tsvector", "'a' 'b'", "\"'a' 'b'\"", "string: 'a' 'b'"),
    ],
    "MariaDB": [
        Read(
            "`DECIMAL(6,2)`", "CAST(1.50 AS DECIMAL(6,2))", "1.50", "1.50", "decimal128(6, 2): 1.50"
        ),
        Read(
            "65 digits",
            "CAST(1.5 AS DECIMAL(65,30))",
            "1.500000000000000000000000000000",
            "1.500000000000000000000000000000",
            "decimal256(65, 30): 1.500000000000000000000000000000",
        ),
        Read(
            "`BIGINT UNSIGNED`",
            "CAST(18446744073709551615 AS UNSIGNED)",
            "18446744073709551615",
            "18446744073709551615",
            "uint64: 18446744073709551615",
        ),
        Read("a quotient of integers", "1/3", "0.3333", "0.3333", "decimal128(5, 4): 0.3333"),
        Read("`DOUBLE`", "1.5e300", "1.5e+300", "1.5e+300", "double: 1.5e+300"),
        Read("true", "TRUE", "1", "1", "int32: 1"),
        Read("an empty text", "''", '""', '""', "string: "),
        Read("null", "NULL", "", "null", "string: None"),
        Read("a zero date", "CAST('0000-00-00' AS DATE)", REFUSED, REFUSED, REFUSED),
        Read(
            "the year 9999",
            "CAST('9999-12-31' AS DATE)",
            "9999-12-31",
            '"9999-12-31"',
            "date32[day]: 9999-12-31",
        ),
        Read(
            "`DATETIME(6)`",
            "CAST('2026-01-31 12:00:00.123456' AS DATETIME(6))",
            "2026-01-31 12:00:00.123456",
            '"2026-01-31T12:00:00.123456"',
            "timestamp[us]: 2026-01-31 12:00:00.123456",
        ),
        Read(
            "`TIME`", "CAST('12:00:00' AS TIME)", "12:00:00", '"12:00:00"', "time64[us]: 12:00:00"
        ),
        Read("`TIME` beyond a day", "CAST('25:00:00' AS TIME)", REFUSED, REFUSED, REFUSED),
        Read("bytes", "x'00ff'", "\\x00ff", '"AP8="', "binary: b'\\x00\\xff'"),
        Read(
            "JSON of a function",
            "JSON_OBJECT('a', 1.10)",
            '{"a": 1.10}',
            '"{\\"a\\": 1.10}"',
            'string: {"a": 1.10}',
        ),
        Read("a letter of latin1", "CONVERT('é' USING latin1)", "é", '"é"', "string: é"),
    ],
    "BigQuery": [
        Read(
            "`NUMERIC`",
            "CAST('1.50' AS NUMERIC)",
            "1.500000000",
            "1.500000000",
            "decimal128(38, 9): 1.500000000",
        ),
        Read(
            "`INT64`",
            "9223372036854775807",
            "9223372036854775807",
            "9223372036854775807",
            "int64: 9223372036854775807",
        ),
        Read("`FLOAT64`", "0.1", "0.1", "0.1", "double: 0.1"),
        Read("NaN of `FLOAT64`", "CAST('NaN' AS FLOAT64)", "NaN", REFUSED, "double: nan"),
        Read("true", "TRUE", "t", "true", "bool: True"),
        Read("an empty text", "''", '""', '""', "string: "),
        Read("null", "CAST(NULL AS STRING)", "", "null", "string: None"),
        Read(
            "the year 9999",
            "DATE '9999-12-31'",
            "9999-12-31",
            '"9999-12-31"',
            "date32[day]: 9999-12-31",
        ),
        Read(
            "`DATETIME`",
            "DATETIME '2026-01-31 12:00:00.123456'",
            "2026-01-31 12:00:00.123456",
            '"2026-01-31T12:00:00.123456"',
            "timestamp[us]: 2026-01-31 12:00:00.123456",
        ),
        Read(
            "`TIMESTAMP`",
            "TIMESTAMP '2026-01-31 12:00:00+05:00'",
            "2026-01-31 07:00:00+00",
            '"2026-01-31T07:00:00Z"',
            "timestamp[us, tz=UTC]: 2026-01-31 07:00:00.000000Z",
        ),
        Read(
            "`TIME`",
            "TIME '12:00:00.5'",
            "12:00:00.5",
            '"12:00:00.5"',
            "time64[us]: 12:00:00.500000",
        ),
        Read("an array", "[1, 2]", "[1,2]", "[1,2]", "list<element: int64>: [1, 2]"),
        Read(
            "a record",
            "STRUCT(1 AS a, 'x' AS b)",
            '{"a":1,"b":"x"}',
            '{"a":1,"b":"x"}',
            "struct<a: int64, b: string>: [('a', 1), ('b', 'x')]",
        ),
    ],
    "MongoDB": [
        Read(
            "an ObjectId",
            '{"$oid":"65b9f0c00000000000000001"}',
            "65b9f0c00000000000000001",
            '{"$oid":"65b9f0c00000000000000001"}',
            "string: 65b9f0c00000000000000001",
        ),
        Read("an integer of 32 bits", '{"$numberInt":"5"}', "5", "5", "int64: 5"),
        Read(
            "an integer of 64 bits",
            '{"$numberLong":"9223372036854775807"}',
            "9223372036854775807",
            "9223372036854775807",
            "int64: 9223372036854775807",
        ),
        Read("a double", '{"$numberDouble":"1.5"}', "1.5", "1.5", "double: 1.5"),
        Read("NaN", '{"$numberDouble":"NaN"}', "NaN", '{"$numberDouble":"NaN"}', "double: nan"),
        Read(
            "a decimal",
            '{"$numberDecimal":"1.50"}',
            "1.50",
            '{"$numberDecimal":"1.50"}',
            "string: 1.50",
        ),
        Read(
            "a date",
            '{"$date":{"$numberLong":"1769860800500"}}',
            "2026-01-31 12:00:00.5+00",
            '{"$date":"2026-01-31T12:00:00.500Z"}',
            "timestamp[us, tz=UTC]: 2026-01-31 12:00:00.500000Z",
        ),
        Read(
            "a date beyond the year 9999",
            '{"$date":{"$numberLong":"253402300800000"}}',
            "10000-01-01 00:00:00+00",
            '{"$date":{"$numberLong":"253402300800000"}}',
            "timestamp[us, tz=UTC]: 10000-01-01 00:00:00.000000Z",
        ),
        Read(
            "bytes",
            '{"$binary":{"base64":"AP8=","subType":"00"}}',
            "\\x00ff",
            '{"$binary":{"base64":"AP8=","subType":"00"}}',
            "binary: b'\\x00\\xff'",
        ),
        Read(
            "a UUID",
            '{"$uuid":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}',
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            '{"$binary":{"base64":"oO68mZwLTvi7bWu5vTgKEQ==","subType":"04"}}',
            "string: a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        Read("true", "true", "t", "true", "bool: True"),
        Read("null", "null", "", "null", "string: None"),
        Read("an empty text", '""', '""', '""', "string: "),
        Read(
            "a document",
            '{"a":[1,null]}',
            '{"a":[1,null]}',
            '{"a":[1,null]}',
            'string: {"a":[1,null]}',
        ),
        Read("a list", '[1,"x"]', '[1,"x"]', '[1,"x"]', 'string: [1,"x"]'),
        Read("a list of integers", "[1,2]", "[1,2]", "[1,2]", "list<element: int64>: [1, 2]"),
        Read(
            "a regular expression",
            '{"$regularExpression":{"pattern":"^a","options":"i"}}',
            '{"$regularExpression":{"pattern":"^a","options":"i"}}',
            '{"$regularExpression":{"pattern":"^a","options":"i"}}',
            'string: {"$regularExpression":{"pattern":"^a","options":"i"}}',
        ),
        Read(
            "a timestamp of the oplog",
            '{"$timestamp":{"t":1769860800,"i":1}}',
            '{"$timestamp":{"t":1769860800,"i":1}}',
            '{"$timestamp":{"t":1769860800,"i":1}}',
            'string: {"$timestamp":{"t":1769860800,"i":1}}',
        ),
        Read("MinKey", '{"$minKey":1}', '{"$minKey":1}', '{"$minKey":1}', 'string: {"$minKey":1}'),
        Read(
            "code",
            '{"$code":"f()"}',
            '{"$code":"f()"}',
            '{"$code":"f()"}',
            'string: {"$code":"f()"}',
        ),
    ],
    "An HTTP API": [
        Read(
            "a number to the last digit",
            "12345678901234567890.12",
            "12345678901234567890.12",
            "12345678901234567890.12",
            "string: 12345678901234567890.12",
        ),
        Read("a float such as `1.50`", "1.50", "1.5", "1.5", "double: 1.5"),
        Read("an integer", "5", "5", "5", "int64: 5"),
        Read("a number too large for a float", "1e400", "1E+400", "1E+400", "string: 1E+400"),
        Read("leading zeros in a text", '"02139"', "02139", '"02139"', "string: 02139"),
        Read(
            "a time with an offset",
            '"2026-01-31T12:00:00+05:00"',
            "2026-01-31T12:00:00+05:00",
            '"2026-01-31T12:00:00+05:00"',
            "string: 2026-01-31T12:00:00+05:00",
        ),
        Read("true", "true", "t", "true", "bool: True"),
        Read("null", "null", "", "null", "string: None"),
        Read(
            "an object",
            '{"a":[1.0,null]}',
            '{"a":[1.0,null]}',
            '{"a":[1.0,null]}',
            'string: {"a":[1.0,null]}',
        ),
        Read("a list", '[1,"x"]', '[1,"x"]', '[1,"x"]', 'string: [1,"x"]'),
        Read("a lone surrogate", '"\\ud800"', REFUSED, REFUSED, REFUSED),
        Read("NaN, which is no JSON", "NaN", REFUSED, REFUSED, REFUSED),
    ],
}
