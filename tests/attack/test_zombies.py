"""An attempt is stopped (SIGSTOP), its retry finishes with newer rows, and it goes on (SIGCONT).

The older rows never come back, and the one that was stopped does not claim that they stand there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_places import STORES, Spot, Tables, objects
from attack_report import Attack, Try, forms
from attack_workers import Gate, Workers

pytestmark = pytest.mark.xdist_group("attack-moves")
PROMISE = "An attempt that has lost its turn changes nothing any more"
HOW = "SIGSTOP while it reads or before it publishes, a retry with newer rows, SIGCONT"
#: How many of each shape on a store, and in a table; 200 and more on each store and database.
OBJECTS, TABLES = 68, 102
#: Rows of one object of one request, and of one of several parts.
SMALL, LARGE = 1_000, 7_000


def check(
    workers: Workers, spot: Spot, folder: Path, *, rows: int, moments: tuple[str, ...], count: int
) -> None:
    """Make so many zombies, each at the next moment, over what the retry before has published."""
    attack = Attack(PROMISE, HOW, spot.on)
    # The short form takes every other moment.
    taken = moments if count else moments[1::2]

    def lane(tries: Iterator[Try]) -> None:
        where = f"z{os.urandom(6).hex()}"
        place = spot.made(where)
        workers.here("learn", place=place)
        first = workers.run("publish", place=place, who=f"first{where}", rows=rows, version=0)
        assert "answer" in first, first
        for number, _ in tries:
            at = taken[number % len(taken)]
            name = f"{where}x{number}"
            gate = Gate(folder / name, at)
            given = {"place": place, "who": name, "rows": rows}
            old, new = 2 * number + 1, 2 * number + 2
            zombie = workers.start("publish", **given, version=old, gate=gate.order)
            if not gate.wait(zombie):
                told = zombie.wait()
                raise AssertionError(f"it did not come to {at!r}: {told}")
            zombie.send(signal.SIGSTOP)
            retry = workers.run("publish", **given, version=new)
            gate.open()
            zombie.send(signal.SIGCONT)
            told = zombie.wait()
            attack.check("answer" in retry, f"{number}, {at}: the retry: {retry.get('message')}")
            found = spot.seen(place)
            good = found == {new: rows}
            attack.check(good, f"{number}, {at}: rows by version, {new} is right: {found}")
            if "answer" in told:
                attack.note("that found the retry's rows" if good else "OK")
                attack.check(
                    told["answer"]["earlier"] or claims_what_stands(told, retry),
                    f"{number}, {at}: it claims that its rows stand there",
                )
            else:
                attack.note("told to end")
                kinds = told.get("kinds", [])
                attack.check("RetryError" in kinds, f"{number}, {at}: {told.get('message')}")

    attack.in_lanes(count or len(taken), spot.lanes if count else 1, lane)
    attack.finish()


def claims_what_stands(told: dict[str, Any], retry: dict[str, Any]) -> bool:
    """Whether the objects of two receipts are the same versions."""
    etags = [
        [one["etag"] for one in each["answer"]["stored"]["objects"]]
        for each in (told, retry)
        if "answer" in each
    ]
    return len(etags) == 2 and etags[0] == etags[1] and None not in etags[0]


SHAPES: dict[str, tuple[int, str, Any]] = {
    "one object": (SMALL, "data.csv", None),
    "one large object": (LARGE, "data.csv", None),
    "parts": (SMALL, "", {"rows": 400}),
}
MOMENTS = ("begin", "middle", "end", "publish")


SHORT = [*((store, "parts") for store in STORES), ("s3", "one object"), ("s3", "one large object")]
EVERY = [(store, shape) for store in STORES for shape in SHAPES]


@pytest.mark.parametrize(
    ("place", "shape", "count"), forms(SHORT, 0, EVERY, OBJECTS), indirect=["place"]
)
def test_on_a_store(
    workers: Workers, place: tuple[str, dict[str, Any]], tmp_path: Path, shape: str, count: int
):
    rows, *where = SHAPES[shape]
    spot = objects(place, shape, *where)
    check(workers, spot, tmp_path / "gates", rows=rows, moments=MOMENTS, count=count)


IN_SHORT = [("PostgreSQL", "replace"), ("MariaDB", "upsert")]
IN_TABLES = [(name, mode) for name in ("PostgreSQL", "MariaDB") for mode in ("replace", "upsert")]


@pytest.mark.parametrize(
    ("tables", "mode", "count"), forms(IN_SHORT, 0, IN_TABLES, TABLES), indirect=["tables"]
)
def test_in_a_table(workers: Workers, tables: Tables, tmp_path: Path, mode: str, count: int):
    moments = ("begin", "middle", "end")
    check(workers, tables.spot(mode), tmp_path, rows=SMALL, moments=moments, count=count)
