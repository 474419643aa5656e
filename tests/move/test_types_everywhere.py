"""Every type from a database through each format into a store, and back into the database."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from move.formats.tables import SCALARS, same, tables
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.clients.mysql import MySQLConnection
from tradewind.move.clients.postgres import PostgresConnection
from tradewind.move.format import Format
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.source import Source
from tradewind.move.sources.mysql import MySQLSource
from tradewind.move.sources.objects import ObjectSource
from tradewind.move.sources.postgres import PostgresSource
from tradewind.move.sources.sqlite import SQLiteSource
from tradewind.move.stores.files import FileStore
from tradewind.move.target import Target
from tradewind.move.targets.mysql import MySQLTable
from tradewind.move.targets.objects import ObjectTarget
from tradewind.move.targets.postgres import PostgresTable
from tradewind.move.targets.sqlite import SQLiteTable
from tradewind.move.transfer import transfer
from tradewind.owner import Owner

_numbers = itertools.count()
_FORMATS = [CsvFormat(), JsonLinesFormat(), ParquetFormat()]


class Made(Source):
    """A table of the test's own as a source."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def describe(self) -> str:
        return "a table of the test"

    def batches(self) -> Batches:
        return Batches(self.table.schema, self.table.to_batches())


@dataclass
class Kind:
    """A database: how its tables are read and written, and which values it has words for."""

    source: Callable[[str], Source]
    target: Callable[[str], Target]
    scalars: list[tuple[pa.DataType, str | None, st.SearchStrategy[Any]]]


def _chosen(*kinds: tuple[pa.DataType, str | None]) -> list[tuple[Any, Any, Any]]:
    found = {}
    for kind, logical, values in SCALARS:
        if (kind, logical) in kinds and (kind, logical) not in found:
            found[kind, logical] = (kind, logical, values)
    assert len(found) == len(kinds)
    return list(found.values())


def _without_nul(scalar: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    kind, logical, values = scalar
    if kind == pa.string() and logical is None:
        values = values.filter(lambda word: "\0" not in word)
    elif logical == "json":  # as jsonb prints it
        values = st.sampled_from(["{}", "[]", '{"a": 1.10}', '{"b": [1, null, "x\\ny"]}', "true"])
    return kind, logical, values


def _without_minus_zero(scalar: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Leave out what SQLite and MariaDB turn into 0."""
    kind, logical, values = scalar
    if pa.types.is_floating(kind):
        values = values.map(lambda number: number + 0.0)
    return kind, logical, values


def _modern(scalar: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Dates that MariaDB has: from the year 1000 on."""
    kind, logical, values = scalar
    if pa.types.is_date32(kind):
        values = st.integers(-354_285, 2_932_896)
    elif pa.types.is_timestamp(kind):
        values = st.integers(-30_610_224_000_000_000, 253_402_300_799_999_999)
    return kind, logical, values


_COMMON = [
    (pa.int64(), None),
    (pa.float64(), None),
    (pa.string(), None),
    (pa.binary(), None),
]
_SERVERS = [
    *_COMMON,
    (pa.int16(), None),
    (pa.int32(), None),
    (pa.decimal128(38, 10), None),
    (pa.date32(), None),
    (pa.time64("us"), None),
    (pa.timestamp("us"), None),
]


@pytest.fixture(scope="module")
def postgres(local_postgres: Systems) -> Kind:
    values = local_postgres.environment
    connection = PostgresConnection(
        host=values["PGHOST"],
        port=int(values["PGPORT"]),
        user=values["PGUSER"],
        password=values["PGPASSWORD"],
        database=values["PGDATABASE"],
    )
    scalars = _chosen(
        *_SERVERS,
        (pa.bool_(), None),
        (pa.float32(), None),
        (pa.timestamp("us", tz="UTC"), None),
        (pa.string(), "json"),
        (pa.string(), "uuid"),
    )
    return Kind(
        lambda table: PostgresSource(connection, f'SELECT * FROM "{table}" ORDER BY "row"'),
        lambda table: PostgresTable(connection, table, create=True),
        [_without_nul(scalar) for scalar in scalars],
    )


@pytest.fixture(scope="module")
def mariadb(local_mariadb: Systems) -> Kind:
    values = local_mariadb.environment
    connection = MySQLConnection(
        host=values["MYSQL_HOST"],
        port=int(values["MYSQL_TCP_PORT"]),
        user=values["MYSQL_USER"],
        password=values["MYSQL_PWD"],
        database=values["MYSQL_DATABASE"],
    )
    scalars = _chosen(*_SERVERS, (pa.uint64(), None), (pa.uint8(), None))
    return Kind(
        lambda table: MySQLSource(connection, f"SELECT * FROM `{table}` ORDER BY `row`"),
        lambda table: MySQLTable(connection, table, create=True),
        [_without_minus_zero(_modern(scalar)) for scalar in scalars],
    )


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    path = tmp_path_factory.mktemp("sqlite") / "types.db"
    return Kind(
        lambda table: SQLiteSource(str(path), f'SELECT * FROM "{table}" ORDER BY "row"'),
        lambda table: SQLiteTable(str(path), table, create=True),
        [_without_minus_zero(_without_nul(scalar)) for scalar in _chosen(*_COMMON)],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


def _all(source: Source) -> pa.Table:
    with source.batches() as batches:
        return pa.Table.from_batches(batches, batches.schema)


def _numbered(table: pa.Table) -> pa.Table:
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.add_column(0, pa.field("row", pa.int64()), rows)


def _goes_round(kind: Kind, table: pa.Table, folder: Path, format: Format) -> None:
    number = next(_numbers)
    first, second = (f"types_{os.getpid()}_{number}_{part}" for part in "ab")
    key = f"{first}{format.extensions[0]}.zst"

    def owner(what: str) -> Owner:
        return Owner("types", str(number), what)

    transfer(Made(table), kind.target(first), owner("make"))
    read = _all(kind.source(first))
    assert same(read, table), "what was written is not what is read"
    transfer(kind.source(first), ObjectTarget(FileStore(folder), key, format=format), owner("out"))
    back = ObjectSource(FileStore(folder), key, format=format, schema=read.schema)
    assert same(_all(back), read), f"{format.name} does not hold what the database holds"
    transfer(back, kind.target(second), owner("in"))
    assert same(_all(kind.source(second)), read), "the copy is not the same"


def _check(kind: Kind, folder: Path, format: Format, examples: int) -> None:
    @given(table=tables(scalars=kind.scalars, lists=False).map(_numbered))
    @settings(
        max_examples=examples, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def check(table: pa.Table) -> None:
        _goes_round(kind, table, folder, format)

    check()


_KINDS = ["postgres", "mariadb", "sqlite"]


@pytest.mark.parametrize("format", _FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("name", _KINDS)
def test_types(name: str, format: Format, folder: Path, request: pytest.FixtureRequest) -> None:
    _check(request.getfixturevalue(name), folder, format, 8)


@pytest.mark.long
@pytest.mark.parametrize("format", _FORMATS, ids=lambda format: format.name)
@pytest.mark.parametrize("name", _KINDS)
def test_many_types(
    name: str, format: Format, folder: Path, request: pytest.FixtureRequest
) -> None:
    _check(request.getfixturevalue(name), folder, format, 150)
