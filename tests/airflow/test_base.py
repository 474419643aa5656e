"""The life cycle that all operators share, without a scheduler."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest
from airflow.sdk import Asset

from tradewind.airflow import Http, MongoCollection, Objects, Sql, Table, TransferOperator
from tradewind.airflow.base import ProgressLog
from tradewind.airflow.lineage import Dataset, Lineage, dataset_of_uri, openlineage_facets
from tradewind.airflow.owner import owner_of
from tradewind.airflow.receipts import receipt_text, receipt_xcom
from tradewind.errors import InputError, RetryError
from tradewind.move.batches import Batches
from tradewind.move.flow import CancelledError, Flow, Progress
from tradewind.move.receipt import Receipt, Stored, StoredObject
from tradewind.move.source import Source
from tradewind.move.target import Target
from tradewind.owner import Owner

pytestmark = pytest.mark.airflow


class Numbers(Source):
    def describe(self) -> str:
        return "numbers"

    def batches(self) -> Batches:
        batch = pa.record_batch({"a": [1, 2, 3]})
        return Batches(batch.schema, iter([batch, batch]))


class Sink(Target):
    """Keeps nothing; calls a function after so many batches."""

    def __init__(self, call: Any = None) -> None:
        self.call = call
        self.owners: list[Owner] = []

    def describe(self) -> str:
        return "sink"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        self.owners.append(owner)
        rows = 0
        for batch in flow.batches():
            rows += batch.num_rows
            if self.call:
                self.call()
        return Stored((StoredObject("file:///sink", 10, rows),), rows)


def operator(**arguments: Any) -> TransferOperator:
    given = {"task_id": "move", "source": Numbers(), "target": Sink(), **arguments}
    return TransferOperator(**given)


def run(task: TransferOperator) -> Any:
    return task.execute({})  # type: ignore[typeddict-item]


def test_the_receipt_is_the_xcom():
    told = run(operator())
    assert told["rows"] == 6
    assert told["stored"]["objects"] == [
        {"uri": "file:///sink", "bytes": 10, "rows": 6, "etag": None, "checksum": None}
    ]
    assert json.loads(json.dumps(told)) == told


def test_on_kill_stops_the_move_and_is_no_success():
    sink = Sink()
    task = operator(target=sink)
    sink.call = task.on_kill
    with pytest.raises(CancelledError):
        run(task)


def test_killed_when_all_is_published_is_no_success_either():
    class Last(Sink):
        def publish(self, flow: Flow, owner: Owner) -> Stored:
            stored = super().publish(flow, owner)
            task.on_kill()
            return stored

    task = operator(target=Last())
    with pytest.raises(RetryError, match="A retry publishes the same again"):
        run(task)


def test_killed_before_it_began():
    sink = Sink()
    task = operator(target=sink)
    task.on_kill()
    with pytest.raises(CancelledError):
        run(task)


def test_a_timeout_that_python_has_dropped_ends_the_move(monkeypatch: pytest.MonkeyPatch):
    """As where Airflow raises it in the callback of a weak reference: here it never does."""
    from airflow.sdk.exceptions import AirflowTaskTimeout

    monkeypatch.setattr("tradewind.airflow.timeouts._PATIENCE", 0.0)
    stopped = threading.Event()
    sink = Sink()
    task = operator(target=sink, execution_timeout=timedelta(milliseconds=1))

    def wait() -> None:
        assert task._stop is not None
        assert task._stop.wait(60)
        stopped.set()

    sink.call = wait
    with pytest.raises(AirflowTaskTimeout, match="longer than"):
        run(task)
    assert stopped.is_set()


def test_wrong_input_is_not_tried_again():
    from airflow.sdk.exceptions import AirflowFailException

    def wrong(batch: Any) -> Any:
        raise InputError("the data are wrong")

    with pytest.raises(AirflowFailException, match="the data are wrong"):
        run(operator(transform=wrong))


def test_tasks_can_be_copied_and_pickled():
    task = TransferOperator(
        task_id="move", source=Sql("db", "SELECT 1"), target=Objects("s3://b/k.csv")
    )
    task.on_kill()
    for copied in (copy.deepcopy(task), copy.copy(task), pickle.loads(pickle.dumps(task))):
        assert copied.source == task.source
    used = operator()
    run(used)
    assert copy.deepcopy(used).task_id == "move"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"source": Table("db", "t")}, "Table is no source. Read from"),
        ({"target": Sql("db", "SELECT 1")}, "Sql is no target. Publish to"),
        ({"target": MongoCollection("db", "c")}, "MongoCollection is no target"),
        ({"target": Http("api")}, "Http is no target"),
        ({"source": "postgres"}, "source='postgres' is no source. Give Sql"),
        ({"target": 3}, "target=3 is no target. Give Objects or Table"),
    ],
)
def test_sides_that_cannot_be(arguments: dict[str, Any], says: str):
    with pytest.raises(InputError, match=says):
        operator(**arguments)


def test_rendered_fields_show_what_was_given_and_no_more():
    assert Sql("db", "SELECT 1", parameters=[1]).serialize() == {
        "kind": "Sql",
        "conn_id": "db",
        "query": "SELECT 1",
        "parameters": [1],
    }
    assert Objects("s3://b/k").serialize() == {"kind": "Objects", "uri": "s3://b/k"}


def task_instance(**changes: Any) -> SimpleNamespace:
    given = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "max_tries": 2}
    return SimpleNamespace(**{**given, "task": SimpleNamespace(retries=2), **changes})


def test_the_owner_is_the_task_run():
    assert owner_of({"ti": task_instance()}) == Owner("d", "r", "t")
    assert owner_of({"ti": task_instance(map_index=3)}) == Owner("d", "r", "t", map_index=3)
    # Airflow raises max_tries when a person clears a task: by the tries that were made.
    assert owner_of({"ti": task_instance(max_tries=5)}) == Owner("d", "r", "t", clears=3)
    assert owner_of({}) == Owner("no dag", "no run", "no task")


def test_progress_is_told_every_ten_seconds():
    now = [100.0]
    lines: list[str] = []
    log = ProgressLog(lambda text, *more: lines.append(text % more), clock=lambda: now[0])
    for second in range(1, 26):
        now[0] = 100.0 + second
        log(Progress(second * 1000, second * 2_000_000, float(second)))
    assert lines == [
        "10,000 rows, 20.0 MB, 2.0 MB/s, 10 s",
        "20,000 rows, 40.0 MB, 2.0 MB/s, 20 s",
    ]


def receipt(objects: int, **changes: Any) -> Receipt:
    stored = Stored(
        tuple(StoredObject(f"s3://b/p/part-{n}", 10, 5) for n in range(objects)),
        manifest="s3://b/p/_manifest.json" if objects > 1 else None,
    )
    rows, size = 5 * objects, 10 * objects
    made = Receipt("a source", "a target", "d/r/t", rows, size, 1.5, 90_000_000, stored)
    return replace(made, **changes)


def test_a_receipt_of_many_objects_is_bounded():
    told = receipt_xcom(receipt(10_000))
    assert len(told["stored"]["objects"]) == 20
    assert told["stored"]["object_count"] == 10_000
    assert told["stored"]["manifest"] == "s3://b/p/_manifest.json"
    assert len(json.dumps(told)) < 5_000


def test_the_last_line_of_the_log():
    assert receipt_text(receipt(1)) == (
        "Moved 5 rows, 10 bytes in 1.5 s (peak memory 90.0 MB): s3://b/p/part-0"
    )
    assert receipt_text(receipt(3, rows=None)).endswith("s3://b/p/_manifest.json (3 objects)")


def test_names_of_data():
    assert dataset_of_uri("s3://b/a/k?#.csv") == ("s3://b", "a/k?#.csv")
    assert dataset_of_uri("file:///tmp/x.csv") == ("file", "/tmp/x.csv")


@pytest.mark.parametrize("scheme", ["s3://bucket", "gs://bucket", "file://"])
def test_an_asset_is_the_whole_name(scheme: str):
    names = ["a b.csv", "a#b.csv", "a?b=c.csv", "a%20b.csv", "d[1]/caf\u00e9.csv"]
    uris = [Asset(uri=dataset_of_uri(f"{scheme}/d/{name}").uri, name="x").uri for name in names]
    assert [unquote(uri) for uri in uris] == [unquote(f"{scheme}/d/{name}") for name in names]


def test_openlineage_is_told_rows_and_bytes():
    read = Dataset("postgres://h:5432", "shop.public.t")
    moved = Lineage((read,), query="SELECT 1")
    lineage = openlineage_facets(moved, receipt(3))
    (given,), (written,) = lineage.inputs, lineage.outputs
    assert (given.namespace, given.name) == read
    assert given.inputFacets["inputStatistics"].rowCount == 15
    assert (written.namespace, written.name) == ("s3://b", "p")
    facet = written.outputFacets["outputStatistics"]
    assert (facet.rowCount, facet.size, facet.fileCount) == (15, 30, 3)
    assert lineage.job_facets["sql"].query == "SELECT 1"
    assert openlineage_facets(moved, None).outputs == []
