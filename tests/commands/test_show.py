"""Looking at data from the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SHOW = [sys.executable, "-m", "tradewind.cli", "show"]


def show(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SHOW, *arguments], capture_output=True, text=True)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text('id,name,born\n1,"a\tb",2001-02-03\n2,,1999-01-01\n3,c,1999-01-01\n')
    return path


def test_columns_types_and_rows(csv: Path) -> None:
    ended = show(str(csv), "--rows", "2")
    assert ended.returncode == 0, ended.stderr
    assert "born    date32" in ended.stdout
    assert "1   a\\tb" in ended.stdout
    assert "2   NULL" in ended.stdout
    assert "\n3 " not in ended.stdout


def test_as_json(csv: Path) -> None:
    ended = show(str(csv), "--json", "--rows=1")
    columns, row = map(json.loads, ended.stdout.splitlines())
    assert [column["name"] for column in columns["columns"]] == ["id", "name", "born"]
    assert row == {"id": 1, "name": "a\tb", "born": "2001-02-03"}


def test_a_query(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE orders AS SELECT 1 AS id, x'ff' AS code")
    ended = show(f"sqlite:///{path}", "--query", "SELECT * FROM orders")
    assert ended.returncode == 0, ended.stderr
    assert "ff" in ended.stdout


def test_who_has_seen_enough_ends_it_quietly(csv: Path) -> None:
    ended = subprocess.run(
        ["sh", "-c", '"$0" -m tradewind.cli show "$1" --json | head -1', sys.executable, str(csv)],
        capture_output=True,
        text=True,
    )
    assert ended.stdout.count("\n") == 1
    assert ended.stderr == ""


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    ended = show(str(tmp_path / "nothing.csv"))
    assert ended.returncode == 2
    assert "nothing.csv" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_times_that_python_has_not_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "times.parquet"
    times = pa.array([1_700_000_000_123_456_789]).cast(pa.timestamp("ns"))
    pq.write_table(pa.table({"v": times, "n": [5]}), path)
    ended = show(str(path))
    assert "2023-11-14 22:13:20.123456789  5" in ended.stdout, ended.stderr
