"""Shares that several workers move: divided, written by themselves, published once.

Over 400 lines: each way that attempts can meet is a few lines on the same small sources.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from made_rows import Rows
from postgres_server import Database, connection_to, database_on
from tradewind.errors import InputError, RetryError
from tradewind.local import Systems
from tradewind.move.objects.object_set import Chosen
from tradewind.move.objects.shares import shares_of
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.source import Source
from tradewind.move.store import OWNER, ObjectInfo
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.sweep.objects import leftovers_of_objects
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable

WHOLE = Owner("dag", "run", "rows.plan", deployment="here", generation="1")
OTHER = replace(WHOLE, run="other")


@pytest.fixture(scope="module")
def db(local_postgres: Systems) -> Iterator[Database]:
    with database_on(connection_to(local_postgres)) as database:
        yield database


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "lake")


def move(source: Source, target: Target, number: int, owner: Owner = WHOLE, **more: Any) -> Any:
    """Move one share as a worker does."""
    division = source.divide(more.pop("of", 3), more.pop("by", None))
    share = source.share(division.shares[number])
    columns: list[str] = []
    if target.shares_need_columns:
        with source.share(division.shares[0]).batches() as batches:
            columns = list(batches.schema.names)
    return transfer(share, target.share(owner, number, columns), replace(owner, map_index=number))


def keys(store: FileStore, prefix: str = "rows/") -> list[str]:
    return [info.key for info in store.list(prefix)]


class Numbers(Rows):
    """A source that is its own share."""

    def divide(self, number: int, by: str | None = None) -> Any:
        from tradewind.move.division import Division

        return Division(tuple({} for _ in range(number)), consistent=True, why="it is made")

    def share(self, told: Any) -> Source:
        return self


def numbers(*values: Any, name: str = "n") -> Numbers:
    return Numbers(pa.table({name: list(values)}))


def test_what_several_workers_write_is_published_once(store: FileStore):
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2))
    for number in (2, 0, 1):
        move(numbers(number * 10, number * 10 + 1, number * 10 + 2), target, number)
    # Nothing is published yet, and a sweep knows whose all of it is.
    with pytest.raises(InputError, match="only parts that no manifest names"):
        ObjectSource(store, "rows/")._choose()
    found = list(leftovers_of_objects("files", store, "rows/"))
    assert {one.owner for one in found} == {WHOLE.digest}
    assert len(found) == 9
    stored = target.publish_shares(WHOLE, 3)
    assert (stored.rows, len(stored.objects)) == (9, 6)
    table = pa.Table.from_batches(list(ObjectSource(store, "rows/").batches()))
    assert table["n"].to_pylist() == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert len(keys(store)) == 7
    # A retry of the publication finds it done; another run takes its place, and mixes nothing.
    again = target.publish_shares(WHOLE, 3)
    assert again.rows == 9
    move(numbers(1), target, 0, OTHER)
    assert target.remove_shares(WHOLE, 3) == 0
    assert len(keys(store)) == 9
    assert target.publish_shares(OTHER, 1).removed
    assert len(keys(store)) == 2
    # A part that is moved again after that is no part of it.
    move(numbers(5), target, 0, OTHER)
    with pytest.raises(InputError, match="Clear the whole task group"):
        target.publish_shares(OTHER, 2)
    assert target.remove_shares(OTHER, 2) == 2
    assert len(keys(store)) == 2
    assert next(iter(ObjectSource(store, "rows/").batches()))["n"].to_pylist() == [1]


@pytest.mark.parametrize("next_", ["publish", "clean up"])
def test_a_publication_that_dies_once_it_stands(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, next_: str
):
    """What it has replaced is removed by whoever comes next."""
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2))
    move(numbers(1, 2, 3), target, 0)
    target.publish_shares(WHOLE, 1)
    move(numbers(4), target, 0, OTHER)
    begun = store.upload("rows/_manifest.json", metadata={OWNER: OTHER.digest})
    begun.write(b"{")  # by an attempt that died before

    def die(keys: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", die)
        with pytest.raises(KeyboardInterrupt):
            target.publish_shares(OTHER, 1)
    assert len(keys(store)) == 6
    if next_ == "publish":
        assert target.publish_shares(OTHER, 1).rows == 1
    else:
        target.remove_shares(OTHER, 1)
    assert len(keys(store)) == 2
    assert list(store.unfinished("rows/")) == []
    assert next(iter(ObjectSource(store, "rows/").batches()))["n"].to_pylist() == [4]
    begun.abort()


def test_a_publication_that_dies_is_made_again_of_other_shares(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
):
    """What the first one has replaced is removed all the same; a share without rows is no other."""
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2))
    move(numbers(1, 2, 3), target, 0)
    target.publish_shares(WHOLE, 1)
    move(numbers(4), target, 0, OTHER)
    move(Numbers(pa.table({"n": pa.array([], pa.int64())})), target, 1, OTHER)

    def die(keys: Any) -> None:
        raise KeyboardInterrupt

    for values in ([], [5, 6]):
        if values:
            move(numbers(*values), target, 1, OTHER)
        with monkeypatch.context() as patch:
            patch.setattr(store, "delete", die)
            with pytest.raises(KeyboardInterrupt):
                target.publish_shares(OTHER, 2)
    assert target.publish_shares(OTHER, 2).rows == 3
    assert len(keys(store)) == 3


def test_shares_that_are_missing_or_unlike(store: FileStore):
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2))
    move(numbers(1), target, 0)
    with pytest.raises(InputError, match="of 2 parts 1 is not there"):
        target.publish_shares(WHOLE, 2)
    move(numbers("a"), target, 1)
    with pytest.raises(InputError, match="'n' is int64 and string"):
        target.publish_shares(WHOLE, 2)
    move(numbers(1, name="other"), target, 1)
    with pytest.raises(InputError, match="other columns"):
        target.publish_shares(WHOLE, 2)
    # Shares without rows count for nothing, but where none has any.
    empty = Numbers(pa.table({"n": pa.array([], pa.int64())}))
    move(empty, target, 1)
    assert target.publish_shares(WHOLE, 2).rows == 1
    assert len(keys(store)) == 2
    for number in range(2):
        move(empty, target, number, OTHER)
    assert len(target.publish_shares(OTHER, 2).objects) == 1
    assert len(keys(store)) == 2
    refusing = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2), replace=False)
    move(numbers(1), refusing, 0)
    with pytest.raises(InputError, match="exists already"):
        refusing.publish_shares(WHOLE, 1)
    for wrong, said in (
        (ObjectTarget(store, "rows.csv"), "cannot write one object"),
        (ObjectTarget(store, "rows", format="csv", parts=Parts(by=("n",))), "no partitions"),
    ):
        with pytest.raises(InputError, match=said):
            wrong.check_shares()


def test_an_attempt_that_is_overtaken_takes_its_part_back(store: FileStore):
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=2))

    class Slow(Numbers):
        def batches(self) -> Any:
            move(numbers(1, 2, 3), target, 0)  # the retry, meanwhile
            return super().batches()

    with pytest.raises(RetryError, match="another attempt at this share"):
        move(Slow(pa.table({"n": [7, 8, 9]})), target, 0)
    assert target.publish_shares(WHOLE, 1).rows == 3
    assert len(keys(store)) == 3

    class Failing(Numbers):
        def batches(self) -> Any:
            raise RetryError("gone")

    move(numbers(1, 2), target, 0, OTHER)
    with pytest.raises(RetryError, match="gone"):
        move(Failing(pa.table({"n": [1]})), target, 0, OTHER)
    assert target.publish_shares(OTHER, 1).rows == 2, "what the attempt before wrote stands"
    assert len(keys(store)) == 2


def test_objects_are_divided_by_their_bytes(store: FileStore):
    for number, rows in enumerate((1, 1, 50, 1, 1, 40)):
        upload = store.upload(f"old/{number}.csv")
        upload.write(b"id,word\n" + f"{number},007\n".encode() * rows)
        upload.complete()
    source = ObjectSource(store, "old/")
    division = source.divide(3)
    assert division.consistent
    runs = [(share["from"], share["to"]) for share in division.shares]
    assert runs[0][0] == 0
    assert runs[-1][1] == 6
    assert [run[1] for run in runs[:-1]] == [run[0] for run in runs[1:]]
    assert len(runs) in (2, 3)
    found = [
        row
        for share in division.shares
        for batch in source.share(share).batches()
        for row in batch.to_pylist()
    ]
    assert len(found) == 94
    assert {row["word"] for row in found} == {"007"}
    assert [len(source.divide(number).shares) for number in (1, 100)] == [1, 6]
    upload = store.upload("old/0.csv")
    upload.write(b"id,word\n1,2\n3,4\n")
    upload.complete()
    with pytest.raises(InputError, match="have changed since the plan"):
        list(source.share(division.shares[0]).batches())
    with pytest.raises(InputError, match="Leave out by"):
        source.divide(2, "id")


def test_there_are_no_more_shares_than_asked_for():
    for sizes in ([0, 0, 0], [10, 10, 0], [0, 10, 0, 0], [1], [9, 1, 1, 1, 1, 1]):
        chosen = [
            Chosen(FileStore("/"), ObjectInfo(str(at), size)) for at, size in enumerate(sizes)
        ]
        for number in (1, 2, 100):
            found = list(shares_of(chosen, number))
            assert len(found) <= min(number, len(sizes)), (sizes, number)
            assert [0, *(share["to"] for share in found)] == [
                *(share["from"] for share in found),
                len(sizes),
            ]


def test_a_query_of_postgres_into_objects(db: Database, store: FileStore):
    db.run(
        "CREATE TABLE spread AS SELECT n AS id, DATE '2026-01-01' + n % 90 AS day, '%' || n AS t"
        " FROM generate_series(1, 500) n; INSERT INTO spread VALUES (NULL, NULL, 'none')"
    )
    query = "SELECT id, day, t FROM spread WHERE t LIKE %(like)s -- all\n;"
    source = PostgresSource(db.connection, query, parameters={"like": "%"})
    for by in ("id", "day"):
        division = source.divide(4, by)
        assert len(division.shares) == 4
        assert not division.consistent
        rows = [
            row["t"]
            for share in division.shares
            for batch in source.share(share).batches()
            for row in batch.to_pylist()
        ]
        assert sorted(rows) == sorted(["none", *(f"%{n}" for n in range(1, 501))])
    nothing = PostgresSource(db.connection, "SELECT * FROM spread WHERE false")
    assert len(nothing.divide(4, "id").shares) == 1
    assert nothing.divide(4, "id").consistent
    for by, said in (("t", "cannot be split by a column"), ("no", "Choose from: id, day, t")):
        with pytest.raises(InputError, match=said):
            source.divide(4, by)
    target = ObjectTarget(store, "rows", format="csv", parts=Parts(rows=100))
    for number in range(4):
        move(source, target, number, of=4, by="id")
    assert target.publish_shares(WHOLE, 4).rows == 501
    texts = []
    for key in keys(store)[1:]:
        texts += [row["t"] for row in csv.DictReader(b"".join(store.read(key)).decode().split())]
    assert texts == [*(f"%{n}" for n in range(1, 501)), "none"]


def stages(db: Database) -> Any:
    return db.rows("SELECT relname FROM pg_class WHERE relname LIKE 'tradewind_spread_%'")


@pytest.mark.parametrize("mode", ["append", "replace", "upsert"])
def test_a_query_of_postgres_into_a_table(db: Database, mode: str):
    db.run("DROP TABLE IF EXISTS spread_in, spread_out")
    whole, other = replace(WHOLE, run=mode), replace(OTHER, run=f"other {mode}")
    db.run(
        "CREATE TABLE spread_in AS SELECT n AS id, n || '.50' AS amount, E'a\\nb' AS t"
        " FROM generate_series(1, 300) n;"
        'CREATE TABLE spread_out (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "T" text,'
        " amount numeric(10, 2) NOT NULL, made date NOT NULL DEFAULT '2026-01-01');"
        "INSERT INTO spread_out (amount) VALUES (7)"
    )
    source = PostgresSource(
        db.connection, 'SELECT (id + 1)::int AS id, amount::numeric, t AS "T" FROM spread_in'
    )
    columns = ["id", "amount", "T"]
    target = PostgresTable(db.connection, "spread_out", mode=mode)
    target.check_shares()
    for number in (1, 0, 2):
        move(source, target, number, whole, by="id")
    move(source, target, 1, whole, by="id")  # a retry whose first attempt was taken for lost
    move(source, target, 0, other, by="id")
    before = db.rows("SELECT count(*) FROM spread_out")[0][0]
    assert before == 1
    with pytest.raises(InputError, match="of 3 parts for spread_out 1, 2 are not there"):
        target.publish_shares(other, 3, columns)
    assert target.remove_shares(other, 3) == 1
    stored = target.publish_shares(whole, 3, columns)
    assert stored.rows == 300
    left = 300 if mode == "replace" else 301
    found = db.rows(
        "SELECT count(*), sum(amount), count(*) FILTER (WHERE made = '2026-01-01')"
        ' FROM spread_out WHERE "T" IS NOT NULL OR id = 1'
    )
    assert tuple(found[0]) == (left, 45300 + 7 * (left - 300), left)
    assert stages(db) == []
    # Whoever publishes again finds it done, and what is loaded again after that is refused.
    assert target.publish_shares(whole, 3, columns).rows == 300
    for number in range(3):
        move(source, target, number, whole, by="id")
    if mode == "append":
        with pytest.raises(InputError, match="again after the whole"):
            target.publish_shares(whole, 3, columns)
    assert target.remove_shares(whole, 3) == 3
    assert stages(db) == []
    assert db.rows("SELECT count(*) FROM spread_out")[0][0] == left


def test_a_stage_that_lost_its_rows_is_told(db: Database):
    db.run(
        "CREATE TABLE spread_lost_in AS SELECT n AS id FROM generate_series(1, 9) n;"
        "CREATE TABLE spread_lost (id int)"
    )
    source = PostgresSource(db.connection, "SELECT id FROM spread_lost_in")
    target = PostgresTable(db.connection, "spread_lost")
    owner = replace(WHOLE, run="lost")
    for number in range(3):
        move(source, target, number, owner, by="id")
    name = f"tradewind_spread_{owner.digest}_00001"
    db.run(f"TRUNCATE {name}")  # as a crash of the server does
    with pytest.raises(InputError, match="has 0 of the 2 rows"):
        target.publish_shares(owner, 3, ["id"])
    assert db.rows("SELECT count(*) FROM spread_lost")[0][0] == 0
    assert target.remove_shares(owner, 3) == 3
    for option in ("create", "skip_generated"):
        with pytest.raises(InputError, match=f"{option} does not go"):
            PostgresTable(db.connection, "spread_lost", **{option: True}).check_shares()


def test_a_query_of_mysql(local_mariadb: Systems):
    from mysql_server import connection_to as mysql_connection
    from tradewind.systems.mysql.session import Session
    from tradewind.systems.mysql.source import MySQLSource

    connection = mysql_connection(local_mariadb)
    session = Session(connection)
    try:
        session.execute(
            "CREATE TABLE spread_days (id bigint, day date, at datetime(6), price decimal(9,2),"
            " t varchar(9), wide decimal(65, 30))"
        )
        begin = date(2026, 1, 1)
        values = [
            f"({n}, '{begin + timedelta(n % 40)}', '2026-01-01 00:00:{n % 60:02}.5', {n}.25,"
            f" '%{n}', {n}e30)"
            for n in range(-100, 100)
        ]
        session.execute(
            f"INSERT INTO spread_days VALUES {', '.join(values)},"
            " (NULL, NULL, NULL, NULL, 'none', NULL)"
        )
        session.execute("COMMIT")
    finally:
        session.close()
    query = "SELECT * FROM spread_days WHERE t <> %s;"
    source = MySQLSource(connection, query, parameters=["x"])
    for by in ("id", "day", "at", "price", "wide"):
        division = source.divide(4, by)
        assert len(division.shares) == 4, by
        rows = [
            row["t"]
            for share in division.shares
            for batch in source.share(share).batches()
            for row in batch.to_pylist()
        ]
        assert sorted(rows) == sorted(["none", *(f"%{n}" for n in range(-100, 100))]), by
    with pytest.raises(InputError, match="cannot be divided by t"):
        source.divide(4, "t")
    with pytest.raises(InputError, match="name the column"):
        source.divide(4)
    nothing = MySQLSource(connection, "SELECT * FROM spread_days WHERE id > 1000")
    assert len(nothing.divide(4, "id").shares) == 1


def test_what_cannot_be_spread_is_told(db: Database):
    with pytest.raises(InputError, match="cannot be spread over several workers"):
        Rows(pa.table({"n": [1]})).divide(2)
    from tradewind.systems.sqlite.table import SQLiteTable

    with pytest.raises(InputError, match="cannot publish here together"):
        SQLiteTable("/nowhere/a.db", "t").check_shares()
