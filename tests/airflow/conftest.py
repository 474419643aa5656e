"""Airflow with real systems around it: one metadata database and one process a test process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Airflow writes a configuration on import; never into the home of who runs the tests.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tradewind-airflow-"))

import pytest

from airflow_runs import Runs, make_home, runs
from tradewind.local import Systems

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AIRFLOW_HOME with a metadata database."""
    home = tmp_path_factory.mktemp("airflow-home")
    make_home(home)
    return home


@pytest.fixture(scope="session")
def dag_runs(
    airflow_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    local_postgres: Systems,
    local_mongodb: Systems,
    local_s3: Systems,
) -> Iterator[Runs]:
    """Runs the DAGs of ``tests/airflow/dags`` with connections to PostgreSQL, MongoDB and S3."""
    environment = {
        name: value
        for systems in (local_postgres, local_mongodb, local_s3)
        for name, value in systems.environment.items()
        if name.startswith("AIRFLOW_CONN_")
    }
    environment["TRADEWIND_TEST_FOLDER"] = str(tmp_path_factory.mktemp("files"))
    with runs(airflow_home, DAGS, environment) as one:
        yield one
