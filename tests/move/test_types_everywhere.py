"""Every type from every source through each format and every store into every table, and back.

Over 400 lines: a matrix, whose rows stand in one file so that none is left out.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pytest
import requests
from azure.storage.blob import ContainerClient
from bson import Decimal128, Int64
from bson.datetime_ms import DatetimeMS
from google.auth.credentials import AnonymousCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emulators
from matrices import Matrix
from move.formats.tables import SCALARS, WIDE, same, tables
from rest_server import Asked, Reply, serving
from ssh_server import SSHServer
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.registry import all_systems, imported, own_systems
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.dbapi.source import DbApiSource
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.http.connection import HttpConnection
from tradewind.systems.http.source import Page, RestSource
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.mysql.table import MySQLTable
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.s3.store import S3Store
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable
from tradewind.systems.ssh.connection import SSHConnection

TYPES = Matrix("types", "source", "target", "store")
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


Scalar = tuple[pa.DataType, str | None, st.SearchStrategy[Any]]


@dataclass
class Kind:
    """A system: how to put a table there and read it, and which values it has words for.

    Args:
        source: Reads a table by its name; the schema is the one that was put there.
        fill: Puts a table there.
        types: Which types it has.
        limits: Leave out, of each type, what it has no words for.
        target: Writes a table; None where it is no target.
    """

    source: Callable[[str, pa.Schema], Source]
    fill: Callable[[str, pa.Table], object]
    types: Sequence[tuple[pa.DataType, str | None]]
    limits: Sequence[Callable[[Scalar], Scalar]] = ()
    target: Callable[[str], Target] | None = None

    @property
    def scalars(self) -> list[Scalar]:
        return _limited(_chosen(*self.types), self.limits)


def _limited(
    scalars: Iterable[Scalar], limits: Iterable[Callable[[Scalar], Scalar]]
) -> list[Scalar]:
    found = list(scalars)
    for limit in limits:
        found = [limit(scalar) for scalar in found]
    return found


def _database(
    source: Callable[[str], Source],
    target: Callable[[str], Target],
    types: Sequence[tuple[pa.DataType, str | None]],
    *limits: Callable[[Scalar], Scalar],
) -> Kind:
    def fill(name: str, table: pa.Table) -> None:
        transfer(Made(table), target(name), Owner("types", name, "fill"))

    return Kind(lambda name, _: source(name), fill, types, limits, target)


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
    types = [
        *_SERVERS,
        (pa.bool_(), None),
        (pa.float32(), None),
        (pa.timestamp("us", tz="UTC"), None),
        (pa.string(), "json"),
        (pa.string(), "uuid"),
    ]
    return _database(
        lambda table: PostgresSource(connection, f'SELECT * FROM "{table}" ORDER BY "row"'),
        lambda table: PostgresTable(connection, table, create=True),
        types,
        _without_nul,
    )


@pytest.fixture(scope="module")
def mysql(local_mariadb: Systems) -> Kind:
    values = local_mariadb.environment
    connection = MySQLConnection(
        host=values["MYSQL_HOST"],
        port=int(values["MYSQL_TCP_PORT"]),
        user=values["MYSQL_USER"],
        password=values["MYSQL_PWD"],
        database=values["MYSQL_DATABASE"],
    )
    return _database(
        lambda table: MySQLSource(connection, f"SELECT * FROM `{table}` ORDER BY `row`"),
        lambda table: MySQLTable(connection, table, create=True),
        [*_SERVERS, (pa.uint64(), None), (pa.uint8(), None)],
        _modern,
        _without_minus_zero,
    )


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    path = tmp_path_factory.mktemp("sqlite") / "types.db"
    return _database(
        lambda table: SQLiteSource(str(path), f'SELECT * FROM "{table}" ORDER BY "row"'),
        lambda table: SQLiteTable(str(path), table, create=True),
        _COMMON,
        _without_minus_zero,
        _without_nul,
    )


@pytest.fixture(scope="module")
def dbapi(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """A driver of Python's; SQLite's is at hand everywhere."""
    path = tmp_path_factory.mktemp("dbapi") / "types.db"

    def source(name: str, schema: pa.Schema) -> Source:
        return DbApiSource(
            lambda: sqlite3.connect(path), f'SELECT * FROM "{name}" ORDER BY "row"', schema=schema
        )

    def fill(name: str, table: pa.Table) -> None:
        target = SQLiteTable(str(path), name, create=True)
        transfer(Made(table), target, Owner("types", name, "fill"))

    return Kind(source, fill, _COMMON, [_without_minus_zero, _without_nul])


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """A plugin's database: what is not ours is held to the same."""
    path = tmp_path_factory.mktemp("duckdb") / "types.db"
    return _database(
        lambda table: imported(all_systems()["duckdb"].source or "")(
            path, f'SELECT * FROM "{table}" ORDER BY "row"'
        ),
        lambda table: imported(all_systems()["duckdb"].target or "")(path, table, create=True),
        [*_SERVERS, (pa.bool_(), None), (pa.float32(), None), (pa.uint64(), None)],
    )


@pytest.fixture(scope="module")
def mongodb(local_mongodb: Systems) -> Iterator[Kind]:
    values = local_mongodb.environment
    connection = MongoConnection(values["MONGODB_URI"], {"password": values["MONGODB_PASSWORD"]})
    database = f"types_{os.getpid()}"

    def fill(name: str, table: pa.Table) -> None:
        numbers = [
            column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            for column in table.columns
        ]
        rows = zip(*(column.to_pylist() for column in numbers), strict=True)
        documents = [
            {
                field.name: _bson(value, field.type)
                for field, value in zip(table.schema, row, strict=True)
            }
            for row in rows
        ]
        if documents:
            client[database][name].insert_many(documents)

    def source(name: str, schema: pa.Schema) -> Source:
        return MongoSource(
            connection,
            database=database,
            collection=name,
            projection={"_id": 0},
            sort={"row": 1},
            schema=schema,
            missing_ok=True,
        )

    types = [*_COMMON, (pa.bool_(), None), (pa.int32(), None), (pa.decimal128(38, 10), None)]
    types += [(pa.timestamp("us", tz="UTC"), None), (pa.string(), "uuid")]
    with connection.open() as client:
        yield Kind(source, fill, types, [_bson_limits])
        client.drop_database(database)


def _bson_limits(scalar: Scalar) -> Scalar:
    """Keep to 34 digits and to milliseconds."""
    kind, logical, values = scalar
    if pa.types.is_decimal(kind):
        values = st.integers(-(10**34) + 1, 10**34 - 1).map(lambda n: Decimal(n).scaleb(-10, WIDE))
    elif pa.types.is_timestamp(kind):
        values = values.map(lambda number: number - number % 1000)
    return kind, logical, values


def _bson(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_int64(kind):
        return Int64(value)
    if pa.types.is_decimal(kind):
        return Decimal128(value)
    if pa.types.is_timestamp(kind):
        return DatetimeMS(value // 1000)
    return value


@pytest.fixture(scope="module")
def http() -> Iterator[Kind]:
    """An API that hands out what it was given in pages of two, as JSON."""
    lines: dict[str, list[bytes]] = {}

    def answer(asked: Asked) -> Reply:
        first = 2 * (int(asked.query["page"]) - 1)
        found = lines[asked.path.strip("/")][first : first + 2]
        return Reply(raw=b"[" + b",".join(found) + b"]")

    def fill(name: str, table: pa.Table) -> None:
        encoded = JsonLinesFormat().encode(Batches(table.schema, table.to_batches()))
        lines[name] = b"".join(encoded).splitlines()

    types = [*_SERVERS, (pa.bool_(), None), (pa.timestamp("us", tz="UTC"), None)]
    types += [(pa.string(), "uuid"), (pa.uint64(), None), (pa.uint8(), None)]
    with serving(answer) as server:
        connection = HttpConnection(server.url)
        yield Kind(
            lambda name, schema: RestSource(
                connection, f"/{name}", pagination=Page(), schema=schema
            ),
            fill,
            types,
            [_of_python],
        )


def _of_python(scalar: Scalar) -> Scalar:
    """Keep to the years that Python's own dates have: declared columns read texts by them."""
    kind, logical, values = scalar
    if pa.types.is_date32(kind):
        values = st.integers(-719_162, 2_932_896)
    elif pa.types.is_timestamp(kind):
        values = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
    return kind, logical, values


def _files(name: str, request: pytest.FixtureRequest) -> Store:
    return FileStore(request.getfixturevalue("tmp_path_factory").mktemp("objects"))


def _s3(name: str, request: pytest.FixtureRequest) -> Store:
    systems = request.getfixturevalue("local_s3")
    session = boto3.Session(
        systems.environment["AWS_ACCESS_KEY_ID"],
        systems.environment["AWS_SECRET_ACCESS_KEY"],
        region_name=systems.environment["AWS_REGION"],
    )
    s3 = S3Store(name, session=session, client_options={"endpoint_url": systems["s3"].endpoint})
    s3.client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return s3


def _gcs(name: str, request: pytest.FixtureRequest) -> Store | None:
    if not emulators.FAKE_GCS.exists():
        return None
    running = request.getfixturevalue("fake_gcs")
    made = requests.post(f"{running.endpoint}/storage/v1/b", json={"name": name}, timeout=30)
    made.raise_for_status()
    return GCSStore(name, credentials=AnonymousCredentials(), endpoint=running.endpoint)


def _azure(name: str, request: pytest.FixtureRequest) -> Store | None:
    if not (emulators.AZURITE.exists() and shutil.which("node")):
        return None
    running = request.getfixturevalue("azurite")
    with ContainerClient(running.endpoint, name, running.key) as client:
        client.create_container()
    return AzureStore(
        name, account=running.account, credential=running.key, endpoint=running.endpoint
    )


def _sftp(name: str, request: pytest.FixtureRequest) -> Store:
    server: SSHServer = request.getfixturevalue("sftp_server")
    connection = SSHConnection(
        "127.0.0.1",
        server.username,
        server.port,
        key_file=str(server.key_file),
        known_hosts=str(server.known_hosts),
    )
    folder = request.getfixturevalue("tmp_path_factory").mktemp("sftp")
    return SFTPStore(connection, f"{folder}/objects")


_STORES = {"files": _files, "s3": _s3, "gcs": _gcs, "azure": _azure, "sftp": _sftp}


@pytest.fixture(scope="module")
def stores(request: pytest.FixtureRequest) -> dict[str, Store]:
    """Every store that is to be had here, by the name of its system."""
    name = f"types-{uuid.uuid4().hex[:12]}"
    made = {system: _STORES[system](name, request) for system in TYPES.systems("store")}
    return {system: store for system, store in made.items() if store is not None}


def _all(source: Source) -> pa.Table:
    with source.batches() as batches:
        return pa.Table.from_batches(batches, batches.schema)


def _numbered(table: pa.Table) -> pa.Table:
    table = table.rename_columns([f"c{index}" for index in range(table.num_columns)])
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.add_column(0, pa.field("row", pa.int64()), rows)


def _goes_through(
    kind: Kind, into: Kind, table: pa.Table, store: Store, format: Format, compression: str
) -> None:
    number = next(_numbers)
    first, second = (f"types_{os.getpid()}_{number}_{part}" for part in "ab")
    key = f"{first}{format.extensions[0]}"
    owner = Owner("types", str(number), "move")

    kind.fill(first, table)
    source = kind.source(first, table.schema)
    read = _all(source)
    assert same(read, table), "what was written is not what is read"
    transfer(source, ObjectTarget(store, key, format=format, compression=compression), owner)
    back = ObjectSource(store, key, format=format, schema=read.schema)
    assert same(_all(back), read), f"{format.name} does not hold what the source holds"
    assert into.target is not None
    transfer(back, into.target(second), owner)
    assert same(_all(into.source(second, table.schema)), read), "the copy is not the same"


def _check(kind: Kind, into: Kind, stores: dict[str, Store], examples: int) -> None:
    known = {(type_, logical) for type_, logical, _ in into.scalars}
    both = _limited(
        [scalar for scalar in kind.scalars if scalar[:2] in known],
        [limit for limit in into.limits if limit not in kind.limits],
    )
    # Limits that replace the values of the other side's have to be heeded too.
    both = _limited(both, [limit for limit in kind.limits if limit is _bson_limits])
    formats = st.sampled_from(_FORMATS)
    compressions = st.sampled_from(["none", "gzip", "zstd"])

    @given(
        table=tables(scalars=both, lists=False).map(_numbered),
        store=st.sampled_from(sorted(stores)),
        format=formats,
        compression=compressions,
    )
    @settings(
        max_examples=examples, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def check(table: pa.Table, store: str, format: Format, compression: str) -> None:
        _goes_through(kind, into, table, stores[store], format, compression)

    check()


def _pairs() -> Iterator[tuple[str, str]]:
    """Each source into each table; of a plugin, into its own."""
    for source, into in itertools.product(TYPES.systems("source"), TYPES.systems("target")):
        if source == into or {source, into} <= own_systems().keys():
            yield source, into


_PAIRS = list(_pairs())
TYPES.row(store=" ".join(_STORES))
for _source, _into in _PAIRS:  # The fixture of a system has its name: without it they fail.
    TYPES.row(source=_source, target=_into)


def test_no_system_is_left_out() -> None:
    TYPES.check()


@pytest.mark.parametrize(("name", "into"), _PAIRS)
def test_types(
    name: str, into: str, stores: dict[str, Store], request: pytest.FixtureRequest
) -> None:
    kinds = [request.getfixturevalue(one) for one in (name, into)]
    _check(*kinds, stores, 16 if name == into and name in own_systems() else 6)


@pytest.mark.long
@pytest.mark.parametrize(("name", "into"), _PAIRS)
def test_many_types(
    name: str, into: str, stores: dict[str, Store], request: pytest.FixtureRequest
) -> None:
    kinds = [request.getfixturevalue(one) for one in (name, into)]
    _check(*kinds, stores, 200)


_NUMBERS = [(pa.float32(), None), (pa.int16(), None)]


@pytest.mark.parametrize("name", ["postgres", "http"])
def test_numbers_through_recordio(
    name: str, stores: dict[str, Store], request: pytest.FixtureRequest
) -> None:
    kind = request.getfixturevalue(name)
    scalars = _limited(_chosen(*[one for one in _NUMBERS if one in kind.types]), kind.limits)

    @given(table=tables(scalars=scalars, lists=False, nulls=False))
    @settings(
        max_examples=10, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def check(table: pa.Table) -> None:
        # One float makes all of a record's values floats: so one type, and no row numbers.
        table = _numbered(table.select([0]))
        name = f"recordio_{os.getpid()}_{next(_numbers)}"
        kind.fill(name, table)

        def values(batch: pa.RecordBatch) -> pa.RecordBatch:
            return batch.select(["c0"])

        owner = Owner("types", name, "move")
        target = ObjectTarget(stores["s3"], f"{name}.rec")
        transfer(kind.source(name, table.schema), target, owner, transform=values)
        wanted = table.select(["c0"])
        read = _all(ObjectSource(stores["s3"], f"{name}.rec", schema=wanted.schema))
        assert same(read, wanted)

    check()
