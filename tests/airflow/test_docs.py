"""The examples of docs/airflow-operators.md are run."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tradewind.airflow
from airflow_runs import Runs, runs

pytestmark = pytest.mark.airflow

PAGE = Path(__file__).parents[2] / "docs" / "airflow-operators.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def docs_runs(
    airflow_home: Path, connections: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    dags = tmp_path_factory.mktemp("docs-dags")
    for number, block in enumerate(blocks()):
        (dags / f"example_{number}.py").write_text(block)
    with runs(airflow_home, dags, connections) as one:
        yield one


@pytest.fixture(scope="module")
def bucket(s3_client: Any, mongo: Any, postgres: Any) -> Any:
    s3_client.create_bucket(Bucket="docs")
    rows = b"1,Bramble\n2,Daiquiri\n"
    head = b"cocktail_id,cocktail_name\n"
    s3_client.put_object(Bucket="docs", Key="cocktails.csv", Body=head + rows)
    s3_client.put_object(Bucket="docs", Key="cocktails_without_header.csv", Body=rows)
    mongo.orders.insert_many([{"_id": 1, "status": "OK"}, {"_id": 2, "status": "KO"}])
    postgres(
        """
        CREATE TABLE fruits (fruit text, color text, picked date);
        INSERT INTO fruits VALUES ('apple', 'red', '2026-01-01'),
          ('banana', 'yellow', '2026-01-01'), ('plum', 'blue', '2026-01-02');
        CREATE TABLE docs_cocktails (cocktail_id int, cocktail_name text);
        """
    )

    def read(key: str) -> bytes:
        return bytes(s3_client.get_object(Bucket="docs", Key=key)["Body"].read())

    return read


def succeeded(told: dict[str, Any]) -> dict[str, Any]:
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    return told


def test_transfer(docs_runs: Runs, bucket: Any, postgres: Any):
    told = succeeded(docs_runs.run("docs_transfer"))
    table = pq.read_table(io.BytesIO(bucket("fruits/2026-01-01.parquet")))
    assert table.column("fruit").to_pylist() == ["apple", "banana"]
    assert postgres("SELECT fruit FROM fruits_copy ORDER BY 1") == [("apple",), ("banana",)]
    assert told["xcoms"]["to_parts"]["stored"]["object_count"] == 3
    # Again, as by a person: the slice is replaced, not doubled.
    succeeded(docs_runs.run("docs_transfer"))
    assert postgres("SELECT count(*) FROM fruits_copy") == [(2,)]


def test_sql_to_s3(docs_runs: Runs, bucket: Any):
    succeeded(docs_runs.run("docs_sql_to_s3"))
    assert bucket("sql/fruits.csv").count(b"\n") == 4
    assert bucket("sql/grouped_red.csv") == b"fruit,color,picked\napple,red,2026-01-01\n"


def test_mongo_to_s3(docs_runs: Runs, bucket: Any):
    succeeded(docs_runs.run("docs_mongo_to_s3"))
    assert json.loads(bucket("mongo/orders.json")) == {"_id": 1, "status": "OK"}
    shouted = gzip.decompress(bucket("mongo/shouted.json.gz"))
    assert json.loads(shouted) == {"_id": 1, "status": "OK!"}


def test_http_to_s3(docs_runs: Runs, bucket: Any):
    succeeded(docs_runs.run("docs_http_to_s3"))
    assert bucket("http/file.txt").startswith(b"It is all text")
    records = [json.loads(line) for line in bucket("http/items.jsonl").splitlines()]
    assert [each["id"] for each in records] == [10, 11, 20, 21, 30, 31]


def test_s3_to_sql(docs_runs: Runs, bucket: Any, postgres: Any):
    succeeded(docs_runs.run("docs_s3_to_sql"))
    rows = postgres("SELECT * FROM docs_cocktails ORDER BY 1")
    assert rows == [(1, "Bramble"), (1, "Bramble"), (2, "Daiquiri"), (2, "Daiquiri")]


def test_s3_copy(docs_runs: Runs, bucket: Any):
    succeeded(docs_runs.run("docs_s3_copy"))
    assert bucket("copied/cocktails.csv") == bucket("cocktails.csv")


def test_every_example_is_run():
    dags = {dag for block in blocks() for dag in re.findall(r'DAG\("(\w+)"', block)}
    tests = Path(__file__).read_text()
    assert dags
    assert all(f'run("{dag}"' in tests for dag in dags)


def test_every_operator_and_description_is_documented():
    text = "".join(page.read_text() for page in PAGE.parent.glob("airflow-*.md"))
    assert all(f"`{name}" in text or f"## {name}" in text for name in tradewind.airflow.__all__)


def test_every_template_field_is_an_argument():
    import inspect

    for name in tradewind.airflow.__all__:
        kind = getattr(tradewind.airflow, name)
        if not isinstance(kind, type):
            continue  # spread_transfer makes a task group
        known: set[str] = set()
        for parent in kind.__mro__:
            if "__init__" in vars(parent):
                known |= set(inspect.signature(parent.__init__).parameters)
        # "spark_params" of the official LivyOperator is an attribute made of its arguments.
        assert set(kind.template_fields) <= known | {"spark_params"}, name
