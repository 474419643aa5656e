"""PostgreSQL: the same data give the same rows, or the same refusal, whichever road they take.

The roads: CSV that passes through to COPY, columns of text (as of JSON lines), typed columns.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_rows import Rows
from postgres_server import Database, database_on, owner_of
from tradewind.errors import InputError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.source import Source
from tradewind.move.tables.exact import is_rounded_float, more_digits
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.table import PostgresTable
from values_targets import POSTGRESQL, REFUSED


@pytest.fixture(scope="module")
def db(connection: PostgresConnection) -> Iterator[Database]:
    with database_on(connection) as database:
        database.run("CREATE DOMAIN exact_price AS numeric(10,2)")
        database.run("CREATE TYPE exact_pair AS (a numeric(6,2), b timestamp)")
        database.run("CREATE TYPE exact_deep AS (c exact_pair, t text)")
        database.run("CREATE DOMAIN exact_domain AS exact_pair")
        database.run("CREATE DOMAIN exact_fee AS exact_price CHECK (value > 0)")
        yield database


def sources(folder: Path, text: str) -> dict[str, Source]:
    value = text.replace('"', '""')
    (folder / "v.csv").write_text(f'id,v\n1,"{value}"\n')
    column = pa.array([text], pa.string())
    return {
        "CSV": ObjectSource(FileStore(folder), "v.csv"),
        "text": Rows(pa.table({"id": pa.array([1], pa.int32()), "v": column})),
    }


@pytest.mark.parametrize(("type_", "values"), POSTGRESQL, ids=[type_ for type_, _ in POSTGRESQL])
def test_texts(connection, db, tmp_path: Path, type_: str, values: dict[str, str | None]) -> None:
    for text, expected in values.items():
        for road, source in sources(tmp_path, text).items():
            table = db.table(f"id int, v {type_}")
            target = PostgresTable(connection, table)
            if expected is REFUSED:
                with pytest.raises(InputError) as told:
                    transfer(source, target, owner_of("exact"))
                assert (
                    "'v'" in str(told.value)
                    or "column v" in str(told.value)
                    or "bit(3)" in str(told.value)
                ), road
                assert text[:70] in str(told.value) or "bit(3)" in str(told.value)
                assert db.value(f"SELECT count(*) FROM {table}") == 0
            else:
                transfer(source, target, owner_of("exact"))
                found = db.value(f"SELECT v::text FROM {table}")
                assert (road, found) == (road, expected)


@pytest.mark.parametrize(
    ("type_", "values", "fits"),
    [
        ("numeric(10,2)", pa.array([Decimal("1.255")]), False),
        ("numeric(10,2)", pa.array([Decimal("1.250")]), True),
        ("numeric(10,2)", pa.array([1.255]), False),
        ("numeric(10,2)[]", pa.array([[Decimal("1.255")]]), False),
        ("numeric(10,2)[]", pa.array(["{1.255}"]), False),
        ("exact_fee", pa.array([Decimal("1.255")]), False),
        ("real", pa.array([0.1]), True),
        ("real", pa.array([1 / 3]), False),
        ("real", pa.array([16777217], pa.int32()), False),
        ("real", pa.array([16777216], pa.int32()), True),
        ("double precision", pa.array([2**53 + 1]), False),
        ("double precision", pa.array([Decimal("0.12345678901234567890")]), False),
        ("double precision", pa.array([Decimal("0.10000000000000000000")]), True),
        ("timestamp(0)", pa.array([dt.datetime(2026, 1, 1, 0, 0, 0, 500_000)]), False),
        ("timestamp(3)", pa.array([dt.datetime(2026, 1, 1, 0, 0, 0, 500_000)]), True),
        ("timestamptz(3)", pa.array([1], pa.timestamp("us", "UTC")), False),
        ("time(1)", pa.array([dt.time(1, 1, 1, 550_000)]), False),
        ("interval(0)", pa.array([1_500_000], pa.duration("us")), False),
        ("interval(1)", pa.array([1_500_000], pa.duration("us")), True),
        ("varchar(2)", pa.array(["ab "], pa.large_string()), False),
        ("varchar(2)", pa.array(["ab "]).dictionary_encode(), False),
        ("int", pa.array([1.5]), False),
        ("int", pa.array([1.0]), True),
        ("int", pa.array([Decimal("1.5")]), False),
    ],
)
def test_typed_values(connection, db, type_: str, values: pa.Array, *, fits: bool) -> None:
    table = db.table(f"id int, v {type_}")
    source = Rows(pa.table({"id": pa.array([1], pa.int32()), "v": values}))
    if fits:
        transfer(source, PostgresTable(connection, table), owner_of("exact"))
        assert db.value(f"SELECT count(*) FROM {table} WHERE v IS NOT NULL") == 1
    else:
        with pytest.raises(InputError):
            transfer(source, PostgresTable(connection, table), owner_of("exact"))
        assert db.value(f"SELECT count(*) FROM {table}") == 0


def test_years_that_arrow_does_not_write_as_the_server_reads_them(connection, db) -> None:
    """As CSV spells them, which takes the same dates to the same server."""
    before = -62_135_596_800_000_000 - 86_400_000_000
    for type_, values, expected in (
        ("date", pa.array([-719_163, 2_932_897, None], pa.date32()),
         ["0001-12-31 BC", "10000-01-01", None]),
        ("timestamp", pa.array([before, (1 << 63) - 1], pa.timestamp("us")),
         ["0001-12-31 00:00:00 BC", "294247-01-10 04:00:54.775807"]),
        ("timestamptz", pa.array([before // 1000], pa.timestamp("ms", "UTC")),
         ["0001-12-31 00:00:00+00 BC"]),
        ("date[]", pa.array([[-719_163, 0]], pa.list_(pa.date32())),
         ['{"0001-12-31 BC",1970-01-01}']),
    ):  # fmt: skip
        table = db.table(f"id int, v {type_}")
        rows = pa.table({"id": pa.array(range(len(values)), pa.int32()), "v": values})
        transfer(Rows(rows), PostgresTable(connection, table), owner_of("years"))
        found = db.rows(f"SELECT v::text FROM {table} ORDER BY id")
        assert [row[0] for row in found] == expected


@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_late_values_in_every_mode(connection, db, tmp_path: Path, mode: str) -> None:
    table = db.table("id int PRIMARY KEY, v numeric(10,2)", "VALUES (1, 5)")
    lines = [f"{number},{number / 100}" for number in range(200_000)]
    (tmp_path / "late.csv").write_text("\n".join(["id,v", *lines, "200000,0.005"]) + "\n")
    source = ObjectSource(FileStore(tmp_path), "late.csv")
    with pytest.raises(UnfitValueError, match=r"'v': numeric\(10,2\).*'0.005'"):
        transfer(source, PostgresTable(connection, table, mode=mode), owner_of("late"))
    assert db.rows(f"TABLE {table}") == [(1, Decimal("5.00"))]


@settings(max_examples=60)
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), max_size=5), st.integers(0, 6))
def test_digits_are_told_as_decimals_tell_them(numbers: list[Decimal], scale: int) -> None:
    texts = [str(number) for number in numbers]
    expected = [number != round(number, scale) if abs(number) < 10**20 else None
                for number in numbers]  # fmt: skip
    found = more_digits(pa.array(texts, pa.string()), scale).to_pylist()
    for told, right in zip(found, expected, strict=True):
        assert right is None or told == right


@settings(max_examples=60)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([".17g", ".18e", "r"]))
def test_what_prints_a_float_is_that_float(number: float, style: str) -> None:
    text = repr(number) if style == "r" else format(number, style)
    assert is_rounded_float(pa.array([text, "0.1", None]), 64).to_pylist()[0] in (False, None)


@settings(max_examples=60)
@given(st.integers(2**53, 2**63))
def test_integers_in_floats(number: int) -> None:
    told = is_rounded_float(pa.array([str(number)]), 64).to_pylist()[0]
    assert told == (int(f"{float(number):.{len(str(number).rstrip('0')) - 1}e}".split("e")[0]
                        .replace(".", "")) != int(str(number).rstrip("0") or 0))  # fmt: skip
