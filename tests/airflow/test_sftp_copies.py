"""The operators between SFTP and the object stores, against a server of each.

Over 400 lines: each operator's names and refusals, which share one server and its folders.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException

from adopting import Adopt
from airflow_runs import runs
from emulators import Emulator
from ssh_server import SSHServer, ssh_server
from tradewind.airflow import (
    GCSToSFTPOperator,
    S3ToSFTPOperator,
    SFTPToGCSOperator,
    SFTPToS3Operator,
    SFTPToWasbOperator,
)
from tradewind.airflow.connections.stores import store_of
from tradewind.errors import CancelledError, InputError, RetryError
from tradewind.local import Systems
from tradewind.move.arrivals import Arrivals, time_of
from tradewind.systems.sftp.airflow import sftp_store

pytestmark = pytest.mark.airflow


class Places:
    """A folder behind SFTP, and a bucket in S3 and in GCS."""

    def __init__(self, folder: Path, bucket: str, s3: Any) -> None:
        self.folder = folder
        self.bucket = bucket
        self._s3 = s3

    def put(self, **files: bytes) -> None:
        for name, data in files.items():
            self._s3.put_object(Bucket=self.bucket, Key=name.replace("__", "/"), Body=data)

    def make(self, name: str, data: bytes = b"some") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def keys(self, prefix: str = "", scheme: str = "s3") -> list[str]:
        store, _ = store_of(f"{scheme}://{self.bucket}/x")
        return [info.key for info in store.list(prefix)]

    def get(self, key: str, scheme: str = "s3") -> bytes:
        return b"".join(store_of(f"{scheme}://{self.bucket}/{key}")[0].read(key))

    def to_s3(self, **given: Any) -> dict[str, Any]:
        given = {"s3_key": "got/", "sftp_path": f"{self.folder}/", **given}
        task = SFTPToS3Operator(task_id="t", s3_bucket=self.bucket, **given)
        return task.execute({})  # type: ignore[no-any-return]

    def to_sftp(self, **given: Any) -> dict[str, Any]:
        given = {"sftp_path": f"{self.folder}/", **given}
        task = S3ToSFTPOperator(task_id="t", s3_bucket=self.bucket, **given)
        return task.execute({})  # type: ignore[no-any-return]

    def to_gcs(self, source: str, **given: Any) -> dict[str, Any]:
        task = SFTPToGCSOperator(
            task_id="t",
            source_path=f"{self.folder}/{source}",
            destination_bucket=f"gs://{self.bucket}/",
            **given,
        )
        return task.execute({})  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def known(server: SSHServer, local_s3: Systems) -> dict[str, str]:
    """The connections."""
    extra = {"key_file": str(server.key_file), "host_key": server.host_key}
    ssh = {"conn_type": "ssh", "host": "127.0.0.1", "port": server.port, "login": server.username}
    return {
        "AIRFLOW_CONN_SSH_DEFAULT": json.dumps({**ssh, "extra": extra}),
        **{k: v for k, v in local_s3.environment.items() if k.startswith("AIRFLOW_CONN_")},
    }


@pytest.fixture
def places(
    known: dict[str, str], s3_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Places:
    for variable, value in known.items():
        monkeypatch.setenv(variable, value)
    name = f"sftp-{uuid4().hex[:8]}"
    s3_client.create_bucket(Bucket=name)
    return Places(tmp_path, name, s3_client)


@pytest.fixture
def gcs(fake_gcs: Emulator, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint)
    google = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(google))
    httpx.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": places.bucket})


def test_files_are_named_as_the_official_operator_does(places: Places) -> None:
    places.make("orders_a.csv", b"a")
    places.make("orders_b.csv", b"b" * 100_000)
    places.make("old_orders_c.csv")
    places.make(".orders_d.csv.tradewind-00000000.part")
    places.make("orders_folder/e.csv")
    folder = str(places.folder)
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"sftp_filenames": "*"}, ["old_orders_c.csv", "orders_a.csv", "orders_b.csv"]),
        ({"sftp_filenames": "orders_", "sftp_path": folder}, ["orders_a.csv", "orders_b.csv"]),
        ({"sftp_filenames": "orders_", "s3_filenames": "o/"}, ["o/a.csv", "o/b.csv"]),
        ({"sftp_filenames": "none"}, []),
        ({"sftp_filenames": ["orders_folder/e.csv"]}, ["orders_folder/e.csv"]),
        ({"sftp_filenames": ["orders_a.csv"], "s3_filenames": ["x"]}, ["x"]),
        (
            {"sftp_filenames": ["gone", "orders_a.csv"], "fail_on_file_not_exist": False},
            ["orders_a.csv"],
        ),
        ({"sftp_path": f"{folder}//./orders_a.csv"}, [""]),
    ]
    for number, (given, names) in enumerate(cases):
        to = f"s3://{places.bucket}/{number}/" if names != [""] else f"/{number}/"
        receipt = places.to_s3(s3_key=to, **given)
        assert places.keys(f"{number}/") == [f"{number}/{name}" for name in names], given
        assert receipt["stored"]["object_count"] == len(names)
    assert places.get("0/orders_b.csv") == b"b" * 100_000
    for given, says in (
        ({"sftp_filenames": ["gone"]}, "There is no sftp://"),
        ({"sftp_path": f"{folder}/gone/", "sftp_filenames": "*"}, "no such folder"),
        ({"sftp_filenames": ["a", "b"], "s3_filenames": ["x"]}, "as many of each"),
        ({"sftp_filenames": ["a"], "s3_filenames": "x"}, "two lists"),
        ({"s3_key": "s3://other/x", "sftp_filenames": "*"}, "another bucket"),
    ):
        with pytest.raises(AirflowFailException, match=says):
            places.to_s3(**given)


def test_what_is_there_is_refused_but_for_its_own(places: Places) -> None:
    places.make("a", b"1" * 50)
    path = f"{places.folder}/a"
    places.to_s3(sftp_path=path, s3_key="a", gzip=True, use_temp_file=False)
    assert gzip.decompress(places.get("a")) == b"1" * 50
    places.to_s3(sftp_path=path, s3_key="a", gzip=True)  # as a retry
    places.put(b=b"another's")
    with pytest.raises(AirflowFailException, match="exists and replace=False"):
        places.to_s3(sftp_path=path, s3_key="b", use_temp_file=False)
    assert places.get("b") == b"another's"
    places.to_s3(sftp_path=path, s3_key="b", replace=True)
    assert places.get("b") == b"1" * 50
    with pytest.warns(DeprecationWarning, match="'s3_conn_id' parameter is deprecated"):
        places.to_s3(sftp_path=path, s3_key="c", s3_conn_id="aws_default")


def test_files_that_are_not_whole_are_told_apart(places: Places) -> None:
    for name, day in (("a.csv", 1), ("b.csv", 2), ("c.csv", 3)):
        when = datetime(2026, 3, day, tzinfo=UTC).timestamp()
        os.utime(places.make(name), (when, when))
    places.make("a.csv.done")
    places.make("c.csv.done")
    receipt = places.to_s3(
        sftp_filenames="*", newer_than="2026-03-02", done_file="{name}.done", stable_seconds=0.01
    )
    assert places.keys("got/") == ["got/c.csv"]
    assert receipt["stored"]["object_count"] == 1
    with pytest.raises(
        RetryError, match=r"b\.csv is still being written: there is no .*b\.csv\.done"
    ):
        places.to_s3(sftp_filenames=["a.csv", "b.csv"], done_file="{name}.done")
    with pytest.raises(AirflowFailException, match="is no time"):
        places.to_s3(sftp_filenames="*", newer_than="yesterday")
    with pytest.raises(AirflowFailException, match="done_file="):
        places.to_s3(sftp_filenames="*", done_file="x/y")

    class Writer(threading.Event):
        """Writes where the operator waits."""

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout == 30
            with (places.folder / "b.csv").open("ab") as file:
                file.write(b"more")
            (places.folder / "c.csv").unlink()
            return self.is_set()

    store = sftp_store("", "ssh_default")
    infos = [i for i in store.files(f"{places.folder}/".lstrip("/")) if i.key.endswith(".csv")]
    chosen, left = Arrivals(stable_seconds=30).chosen(store, infos, Writer())
    assert [one.key.rpartition("/")[2] for one in chosen] == ["a.csv"]
    assert [one.why.partition("is ")[2] for one in left] == [
        "8 bytes 30 s later",
        "gone 30 s later",
    ]
    stopped = Writer()
    stopped.set()
    places.make("c.csv")
    with pytest.raises(CancelledError):
        Arrivals(stable_seconds=30).chosen(store, infos, stopped)
    places.make("_SUCCESS")
    whole, left = Arrivals(done_file="_SUCCESS").chosen(
        store, list(store.files(f"{places.folder}/".lstrip("/")))
    )
    assert "_SUCCESS" not in {one.key.rpartition("/")[2] for one in whole}
    assert [one.unfinished for one in left] == [False]
    assert time_of(datetime(2026, 1, 1), "t") == datetime(2026, 1, 1, tzinfo=UTC)


def test_objects_are_handed_out(places: Places) -> None:
    places.put(in__r_a=b"a", in__sub__r_b=b"b" * 100_000, in__other=b"o")
    folder = places.folder
    places.to_sftp(s3_key="in/other", sftp_path=f"{folder}/one/file.txt")
    assert (folder / "one/file.txt").read_bytes() == b"o"
    places.put(in__other=b"new")
    places.to_sftp(s3_key="in/other", sftp_path=f"{folder}/one/file.txt", confirm=False)
    assert (folder / "one/file.txt").read_bytes() == b"new"
    uri = f"s3://{places.bucket}/in/"
    for number, (given, names) in enumerate(
        (
            ({"s3_filenames": "*"}, ["other", "r_a", "sub/r_b"]),
            ({"s3_filenames": "r_", "sftp_filenames": "x_"}, ["sub/x_b", "x_a"]),
            ({"s3_filenames": ["r_a", "gone"], "fail_on_file_not_exist": False}, ["r_a"]),
            ({"s3_filenames": ["r_a"], "sftp_filenames": ["y"]}, ["y"]),
        )
    ):
        to = folder / str(number)
        places.to_sftp(s3_key=uri, sftp_path=f"{to}/", **given)
        found = sorted(str(p.relative_to(to)) for p in to.rglob("*") if p.is_file())
        assert found == names, given
    assert (folder / "0/sub/r_b").read_bytes() == b"b" * 100_000
    places.put(**{"up__..__..__x": b"x"})
    for given, says in (
        ({"s3_key": "gone"}, "There is no s3://"),
        ({"s3_key": "up/", "s3_filenames": "*"}, "is no path within"),
    ):
        with pytest.raises(AirflowFailException, match=says):
            places.to_sftp(**given)


def test_a_mark_goes_with_its_file_also_where_another_file_fails() -> None:
    """By a source in memory: its retry finds the first file gone, and would leave the mark."""

    class Source:
        files: ClassVar[dict[str, str]] = {"a": "1", "a.done": "1", "b": "newer", "b.done": "1"}

        def uri(self, key: str) -> str:
            return key

        def head(self, key: str) -> Any:
            etag = self.files.get(key)
            return etag and SimpleNamespace(key=key, etag=etag)

        def delete_version(self, key: str, version: str) -> bool:
            return self.files[key] == version and bool(self.files.pop(key))

    task = SFTPToGCSOperator(
        task_id="t",
        source_path="*",
        destination_bucket="b",
        move_object=True,
        done_file="{name}.done",
    )
    task._versions = {"a": "1", "b": "1"}
    copies: Any = SimpleNamespace(source=Source())
    with pytest.raises(RetryError, match="b was replaced"):
        task.finish(copies, [("a", "a"), ("b", "b")])
    assert sorted(Source.files) == ["b", "b.done"]


@pytest.mark.usefixtures("gcs")
def test_files_are_moved_to_gcs(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("in/a.csv", "in/sub/b.csv", "in/c.txt"):
        places.make(name, name.encode())
    places.to_gcs("in/*.csv", destination_path="/out/")
    assert places.keys("", "gs") == ["out/a.csv", "out/sub/b.csv"]
    places.to_gcs("in/c.txt", mime_type="text/plain", gzip=True, use_stream=True)
    assert gzip.decompress(places.get("c.txt", "gs")) == b"in/c.txt"
    places.to_gcs("in/*", move_object=True)
    assert places.keys("", "gs")[:2] == ["a.csv", "c.txt"]
    assert [path for path in places.folder.rglob("*") if path.is_file()] == []
    assert (places.folder / "in").is_dir(), "the folder that files are dropped in stays"
    places.make("one")
    move = {"destination_path": "moved", "move_object": True}
    places.to_gcs("one", **move)
    receipt = places.to_gcs("one", **move)
    assert receipt["stored"]["object_count"] == 0, "a retry of a move that was done all but its end"
    with pytest.raises(AirflowFailException, match="There is no sftp://"):
        places.to_gcs("two", **{**move, "destination_path": "else"})
    with pytest.raises(AirflowFailException, match="one \\* at most"):
        places.to_gcs("*/*")
    with pytest.raises(AirflowFailException, match="names no object"):
        places.to_gcs("one", destination_path="folder/")
    for name in ("drop/a", "drop/a.done", "drop/b"):
        places.make(name)
    places.to_gcs("drop/*", destination_path="done", move_object=True, done_file="{name}.done")
    assert places.keys("done", "gs") == ["done/a"]
    assert [path.name for path in places.folder.glob("drop/*")] == ["b"], "no mark without a file"
    path = places.make("late")

    def replaced(task: SFTPToGCSOperator, copies: Any, done: Any) -> None:
        path.write_bytes(b"newer")
        finish(task, copies, done)

    finish: Callable[..., None] = SFTPToGCSOperator.finish
    monkeypatch.setattr(SFTPToGCSOperator, "finish", replaced)
    with pytest.raises(RetryError, match="was replaced after it was copied"):
        places.to_gcs("late", move_object=True)
    assert path.read_bytes() == b"newer"


def test_a_login_has_a_folder_and_a_host_another_before_it(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sftp_store("", "ssh_default")
    assert store.absolute("x//y/") == f"{Path.home()}/x/y/"
    extra = {"jump_host": "me@gate.example:2222"}
    connection = {"conn_type": "sftp", "host": "files.example", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_BEHIND", json.dumps(connection))
    behind = sftp_store("", "behind", remote_host="other.example")
    assert behind.host == "other.example"
    assert behind._link.connection.options["tunnel"] == "me@gate.example:2222"


def test_in_airflow(
    places: Places, airflow_home: Path, known: dict[str, str], tmp_path_factory: Any
) -> None:
    dags = tmp_path_factory.mktemp("sftp-dags")
    (dags / "there_and_back.py").write_text(
        f"""
from airflow.sdk import DAG
from tradewind.airflow import S3ToSFTPOperator, SFTPToS3Operator

with DAG("there_and_back", schedule=None):
    out = S3ToSFTPOperator(
        task_id="out", s3_bucket={places.bucket!r}, s3_key="in/", s3_filenames="*",
        sftp_path="{places.folder}/{{{{ ds }}}}/",
    )
    out >> SFTPToS3Operator(
        task_id="back", s3_bucket={places.bucket!r}, s3_key="{{{{ ds }}}}/", sftp_filenames="*",
        sftp_path="{places.folder}/{{{{ ds }}}}", newer_than="{{{{ data_interval_start }}}}",
    )
"""
    )
    places.put(in__a=b"a", in__b=b"b")
    with runs(airflow_home, dags, known) as one:
        told = one.run("there_and_back")
    assert told.get("state") == "success", told.get("errors") or told["log"][-6000:]
    assert places.keys("2026-01-01/") == ["2026-01-01/a", "2026-01-01/b"]
    assert told["xcoms"]["back"]["stored"]["object_count"] == 2
    assert told["xcoms"]["out"]["stored"]["objects"][0]["uri"].startswith("sftp://127.0.0.1:")


def test_objects_of_google_are_handed_out(places: Places, gcs: None) -> None:
    """As the official GCSToSFTPOperator names them; whole, and moved only as they were copied."""
    for key in ("in/a.csv", "in/sub/b.csv", "in/c.txt", "in/sub/"):
        upload = store_of(f"gs://{places.bucket}/{key}")[0].upload(key)
        upload.write(b"" if key.endswith("/") else key.encode())
        upload.complete()

    def run(source: str, to: str, **given: Any) -> list[str]:
        folder = places.folder / to
        GCSToSFTPOperator(
            task_id="t",
            source_bucket=places.bucket,
            source_object=source,
            destination_path=str(folder),
            **given,
        ).execute({})
        return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())

    flat = {"keep_directory_structure": False}
    assert run("in/a.csv", "1") == ["in/a.csv"]
    assert run("in/a.csv", "2", **flat) == ["a.csv"]
    assert run("in/*", "3") == ["in/a.csv", "in/c.txt", "in/sub/b.csv"]
    assert run("in/*.csv", "4", **flat) == ["a.csv", "sub/b.csv"]
    assert (places.folder / "4/sub/b.csv").read_bytes() == b"in/sub/b.csv"
    (places.folder / "5").mkdir()
    assert run("in/a.csv", "5", create_intermediate_dirs=False, **flat) == ["a.csv"]
    for source, given, says in (
        ("in/none", {}, "There is no object gs://"),
        ("in/*/*", {}, r"give one \* at most"),
        ("in/a.csv", {"create_intermediate_dirs": False}, "no such folder"),
    ):
        with pytest.raises(AirflowFailException, match=says):
            run(source, "6", **given)
    assert not (places.folder / "6").exists()
    assert run("in/*.csv", "7", move_object=True) == ["in/a.csv", "in/sub/b.csv"]
    assert places.keys("in/", "gs") == ["in/c.txt", "in/sub/"]
    with pytest.raises(
        AirflowFailException, match=r"An earlier attempt may have moved it: sftp://"
    ):
        run("in/a.csv", "7", move_object=True)


def test_files_go_to_azure(
    places: Places, azurite: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the official SFTPToWasbOperator names the blobs."""
    wasb = {"conn_type": "wasb", "host": azurite.endpoint, "password": azurite.key}
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(wasb))
    for name in ("a.csv", "sub/b.csv", "c.txt"):
        places.make(f"out/{name}", name.encode())

    def run(source: str, prefix: str, **given: Any) -> list[str]:
        task = SFTPToWasbOperator(
            task_id="t",
            sftp_source_path=f"{places.folder}/{source}",
            container_name=places.bucket,
            blob_prefix=prefix,
            sftp_conn_id="ssh_default",
            create_container=True,
            **given,
        )
        task.execute({})
        return [key.removeprefix(prefix) for key in places.keys(prefix, "az")]

    assert run("out/a.csv", "1/") == ["a.csv"]
    assert run("out", "2/") == ["a.csv", "b.csv", "c.txt"]
    assert run("out/", "3-") == ["a.csv", "b.csv", "c.txt"]
    assert run("out/*.csv", "4/", load_options={"metadata": {"by": "us"}}) == ["a.csv", "b.csv"]
    assert places.get("4/b.csv", "az") == b"sub/b.csv"
    places.make("out/a.csv", b"new")
    assert run("out/a.csv", "1/", wasb_overwrite_object=True) == ["a.csv"]
    assert places.get("1/a.csv", "az") == b"new"
    store = store_of(f"az://{places.bucket}/x")[0]
    upload = store.upload("5/c.txt")
    upload.write(b"by somebody else")
    upload.complete()
    for source, prefix, says in (
        ("out/c.txt", "5/", "exists"),
        ("none", "6/", "no such folder"),
        ("out/*x*", "6/", r"give one \* at most"),
    ):
        with pytest.raises(AirflowFailException, match=says):
            run(source, prefix)
    places.make("out/other/a.csv")
    with pytest.raises(AirflowFailException, match="would both become"):
        run("out", "7/")
    (places.folder / "out/other/a.csv").unlink()
    places.make("out/a.csv.done")
    assert run("out/*", "8/", move_object=True, done_file="{name}.done") == ["a.csv"]
    left = sorted(one.name for one in (places.folder / "out").rglob("*") if one.is_file())
    assert left == ["b.csv", "c.txt"]
    assert run("out/c.txt", "9/", move_object=True) == ["c.txt"]
    assert run("out/c.txt", "9/", move_object=True) == ["c.txt"]  # its retry finds it moved
    with pytest.raises(InputError, match="timeout"):
        run("out", "10/", load_options={"timeout": 1})


#: As the example DAGs of the official providers call them (example_gcs_to_sftp,
#: example_sftp_to_gcs, example_sftp_to_wasb, example_gcs_to_gcs, example_local_to_wasb).
EXAMPLES = """
from airflow.providers.google.cloud.operators.gcs import GCSSynchronizeBucketsOperator
from airflow.providers.google.cloud.transfers.gcs_to_sftp import GCSToSFTPOperator
from airflow.providers.google.cloud.transfers.sftp_to_gcs import SFTPToGCSOperator
from airflow.providers.microsoft.azure.transfers.local_to_wasb import LocalFilesystemToWasbOperator
from airflow.providers.microsoft.azure.transfers.sftp_to_wasb import SFTPToWasbOperator

tasks = [
    SFTPToGCSOperator(task_id="file-copy-sftp-to-gcs", sftp_conn_id=SFTP_CONN_ID,
                      source_path=f"{FOLDER}/tmp.tar.gz", destination_bucket=BUCKET),
    SFTPToGCSOperator(task_id="dir-copy-sftp-to-gcs", sftp_conn_id=SFTP_CONN_ID,
                      source_path=f"{FOLDER}/dir-1/*", destination_bucket=BUCKET),
    SFTPToGCSOperator(task_id="dir-move-specific-files-sftp-to-gcs", sftp_conn_id=SFTP_CONN_ID,
                      source_path=f"{FOLDER}/dir-2/*.txt", destination_bucket=BUCKET,
                      destination_path="destination_dir/", move_object=True),
    GCSToSFTPOperator(task_id="file-copy-gcs-to-sftp", sftp_conn_id=SFTP_CONN_ID,
                      source_bucket=BUCKET, source_object="tmp.tar.gz",
                      destination_path=f"{FOLDER}/back-1"),
    GCSToSFTPOperator(task_id="dir-copy-gcs-to-sftp", sftp_conn_id=SFTP_CONN_ID,
                      source_bucket=BUCKET, source_object="destination_dir/*",
                      destination_path=f"{FOLDER}/back-2", keep_directory_structure=False),
    SFTPToWasbOperator(task_id="transfer_files_from_sftp_to_wasb", sftp_conn_id=SFTP_CONN_ID,
                       sftp_source_path=f"{FOLDER}/tmp.tar.gz", container_name=BUCKET,
                       blob_prefix="prefix-", create_container=True),
    LocalFilesystemToWasbOperator(task_id="upload_file", file_path=f"{FOLDER}/tmp.tar.gz",
                                  container_name=BUCKET, blob_name="local.tar.gz"),
    GCSSynchronizeBucketsOperator(task_id="sync-to-subdirectory", source_bucket=BUCKET,
                                  source_object="destination_dir/", destination_bucket=BUCKET,
                                  destination_object="subdir/"),
    GCSSynchronizeBucketsOperator(task_id="sync-buckets", source_bucket=BUCKET,
                                  source_object="destination_dir/", destination_bucket=BUCKET,
                                  destination_object="subdir/", delete_extra_files=True,
                                  allow_overwrite=True),
]
"""


def test_the_official_examples_run_after_the_change_of_import(
    places: Places,
    gcs: None,
    azurite: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wasb = {"conn_type": "wasb", "host": azurite.endpoint, "password": azurite.key}
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(wasb))
    for name in ("tmp.tar.gz", "dir-1/a", "dir-1/sub/b", "dir-2/c.txt", "dir-2/d.bin"):
        places.make(name, name.encode())
    (tmp_path / "dags").mkdir()
    found, reasons = Adopt(tmp_path / "dags", capsys).switch(EXAMPLES)
    assert reasons == []
    assert "airflow.providers" not in found
    names: dict[str, Any] = {"FOLDER": places.folder, "BUCKET": places.bucket}
    names["SFTP_CONN_ID"] = "ssh_default"
    exec(compile(found, "examples.py", "exec"), names)
    for task in names["tasks"]:
        if task.task_id == "sync-buckets":
            upload = store_of(f"gs://{places.bucket}/x")[0].upload("subdir/extra")
            upload.write(b"extra")
            upload.complete()
        task.execute({})
    assert places.keys("", "gs") == [
        "a",
        "destination_dir/c.txt",
        "sub/b",
        "subdir/c.txt",
        "tmp.tar.gz",
    ]
    assert places.keys("", "az") == ["local.tar.gz", "prefix-tmp.tar.gz"]
    assert (places.folder / "back-1/tmp.tar.gz").read_bytes() == b"tmp.tar.gz"
    assert (places.folder / "back-2/c.txt").read_bytes() == b"dir-2/c.txt"
    assert sorted(one.name for one in (places.folder / "dir-2").iterdir()) == ["d.bin"]
