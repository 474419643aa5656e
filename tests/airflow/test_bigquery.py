"""The operators of BigQuery in DAGs, waited for and deferred, and with workers that die."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from adopting import Adopt
from airflow_runs import Runs, runs
from airflow_supervised import Supervised
from emulators import Emulator
from killing import spread, spread_over_phases
from tradewind.local import Systems
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.sweep import leftovers

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("bigquery")]

pytest.importorskip("google.cloud.bigquery")

DAGS = Path(__file__).parent / "bigquery_dags"
PAGE = Path(__file__).parents[2] / "docs" / "bigquery.md"
PYTHONPATH = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
#: Imported once, before a child is forked for each attempt.
PRELOAD = (
    "tradewind.run.supervise",
    "tradewind.airflow.triggers",
    "tradewind.systems.bigquery.backend",
    "tradewind.systems.bigquery.export",
    "tradewind.systems.bigquery.load",
    "google.cloud.bigquery",
    "pyarrow.parquet",
)
STATES = "name,post_abbr\nAlabama,AL\nAlaska,AK\n"


class Warehouse:
    """The emulator, looked into by the official client, and the folder that it takes for GCS."""

    def __init__(self, systems: Systems) -> None:
        found = systems.environment
        self.client: Any = BigQueryConnection(
            found["GOOGLE_CLOUD_PROJECT"], endpoint=found["BIGQUERY_EMULATOR_HOST"]
        ).client()
        self.objects = systems["bigquery"].folder / "objects"
        self.environment = {
            name: text for name, text in found.items() if name.startswith("AIRFLOW_CONN_")
        }

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        job = self.client.query(sql, retry=None, job_retry=None)
        return [tuple(row) for row in job.result(retry=None, job_retry=None)]

    def dataset(self, name: str, *tables: str) -> None:
        self.client.create_dataset(name, retry=None)
        for table in tables:
            self.run(f"CREATE TABLE {name}.{table}")

    def put(self, key: str, text: str) -> None:
        path = self.objects / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def jobs(self, begin: str) -> list[Any]:
        listed = self.client.list_jobs(retry=None)
        names = [one.job_id for one in listed if one.job_id.startswith(begin)]
        return [self.client.get_job(name, retry=None) for name in names]


@pytest.fixture(scope="module")
def warehouse(local_bigquery: Systems) -> Iterator[Warehouse]:
    made = Warehouse(local_bigquery)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def bigquery_runs(
    airflow_home: Path,
    warehouse: Warehouse,
    fake_gcs: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    environment = {
        **warehouse.environment,
        "STORAGE_EMULATOR_HOST": fake_gcs.endpoint,
        "TRADEWIND_TEST_FOLDER": str(tmp_path_factory.mktemp("bigquery")),
        "PYTHONPATH": PYTHONPATH,
    }
    with runs(airflow_home, DAGS, environment) as one:
        yield one


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    return told


def test_the_official_examples(bigquery_runs: Runs, warehouse: Warehouse):
    columns = "(value INT64 NOT NULL, name STRING, ds DATE)"
    warehouse.dataset(
        "official", f"table1 {columns}", f"table2 {columns}", "test (emp_name STRING)"
    )
    told = succeeded(bigquery_runs.run("bigquery_queries"))
    assert warehouse.run("SELECT COUNT(*) FROM official.table1") == [(4,)]
    (job,) = warehouse.jobs(told["xcoms"]["insert_query_job"])
    labels = job.labels
    assert (labels["airflow-dag"], labels["airflow-task"]) == (
        "bigquery_queries",
        "insert_query_job",
    )
    succeeded(bigquery_runs.run("bigquery_to_gcs"))
    assert (warehouse.objects / "official-bucket/test.csv").read_text() == "emp_name\n"
    warehouse.put("cloud-samples-data/bigquery/us-states/us-states.csv", STATES)
    succeeded(bigquery_runs.run("gcs_to_bigquery_operator"))
    rows = warehouse.run("SELECT name, post_abbr FROM official.states ORDER BY name")
    assert rows == [("Alabama", "AL"), ("Alaska", "AK")]


def test_the_official_examples_are_switched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ours = (DAGS / "official_bigquery.py").read_text()
    google = "airflow.providers.google.cloud"
    before = re.sub(
        r"from tradewind.airflow import \([^)]*\)\n",
        f"from {google}.operators.bigquery import BigQueryInsertJobOperator\n"
        f"from {google}.transfers.bigquery_to_gcs import BigQueryToGCSOperator\n"
        f"from {google}.transfers.gcs_to_bigquery import GCSToBigQueryOperator\n",
        ours,
    )
    found, reasons = Adopt(tmp_path, capsys).switch(before)
    assert reasons == []
    assert "airflow.providers" not in found


def test_jobs_that_are_unlike_the_examples(
    bigquery_runs: Runs, warehouse: Warehouse, fake_gcs: Emulator
):
    warehouse.dataset("jobs")
    warehouse.put("jobs/a.csv", "id\n3\n11\n")
    warehouse.put("jobs/b.csv", "id\n7\n")
    put_object(fake_gcs, "jobs", "schema.json", [{"name": "id", "type": "INT64"}])
    told = bigquery_runs.run("bigquery_jobs")
    assert told["tasks"] == {
        "dry": "success",
        "file": "success",
        "wrong": "failed",
        "nothing": "failed",
        "largest": "success",
    }, told["log"][-6000:]
    # Neither is repeated: no retry mends it.
    assert (told["tries"]["wrong"], told["tries"]["nothing"]) == (1, 1)
    assert "Give one of query, load, extract, copy" in told["log"]
    assert told["xcoms"]["dry"]["statementType"] == "SELECT"
    assert told["xcoms"]["file"].startswith("from_file-")
    (job,) = warehouse.jobs("from_file-")
    assert job.labels["kind"] == "from-file"
    assert "DATE '2026-01-01'" in job.query
    assert str(told["xcoms"]["largest"]) == "11"  # read from the database as JSON, a number
    assert warehouse.run("SELECT COUNT(*) FROM jobs.loaded") == [(3,)]


def put_object(gcs: Emulator, bucket: str, key: str, value: Any) -> None:
    for address, body in (
        (f"{gcs.endpoint}/storage/v1/b?project=p", {"name": bucket}),
        (f"{gcs.endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={key}", value),
    ):
        asked = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=30).close()


def test_the_example_of_the_page(
    airflow_home: Path, warehouse: Warehouse, local_postgres: Systems, postgres: Any, tmp_path: Path
):
    postgres(
        """
        CREATE TABLE orders (day date, price numeric(8, 2));
        INSERT INTO orders VALUES ('2026-01-01', 2.50), ('2026-01-01', 3.25), ('2026-01-02', 1);
        """
    )
    # The emulator makes no table of Parquet.
    warehouse.dataset("shop", "days_again (day DATE, price NUMERIC)")
    (example,) = re.findall(r"```python\n(from datetime.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    environment = {
        **warehouse.environment,
        "AIRFLOW_CONN_POSTGRES_DEFAULT": local_postgres.environment[
            "AIRFLOW_CONN_POSTGRES_DEFAULT"
        ],
    }
    with runs(airflow_home, tmp_path, environment) as one:
        told = succeeded(one.run("docs_bigquery"))
    rows = warehouse.run("SELECT day, price FROM shop.days_again")
    assert rows == [(date(2026, 1, 1), Decimal("5.75"))]
    assert told["xcoms"]["fetch"]["rows"] == 2


# ------------------------------------------------------------------------------ workers that die


@pytest.fixture(scope="module")
def supervised(
    airflow_home: Path, warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Supervised]:
    import sqlite3

    folder = tmp_path_factory.mktemp("killed-bigquery")
    rows = sqlite3.connect(folder / "rows.db")
    rows.executescript("CREATE TABLE numbers (n INTEGER); INSERT INTO numbers VALUES (1), (2);")
    rows.close()
    warehouse.dataset(
        "killed",
        "queried (run STRING)",
        "exported (n INT64)",
        "loaded (run STRING, n INT64)",
        "moved (run STRING, n INT64)",
        "reread (run STRING, n INT64)",
    )
    warehouse.run("INSERT INTO killed.exported (n) VALUES (5)")
    sqlite = {"conn_type": "sqlite", "host": str(folder / "rows.db")}
    environment = {
        **warehouse.environment,
        "AIRFLOW_CONN_ROWS": json.dumps(sqlite),
        "TRADEWIND_TEST_FOLDER": str(folder),
        "PYTHONPATH": PYTHONPATH,
    }
    one = Supervised(airflow_home, DAGS, environment, preload=PRELOAD)
    yield one
    one.close()


Check = Callable[[Warehouse, str], None]
PHASES = ("submit", "run", "log", "collect")


def queried(warehouse: Warehouse, day: str) -> None:
    found = warehouse.run(f"SELECT COUNT(*) FROM killed.queried WHERE run LIKE '%{day}'")
    assert found == [(1,)]


def exported(warehouse: Warehouse, day: str) -> None:
    (file,) = (warehouse.objects / "killed").glob(f"*{day}/*")
    assert pq.read_table(file).to_pydict() == {"n": [5]}


def loaded(warehouse: Warehouse, day: str) -> None:
    found = warehouse.run(f"SELECT n FROM killed.loaded WHERE run = '{day}' ORDER BY n")
    assert found == [(1,), (2,)]


def moved(warehouse: Warehouse, day: str) -> None:
    found = warehouse.run(f"SELECT n FROM killed.moved WHERE run LIKE '%{day}' ORDER BY n")
    assert found == [(1,), (2,)]


def reread(warehouse: Warehouse, day: str) -> None:
    found = warehouse.run(f"SELECT n FROM killed.reread WHERE run LIKE '%{day}'")
    assert found == [(5,)]
    lake = warehouse.objects / "killed-lake"
    assert [file for file in lake.rglob("*") if file.is_file()] == []


KINDS: dict[str, Check] = {
    "killed_query_waiting": queried,
    "killed_query_deferred": queried,
    "killed_export": exported,
    "killed_load": loaded,
    "killed_move": moved,
    "killed_large_road": reread,
}
MOVES = ("killed_move", "killed_large_road")


def kill_everywhere(
    supervised: Supervised,
    warehouse: Warehouse,
    dag: str,
    *,
    count: int,
    year: int,
    phases: tuple[str, ...] = PHASES,
) -> None:
    """Let a worker die at points of the work; each run takes effect once, by one job."""

    def run(day: str, die_at: list[str]) -> dict[str, Any]:
        if dag == "killed_load":
            warehouse.put(f"killed/rows-{day}.csv", f"run,n\n{day},1\n{day},2\n")
        told = supervised.run(dag, date=day, die_at=die_at)
        assert told["state"] == "success", (die_at, told)
        KINDS[dag](warehouse, day)
        if dag not in MOVES:
            (job,) = told["xcom"]
            begin = job.rpartition("-")[0]
            assert [one.job_id for one in warehouse.jobs(begin)] == [job], die_at
        return told

    *claimed, first = run(f"{year}-01-01", [])["all_points"]
    points = [[one] for one in spread_over_phases(first, count) if one.startswith(phases)]
    if claimed:
        # Deferred: a worker claims, another one collects what the trigger has seen ending.
        begun, half = claimed[0]["submit"], count // 2
        points = [[f"submit:{1 + begun * n // half}"] for n in range(half)]
        points += [["", f"line:{1 + first['lines'] * n // half}"] for n in range(half)]
    elif not first["collect"]:
        points = [[f"line:{line}"] for line in spread(first["lines"], count)]
    killed = 0
    for number, point in enumerate(points):
        told = run(f"{year}-{2 + number // 28:02}-{1 + number % 28:02}", point)
        killed += -9 in told["exits"]
    assert killed > len(points) / 2
    left = [one for _, found in leftovers("tradewind/killed") for one in found]
    assert left == []


def test_killed_workers(
    supervised: Supervised, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    endpoint(monkeypatch, warehouse)
    both = ("submit", "collect")
    kill_everywhere(supervised, warehouse, "killed_query_waiting", count=2, year=2026, phases=both)
    kill_everywhere(supervised, warehouse, "killed_large_road", count=2, year=2026)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dag", KINDS)
def test_killed_at_30_points(
    supervised: Supervised, warehouse: Warehouse, dag: str, monkeypatch: pytest.MonkeyPatch
):
    endpoint(monkeypatch, warehouse)
    kill_everywhere(supervised, warehouse, dag, count=30, year=2027)


def endpoint(monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    """Let the sweep find the emulator, as a person's environment does."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", warehouse.client._connection.API_BASE_URL)
