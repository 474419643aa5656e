"""The PostgreSQL of `tradewind up postgres`, as its clients see it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest

from processes import gone
from tradewind.errors import SetupError
from tradewind.local import Systems, up
from tradewind.local.processes import wait_until
from tradewind.systems.postgres.local import SYSTEM


def ask(systems: Systems, query: str, **other: str) -> list[tuple[object, ...]]:
    wanted = {**systems.environment, **other}
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    settings = {name: wanted[variable] for name, variable in names.items()}
    with psycopg.connect(**settings, dbname=wanted["PGDATABASE"], autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def test_asyncpg_and_psql_come_in_by_the_environment(local_postgres: Systems) -> None:
    environment = local_postgres.full_environment()
    script = (
        "import asyncio, asyncpg\n"
        "async def main():\n"
        "    connection = await asyncpg.connect()\n"
        "    print(await connection.fetchval('SELECT current_user || current_database()'))\n"
        "    await connection.close()\n"
        "asyncio.run(main())\n"
    )
    psql = str(SYSTEM._programs() / "psql")
    for command in ([sys.executable, "-c", script], [psql, "-XAtc", "SELECT current_user"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith("tradewind"), done.stderr


def test_is_set_up_for_work(local_postgres: Systems) -> None:
    query = "SELECT current_setting(name) FROM unnest(%s) AS name"
    names = ["server_encoding", "TimeZone", "listen_addresses", "unix_socket_directories"]
    told = ask(local_postgres, query.replace("%s", f"ARRAY{names}"))
    assert [value for (value,) in told] == ["UTF8", "UTC", "127.0.0.1", ""]
    assert ask(local_postgres, "SELECT upper('ñ')") == [("Ñ",)]
    assert ask(local_postgres, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (True,)
    ]


@pytest.mark.parametrize(
    "other", [{"PGPASSWORD": "wrong"}, {"PGPASSWORD": ""}, {"PGUSER": "postgres"}]
)
def test_refuses_strangers(local_postgres: Systems, other: Mapping[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        ask(local_postgres, "SELECT 1", **other)


def test_data_survive_a_kill_and_a_new_password(data: Path) -> None:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed here")
    with up(["postgres"], data=data) as systems:
        ask(systems, "CREATE TABLE kept AS SELECT 'kept' AS word")
        server = psutil.Process(systems["postgres"].pids[0])
        its = [server, *server.children(recursive=True)]
        server.send_signal(signal.SIGKILL)
    assert wait_until(lambda: all(gone(process.pid) for process in its), seconds=10)
    with up(["postgres"], data=data) as systems:
        assert ask(systems, "TABLE kept") == [("kept",)]
        before = systems.environment["PGPASSWORD"]
    (data / "credentials.json").unlink()
    with up(["postgres"], data=data) as systems:
        assert ask(systems, "TABLE kept") == [("kept",)]
        with pytest.raises(psycopg.OperationalError, match="password"):
            ask(systems, "SELECT 1", PGPASSWORD=before)


def has_postgres() -> bool:
    try:
        SYSTEM.check()
    except SetupError:
        return False
    return True


def test_ends_at_once_in_spite_of_a_client(data: Path) -> None:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed here")

    async def stay() -> None:
        with up(["postgres"], data=data) as systems:
            environment = systems.environment
            connection = await asyncpg.connect(
                host=environment["PGHOST"],
                port=environment["PGPORT"],
                user=environment["PGUSER"],
                password=environment["PGPASSWORD"],
            )
            child = systems["postgres"].children.all[0]
        assert child.process.returncode == 0, "it was killed"
        connection.terminate()

    asyncio.run(stay())


def test_half_a_start_is_begun_anew(data: Path) -> None:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed here")
    with up(["postgres"], data=data):
        pass
    # As a kill leaves it that comes while the cluster is being made.
    folder = data / "postgres"
    shutil.rmtree(folder / "cluster" / "global")
    (folder / "cluster").rename(folder / "cluster.new")
    (folder / "verifier").unlink()
    with up(["postgres"], data=data) as systems:
        assert ask(systems, "SELECT 1") == [(1,)]
    assert not (folder / "cluster.new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as another user")
def test_root_lets_it_run_as_another_and_in_a_closed_folder(data: Path) -> None:
    if not has_postgres():
        pytest.skip("PostgreSQL is not installed here")
    data.mkdir(mode=0o700)
    with up(["postgres"], data=data) as systems:
        server = psutil.Process(systems["postgres"].pids[0])
        assert 0 not in server.uids()
        assert 0 not in server.gids()
    assert data.stat().st_mode & 0o777 == 0o700


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("tradewind.systems.postgres.local._FOLDERS", ())
    with pytest.raises(SetupError, match=r"postgres: .*'initdb'.* apt-get install postgresql"):
        SYSTEM.check()
