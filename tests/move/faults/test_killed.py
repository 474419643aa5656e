"""A worker is killed by SIGKILL at points spread over a move of each kind, and tried again.

After the kill a reader sees what was there before, or all of the new; after the retry all of the
new, byte for byte what a move that was never killed gives; and nothing is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kinds
import psycopg
import pytest

from killing import Worker, spread
from matrices import Matrix
from tradewind.move.store import Store

pytestmark = pytest.mark.xdist_group("move-faults")
MOVERS = Matrix("killed movers", "source", "target", "store")
InPlace = tuple[Store, dict[str, Any]]
FEWER = [pytest.param(2, id="some"), pytest.param(30, id="many", marks=pytest.mark.long)]
POINTS = [pytest.param(4, id="some"), pytest.param(30, id="many", marks=pytest.mark.long)]


def check(worker: Worker, kind: kinds.Kind, count: int) -> None:
    """Kill the move at so many points, each time in a place of its own."""
    whole = worker.run(kind.action, who="whole", **kind.prepare("whole"))
    assert "answer" in whole, whole
    new = kind.seen("whole")
    assert kind.left("whole") == []
    for point in spread(whole["points"], count):
        name = f"p{point}"
        given = kind.prepare(name)
        old = kind.seen(name)
        killed = worker.run(kind.action, die_at=point, who=name, **given)
        assert killed == {"signal": 9} or "answer" in killed, (point, killed)
        assert kind.seen(name) in (old, new), f"half of it is visible, killed at {point}"
        again = worker.run(kind.action, who=name, **given)
        assert "answer" in again, (point, again)
        assert kind.seen(name) == new, f"killed at {point}"
        assert kind.left(name) == [], f"killed at {point}"


@MOVERS.row(source="postgres", store="s3")
@pytest.mark.parametrize("count", POINTS)
def test_postgres_to_csv_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.OnS3("postgres_to_csv", s3, bucket, ".csv", query=query), count)


@pytest.mark.parametrize("count", FEWER)
def test_postgres_by_two_connections_to_csv_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings"
    check(worker, kinds.OnS3("postgres_by_two", s3, bucket, ".csv", query=query), count)


@MOVERS.row(source="postgres", store="gcs")
@pytest.mark.parametrize("count", FEWER)
def test_postgres_to_csv_on_google_cloud_storage(worker: Worker, gcs: InPlace, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.InStore("postgres_to_gcs", *gcs, query=query), count)


@MOVERS.row(source="postgres", store="azure")
@pytest.mark.parametrize("count", FEWER)
def test_postgres_to_csv_on_azure(worker: Worker, azure: InPlace, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.InStore("postgres_to_azure", *azure, query=query), count)


@pytest.mark.parametrize("count", FEWER)
def test_postgres_to_numbered_files_on_s3(worker: Worker, s3_place: InPlace, count: int):
    given = {"query": "SELECT * FROM listings ORDER BY id", "files": 3}
    check(worker, kinds.FilesInStore("postgres_to_files", *s3_place, **given), count)


@pytest.mark.parametrize("count", POINTS)
def test_postgres_to_parts_of_parquet_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    kind = kinds.PartsOnS3("postgres_to_parts", s3, bucket, "", query=query, rows=10_000)
    check(worker, kind, count)


@MOVERS.row(source="mysql", store="s3")
@pytest.mark.parametrize("count", POINTS)
def test_mariadb_to_csv_on_s3(worker: Worker, s3: Any, bucket: str, count: int):
    query = "SELECT * FROM listings ORDER BY id"
    check(worker, kinds.OnS3("mysql_to_csv", s3, bucket, ".csv", query=query), count)


@MOVERS.row(source="mongodb", store="s3")
@pytest.mark.parametrize("count", POINTS)
def test_mongodb_to_json_lines_on_s3(worker: Worker, s3: Any, bucket: str, mongo: str, count: int):
    given = {"database": mongo, "collection": "listings"}
    check(worker, kinds.OnS3("mongo_to_jsonl", s3, bucket, ".jsonl", **given), count)


@MOVERS.row(source="http", store="files")
@pytest.mark.parametrize("count", POINTS)
def test_rest_to_a_file(worker: Worker, tmp_path: Path, count: int):
    with kinds.pages() as url:
        check(worker, kinds.OnDisk("rest_to_file", tmp_path / "files", url=url), count)


MODES = [
    pytest.param({"mode": "append"}, id="append"),
    pytest.param({"mode": "replace", "slice": {"day": kinds.DAY}}, id="replace"),
    pytest.param({"mode": "upsert", "keys": ["id"]}, id="upsert"),
]


@MOVERS.row(target="postgres", store="s3")
@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("mode", MODES)
def test_csv_on_s3_to_postgres(
    worker: Worker, postgres: psycopg.Connection[Any], bucket: str, mode: dict, count: int
):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    check(worker, kinds.InPostgres("csv_to_postgres", postgres, **given), count)


@MOVERS.row(target="mysql", store="s3")
@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("mode", MODES)
def test_csv_on_s3_to_mariadb(worker: Worker, mysql: Any, bucket: str, mode: dict, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    check(worker, kinds.InMySQL("csv_to_mysql", mysql, **given), count)


@MOVERS.row(target="sqlite", store="s3")
@pytest.mark.parametrize("count", FEWER)
@pytest.mark.parametrize("mode", MODES)
def test_csv_on_s3_to_sqlite(worker: Worker, bucket: str, tmp_path: Path, mode: dict, count: int):
    given = {"bucket": bucket, "key": "source/listings.csv", **mode}
    check(worker, kinds.InSQLite("csv_to_sqlite", tmp_path / "faults.db", **given), count)


@pytest.mark.parametrize("count", FEWER)
def test_a_copy_between_stores(worker: Worker, bucket: str, azure: InPlace, count: int):
    given = {"bucket": bucket, "source": "source/large.bin"}
    check(worker, kinds.InStore("copy_between_stores", *azure, **given), count)


@pytest.mark.parametrize("count", FEWER)
def test_a_copy_of_a_prefix(worker: Worker, s3_place: InPlace, count: int):
    store, _ = s3_place
    upload = store.upload("source/_SUCCESS")
    upload.complete()
    kind = kinds.PrefixInStore("copy_prefix", *s3_place, source="source/")
    check(worker, kind, count)
    store.delete(["source/_SUCCESS"])


@pytest.mark.parametrize("count", POINTS)
@pytest.mark.parametrize("options", [{}, {"threshold": 6 << 20, "part_size": 5 << 20}])
def test_a_copy_on_s3(worker: Worker, s3: Any, bucket: str, options: dict, count: int):
    given = {"source": "source/large.bin", **options}
    check(worker, kinds.CopyOnS3("copy_object", s3, bucket, ".bin", **given), count)


def test_no_system_is_left_out() -> None:
    MOVERS.check()
