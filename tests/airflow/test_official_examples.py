"""Every official example works after changing the import."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
import requests

from airflow_runs import Runs
from emulators import Emulator

pytestmark = pytest.mark.airflow

COCKTAILS = "1,Caipirinha,Cachaca\n2,Bramble,Gin\n3,Daiquiri,Rum\n"


@pytest.fixture(scope="module")
def bucket(s3_client: Any) -> Any:
    s3_client.create_bucket(Bucket="airflow-official")
    s3_client.put_object(
        Bucket="airflow-official", Key="s3_to_sql/cocktails.csv", Body=COCKTAILS.encode()
    )

    def read(key: str) -> bytes:
        return bytes(s3_client.get_object(Bucket="airflow-official", Key=key)["Body"].read())

    def keys(prefix: str) -> list[str]:
        found = s3_client.list_objects_v2(Bucket="airflow-official", Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    read.keys = keys  # type: ignore[attr-defined]
    return read


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    return told


@pytest.fixture(scope="module")
def fruits(postgres: Any) -> None:
    postgres(
        """
        CREATE TABLE official_fruits (fruit text, color text, weight numeric(6, 2));
        INSERT INTO official_fruits VALUES
          ('apple', 'red', 120.50), ('banana', 'yellow', NULL), ('cherry', 'red', 8.00),
          ('lemon', 'yellow', 90.00), ('plum', NULL, 30.25);
        """
    )


def test_sql_to_s3(dag_runs: Runs, fruits: None, bucket: Any):
    told = succeeded(dag_runs.run("example_sql_to_s3"))
    assert bucket("sql_to_s3/fruits.csv") == (
        b"fruit,color,weight\napple,red,120.50\nbanana,yellow,\ncherry,red,8.00\n"
        b"lemon,yellow,90.00\nplum,,30.25\n"
    )
    assert bucket.keys("sql_to_s3/grouped") == [
        "sql_to_s3/grouped_NULL.csv",
        "sql_to_s3/grouped_red.csv",
        "sql_to_s3/grouped_yellow.csv",
    ]
    assert bucket("sql_to_s3/grouped_red.csv") == (
        b"fruit,color,weight\napple,red,120.50\ncherry,red,8.00\n"
    )
    assert bucket.keys("sql_to_s3/cut") == [f"sql_to_s3/cut_{n}.csv" for n in range(3)]
    assert bucket("sql_to_s3/cut_2.csv") == b"fruit,color,weight\nplum,,30.25\n"
    table = pq.read_table(io.BytesIO(bucket("sql_to_s3/2026-01-01.parquet")))
    assert table.column("color").to_pylist() == ["red", "yellow", "red", "yellow", None]
    receipt = told["xcoms"]["sql_to_s3_with_groupby_task"]
    assert receipt["rows"] == 5
    assert [each["rows"] for each in receipt["stored"]["objects"]] == [2, 2, 1]


def test_files_of_an_earlier_run_that_are_no_more_are_removed(
    dag_runs: Runs, fruits: None, bucket: Any, postgres: Any, s3_client: Any
):
    key = "sql_to_s3/cut_notes.csv"
    s3_client.put_object(Bucket="airflow-official", Key=key, Body=b"somebody else's")
    succeeded(dag_runs.run("example_sql_to_s3", "2026-01-02"))
    postgres("DELETE FROM official_fruits WHERE color = 'yellow'")
    told = succeeded(dag_runs.run("example_sql_to_s3", "2026-01-03"))
    assert bucket.keys("sql_to_s3/cut") == [f"sql_to_s3/cut_{n}.csv" for n in range(2)] + [key]
    assert "sql_to_s3/grouped_yellow.csv" not in bucket.keys("sql_to_s3/")
    removed = told["xcoms"]["sql_to_s3_with_max_rows_task"]["stored"]["removed"]
    assert removed == ["s3://airflow-official/sql_to_s3/cut_2.csv"]
    assert not [name for name in bucket.keys("sql_to_s3/") if "tradewind" in name]


def test_mongo_to_s3(dag_runs: Runs, bucket: Any, mongo: Any):
    mongo.official_orders.insert_many(
        [
            {"_id": 1, "status": "OK", "n": 1.5},
            {"_id": 2, "status": "KO"},
            {"_id": 3, "status": "OK"},
        ]
    )
    succeeded(dag_runs.run("example_mongo_to_s3"))
    lines = bucket("mongo_to_s3/orders.json").decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_id": 1, "status": "OK", "n": 1.5},
        {"_id": 3, "status": "OK"},
    ]


def test_http_to_s3(dag_runs: Runs, bucket: Any):
    told = succeeded(dag_runs.run("example_http_to_s3"))
    assert bucket("http_to_s3/file.txt") == b"It is all text, \xc3\xa4 too.\n" * 1000
    assert told["xcoms"]["http_to_s3_task"]["bytes"] == 24_000


def test_s3_to_sql(dag_runs: Runs, bucket: Any, postgres: Any):
    postgres(
        "CREATE TABLE official_cocktails (cocktail_id int NOT NULL, "
        "cocktail_name text NOT NULL, base_spirit text NOT NULL)"
    )
    succeeded(dag_runs.run("example_s3_to_sql"))
    # Two tasks, each of which has appended its rows once.
    assert postgres("SELECT * FROM official_cocktails ORDER BY 1") == [
        row
        for row in [(1, "Caipirinha", "Cachaca"), (2, "Bramble", "Gin"), (3, "Daiquiri", "Rum")]
        for _ in range(2)
    ]


def test_s3_copy(dag_runs: Runs, bucket: Any):
    succeeded(dag_runs.run("example_s3"))
    assert bucket("copied/cocktails.csv").decode() == COCKTAILS


@pytest.fixture
def gcs_bucket(fake_gcs: Emulator) -> Any:
    made = requests.post(
        f"{fake_gcs.endpoint}/storage/v1/b", json={"name": "airflow-official"}, timeout=30
    )
    assert made.status_code in (200, 409)

    def read(key: str) -> bytes:
        where = f"{fake_gcs.endpoint}/storage/v1/b/airflow-official/o/{quote(key, safe='')}"
        found = requests.get(where, params={"alt": "media"}, timeout=30)
        found.raise_for_status()
        return found.content

    return read


def test_postgres_to_gcs(gcs_bucket: Any, dag_runs: Runs, fruits: None):
    succeeded(dag_runs.run("example_postgres_to_gcs"))
    lines = gcs_bucket("result.json").splitlines()
    assert lines[0] == b'{"fruit":"apple","color":"red","weight":120.50}'
    assert gcs_bucket("result_cursor.json").splitlines() == lines


@pytest.mark.usefixtures("local_mariadb")
def test_mysql_to_gcs(gcs_bucket: Any, dag_runs: Runs):
    succeeded(dag_runs.run("example_mysql_to_gcs"))
    assert gcs_bucket("mysql/0.csv") == b'id,name\n1,"a,b"\n2,\n'
