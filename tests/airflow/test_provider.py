"""Airflow finds this package as a provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradewind import __version__


@pytest.mark.airflow
def test_airflow_providers_list_shows_it(tmp_path: Path):
    done = subprocess.run(
        [Path(sys.executable).with_name("airflow"), "providers", "list", "--output", "json"],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = json.loads(done.stdout[done.stdout.index("[") :])
    (row,) = [row for row in listed if row["package_name"] == "tradewind"]
    assert row["version"] == __version__
    assert "SageMaker" in row["description"]
