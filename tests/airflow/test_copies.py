"""The operators that copy objects between stores, against a server of each.

Over 400 lines: one table of operators, each against the server that all share.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException

from emulators import Emulator
from tradewind.airflow import (
    AzureBlobStorageToGCSOperator,
    AzureBlobStorageToS3Operator,
    GCSSynchronizeBucketsOperator,
    GCSToAzureBlobStorageOperator,
    GCSToGCSOperator,
    GCSToS3Operator,
    LocalFilesystemToGCSOperator,
    LocalFilesystemToS3Operator,
    LocalFilesystemToWasbOperator,
    S3ToAzureBlobStorageOperator,
    S3ToGCSOperator,
)
from tradewind.airflow.connections.stores import store_of
from tradewind.errors import InputError
from tradewind.local import Systems
from tradewind.systems.gcs.globs import matches

pytestmark = pytest.mark.airflow

FILES = {"in/a.csv": b"a,b\n1,2\n", "in/sub/b.csv": b"b" * 100_000, "in/c.txt": b"", "other": b"o"}


class Places:
    """A bucket in each store, with names of this test's own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def put(self, scheme: str, key: str, data: bytes = b"some", **more: Any) -> None:
        upload = store_of(f"{scheme}://{self.name}/{key}")[0].upload(key, **more)
        if data:
            upload.write(data)
        upload.complete()

    def fill(self, scheme: str) -> None:
        for key, data in FILES.items():
            self.put(scheme, key, data, content_type="text/plain")

    def get(self, scheme: str, key: str) -> bytes:
        return b"".join(store_of(f"{scheme}://{self.name}/{key}")[0].read(key))

    def head(self, scheme: str, key: str) -> Any:
        return store_of(f"{scheme}://{self.name}/{key}")[0].head(key)

    def keys(self, scheme: str, prefix: str = "") -> list[str]:
        return [one.key for one in store_of(f"{scheme}://{self.name}/x")[0].list(prefix)]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def make(conn_id: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return make


@pytest.fixture
def places(local_s3: Systems, s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> Places:
    name = f"copies-{uuid4().hex[:8]}"
    for variable, value in local_s3.environment.items():
        if variable.startswith("AIRFLOW_CONN_"):
            monkeypatch.setenv(variable, value)
    s3_client.create_bucket(Bucket=name)
    return Places(name)


@pytest.fixture
def gcs(fake_gcs: Emulator, places: Places, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint)
    connect("google_cloud_default", conn_type="google_cloud_platform", extra={"is_anonymous": True})
    httpx.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": places.name})


@pytest.fixture
def azure(azurite: Emulator, connect: Any) -> None:
    connect("wasb_default", conn_type="wasb", host=azurite.endpoint, password=azurite.key)


def run(task: Any) -> Any:
    return task.execute({})


class FirstAttempt:
    """A task instance as `execute` sees it, and its XComs."""

    dag_id, run_id, task_id, map_index, try_number, max_tries = "d", "r", "t", -1, 1, 0

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.mark.usefixtures("gcs")
def test_s3_to_gcs(places: Places):
    places.fill("s3")
    given: dict[str, Any] = {"task_id": "t", "bucket": places.name, "prefix": "in/"}
    into = f"gs://{places.name}/out/"
    assert run(S3ToGCSOperator(dest_gcs=into, **given)) == ["in/a.csv", "in/c.txt", "in/sub/b.csv"]
    assert places.keys("gs", "out/") == ["out/in/a.csv", "out/in/c.txt", "out/in/sub/b.csv"]
    assert places.get("gs", "out/in/sub/b.csv") == FILES["in/sub/b.csv"]
    assert places.head("gs", "out/in/a.csv").content_type == "text/plain"
    given.update(dest_gcs=f"gs://{places.name}/flat/", apply_gcs_prefix=True, gzip=True)
    assert run(S3ToGCSOperator(delimiter="/", **given)) == ["in/a.csv", "in/c.txt"]
    assert gzip.decompress(places.get("gs", "flat/a.csv")) == FILES["in/a.csv"]
    assert places.head("gs", "flat/a.csv").content_encoding is None
    wild = {**given, "prefix": "*/sub/*", "apply_gcs_prefix": False, "apply_wildcard": True}
    assert run(S3ToGCSOperator(**wild)) == ["in/sub/b.csv"]
    assert run(S3ToGCSOperator(**{**given, "prefix": "none/"})) == []


@pytest.mark.usefixtures("gcs")
def test_what_is_there_is_let_be_and_a_retry_tells_its_own(places: Places):
    places.fill("s3")
    places.put("gs", "in/a.csv", b"another's")
    task = S3ToGCSOperator(
        task_id="t", bucket=places.name, prefix="in/", dest_gcs=f"gs://{places.name}"
    )
    copied = ["in/c.txt", "in/sub/b.csv"]
    assert run(task) == copied
    before = places.head("gs", "in/c.txt").etag
    assert run(task) == copied, "a retry tells what its earlier attempt has copied"
    assert places.head("gs", "in/c.txt").etag == before, "and does not copy it again"
    assert places.get("gs", "in/a.csv") == b"another's"
    ti = FirstAttempt()
    task = S3ToGCSOperator(
        task_id="t", bucket=places.name, prefix="in/", dest_gcs=f"gs://{places.name}", replace=True
    )
    assert task.execute({"ti": ti}) == ["in/a.csv", *copied]
    assert len(ti.pushed["receipt"]["stored"]["objects"]) == 3
    assert places.get("gs", "in/a.csv") == FILES["in/a.csv"]


@pytest.mark.usefixtures("gcs")
def test_gcs_to_s3(places: Places):
    places.fill("gs")
    places.put("gs", "in/", b"")
    given: dict[str, Any] = {"task_id": "t", "gcs_bucket": places.name, "prefix": "in/"}
    given["dest_s3_key"] = f"s3://{places.name}/out"
    names = ["in/a.csv", "in/c.txt", "in/sub/b.csv"]
    assert run(GCSToS3Operator(**given)) == names
    assert places.keys("s3", "out/") == [f"out/{name}" for name in names]
    assert places.get("s3", "out/in/sub/b.csv") == FILES["in/sub/b.csv"]
    assert places.head("s3", "out/in/a.csv").content_type == "text/plain"
    csv = {**given, "dest_s3_key": f"s3://{places.name}", "match_glob": "**/*.{csv,tsv}"}
    assert run(GCSToS3Operator(**csv, flatten_structure=True)) == ["in/a.csv", "in/sub/b.csv"]
    assert places.get("s3", "b.csv") == FILES["in/sub/b.csv"]
    run(GCSToS3Operator(**given, keep_directory_structure=False, match_glob="in/*.txt"))
    assert places.get("s3", "out/in/in/c.txt") == b""
    places.put("gs", "in/sub/a.csv")
    with pytest.raises(Exception, match="would both become"):
        run(GCSToS3Operator(**csv, flatten_structure=True))


@pytest.mark.usefixtures("gcs")
@pytest.mark.parametrize(
    ("given", "copies"),
    [
        ({"source_object": "in/a.csv", "destination_object": "to/"}, ["to/a.csv"]),
        ({"source_object": "in/a.csv", "destination_object": "to"}, ["to"]),
        (
            {"source_object": "in", "destination_object": "to"},
            ["to/a.csv", "to/c.txt", "to/sub/b.csv"],
        ),
        ({"source_object": "in/*.csv", "destination_object": "to/"}, ["to/a.csv", "to/sub/b.csv"]),
        (
            {"source_objects": ["in/"], "delimiter": ".csv", "destination_object": "to/"},
            ["to/a.csv", "to/sub/b.csv"],
        ),
        (
            {"source_objects": ["in/a.csv", "other"], "destination_object": "to/"},
            ["to/a.csv", "to/other"],
        ),
        (
            {"source_object": "in/", "match_glob": "in/*.csv", "destination_object": "to/"},
            ["to/a.csv"],
        ),
        ({"source_object": "in/a", "exact_match": True, "destination_object": "to/"}, []),
        ({"source_object": "in/", "is_older_than": 3600, "destination_object": "to/"}, []),
    ],
)
def test_gcs_to_gcs(places: Places, given: dict[str, Any], copies: list[str]):
    places.fill("gs")
    task = GCSToGCSOperator(task_id="t", source_bucket=places.name, **given)
    assert run(task) == [f"gs://{places.name}/{key}" for key in copies]
    assert places.keys("gs", "to") == copies


@pytest.mark.usefixtures("gcs")
def test_gcs_to_gcs_by_time_and_what_is_missing(places: Places):
    places.fill("gs")
    now = datetime.now(UTC)
    given: dict[str, Any] = {"task_id": "t", "source_bucket": places.name, "source_object": "in/"}
    given["destination_object"] = "to/"
    later, sooner = now + timedelta(hours=1), now - timedelta(hours=1)
    assert run(GCSToGCSOperator(last_modified_time=later, **given)) == []
    naive = later.replace(tzinfo=None)
    told = run(GCSToGCSOperator(last_modified_time=sooner, maximum_modified_time=naive, **given))
    assert len(told) == 3
    given.update(source_object="nothing", source_object_required=True)
    with pytest.raises(Exception, match=r"There is no object gs://copies-\w+/nothing"):
        run(GCSToGCSOperator(**given))
    given.update(source_object="other", destination_object=None)
    with pytest.raises(Exception, match="cannot be copied onto itself"):
        run(GCSToGCSOperator(**given, move_object=True))
    assert places.get("gs", "other") == b"o"


@pytest.mark.usefixtures("gcs")
def test_a_move_deletes_what_it_has_copied(places: Places, monkeypatch: pytest.MonkeyPatch):
    places.fill("gs")
    task = GCSToGCSOperator(
        task_id="t",
        source_bucket=places.name,
        source_object="in/*",
        destination_object="to/",
        move_object=True,
    )
    uris = [f"gs://{places.name}/to/{name}" for name in ("a.csv", "c.txt", "sub/b.csv")]
    from tradewind.systems.gcs.store import GCSStore

    delete = GCSStore.delete_version

    def killed(store: GCSStore, key: str, etag: str) -> bool:
        if key == "in/c.txt":
            raise OSError("killed")
        return delete(store, key, etag)

    with monkeypatch.context() as during:
        during.setattr(GCSStore, "delete_version", killed)
        with pytest.raises(OSError, match="killed"):
            run(task)
    assert places.keys("gs", "in/")[0] == "in/c.txt"
    assert sorted(run(task)) == uris, "a retry tells also what its earlier attempt has moved"
    assert places.keys("gs") == ["other", "to/a.csv", "to/c.txt", "to/sub/b.csv"]


@pytest.mark.usefixtures("gcs")
def test_a_source_that_was_replaced_meanwhile_is_not_deleted(
    places: Places, monkeypatch: pytest.MonkeyPatch
):
    from tradewind.errors import RetryError
    from tradewind.systems.gcs.store import GCSStore

    places.fill("gs")
    delete = GCSStore.delete_version

    def late(store: GCSStore, key: str, etag: str) -> bool:
        places.put("gs", key, b"newer")
        return delete(store, key, etag)

    monkeypatch.setattr(GCSStore, "delete_version", late)
    task = GCSToGCSOperator(
        task_id="t",
        source_bucket=places.name,
        source_object="other",
        destination_object="to",
        move_object=True,
    )
    with pytest.raises(RetryError, match="was replaced after it was copied"):
        run(task)
    assert places.get("gs", "other") == b"newer"


@pytest.mark.usefixtures("gcs", "azure")
def test_local_files(places: Places, tmp_path: Path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    to_s3: dict[str, Any] = {"task_id": "t", "filename": str(tmp_path / "a.csv")}
    to_s3.update(dest_bucket=places.name, dest_key="up/a.csv")
    assert run(LocalFilesystemToS3Operator(**to_s3))["bytes"] == 5000
    run(LocalFilesystemToS3Operator(**to_s3))  # its own earlier attempt's
    with pytest.raises(Exception, match="exists and replace=False"):
        LocalFilesystemToS3Operator(**to_s3).execute({"ti": FirstAttempt()})
    run(LocalFilesystemToS3Operator(**to_s3, replace=True, gzip=True))
    assert gzip.decompress(places.get("s3", "up/a.csv")) == b"a.csv" * 1000
    to_gcs: dict[str, Any] = {"task_id": "t", "bucket": places.name, "mime_type": "text/csv"}
    uris = run(LocalFilesystemToGCSOperator(src=f"{tmp_path}/*.csv", dst="up/", **to_gcs))
    assert uris == [f"gs://{places.name}/up/{name}" for name in ("a.csv", "b.csv")]
    assert places.get("gs", "up/b.csv") == b"b.csv" * 1000
    assert places.head("gs", "up/a.csv").content_type == "text/csv"
    with pytest.raises(Exception, match="End it with a slash"):
        run(LocalFilesystemToGCSOperator(src=f"{tmp_path}/*.csv", dst="one", **to_gcs))
    with pytest.raises(Exception, match="there is no such file"):
        run(LocalFilesystemToGCSOperator(src=f"{tmp_path}/*.xml", dst="one", **to_gcs))
    to_azure: dict[str, Any] = {"task_id": "t", "file_path": os.path.relpath(tmp_path / "a.csv")}
    to_azure.update(container_name=places.name, blob_name="up/a.csv", create_container=True)
    run(LocalFilesystemToWasbOperator(**to_azure))
    assert places.get("az", "up/a.csv") == b"a.csv" * 1000
    with pytest.raises(Exception, match="exists and replace=False"):
        LocalFilesystemToWasbOperator(**to_azure).execute({"ti": FirstAttempt()})
    run(LocalFilesystemToWasbOperator(**to_azure, load_options={"overwrite": True}))


@pytest.mark.usefixtures("gcs", "azure")
def test_azure_and_the_others(places: Places):
    places.fill("s3")
    to_azure: dict[str, Any] = {"task_id": "t", "s3_bucket": places.name}
    to_azure.update(container_name=places.name, create_container=True)
    names = ["a.csv", "c.txt", "sub/b.csv"]
    assert run(S3ToAzureBlobStorageOperator(s3_prefix="in", blob_prefix="z", **to_azure)) == names
    assert places.keys("az") == [f"z/{name}" for name in names]
    one = S3ToAzureBlobStorageOperator(s3_key="in/a.csv", blob_name="one", **to_azure)
    assert run(one) == ["a.csv"]
    with pytest.raises(Exception, match="is no folder"):
        run(S3ToAzureBlobStorageOperator(s3_prefix="i", blob_prefix="z", **to_azure))
    with pytest.raises(Exception, match="names one blob, and there are 3"):
        run(S3ToAzureBlobStorageOperator(s3_prefix="in", blob_name="z", **to_azure))
    back = AzureBlobStorageToS3Operator(
        task_id="t",
        container_name=places.name,
        prefix="z/",
        delimiter=".csv",
        dest_s3_key=f"s3://{places.name}/back/",
    )
    assert run(back) == ["z/a.csv", "z/sub/b.csv"]
    assert places.get("s3", "back/z/sub/b.csv") == FILES["in/sub/b.csv"]
    to_gcs: dict[str, Any] = {"task_id": "t", "container_name": places.name, "blob_name": "one"}
    to_gcs.update(bucket_name=places.name, object_name="o", filename="unused", gzip=False)
    assert run(AzureBlobStorageToGCSOperator(**to_gcs)) == f"gs://{places.name}/o"
    listed = AzureBlobStorageToGCSOperator(**to_gcs, return_gcs_uris=True)
    assert run(listed) == [f"gs://{places.name}/o"]
    assert places.get("gs", "o") == FILES["in/a.csv"]


S3_GCS = {"bucket": "b", "dest_gcs": "gs://b/"}
GCS_S3 = {"gcs_bucket": "b", "dest_s3_key": "s3://b/"}
GCS_GCS = {"source_bucket": "b", "source_object": "o"}
S3_AZURE = {"s3_bucket": "b", "container_name": "c"}


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (S3ToGCSOperator, {**S3_GCS, "deferrable": True}, "Storage Transfer Service"),
        (S3ToGCSOperator, {"bucket": "b"}, "dest_gcs is missing"),
        (S3ToGCSOperator, {**S3_GCS, "poll_interval": 0}, "more than 0"),
        (GCSToS3Operator, {**GCS_S3, "gcp_user_project": "p"}, "requester pays"),
        (GCSToGCSOperator, {**GCS_GCS, "retention_mode": "Locked"}, "default retention"),
        (GCSToGCSOperator, {**GCS_GCS, "source_objects": ["a"]}, "Give one of"),
        (GCSToGCSOperator, {**GCS_GCS, "delimiter": "/"}, "lists folders"),
        (S3ToAzureBlobStorageOperator, {**S3_AZURE, "s3_key": "k"}, "One of blob_name"),
        (S3ToAzureBlobStorageOperator, {**S3_AZURE, "blob_name": "k"}, "One of s3_key"),
        (
            LocalFilesystemToGCSOperator,
            {"src": "s", "dst": "d", "bucket": "b", "chunk_size": 1000},
            "multiple of 262144",
        ),
        (
            LocalFilesystemToWasbOperator,
            {
                "file_path": "f",
                "container_name": "c",
                "blob_name": "n",
                "load_options": {"standard_blob_tier": "Cool"},
            },
            "standard_blob_tier has no meaning here",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_when_the_file_is_read(
    kind: Any, given: dict[str, Any], says: str
):
    with pytest.raises(InputError, match=says):
        kind(task_id="t", **given)


def test_globs_of_google():
    assert matches(None)("anything")
    assert matches("in/*.{csv,tsv}")("in/a.tsv")
    assert not matches("in/*.{csv,tsv}")("in/sub/a.tsv")
    assert matches("**/*.csv")("in/sub/a.csv")


@pytest.mark.usefixtures("gcs")
def test_the_receipt_is_bounded(places: Places):
    for number in range(25):
        places.put("gs", f"many/{number:02}")
    task = GCSToS3Operator(
        task_id="t", gcs_bucket=places.name, prefix="many/", dest_s3_key=f"s3://{places.name}/"
    )
    assert len(run(task)) == 25
    again = FirstAttempt()
    again.try_number = 2
    again.dag_id, again.run_id, again.task_id = "no dag", "no run", "no task"
    assert len(task.execute({"ti": again})) == 25
    receipt = again.pushed["receipt"]
    assert (len(receipt["skipped"]), receipt["skipped_count"]) == (20, 25)


@pytest.mark.usefixtures("gcs", "azure")
def test_a_folder_is_made_like_another(places: Places) -> None:
    """Of each operator that can: what is the copy of nothing goes, and nothing else."""
    name = places.name
    container = store_of(f"az://{name}/x")[0]
    container.create()  # type: ignore[attr-defined]
    for scheme in ("s3", "gs", "az"):
        places.put(scheme, "in/a")
        places.put(scheme, "in/sub/b")
    of_s3, of_gcs = {"prefix": "in/", "bucket": name}, {"prefix": "in/", "gcs_bucket": name}
    of_azure = {"prefix": "in/", "container_name": name}
    to_azure = {"container_name": name, "s3_bucket": name, "s3_prefix": "in/"}
    mirror = {"source_bucket": name, "source_object": "in", "destination_bucket": name}
    mirror |= {"destination_object": "2/in", "allow_overwrite": True}
    sides: list[tuple[str, str, Any, dict[str, Any]]] = [
        ("s3", "gs", S3ToGCSOperator, {**of_s3, "dest_gcs": f"gs://{name}/1/"}),
        ("gs", "s3", GCSToS3Operator, {**of_gcs, "dest_s3_key": f"s3://{name}/1/"}),
        ("az", "s3", AzureBlobStorageToS3Operator, {**of_azure, "dest_s3_key": f"s3://{name}/2/"}),
        ("s3", "az", S3ToAzureBlobStorageOperator, {**to_azure, "blob_prefix": "1/in/"}),
        (
            *("gs", "az", GCSToAzureBlobStorageOperator),
            {**of_gcs, "container_name": name, "blob_prefix": "2/"},
        ),
        ("gs", "gs", GCSSynchronizeBucketsOperator, mirror),
    ]
    kept = ("beside", "in/a", "in/sub/b")
    for source, scheme, kind, given in sides:
        # By what was given behind the bucket's name, which may end in a 2.
        folder = "2/" if "2/" in str(given).replace(name, "") else "1/"
        more = {} if kind is GCSSynchronizeBucketsOperator else {"replace": True}
        for extra in ("in/old", "in/sub/old", "beside"):
            places.put(scheme, folder + extra)
        ti = FirstAttempt()
        run(kind(task_id="t", **given, **more))
        assert len(places.keys(scheme, folder)) == 5, kind
        told = kind(task_id="t", **given, **more, delete_extra_files=True).execute({"ti": ti})
        receipt = ti.pushed.get("receipt", told)
        assert places.keys(scheme, folder) == [f"{folder}{one}" for one in kept], kind
        removed = [uri.partition(f"{name}/")[2] for uri in receipt["stored"]["removed"]]
        assert removed == [f"{folder}in/old", f"{folder}in/sub/old"], kind
        assert places.keys(source, "in/") == ["in/a", "in/sub/b"]
    again = run(GCSSynchronizeBucketsOperator(task_id="other", **mirror))
    assert len(again["skipped"]) == 2
    places.put("gs", "2/in/a", b"changed")
    run(GCSSynchronizeBucketsOperator(task_id="t", **{**mirror, "allow_overwrite": "False"}))
    assert places.get("gs", "2/in/a") == b"changed"
    run(GCSSynchronizeBucketsOperator(task_id="t", **mirror))
    assert places.get("gs", "2/in/a") == b"some"
    for given, says in (
        ({"source_object": "none", "delete_extra_files": True}, "would be deleted"),
        ({"delete_extra_files": "yes"}, "give True or False"),
        ({"delete_extra_files": True, "recursive": "False"}, "takes only a part"),
    ):
        with pytest.raises(AirflowFailException, match=says):
            run(GCSSynchronizeBucketsOperator(task_id="t", **{**mirror, **given}))
    with pytest.raises(InputError, match="takes only a part"):
        S3ToGCSOperator(task_id="t", **sides[0][3], delimiter=".csv", delete_extra_files=True)
    assert places.keys("gs", "2/") == ["2/beside", "2/in/a", "2/in/sub/b"]


@pytest.mark.usefixtures("gcs", "azure")
def test_google_to_azure_names_blobs_as_the_official_operator_does(places: Places) -> None:
    store_of(f"az://{places.name}/x")[0].create()  # type: ignore[attr-defined]
    places.fill("gs")
    places.put("gs", "in/marker/", b"")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"blob_prefix": "1"}, ["in/a.csv", "in/c.txt", "in/sub/b.csv"]),
        ({"blob_prefix": "2/", "flatten_structure": True}, ["a.csv", "b.csv", "c.txt"]),
        ({"blob_prefix": "3/", "match_glob": "**/*.csv"}, ["in/a.csv", "in/sub/b.csv"]),
        (
            {"blob_prefix": "4", "keep_directory_structure": False},
            ["in/in/a.csv", "in/in/c.txt", "in/in/sub/b.csv"],
        ),
    ]
    for number, (given, names) in enumerate(cases, 1):
        told = run(
            GCSToAzureBlobStorageOperator(
                task_id="t",
                gcs_bucket=places.name,
                prefix="in/",
                container_name=places.name,
                **given,
            )
        )
        assert places.keys("az", f"{number}/") == [f"{number}/{name}" for name in names], given
        assert len(told) == len(names)
    assert places.get("az", "1/in/sub/b.csv") == FILES["in/sub/b.csv"]
    with pytest.raises(InputError, match="gcp_user_project"):
        GCSToAzureBlobStorageOperator(
            task_id="t", gcs_bucket="b", container_name="c", gcp_user_project="p"
        )
