"""`tradewind doctor` finds the connections that people have made in Airflow's user interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow_runs import airflow_environment

_ADD = """
from airflow.models.connection import Connection
from airflow.utils.session import create_session
with create_session() as session:
    made = Connection(conn_id="doctors_own", conn_type="sqlite", host={path!r})
    made.set_password("hush-hush")
    session.add(made)
"""


def test_connections_of_the_metadata_database(airflow_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.touch()
    environment = airflow_environment(airflow_home, tmp_path, {})
    subprocess.run([sys.executable, "-c", _ADD.format(path=str(path))], env=environment, check=True)
    ended = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", "doctor", "--all-connections", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    checks = json.loads(ended.stdout)["checks"]
    found = [one for one in checks if one["about"] == "connection doctors_own: SQLite"]
    assert [(one["what"], one["status"]) for one in found] == [("query", "ok")], ended.stderr
    [kept] = [one for one in checks if one["what"] == "metadata database"]
    assert kept["status"] == "ok"
    assert "hush-hush" not in ended.stdout + ended.stderr
