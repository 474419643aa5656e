"""Types of Parquet that few writers use arrive on every road as they do on the others."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mysql_server
import postgres_server
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.move.interface import interface
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.mysql.table import MySQLTable
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.sqlite.table import SQLiteTable

ROADS = ("PostgreSQL", "LOAD DATA", "INSERT", "SQLite", "CSV", "JSON lines", "Parquet")


def extension(kind: pa.DataType, stored: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(stored, kind.storage_type))


def cast(values: list[Any], kind: pa.DataType, stored: pa.DataType | None = None) -> pa.Array:
    return pa.array(values, stored or pa.int64()).cast(kind)


def of_struct(array: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([array], ["x"])


def of_list(array: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array)


BIG = pa.array([Decimal("12345678901234567890.12")], pa.decimal128(30, 2))
SMALL = pa.array([Decimal("1.10")], pa.decimal128(5, 2))
FIVE = UUID(int=5)
JSON = {
    "big": (of_struct(BIG), '{"x":12345678901234567890.12}'),
    "listed": (of_struct(of_list(SMALL)), '{"x":[1.10]}'),
    "structs": (of_list(of_struct(SMALL)), '[{"x":1.10}]'),
    "map": (pa.array([[("k", Decimal("1.10"))]], pa.map_(pa.string(), SMALL.type)), '{"k":1.10}'),
    "single": (of_struct(pa.array([0.1], pa.float32())), '{"x":0.1}'),
    "nanos": (of_struct(cast([1], pa.timestamp("ns"))), '{"x":"1970-01-01T00:00:00.000000001"}'),
    "clock": (of_struct(cast([1], pa.time64("ns"))), '{"x":"00:00:00.000000001"}'),
    "far": (of_struct(cast([253402300800], pa.timestamp("s"))), '{"x":"+10000-01-01T00:00:00"}'),
    "zone": (of_struct(cast([0], pa.timestamp("s", "UTC"))), '{"x":"1970-01-01T00:00:00Z"}'),
    "bytes": (of_struct(pa.array([b"\x00\xff"])), '{"x":"AP8="}'),
    "uuid": (of_struct(pa.array([FIVE.bytes], pa.uuid())), f'{{"x":"{FIVE}"}}'),
    "json": (of_struct(extension(pa.json_(), ['{"a":1.50}'])), '{"x":{"a":1.50}}'),
    "null": (pa.array([None], pa.struct([("x", SMALL.type)])), None),
    "inner": (of_struct(pa.array([None], pa.float32())), '{"x":null}'),
    "quotes": (of_struct(pa.array(['a"\\\n\u00e9'])), '{"x":"a\\"\\\\\\n\u00e9"}'),
}
"""Nested values, each with its JSON."""

PLAIN: dict[str, tuple[pa.Array, Any]] = {
    "uuid": (pa.array([FIVE.bytes], pa.uuid()), str(FIVE)),
    "json": (extension(pa.json_(), ['{"a": 1}']), '{"a": 1}'),
    "bool": (extension(pa.bool8(), [-1]), True),
    "opaque": (extension(pa.opaque(pa.int64(), "kind", "vendor"), [7]), 7),
    "half": (pa.array([0.5]).cast(pa.float16()), 0.5),
    "moments": (
        cast([1_700_000_000_123_456_000], pa.timestamp("ns")).dictionary_encode(),
        "2023-11-14 22:13:20.123456",
    ),
    "words": (pa.array(["caf\u00e9"]).dictionary_encode(), "caf\u00e9"),
    "prices": (SMALL.dictionary_encode(), Decimal("1.10")),
    "micros": (cast([1_700_000_000_123_456_000], pa.timestamp("ns")), "2023-11-14 22:13:20.123456"),
    "time": (cast([43_200_123_456_000], pa.time64("ns")), "12:00:00.123456"),
    "last": (cast([2932896], pa.date32(), pa.int32()), "9999-12-31"),
}
"""Other values, each with what a database gives for it."""


class Everywhere:
    """Moves one file of Parquet along each road, and looks at what arrives."""

    def __init__(self, folder: Path, postgres: Systems, mariadb: Systems) -> None:
        self.store = FileStore(folder)
        self.folder = folder
        self.postgres = postgres_server.connection_to(postgres)
        self.mariadb = mysql_server.connection_to(mariadb)

    def target(self, road: str, table: str) -> Target:
        if road == "PostgreSQL":
            return PostgresTable(self.postgres, table, create=True)
        if road in ("LOAD DATA", "INSERT"):
            load = "insert" if road == "INSERT" else "infile"
            return MySQLTable(self.mariadb, table, create=True, load=load)
        if road == "SQLite":
            return SQLiteTable(self.folder / "t.db", table, create=True)
        extension = {"CSV": "csv", "JSON lines": "jsonl", "Parquet": "parquet"}[road]
        return ObjectTarget.from_options(self.store, f"{table}.{extension}", {})

    def move(self, columns: dict[str, pa.Array], road: str, **options: Any) -> str:
        """Give the name of what was written."""
        pq.write_table(pa.table(columns), self.folder / "in.parquet")
        name: str = mysql_server.fresh("roads")
        source = ObjectSource(self.store, "in.parquet", **options)
        with interface("cli"):
            transfer(source, self.target(road, name), Owner("dag", name, "task"))
        return name


@pytest.fixture(scope="module")
def roads(
    local_postgres: Systems, local_mariadb: Systems, tmp_path_factory: pytest.TempPathFactory
) -> Everywhere:
    return Everywhere(tmp_path_factory.mktemp("roads"), local_postgres, local_mariadb)


def test_nested_values_are_the_same_json_everywhere(roads: Everywhere) -> None:
    columns = {name: array for name, (array, _) in JSON.items()}
    written = {road: roads.move(columns, road) for road in ROADS[:-1]}
    right = {name: word and json.loads(word, parse_float=str) for name, (_, word) in JSON.items()}
    with mysql_server.database_on(roads.mariadb) as db:
        for road in ("LOAD DATA", "INSERT"):
            row = db.rows(f"SELECT * FROM {written[road]}")[0]
            assert row == tuple(word for _, word in JSON.values()), road
    with postgres_server.database_on(roads.postgres) as db:
        texts = ", ".join(f'to_jsonb("{name}")::text' for name in JSON)
        row = db.rows(f"SELECT {texts} FROM {written['PostgreSQL']}")[0]
        found = {
            name: word and json.loads(word, parse_float=str)
            for name, word in zip(JSON, row, strict=True)
        }
        assert found == right
    with closing(sqlite3.connect(roads.folder / "t.db")) as lite:
        row = lite.execute(f"SELECT * FROM {written['SQLite']}").fetchone()
        assert row == tuple(word for _, word in JSON.values())
    line = (roads.folder / f"{written['JSON lines']}.jsonl").read_text()
    assert json.loads(line, parse_float=str) == right
    cells = (roads.folder / f"{written['CSV']}.csv").read_text()
    for _, word in JSON.values():
        assert word is None or '"{}"'.format(word.replace('"', '""')) in cells


def test_other_types_are_values_as_of_databases(roads: Everywhere) -> None:
    columns = {name: array for name, (array, _) in PLAIN.items()}
    written = {road: roads.move(columns, road) for road in ROADS}
    right = {name: str(value) for name, (_, value) in PLAIN.items()}
    with mysql_server.database_on(roads.mariadb) as db:
        for road in ("LOAD DATA", "INSERT"):
            row = db.rows(f"SELECT * FROM {written[road]}")[0]
            assert dict(zip(PLAIN, row, strict=True)) == right | {"bool": "1"}, road
    with postgres_server.database_on(roads.postgres) as db:
        texts = ", ".join(f"{name}::text" for name in PLAIN)
        row = db.rows(f"SELECT {texts} FROM {written['PostgreSQL']}")[0]
        assert dict(zip(PLAIN, row, strict=True)) == right | {"bool": "true"}
        types = db.rows(
            "SELECT data_type FROM information_schema.columns WHERE table_name = $1 "
            "ORDER BY ordinal_position",
            written["PostgreSQL"],
        )
        assert [kind for (kind,) in types[:4]] == ["uuid", "jsonb", "boolean", "bigint"]
    with closing(sqlite3.connect(roads.folder / "t.db")) as lite:
        row = lite.execute(f"SELECT * FROM {written['SQLite']}").fetchone()
        assert {name: str(value) for name, value in zip(PLAIN, row, strict=True)} == right | {
            "bool": "1"
        }
    line = json.loads((roads.folder / f"{written['JSON lines']}.jsonl").read_text())
    assert [line["uuid"], line["json"], line["bool"]] == [str(FIVE), {"a": 1}, True]
    read = pq.read_table(roads.folder / f"{written['Parquet']}.parquet")
    assert read["uuid"].to_pylist() == [FIVE], "Parquet passes through as it is"
    # Where the values are read, the note says what the text is; bytes are given if asked for.
    for kind, value in ((pa.uuid(), str(FIVE)), (pa.binary(16), FIVE.bytes)):
        kept = roads.move(columns, "Parquet", schema=pa.schema([("uuid", kind)]))
        read = pq.read_table(roads.folder / f"{kept}.parquet")
        assert read["uuid"].to_pylist() == [value]
        noted = (read.schema.field("uuid").metadata or {}).get(b"tradewind.type")
        assert (noted == b"uuid") is (value == str(FIVE))


def test_what_does_not_fit_is_named_with_its_value(roads: Everywhere) -> None:
    nanos = cast([0, 1_700_000_000_123_456_789], pa.timestamp("ns"))
    refused: list[tuple[str, pa.Array, str]] = [
        ("LOAD DATA", nanos, "2023-11-14 22:13:20.123456789"),
        ("INSERT", nanos, "2023-11-14 22:13:20.123456789"),
        ("LOAD DATA", cast([43_200_123_456_789], pa.time64("ns")), "12:00:00.123456789"),
        ("PostgreSQL", nanos, "'2023-11-14 22:13:20.123456789'"),
        ("PostgreSQL", of_list(nanos), "22:13:20.123456789"),
        ("LOAD DATA", cast([0, 2932897], pa.date32(), pa.int32()), "'10000-01-01'"),
        ("INSERT", cast([0, 2932897], pa.date32(), pa.int32()), "'10000-01-01'"),
        ("LOAD DATA", cast([0, 253402300800], pa.timestamp("s")), "'10000-01-01 00:00:00'"),
        ("SQLite", cast([0, 2932897], pa.date32(), pa.int32()), "10000-01-01"),
    ]
    duration = pa.array([1]).cast(pa.duration("us"))
    for road in ROADS[1:6]:
        refused.append((road, duration, """--set-from 'schema={"v": "int64"}'"""))
    for road in ("PostgreSQL", "CSV", "JSON lines"):
        refused.append((road, of_struct(duration), "duration"))
    for road, array, shown in refused:
        with pytest.raises(InputError) as caught:
            roads.move({"v": array}, road)
        assert "'v'" in str(caught.value), road
        assert shown in str(caught.value), road
    for kind in ("string", "large_string"):
        text = pa.schema([("v", kind)])
        with pytest.raises(InputError, match=r"duration\[us\].*int64"):
            roads.move({"v": duration}, "CSV", schema=text)
    for name in ("ctid", ""):
        with pytest.raises(InputError, match=rf"column {name!r} .*--set-to columns=") as caught:
            roads.move({name: pa.array([1]), "b": pa.array([2])}, "PostgreSQL")
        assert "query" not in str(caught.value)
