"""Objects as a target: whole or not at all, once, and nothing left, on S3 and in files.

Over 400 lines: one target; its cases share stores, and read as a list of promises.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import boto3
import pyarrow as pa
import pytest

import object_moves
from killing import Worker, spread
from object_moves import ManyRows
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.flow import CancelledError
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import OWNER, ObjectTarget, Parts
from tradewind.move.receipt import Receipt
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.transfer import transfer
from tradewind.move.types import UnfitValueError
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3.store import S3Store

OURS = Owner("dag", "run", "task")
THEIRS = Owner("dag", "run", "other")
MANY = 12_000
"""Rows that fill two parts of an upload and begin a third."""


def session_of(systems: Systems, **changed: str) -> boto3.Session:
    environment = systems.environment
    given = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
    }
    return boto3.Session(**{**given, **changed})


def s3_of(systems: Systems, bucket: str = "", **changed: str) -> S3Store:
    return S3Store(
        bucket or f"test-{uuid.uuid4().hex}",
        session=session_of(systems, **changed),
        client_options={"endpoint_url": systems["s3"].endpoint},
        part_bytes=5 << 20,
    )


def made(store: S3Store) -> S3Store:
    store.client.create_bucket(
        Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return store


@pytest.fixture(scope="module")
def bucket(local_s3: Systems) -> S3Store:
    return made(s3_of(local_s3))


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "file":
        yield FileStore(tmp_path / "objects")
        return
    store = request.getfixturevalue("bucket")
    yield store
    for left in list(store.unfinished()):
        store.discard(left)
    store.delete(keys(store))


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "objects")


def keys(store: Store) -> list[str]:
    return [info.key for info in store.list()]


def read(store: Store, key: str) -> bytes:
    return b"".join(store.read(key))


def table(store: Store, key: str) -> pa.Table:
    with ObjectSource(store, key).batches() as batches:
        return pa.Table.from_batches(list(batches), schema=batches.schema)


def rows(count: int) -> pa.Table:
    with ManyRows(count).batches() as batches:
        return pa.Table.from_batches(list(batches), schema=batches.schema)


def moved(store: Store, key: str, count: int, owner: Owner = OURS, **options) -> Receipt:
    return transfer(ManyRows(count), ObjectTarget(store, key, **options), owner)


def nothing_left(store: Store) -> bool:
    return not list(store.unfinished())


# -------------------------------------------------------------------------------------- one object


@pytest.mark.parametrize("count", [0, 1, MANY])
def test_one_object(store: Store, count: int) -> None:
    receipt = moved(store, "a/rows.csv", count, metadata={"colour": "blue"})
    (stored,) = receipt.stored.objects
    data = read(store, "a/rows.csv")
    assert data.startswith(b"id,kind,text\n")
    assert data.count(b"\n") == count + 1
    assert (stored.uri, stored.rows, stored.bytes) == (store.uri("a/rows.csv"), count, len(data))
    head = store.head("a/rows.csv")
    assert head is not None
    assert (head.etag, head.content_type) == (stored.etag, "text/csv")
    assert (head.metadata[OWNER], head.metadata["colour"]) == (OURS.digest, "blue")
    assert keys(store) == ["a/rows.csv"]
    again = moved(store, "a/rows.csv", count)
    assert again.stored.objects[0].checksum == stored.checksum
    assert read(store, "a/rows.csv") == data


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.zst", "rows.parquet"])
def test_format_and_compression_by_name(file_store: FileStore, name: str) -> None:
    moved(file_store, name, 1000)
    assert table(file_store, name).num_rows == 1000


@pytest.mark.parametrize("parts", [None, Parts(rows=100)])
def test_refuses_before_reading(store: Store, parts: Parts | None) -> None:
    moved(store, "rows.csv", 10, parts=parts)
    before = {key: read(store, key) for key in keys(store)}
    source = ManyRows(20)
    with pytest.raises(InputError, match=r"rows\.csv.*exists.*replace=False"):
        transfer(source, ObjectTarget(store, "rows.csv", replace=False, parts=parts), THEIRS)
    assert not source.touched
    assert {key: read(store, key) for key in keys(store)} == before
    # This owner's own earlier try does not count.
    moved(store, "rows.csv", 30, replace=False, parts=parts)
    assert table(store, "rows.csv").num_rows == 30


def test_refuses_what_others_have_put_below_the_prefix(store: Store) -> None:
    moved(store, "set/notes.csv", 1, THEIRS)
    source = ManyRows(20)
    target = ObjectTarget(store, "set", format="csv", replace=False, parts=Parts(rows=10))
    with pytest.raises(InputError, match=r"set/notes\.csv"):
        transfer(source, target, OURS)
    assert not source.touched
    # With replace it stays all the same: only what a manifest published is replaced.
    moved(store, "set", 20, format="csv", parts=Parts(rows=10))
    assert "set/notes.csv" in keys(store)
    assert table(store, "set").num_rows == 20


def test_without_replace_the_one_who_is_later_publishes_nothing(store: Store) -> None:
    def publish_meanwhile(begin: int) -> None:
        if begin == 500:
            moved(store, "rows.csv", 7, THEIRS)

    source = ManyRows(1000, before=publish_meanwhile)
    with pytest.raises((InputError, RetryError), match=r"rows\.csv"):
        transfer(source, ObjectTarget(store, "rows.csv", replace=False), OURS)
    assert table(store, "rows.csv").num_rows == 7
    assert nothing_left(store)


def test_without_replace_a_sibling_that_was_quicker_counts(store: Store) -> None:
    def publish_meanwhile(begin: int) -> None:
        if begin == 500:
            moved(store, "rows.csv", 1000, replace=False)

    source = ManyRows(1000, before=publish_meanwhile)
    target = ObjectTarget(store, "rows.csv", replace=False)
    with contextlib.suppress(RetryError):  # it has discarded what the slow one had begun
        assert transfer(source, target, OURS).stored.objects[0].uri == store.uri("rows.csv")
    assert table(store, "rows.csv").num_rows == 1000
    assert nothing_left(store)


class Failing(ManyRows):
    """Fails in the middle."""

    def __init__(self, error: BaseException) -> None:
        def fail(begin: int) -> None:
            if begin >= 9000:
                raise error

        super().__init__(MANY, before=fail)


@pytest.mark.parametrize("error", [InputError("bad row"), KeyboardInterrupt()])
@pytest.mark.parametrize("parts", [None, Parts(rows=2000), Parts(by=("kind",))])
def test_a_failure_leaves_what_was_there(
    store: Store, error: BaseException, parts: Parts | None
) -> None:
    moved(store, "rows.csv", 10, parts=parts)
    before = {info.key: info.etag for info in store.list()}
    with pytest.raises(type(error)):
        transfer(Failing(error), ObjectTarget(store, "rows.csv", parts=parts), OURS)
    assert {info.key: info.etag for info in store.list()} == before
    assert nothing_left(store)


@pytest.mark.parametrize("parts", [None, Parts(rows=2000)])
def test_stops_when_asked(store: Store, parts: Parts | None) -> None:
    stop = threading.Event()
    source = ManyRows(MANY, before=lambda begin: stop.set() if begin == 9000 else None)
    with pytest.raises(CancelledError):
        transfer(source, ObjectTarget(store, "rows.csv", parts=parts), OURS, stop=stop)
    assert keys(store) == []
    assert nothing_left(store)


@pytest.mark.parametrize("parts", [None, Parts(rows=3000)])
def test_a_newer_attempt_takes_over(store: Store, parts: Parts | None) -> None:
    """An attempt that was thought dead goes on, and does no harm."""

    def newer(begin: int) -> None:
        if begin == 11_000:
            moved(store, "rows.csv", 200, parts=parts)

    source = ManyRows(MANY, before=newer)
    with contextlib.suppress(RetryError):
        transfer(source, ObjectTarget(store, "rows.csv", parts=parts), OURS)
    assert table(store, "rows.csv").num_rows == 200
    assert nothing_left(store)
    if parts:
        assert len(keys(store)) == 2, "a part that no manifest names"


@pytest.mark.parametrize("before", [0, 100])
def test_an_attempt_that_was_overtaken_in_its_query_puts_no_small_object_back(
    store: Store, before: int
) -> None:
    if before:
        moved(store, "rows.csv", before)
    source = ManyRows(50, before=lambda begin: moved(store, "rows.csv", 200) and None)
    with pytest.raises(RetryError, match=r"(newer|Another) attempt"):
        transfer(source, ObjectTarget(store, "rows.csv"), OURS)
    assert table(store, "rows.csv").num_rows == 200
    assert nothing_left(store)


@pytest.mark.parametrize("parts", [None, Parts(rows=3000), Parts(by=("kind",))])
def test_two_at_once_leave_one_and_whole(store: Store, parts: Parts | None) -> None:
    together = threading.Barrier(2, timeout=60)
    outcomes: list[object] = []

    def wait(begin: int) -> None:
        if begin in (0, 8000):
            together.wait()

    def run() -> None:
        target = ObjectTarget(store, "rows.csv", parts=parts)
        try:
            outcomes.append(transfer(ManyRows(MANY, before=wait), target, OURS))
        except RetryError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(isinstance(outcome, Receipt) for outcome in outcomes), outcomes
    assert table(store, "rows.csv").sort_by("id").equals(rows(MANY))
    assert nothing_left(store)
    if parts:
        # Nothing lies there that no manifest names, at the latest after the next run.
        moved(store, "rows.csv", MANY, parts=parts)
        named = json.loads(read(store, "rows.csv/_manifest.json"))["objects"]
        there = {f"rows.csv/{part['key']}" for part in named} | {"rows.csv/_manifest.json"}
        assert set(keys(store)) == there


def test_runs_that_publish_at_once_let_each_other_s_uploads_be(bucket: S3Store) -> None:
    """Two dates of one task: the one that begins later aborts nothing of the other."""
    parts = Parts(by=("kind",))
    of_others, of_former, own = (
        bucket.upload(f"set/kind=x/part-00000-{token}.csv")
        for token in (f"{THEIRS.digest}01234567", "01234567", f"{OURS.digest}01234567")
    )
    for upload in (of_others, of_former, own):
        upload.write(bytes(bucket.part_bytes + 1))
    moved(bucket, "set/", 10, format="csv", parts=parts)
    with pytest.raises(RetryError):
        own.complete()
    for upload in (of_others, of_former):
        upload.complete()
    assert table(bucket, "set/").num_rows == 10
    assert nothing_left(bucket)
    bucket.delete(keys(bucket))


def test_a_killed_attempt_s_upload_is_told_from_another_owner_s(bucket: S3Store) -> None:
    store = bucket
    killed = store.upload("rows.csv", metadata={"tradewind-owner": OURS.digest})
    others = store.upload("rows.csv", metadata={"tradewind-owner": THEIRS.digest})
    for upload in (killed, others):
        upload.write(bytes(store.part_bytes + 1))
    moved(store, "rows.csv", 10)
    assert {left.owner for left in store.unfinished()} == {THEIRS.digest}
    with pytest.raises(RetryError):
        killed.complete()
    others.complete()
    assert nothing_left(store)
    store.delete(keys(store))


def test_an_upload_that_somebody_aborts(bucket: S3Store) -> None:
    store = bucket

    def abort(begin: int) -> None:
        if begin == 9000:
            for left in store.unfinished("rows.csv"):
                store.discard(left)

    with pytest.raises(RetryError, match=r"rows\.csv.*not there any more"):
        transfer(ManyRows(MANY, before=abort), ObjectTarget(store, "rows.csv"), OURS)
    assert keys(store) == []
    assert nothing_left(store)


def test_missing_bucket_and_wrong_secret(local_s3: Systems) -> None:
    missing = s3_of(local_s3)
    for wrong, words in (
        (missing, "no such bucket"),
        (s3_of(local_s3, missing.bucket, aws_secret_access_key="wrong-secret"), "credentials"),
    ):
        source = ManyRows(1)
        with pytest.raises(SetupError, match=words) as caught:
            transfer(source, ObjectTarget(wrong, "rows.csv"), OURS)
        assert not source.touched
        assert missing.bucket in str(caught.value)
        assert "wrong-secret" not in str(caught.value)


# -------------------------------------------------------------------------------------------- parts


def manifest_of(store: Store, prefix: str) -> dict:
    return json.loads(read(store, f"{prefix}/_manifest.json"))


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    "parts",
    [
        Parts(rows=300),
        Parts(by=("kind",)),
        Parts(by=("kind",), rows=100, open=1),
        Parts(by=("kind",), keep=True),
    ],
)
def test_parts_come_back_as_they_were(file_store: FileStore, format: str, parts: Parts) -> None:
    receipt = moved(file_store, "set", 1000, format=format, parts=parts)
    assert receipt.rows == receipt.stored.rows == 1000
    assert table(file_store, "set/").sort_by("id").equals(rows(1000))
    if parts.rows:
        assert all(
            one.rows is not None and one.rows <= parts.rows for one in receipt.stored.objects
        )
    assert sum(one.rows or 0 for one in receipt.stored.objects) == 1000


def test_the_manifest_tells_what_is_there(store: Store) -> None:
    receipt = moved(store, "set", 1000, format="csv", parts=Parts(rows=300))
    assert receipt.stored.manifest == store.uri("set/_manifest.json")
    manifest = manifest_of(store, "set")
    listed = {info.key: info for info in store.list("set/part-")}
    assert len(manifest["objects"]) == len(receipt.stored.objects) == len(listed) == 4
    for part, stored in zip(manifest["objects"], receipt.stored.objects, strict=True):
        info = listed[f"set/{part['key']}"]
        assert re.fullmatch(r"part-0000[0-3]-[0-9a-f]{20}\.csv", part["key"])
        assert (part["size"], part["etag"]) == (info.size, info.etag)
        assert (stored.bytes, stored.etag, stored.rows) == (info.size, info.etag, part["rows"])
    assert [column["name"] for column in manifest["columns"]] == ["id", "kind", "text"]
    assert (manifest["owner"], manifest["rows"]) == (OURS.digest, 1000)
    # An equal run differs in names alone.
    moved(store, "set", 1000, format="csv", parts=Parts(rows=300))
    changing = ("key", "etag")

    def plain(document: dict) -> dict:
        objects = [
            {name: value for name, value in part.items() if name not in changing}
            for part in document["objects"]
        ]
        return {**document, "objects": objects}

    assert plain(manifest_of(store, "set")) == plain(manifest)


def test_fewer_parts_than_before(store: Store) -> None:
    first = moved(store, "day=1", 1000, format="csv", parts=Parts(rows=100))
    second = moved(store, "day=1", 150, format="csv", parts=Parts(rows=100), owner=THEIRS)
    assert len(second.stored.objects) == 2
    assert set(second.stored.removed) == {one.uri for one in first.stored.objects}
    assert len(keys(store)) == 3
    assert table(store, "day=1").equals(rows(150))


def test_nothing_gives_one_object_with_the_schema(store: Store) -> None:
    for parts in (Parts(rows=10), Parts(by=("kind",))):
        receipt = moved(store, "set", 0, format="parquet", parts=parts)
        assert len(receipt.stored.objects) == 1
        assert table(store, "set").equals(rows(0))


class Values(Source):
    """One column of partition values, and a number; in the end it may fail."""

    def __init__(
        self, values: pa.Array, *, rows: int = 1_000, fails: Exception | None = None
    ) -> None:
        self.values, self.rows, self.fails = values, rows, fails

    def describe(self) -> str:
        return "values"

    def batches(self) -> Batches:
        columns = [self.values, pa.array(range(len(self.values)))]
        table = pa.table(columns, names=["value", "id"])

        def generate() -> Iterator[pa.RecordBatch]:
            yield from table.to_batches(max_chunksize=self.rows)
            if self.fails is not None:
                raise self.fails

        return Batches(table.schema, generate())


def test_partition_values_are_escaped_as_hive_does(store: Store) -> None:
    texts = ["plain", None, "", "a/b", "50%", "x=y", "ü:é", "..", "new\nline", "[1]"]
    source = Values(pa.array(texts))
    target = ObjectTarget(store, "set", format="csv", parts=Parts(by=("value",)))
    transfer(source, target, OURS)
    folders = {key.split("/")[1] for key in keys(store)} - {"_manifest.json"}
    names = "plain __HIVE_DEFAULT_PARTITION__ | a%2Fb 50%25 x%3Dy ü%3Aé .. new%0Aline %5B1%5D"
    assert folders == {f"value={'' if name == '|' else name}" for name in names.split(" ")}
    read_again = table(store, "set").sort_by("id")
    assert read_again.column("value").to_pylist() == texts


def test_partition_values_that_cannot_be_folders(file_store: FileStore) -> None:
    target = ObjectTarget(file_store, "set", format="csv", parts=Parts(by=("value",)))
    with pytest.raises(UnfitValueError, match="value"):
        transfer(Values(pa.array(["__HIVE_DEFAULT_PARTITION__"])), target, OURS)
    with pytest.raises(InputError, match="'value'"):
        transfer(Values(pa.array([[1]])), target, OURS)
    for by in (("missing",), ("value", "id")):
        target = ObjectTarget(file_store, "set", format="csv", parts=Parts(by=by))
        with pytest.raises(InputError, match="column"):
            transfer(Values(pa.array(["a"])), target, OURS)
    assert keys(file_store) == []


def test_many_partitions_open_one_after_the_other(file_store: FileStore) -> None:
    values = pa.array([f"{number % 50:02d}" for number in range(500)])
    target = ObjectTarget(file_store, "set", format="csv", parts=Parts(by=("value",), open=3))
    receipt = transfer(Values(values), target, OURS)
    assert len(receipt.stored.objects) == 50
    assert table(file_store, "set").sort_by("id").column("value").to_pylist() == values.to_pylist()


def test_unsorted_partitions_are_few_objects_as_long_as_they_fit(file_store: FileStore) -> None:
    values = pa.array([f"{number % 50:02d}" for number in range(500)])

    def objects(**options: int) -> list[tuple[int | None, int | None]]:
        parts = Parts(by=("value",), **options)
        target = ObjectTarget(file_store, "set", format="csv", parts=parts)
        stored = transfer(Values(values, rows=100), target, OURS).stored.objects
        read = table(file_store, "set").sort_by("id").column("value").to_pylist()
        assert read == values.to_pylist()
        return [(one.rows, one.bytes) for one in stored]

    assert len(objects()) == 50, "one for each value"
    some = objects(memory=2_000)
    assert 50 < len(some) < 250
    assert some == objects(memory=2_000), "a matter of the data alone"


def test_sorted_partitions_are_one_object_each_however_large(file_store: FileStore) -> None:
    values = pa.array([f"{number // 10:02d}" for number in range(500)])
    parts = Parts(by=("value",), memory=1, open=2)
    target = ObjectTarget(file_store, "set", format="csv", parts=parts)
    assert len(transfer(Values(values, rows=5), target, OURS).stored.objects) == 50


def test_wrong_data_are_told_though_an_earlier_try_is_there(file_store: FileStore) -> None:
    target = ObjectTarget(file_store, "a.csv", replace=False)
    transfer(Values(pa.array(["x"])), target, OURS)
    with pytest.raises(InputError, match="does not fit"):
        transfer(Values(pa.array(["x", "y"]), fails=InputError("does not fit")), target, OURS)


# ---------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda store: ObjectTarget(store, "name"), "format"),
        (lambda store: ObjectTarget(store, "folder/", format="csv"), "no name of an object"),
        (lambda store: ObjectTarget(store, "a.csv", compression="rar"), "rar"),
        (lambda store: ObjectTarget(store, "a", format="word"), "word"),
        (lambda store: Parts(), "rows, bytes or by"),
        (lambda store: Parts(rows=0), "rows is 0"),
        (lambda store: Parts(by=("a", "a")), "twice"),
    ],
)
def test_bad_arguments(file_store: FileStore, make: Callable, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(file_store)


def test_from_uri(tmp_path: Path) -> None:
    options = {"format": "csv", "compression": "gzip", "replace": "false", "part_rows": "10"}
    options |= {"part_by": "a, b", "metadata": '{"x": "y"}'}
    target = ObjectTarget.from_uri(f"file://{tmp_path}/set", options)
    assert (target.describe(), target.replace) == (f"file://{tmp_path}/set", False)
    assert asdict(target.parts or Parts(rows=1))["by"] == ("a", "b")
    assert len(target.plan(None)) == 3
    made = ObjectTarget.from_uri("s3://bucket/a/key.parquet", {"endpoint_url": "http://[::1]:1"})
    assert (made.describe(), made.format.name) == ("s3://bucket/a/key.parquet", "parquet")
    for uri, wrong in (
        ("file:///a.csv", {"colour": "x"}),
        ("file:///a.csv", {"replace": "maybe"}),
        ("file:///a.csv", {"part_rows": "x"}),
        ("file:///a.csv", {"metadata": "[]"}),
        ("ftp://host/a.csv", {}),
        ("s3:///a.csv", {}),
    ):
        with pytest.raises(InputError):
            ObjectTarget.from_uri(uri, wrong)


# ------------------------------------------------------------------------------------------- killed


@pytest.fixture(scope="module")
def worker(local_s3: Systems):
    actions = Path(object_moves.__file__)
    with Worker(actions, "tradewind.move", local_s3.environment) as running:
        yield running


@pytest.mark.parametrize("kind", ["one", "parts", "partitions"])
def test_killed_and_tried_again(store: Store, worker: Worker, kind: str) -> None:
    place = store.bucket if isinstance(store, S3Store) else str(store.root)
    parts = {"one": None, "parts": {"rows": 7000}, "partitions": {"by": ["kind"], "rows": 3000}}
    order = {"place": place, "key": "rows.csv", "rows": MANY, "parts": parts[kind]}
    if isinstance(store, FileStore):
        store.root.mkdir()
    clean = worker.run("move", **order)
    wanted = content(store)
    deaths = 0
    for point in spread(clean["points"], 8):
        answer = worker.run("move", die_at=point, **order)
        deaths += "signal" in answer
        # Whatever it died at, readers see all or what was there before: the same here.
        assert table(store, "rows.csv").num_rows == MANY
        again = worker.run("move", **order)
        assert "answer" in again, again
        assert content(store) == wanted
        assert nothing_left(store)
    assert deaths > 4


def content(store: Store) -> dict[str, str]:
    """All there is: digests by name, without what differs from one attempt to the next."""
    result = {}
    for key in keys(store):
        name = re.sub(r"-[0-9a-f]{20}\.", ".", key)
        if not key.endswith("_manifest.json"):
            assert name not in result, f"{key} is there twice"
            result[name] = hashlib.sha256(read(store, key)).hexdigest()
    return result


def test_partition_columns_may_be_all_there_is_when_they_are_kept(tmp_path: Path):
    schema = pa.schema([("city", pa.string())])

    class Cities(Source):
        def describe(self) -> str:
            return "cities"

        def batches(self) -> Batches:
            batch = pa.record_batch([pa.array(["Oslo", "Rome", "Oslo"])], schema=schema)
            return Batches(schema, [batch])

    parts = Parts(by=("city",), keep=True)
    target = ObjectTarget(FileStore(tmp_path), "set/", format="csv", parts=parts)
    receipt = transfer(Cities(), target, Owner("d", "r", "t"))
    assert receipt.rows == 3
    without = Parts(by=("city",))
    target = ObjectTarget(FileStore(tmp_path), "other/", format="csv", parts=without)
    with pytest.raises(InputError, match="nothing is left for the files"):
        transfer(Cities(), target, Owner("d", "r", "t"))
