"""The plugin passes Tradewind's public suites, and refuses what would change."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pytest
from tradewind_duckdb.source import DuckDBSource
from tradewind_duckdb.table import DuckDBTable

from tradewind.errors import InputError, RetryError
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.testing import MemorySource
from tradewind.testing.conformance.source import SourceConformance, rows_of
from tradewind.testing.conformance.table import TableConformance

OWNER = Owner("dag", "run", "task")


class TestTable(TableConformance):
    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with duckdb.connect(str(self.path)) as database:
            database.execute(
                "CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR, day VARCHAR)"
            )

    def table(self, name: str = "things", **options: Any) -> DuckDBTable:
        return DuckDBTable(self.path, name, **options)

    def rows(self, name: str | None = None) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as database:
            return database.execute(
                f"SELECT id, name, day FROM {name or 'things'} ORDER BY id"
            ).fetchall()


class TestSource(SourceConformance):
    expected: ClassVar = [{"id": 1, "name": "one"}, {"id": 2, "name": None}]

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "things.db"
        with duckdb.connect(str(self.path)) as database:
            database.execute(
                "CREATE TABLE things AS FROM (VALUES (1::BIGINT, 'one'), (2, NULL)) t(id, name)"
            )

    def source(self) -> DuckDBSource:
        return DuckDBSource(self.path, "SELECT * FROM things ORDER BY id")

    def wrong_source(self) -> DuckDBSource:
        return DuckDBSource(self.path, "SELECT * FROM nothing")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "values.db"
    duckdb.connect(str(path)).close()
    return path


def test_every_type_arrives_as_it_was(file: Path) -> None:
    query = """
        SELECT 170141183460469231731687303715884105727::HUGEINT AS huge, 1.50::DECIMAL(10,2) AS d,
        '\\xAA'::BLOB AS b, DATE '0044-03-15' AS day, TIMESTAMPTZ '2020-01-01 00:00:00+02' AS at,
        'a'::ENUM('a', 'b') AS mood, [1, NULL] AS list, {'a': [1]} AS nested, NULL AS nothing,
        '101'::BIT AS bits, uuid '00000000-0000-0000-0000-00000000000a' AS u
    """
    (row,) = rows_of(DuckDBSource(file, query))
    assert row["huge"] == "170141183460469231731687303715884105727"
    assert (str(row["d"]), row["b"], row["mood"], row["nothing"]) == ("1.50", b"\xaa", "a", None)
    assert row["at"].isoformat() == "2019-12-31T22:00:00+00:00"
    assert (row["day"].isoformat(), row["list"], row["bits"]) == ("0044-03-15", [1, None], "101")
    assert json.loads(row["nested"]) == {"a": [1]}
    assert row["u"].endswith("00a")


@pytest.mark.parametrize(
    "query",
    ["SELECT 'infinity'::TIMESTAMP AS t", "SELECT '-infinity'::DATE AS t", "SELECT 1 AS t, 2 AS t"],
)
def test_what_would_change_is_refused(file: Path, query: str) -> None:
    with pytest.raises(InputError, match="t"):
        rows_of(DuckDBSource(file, query))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", pa.array([1, 1.5])),
        ("DECIMAL(10,2)", pa.array(["1.234"])),
        ("DATE", pa.array(["2020-01-01 10:00"])),
        ("INTEGER", pa.array(["007"])),
        ("TINYINT", pa.array([1000])),
        ("FLOAT", pa.array([0.1])),
    ],
)
def test_a_column_that_would_change_a_value_refuses_it(file: Path, kind: str, value: Any) -> None:
    with duckdb.connect(str(file)) as database:
        database.execute(f"CREATE TABLE t (v {kind})")
    with pytest.raises(InputError, match="Column 'v'"):
        transfer(MemorySource(pa.table({"v": value})), DuckDBTable(file, "t"), OWNER)
    assert rows_of(DuckDBSource(file, "SELECT * FROM t")) == []


def test_a_file_that_another_process_has_is_waited_for(file: Path) -> None:
    code = f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print(flush=True); "
    code += "sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RetryError, match="another process has it open"):
            rows_of(DuckDBSource(file, "SELECT 1", lock_timeout=0.3))
        other.communicate()
    assert rows_of(DuckDBSource(file, "SELECT 1 AS one")) == [{"one": 1}]


def test_the_command_line_knows_it(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "one.csv"
    command = [sys.executable, "-m", "tradewind.cli", "move"]
    ended = subprocess.run(
        [*command, f"--from=duckdb:///{file}", "--query=SELECT 1 AS one", f"--to={out}"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert out.read_text() == "one\n1\n"
    ended = subprocess.run(
        [
            *command,
            f"--from={out}",
            f"--to=duckdb:///{file}",
            "--set-to=table=ones",
            "--set-to=create=true",
            "--dry-run",
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "create the table ones" in ended.stdout


def test_airflow_knows_it(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a connection: operators, lineage, and the command line with ``connection:ID``."""
    from tradewind.airflow import Sql, Table, TransferOperator

    given = json.dumps({"conn_type": "duckdb", "host": str(file)})
    monkeypatch.setenv("AIRFLOW_CONN_DUCK", given)
    operator = TransferOperator(
        task_id="t", source=Sql("duck", "SELECT 1 AS n"), target=Table("duck", "ones", create=True)
    )
    move = operator.plan_move({})
    assert transfer(move.source, move.target, OWNER).rows == 1
    assert rows_of(DuckDBSource(file, "SELECT * FROM ones")) == [{"n": 1}]
    (written,) = move.lineage.outputs
    assert written.name.endswith("ones")
    assert str(file) in f"{written.namespace}/{written.name}"
    (read,) = Sql("duck", "SELECT * FROM ones").datasets()
    assert (read.namespace, read.name) == (written.namespace, written.name)

    out = tmp_path / "out.csv"
    command = [sys.executable, "-m", "tradewind.cli", "move", "--from=connection:duck"]
    ended = subprocess.run(
        [*command, "--query=SELECT * FROM ones", f"--to={out}"], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert out.read_text() == "n\n1\n"
