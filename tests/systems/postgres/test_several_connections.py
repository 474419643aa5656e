"""``connections="auto"``: several connections by themselves, as many as are fair to the server."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from postgres_server import Database, database_on
from tradewind.errors import InputError
from tradewind.systems.postgres import source as module
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.split import fair_connections


@pytest.fixture(scope="module")
def db(connection) -> Database:
    with database_on(connection) as database:
        database.run(
            "CREATE TABLE pages AS SELECT n AS id, repeat('x', 380) AS t"
            " FROM generate_series(1, 45000) AS n; CREATE VIEW seen AS SELECT * FROM pages;"
            " CREATE TABLE few AS SELECT 1 AS id"
        )
        yield database


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    names: list[str] = []

    class Counted(module.Session):
        def __init__(self, *arguments, **keywords) -> None:
            super().__init__(*arguments, **keywords)
            names.append("session")

    monkeypatch.setattr(module, "Session", Counted)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    return names


def ids(connection: PostgresConnection, query: str) -> list[int]:
    with PostgresSource(connection, query, connections="auto").batches() as batches:
        return [one for batch in batches for one in batch.column("id").to_pylist()]


def test_a_table_is_read_by_several_in_its_order(connection, db, opened):
    assert ids(connection, "SELECT * FROM pages") == list(range(1, 45001))
    assert 1 < len(opened) <= 4


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM seen",
        "SELECT a.id FROM pages a JOIN few b ON a.id = b.id",
        "TABLE few",
        "SELECT id FROM few",
        "SELECT id FROM pages ORDER BY id LIMIT 1",
    ],
)
def test_what_cannot_be_split_is_read_by_one(connection, db, opened, query):
    assert ids(connection, query)[0] == 1
    assert len(opened) == 1


def test_a_server_that_grants_no_more_is_read_by_those_there_are(connection, db, opened):
    db.run("CREATE ROLE lonely LOGIN PASSWORD 'alone' CONNECTION LIMIT 1")
    db.run("GRANT SELECT ON pages TO lonely")
    try:
        alone = replace(connection, user="lonely", password="alone")
        assert ids(alone, "SELECT * FROM pages") == list(range(1, 45001))
    finally:
        db.run("REVOKE ALL ON pages FROM lonely; DROP ROLE lonely")
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("most", "used", "fair"),
    [(100, 5, 4), (30, 1, 3), (20, 19, 1), (100, 97, 1), (100, 96, 2), (5, 1, 1)],
)
def test_how_many_are_fair(monkeypatch, most, used, fair):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert fair_connections(SimpleNamespace(fetch=lambda sql: [(most, used)])) == fair
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert fair_connections(SimpleNamespace(fetch=lambda sql: [(most, used)])) == 1


def test_what_is_no_number_is_refused(connection):
    with pytest.raises(InputError, match="or 'auto'"):
        PostgresSource(connection, "SELECT 1", connections="many")
    options = {"query": "SELECT 1", "connections": "auto"}
    assert PostgresSource.from_uri("postgresql://127.0.0.1/d", options).connections == "auto"
