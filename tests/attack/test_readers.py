"""A published prefix is read while another process replaces it again and again.

No read fails, and each one gives the whole of one publication: never rows of two, never a part.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attack_moves import store_of
from attack_report import Attack
from attack_workers import Workers

from tradewind.local.processes import wait_until
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore

pytestmark = pytest.mark.xdist_group("attack-moves")
PROMISE = "A read is whole and of one publication, whatever is published meanwhile"
HOW = "a prefix is moved to a CSV file while another process replaces it again and again"
LONG = [pytest.mark.long, pytest.mark.timeout(3600)]
#: Reads and replaces; both are reached. Together 10,000 reads in the long form, most of them where
#: they are quick.
SOME, MANY = (12, 3), {"files": (2_000, 63), "s3": (500, 63)}
ROWS = 100
SHAPES = {
    "parts": {"rows": 30},
    "partitions": {"rows": 30, "by": "version", "overwrite": "all"},
}
#: The longest pause between two replaces, in seconds.
PAUSE = 0.2


def check(
    workers: Workers,
    where: dict[str, Any],
    on: str,
    given: tuple[str, str],
    counts: tuple[int, int],
    folder: Path,
) -> None:
    shape, format = given
    attack = Attack(PROMISE, HOW, f"{on}, {shape} of {format}")
    prefix = f"readers/{shape}-{format}/"
    place = {**where, "key": prefix, "format": format, "parts": SHAPES[shape]}
    stop, replaces = folder / "stop", folder / "stop.count"
    reads, wanted = counts
    store, here = store_of(place), FileStore(str(folder))
    child = workers.start("replace_until", place=place, rows=ROWS, stop=str(stop), pause=PAUSE)
    try:
        assert wait_until(lambda: replaces.exists() or child.ended(), seconds=60)
        newest, before, begun = 0, attack.notes.get("replaces", 0), int(replaces.read_text())

        def more() -> bool:
            attack.notes["replaces"] = before + int(replaces.read_text()) - begun
            return attack.notes["replaces"] < wanted

        for number in attack.rounds(reads, more):
            assert not child.ended(), child.wait()
            source = ObjectSource(store, prefix, format=format)
            owner = Owner("attack", f"read{number}", "read")
            try:
                transfer(source, ObjectTarget(here, "read.csv"), owner)
            except Exception as error:
                attack.fail(f"{number}: {type(error).__name__}: {error}")
                continue
            with (folder / "read.csv").open(newline="") as file:
                found = Counter(int(row["version"]) for row in csv.DictReader(file))
            attack.check(list(found.values()) == [ROWS], f"{number}: versions: {found}")
            version = max(found, default=0)
            attack.check(version >= newest, f"{number}: {version} after {newest}")
            newest = max(version, newest)
    finally:
        stop.touch()
        told = child.wait()
    assert "answer" in told, told
    more()
    attack.finish()


SHORT = [("parts", "parquet"), ("partitions", "csv")]
GIVEN = [(shape, format) for shape in SHAPES for format in ("csv", "parquet")]
WAYS = [
    *(
        pytest.param(store, given, SOME, id=f"{store}-{'-'.join(given)}-some")
        for store in MANY
        for given in SHORT
    ),
    *(
        pytest.param(store, given, many, id=f"{store}-{'-'.join(given)}-many", marks=LONG)
        for store, many in MANY.items()
        for given in GIVEN
    ),
]


@pytest.mark.parametrize(("place", "given", "counts"), WAYS, indirect=["place"])
def test_on_a_store(
    workers: Workers,
    place: tuple[str, dict[str, Any]],
    tmp_path: Path,
    given: tuple[str, str],
    counts: tuple[int, int],
):
    system, where = place
    check(workers, where, system, given, counts, tmp_path)
