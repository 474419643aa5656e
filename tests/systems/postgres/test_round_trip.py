"""Generated tables of every type of PostgreSQL, there and back: values compared, and bytes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import string
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postgres_server import Database, database_on, fresh, owner_of
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.transfer import transfer
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable


@pytest.fixture(scope="module")
def db(connection: PostgresConnection) -> Iterator[Database]:
    with database_on(connection) as database:
        database.run("CREATE TYPE round_trip_mood AS ENUM ('sad', 'o k', 'NULL', '')")
        yield database


TEXT = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.text("\\\t\n\r\b\f\v\"',{}N ntbfrv.xA\x01", max_size=8),
    st.sampled_from(["", "NULL", "\\N", "\\.", "null", "👩‍🚀", "\\x00", " "]),
)
DIGITS = st.integers(-(10**8) + 1, 10**8 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=False))
DAYS = st.dates().map(str)
TIMES = st.times().map(lambda value: value.isoformat())
STAMPS = st.datetimes().map(lambda value: value.isoformat(" "))
HEX = st.binary(max_size=6).map(lambda value: "\\x" + value.hex())

#: Type -> the text of its values, as a person would type them.
TYPES: dict[str, st.SearchStrategy[str]] = {
    "bool": st.sampled_from(["t", "f"]),
    "int2": st.integers(-(2**15), 2**15 - 1).map(str),
    "int4": st.integers(-(2**31), 2**31 - 1).map(str),
    "int8": st.integers(-(2**63), 2**63 - 1).map(str),
    "oid": st.integers(0, 2**32 - 1).map(str),
    "float4": st.floats(width=32).map(str),
    "float8": st.floats().map(str),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.just("NaN"),
    "numeric(10,2)": DIGITS.map(lambda n: f"{n / 100:.2f}"),
    "numeric(50,20)": st.decimals(-(10**20), 10**20, places=20).map(str),
    "numeric(3,-2)": st.integers(-99949, 99949).map(str),
    "text": TEXT,
    "varchar(20)": TEXT,
    "char(12)": TEXT,
    "bytea": HEX,
    "date": DAYS,
    "time": TIMES,
    "timetz": st.tuples(TIMES, st.sampled_from(["+00", "-12:30", "+05:30"])).map("".join),
    "timestamp": STAMPS,
    "timestamptz": st.tuples(
        st.datetimes(min_value=dt.datetime(1, 1, 3)).map(lambda value: value.isoformat(" ")),
        st.sampled_from(["+00", "+09:45"]),
    ).map("".join),
    "interval": st.tuples(
        st.integers(-99, 99), st.integers(-9, 9), st.integers(-(10**9), 10**9)
    ).map(lambda parts: f"{parts[0]} months {parts[1]} days {parts[2]} microseconds"),
    "json": JSON,
    "jsonb": JSON,
    "uuid": st.uuids().map(str),
    "round_trip_mood": st.sampled_from(["sad", "o k", "NULL", ""]),
    "inet": st.ip_addresses().map(str),
    "int4range": st.integers(-99, 99).map(lambda n: f"[{n},100)"),
    "point": st.tuples(DIGITS, DIGITS).map(str),
    "xml": st.text(string.ascii_letters, max_size=9).map(lambda text: f"<a>{text}</a>"),
}
LISTED = """
bool int4 int8 float8 numeric(10,2) numeric text bytea date time timestamp timestamptz interval
jsonb uuid round_trip_mood inet
"""
for _type in LISTED.split():
    TYPES[f"{_type}[]"] = st.lists(st.none() | TYPES[_type], max_size=4).map(json.dumps)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str | None]]]:
    types = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=6))
    row = st.tuples(*(st.none() | TYPES[type_] for type_ in types)).map(list)
    return types, draw(st.lists(row, max_size=6))


def fill(db: Database, name: str, types: list[str], rows: list[list[str | None]]) -> None:
    casts = []
    for number, type_ in enumerate(types, 1):
        if type_.endswith("[]"):
            element = type_[:-2]
            items = f"jsonb_array_elements_text(${number}::text::jsonb)"
            casts.append(
                f"CASE WHEN ${number}::text IS NOT NULL THEN coalesce((SELECT array_agg("
                f"item::{element}) FROM {items} AS item), '{{}}') END::{type_}"
            )
        else:
            casts.append(f"${number}::text::{type_}")
    for row in rows:
        db.rows(f"INSERT INTO {name} VALUES ({', '.join(casts)})", *row)


def with_numbers(text: bytes, types: list[str]) -> list[list[object]]:
    """Rows of CSV, its floats as numbers."""
    _, *rows = csv.reader(io.StringIO(text.decode(), newline=""))
    kinds = {"float4": np.float32, "float8": np.float64}
    return [
        [
            repr(kinds[type_](cell)) if cell and type_ in kinds else cell
            for cell, type_ in zip(row, types, strict=True)
        ]
        for row in rows
        if row
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables())
def test_tables_of_every_type_come_back_as_they_were(connection, db, table):
    types, rows = table
    name, typed, native, made = (fresh(what) for what in ("rt", "rt_typed", "rt_native", "rt_made"))
    columns = ", ".join(f'"c {number}" {type_}' for number, type_ in enumerate(types))
    try:
        db.run(f"CREATE TABLE {name} ({columns})")
        fill(db, name, types, rows)
        db.run(f"CREATE TABLE {typed} (LIKE {name}); CREATE TABLE {native} (LIKE {name})")
        wanted = db.texts(name)
        source = PostgresSource(connection, f"TABLE {name}")

        def keep(batch):
            return batch

        moved = transfer(
            source, PostgresTable(connection, typed), owner_of("typed"), transform=keep
        )
        assert moved.rows == len(rows)
        assert db.texts(typed) == wanted

        assert transfer(source, PostgresTable(connection, native), owner_of("native")).rows == len(
            rows
        )
        assert db.texts(native) == wanted

        transfer(source, PostgresTable(connection, made, create=True), owner_of("made"))
        again = PostgresSource(connection, f"TABLE {made}")
        with source.batches() as first, again.batches() as second:
            wider = [pa.int64() if f.type == pa.uint32() else f.type for f in first.schema]
            assert [f.type for f in second.schema] == wider
        if not {"json", "char(12)"} & set(types):  # made as jsonb and as text
            assert db.texts(made) == wanted

        encoded = source.encoded(CsvFormat())
        if encoded is not None:
            written = b"".join(encoded.chunks)
            ours = b"".join(CsvFormat().encode(source.batches()))
            if {"float4", "float8"} & set(types):
                # PostgreSQL prints some large floats with one digit more than they need.
                assert with_numbers(written, types) == with_numbers(ours, types)
            else:
                assert written == ours
            assert encoded.rows() == len(rows)
    finally:
        db.run(f"DROP TABLE IF EXISTS {name}, {typed}, {native}, {made}")
