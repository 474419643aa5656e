"""The large road of the source: an export to Google Cloud Storage, read from there and removed."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bigquery_places import NOTE, Place, load, values
from tradewind.errors import CancelledError, InputError, RetryError
from tradewind.local import Systems
from tradewind.move.batches import Batches
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.sweep.objects import leftovers_of_objects
from tradewind.systems.bigquery.connection import BigQueryConnection
from tradewind.systems.bigquery.exported import check_exportable, conformed
from tradewind.systems.bigquery.source import BigQuerySource
from tradewind.systems.bigquery.table import BigQueryTable
from tradewind.systems.bigquery.types import arrow_schema
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.ranges import ObjectFile
from tradewind.systems.gcs.store import GCSStore
from tradewind.testing.conformance.source import rows_of
from waiting import until

pytestmark = pytest.mark.xdist_group("bigquery")

pytest.importorskip("google.cloud.bigquery")

PLACE = "gs://export-lake/exports"


@pytest.fixture(scope="module")
def place(local_bigquery: Systems) -> Iterator[Place]:
    made = Place(local_bigquery.environment)
    load(values(), BigQueryTable(made.connection, "types", create=True))
    yield made
    made.client.close()


@pytest.fixture
def lake(local_bigquery: Systems) -> Path:
    return local_bigquery["bigquery"].folder / "objects" / "export-lake"


@pytest.fixture
def target(tmp_path: Path) -> ObjectTarget:
    return ObjectTarget(FileStore(tmp_path), "rows.parquet")


@pytest.fixture
def owner() -> Owner:
    return Owner("d", uuid.uuid4().hex, "t", deployment="here", generation="g")


def files(lake: Path) -> list[str]:
    return sorted(file.relative_to(lake).as_posix() for file in lake.rglob("*") if file.is_file())


def test_an_export_gives_what_the_storage_api_gives_and_leaves_nothing(
    place: Place, lake: Path
) -> None:
    expected = values().to_pylist()
    whole = BigQuerySource(place.connection, table="types", export=PLACE)
    with whole.batches() as read:
        rows = [row for batch in read for row in batch.to_pylist()]
        assert read.schema.field("j").metadata == NOTE
        (file,) = files(lake)
        assert file.startswith("exports/bigquery-")
    assert rows == expected
    assert files(lake) == []
    some = BigQuerySource(
        place.connection, table="types", columns=["j", "l"], where="i > 0", export=f"{PLACE}/"
    )
    assert rows_of(some) == [{"j": expected[1]["j"], "l": []}]
    query = BigQuerySource(
        place.connection,
        f"SELECT i, n FROM `{place.connection.dataset}`.types "
        "WHERE i < @i AND s != ';' ORDER BY i DESC; ",
        parameters={"i": 2**63 - 1},
        export=PLACE,
    )
    assert rows_of(query) == [{"i": expected[0]["i"], "n": expected[0]["n"]}]
    nothing = BigQuerySource(place.connection, table="types", where="FALSE", export=PLACE)
    assert rows_of(nothing) == []
    assert files(lake) == []


def test_what_killed_attempts_have_left_the_next_one_and_the_sweep_remove(
    place: Place, lake: Path, owner: Owner, target: ObjectTarget
) -> None:
    def left() -> list[Any]:
        store = GCSStore("export-lake", credentials=anonymous(), endpoint=place.connection.endpoint)
        return list(leftovers_of_objects("gs", store, "exports/"))

    source = BigQuerySource(place.connection, table="types", export=PLACE)
    abandoned = abandon(source, owner)
    (one,) = left()
    assert one.owner == owner.digest
    # Its next attempt begins by removing it, and reads an export of its own.
    receipt = transfer(source, target, owner)
    assert (receipt.rows, files(lake)) == (values().num_rows, [])
    with abandoned, pytest.raises(RetryError, match="replaced or deleted"):
        list(abandoned)
    abandoned = abandon(source, owner)
    (one,) = left()
    one.remove()
    assert (left(), files(lake)) == ([], [])
    abandoned.close()


def test_an_attempt_that_finds_its_work_done_removes_what_the_one_before_has_left(
    place: Place, lake: Path, owner: Owner
) -> None:
    """A worker may die between the transaction and the removal."""
    source = BigQuerySource(
        place.connection, f"SELECT i FROM `{place.connection.dataset}`.types", export=PLACE
    )
    done = BigQueryTable(place.connection, "done", create=True)
    assert not transfer(source, done, owner).earlier
    abandoned = abandon(source, owner)
    assert files(lake) != []
    assert transfer(source, done, owner).earlier
    assert files(lake) == []
    abandoned.close()


def abandon(source: BigQuerySource, owner: Owner) -> Batches:
    """Export, and read nothing yet, as an attempt that is killed then."""
    source.owner = owner
    try:
        return source.batches()
    finally:
        source.owner = None


def test_a_job_that_an_attempt_has_left_running_is_cancelled(
    place: Place, lake: Path, owner: Owner, target: ObjectTarget
) -> None:
    def jobs() -> list[Any]:
        found = place.client.list_jobs(retry=None)
        return [one for one in found if one.job_id.startswith(f"tradewind-export-{owner.digest}")]

    told: list[BaseException] = []

    def first() -> None:
        waiting = BigQuerySource(
            place.connection, table="types", export=PLACE, labels={"guard_wait": "60"}
        )
        try:
            transfer(waiting, target, owner)
        except RetryError as error:
            told.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    until(jobs)
    source = BigQuerySource(place.connection, table="types", export=PLACE)
    assert transfer(source, target, owner).rows == values().num_rows
    thread.join()
    assert "cancelled" in str(told[0])
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        transfer(
            BigQuerySource(
                place.connection, table="types", export=PLACE, labels={"guard_wait": "60"}
            ),
            target,
            owner,
            stop=stop,
        )
    assert {one.state for one in jobs()} == {"DONE"}
    assert files(lake) == []


def test_what_cannot_be_exported_is_told_before_a_job_begins(place: Place, lake: Path) -> None:
    for wrong in ("s3://b/p", "gs://", "gs://b/p*", "gs://b/a//b", "gs://user:secret@b/p"):
        with pytest.raises(InputError, match="gs://BUCKET/PREFIX") as caught:
            BigQuerySource(place.connection, "SELECT 1", export=wrong)
        assert "secret" not in str(caught.value)
    for columns in (
        [{"name": "g", "type": "GEOGRAPHY"}],
        [{"name": "r", "type": "RECORD", "fields": [{"name": "g", "type": "INTERVAL"}]}],
    ):
        with pytest.raises(InputError, match=r"'g'.*Leave export out"):
            check_exportable(columns, system="BigQuery")
    dataset = place.connection.dataset
    for query in (f"DROP TABLE `{dataset}`.types", f"SELECT 1; DROP TABLE `{dataset}`.types"):
        for options in ({"export": PLACE}, {}):
            with pytest.raises(InputError):
                rows_of(BigQuerySource(place.connection, query, **options))
    assert "types" in place.tables()
    with pytest.raises(InputError):
        rows_of(BigQuerySource(place.connection, table="types", where="nothing = 1", export=PLACE))
    assert files(lake) == []


def test_rows_that_were_streamed_of_late_are_exported_by_a_query(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.bigquery import Table

    # The emulator has no such buffer, and an extract job leaves out what is in BigQuery's.
    source = BigQuerySource(place.connection, table="types", export=PLACE)
    before = {job.job_id for job in place.client.list_jobs()}
    monkeypatch.setattr(Table, "streaming_buffer", object())
    assert rows_of(source) == values().to_pylist()
    (made,) = (
        job
        for job in place.client.list_jobs()
        if job.job_id not in before and job.job_id.startswith("tradewind-export")
    )
    assert made.job_type == "query"


def test_an_export_whose_answer_is_lost_is_ended_and_removed(
    place: Place, lake: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.cloud.bigquery import ExtractJob
    from requests import Timeout

    begin = ExtractJob._begin
    begun: list[bool] = []

    def lost(job: ExtractJob, *given: Any, **options: Any) -> None:
        begin(job, *given, **options)
        job.result()
        begun.extend([True] * bool(files(lake)))
        raise Timeout

    monkeypatch.setattr(ExtractJob, "_begin", lost)
    source = BigQuerySource(place.connection, table="types", export=PLACE)
    source.owner = owner
    with pytest.raises(RetryError, match="cannot be reached"):
        source.batches()
    assert begun
    assert files(lake) == []


def test_one_select_with_functions_of_its_own_is_read_as_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "CREATE TEMP FUNCTION twice(x INT64) AS (x * 2); SELECT twice(21) AS n; -- done"
    with pytest.raises(InputError, match="leave export out"):
        rows_of(BigQuerySource(place.connection, query, export=PLACE))
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    asked: list[str] = []

    class Client:  # BigQuery's own answer: the emulator calls such a query a script
        statement_type = "SELECT"

        def query(self, text: str, **_: Any) -> Client:
            asked.append(text)
            return self

    BigQuerySource(BigQueryConnection("p"), query)._dry_run(Client(), query, "BigQuery")
    assert asked == [query]


def test_types_that_an_export_has_otherwise_become_the_tables_or_are_refused() -> None:
    columns = [
        {"name": "ts", "type": "TIMESTAMP"},
        {"name": "dt", "type": "DATETIME"},
        {"name": "l", "type": "INT64", "mode": "REPEATED"},
        {
            "name": "r",
            "type": "RECORD",
            "fields": [
                {"name": "n", "type": "NUMERIC", "precision": "4", "scale": "2"},
                {"name": "l", "type": "STRING", "mode": "REPEATED"},
            ],
        },
        {"name": "b", "type": "BIGNUMERIC"},
    ]
    at = datetime(2026, 1, 2, 3, 4, 5, 6)
    found = pa.record_batch(
        {
            "b": pa.array([Decimal("1.5"), None], pa.decimal256(76, 38)),
            "ts": pa.array([at, None], pa.timestamp("us")),
            "dt": pa.array([at, None], pa.timestamp("us", "UTC")),
            "l": pa.array([[1, 2], None], pa.list_(pa.field("element", pa.int64()))),
            "r": pa.array(
                [{"n": Decimal("1.25"), "l": None}, None],
                pa.struct([("n", pa.decimal128(4, 2)), ("l", pa.list_(pa.string()))]),
            ),
        }
    )
    schema = arrow_schema(columns, system="BigQuery")
    for batch in (found, pa.concat_batches([found, found]).slice(2)):
        assert conformed(batch, columns, schema, system="BigQuery").to_pylist() == [
            {
                "ts": at.replace(tzinfo=UTC),
                "dt": at,
                "l": [1, 2],
                "r": {"n": Decimal("1.25"), "l": []},
                "b": Decimal("1.5"),
            },
            {"ts": None, "dt": None, "l": [], "r": None, "b": None},
        ]
    for kind, array in (
        ("FLOAT64", pa.array([1.5], pa.float32())),
        ("INT64", pa.array(["1"])),
        ("TIMESTAMP", pa.array([1], pa.timestamp("ms"))),
        ("TIMESTAMP", pa.array([1], pa.timestamp("us", "Asia/Tokyo"))),
        ("JSON", pa.array([b"{}"])),
        ("RECORD", pa.array([1])),
    ):
        column = {"name": "v", "type": kind, "fields": [{"name": "a", "type": "INT64"}]}
        one = pa.record_batch({"v": array})
        with pytest.raises(InputError, match="'v' was exported as"):
            conformed(one, [column], arrow_schema([column], system="B"), system="B")


def test_an_object_is_read_anywhere_and_only_in_one_version(place: Place, lake: Path) -> None:
    lake.mkdir(exist_ok=True)
    store = GCSStore("export-lake", credentials=anonymous(), endpoint=place.connection.endpoint)
    (lake / "read").write_bytes(b"0123456789")
    info = store.head("read")
    assert info is not None
    with ObjectFile(store, info) as file:
        assert (file.read(3), file.seek(-2, io.SEEK_END), file.read(5), file.read(1)) == (
            b"012", 8, b"89", b"",
        )  # fmt: skip
        file.seek(0)
        assert file.read() == b"0123456789"
        (lake / "read").write_bytes(b"another one")
        file.seek(0)
        with pytest.raises(RetryError, match="replaced or deleted"):
            file.read(1)
    (lake / "read").unlink()


def anonymous() -> Any:
    from google.auth.credentials import AnonymousCredentials

    made: Any = AnonymousCredentials
    return made()
