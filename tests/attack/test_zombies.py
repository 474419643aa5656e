"""An attempt is stopped (SIGSTOP), its retry finishes with newer rows, and it goes on (SIGCONT).

The older rows never come back, and the one that was stopped does not claim that they stand there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attack_places import STORES, Seen, in_store, in_table
from attack_report import Attack
from attack_workers import Gate, Workers

pytestmark = pytest.mark.xdist_group("attack-moves")
PROMISE = "An attempt that has lost its turn changes nothing any more"
HOW = "SIGSTOP while it reads or before it publishes, a retry with newer rows, SIGCONT"
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]
#: How many of each shape on a store; 200 and more on each store, and on each database.
OBJECTS = [pytest.param(0, id="some"), pytest.param(68, id="many", marks=LONG)]
TABLES = [pytest.param(0, id="some"), pytest.param(102, id="many", marks=LONG)]
#: Rows of one object of one request, and of one of several parts.
SMALL, LARGE = 1_000, 7_000


def check(
    workers: Workers,
    attack: Attack,
    made: Callable[[str], dict[str, Any]],
    seen: Callable[[dict[str, Any]], Seen],
    folder: Path,
    *,
    rows: int,
    moments: tuple[str, ...],
    count: int,
) -> None:
    """Make so many zombies, each at the next moment and in a place of its own."""
    # The short form takes every other moment.
    taken = moments if count else moments[1::2]
    for number in attack.rounds(count or len(taken)):
        at = taken[number % len(taken)]
        name = f"z{number}{at}{os.urandom(3).hex()}"
        place = made(name)
        first = workers.run("publish", place=place, who=f"first{name}", rows=rows, version=1)
        assert "answer" in first, first
        gate = Gate(folder / name, at)
        given = {"place": place, "who": name, "rows": rows}
        zombie = workers.start("publish", **given, version=2, gate=gate.order)
        if not gate.wait(zombie):
            told = zombie.wait()
            raise AssertionError(f"it did not come to {at!r}: {told}")
        zombie.send(signal.SIGSTOP)
        retry = workers.run("publish", **given, version=3)
        gate.open()
        zombie.send(signal.SIGCONT)
        told = zombie.wait()
        attack.check("answer" in retry, f"{number}, {at}: the retry: {retry.get('message')}")
        found = seen(place)
        attack.check(found == {3: rows}, f"{number}, {at}: rows by version: {found}")
        if "answer" in told:
            attack.note("that found the retry's rows" if found == {3: rows} else "OK")
            attack.check(
                told["answer"]["earlier"] or claims_what_stands(told, retry),
                f"{number}, {at}: it claims that its rows stand there",
            )
        else:
            attack.note("told to end")
            attack.check(
                "RetryError" in told.get("kinds", []), f"{number}, {at}: {told.get('message')}"
            )


def claims_what_stands(told: dict[str, Any], retry: dict[str, Any]) -> bool:
    """Whether the objects of two receipts are the same versions."""
    etags = [
        [one["etag"] for one in each["answer"]["stored"]["objects"]]
        for each in (told, retry)
        if "answer" in each
    ]
    return len(etags) == 2 and etags[0] == etags[1] and None not in etags[0]


SHAPES = {
    "one object": (SMALL, "data.csv", None),
    "one large object": (LARGE, "data.csv", None),
    "parts": (SMALL, "", {"rows": 400}),
}
MOMENTS = ("begin", "middle", "end", "publish")


@pytest.mark.parametrize("count", OBJECTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_on_a_store(
    workers: Workers, place: tuple[str, dict[str, Any]], tmp_path: Path, shape: str, count: int
):
    rows, name, parts = SHAPES[shape]
    system, where = place
    attack = Attack(PROMISE, HOW, f"{system}, {shape}")

    def made(key: str) -> dict[str, Any]:
        return {**where, "key": f"zombies/{key}/{name}", "parts": parts}

    given = {"rows": rows, "moments": MOMENTS, "count": count}
    check(workers, attack, made, in_store, tmp_path / "gates", **given)
    attack.finish()


MODES: dict[str, dict[str, Any]] = {
    "replace": {"mode": "replace"},
    "upsert": {"mode": "upsert", "keys": ["id"]},
}
IN_TABLES = ("begin", "middle", "end")
COLUMNS = "id bigint primary key, version bigint, text text"


@pytest.mark.parametrize("count", TABLES)
@pytest.mark.parametrize("mode", MODES)
def test_on_postgres(workers: Workers, postgres: Any, tmp_path: Path, mode: str, count: int):
    attack = Attack(PROMISE, HOW, f"PostgreSQL, {mode}")
    seen = in_table(lambda query: postgres.execute(query).fetchall())

    def made(name: str) -> dict[str, Any]:
        postgres.execute(f"CREATE TABLE {name} ({COLUMNS})")
        return {"system": "postgres", "table": name, **MODES[mode]}

    given = {"rows": SMALL, "moments": IN_TABLES, "count": count}
    check(workers, attack, made, seen, tmp_path, **given)
    attack.finish()


@pytest.mark.parametrize("count", TABLES)
@pytest.mark.parametrize("mode", MODES)
def test_on_mariadb(workers: Workers, mysql: Any, tmp_path: Path, mode: str, count: int):
    attack = Attack(PROMISE, HOW, f"MariaDB, {mode}")

    def made(name: str) -> dict[str, Any]:
        mysql.query(f"CREATE TABLE {name} ({COLUMNS})")
        return {"system": "mysql", "table": name, **MODES[mode]}

    def ask(query: str) -> list[Any]:
        with mysql.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    given = {"rows": SMALL, "moments": IN_TABLES, "count": count}
    check(workers, attack, made, in_table(ask), tmp_path, **given)
    attack.finish()
