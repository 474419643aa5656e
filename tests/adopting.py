"""Running ``tradewind adopt`` on files that a test writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tradewind.cli import main

AMAZON = "airflow.providers.amazon.aws"
SQL = f"from {AMAZON}.transfers.sql_to_s3 import SqlToS3Operator"
OURS = "from tradewind.airflow import SqlToS3Operator"
CALL = 'SqlToS3Operator(task_id="t", query="q", s3_bucket="b", s3_key="k", sql_conn_id="c"{})'


TYPED = "def f(o: SqlToS3Operator) -> 'SqlToS3Operator': ...\n"


class Adopt:
    """Runs the command on a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def write(self, text: str | bytes, name: str = "dag.py") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def run(self, *options: str) -> tuple[int, str]:
        status = main(["adopt", str(self.folder), *options])
        return status, self.capsys.readouterr().out

    def told(self, *options: str) -> tuple[int, dict[str, Any]]:
        status, out = self.run("--json", *options)
        return status, json.loads(out)

    def switch(self, text: str) -> tuple[str, list[str]]:
        """Switch a file; hand back what it is then, and why things were left alone."""
        path = self.write(text)
        _, told = self.told("--write")
        reasons = [one["reason"] for file in told["files"] for one in file["left"]]
        return path.read_bytes().decode(), reasons
