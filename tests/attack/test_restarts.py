"""A server is killed, or told to end, and started again in the middle of a move or of work.

A move is whole then, or ends with an error that lets Airflow try again; the next try makes it
whole. Work on another machine goes on where its machine does, and is told as failed where not.
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import MySQLdb
import psycopg
import pytest
from attack_places import in_store, in_table
from attack_report import LONG, Attack, forms
from attack_workers import Gate, Workers

from busybox import IMAGE
from container_engine import Engine
from ssh_server import SSHServer
from tradewind.local import Systems, up
from tradewind.local.processes import free_port

pytestmark = pytest.mark.xdist_group("attack-restarts")
PROMISE = "A server that is restarted costs a retry, and nothing else"
HOW = "SIGKILL or SIGTERM of the server in a move's middle or at a random moment, and a new start"
IN_WORK = "SIGTERM of what runs work, in the middle of it, and a new start"
COUNTS = [pytest.param(1, id="some"), pytest.param(25, id="many", marks=LONG)]
MOVES = Path(__file__).with_name("attack_moves.py")
ROWS = 5_000


class Restartable:
    """A local system on a port of its own, whose data stay.

    Args:
        name: Of the system.
        data: Its folder.
    """

    def __init__(self, name: str, data: Path) -> None:
        self.name, self.data, self.port = name, data, free_port()
        self._stack = ExitStack()
        self.systems: Systems

    def start(self) -> None:
        ports = {self.name: self.port}
        self.systems = self._stack.enter_context(up([self.name], data=self.data, ports=ports))

    def restart(self, chance: random.Random) -> None:
        """End it by force or politely, and start it again."""
        if chance.random() < 0.5:
            for child in self.systems[self.name].children.all:
                os.killpg(child.pid, signal.SIGKILL)
        self._stack.close()
        self.start()

    def close(self) -> None:
        self._stack.close()


@contextmanager
def restartable(name: str, folder: Path) -> Iterator[tuple[Restartable, Workers]]:
    with closing(Restartable(name, folder / "data")) as server:
        server.start()
        (folder / "told").mkdir()
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        paths = [str(Path(__file__).parents[1] / "move" / "faults"), *inherited]
        environment = {**server.systems.environment, "PYTHONPATH": os.pathsep.join(paths)}
        with Workers(MOVES, folder / "told", environment) as workers:
            yield server, workers


def check(
    server: Restartable,
    workers: Workers,
    attack: Attack,
    count: int,
    made: Callable[[str], dict[str, Any]],
    seen: Callable[[dict[str, Any]], dict[int, int]],
    left: Callable[[], list[str]],
    gates: Path,
) -> None:
    """Restart it so often: every other time where the move waits for that, else at any moment."""
    place = made(f"whole{uuid.uuid4().hex[:6]}")
    moments = ("middle", "publish", "end") if "store" in place else ("middle", "end")
    told, seconds = workers.measured("publish", place=place, who="whole", rows=ROWS, version=1)
    assert "answer" in told, told
    for number in attack.rounds(count):
        name = f"s{number}x{uuid.uuid4().hex[:6]}"
        place = made(name)
        first = workers.run("publish", place=place, who=f"first{name}", rows=ROWS, version=1)
        assert "answer" in first, first
        given = {"place": place, "who": name, "rows": ROWS, "version": 2}
        if number % 2 == 0:
            gate = Gate(gates / name, moments[number // 2 % len(moments)])
            label = f"{number}, {gate.at}"
            child = workers.start("publish", **given, gate=gate.order)
            gate.wait(child)
            server.restart(attack.chance)
            gate.open()
        else:
            moment = attack.chance.uniform(0, seconds)
            label = f"{number}, {moment:.3f} s"
            child = workers.start("publish", **given)
            time.sleep(moment)
            server.restart(attack.chance)
        told = child.wait()
        good = "answer" in told or "RetryError" in told.get("kinds", [])
        attack.note("finished" if "answer" in told else "told to try again")
        attack.check(good, f"{label}: {told.get('error')}: {told.get('message')}")
        whole = ({2: ROWS},) if "answer" in told else ({1: ROWS}, {2: ROWS})
        attack.check(seen(place) in whole, f"{label}: rows by version: {seen(place)}")
        again = workers.run("publish", **given)
        attack.check("answer" in again, f"{label}: the retry: {again.get('message')}")
        attack.check(seen(place) == {2: ROWS}, f"{label}: after the retry: {seen(place)}")
        attack.check(left() == [], f"{label}: left behind: {left()}")


@pytest.mark.parametrize("count", COUNTS)
def test_of_postgres(tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "PostgreSQL, replace")
    with restartable("postgres", tmp_path) as (server, workers):

        def ask(query: str) -> list[Any]:
            where = server.systems.environment
            names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
            given = {name: where[key] for name, key in names.items()}
            with psycopg.connect(dbname=where["PGDATABASE"], **given) as connection:
                cursor = connection.execute(query)
                return cursor.fetchall() if cursor.description else []

        def made(name: str) -> dict[str, Any]:
            ask(f"CREATE TABLE {name} (id bigint primary key, version bigint, text text)")
            return {"system": "postgres", "table": name, "mode": "replace"}

        def left() -> list[str]:
            found = ask("SELECT tablename FROM pg_tables WHERE tablename ILIKE '%tradewind%'")
            return [name for (name,) in found if name != "tradewind_published"]

        check(server, workers, attack, count, made, in_table(ask), left, tmp_path / "gates")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
def test_of_mariadb(tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, "MariaDB, replace")
    with restartable("mariadb", tmp_path) as (server, workers):

        def ask(query: str) -> list[Any]:
            where = server.systems.environment
            with closing(
                MySQLdb.connect(
                    host=where["MYSQL_HOST"],
                    port=int(where["MYSQL_TCP_PORT"]),
                    user=where["MYSQL_USER"],
                    password=where["MYSQL_PWD"],
                    database=where["MYSQL_DATABASE"],
                    autocommit=True,
                )
            ) as connection:
                cursor = connection.cursor()
                cursor.execute(query)
                rows = list(cursor.fetchall())
                cursor.close()
                return rows

        def made(name: str) -> dict[str, Any]:
            ask(f"CREATE TABLE {name} (id bigint primary key, version bigint, text text)")
            return {"system": "mysql", "table": name, "mode": "replace"}

        def left() -> list[str]:
            found = ask("SELECT table_name FROM information_schema.tables")
            tables = [name.lower() for (name,) in found]
            return [one for one in tables if "tradewind" in one and one != "tradewind_published"]

        check(server, workers, attack, count, made, in_table(ask), left, tmp_path / "gates")
    attack.finish()


SHAPES = {"one object": ("data.csv", None), "parts": ("", {"rows": 1_500})}


@pytest.mark.parametrize(("shape", "count"), forms(["parts"], 1, SHAPES, 25))
def test_of_s3(tmp_path: Path, shape: str, count: int):
    attack = Attack(PROMISE, HOW, f"S3 (Swift), {shape}")
    key, parts = SHAPES[shape]
    with restartable("s3", tmp_path) as (server, workers):
        where = server.systems.environment
        endpoint = where["AWS_ENDPOINT_URL_S3"]
        keys = (where["AWS_ACCESS_KEY_ID"], where["AWS_SECRET_ACCESS_KEY"])
        client = boto3.Session(*keys, region_name="eu-west-1").client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="restarts")
        place = {"store": "s3", "bucket": "restarts", "endpoint": endpoint}
        place |= {"account": keys[0], "secret": keys[1]}

        def made(name: str) -> dict[str, Any]:
            return {**place, "key": f"{name}/{key}", "parts": parts}

        def left() -> list[str]:
            found = client.list_multipart_uploads(Bucket="restarts").get("Uploads", [])
            return [f"upload of {one['Key']}" for one in found]

        check(server, workers, attack, count, made, in_store, left, tmp_path / "gates")
    attack.finish()


# ------------------------------------------------------------------------------------------- work

SCRIPT = "echo x >> {ran}; for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.1; done; "
SCRIPT += "echo 42 > $TRADEWIND_RESULT"


def check_work(
    supervisors: Workers,
    action: str,
    folder: Path,
    attack: Attack,
    count: int,
    restart: Callable[[random.Random], None],
    *,
    goes_on: bool,
    **options: Any,
) -> None:
    for number in attack.rounds(count):
        name = f"s{number}x{uuid.uuid4().hex[:6]}"
        (folder / name).mkdir()
        given = {
            "run": name,
            "script": SCRIPT.format(ran=folder / name / "ran"),
            "memory": str(folder / name / "memory"),
            "log": str(folder / name / "log"),
            **options,
        }
        moment = attack.chance.uniform(0, 1.5)
        child = supervisors.start(action, **given)
        time.sleep(moment)
        restart(attack.chance)
        told = child.wait()
        label = f"{number}, {moment:.3f} s"
        attack.note("finished" if "answer" in told else told.get("error", "?"))
        kinds = told.get("kinds", [])
        good = told.get("answer") == "42\n" or "RetryError" in kinds
        good = good or (not goes_on and "WorkFailedError" in kinds)
        attack.check(good, f"{label}: {told.get('error')}: {told.get('message')}")
        failed = "WorkFailedError" in kinds
        again = supervisors.run(action, **given)
        attack.check(again.get("answer") == "42\n", f"{label}: the retry: {again!r:.400}")
        ran = folder / name / "ran"
        times = ran.read_text().count("x") if ran.exists() else 0
        wanted = (1, 2) if failed else (1,)
        attack.check(times in wanted, f"{label}: it ran {times} times; {told!r:.300}")


@pytest.mark.parametrize("count", COUNTS)
def test_of_an_sshd(supervisors: Workers, tmp_path: Path, server: SSHServer, count: int):
    attack = Attack(PROMISE, IN_WORK, "an sshd")

    def restart(chance: random.Random) -> None:
        server.stop()
        time.sleep(chance.uniform(0, 0.5))
        server.start()

    where = {"port": server.port, "username": server.username, "root": str(tmp_path / "jobs")}
    files = {"key_file": str(server.key_file), "known_hosts": str(server.known_hosts)}
    check_work(supervisors, "ssh", tmp_path, attack, count, restart, goes_on=True, **where, **files)
    left = [path.name for path in (tmp_path / "jobs").glob("*")]
    attack.check(not left, f"left behind: {left}")
    attack.finish()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.container
def test_of_a_docker_daemon(supervisors: Workers, tmp_path: Path, daemon: Engine, count: int):
    attack = Attack(PROMISE, IN_WORK, "a Docker daemon")

    def restart(chance: random.Random) -> None:
        # Killed, it leaves its containerd to an init, which not every container that tests run in
        # has; then no daemon starts there again.
        assert daemon.process is not None
        daemon.process.terminate()
        daemon.process.wait(60)
        daemon.start()

    given = {"engine": daemon.address, "image": IMAGE, "shared": str(tmp_path)}
    check_work(supervisors, "docker", tmp_path, attack, count, restart, goes_on=False, **given)
    left = daemon.containers()
    attack.check(left == [], f"left behind: {len(left)} containers")
    attack.finish()
