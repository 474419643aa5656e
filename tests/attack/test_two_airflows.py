"""Two Airflows whose DAG and run ids coincide share a job folder, an engine and a database.

Each has a metadata database of its own, and no option tells them apart: what Tradewind draws does.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from attack_report import Attack

from airflow_runs import airflow_environment, make_home
from airflow_supervised import Supervised
from crash_systems import PRELOAD, SYSTEMS, CrashSystem
from tradewind.local import Systems
from tradewind.local.processes import wait_until
from tradewind.owner import Owner

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.xdist_group("attack-airflow"),
    pytest.mark.timeout(600),
]
PROMISE = "Task runs of two Airflows, and of DAG runs made again, never meet"
NAMES = ("A", "B")
SWEEP = [sys.executable, "-m", "tradewind.cli", "sweep", "--json"]
DAGS = Path(__file__).parent / "airflow_dags"
DATES = (f"2026-{number // 28 + 1:02}-{number % 28 + 1:02}" for number in itertools.count())
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]
COUNTS = [pytest.param(1, id="some"), pytest.param(10, id="many", marks=LONG)]


@dataclass
class Place:
    """Two Airflows on one system.

    Args:
        folder: What both share.
        system: What runs their work.
        environments: Of both, by name.
        homes: AIRFLOW_HOME of both.
        airflows: Both.
    """

    folder: Path
    system: CrashSystem
    environments: dict[str, dict[str, str]]
    homes: dict[str, Path]
    airflows: dict[str, Supervised]

    def start(self, name: str, *, preload: tuple[str, ...] = (), **more: str) -> Supervised:
        """Start a further worker of one of them."""
        given = {**self.environments[name], **more}
        return Supervised(self.homes[name], DAGS, given, preload=(*PRELOAD, *preload))

    def ran(self, date: str) -> list[tuple[str, int]]:
        """Who began work on that date, and its process."""
        file = self.folder / f"{date}.ran"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def until(self, date: str, count: int, *running: Future[Any]) -> None:
        """Wait until so many have begun; fail early where one that runs has ended."""

        def reached() -> bool:
            return len(self.ran(date)) >= count or any(one.done() for one in running)

        assert wait_until(reached, seconds=90, interval=0.05)
        told = [one.result() for one in running if one.done()]
        assert len(self.ran(date)) >= count, told

    def go(self, date: str, *names: str) -> None:
        for name in names:
            (self.folder / f"{date}.go-{name}").touch()

    def certain(self, name: str) -> list[str]:
        """What `tradewind sweep` is certain of, asked by one of them."""
        asked = subprocess.run(
            [*SWEEP, "--process", str(self.folder / "jobs")],
            env=airflow_environment(self.homes[name], DAGS, self.environments[name]),
            capture_output=True,
            text=True,
        )
        assert asked.returncode in (0, 3), asked.stderr
        found = [json.loads(line) for line in asked.stdout.splitlines()]
        return [f"{name}: {one['owner']}: {one['reason']}" for one in found if one["certain"]]


@pytest.fixture(scope="module")
def place(local_postgres: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("shared")
    homes = {name: tmp_path_factory.mktemp(f"airflow-{name}") for name in NAMES}
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(make_home, homes.values()))
    with ExitStack() as stack:
        system = stack.enter_context(SYSTEMS["process"](folder))
        folders = (Path(__file__).parent, DAGS.parents[1])
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        shared = {
            **local_postgres.environment,
            **system.environment,
            "TRADEWIND_TEST_FOLDER": str(folder),
            "PYTHONPATH": os.pathsep.join([*map(str, folders), *inherited]),
        }
        environments = {name: {**shared, "TRADEWIND_TEST_AIRFLOW": name} for name in NAMES}
        place = Place(folder, system, environments, homes, {})
        for name in NAMES:
            place.airflows[name] = stack.enter_context(closing(place.start(name)))
        yield place


KINDS = ["two_process", "two_deferred_process"]


@pytest.mark.parametrize("count", COUNTS)
def test_each_runs_and_collects_its_own(place: Place, count: int):
    how = "two Airflows run the same run ids at once; `sweep` is asked meanwhile"
    for kind in KINDS if count > 1 else KINDS[1:]:
        attack = Attack(PROMISE, how, kind)
        for _ in attack.rounds(count):
            date = next(DATES)
            with ThreadPoolExecutor(2) as threads:
                both = {
                    name: threads.submit(place.airflows[name].run, kind, date=date)
                    for name in NAMES
                }
                try:
                    place.until(date, 2, *both.values())
                    certain = [line for name in NAMES for line in place.certain(name)]
                finally:
                    place.go(date, *NAMES)
            ran = place.ran(date)
            attack.check(certain == [], f"{date}: sweep is certain of {certain}")
            attack.check(sorted(who for who, _ in ran) == ["A", "B"], f"{date}: ran: {ran}")
            for name, future in both.items():
                told = future.result()
                mine = [f"{who} {pid}" for who, pid in ran if who == name]
                good = told["state"] == "success" and told["xcom"] == mine
                attack.check(good, f"{date}: {name}: {told}")
            attack.check(place.system.left() == [], f"{date}: left: {place.system.left()}")
        attack.finish()


@pytest.mark.long
@pytest.mark.parametrize("count", [10])
def test_a_clear_in_one_leaves_the_work_of_the_other(place: Place, count: int):
    attack = Attack(PROMISE, "a task is cleared in one of two Airflows", "a process")
    for _ in attack.rounds(count):
        date, kind = next(DATES), KINDS[0]
        when = place.folder / f"{date}.clear"
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(place.airflows["A"].run, kind, date=date)
            order = {"date": date, "when": str(when), "then": "clear"}
            second = threads.submit(place.airflows["B"].run, kind, **order)
            try:
                place.until(date, 2, first, second)
                when.touch()
                place.until(date, 3, first, second)
            finally:
                place.go(date, *NAMES)
        ran = place.ran(date)
        attack.check(sorted(who for who, _ in ran) == ["A", "B", "B"], f"{date}: ran: {ran}")
        for name, future in {"A": first, "B": second}.items():
            last = [f"{who} {pid}" for who, pid in ran if who == name][-1:]
            told = future.result()
            good = told["state"] == "success" and told["xcom"] == last
            attack.check(good, f"{date}: {name}: {told}")
        attack.check(place.system.left() == [], f"{date}: left: {place.system.left()}")
    attack.finish()


def test_appends_of_both_are_there(place: Place, local_postgres: Systems):
    attack = Attack(PROMISE, "both append to one table by the same task run", "PostgreSQL")
    date = next(DATES)
    for number in attack.rounds(2):
        name = NAMES[number]
        told = place.airflows[name].run("two_append", date=date)
        attack.check(told["state"] == "success", f"{name}: {told}")
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    given = {name: local_postgres.environment[key] for name, key in names.items()}
    database = local_postgres.environment["PGDATABASE"]
    with psycopg.connect(dbname=database, **given) as connection:
        found = connection.execute("SELECT count(*) FROM two_airflows_append").fetchone()
    attack.check(found == (2000,), f"rows: {found}")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
def test_a_run_deleted_and_made_again_has_its_own_result(place: Place, count: int):
    how = "a DAG run is deleted and made again under its id, its deferred work running"
    attack = Attack(PROMISE, how, "a process")
    one = place.airflows["A"]
    for _ in attack.rounds(count):
        date, kind = next(DATES), "two_deferred_process"
        with ThreadPoolExecutor(1) as threads:
            told = one.run(kind, date=date, once=True)
            assert told["state"] == "deferred", told
            place.until(date, 1)
            old = place.ran(date)[0][1]
            again = threads.submit(one.run, kind, date=date, deleted=True)
            try:
                place.until(date, 2, again)
            finally:
                place.go(date, "A")
        told, ran = again.result(), place.ran(date)
        good = told["state"] == "success" and told["xcom"] == [f"A {ran[-1][1]}"]
        attack.check(good and len(ran) == 2, f"{date}: {ran}: {told}")
        attack.check(wait_until(partial(gone, old), seconds=20), f"{date}: the old work runs on")
        attack.check(place.system.left() == [], f"{date}: left: {place.system.left()}")
    attack.finish()


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


CHANGES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "by a lower number of retries": ((), {"TRADEWIND_TEST_RETRIES": "1"}),
    "by the new version": (("former_version",), {}),
}


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_work_is_attended_by_a_retry_after_a_change(place: Place, change: str):
    """A worker is told to go away; the next one has another DAG file, or another version."""
    former, changed = CHANGES[change]
    attack = Attack(PROMISE, "the first attempt's worker goes away, the retry reattaches", change)
    for _ in attack.rounds(1):
        change_once(place, attack, former, changed)
    attack.finish()


def change_once(
    place: Place, attack: Attack, former: tuple[str, ...], changed: dict[str, str]
) -> None:
    date, kind = next(DATES), KINDS[0]
    when = place.folder / f"{date}.drain"
    with ThreadPoolExecutor(1) as threads, closing(place.start("A", preload=former)) as one:
        order = {"date": date, "when": str(when), "then": "drain", "once": True}
        first = threads.submit(one.run, kind, **order)
        try:
            place.until(date, 1, first)
        finally:
            when.touch()
        assert first.result()["state"] in ("up_for_retry", "running"), first.result()
    without = Owner(kind, f"supervised-{date}", "work").digest
    jobs = [path.name for path in (place.folder / "jobs").iterdir()]
    assert any(without in name for name in jobs) == bool(former), jobs
    attack.check(place.certain("A") == [], f"sweep is certain of {place.certain('A')}")
    with closing(place.start("A", **changed)) as two, ThreadPoolExecutor(1) as threads:
        retry = threads.submit(two.run, kind, date=date, again=True)
        place.go(date, "A")
        told, ran = retry.result(), place.ran(date)
    good = told["state"] == "success" and told["xcom"] == [f"A {ran[0][1]}"] and len(ran) == 1
    attack.check(good, f"{ran}: {told}")
    attack.check(place.system.left() == [], f"left: {place.system.left()}")
