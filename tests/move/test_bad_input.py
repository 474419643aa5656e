"""Bad input, case by case: messages name system, object and remedy, and nothing is published.

Each system's own tests look closer. These see to it that no system is left out: `Matrix`.

Over 400 lines: a matrix, whose rows stand in one file so that none is left out.
"""

from __future__ import annotations

import gzip
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import duckdb
import psycopg
import pytest
import requests
from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials

from emulators import Emulator, versity_user
from matrices import Matrix
from mysql_server import Database, connection_to
from rest_server import Asked, Reply, serving
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.local import Systems
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.registry import all_systems, imported
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.dbapi.source import DbApiSource
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.http.connection import BearerAuth, HttpConnection
from tradewind.systems.http.source import Page, RestSource
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.mysql.table import MySQLTable
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.s3.store import S3Store
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable

BAD = Matrix("bad input", "source", "target", "store")

SECRET = "hidden-from-all"
"""The wrong password everywhere, and the right one of those who may do nothing."""

NOBODY = f"nobody_{uuid.uuid4().hex[:8]}"
"""A user without any rights."""


class Fails:
    """Carries out moves that have to fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def reading(self, source: Source, kind: type[TradewindError], *words: str) -> None:
        """Fail to read, into files of two formats: as the system writes them, and by columns."""
        for ending in ("csv", "jsonl", "parquet"):
            target = ObjectTarget(FileStore(self.folder), f"out.{ending}")
            self._check(source, target, kind, words)
            assert list(self.folder.iterdir()) == [], "something is visible, or left"

    def writing(self, target: Target, kind: type[TradewindError], *words: str) -> None:
        """Fail to write what is right."""
        self._check(GoodRows(), target, kind, words)

    def _check(
        self, source: Source, target: Target, kind: type[TradewindError], words: tuple[str, ...]
    ) -> None:
        with pytest.raises(TradewindError) as caught:
            transfer(source, target, Owner("bad", "input", "move"))
        said = str(caught.value)
        assert isinstance(caught.value, kind), repr(caught.value)
        for word in words:
            assert word in said
        assert SECRET not in said + repr(source) + repr(target)


class GoodRows(SQLiteSource):
    """One right row; it must not be asked for."""

    def __init__(self) -> None:
        super().__init__("nowhere.db", "SELECT 1 AS id")

    def batches(self) -> Any:
        raise AssertionError("it was read although the target refuses")


@pytest.fixture
def fails(tmp_path: Path) -> Fails:
    (tmp_path / "out").mkdir()
    return Fails(tmp_path / "out")


# ---------------------------------------------------------------------------------------- databases


@pytest.fixture(scope="module")
def postgres(local_postgres: Systems) -> Iterator[PostgresConnection]:
    found = local_postgres.environment
    connection = PostgresConnection(
        found["PGHOST"],
        int(found["PGPORT"]),
        user=found["PGUSER"],
        password=found["PGPASSWORD"],
        database=found["PGDATABASE"],
    )
    with psycopg.connect(
        host=connection.host,
        port=connection.port,
        user=connection.user,
        password=connection.password,
        dbname=connection.database,
        autocommit=True,
    ) as admin:
        admin.execute(f"CREATE ROLE {NOBODY} LOGIN PASSWORD '{SECRET}'")
        admin.execute(f"CREATE TABLE {NOBODY}_t (id int)")
        yield connection
        admin.execute(f"DROP TABLE {NOBODY}_t; DROP ROLE {NOBODY}")


@BAD.row(source="postgres", target="postgres")
def test_postgres(fails: Fails, postgres: PostgresConnection):
    where = f"PostgreSQL at {postgres.host}:{postgres.port}"
    table = f"{NOBODY}_t"
    wrong, nobody = (
        replace(postgres, password=SECRET),
        replace(postgres, user=NOBODY, password=SECRET),
    )
    other = replace(postgres, database="no_such_base")
    for source, kind, words in (
        (PostgresSource(postgres, "SELEC 1"), InputError, ("SELEC", "Correct the query")),
        (PostgresSource(postgres, "SELECT * FROM no_tab"), SetupError, ('"no_tab"', "Create")),
        (
            PostgresSource(nobody, f"SELECT * FROM {table}"),
            SetupError,
            (table, "Grant the permission"),
        ),
        (PostgresSource(wrong, "SELECT 1 AS a"), SetupError, ("password", "Check")),
        (PostgresSource(other, "SELECT 1 AS a"), SetupError, ("no_such_base", "Create")),
    ):
        fails.reading(source, kind, where, *words)
    for target, words in (
        (PostgresTable(postgres, "no_tab"), ("no_tab", "Create it")),
        (PostgresTable(nobody, table, mode="replace"), (table, "GRANT")),
        (PostgresTable(wrong, table), ("password", "Check")),
        (PostgresTable(other, table), ("no_such_base", "Create")),
    ):
        fails.writing(target, SetupError, where, *words)


@pytest.fixture(scope="module")
def mariadb(local_mariadb: Systems) -> Iterator[Database]:
    admin = Database(connection_to(local_mariadb))
    admin.run(f"CREATE USER {NOBODY}@'%' IDENTIFIED BY '{SECRET}'")
    admin.run(f"GRANT USAGE ON *.* TO {NOBODY}@'%'")
    admin.run(f"CREATE TABLE {NOBODY}_t (id INT) ENGINE=InnoDB")
    yield admin
    admin.run(f"DROP TABLE {NOBODY}_t")
    admin.run(f"DROP USER {NOBODY}@'%'")


@BAD.row(source="mysql", target="mysql")
def test_mariadb(fails: Fails, mariadb: Database):
    right = mariadb.connection
    where = f"MySQL at {right.host}:{right.port}"
    table = f"{NOBODY}_t"
    wrong, nobody = replace(right, password=SECRET), replace(right, user=NOBODY, password=SECRET)
    other = replace(right, database="no_such_base")
    for source, kind, words in (
        (MySQLSource(right, "SELEC 1"), InputError, ("SELEC", "Correct the query")),
        (MySQLSource(right, "SELECT * FROM no_tab"), SetupError, ("no_tab", "Create")),
        (MySQLSource(nobody, f"SELECT * FROM {table}"), SetupError, (NOBODY, "Grant")),
        (MySQLSource(wrong, "SELECT 1 AS a"), SetupError, ("denied", "password")),
        (MySQLSource(other, "SELECT 1 AS a"), SetupError, ("no_such_base", "Create")),
    ):
        fails.reading(source, kind, where, *words)
    for target, words in (
        (MySQLTable(right, "no_tab"), ("no_tab", "Create it")),
        (MySQLTable(nobody, table), (NOBODY, "Grant")),
        (MySQLTable(wrong, table), ("denied", "password")),
        (MySQLTable(other, table), ("no_such_base", "Create")),
    ):
        fails.writing(target, SetupError, where, *words)


@BAD.row(source="mongodb")
def test_mongodb(fails: Fails, local_mongodb: Systems):
    found = local_mongodb.environment
    right = MongoConnection(found["MONGODB_URI"], {"password": found["MONGODB_PASSWORD"]})
    where = f"MongoDB at {right.address}"
    wrong = MongoConnection(right.uri, {"password": SECRET})
    nobody = MongoConnection(f"mongodb://{NOBODY}:{SECRET}@{right.address}/{NOBODY}")
    with right.open() as client:
        client[NOBODY]["there"].insert_one({"_id": 1})
        client[NOBODY].command("createUser", NOBODY, pwd=SECRET, roles=[])
        try:
            for connection, options, kind, words in (
                (right, {"query": {"$no": 1}}, InputError, ("$no", "Correct the query")),
                (right, {"pipeline": [{"$no": 1}]}, InputError, ("$no", "Correct the query")),
                (right, {"collection": "no_col"}, SetupError, ("no_col", "Correct")),
                (wrong, {}, SetupError, ("refused", "Correct user and password")),
                (nobody, {}, SetupError, ("there", "grant the user the role")),
            ):
                arguments: dict[str, Any] = {"collection": "there", **options}
                source = MongoSource(connection, database=NOBODY, **arguments)
                fails.reading(source, kind, where, *words)
        finally:
            client[NOBODY].command("dropUser", NOBODY)
            client.drop_database(NOBODY)


@BAD.row(source="sqlite", target="sqlite")
def test_sqlite(fails: Fails, tmp_path: Path):
    (tmp_path / "no.db").write_bytes(b"this is no database at all, but text\n" * 100)
    (tmp_path / "empty.db").touch()
    for name, query, kind, words in (
        ("empty.db", "SELEC 1", InputError, ("SELEC", "Correct the query")),
        ("empty.db", "SELECT * FROM no_tab", SetupError, ("no_tab", "Create the table")),
        ("missing.db", "SELECT 1 AS a", SetupError, ("no such file", "Check the path")),
        ("no.db", "SELECT * FROM no_tab", SetupError, ("not a database", "replace it")),
    ):
        path = tmp_path / name
        fails.reading(SQLiteSource(path, query), kind, f"SQLite file {path}", *words)
    target = SQLiteTable(tmp_path / "empty.db", "no_tab")
    fails.writing(target, SetupError, "empty.db", "no_tab", "Create it")
    fails.writing(SQLiteTable(tmp_path / "no.db", "t"), SetupError, "no.db", "replace it")


@BAD.row(source="dbapi duckdb", target="duckdb")
def test_a_driver_and_a_plugin(fails: Fails, tmp_path: Path):
    plugin = all_systems()["duckdb"]
    reads, table = imported(plugin.source or ""), imported(plugin.target or "")
    path = tmp_path / "there.db"
    duckdb.connect(str(path)).close()
    fails.writing(table(path, "no_tab"), SetupError, "there.db", "no_tab", "reate")
    for query, word in (("SELEC 1", "SELEC"), ("SELECT * FROM no_tab", "no_tab")):
        # What a driver calls an operational error may be one of a query, or one to try again.
        driver = DbApiSource(lambda: sqlite3.connect(tmp_path / "a.db"), query)
        fails.reading(driver, RetryError, "database", word, "Check connection and query")
        fails.reading(reads(path, query), TradewindError, "there.db", word)


# -------------------------------------------------------------------------------------------- HTTP


@BAD.row(source="http")
def test_an_api(fails: Fails):
    def answer(asked: Asked) -> Reply:
        if asked.path == "/paged":
            number = int(asked.query["page"])
            key = "b" if number == 3 else "a"
            return Reply([{"id": number, key: "x" if number < 4 else 1}] if number < 5 else [])
        status = {"/denied": 401, "/forbidden": 403, "/missing": 404, "/wrong": 400}
        return Reply({"error": "no"}, status=status[asked.path])

    with serving(answer) as server:
        connection = HttpConnection(server.url, auth=BearerAuth(SECRET))
        for path, kind, words in (
            ("/denied", SetupError, ("401", "Correct the credentials")),
            ("/forbidden", SetupError, ("403", "Correct the credentials")),
            ("/missing", InputError, ("404", "Correct the path")),
            ("/wrong", InputError, ("400", "Correct the request")),
        ):
            fails.reading(
                RestSource(connection, path), kind, f"HTTP API at {server.url}{path}", *words
            )
        # Columns of the first pages hold for all; the third has another one.
        source = RestSource(connection, "/paged", pagination=Page(), sample=1)
        # CSV reads them again with it, a format with types refuses it.
        target = ObjectTarget(FileStore(fails.folder), "out.parquet")
        fails._check(source, target, InputError, ("'b'", "id 3 of page 3", "unknown='extra'"))
        assert list(fails.folder.iterdir()) == []


# ------------------------------------------------------------------------------------------- stores


def of_store(fails: Fails, store: Store, words: tuple[str, ...]) -> None:
    fails.writing(ObjectTarget(store, "a.csv"), SetupError, *words)
    fails.reading(ObjectSource(store, "a.csv"), SetupError, *words)


@BAD.row(store="s3")
def test_s3(fails: Fails, local_s3: Systems):
    found = local_s3.environment

    def store(bucket: str, secret: str = found["AWS_SECRET_ACCESS_KEY"]) -> S3Store:
        session = boto3.Session(found["AWS_ACCESS_KEY_ID"], secret, region_name="eu-west-1")
        return S3Store(
            bucket, session=session, client_options={"endpoint_url": local_s3["s3"].endpoint}
        )

    bucket = f"bad-{uuid.uuid4().hex[:12]}"
    of_store(fails, store(bucket), (f"s3://{bucket}", "no such bucket", "Create it"))
    of_store(fails, store(bucket, SECRET), (f"s3://{bucket}", "Correct the credentials"))
    there = store(bucket)
    there.client.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    missing = ObjectSource(there, "a.csv")
    fails.reading(missing, InputError, f"s3://{bucket}/a.csv", "no such object", "Correct the key")


def test_s3_without_permission(fails: Fails, versity: Emulator):
    versity_user(versity, "create-user", NOBODY, SECRET, role="user")
    root = boto3.Session(versity.account, versity.key, region_name="eu-west-1")
    bucket = f"bad-{uuid.uuid4().hex[:12]}"
    root.client("s3", endpoint_url=versity.endpoint).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    session = boto3.Session(NOBODY, SECRET, region_name="eu-west-1")
    store = S3Store(bucket, session=session, client_options={"endpoint_url": versity.endpoint})
    of_store(
        fails, store, (f"s3://{bucket}", "AccessDenied", "Grant these credentials s3:ListBucket")
    )
    versity_user(versity, "delete-user", NOBODY)


@BAD.row(store="azure")
def test_azure(fails: Fails, azurite: Emulator):
    container = f"bad-{uuid.uuid4().hex[:12]}"
    wrong = "aGlkZGVuLWZyb20tYWxs" * 4
    for key, words in (
        (azurite.key, ("Create the container",)),
        (wrong, ("give other credentials",)),
    ):
        store = AzureStore(
            container, account=azurite.account, credential=key, endpoint=azurite.endpoint
        )
        of_store(fails, store, (f"az://{container}", *words))
        store.client.close()
    with ContainerClient(azurite.endpoint, container, azurite.key) as client:
        client.create_container()
    store = AzureStore(
        container, account=azurite.account, credential=azurite.key, endpoint=azurite.endpoint
    )
    missing = ObjectSource(store, "a.csv")
    fails.reading(missing, InputError, f"az://{container}/a.csv", "no such object")
    store.client.close()


@BAD.row(store="gcs")
def test_google(fails: Fails, fake_gcs: Emulator):
    bucket = f"bad-{uuid.uuid4().hex[:12]}"
    store = GCSStore(bucket, credentials=AnonymousCredentials(), endpoint=fake_gcs.endpoint)
    of_store(fails, store, (bucket, "Create it, or correct its name"))
    made = requests.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": bucket}, timeout=30)
    made.raise_for_status()
    missing = ObjectSource(store, "a.csv")
    fails.reading(missing, InputError, f"gs://{bucket}/a.csv", "no such object")


@BAD.row(store="files sftp")
def test_files_here_and_there(fails: Fails, sftp_store: SFTPStore, tmp_path: Path):
    (tmp_path / "no-folder").write_text("a file")
    there = sftp_store._at(f"{tmp_path}/no-folder")
    for store in (FileStore(tmp_path / "no-folder"), there):
        fails.writing(ObjectTarget(store, "a.csv"), SetupError, "no-folder", "folder")
    for store in (FileStore(tmp_path), sftp_store):
        where = store.uri("a.csv")
        fails.reading(ObjectSource(store, "a.csv"), InputError, where, "no such", "Correct")


def test_no_system_is_left_out() -> None:
    BAD.check()


# ---------------------------------------------------------------------------------------- encodings

LATIN = "id,name\n1,J\xfcrgen\n".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", LATIN, ("UTF-8",)),
        ("a.jsonl", b'{"id": 1, "name": "J\xfcrgen"}\n', ("UTF-8",)),
        ("a.csv.gz", gzip.compress(LATIN, mtime=0)[:-9], ("cut off",)),
        ("a.csv.gz", b"this is no gzip", ("gzip",)),
        ("a.parquet", b"PAR1, it says", ("Parquet",)),
    ],
)
def test_unreadable_objects(
    fails: Fails, tmp_path: Path, name: str, content: bytes, words: tuple[str, ...]
):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content)
    source = ObjectSource(FileStore(folder), name, compression="gzip" if ".gz" in name else None)
    target = ObjectTarget(FileStore(fails.folder), "out.parquet")
    fails._check(source, target, InputError, (f"file://{folder}/{name}", *words))
    assert list(fails.folder.iterdir()) == []


def test_unreadable_text_of_databases(fails: Fails, postgres: PostgresConnection, tmp_path: Path):
    base = f"ascii_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        dbname=postgres.database,
        autocommit=True,
    ) as admin:
        admin.execute(f"CREATE DATABASE {base} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            raw = PostgresSource(
                replace(postgres, database=base), r"SELECT convert_from('\xfc', 'SQL_ASCII') AS a"
            )
            target = ObjectTarget(FileStore(fails.folder), "out.parquet")
            fails._check(raw, target, InputError, ("UTF-8",))
        finally:
            admin.execute(f"DROP DATABASE {base} WITH (FORCE)")
    with closing(sqlite3.connect(tmp_path / "raw.db")) as made, made:
        made.execute("CREATE TABLE t (a TEXT)")
        made.execute("INSERT INTO t VALUES (CAST(x'fc' AS TEXT))")
    fails.reading(
        SQLiteSource(tmp_path / "raw.db", "SELECT * FROM t"), InputError, "raw.db", "AS BLOB"
    )
