"""Moves through a real PgBouncer that pools transactions: other clients notice nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres_server import Database, connection_to, database_on, owner_of
from tradewind.local import Systems
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.systems.files.store import FileStore
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.doctor import checks
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.source import PostgresSource
from tradewind.systems.postgres.table import PostgresTable
from waiting import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="PgBouncer is missing: apt-get install pgbouncer"
)
SETTINGS = [
    "statement_timeout",
    "lock_timeout",
    "intervalstyle",
    "datestyle",
    "timezone",
    "extra_float_digits",
    "bytea_output",
    "max_parallel_workers_per_gather",
    "synchronize_seqscans",
    "xmloption",
    "search_path",
    "work_mem",
]


@pytest.fixture(scope="module")
def direct(local_postgres: Systems) -> PostgresConnection:
    return connection_to(local_postgres)


@pytest.fixture(scope="module")
def db(direct: PostgresConnection) -> Iterator[Database]:
    with database_on(direct) as database:
        yield database


@pytest.fixture(params=[1, 2])
def pooled(
    request: pytest.FixtureRequest,
    local_postgres: Systems,
    direct: PostgresConnection,
    tmp_path: Path,
) -> Iterator[PostgresConnection]:
    """A pooler with so many connections to the server, or of so short a mode."""
    size, mode = (
        request.param if isinstance(request.param, tuple) else (request.param, "transaction")
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "pooler"
    folder.mkdir()
    (folder / "users").write_text(f'"{direct.user}" "{direct.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={direct.host} port={direct.port}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {folder}/users\npool_mode = {mode}\n"
        f"default_pool_size = {size}\nignore_startup_parameters = extra_float_digits\n"
    )
    folder.chmod(0o755)
    command = [str(PROGRAM), str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        command = [str(PROGRAM), "-u", "nobody", str(folder / "pgbouncer.ini")]
        for part in (folder, *folder.iterdir()):
            shutil.chown(part, "nobody")
        for parent in folder.parents:
            if parent.is_relative_to(tmp_path.parents[1]):
                parent.chmod(0o755)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def listens() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as link:
                return link.connect_ex(("127.0.0.1", port)) == 0

        until(listens, said=(folder / "log").read_text)
        yield connection_to(local_postgres, host="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.wait(10)


def seen(connection: PostgresConnection) -> dict[str, str]:
    """What another client of the pooler finds."""
    with Session(connection, name="another") as session:
        return {name: session.fetch(f"SHOW {name}")[0][0] for name in SETTINGS}


def test_no_setting_is_left_and_every_move_works(
    pooled: PostgresConnection, db: Database, tmp_path: Path
) -> None:
    before = seen(pooled)
    table = db.table("id int PRIMARY KEY, span interval")
    db.run(
        f"INSERT INTO {table} SELECT n, n * interval '90 minutes' FROM generate_series(1, 1000) n"
    )
    source = PostgresSource(pooled, f"SELECT * FROM {table} ORDER BY id", statement_timeout=60)
    for name in ("t.csv", "t.parquet"):
        assert transfer(source, ObjectTarget(FileStore(tmp_path), name), owner_of("out")).rows
        assert seen(pooled) == before
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "1,PT1H30M"
    for mode in ("append", "replace", "upsert"):
        copy = db.table("id int PRIMARY KEY, span interval")
        transfer(
            ObjectSource(FileStore(tmp_path), "t.csv"),
            PostgresTable(pooled, copy, mode=mode),
            owner_of("in"),
        )
        assert (
            db.value(f"SELECT count(*) FROM {copy} WHERE span = id * interval '1.5 hours'") == 1000
        )
        assert seen(pooled) == before
    assert db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


def test_two_moves_at_once_and_one_that_fails(
    pooled: PostgresConnection, db: Database, tmp_path: Path
) -> None:
    before = seen(pooled)
    failures: list[BaseException] = []

    def move(name: str, query: str) -> None:
        try:
            target = ObjectTarget(FileStore(tmp_path), name)
            transfer(PostgresSource(pooled, query, statement_timeout=60), target, owner_of(name))
        except BaseException as error:
            failures.append(error)

    good = "SELECT n FROM generate_series(1, 20000) n"
    bad = "SELECT 1 / (n - 9999) AS n FROM generate_series(1, 20000) n"
    threads = [
        threading.Thread(target=move, args=each)
        for each in [("a.csv", good), ("b.csv", good), ("c.csv", bad)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [str(error) for error in failures if "division by zero" not in str(error)] == []
    assert len(failures) == 1
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert seen(pooled) == before


def test_the_doctor_sees_the_pooler(pooled: PostgresConnection, direct: PostgresConnection) -> None:
    found = {check.what: check for check in checks(pooled, "", 30)}
    assert {check.status for check in found.values()} == {"ok"}
    assert "is in between" in found["pooler"].said
    assert "pooler" not in {check.what for check in checks(direct, "", 30)}


@pytest.mark.parametrize("pooled", [(1, "statement")], indirect=True)
def test_the_doctor_refuses_a_pooler_without_transactions(pooled: PostgresConnection) -> None:
    found = {check.what: check for check in checks(pooled, "", 30)}
    assert found["transaction"].status == "fail"
    assert "pool_mode=transaction" in found["transaction"].remedy
