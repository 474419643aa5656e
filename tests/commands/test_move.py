"""`tradewind move` as it is typed.

Over 400 lines: each thing that the command promises is a few lines on the same small files.
"""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shlex
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest

from airflow_runs import airflow_environment, make_home
from tradewind.local import Systems
from tradewind.local.processes import wait_until

_LITTLE = 600 << 20
TRADEWIND = [sys.executable, "-m", "tradewind.cli", "move"]


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRADEWIND, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, **environment},
    )


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """A CSV file of three rows."""
    (tmp_path / "numbers.csv").write_text("id,name\n1,one\n2,two\n3,\n")
    return tmp_path


def test_a_file_becomes_another_format(numbers: Path):
    done = run("--from", "numbers.csv", "--to", "numbers.jsonl", folder=numbers)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (numbers / "numbers.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": 1, "name": "one"},
        {"id": 2, "name": "two"},
        {"id": 3, "name": None},
    ]
    assert re.search(r"^rows +3$", done.stdout, re.MULTILINE)
    assert f"file://{numbers}/numbers.jsonl" in done.stdout
    assert done.stderr == "", "no progress where nobody looks"


def test_memory_that_a_record_does_not_get_is_told(tmp_path: Path):
    """Under a limit (RLIMIT_AS, as of a container) one line of 80 MB is an error in words."""
    (tmp_path / "t.jsonl").write_bytes(b'{"a": "' + b"x" * (80 << 20) + b'"}\n')

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_LITTLE, _LITTLE))

    for more in (["--dry-run"], []):
        done = subprocess.run(
            [
                *TRADEWIND,
                "--from",
                "t.jsonl",
                "--to",
                "t.parquet",
                "--set-from",
                "max_record_bytes=100MB",
                *more,
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            preexec_fn=limited,
            # On many cores numpy's and the C library's own shares would be most of the limit.
            env={
                **os.environ,
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "OPENBLAS_NUM_THREADS": "1",
                "MALLOC_ARENA_MAX": "2",
            },
        )
        assert done.returncode == 2, done.stderr
        assert f"{tmp_path}/t.jsonl" in done.stderr
        assert "may not take the memory" in done.stderr
        assert "Traceback" not in done.stderr
        assert os.listdir(tmp_path) == ["t.jsonl"]
    assert "max_record_bytes" in done.stderr


def test_the_receipt_as_json_is_all_there_is_on_stdout(numbers: Path):
    done = run("--from", "numbers.csv", "--to", "numbers.csv.gz", "--json", folder=numbers)
    receipt = json.loads(done.stdout)
    size = (numbers / "numbers.csv.gz").stat().st_size
    assert receipt["bytes"] == size
    assert receipt["stored"]["objects"][0]["bytes"] == size


def test_what_becomes_of_the_receipt_does_not_change_what_the_status_says(numbers: Path):
    """Who takes 1 for "not moved" and runs an append again would double the rows."""
    line = [*TRADEWIND, "--from", "numbers.csv", "--to", "out.csv", "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, cwd=numbers, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert "all is done, but its receipt cannot be written: No space left" in done.stderr
    assert (numbers / "out.csv").exists()
    # A locale that has not these letters, and stdout that is closed.
    (numbers / "é\udcff.csv").write_text("id,v\n1,日本\n")
    for locale in ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-8:strict"}):
        line = [*TRADEWIND, "--from", "é\udcff.csv", "--to", "é.jsonl"]
        moved = subprocess.run(line, capture_output=True, cwd=numbers, env=os.environ | locale)
        assert (moved.returncode, moved.stderr) == (0, b""), locale
    show = shlex.join([*TRADEWIND[:-1], "show", "é\udcff.csv"])
    told = {
        f"PYTHONIOENCODING=ascii {show}": (0, ""),
        f"{show} >&-": (0, ""),
        f"{show} >/dev/full": (1, "standard output: No space left on device"),
    }
    for command, (status, said) in told.items():
        shown = subprocess.run(command, shell=True, cwd=numbers, capture_output=True)
        assert shown.returncode == status, command
        assert said in shown.stderr.decode(), command
        assert b"Traceback" not in shown.stderr, command


def test_a_line_without_a_name_keeps_the_partitions_that_it_published_before(numbers: Path):
    """A line of a cron table, whose data are those of another day each time."""
    line = ("--from", "day.csv", "--to", "lake/", "--set-to", "part_by=day", "--format", "csv")

    def days(data: str, *more: str) -> set[str]:
        (numbers / "day.csv").write_text(f"day,v\n{data}")
        done = run(*line, *more, folder=numbers)
        assert done.returncode == 0, done.stderr
        parts = (numbers / "lake").rglob("part-*")
        return {f"{part.parent.name}: {part.read_text()[2:-1]}" for part in parts}

    assert days("1,a\n2,b\n") == {"day=1: a", "day=2: b"}
    assert days("2,c\n3,d\n") == {"day=1: a", "day=2: c", "day=3: d"}
    assert days("") == {"day=1: a", "day=2: c", "day=3: d"}
    # A name says which date it is: what that has written before is replaced.
    named = days("4,e\n5,f\n", "--run", "x")
    assert named - days("4,g\n", "--run", "x") == {"day=4: e", "day=5: f"}


def test_parts_are_listed_with_their_manifest(numbers: Path):
    parts = ("--to", "parts/", "--format", "csv", "--set-to", "part_rows=2")
    done = run("--from", "numbers.csv", *parts, folder=numbers)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"part-0000[01]-[0-9a-f]{20}\.csv +[12] ", done.stdout)) == 2
    assert re.search(r"^manifest +file://.*/parts/_manifest.json$", done.stdout, re.MULTILINE)


def test_under_nohup_a_move_outlives_its_terminal():
    code = (
        "import os, signal; from tradewind.commands.stopping import Stop\n"
        "with Stop() as stop: os.kill(os.getpid(), signal.SIGHUP); print(stop.event.is_set())"
    )
    for before, stopped in (("SIG_IGN", False), ("SIG_DFL", True)):
        line = f"import signal; signal.signal(signal.SIGHUP, signal.{before})\n{code}"
        done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True)
        assert (done.stdout.strip(), done.stderr) == (str(stopped), ""), before


def test_a_dry_run_shows_schema_and_plan_and_moves_nothing(numbers: Path):
    done = run("--from", "numbers.csv", "--to", "numbers.parquet", "--dry-run", folder=numbers)
    assert re.search(r"^id +int64$", done.stdout, re.MULTILINE)
    assert "write file://" in done.stdout
    assert "Nothing was moved." in done.stdout
    assert not (numbers / "numbers.parquet").exists()
    as_json = ("--dry-run", "--json")
    told = json.loads(
        run("--from", "numbers.csv", "--to", "numbers.parquet", *as_json, folder=numbers).stdout
    )
    assert told["columns"][1] == {"name": "name", "type": "string"}


def test_no_replace_refuses_what_another_has_made(numbers: Path):
    (numbers / "there.csv").write_text("mine\n")
    done = run("--from", "numbers.csv", "--to", "there.csv", "--no-replace", folder=numbers)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (numbers / "there.csv").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "numbers.csv", "--to", "x"], "its name tells no format"),
        (["--from", "ftp://host/x.csv", "--to", "x.csv"], "There is no source 'ftp'"),
        (["--from", "numbers.csv", "--to", "redis://host"], "There is no target 'redis'"),
        (["--from", "missing.csv", "--to", "x.csv"], "missing.csv"),
        (["--from", "numbers.csv", "--to", "x.csv", "--format", "xls"], "no format 'xls'"),
        (["--from", "numbers.csv", "--to", "x.csv", "--set-to", "colour=red"], "colour"),
        (["--from", "numbers.csv", "--to", "x.csv", "--set-to", "part_rows"], "NAME=VALUE"),
        (["--from", "numbers.csv", "--to", "x.csv", "--query-file", "no.sql"], "no.sql"),
        (["--from", "connection:no_such_conn", "--to", "x.csv"], "no_such_conn"),
        (["--from", "-", "--to", "x.csv"], "Name a file"),
        (["--from", "", "--to", "x.csv"], "--from is empty"),
        (["--from", "numbers.csv", "--to", "x/", "--format", "csv"], "part_rows"),
        (["--from", "http://127.0.0.1:1/", "--to", "x.csv", "--query", "a"], "no option query"),
        (["--from", "mongodb://h/d", "--to", "x.csv", "--set-from", "a=b"], "no option a."),
        (["--from", "s3://b/k.csv", "--to", "x.csv", "--set-from", "a=b"], "endpoint_url"),
    ],
)
def test_a_wrong_line_is_told_in_one_line(numbers: Path, arguments: list[str], message: str):
    done = run(*arguments, folder=numbers, AIRFLOW_HOME=str(numbers / "airflow"))
    assert done.returncode in (1, 2)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tradewind: ")
    assert message in last
    assert "Traceback" not in done.stderr
    assert not (numbers / "x.csv").exists()


class TestWithPostgres:
    @pytest.fixture
    def table(self, local_postgres: Systems) -> str:
        name = f"cli_{uuid.uuid4().hex[:8]}"
        with self.connect(local_postgres) as connection:
            connection.execute(f"CREATE TABLE {name} (id int primary key, name text)")
        return name

    def connect(self, systems: Systems) -> psycopg.Connection:
        found = systems.environment
        return psycopg.connect(
            host=found["PGHOST"],
            port=found["PGPORT"],
            user=found["PGUSER"],
            password=found["PGPASSWORD"],
            dbname=found["PGDATABASE"],
            autocommit=True,
        )

    def test_an_append_adds_each_time_and_once_for_each_run_with_a_name(
        self, local_postgres: Systems, numbers: Path, table: str
    ):
        with self.connect(local_postgres) as connection:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        line = ("--from", "numbers.csv", "--to", "postgresql://", "--set-to", f"table={table}")
        environment = dict(local_postgres.environment)

        def rows() -> int:
            with self.connect(local_postgres) as connection:
                found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return found[0] if found else 0

        for expected in (3, 6):
            done = run(*line, folder=numbers, **environment)
            assert done.returncode == 0, done.stderr
            assert rows() == expected, "a line of cron loads each time"
        for option in ("--run", "--run-id"):
            done = run(*line, option, "second", folder=numbers, **environment)
            assert done.returncode == 0, done.stderr
            assert rows() == 9
        assert "Nothing was written: this was published before" in done.stdout.splitlines()[0]
        assert "--run" in done.stderr

    def test_another_query_is_another_move_even_under_one_name(
        self, local_postgres: Systems, numbers: Path, table: str
    ):
        environment = dict(local_postgres.environment)
        padding = "/* " + "x" * 300 + " */"
        for number in (1, 2):
            query = f"SELECT {padding} {number} AS id, 'n' AS name"
            to = ("--to", "postgresql://", "--set-to", f"table={table}", "--run", "one")
            done = run(
                "--from", "postgresql://", "--query", query, *to, folder=numbers, **environment
            )
            assert done.returncode == 0, done.stderr
        with self.connect(local_postgres) as connection:
            assert connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall() == [
                (1,),
                (2,),
            ]

    def test_a_password_is_never_shown(self, local_postgres: Systems, numbers: Path):
        found = local_postgres.environment
        secret = found["PGPASSWORD"]
        uri = f"postgresql://{found['PGUSER']}:{secret}@{found['PGHOST']}:{found['PGPORT']}"
        for query in ("SELECT 1 AS a", "SELEC"):
            to = ("--to", "out.csv", "--query", query)
            done = run("--from", f"{uri}/{found['PGDATABASE']}", *to, folder=numbers)
            assert secret not in done.stdout + done.stderr
            assert "the password in --from" in done.stderr, "ps shows it"
        assert (numbers / "out.csv").read_text() == "a\n1\n"

    @pytest.mark.airflow
    def test_an_airflow_connection_will_do(
        self, local_postgres: Systems, numbers: Path, table: str
    ):
        (connection,) = (
            value
            for name, value in local_postgres.environment.items()
            if name == "AIRFLOW_CONN_POSTGRES_DEFAULT"
        )
        environment = {
            "AIRFLOW_CONN_MY_PG": connection,
            "AIRFLOW_HOME": str(numbers / "airflow"),
        }
        query = ("--query", f"SELECT count(*) AS n FROM {table}")
        line = ("--from", "connection:my_pg", *query, "--to", "n.csv", "--json")
        done = run(*line, folder=numbers, **environment)
        assert done.returncode == 0, done.stderr
        assert (numbers / "n.csv").read_text() == "n\n0\n"
        assert json.loads(done.stdout)["rows"] == 1, "Airflow's own log is elsewhere"

    @pytest.mark.airflow
    def test_a_connection_of_the_metadata_database_will_do(
        self, local_postgres: Systems, numbers: Path, table: str
    ):
        home = numbers / "airflow"
        make_home(home)
        environment = airflow_environment(home, home, {})
        found = local_postgres.environment["AIRFLOW_CONN_POSTGRES_DEFAULT"]
        program = Path(sys.executable).with_name("airflow")
        added = subprocess.run(
            [program, "connections", "add", "of-the-ui", "--conn-json", found],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert added.returncode == 0, added.stderr
        query = ("--query", f"SELECT count(*) AS n FROM {table}")
        line = ("--from", "connection:of-the-ui", *query, "--to", "n.csv")
        done = run(*line, folder=numbers, **environment)
        assert done.returncode == 0, done.stderr
        assert (numbers / "n.csv").read_text() == "n\n0\n"
        missing = run(
            "--from", "connection:not-there", "--to", "x.csv", folder=numbers, **environment
        )
        assert "no connection 'not-there'" in missing.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ctrl_c_ends_it_in_order(
        self, local_postgres: Systems, numbers: Path, number: signal.Signals
    ):
        query = "SELECT i, repeat('x', 500) AS t FROM generate_series(1, 100000000) i"
        command = [*TRADEWIND, "--from", "postgresql://", "--query", query, "--to", "large.csv"]
        with subprocess.Popen(
            command,
            cwd=numbers,
            env={**os.environ, **local_postgres.environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:

            def has_begun() -> bool:
                return any(path.stat().st_size > 1_000_000 for path in numbers.iterdir())

            assert wait_until(has_begun, seconds=60)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert stderr == "Stopped; nothing of it is visible.\n"
        assert [path.name for path in numbers.iterdir()] == ["numbers.csv"]

    def test_a_query_that_gives_nothing_is_broken_off_too(
        self, local_postgres: Systems, numbers: Path
    ):
        mark = uuid.uuid4().hex
        query = f"SELECT pg_sleep(300)::text AS a, '{mark}' AS b"
        command = [*TRADEWIND, "--from", "postgresql://", "--query", query, "--to", "never.csv"]
        with (
            self.connect(local_postgres) as connection,
            subprocess.Popen(
                command,
                cwd=numbers,
                env={**os.environ, **local_postgres.environment},
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):

            def runs() -> bool:
                asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid <> %s"
                own = connection.info.backend_pid
                return connection.execute(asked, (f"%{mark}%", own)).fetchone() != (0,)

            assert wait_until(runs, seconds=60)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
            assert process.returncode == 128 + signal.SIGINT
            assert stderr == "Stopped; either nothing of it is visible, or all.\n"
            assert wait_until(lambda: not runs(), seconds=60), "the query goes on"
        assert [path.name for path in numbers.iterdir()] == ["numbers.csv"]

    def test_on_a_terminal_it_shows_how_far_it_is(self, local_postgres: Systems, numbers: Path):
        query = "SELECT i, repeat('x', 500) AS t FROM generate_series(1, 100000000) i"
        command = [*TRADEWIND, "--from", "postgresql://", "--query", query, "--to", "large.csv"]
        leader, follower = pty.openpty()
        environment = {**os.environ, **local_postgres.environment}
        with subprocess.Popen(
            command, cwd=numbers, env=environment, stderr=follower, stdout=subprocess.DEVNULL
        ) as process:
            os.close(follower)
            shown = b""
            while not re.search(rb"MB/s, [1-9]", shown):
                shown += os.read(leader, 1000)
            process.send_signal(signal.SIGINT)
            process.wait(60)
        os.close(leader)
        assert re.search(rb"\r\[\.*=====\.*\] [\d.]+ MB, [\d.]+ MB/s, \d+ s", shown), shown
