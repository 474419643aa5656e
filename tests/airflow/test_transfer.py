"""`TransferOperator` in Airflow itself, between real systems."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_runs import Runs

# One process: the last test looks at what all have logged.
pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow-transfer")]


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    return told


@pytest.fixture(scope="module")
def bucket(s3_client: Any, mongo: Any) -> Any:
    s3_client.create_bucket(Bucket="airflow-transfer")
    mongo.airflow_words.insert_many([{"_id": n, "day": f"2026-01-0{n}"} for n in range(1, 4)])

    def read(key: str) -> bytes:
        return bytes(s3_client.get_object(Bucket="airflow-transfer", Key=key)["Body"].read())

    return read


def test_a_query_into_a_table(dag_runs: Runs, postgres: Any):
    told = succeeded(dag_runs.run("to_table"))
    assert postgres("SELECT * FROM airflow_words") == [(7, date(2026, 1, 1), "20260101")]
    receipt = told["xcoms"]["move"]
    assert receipt["rows"] == receipt["stored"]["rows"] == 1
    assert receipt["owner"].startswith("to_table/manual__")
    assert told["rendered"]["move"] == {
        "source": {
            "kind": "Sql",
            "conn_id": "postgres_default",
            "query": "SELECT %(id)s::int AS id, '2026-01-01'::date AS day, %(word)s AS word",
            "parameters": {"id": 7, "word": "20260101"},
        },
        "target": {
            "kind": "Table",
            "conn_id": "postgres_default",
            "table": "airflow_words",
            "create": True,
        },
    }
    (metadata,) = told["events"].values()
    assert metadata["rows"] == 1
    assert metadata["bytes"] == receipt["bytes"]
    assert metadata["uri"].endswith("airflow_words")


def test_a_query_in_a_file(dag_runs: Runs, postgres: Any):
    succeeded(dag_runs.run("from_file"))
    assert postgres("SELECT * FROM airflow_file") == [("from_file", date(2026, 1, 1))]


def test_a_retry_after_a_failure(dag_runs: Runs, postgres: Any):
    told = succeeded(dag_runs.run("fails_once"))
    assert told["tries"]["move"] == 2
    assert "the first attempt fails" in told["log"]
    assert postgres("SELECT * FROM airflow_once") == [(1,)]


def test_a_task_that_is_killed_does_not_succeed(dag_runs: Runs, postgres: Any):
    told = succeeded(dag_runs.run("killed"))
    assert told["tries"]["move"] == 2
    assert "was asked to stop" in told["log"]
    assert postgres("SELECT * FROM airflow_killed") == [(1,)]


def test_a_clear_is_a_new_life(dag_runs: Runs, postgres: Any):
    told = succeeded(dag_runs.run("life", clear=True))
    lives = [row[0] for row in postgres("SELECT life FROM airflow_lives ORDER BY 1")]
    assert lives == ["1", "2"], "each life appends its row once"
    assert told["xcoms"]["move"]["owner"].partition("@")[0].endswith("move#1")


def test_a_wrong_query_is_tried_once(dag_runs: Runs):
    told = dag_runs.run("wrong_query")
    assert told["state"] == "failed"
    assert told["tries"]["move"] == 1
    assert "Correct the query" in told["log"]


def test_what_a_person_can_set_up_is_tried_again(dag_runs: Runs):
    told = dag_runs.run("no_connection")
    assert told["state"] == "failed"
    assert told["tries"]["move"] == 2
    assert "Airflow has no connection 'not_there'" in told["log"]


def test_outputs_of_other_tasks_within_descriptions(dag_runs: Runs, postgres: Any):
    succeeded(dag_runs.run("xcoms"))
    assert postgres("SELECT * FROM airflow_named") == [(1,)]


def test_mapped_tasks_render_each_their_own(dag_runs: Runs, postgres: Any):
    succeeded(dag_runs.run("mapped"))
    for number in "01":
        assert postgres(f"SELECT number FROM airflow_mapped_{number}") == [(number,)]


def test_objects(dag_runs: Runs, bucket: Any, connections: dict[str, str]):
    told = succeeded(dag_runs.run("to_objects"))
    assert bucket("2026-01-01/rows.csv") == b'id,name,day\n1,a,2026-01-01\n2,,""\n'
    assert json.loads(gzip.decompress(bucket("2026-01-01/words.jsonl.gz"))) == {
        "_id": 1,
        "day": "2026-01-01",
    }
    table = pq.read_table(f"{connections['TRADEWIND_TEST_FOLDER']}/rows.parquet")
    assert table.to_pydict()["name"] == ["a", None]
    (metadata,) = told["events"].values()
    assert (metadata["rows"], metadata["uri"]) == (2, "s3://airflow-transfer/2026-01-01/rows.csv")
    parts = told["xcoms"]["parts"]["stored"]
    assert len(parts["objects"]) == 20
    assert parts["object_count"] == 50
    manifest = json.loads(bucket(parts["manifest"].removeprefix("s3://airflow-transfer/")))
    assert len(manifest["objects"]) == 50


def test_replace_false_refuses_what_another_run_made(dag_runs: Runs, bucket: Any):
    succeeded(dag_runs.run("refuses"))
    told = dag_runs.run("refuses", "2026-01-02")
    assert told["state"] == "failed"
    assert "refuses.csv" in told["log"]
    assert bucket("refuses.csv") == b"id\n1\n"


@pytest.mark.usefixtures("bucket")
def test_no_secret_is_told(dag_runs: Runs, connections: dict[str, str]):
    """After all the others: what tasks have logged, handed on and shown."""
    told = succeeded(dag_runs.run("to_objects", "2026-01-03"))
    secrets = [
        json.loads(text)["password"]
        for name, text in connections.items()
        if name.startswith("AIRFLOW_CONN_") and "password" in json.loads(text)
    ]
    assert len(secrets) >= 3
    for secret in secrets:
        assert secret not in dag_runs.log
        assert secret not in json.dumps(told)
