"""A worker is killed by SIGKILL at points spread over a move of each kind, and tried again.

After the kill a reader sees what was there before, or all of the new; after the retry all of the
new, byte for byte what a move that was never killed gives; and nothing is left.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import kinds
import MySQLdb
import psycopg
import pymongo
import pytest

from killing import Worker, spread
from tradewind.local import Systems

MOVES = Path(__file__).with_name("moves.py")
pytestmark = pytest.mark.xdist_group("move-faults")
POINTS = [pytest.param(4, id="some"), pytest.param(30, id="many", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def systems(
    local_s3: Systems, local_postgres: Systems, local_mariadb: Systems, local_mongodb: Systems
) -> dict[str, str]:
    """The environment that leads to all of them."""
    found: dict[str, str] = {}
    for one in (local_s3, local_postgres, local_mariadb, local_mongodb):
        found |= one.environment
    return found


@pytest.fixture(scope="module")
def s3(systems: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=systems["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=systems["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=systems["AWS_SECRET_ACCESS_KEY"],
        region_name=systems["AWS_REGION"],
    )


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = f"faults-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    body = kinds.csv_of_listings()
    s3.put_object(Bucket=name, Key="source/listings.csv", Body=body)
    s3.put_object(Bucket=name, Key="source/large.bin", Body=body + body, ContentType="text/x")
    return name


@pytest.fixture(scope="module")
def postgres(systems: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    where = {
        "host": systems["PGHOST"],
        "port": systems["PGPORT"],
        "user": systems["PGUSER"],
        "password": systems["PGPASSWORD"],
    }
    database = f"faults_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(**where, dbname=systems["PGDATABASE"], autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {database}")
    with psycopg.connect(**where, dbname=database, autocommit=True) as connection:
        kinds.fill_postgres(connection)
        yield connection


@pytest.fixture(scope="module")
def mysql(systems: dict[str, str]) -> Iterator[Any]:
    connection = MySQLdb.connect(
        host=systems["MYSQL_HOST"],
        port=int(systems["MYSQL_TCP_PORT"]),
        user=systems["MYSQL_USER"],
        password=systems["MYSQL_PWD"],
        autocommit=True,
    )
    database = f"faults_{uuid.uuid4().hex[:8]}"
    connection.query(f"CREATE DATABASE {database}")
    connection.select_db(database)
    kinds.fill_mysql(connection)
    yield connection
    connection.query(f"DROP DATABASE {database}")
    connection.close()


@pytest.fixture(scope="module")
def mongo(systems: dict[str, str]) -> Iterator[str]:
    database = f"faults_{uuid.uuid4().hex[:8]}"
    with pymongo.MongoClient(
        systems["MONGODB_URI"], password=systems["MONGODB_PASSWORD"]
    ) as client:
        kinds.fill_mongo(client, database)
        yield database
        client.drop_database(database)


@pytest.fixture(scope="module")
def worker(
    systems: dict[str, str], postgres: psycopg.Connection[Any], mysql: Any
) -> Iterator[Worker]:
    cursor = mysql.cursor()
    cursor.execute("SELECT database()")
    environment = {
        **systems,
        "PGDATABASE": postgres.info.dbname,
        "MYSQL_DATABASE": cursor.fetchone()[0],
        "PYTHONPATH": os.pathsep.join([str(MOVES.parent)]),
    }
    cursor.close()
    with Worker(MOVES, "tradewind.move", environment) as worker:
        yield worker


def check(worker: Worker, kind: kinds.Kind, count: int) -> None:
    """Kill the move at so many points, each time in a place of its own."""
    whole = worker.run(kind.action, who="whole", **kind.prepare("whole"))
    assert "answer" in whole, whole
    new = kind.seen("whole")
    assert kind.left("whole") == []
    for point in spread(whole["points"], count):
        name = f"p{point}"
        given = kind.prepare(name)
        old = kind.seen(name)
        killed = worker.run(kind.action, die_at=point, who=name, **given)
        assert killed == {"signal": 9} or "answer" in killed, (point, killed)
        assert kind.seen(name) in (old, new), f"half of it is visible, killed at {point}"
        again = worker.run(kind.action, who=name, **given)
        assert "answer" in again, (point, again)
        assert kind.seen(name) == new, f"killed at {point}"
        assert kind.left(name) == [], f"killed at {point}"


@pytest.mark.parametrize("count", POINTS)
def test_postgres_to_csv_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.OnS3("postgres_to_csv", s3, bucket, ".csv", query=query), count)


@pytest.mark.parametrize("count", POINTS)
def test_postgres_to_parts_of_parquet_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    kind = kinds.PartsOnS3("postgres_to_parts", s3, bucket, "", query=query, rows=10_000)
    check(worker, kind, count)


@pytest.mark.parametrize("count", POINTS)
def test_mariadb_to_csv_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.OnS3("mysql_to_csv", s3, bucket, ".csv", query=query), count)


@pytest.mark.parametrize("count", POINTS)
def test_mongodb_to_json_lines_on_s3(worker: Worker, s3: Any, bucket: str, mongo: str, count: int):
    given = {"database": mongo, "collection": "listings"}
    check(worker, kinds.OnS3("mongo_to_jsonl", s3, bucket, ".jsonl", **given), count)


@pytest.mark.parametrize("count", POINTS)
def test_rest_to_a_file(worker: Worker, tmp_path: Path, count: int):
    with kinds.pages() as url:
        check(worker, kinds.OnDisk("rest_to_file", tmp_path / "files", url=url), count)


MODES = [
    pytest.param({"mode": "append"}, id="append"),
    pytest.param({"mode": "replace", "slice": {"day": kinds.DAY}}, id="replace"),
    pytest.param({"mode": "upsert", "keys": ["id"]}, id="upsert"),
]


@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("mode", MODES)
def test_csv_on_s3_to_postgres(
    worker: Worker, postgres: psycopg.Connection[Any], bucket: str, mode: dict, count: int
):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    check(worker, kinds.InPostgres("csv_to_postgres", postgres, **given), count)


@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("mode", MODES)
def test_csv_on_s3_to_mariadb(worker: Worker, mysql: Any, bucket: str, mode: dict, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    check(worker, kinds.InMySQL("csv_to_mysql", mysql, **given), count)


@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("options", [{}, {"threshold": 6 << 20, "part_size": 5 << 20}])
def test_a_copy_on_s3(worker: Worker, s3: Any, bucket: str, options: dict, count: int):
    given = {"source": "source/large.bin", **options}
    check(worker, kinds.CopyOnS3("copy_object", s3, bucket, ".bin", **given), count)
