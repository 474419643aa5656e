"""Two attempts of one task run finish together: one whole result stands there, never neither.

Both wait just before the request that makes their rows visible, and are let through at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attack_places import STORES, Seen, in_store, in_table
from attack_report import Attack
from attack_workers import Gate, Workers

pytestmark = pytest.mark.xdist_group("attack-moves")
PROMISE = "Two attempts at once leave one whole result"
HOW = "two attempts of one task run, let through together just before they publish"
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]
COUNTS = [pytest.param(1, id="some"), pytest.param(250, id="many", marks=LONG)]
ROWS = 600


def check(
    workers: Workers,
    attack: Attack,
    made: Callable[[str], dict[str, Any]],
    seen: Callable[[dict[str, Any]], Seen],
    folder: Path,
    at: str,
    count: int,
) -> None:
    for number in attack.rounds(count):
        name = f"r{number}x{os.urandom(3).hex()}"
        place = made(name)
        given = {"place": place, "rows": ROWS}
        first = workers.run("publish", **given, who=f"first{name}", version=1)
        assert "answer" in first, first
        gates = [Gate(folder / f"{name}-{version}", at) for version in (2, 3)]
        both = []
        for version, gate in zip((2, 3), gates, strict=True):
            both.append(
                workers.start("publish", **given, who=name, version=version, gate=gate.order)
            )
            # Where the second has taken the first one's upload away, or waits for its lock, there
            # is no race left; both are brought here one after the other.
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
            found: Any = seen(place)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        attack.check(found in ({2: ROWS}, {3: ROWS}), f"{number}: rows by version: {found}")
        again = workers.run("publish", **given, who=name, version=3)
        attack.check("answer" in again, f"{number}: the retry: {again.get('message')}")
    attack.finish()


SHAPES = {"one object": ("data.csv", None), "parts": ("", {"rows": 250})}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", STORES, indirect=True)
def test_on_a_store(
    workers: Workers, place: tuple[str, dict[str, Any]], tmp_path: Path, shape: str, count: int
):
    name, parts = SHAPES[shape]
    system, where = place

    def made(key: str) -> dict[str, Any]:
        return {**where, "key": f"races/{key}/{name}", "parts": parts}

    attack = Attack(PROMISE, HOW, f"{system}, {shape}")
    check(workers, attack, made, in_store, tmp_path / "gates", "publish", count)


@pytest.mark.parametrize("count", COUNTS)
def test_on_postgres(workers: Workers, postgres: Any, tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "PostgreSQL, replace")

    def made(name: str) -> dict[str, Any]:
        postgres.execute(f"CREATE TABLE {name} (id bigint primary key, version bigint, text text)")
        return {"system": "postgres", "table": name, "mode": "replace"}

    seen = in_table(lambda query: postgres.execute(query).fetchall())
    check(workers, attack, made, seen, tmp_path, "end", count)
