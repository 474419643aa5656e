"""Texts that end like template files: only the query, or the command, is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

import tradewind.airflow as ours
from tradewind.airflow import Objects, Sql, Table

MOVES = {
    "transfer": (
        "TransferOperator",
        {
            "source": Sql("db", "load.sql", parameters={"n": "dump.sql", "m": ["load.sql"]}),
            "target": Objects("s3://b/{{ ds }}/load.sql"),
        },
    ),
    "table": (
        "TransferOperator",
        {
            "source": Objects("s3://b/load.sql"),
            "target": Table("db", "t", mode="replace", slice={"src": "load.sql"}),
        },
    ),
    "sql": (
        "SqlToS3Operator",
        {
            "query": "load.sql",
            "s3_bucket": "b",
            "s3_key": "load.sql",
            "sql_conn_id": "db",
            "parameters": {"n": "load.sql"},
        },
    ),
    "ssh": (
        "SSHOperator",
        {
            "ssh_conn_id": "s",
            "command": "run.sh",
            "environment": {"A": "run.sh", "B": "x.sh"},
        },
    ),
    "docker": ("DockerOperator", {"image": "i", "command": "run.sh", "environment": {"A": "x.sh"}}),
}


def rendered(folder: Path, name: str) -> Any:
    (folder / "load.sql").write_text("SELECT {{ ds }}")
    (folder / "run.sh").write_text("echo {{ ds }}")
    kind, arguments = MOVES[name]
    with DAG("d", template_searchpath=str(folder), schedule=None) as dag:
        task = getattr(ours, kind)(task_id="t", **arguments)
    dag.resolve_template_files()
    task.render_template_fields({"ds": "2026-01-31"})
    return task


def test_a_transfer(tmp_path: Path) -> None:
    task = rendered(tmp_path, "transfer")
    assert task.source.query == "SELECT 2026-01-31"
    assert task.source.parameters == {"n": "dump.sql", "m": ["load.sql"]}
    assert task.target.uri == "s3://b/2026-01-31/load.sql"
    task = rendered(tmp_path, "table")
    assert (task.source.uri, task.target.slice) == ("s3://b/load.sql", {"src": "load.sql"})


def test_an_operator_with_the_official_name(tmp_path: Path) -> None:
    task = rendered(tmp_path, "sql")
    assert (task.query, task.s3_key) == ("SELECT 2026-01-31", "load.sql")
    assert task.parameters == {"n": "load.sql"}


@pytest.mark.parametrize("name", ["ssh", "docker"])
def test_work(tmp_path: Path, name: str) -> None:
    task = rendered(tmp_path, name)
    assert task.command == "echo 2026-01-31"
    assert set(task.environment.values()) <= {"run.sh", "x.sh"}
