"""Buttons of tasks, metrics, retry policy and object paths, without a scheduler."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tradewind.airflow import Objects, TransferOperator, retry_policy
from tradewind.airflow.links import JobLink, PublishedLink, link_job
from tradewind.airflow.operators.spread import SpreadMoveOperator
from tradewind.errors import InputError, MissingExtraError, RetryError, SetupError
from tradewind.move.batches import Batches
from tradewind.move.flow import Flow
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.owner import Owner
from tradewind.run.backend import UnreachableError, WorkFailedError
from tradewind.systems.bigquery.backend import BigQueryBackend
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.console import console_page
from tradewind.systems.s3.store import S3Store

pytestmark = pytest.mark.airflow


class Numbers(Source):
    def describe(self) -> str:
        return "numbers"

    def batches(self) -> Batches:
        batch = pa.record_batch({"a": [1, 2, 3]})
        return Batches(batch.schema, iter([batch]))


class Paged(Target):
    """Has a page of what was published, or fails to tell it."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def describe(self) -> str:
        return "paged"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        rows = sum(batch.num_rows for batch in flow.batches())
        return Stored((StoredObject("s3://b/k", 10, rows),), rows)

    def page(self, stored: Stored) -> str | None:
        if isinstance(self._page, Exception):
            raise self._page
        return str(self._page)


@pytest.mark.parametrize(
    ("page", "link"), [("https://console/k", "https://console/k"), (OSError("nobody"), "")]
)
def test_the_button_of_a_move(page: Any, link: str):
    task = TransferOperator(task_id="move", source=Numbers(), target=Paged(page))
    assert task.execute({})["rows"] == 3  # type: ignore[typeddict-item]
    (button,) = task.operator_extra_links
    assert isinstance(button, PublishedLink)
    assert button.get_link(task, ti_key=None) == link


def aws(region: str, endpoint: str | None = None) -> dict[str, Any]:
    return {"region_name": region, "endpoint_url": endpoint, "aws_access_key_id": "a"} | {
        "aws_secret_access_key": "b"
    }


def test_pages_of_objects():
    store = S3Store("lake", client_options=aws("eu-west-1"))
    assert store.page("a b/ü?.csv") == (
        "https://console.aws.amazon.com/s3/object/lake"
        "?prefix=a%20b%2F%C3%BC%3F.csv&region=eu-west-1"
    )
    parts = ObjectTarget(store, "day/", format="csv", parts=Parts(rows=1))
    one = StoredObject("s3://lake/day/part.csv")
    stored = Stored((one,), manifest="s3://lake/day/_manifest.json")
    assert "prefix=day%2F_manifest.json" in (parts.page(stored) or "")
    assert parts.page(Stored(())) is None
    china = S3Store("lake", client_options=aws("cn-north-1"))
    assert (china.page("k") or "").startswith("https://console.amazonaws.cn/s3/object/lake")
    here = S3Store("lake", client_options=aws("eu-west-1", "http://127.0.0.1:9000"))
    assert here.page("k") is None
    assert GCSStore("lake", credentials=object()).page("a b/k") == (
        "https://console.cloud.google.com/storage/browser/_details/lake/a%20b/k"
    )
    assert GCSStore("lake", endpoint="http://127.0.0.1:1").page("k") is None


def test_pages_of_the_console():
    meta = SimpleNamespace(
        partition="aws",
        region_name="us-east-1",
        endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com",
    )
    assert console_page(meta, "sagemaker/home#/jobs/tradewind-1") == (
        "https://console.aws.amazon.com/sagemaker/home?region=us-east-1#/jobs/tradewind-1"
    )
    meta.endpoint_url = "https://amazonaws.com.example.org"
    assert console_page(meta, "s3") is None


class Pushed:
    def __init__(self) -> None:
        self.xcoms: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.xcoms[key] = value


@pytest.mark.parametrize(
    ("page", "link"), [("http://rm/cluster/app/1", "http://rm/cluster/app/1"), (None, None)]
)
def test_the_button_of_a_job_is_there_while_it_runs(page: str | None, link: str | None):
    def asked(name: str) -> str:
        if page is None:
            raise RetryError("nobody answers")
        return page

    ti, backend = Pushed(), SimpleNamespace(page=asked)
    task = SimpleNamespace(operator_extra_links=(JobLink(),), job_page=None)
    link_job(task, {"ti": ti}, backend, "job")  # type: ignore[arg-type, typeddict-item]
    assert ti.xcoms.get("_link_JobLink") == link
    assert JobLink().get_link(task, ti_key=None) == (link or "")  # type: ignore[arg-type]


class SharedNumbers(Numbers):
    def share(self, told: Any) -> Any:
        return self


class SharedPaged(Paged):
    def share(self, owner: Any, number: int, columns: Any = ()) -> Any:
        return self


def test_metrics(monkeypatch: pytest.MonkeyPatch):
    """Airflow's own functions take them: what stands behind those, is Airflow's."""
    from airflow.sdk.observability.stats import Stats

    sent: list[tuple[str, Any, dict[str, str]]] = []
    for kind in ("incr", "timing"):
        monkeypatch.setattr(
            Stats, kind, staticmethod(lambda name, value, tags: sent.append((name, value, tags)))
        )
    task = TransferOperator(task_id="move", source=Numbers(), target=Paged(""))
    task.execute({})  # type: ignore[typeddict-item]
    told = {name: value for name, value, _ in sent}
    assert told["tradewind.move.rows"] == 3
    assert told["tradewind.move.bytes"] == 10
    assert told["tradewind.move.seconds"].total_seconds() >= 0
    assert sent[0][2] == {"operator": "TransferOperator", "source": "unknown", "target": "s3"}
    sent.clear()
    part = {"owner": {"dag": "d", "run": "r", "task": "plan"}, "number": 0, "of": 1}
    SpreadMoveOperator(
        task_id="part",
        source=SharedNumbers(),
        target=SharedPaged(""),
        part={**part, "columns": [], "source": {}},
    ).execute({})  # type: ignore[typeddict-item]
    assert sent == [], "the task that publishes counts all parts"


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (RetryError("later"), "retry"),
        (UnreachableError("nobody"), "retry"),
        (InputError("wrong"), "fail"),
        (SetupError("wrong password"), "fail"),
        (MissingExtraError("boto3", extra="s3", purpose="S3"), "fail"),
        (WorkFailedError("it failed"), "default"),
        (ValueError("x"), "default"),
    ],
)
def test_the_retry_policy(error: Exception, action: str):
    decided = retry_policy().evaluate(error, 1, 3)
    assert decided.action.value == action
    if isinstance(error, SetupError) and not isinstance(error, UnreachableError):
        assert retry_policy(fail_on_setup=False).evaluate(error, 1, 3).action.value == "default"


@pytest.mark.parametrize(
    ("path", "uri", "conn_id"),
    [
        ("s3://aws_other@lake/a b/day.csv", "s3://lake/a b/day.csv", "aws_other"),
        ("gs://lake/day.parquet", "gs://lake/day.parquet", None),
        ("file:///tmp/day.csv", "file:///tmp/day.csv", None),
    ],
)
def test_an_object_path_is_a_source_and_a_target(path: str, uri: str, conn_id: str | None):
    from airflow.sdk import ObjectStoragePath

    task = TransferOperator(
        task_id="move",
        source=Objects(ObjectStoragePath(path), format="csv"),  # type: ignore[arg-type]
        target=ObjectStoragePath(path),  # type: ignore[arg-type]
    )
    assert task.source == Objects(uri, conn_id, format="csv")
    assert task.target == Objects(uri, conn_id)


def test_the_example_of_production_md():
    page = Path(__file__).parents[2] / "docs" / "production.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    from airflow.sdk import DAG

    with DAG("production", schedule=None) as dag:
        exec(compile(example, page.name, "exec"), {})
    (task,) = dag.tasks
    assert task.retry_policy is not None
    assert task.retry_policy.evaluate(RetryError("later"), 1, 5).retry_delay == timedelta(minutes=2)


def test_the_page_of_a_job_of_bigquery():
    client = SimpleNamespace(project="shop", close=lambda: None)
    connection = SimpleNamespace(endpoint=None, client=lambda: client)
    backend = BigQueryBackend(connection)  # type: ignore[arg-type]
    backend._places["tradewind-a-1"] = "EU"
    assert backend.page("tradewind-a-1") == (
        "https://console.cloud.google.com/bigquery?project=shop"
        "&j=bq%3AEU%3Atradewind-a-1&page=queryresults"
    )
