"""What makes two moves the same: all that decides rows and place, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tradewind.move.formats.csv import CsvFormat
from tradewind.move.identity import digest
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.systems.files.store import FileStore
from tradewind.systems.http.connection import BearerAuth, HttpConnection
from tradewind.systems.http.source import RestSource
from tradewind.systems.mongodb.connection import MongoConnection
from tradewind.systems.mongodb.source import MongoSource
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from tradewind.systems.sqlite.source import SQLiteSource
from tradewind.systems.sqlite.table import SQLiteTable

PG = PostgresConnection("h", user="u", password="marker-1", database="d")
LONG = "SELECT 1 /* " + "x" * 500


def mongo(uri: str = "mongodb://u:marker-2@h/d", **options: Any) -> MongoSource:
    return MongoSource(MongoConnection(uri), collection="c", database="d", **options)


def rest(token: str = "marker-3", **options: Any) -> RestSource:
    return RestSource(HttpConnection("http://h", auth=BearerAuth(token)), "/p", **options)


DIFFERENT: Mapping[str, list[Any]] = {
    "SQL": [PostgresSource(PG, f"{LONG} {n} */") for n in (1, 2)],
    "parameters": [PostgresSource(PG, "SELECT %(d)s", parameters={"d": n}) for n in (1, 2)],
    "types of parameters": [
        SQLiteSource("f.db", "SELECT ?", parameters=(n,)) for n in (1, "1", 1.0)
    ],
    "users": [
        PostgresSource(PostgresConnection("h", user=user, database="d"), "SELECT 1")
        for user in ("a", "b")
    ],
    "filters": [mongo(query={"_id": {"$lt": n}}) for n in (10, 20)],
    "projections": [mongo(projection=one) for one in (None, ["a"], {"a": 0})],
    "sorts": [mongo(sort=one) for one in ([("a", 1), ("b", 1)], [("b", 1), ("a", 1)])],
    "tokens": [rest("a"), rest("b")],
    "records": [rest(records=one) for one in ("$", "$.data")],
    "pages": [rest(max_pages=n) for n in (1, 2)],
    "bodies": [rest(body={"q": n}) for n in (1, 2)],
    "formats": [
        ObjectSource(FileStore("/a"), "k", format=CsvFormat(delimiter=one)) for one in ",;"
    ],
    "folders": [ObjectSource(FileStore(one), "k.csv") for one in ("/a", "/b")],
    "parts": [
        ObjectTarget(FileStore("/a"), "k/", format="csv", parts=Parts(rows=n)) for n in (1, 2)
    ],
    "modes": [SQLiteTable("f.db", "t", mode=one) for one in ("append", "replace", "upsert")],
    "slices": [PostgresTable(PG, "t", mode="replace", slice={"d": n}) for n in (1, 2)],
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_decides_rows_or_place_tells_moves_apart(kind: str):
    digests = [digest(one.identity()) for one in DIFFERENT[kind]]
    assert None not in digests
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    "pair",
    [
        (PostgresSource(PG, "SELECT 1"), PostgresSource(PG, "SELECT 1")),
        (
            PostgresSource(PG, "SELECT 1"),
            PostgresSource(PostgresConnection("h", user="u", database="d"), "SELECT 1"),
        ),
        (mongo(query={"a": 1}), mongo("mongodb://u:other@h/d", query={"a": 1})),
        (rest(), rest()),
        (SQLiteTable("f.db", "t"), SQLiteTable("f.db", "t", create=True)),
    ],
    ids=["equal", "password", "password in a URI", "token", "create"],
)
def test_the_rest_does_not(pair: tuple[Any, Any]):
    assert digest(pair[0].identity()) == digest(pair[1].identity()) is not None


@pytest.mark.parametrize("thing", [PostgresSource(PG, "SELECT 1"), mongo(), rest()])
def test_no_secret_is_in_it(thing: Any):
    assert "marker-" not in json.dumps(thing.identity())


def test_a_stranger_has_none():
    class Mine(PostgresSource):
        more = 1

    assert Mine(PG, "SELECT 1").identity() is None
    assert mongo(transform=lambda batch: batch).identity() is None
    assert digest(Mine(PG, "SELECT 1").identity(), 1) is None
