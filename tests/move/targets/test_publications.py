"""Publications of several objects: what a new one does to the others, and to who reads."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.dataset
import pytest

from tradewind.errors import InputError, RetryError, SourceChangedError
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.receipt import Receipt
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3.store import S3Store

BY_DAY = Parts(by=("day",))
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def bucket(local_s3: Systems) -> S3Store:
    environment = local_s3.environment
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    store = S3Store(
        f"test-{uuid.uuid4().hex}",
        session=session,
        client_options={"endpoint_url": local_s3["s3"].endpoint},
        part_bytes=5 << 20,
    )
    store.client.create_bucket(
        Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return store


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return FileStore(tmp_path / "objects")
    found: S3Store = request.getfixturevalue("bucket")
    return found


def keys(store: Store) -> list[str]:
    return [info.key for info in store.list()]


def table(store: Store, key: str) -> pa.Table:
    with ObjectSource(store, key).batches() as batches:
        return pa.Table.from_batches(list(batches), schema=batches.schema)


@pytest.fixture
def prefix() -> str:
    return f"p-{uuid.uuid4().hex[:8]}"


class Table(Source):
    """A table; it may call something before each batch."""

    def __init__(self, before: Callable[[], None] = lambda: None, **columns: Any) -> None:
        self.table = pa.table(columns)
        self.before = before

    def describe(self) -> str:
        return "a table"

    def batches(self) -> Batches:
        def generate() -> Iterator[pa.RecordBatch]:
            for batch in self.table.to_batches():
                self.before()
                yield batch

        return Batches(self.table.schema, generate())


def day_run(day: str, generation: str = "a", task: str = "export") -> Owner:
    return Owner("dag", day, task, deployment="here", generation=generation)


def publish(
    store: Store, prefix: str, owner: Owner, parts: Parts = BY_DAY, **columns: Any
) -> Receipt:
    target = ObjectTarget(store, prefix, format="csv", parts=parts)
    return transfer(Table(**columns), target, owner)


def read(store: Store, prefix: str) -> list[tuple[Any, ...]]:
    found = table(store, f"{prefix}/")
    return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True))


def test_a_day_replaces_itself_and_leaves_the_others(store: Store, prefix: str) -> None:
    publish(store, prefix, day_run("1"), day=["1", "1"], n=[1, 2])
    receipt = publish(store, prefix, day_run("2"), day=["2"], n=[3])
    assert (receipt.rows, receipt.stored.kept, receipt.stored.removed) == (1, 1, ())
    assert read(store, prefix) == [("1", 1), ("1", 2), ("2", 3)]
    again = publish(store, prefix, day_run("1", "b"), day=["1"], n=[9])
    assert (again.stored.kept, len(again.stored.removed)) == (1, 1)
    assert read(store, prefix) == [("1", 9), ("2", 3)]
    named = json.loads(b"".join(store.read(f"{prefix}/_manifest.json")))["objects"]
    assert len([key for key in keys(store) if key.startswith(prefix)]) == len(named) + 1


def test_a_rerun_replaces_all_that_the_run_has_written(store: Store, prefix: str) -> None:
    publish(store, prefix, day_run("1"), day=["1", "x"], n=[1, 2])
    publish(store, prefix, day_run("2"), day=["2"], n=[3])
    publish(store, prefix, day_run("1", "b"), day=["1"], n=[1])
    assert read(store, prefix) == [("1", 1), ("2", 3)], "x is of the former run of this date"


def test_all_is_replaced_where_that_is_asked_for(store: Store, prefix: str) -> None:
    whole = Parts(by=("day",), overwrite="all")
    publish(store, prefix, day_run("1"), day=["1"], n=[1])
    receipt = publish(store, prefix, day_run("2"), whole, day=["2"], n=[3])
    assert (receipt.stored.kept, len(receipt.stored.removed)) == (0, 1)
    assert read(store, prefix) == [("2", 3)]


def test_a_day_without_rows_takes_nothing_of_others_away(store: Store, prefix: str) -> None:
    nothing = {"day": pa.array([], pa.string()), "n": pa.array([], pa.int64())}
    publish(store, prefix, day_run("0"), **nothing)
    publish(store, prefix, day_run("1"), day=["1"], n=[1])
    for again in ("", "b"):
        assert publish(store, prefix, day_run("2", again), **nothing).stored.objects == ()
        assert read(store, prefix) == [("1", 1)]
        (one,) = [key for key in keys(store) if "part-" in key and key.startswith(prefix)]
        assert one.startswith(f"{prefix}/day=1/"), "no file stands beside the partitions"
    publish(store, prefix, day_run("1", "b"), **nothing)
    assert read(store, prefix) == []


def test_a_day_without_values_in_a_column_takes_the_type_that_stands(tmp_path: Path) -> None:
    store = FileStore(tmp_path)

    def put(day: str, values: pa.Array) -> None:
        target = ObjectTarget(store, "set", format="parquet", parts=BY_DAY)
        transfer(Table(day=[day] * len(values), n=values), target, day_run(day))

    put("1", pa.array([1]))
    put("2", pa.array([None, None], pa.string()))
    found = pa.dataset.dataset(tmp_path / "set", partitioning="hive").to_table()
    assert found.schema.field("n").type == pa.int64()
    assert sorted(found["n"].to_pylist(), key=str) == [1, None, None]
    with pytest.raises(InputError, match="n int64, n string differ"):
        put("3", pa.array([None, "x"]))
    assert {key.split("/")[1] for key in keys(store) if "part-" in key} == {"day=1", "day=2"}


def test_a_first_day_without_rows_binds_no_later_one(tmp_path: Path) -> None:
    """Nor does a value that comes behind the first batch give way to the type of no row."""
    store, target = FileStore(tmp_path), None
    kinds = {"day": pa.string(), "n": pa.string()}
    for number, batches in enumerate(([], [[None], [7]])):
        schema = pa.schema(kinds)
        made = [
            pa.record_batch([["1"], pa.array(n, pa.int64())], names=["day", "n"]) for n in batches
        ]

        class Late(Table):
            def batches(self) -> Batches:
                return Batches(made[0].schema if made else schema, iter(made))  # noqa: B023

        target = ObjectTarget(store, "set", format="parquet", parts=BY_DAY)
        transfer(Late(day=[], n=[]), target, day_run(str(number)))
    found = pa.dataset.dataset(tmp_path / "set", partitioning="hive").to_table()
    assert found["n"].to_pylist() == [None, 7]


def test_days_that_are_published_at_once_all_stand(store: Store, prefix: str) -> None:
    together = threading.Barrier(4, timeout=60)
    failed: list[BaseException] = []

    def run(day: str) -> None:
        target = ObjectTarget(store, prefix, format="csv", parts=BY_DAY)
        source = Table(together.wait, day=[day], n=[int(day)])  # type: ignore[arg-type]
        try:
            transfer(source, target, day_run(day))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert read(store, prefix) == [(str(n), n) for n in range(4)]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"day": ["2"], "m": [1]}, "other columns"),
        ({"day": ["2"], "n": ["x"]}, "n int64, n string"),
    ],
)
def test_partitions_of_other_columns_are_refused(tmp_path: Path, columns, says: str) -> None:
    store = FileStore(tmp_path)
    publish(store, "p", day_run("1"), day=["1"], n=[1])
    with pytest.raises(InputError, match=says):
        publish(store, "p", day_run("2"), **columns)
    assert read(store, "p") == [("1", 1)]
    assert len(keys(store)) == 2
    # A file of no rows tells no types, as a CSV file with a header alone; but it tells names.
    none = {name: pa.array([], pa.string()) for name in columns}
    if "m" in none:
        with pytest.raises(InputError, match=says):
            publish(store, "p", day_run("2"), **none)
    else:
        publish(store, "p", day_run("2"), **none)
        publish(store, "p", day_run("3"), day=["3"], n=[3])
    assert read(store, "p") == [("1", 1)] + [("3", 3)] * ("n" in none)


def test_the_plan_says_what_happens_to_the_others(tmp_path: Path) -> None:
    def last(parts: Parts) -> str:
        return ObjectTarget(FileStore(tmp_path), "p", format="csv", parts=parts).plan(None)[-1]

    assert "all others stay published" in last(BY_DAY)
    assert "all partitions" in last(Parts(by=("day",), overwrite="all"))
    with pytest.raises(InputError, match="partitions, all"):
        Parts(by=("day",), overwrite="none")  # type: ignore[arg-type]


def test_a_manifest_of_the_former_version_is_understood(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    publish(store, "p", day_run("1"), day=["1"], n=[1])
    path = tmp_path / "p" / "_manifest.json"
    document = json.loads(path.read_text())
    for part in document["objects"]:
        del part["run"]
    path.write_text(json.dumps(document))
    publish(store, "p", day_run("2"), day=["2"], n=[2])
    assert read(store, "p") == [("1", 1), ("2", 2)]


def test_a_publication_below_a_prefix_stays(store: Store, prefix: str) -> None:
    inner = day_run("1", task="inner")
    publish(store, f"{prefix}/day=1", inner, Parts(rows=1), n=[1, 2])
    upload = store.upload(f"{prefix}/day=1/part-00009-0123abcd.csv")
    upload.write(b"x" * (6 << 20))
    for parts in (Parts(rows=1), Parts(by=("day",), overwrite="all"), BY_DAY):
        publish(store, prefix, day_run("1", task="outer"), parts, day=["1"], n=[7])
        assert read(store, f"{prefix}/day=1") == [(1,), (2,)]
    publish(store, f"{prefix}/day=1", inner, Parts(rows=1), n=[3])
    assert read(store, prefix) == [("1", 7)], "and the other way round"
    upload.abort()


def test_a_reader_reads_one_publication_though_it_is_replaced(store: Store, prefix: str) -> None:
    parts = Parts(rows=10)
    owner = day_run("1")
    publish(store, prefix, owner, parts, n=[1] * 100)
    source = ObjectSource(store, f"{prefix}/")
    seen = 0

    def replaced(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal seen
        seen += 1
        if seen == 2:
            publish(store, prefix, owner, parts, n=[2] * 100)
        return batch

    out = f"{prefix}-out.parquet"
    transfer(source, ObjectTarget(store, out), day_run("r"), transform=replaced)
    assert set(table(store, out).column(0).to_pylist()) == {2}
    assert table(store, out).num_rows == 100


def test_a_reader_of_the_library_is_told_to_begin_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    publish(store, "p", day_run("1"), Parts(rows=1), n=[1, 2, 3])
    batches = ObjectSource(store, "p/").batches()
    rows = iter(batches)
    next(rows)
    publish(store, "p", day_run("1"), Parts(rows=1), n=[4, 5, 6])
    with pytest.raises(SourceChangedError, match="published anew"):
        list(rows)
    batches.close()


# ------------------------------------------------------------------------------ readers that list


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Parquet by day, one of them NULL, after a day was replaced."""
    store = FileStore(tmp_path)
    for day, number in (("1", 1), (None, 2), ("1", 3)):
        target = ObjectTarget(store, "set", format="parquet", parts=BY_DAY)
        transfer(
            Table(day=pa.array([day], pa.string()), n=[number]), target, day_run(str(day), "x")
        )
    return tmp_path / "set"


WANTED = [("1", 3), (None, 2)]


def in_order(rows: Any) -> list[tuple[Any, Any]]:
    return sorted(
        ((None if day is None or day != day else str(day), int(n)) for day, n in rows),
        key=lambda row: row[1],
        reverse=True,
    )


def test_pyarrow_reads_what_is_published(published: Path) -> None:
    found = pyarrow.dataset.dataset(published, format="parquet", partitioning="hive").to_table()
    rows = found.select(["day", "n"]).to_pydict()
    assert in_order(zip(rows["day"], rows["n"], strict=True)) == WANTED


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        (
            ".venv-clients",
            # By default pandas makes categories, which pyarrow cannot do where one is NULL.
            "import pandas, sys, pyarrow.dataset as d\n"
            "f = pandas.read_parquet(sys.argv[1], partitioning=d.partitioning(flavor='hive'))\n"
            "print([(None if d != d else str(int(d)), int(n)) for d, n in zip(f['day'], f['n'])])",
        ),
        (
            ".venv-clients",
            # It looks at every file of a folder, also at Spark's _SUCCESS: so by a glob.
            "import polars, sys\n"
            "f = polars.read_parquet(sys.argv[1] + '/**/*.parquet', hive_partitioning=True)\n"
            "print([(None if d is None else str(d), n) for d, n in f.select('day', 'n').rows()])",
        ),
        (
            ".venv-clients",
            "import duckdb, sys\n"
            "q = f\"SELECT day, n FROM read_parquet('{sys.argv[1]}/**/*.parquet', "
            'hive_partitioning=true)"\n'
            "print([(None if d is None else str(d), n) for d, n in duckdb.sql(q).fetchall()])",
        ),
        (
            ".venv-spark",
            "import sys\nfrom pyspark.sql import SparkSession\n"
            "s = SparkSession.builder.master('local[1]').config('spark.ui.enabled', False)"
            ".getOrCreate()\n"
            "f = s.read.parquet(sys.argv[1]).select('day', 'n').collect()\n"
            "print([(None if d is None else str(d), n) for d, n in f])",
        ),
    ],
    ids=["pandas", "polars", "duckdb", "spark"],
)
def test_others_that_list_read_what_is_published(
    published: Path, environment: str, code: str
) -> None:
    python = ROOT / environment / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code, str(published)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = eval(done.stdout.strip().splitlines()[-1])
    assert in_order(rows) == WANTED


def test_an_overtaken_attempt_is_told_though_the_bytes_are_the_former_ones(store: Store) -> None:
    """An ETag of S3 is a digest of the content: the retry may write what stood there before."""
    owner, key = day_run("1"), f"{uuid.uuid4().hex}.csv"
    transfer(Table(n=[1, 2]), ObjectTarget(store, key), owner)

    def retry() -> None:
        transfer(Table(n=[1, 2]), ObjectTarget(store, key), owner)

    with pytest.raises(RetryError, match=r"(newer|Another) attempt"):
        transfer(Table(retry, n=[9]), ObjectTarget(store, key), owner)
    assert table(store, key).column(0).to_pylist() == [1, 2]
