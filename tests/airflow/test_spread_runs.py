"""Moves over several workers: one whole result, however a worker dies, and nothing left."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tradewind
from airflow_groups import Groups
from tradewind.local import Systems

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-transfer")]

SOURCES = Path(tradewind.__file__).parents[1]
DAGS = Path(__file__).parent / "spread_dags"
TASKS = ("rows.publish", "rows.move[0]", "rows.move[1]")
NAMES = [(number, f'"n{number}",\n', f"{number}.50") for number in range(1000)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spread")


@pytest.fixture(scope="module")
def groups(
    airflow_home: Path, local_postgres: Systems, postgres: Any, folder: Path
) -> Iterator[Groups]:
    postgres(
        "CREATE TABLE spread_rows AS SELECT n AS id, '\"n' || n || E'\",\\n' AS name,"
        " (n || '.50')::numeric(10, 2) AS amount FROM generate_series(0, 1999) n;"
        "CREATE TABLE spread_target (id bigint GENERATED ALWAYS AS IDENTITY,"
        " name varchar(20) NOT NULL, amount numeric(10, 2), loaded date DEFAULT '2026-01-01');"
        "CREATE TABLE spread_copy AS SELECT * FROM spread_rows WHERE id = 7"
    )
    environment = {
        **{name: value for name, value in local_postgres.environment.items() if "CONN" in name},
        "TRADEWIND_TEST_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parents[1], SOURCES))),
    }
    one = Groups(airflow_home, DAGS, environment)
    yield one
    one.close()


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told["state"] == "success", (told["tasks"], told["log"][-8000:])
    return told


def published(prefix: Path) -> list[tuple[int, str, str]]:
    """Read what the manifest names; see that nothing else is there."""
    manifest = json.loads((prefix / "_manifest.json").read_text())
    names = [part["key"] for part in manifest["objects"]]
    assert sorted([*names, "_manifest.json"]) == sorted(
        str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()
    )
    rows: list[tuple[int, str, str]] = []
    for name in names:
        with (prefix / name).open(newline="") as file:
            header, *found = csv.reader(file)
            assert header == ["id", "name", "amount"]
            rows += [(int(row[0]), row[1], row[2]) for row in found]
    assert len(rows) == manifest["rows"]
    return rows


def stages(postgres: Any) -> list[Any]:
    found: list[Any] = postgres(
        "SELECT relname FROM pg_class WHERE relname LIKE 'tradewind_spread_%'"
    )
    if postgres("SELECT to_regclass('tradewind_published') IS NOT NULL")[0][0]:
        found += postgres(
            "SELECT target FROM tradewind_published WHERE target LIKE '%_spread_%_00%'"
        )
    return found


def test_two_runs_at_once_whose_workers_die(groups: Groups, folder: Path):
    """Both to one prefix: the later one's publication stands, whole; a sweep takes nothing."""
    lake = folder / "lake" / "objects"
    told = groups.run(
        ["objects_1", "objects_2"],
        "2026-01-01",
        die_in="rows.move[1]",
        die_at="line:900",
        sweep=f"file://{lake}/",
    )
    for one in told:
        succeeded(one)
        assert one["died"]
        assert one["tries"]["rows.move[1]"] == 2
        assert one["xcom"]["rows.publish"]["rows"] == 1000
        assert one["xcom"]["rows.publish"]["stored"]["object_count"] == 10
        assert one["certain"] == []
    assert published(lake) == NAMES


def test_a_part_that_fails_leaves_nothing(groups: Groups, folder: Path):
    (told,) = groups.run(["fails"], "2026-01-01")
    assert told["state"] == "failed"
    assert told["tasks"]["rows.publish"] == "upstream_failed"
    assert told["tasks"]["rows.clean_up"] == "success"
    assert "this part is refused" in told["log"]
    assert [path for path in (folder / "lake" / "fails").rglob("*") if path.is_file()] == []


def test_a_publication_that_is_killed(groups: Groups, postgres: Any):
    (told,) = groups.run(["table"], "2026-01-01", die_in="rows.publish", die_at="line:500")
    assert succeeded(told)["died"]
    rows = postgres("SELECT id, name, amount::text FROM spread_target ORDER BY id")
    assert rows == NAMES
    assert postgres("SELECT DISTINCT loaded::text FROM spread_target") == [("2026-01-01",)]
    assert stages(postgres) == []


@pytest.mark.long
def test_objects_into_a_table(groups: Groups, postgres: Any):
    succeeded(groups.run(["objects_1"], "2026-01-02")[0])
    succeeded(groups.run(["from_objects"], "2026-01-01")[0])
    assert postgres("SELECT count(*), sum(id), count(DISTINCT name) FROM spread_copy") == [
        (1000, 499500, 1000)
    ]
    assert stages(postgres) == []


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_workers_that_die_at_24_points(groups: Groups, folder: Path, postgres: Any):
    """Each task of objects and of a table, at points spread over its lines, the last one too."""
    drawn = random.Random(24)
    died = 0
    for month, (dag, task) in enumerate(itertools.product(("objects_1", "table"), TASKS), 2):
        lines = 0
        for day in range(1, 6):
            postgres("TRUNCATE spread_target")
            at = 0 if day == 1 else lines - 20 if day == 5 else drawn.randrange(1, lines)
            (told,) = groups.run(
                [dag], f"2026-{month:02}-{day:02}", die_in=task, die_at=f"line:{at}"
            )
            succeeded(told)
            lines = lines or int(told["points"]["lines"])  # of the first one, which does not die
            died += told["died"]
            assert told["tries"][task] == 1 + told["died"], (dag, task, at)
            if dag == "table":
                rows = postgres("SELECT id, name, amount::text FROM spread_target ORDER BY id")
                assert rows == NAMES, (task, at)
            else:
                assert published(folder / "lake" / "objects") == NAMES, (task, at)
            assert stages(postgres) == [], (dag, task, at)
    assert died >= 18
