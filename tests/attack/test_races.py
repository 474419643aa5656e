"""Two attempts of one task run finish together: one whole result stands there, never neither.

Both wait just before the request that makes their rows visible, and are let through at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_places import SFTP, STORES, Spot, Tables, objects
from attack_report import LONG, Attack, Try, forms
from attack_workers import Gate, Workers

pytestmark = pytest.mark.xdist_group("attack-moves")
PROMISE = "Two attempts at once leave one whole result"
HOW = "two attempts of one task run, let through together just before they publish"
#: How often in each form: 500 and more on each store.
SOME, MANY = 1, 250
COUNTS = [pytest.param(SOME, id="some"), pytest.param(MANY, id="many", marks=LONG)]
ROWS = 600


def check(workers: Workers, spot: Spot, folder: Path, at: str, count: int) -> None:
    """Let so many pairs race, each for what the pair before it has published."""
    attack = Attack(PROMISE, HOW, spot.on)

    def lane(tries: Iterator[Try]) -> None:
        where = f"r{os.urandom(6).hex()}"
        place = spot.made(where)
        workers.here("learn", place=place)
        given = {"place": place, "rows": ROWS}
        first = workers.run("publish", **given, who=f"first{where}", version=0)
        assert "answer" in first, first
        for number, _ in tries:
            name = f"{where}x{number}"
            versions = 2 * number + 1, 2 * number + 2
            gates = [Gate(folder / f"{name}-{version}", at) for version in versions]
            both = []
            for version, gate in zip(versions, gates, strict=True):
                both.append(
                    workers.start("publish", **given, who=name, version=version, gate=gate.order)
                )
                # Where the second has taken the first one's upload away, or waits for its lock,
                # there is no race left; both are brought here one after the other.
                gate.wait(both[-1])
            for gate in gates:
                gate.open()
            told = [child.wait() for child in both]
            won = sum("answer" in one for one in told)
            attack.note(f"where {('neither', 'one', 'both')[won]} said OK")
            attack.check(won > 0, f"{number}: neither: {[one.get('message') for one in told]}")
            for one in told:
                good = "answer" in one or "RetryError" in one.get("kinds", [])
                attack.check(good, f"{number}: {one.get('error')}: {one.get('message')}")
            try:
                found: Any = spot.seen(place)
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            wanted = [{version: ROWS} for version in versions]
            attack.check(found in wanted, f"{number}: rows by version: {found}")
            again = workers.run("publish", **given, who=name, version=versions[1])
            attack.check("answer" in again, f"{number}: the retry: {again.get('message')}")

    attack.in_lanes(count, spot.lanes, lane)
    attack.finish()


SHAPES: dict[str, tuple[str, Any]] = {
    "one object": ("data.csv", None),
    "parts": ("", {"rows": 250}),
}


SHORT = [
    *((store, "one object") for store in (*STORES, *SFTP)),
    *(("files", "parts"), ("s3", "parts")),
]
EVERY = [(store, shape) for store in (*STORES, *SFTP) for shape in SHAPES]


@pytest.mark.parametrize(
    ("place", "shape", "count"), forms(SHORT, SOME, EVERY, MANY), indirect=["place"]
)
def test_on_a_store(
    workers: Workers, place: tuple[str, dict[str, Any]], tmp_path: Path, shape: str, count: int
):
    spot = objects(place, shape, *SHAPES[shape])
    check(workers, spot, tmp_path / "gates", "publish", count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("tables", ["PostgreSQL"], indirect=True)
def test_in_a_table(workers: Workers, tables: Tables, tmp_path: Path, count: int):
    check(workers, tables.spot("replace"), tmp_path, "end", count)
