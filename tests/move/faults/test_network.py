"""Networks cut, databases restarted, disks full: nothing of it is visible, and a retry heals."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from botocore.config import Config

from faulty_proxy import FaultyProxy
from tradewind.errors import RetryError
from tradewind.local import up
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.mysql.table import MySQLTable
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.s3.store import S3Store

pytestmark = pytest.mark.xdist_group("move-faults")
OWNER = Owner("faults", "network", "move")
QUERY = "SELECT * FROM listings ORDER BY id"


@pytest.fixture
def database_proxy(systems: dict[str, str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(systems["PGHOST"], int(systems["PGPORT"])) as proxy:
        yield proxy


@pytest.fixture
def store_proxy(systems: dict[str, str]) -> Iterator[FaultyProxy]:
    where = urlsplit(systems["AWS_ENDPOINT_URL_S3"])
    with FaultyProxy(str(where.hostname), int(where.port or 0)) as proxy:
        yield proxy


def connection(
    systems: dict[str, str], postgres: psycopg.Connection[Any], port: int | str, **options: str
) -> PostgresConnection:
    return PostgresConnection(
        "127.0.0.1",
        int(port),
        user=systems["PGUSER"],
        password=systems["PGPASSWORD"],
        database=postgres.info.dbname,
        options=options,
    )


def store(systems: dict[str, str], bucket: str, endpoint: str) -> S3Store:
    session = boto3.Session(
        systems["AWS_ACCESS_KEY_ID"],
        systems["AWS_SECRET_ACCESS_KEY"],
        region_name=systems["AWS_REGION"],
    )
    config = Config(retries={"max_attempts": 2, "mode": "standard"})
    options = {"endpoint_url": endpoint, "config": config}
    return S3Store(bucket, session=session, client_options=options, part_bytes=5 << 20)


def left(s3: Any, bucket: str, prefix: str) -> tuple[list[str], int]:
    """Keys that are there, and uploads that were not finished."""
    keys = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return [one["Key"] for one in keys], len(uploads)


@pytest.mark.parametrize("parts", [None, Parts(rows=5_000)], ids=["one object", "parts"])
def test_the_way_to_the_database_is_cut_in_the_middle(
    systems: dict[str, str],
    postgres: psycopg.Connection[Any],
    s3: Any,
    bucket: str,
    database_proxy: FaultyProxy,
    parts: Parts | None,
):
    prefix = f"network/{uuid.uuid4().hex}/"
    source = PostgresSource(connection(systems, postgres, database_proxy.port), QUERY)
    there = store(systems, bucket, systems["AWS_ENDPOINT_URL_S3"])
    target = ObjectTarget(there, f"{prefix}data", format="csv", parts=parts)
    database_proxy.cut_after(3 << 20, "down")
    with pytest.raises(RetryError, match="PostgreSQL at"):
        transfer(source, target, OWNER)
    assert left(s3, bucket, prefix) == ([], 0)
    receipt = transfer(source, target, OWNER)
    assert receipt.rows == 25_000
    assert left(s3, bucket, prefix)[1] == 0


def test_the_way_to_the_store_is_cut_for_good(
    systems: dict[str, str],
    postgres: psycopg.Connection[Any],
    s3: Any,
    bucket: str,
    store_proxy: FaultyProxy,
):
    prefix = f"network/{uuid.uuid4().hex}/"
    source = PostgresSource(connection(systems, postgres, systems["PGPORT"]), QUERY)
    there = store(systems, bucket, f"http://127.0.0.1:{store_proxy.port}")
    target = ObjectTarget(there, f"{prefix}data.csv")
    s3.put_object(Bucket=bucket, Key=f"{prefix}data.csv", Body=b"old")
    store_proxy.cut_after(4 << 20, "up", times=None)
    with pytest.raises(RetryError, match=prefix):
        transfer(source, target, OWNER)
    assert s3.get_object(Bucket=bucket, Key=f"{prefix}data.csv")["Body"].read() == b"old"
    store_proxy.heal()
    receipt = transfer(source, target, OWNER)
    assert receipt.stored.objects[0].bytes > 5 << 20
    assert left(s3, bucket, prefix) == ([f"{prefix}data.csv"], 0)


def test_a_single_cut_on_the_way_to_the_store_is_not_even_noticed(
    systems: dict[str, str],
    postgres: psycopg.Connection[Any],
    s3: Any,
    bucket: str,
    store_proxy: FaultyProxy,
):
    prefix = f"network/{uuid.uuid4().hex}/"
    source = PostgresSource(connection(systems, postgres, systems["PGPORT"]), QUERY)
    there = store(systems, bucket, f"http://127.0.0.1:{store_proxy.port}")
    store_proxy.cut_after(4 << 20, "up")
    receipt = transfer(source, ObjectTarget(there, f"{prefix}data.csv"), OWNER)
    assert store_proxy.cuts == 1
    assert receipt.rows == 25_000
    assert left(s3, bucket, prefix) == ([f"{prefix}data.csv"], 0)


def test_the_way_to_a_table_is_cut_in_the_middle(
    systems: dict[str, str], postgres: psycopg.Connection[Any], database_proxy: FaultyProxy
):
    postgres.execute("CREATE TABLE cut (LIKE listings INCLUDING ALL)")
    source = PostgresSource(connection(systems, postgres, systems["PGPORT"]), QUERY)
    target = PostgresTable(connection(systems, postgres, database_proxy.port), "cut")
    database_proxy.cut_after(3 << 20, "up")
    with pytest.raises(RetryError):
        transfer(source, target, OWNER)
    assert postgres.execute("SELECT count(*) FROM cut").fetchone() == (0,)
    transfer(source, target, OWNER)
    assert postgres.execute("SELECT count(*) FROM cut").fetchone() == (25_000,)


def mysql_to(systems: dict[str, str], mysql: Any, port: int | str) -> MySQLConnection:
    cursor = mysql.cursor()
    cursor.execute("SELECT database()")
    (database,) = cursor.fetchone()
    cursor.close()
    return MySQLConnection(
        "127.0.0.1",
        int(port),
        user=systems["MYSQL_USER"],
        password=systems["MYSQL_PWD"],
        database=database,
    )


@pytest.fixture
def mysql_proxy(systems: dict[str, str]) -> Iterator[FaultyProxy]:
    with FaultyProxy(systems["MYSQL_HOST"], int(systems["MYSQL_TCP_PORT"])) as proxy:
        yield proxy


def test_the_way_to_mariadb_is_cut_in_the_middle(
    systems: dict[str, str], mysql: Any, s3: Any, bucket: str, mysql_proxy: FaultyProxy
):
    prefix = f"network/{uuid.uuid4().hex}/"
    source = MySQLSource(mysql_to(systems, mysql, mysql_proxy.port), QUERY)
    target = ObjectTarget(store(systems, bucket, systems["AWS_ENDPOINT_URL_S3"]), f"{prefix}a.csv")
    mysql_proxy.cut_after(3 << 20, "down")
    with pytest.raises(RetryError, match="MySQL at"):
        transfer(source, target, OWNER)
    assert left(s3, bucket, prefix) == ([], 0)
    assert transfer(source, target, OWNER).rows == 25_000


def test_the_way_to_a_table_of_mariadb_is_cut_in_the_middle(
    systems: dict[str, str],
    postgres: psycopg.Connection[Any],
    mysql: Any,
    mysql_proxy: FaultyProxy,
):
    cursor = mysql.cursor()
    cursor.execute("CREATE TABLE cut LIKE listings")
    source = PostgresSource(connection(systems, postgres, systems["PGPORT"]), QUERY)
    target = MySQLTable(mysql_to(systems, mysql, mysql_proxy.port), "cut")
    mysql_proxy.cut_after(3 << 20, "up")
    with pytest.raises(RetryError, match="MySQL at"):
        transfer(source, target, OWNER)
    cursor.execute("SELECT COUNT(*) FROM cut")
    assert cursor.fetchone() == (0,)
    transfer(source, target, OWNER)
    cursor.execute("SELECT COUNT(*) FROM cut")
    assert cursor.fetchone() == (25_000,)
    cursor.close()


def test_the_way_to_mongodb_is_cut_in_the_middle(
    systems: dict[str, str], mongo: str, s3: Any, bucket: str
):
    prefix = f"network/{uuid.uuid4().hex}/"
    where = urlsplit(systems["MONGODB_URI"])
    with FaultyProxy(str(where.hostname), int(where.port or 0)) as proxy:
        # A replica set tells where its members are: not beside the proxy.
        uri = f"mongodb://{where.username}@127.0.0.1:{proxy.port}/?authSource=admin"
        options = {"password": systems["MONGODB_PASSWORD"], "directConnection": True}
        source = MongoSource(
            MongoConnection(uri, options), database=mongo, collection="listings", sort={"_id": 1}
        )
        there = store(systems, bucket, systems["AWS_ENDPOINT_URL_S3"])
        target = ObjectTarget(there, f"{prefix}a.jsonl")
        proxy.cut_after(4 << 20, "down")  # the first reply would be asked for again
        with pytest.raises(RetryError, match="MongoDB at"):
            transfer(source, target, OWNER)
        assert left(s3, bucket, prefix) == ([], 0)
        assert transfer(source, target, OWNER).rows == 25_000


class Reopened:
    """A server of the test's own that can be stopped in the middle of a move."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._open = ExitStack()
        self.port = 0

    def __enter__(self) -> Reopened:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self) -> None:
        running = self._open.enter_context(up([self.name], data=self.folder))
        self.found = running.environment

    def stop(self) -> None:
        self._open.close()

    def source(self, rows: int) -> Source:
        if self.name == "postgres":
            numbers = f"SELECT i AS n, repeat('x', 500) AS t FROM generate_series(1, {rows}) i"
            return PostgresSource(self.connection(), numbers)
        numbers = f"SELECT seq AS n, REPEAT('x', 500) AS t FROM seq_1_to_{rows}"
        return MySQLSource(self.connection(), numbers)

    def table(self, name: str) -> Target:
        if self.name == "postgres":
            return PostgresTable(self.connection(), name, create=True)
        return MySQLTable(self.connection(), name, create=True)

    def rows(self, query: str) -> list[dict[str, Any]]:
        source = {"postgres": PostgresSource, "mariadb": MySQLSource}[self.name]
        with source(self.connection(), query).batches() as batches:
            return [row for batch in batches for row in batch.to_pylist()]

    def connection(self) -> Any:
        found = self.found
        if self.name == "postgres":
            return PostgresConnection(
                found["PGHOST"],
                int(found["PGPORT"]),
                user=found["PGUSER"],
                password=found["PGPASSWORD"],
                database=found["PGDATABASE"],
            )
        return MySQLConnection(
            found["MYSQL_HOST"],
            int(found["MYSQL_TCP_PORT"]),
            user=found["MYSQL_USER"],
            password=found["MYSQL_PWD"],
            database=found["MYSQL_DATABASE"],
        )


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_the_database_is_restarted_in_the_middle(name: str, tmp_path: Path, systems: object):
    rows, batches = 60_000, [0]
    with Reopened(name, tmp_path / "data") as server:

        def stop_at_the_third(batch: Any) -> Any:
            batches[0] += batch.num_rows > 0
            if batches[0] == 3:
                server.stop()
            return batch

        # It is read from.
        target = ObjectTarget(FileStore(tmp_path / "out"), "rows.parquet")
        with pytest.raises(RetryError, match=r" at 127\.0\.0\.1"):
            transfer(server.source(rows), target, OWNER, transform=stop_at_the_third)
        assert not (tmp_path / "out").exists(), "nor the folder that it had made"
        server.start()
        assert transfer(server.source(rows), target, OWNER).rows == rows

        # It is written to.
        batches[0] = 0
        source = ObjectSource(FileStore(tmp_path / "out"), "rows.parquet")
        with pytest.raises(RetryError, match=r" at 127\.0\.0\.1"):
            transfer(source, server.table("loaded"), OWNER, transform=stop_at_the_third)
        server.start()
        transfer(source, server.table("loaded"), OWNER)
        query = "SELECT COUNT(*) AS n FROM loaded"
        assert server.rows(query) == [{"n": rows}]
        assert transfer(source, server.table("loaded"), OWNER).earlier
        tables = "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = "
        schema = "current_schema()" if name == "postgres" else "database()"
        found = {row["t"] for row in server.rows(tables + schema)}
        assert {one for one in found if one.startswith(("loaded", "tradewind"))} == {
            "loaded",
            "tradewind_published",
        }


@pytest.fixture
def small_disk(postgres: psycopg.Connection[Any], tmp_path: Path) -> Iterator[str]:
    """A tablespace of four megabytes, all that a query's temporary files may have."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk needs root rights to mount one")
    # The server's account has to reach it.
    disk = Path("/var/tmp") / f"tradewind-{uuid.uuid4().hex[:8]}"
    disk.mkdir(mode=0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0777", "tmpfs", disk], capture_output=True
    )
    try:
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
        space = f"small_{uuid.uuid4().hex[:8]}"
        (disk / "space").mkdir()
        shutil.chown(disk / "space", "postgres")
        postgres.execute(f"CREATE TABLESPACE {space} LOCATION '{disk}/space'")
        yield space
        postgres.execute(f"DROP TABLESPACE {space}")
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", disk], check=True)
        disk.rmdir()


def test_the_disk_of_the_source_is_full(
    systems: dict[str, str],
    postgres: psycopg.Connection[Any],
    s3: Any,
    bucket: str,
    small_disk: str,
):
    prefix = f"network/{uuid.uuid4().hex}/"
    settings = f"-c temp_tablespaces={small_disk} -c work_mem=64kB"
    there = connection(systems, postgres, systems["PGPORT"], options=settings)
    query = "SELECT title || i AS t FROM listings, generate_series(1, 4) i ORDER BY t"
    target = ObjectTarget(
        store(systems, bucket, systems["AWS_ENDPOINT_URL_S3"]), f"{prefix}data.csv"
    )
    with pytest.raises(RetryError, match=r"No space left on device.*disk"):
        transfer(PostgresSource(there, query), target, OWNER)
    assert left(s3, bucket, prefix) == ([], 0)
