"""The moves that the fault tests carry out in a worker: one of each kind, from plain values.

Everything outside is named by the arguments; addresses and secrets come from the environment of
`tradewind.local`'s systems, as they do for a user.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tradewind.move.receipt import Receipt
from tradewind.move.transfer import transfer
from tradewind.owner import Owner

ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {}

#: Small enough that a move of some megabytes has many parts, large enough for S3.
PART_BYTES = 5 << 20


def warm() -> None:
    """Import what the moves need, once, before children are forked; open nothing."""
    import asyncpg  # noqa: F401
    import boto3
    import httpx  # noqa: F401
    import MySQLdb  # noqa: F401
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet  # noqa: F401
    import pymongo  # noqa: F401
    from azure.storage.blob import ContainerClient  # noqa: F401
    from google.auth.credentials import AnonymousCredentials  # noqa: F401

    from tradewind.move import copy, registry

    for table in (registry.SOURCES, registry.TARGETS, registry.FORMATS, registry.STORES):
        for name in table:
            registry.load(table, name, what="entry")
    assert copy
    # botocore's models take half a second to parse; its loader's cache is inherited.
    session.append(boto3.Session())
    session[0].client("s3", region_name="eu-west-1")


session: list[Any] = []


def move(function: Callable[..., Receipt]) -> Callable[..., Receipt]:
    ACTIONS[function.__name__] = lambda **arguments: function(**arguments).as_dict()
    return function


def owner(name: str) -> Owner:
    return Owner("faults", name, "move")


def s3(bucket: str) -> Any:
    from tradewind.systems.s3.store import S3Store

    return S3Store(bucket, session=session[0], part_bytes=PART_BYTES)


def gcs(bucket: str, endpoint: str) -> Any:
    from google.auth.credentials import AnonymousCredentials

    from tradewind.systems.gcs.store import GCSStore

    return GCSStore(
        bucket, credentials=AnonymousCredentials(), endpoint=endpoint, part_bytes=1 << 20
    )


def azure(container: str, endpoint: str, account: str, secret: str) -> Any:
    from tradewind.systems.azure.store import AzureStore

    return AzureStore(
        container, account=account, credential=secret, endpoint=endpoint, part_bytes=1 << 20
    )


def postgres() -> Any:
    from tradewind.systems.postgres.connection import PostgresConnection

    return PostgresConnection.from_uri("postgresql://")


def mysql() -> Any:
    from tradewind.systems.mysql.connection import MySQLConnection

    return MySQLConnection.from_uri("mysql://")


@move
def postgres_to_csv(who: str, query: str, bucket: str, key: str) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.postgres.source import PostgresSource

    return transfer(PostgresSource(postgres(), query), ObjectTarget(s3(bucket), key), owner(who))


@move
def postgres_to_gcs(who: str, query: str, key: str, **where: Any) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.postgres.source import PostgresSource

    return transfer(PostgresSource(postgres(), query), ObjectTarget(gcs(**where), key), owner(who))


@move
def postgres_to_azure(who: str, query: str, key: str, **where: Any) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.postgres.source import PostgresSource

    target = ObjectTarget(azure(**where), key)
    return transfer(PostgresSource(postgres(), query), target, owner(who))


@move
def postgres_by_two(who: str, query: str, bucket: str, key: str) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.postgres.source import PostgresSource

    source = PostgresSource(postgres(), query, split="id", connections=2)
    return transfer(source, ObjectTarget(s3(bucket), key), owner(who))


@move
def postgres_to_files(who: str, query: str, bucket: str, stem: str, files: int) -> Receipt:
    from tradewind.airflow.named_files import NamedFiles
    from tradewind.move.formats.csv import CsvFormat
    from tradewind.systems.postgres.source import PostgresSource

    target = NamedFiles(s3(bucket), stem, ".csv", format=CsvFormat(), rows=-(-25_000 // files))
    return transfer(PostgresSource(postgres(), query), target, owner(who))


@move
def postgres_to_parts(who: str, query: str, bucket: str, key: str, rows: int) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget, Parts
    from tradewind.systems.postgres.source import PostgresSource

    target = ObjectTarget(s3(bucket), key, format="parquet", parts=Parts(rows=rows))
    return transfer(PostgresSource(postgres(), query), target, owner(who))


@move
def mysql_to_csv(who: str, query: str, bucket: str, key: str) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.mysql.source import MySQLSource

    return transfer(MySQLSource(mysql(), query), ObjectTarget(s3(bucket), key), owner(who))


@move
def mongo_to_jsonl(who: str, database: str, collection: str, bucket: str, key: str) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.mongodb.connection import MongoConnection
    from tradewind.systems.mongodb.source import MongoSource

    connection = MongoConnection.from_uri(os.environ["MONGODB_URI"])
    source = MongoSource(connection, database=database, collection=collection, sort=[("_id", 1)])
    return transfer(source, ObjectTarget(s3(bucket), key), owner(who))


@move
def rest_to_file(who: str, url: str, folder: str, key: str) -> Receipt:
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.files.store import FileStore
    from tradewind.systems.http.connection import HttpConnection
    from tradewind.systems.http.source import NextLink, RestSource

    source = RestSource(HttpConnection(url), "/", records="$.items", pagination=NextLink("$.next"))
    return transfer(source, ObjectTarget(FileStore(folder), key), owner(who))


@move
def csv_to_postgres(who: str, bucket: str, key: str, table: str, **options: Any) -> Receipt:
    from tradewind.move.objects.source import ObjectSource
    from tradewind.systems.postgres.table import PostgresTable

    source = ObjectSource(s3(bucket), key)
    return transfer(source, PostgresTable(postgres(), table, **options), owner(who))


@move
def csv_to_mysql(who: str, bucket: str, key: str, table: str, **options: Any) -> Receipt:
    from tradewind.move.objects.source import ObjectSource
    from tradewind.systems.mysql.table import MySQLTable

    source = ObjectSource(s3(bucket), key)
    return transfer(source, MySQLTable(mysql(), table, **options), owner(who))


@move
def csv_to_sqlite(
    who: str, bucket: str, key: str, path: str, table: str, **options: Any
) -> Receipt:
    from tradewind.move.objects.source import ObjectSource
    from tradewind.systems.sqlite.table import SQLiteTable

    source = ObjectSource(s3(bucket), key)
    return transfer(source, SQLiteTable(path, table, **options), owner(who))


@move
def copy_between_stores(who: str, bucket: str, source: str, key: str, **where: Any) -> Receipt:
    from tradewind.move import copy

    return copy.copy_object(s3(bucket), source, azure(**where), key, owner=owner(who))


@move
def copy_prefix(who: str, bucket: str, source: str, target: str) -> Receipt:
    from tradewind.move import copy

    sizes = {"threshold": 6 << 20, "part_size": 5 << 20, "objects": 2, "skip_equal": True}
    return copy.copy_prefix(s3(bucket), source, s3(bucket), target, owner=owner(who), **sizes)


@move
def copy_object(who: str, bucket: str, source: str, target: str, **options: Any) -> Receipt:
    from tradewind.move import copy

    return copy.copy_object(s3(bucket), source, s3(bucket), target, owner=owner(who), **options)
