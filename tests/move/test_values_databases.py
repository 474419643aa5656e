"""The page "What happens to my values" says what is done with values of databases and APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pymongo
import pytest
from bson import json_util
from bson.codec_options import DatetimeConversion

import mysql_server
import postgres_server
from rest_server import Reply, serving
from tradewind.move.source import Source
from tradewind.systems.http.source import RestSource
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.mysql.source import MySQLSource
from tradewind.systems.postgres.source import PostgresSource
from values_databases import READ, Make, check, selected


@pytest.fixture(params=[system for system in READ if system != "BigQuery"])  # asked elsewhere
def read(request: pytest.FixtureRequest) -> Iterator[tuple[str, Make]]:
    system = request.param
    if system == "PostgreSQL":
        postgres = postgres_server.connection_to(request.getfixturevalue("local_postgres"))
        yield system, lambda given: PostgresSource(postgres, selected(given))
    elif system == "MariaDB":
        mariadb = mysql_server.connection_to(request.getfixturevalue("local_mariadb"))
        yield system, lambda given: MySQLSource(mariadb, selected(given))
    elif system == "MongoDB":
        environment = request.getfixturevalue("local_mongodb").environment
        options = {"password": environment["MONGODB_PASSWORD"]}
        uri = environment["MONGODB_URI"]
        with pymongo.MongoClient(uri, **options) as client:
            collection = client.get_default_database()["values_page"]

            def make(given: Mapping[str, str]) -> Source:
                exact = json_util.CANONICAL_JSON_OPTIONS.with_options(
                    datetime_conversion=DatetimeConversion.DATETIME_AUTO
                )
                values = {
                    name: json_util.loads(one, json_options=exact) for name, one in given.items()
                }
                collection.drop()
                collection.insert_one({"_id": 1, **values})
                return MongoSource(
                    MongoConnection(uri, options),
                    collection=collection.name,
                    projection={"_id": 0},
                )

            yield system, make
            collection.drop()
    else:
        body = [""]
        with serving(lambda _: Reply(raw=body[0].encode())) as server:

            def asked(given: Mapping[str, str]) -> Source:
                members = ",".join(f"{json.dumps(name)}:{one}" for name, one in given.items())
                body[0] = f"[{{{members}}}]"
                return RestSource.from_uri(f"{server.url}/v", {})

            yield system, asked


def test_values_arrive_as_the_page_says(read: tuple[str, Make], tmp_path: Path) -> None:
    check(*read, tmp_path)
