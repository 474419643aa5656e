"""The MariaDB of `tradewind up mariadb`, as its clients see it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from mysql_client import need_mysql_client
from processes import gone
from tradewind.errors import SetupError
from tradewind.local import Systems, up
from tradewind.local.processes import wait_until
from tradewind.systems.mysql.local import SYSTEM

need_mysql_client()

import MySQLdb  # noqa: E402


@pytest.fixture
def installed() -> None:
    try:
        SYSTEM.check()
    except SetupError as error:
        pytest.skip(str(error))


def ask(systems: Systems, query: str, *arguments: object, **other: str) -> list[tuple]:
    wanted = {**systems.environment, **other}
    connection = MySQLdb.connect(
        host=wanted["MYSQL_HOST"],
        port=int(wanted["MYSQL_TCP_PORT"]),
        user=wanted["MYSQL_USER"],
        password=wanted["MYSQL_PWD"],
        database=wanted["MYSQL_DATABASE"],
        local_infile=True,
        autocommit=True,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, arguments or None)
            return list(cursor.fetchall())
    finally:
        connection.close()


def test_is_set_up_for_work(local_mariadb: Systems, tmp_path: Path) -> None:
    settings = "@@character_set_server, @@character_set_database, @@local_infile, @@time_zone"
    assert ask(local_mariadb, f"SELECT {settings}") == [("utf8mb4", "utf8mb4", 1, "+00:00")]
    # Where two servers share this folder, the start of one removes the other's tables in use.
    [(temporary, databases)] = ask(local_mariadb, "SELECT @@tmpdir, @@datadir")
    assert Path(temporary).parent == Path(databases).parent
    (tmp_path / "rows").write_text("1\t\N{SAILBOAT}\n")
    ask(local_mariadb, "CREATE TABLE boats (number INT, name TEXT)")
    load = "LOAD DATA LOCAL INFILE %s INTO TABLE boats CHARACTER SET utf8mb4"
    ask(local_mariadb, load, str(tmp_path / "rows"))
    assert ask(local_mariadb, "SELECT number, HEX(name) FROM boats") == [(1, "E29BB5")]


def test_its_own_client_comes_in_by_the_environment(local_mariadb: Systems) -> None:
    client = shutil.which("mariadb") or shutil.which("mysql")
    if client is None:
        pytest.skip("no mariadb command here; Debian's mariadb-client-core has it")
    command = [client, "--no-defaults", "-utradewind", "-Ne", "SELECT current_user()"]
    environment = local_mariadb.full_environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "tradewind@%\n", done.stderr


@pytest.mark.parametrize(
    "other",
    [
        {"MYSQL_PWD": "wrong"},
        {"MYSQL_PWD": ""},
        {"MYSQL_USER": "root", "MYSQL_PWD": ""},
        {"MYSQL_USER": "", "MYSQL_PWD": ""},
    ],
)
def test_refuses_strangers(local_mariadb: Systems, other: Mapping[str, str]) -> None:
    with pytest.raises(MySQLdb.OperationalError, match="Access denied"):
        ask(local_mariadb, "SELECT 1", **other)


@pytest.mark.usefixtures("installed")
def test_data_survive_a_kill_and_a_new_password(data: Path) -> None:
    with up(["mariadb"], data=data) as systems:
        ask(systems, "CREATE TABLE kept AS SELECT 'kept' AS word")
        ask(systems, "CREATE USER reader")
        pid = systems["mariadb"].pids[0]
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: gone(pid), seconds=10)
    with up(["mariadb"], data=data) as systems:
        assert ask(systems, "SELECT word FROM kept") == [("kept",)]
        assert ask(systems, "SELECT user FROM mysql.user WHERE user = 'reader'") == [("reader",)]
        before = systems.environment["MYSQL_PWD"]
    (data / "credentials.json").unlink()
    with up(["mariadb"], data=data) as systems:
        assert ask(systems, "SELECT word FROM kept") == [("kept",)]
        with pytest.raises(MySQLdb.OperationalError, match="Access denied"):
            ask(systems, "SELECT 1", MYSQL_PWD=before)


@pytest.mark.usefixtures("installed")
def test_half_a_start_is_begun_anew(data: Path) -> None:
    with up(["mariadb"], data=data):
        pass
    # As a kill leaves it that comes while the databases are being made.
    folder = data / "mariadb"
    (folder / "databases" / "ibdata1").unlink()
    (folder / "databases").rename(folder / "databases.new")
    with up(["mariadb"], data=data) as systems:
        assert ask(systems, "SELECT 1") == [(1,)]
    assert not (folder / "databases.new").exists()


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SetupError, match=r"mariadb: .*'mariadbd'.* apt-get install mariadb-server"):
        SYSTEM.check()
