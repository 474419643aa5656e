"""A mover is killed by SIGKILL at random moments, and tried again.

After the kill a reader sees what was there before or all of the new, never half; after the retry
all of the new; and nothing is left behind. `tests/move/faults/test_killed.py` kills at chosen lines
instead, which reaches each of them and says nothing of what a kill between two requests does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinds
import pytest
from attack_report import LONG, Attack, forms
from attack_workers import Workers

from matrices import Matrix

pytestmark = pytest.mark.xdist_group("attack-moves")
MOVERS = Matrix("killed movers", "source", "target", "store")
PROMISE = "A move is visible whole or not at all, and leaves nothing behind"
HOW = "SIGKILL at a random moment, then the retry"
#: How often in each form.
SOME, MANY = 1, 55
COUNTS = [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=LONG)]
QUERY = {"query": "SELECT * FROM listings ORDER BY id"}


def check(workers: Workers, kind: kinds.Kind, count: int, on: str, how: str = HOW) -> None:
    """Kill the move so often, each time in a place of its own."""
    attack = Attack(PROMISE, how, on)
    run = os.urandom(3).hex()
    whole = f"whole{run}"
    told, seconds = workers.measured(kind.action, who=whole, **kind.prepare(whole))
    assert "answer" in told, told
    new = kind.seen(whole)
    assert kind.left(whole) == []
    if count > 1:  # The first one also fills the systems' caches.
        second, again = workers.measured(kind.action, who=f"b{run}", **kind.prepare(f"b{run}"))
        assert "answer" in second, second
        seconds = min(seconds, again)
    for number in attack.rounds(count):
        name = f"k{number}x{run}"
        given = kind.prepare(name)
        old = kind.seen(name)
        moment = attack.chance.uniform(0, seconds)
        child = workers.start(kind.action, who=name, **given)
        # The moment itself is what is drawn; nothing is waited for.
        time.sleep(moment)
        killed = child.kill()
        attack.note("killed" if killed == {"signal": 9} else "had ended before")
        attack.check(
            killed == {"signal": 9} or "answer" in killed, f"{number}: {killed.get('message')}"
        )
        attack.check(kind.seen(name) in (old, new), f"{number}: half of it was visible")
        retry, took = workers.measured(kind.action, who=name, **given)
        if "answer" in retry:  # The machine may be busier by now, or less so.
            seconds = (2 * seconds + took) / 3
        attack.check("answer" in retry, f"{number}: the retry failed: {retry.get('message')}")
        attack.check(kind.seen(name) == new, f"{number}: wrong after the retry")
        left = kind.left(name)
        attack.check(left == [], f"{number}: left behind: {left}")
    attack.finish()


ON_S3: dict[str, Callable[[Any, str], kinds.Kind]] = {
    "PostgreSQL to one CSV object": lambda s3, bucket: kinds.OnS3(
        "postgres_to_csv", s3, bucket, ".csv", **QUERY
    ),
    "PostgreSQL over two connections": lambda s3, bucket: kinds.OnS3(
        "postgres_by_two", s3, bucket, ".csv", query="SELECT * FROM listings"
    ),
    "PostgreSQL to parts of Parquet": lambda s3, bucket: kinds.PartsOnS3(
        "postgres_to_parts", s3, bucket, "", **QUERY, rows=10_000
    ),
    "MariaDB to one CSV object": lambda s3, bucket: kinds.OnS3(
        "mysql_to_csv", s3, bucket, ".csv", **QUERY
    ),
    "copy of an object": lambda s3, bucket: kinds.CopyOnS3(
        "copy_object", s3, bucket, ".bin", source="source/large.bin"
    ),
    "copy by ranges": lambda s3, bucket: kinds.CopyOnS3(
        "copy_object",
        s3,
        bucket,
        ".bin",
        source="source/large.bin",
        threshold=6 << 20,
        part_size=5 << 20,
    ),
}


IN_SHORT = ("PostgreSQL to one CSV object", "PostgreSQL to parts of Parquet", "copy by ranges")


@MOVERS.row(source="postgres mysql", store="s3")
@pytest.mark.parametrize(("on", "count"), forms(IN_SHORT, SOME, ON_S3, MANY))
def test_on_s3(workers: Workers, s3: Any, bucket: str, on: str, count: int):
    check(workers, ON_S3[on](s3, bucket), count, f"S3 (Swift), {on}")


@MOVERS.row(source="mongodb", store="s3")
@pytest.mark.parametrize("count", [pytest.param(MANY, id="many", marks=LONG)])
def test_mongodb_to_s3(workers: Workers, s3: Any, bucket: str, mongo: str, count: int):
    given = {"database": mongo, "collection": "listings"}
    kind = kinds.OnS3("mongo_to_jsonl", s3, bucket, ".jsonl", **given)
    check(workers, kind, count, "S3 (Swift), MongoDB to one object of JSON lines")


@MOVERS.row(store="gcs")
@pytest.mark.parametrize("count", COUNTS)
def test_on_google_cloud_storage(workers: Workers, gcs: Any, count: int):
    kind = kinds.InStore("postgres_to_gcs", *gcs, **QUERY)
    check(workers, kind, count, "Google Cloud Storage (emulator), PostgreSQL to one object")


@MOVERS.row(store="azure")
@pytest.mark.parametrize("count", COUNTS)
def test_on_azure(workers: Workers, azure: Any, count: int):
    kind = kinds.InStore("postgres_to_azure", *azure, **QUERY)
    check(workers, kind, count, "Azure Blob (Azurite), PostgreSQL to one object")


@MOVERS.row(source="http", store="files")
@pytest.mark.parametrize("count", COUNTS)
def test_on_files(workers: Workers, tmp_path: Path, count: int):
    with kinds.pages() as url:
        kind = kinds.OnDisk("rest_to_file", tmp_path / "files", url=url)
        check(workers, kind, count, "files, an HTTP API to one file of JSON lines")


MODES = {
    "append": {"mode": "append"},
    "replace": {"mode": "replace", "slice": {"day": kinds.DAY}},
    "upsert": {"mode": "upsert", "keys": ["id"]},
}


@MOVERS.row(target="postgres")
@pytest.mark.parametrize(("mode", "count"), forms(["replace"], SOME, MODES, MANY))
def test_on_postgres(workers: Workers, postgres: Any, bucket: str, mode: str, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **MODES[mode]}
    kind = kinds.InPostgres("csv_to_postgres", postgres, **given)
    kind.label = "attacked"
    check(workers, kind, count, f"PostgreSQL, {mode}")


@MOVERS.row(target="mysql")
@pytest.mark.parametrize(("mode", "count"), forms(["replace"], SOME, MODES, MANY))
def test_on_mariadb(workers: Workers, mysql: Any, bucket: str, mode: str, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **MODES[mode]}
    kind = kinds.InMySQL("csv_to_mysql", mysql, **given)
    kind.label = "attacked"
    check(workers, kind, count, f"MariaDB, {mode}")


@MOVERS.row(target="sqlite")
@pytest.mark.parametrize(("mode", "count"), forms(["replace"], SOME, MODES, MANY))
def test_on_sqlite(workers: Workers, bucket: str, tmp_path: Path, mode: str, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **MODES[mode]}
    kind = kinds.InSQLite("csv_to_sqlite", tmp_path / "attacked.db", **given)
    check(workers, kind, count, f"SQLite, {mode}")


def test_no_system_is_left_out() -> None:
    MOVERS.check()
