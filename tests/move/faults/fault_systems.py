"""Systems, a worker, and data to move: fixtures for the tests of faults and of attacks."""

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
import requests
from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials

from emulators import Emulator
from killing import Worker
from tradewind.local import Systems
from tradewind.move.store import Store
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.store import S3Store

MOVES = Path(__file__).with_name("moves.py")


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


InPlace = tuple[Store, dict[str, Any]]


@pytest.fixture(scope="module")
def s3_place(systems: dict[str, str], bucket: str) -> InPlace:
    """The bucket as a store, for the test and for the worker."""
    session = boto3.Session(
        systems["AWS_ACCESS_KEY_ID"],
        systems["AWS_SECRET_ACCESS_KEY"],
        region_name=systems["AWS_REGION"],
    )
    options = {"endpoint_url": systems["AWS_ENDPOINT_URL_S3"]}
    return S3Store(bucket, session=session, client_options=options), {"bucket": bucket}


@pytest.fixture(scope="module")
def gcs(fake_gcs: Emulator) -> InPlace:
    """A bucket of Google Cloud Storage, for the test and for the worker."""
    name = f"faults-{uuid.uuid4().hex[:8]}"
    made = requests.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": name}, timeout=30)
    made.raise_for_status()
    where = {"bucket": name, "endpoint": fake_gcs.endpoint}
    return GCSStore(**where, credentials=AnonymousCredentials()), where


@pytest.fixture(scope="module")
def azure(azurite: Emulator) -> InPlace:
    """A container of Azure Blob Storage, for the test and for the worker."""
    name = f"faults-{uuid.uuid4().hex[:8]}"
    with ContainerClient(azurite.endpoint, name, azurite.key) as client:
        client.create_container()
    where = {"container": name, "endpoint": azurite.endpoint, "account": azurite.account}
    store = AzureStore(**where, credential=azurite.key)
    return store, {**where, "secret": azurite.key}


@pytest.fixture(scope="module")
def environment(
    systems: dict[str, str], postgres: psycopg.Connection[Any], mysql: Any
) -> dict[str, str]:
    """What a worker needs to find all systems and the data."""
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    cursor = mysql.cursor()
    cursor.execute("SELECT database()")
    (database,) = cursor.fetchone()
    cursor.close()
    return {
        **systems,
        "PGDATABASE": postgres.info.dbname,
        "MYSQL_DATABASE": database,
        "PYTHONPATH": os.pathsep.join([str(MOVES.parent), *inherited]),
    }


@pytest.fixture(scope="module")
def worker(environment: dict[str, str]) -> Iterator[Worker]:
    """A worker that carries out moves, and dies when told."""
    with Worker(MOVES, "tradewind.move", environment) as worker:
        yield worker


@pytest.fixture(scope="module")
def rival(environment: dict[str, str]) -> Iterator[Worker]:
    """Another one."""
    with Worker(MOVES, "tradewind.move", environment) as worker:
        yield worker
