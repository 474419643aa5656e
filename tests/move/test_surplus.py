"""Deletion of what has no source: on request, of what a listing showed, and of nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tradewind.cli import main
from tradewind.errors import InputError
from tradewind.move.copy import copy_prefix, plan_copy
from tradewind.move.copy_pairs import copy_pairs
from tradewind.move.flow import CancelledError
from tradewind.move.store import Store
from tradewind.owner import Owner
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.store import S3Store
from tradewind.systems.sftp.store import SFTPStore
from tradewind.testing.memory_store import MemoryStore

OURS = Owner("copies", "2026-11-24", "sync")


def put(store: Store, *keys: str, data: bytes = b"some") -> None:
    for key in keys:
        upload = store.upload(key)
        upload.write(data)
        upload.complete()


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key[len(prefix) :] for info in store.list(prefix)]


def test_each_kind_of_store_deletes_the_version_it_is_asked_for(
    s3_store: S3Store,
    versity_store: S3Store,
    gcs_store: GCSStore,
    azure_store: AzureStore,
    sftp_store: SFTPStore,
    file_store: FileStore,
) -> None:
    stores = (s3_store, versity_store, gcs_store, azure_store, sftp_store, file_store)
    for store in (*stores, MemoryStore()):
        put(store, "a/b", "a/c")
        seen = store.head("a/b")
        assert seen is not None
        put(store, "a/b", data=b"by somebody else")
        assert not store.delete_version("a/b", str(seen.etag)), store
        now = store.head("a/b")
        assert now is not None, store
        assert store.delete_version("a/b", str(now.etag)), store
        assert store.delete_version("a/b", str(now.etag)), store  # it is gone already
        assert keys(store) == ["a/c"], store

        source = MemoryStore("from")
        put(source, "in/1", "in/deep/2")
        put(store, "to/1", "to/gone", "to/deep/gone", "tomb")
        told = copy_prefix(source, "in/", store, "to/", owner=OURS, delete_surplus=True)
        assert keys(store, "to/") == ["1", "deep/2"], store
        assert store.head("tomb") is not None, store
        assert told.stored.removed == (store.uri("to/deep/gone"), store.uri("to/gone"))
        assert told.stored.notes == ()
        store.delete(keys(store))  # two of them are the same folder


class Watched(MemoryStore):
    """Does something when an object is looked at for the first time after the copying."""

    def __init__(self, key: str, then: Callable[[], None]) -> None:
        super().__init__()
        self.key, self.then = key, then

    def head(self, key: str) -> Any:
        found = super().head(key)
        if key == self.key and self.then is not None:
            then, self.then = self.then, lambda: None
            then()
        return found


def test_what_a_writer_does_meanwhile_is_let_be() -> None:
    source = MemoryStore("from")
    put(source, "in/1")
    stop = threading.Event()
    cases: dict[str, tuple[Callable[[MemoryStore], None], list[str], str]] = {
        "replaced before": (lambda to: put(to, "to/x", data=b"new"), ["1", "x"], "was replaced"),
        "has a source": (lambda to: put(source, "in/x"), ["1", "x"], "has a source by now"),
        "deleted": (lambda to: to.delete(["to/x"]), ["1"], ""),
    }
    for name, (act, there, says) in cases.items():
        source.delete(["in/x"])
        # Between the first look of the deletion and the condition of it.
        to = Watched("to/x", lambda act=act: act(to))  # type: ignore[misc] # noqa: B023
        put(to, "to/x")
        told = copy_prefix(source, "in/", to, "to/", owner=OURS, delete_surplus=True)
        assert keys(to, "to/") == there, name
        assert says in "".join(told.stored.notes), name
        assert told.stored.removed == (() if says else (to.uri("to/x"),)), name
    source.delete(["in/x"])
    to = Watched("to/x", stop.set)
    put(to, "to/x", "to/y")
    with pytest.raises(CancelledError):
        copy_prefix(source, "in/", to, "to/", owner=OURS, delete_surplus=True, stop=stop, objects=1)


def test_markers_of_folders_that_have_copies_stay() -> None:
    source, to = MemoryStore("from"), MemoryStore("to")
    put(source, "in/a/1")
    for key in ("to/a/", "to/old/"):
        to.upload(key).complete()
    told = copy_prefix(source, "in/", to, "to/", owner=OURS, delete_surplus=True)
    assert keys(to, "to/") == ["a/", "a/1"]
    assert told.stored.removed == (to.uri("to/old/"),)


def test_a_marker_that_no_file_can_be_named_by_is_surplus(tmp_path: Path) -> None:
    source, to = FileStore(tmp_path), MemoryStore("to")
    put(source, "1")
    for key in ("to/", "to/old/"):
        to.upload(key).complete()
    told = copy_prefix(source, "", to, "to/", owner=OURS, delete_surplus=True)
    assert keys(to, "to/") == ["", "1"]
    assert told.stored.removed == (to.uri("to/old/"),)


def test_nothing_is_deleted_where_a_name_may_be_wrong(tmp_path: Path) -> None:
    source, to = MemoryStore("from"), MemoryStore("to")
    put(to, "to/x")
    put(source, "in/1")
    cases: list[tuple[Store, str, Store, str, str]] = [
        (source, "none/", to, "to/", "There is no object"),
        (source, "in", to, "to/", "both prefixes end with a slash"),
        (source, "in/", to, "to", "both prefixes end with a slash"),
        (source, "in/", source, "in/deep/", "overlap"),
        (source, "", source, "in/", "overlap"),
        (FileStore(tmp_path), "", FileStore(tmp_path / "deep"), "", "overlap"),
    ]
    put(FileStore(tmp_path), "1", "deep/x")
    for one, read, other, written, says in cases:
        with pytest.raises(InputError, match=says):
            copy_prefix(one, read, other, written, owner=OURS, delete_surplus=True)
        pairs = [(info.key, written + info.key[len(read) :]) for info in one.list(read)]
        with pytest.raises(InputError):
            copy_pairs(one, other, pairs, owner=OURS, surplus=(read, written))
        with pytest.raises(InputError):
            plan_copy(one, read, other, written, delete_surplus=True)
    assert keys(to) == ["to/x"]
    assert keys(source) == ["in/1"]
    assert keys(FileStore(tmp_path)) == ["1", "deep/x"]


def test_a_folder_beside_one_that_begins_alike_is_no_overlap(tmp_path: Path) -> None:
    lake, mirror = FileStore(tmp_path / "in"), FileStore(tmp_path / "in2")
    put(lake, "1")
    put(mirror, "old")
    for source, to in ((lake, mirror), (mirror, lake)):
        copy_prefix(source, "", to, "", owner=OURS, delete_surplus=True)
        assert keys(lake) == keys(mirror) == ["1"]


def test_the_command_shows_and_does_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake, mirror = FileStore(tmp_path / "lake"), FileStore(tmp_path / "mirror")
    put(lake, "a/1", "a/b/2")
    put(mirror, "a/1", "a/old", "beside", data=b"other")
    line = ["copy", "--from", "lake/a/", "--to", "mirror/a/"]

    def run(*more: str) -> tuple[int, str, str]:
        status = main([*line, *more])
        told = capsys.readouterr()
        return status, told.out, told.err

    status, out, _ = run("--delete-extra-files", "--dry-run", "--json")
    assert status == 0
    plan = json.loads(out)
    assert [uri.rpartition("/")[2] for uri in plan["delete"]] == ["old"]
    assert len(plan["copy"]) == 2
    assert keys(mirror) == ["a/1", "a/old", "beside"]
    assert run("--no-replace")[0] == 2
    status, out, _ = run()
    assert status == 0
    assert keys(mirror) == ["a/1", "a/b/2", "a/old", "beside"]
    status, out, _ = run("--delete-extra-files", "--quiet")
    assert status == 0
    assert "deleted        1 objects" in out
    assert "mirror/a/old" in out
    assert keys(mirror) == ["a/1", "a/b/2", "beside"]
    assert b"".join(mirror.read("a/1")) == b"some"
    for wrong, says in (
        (["copy", "--from", "lake/a/", "--to", "mirror/a"], "one of --from and --to ends"),
        (["copy", "--from", "lake/none/", "--to", "mirror/a/"], "no object"),
        (["copy", "--from", "lake/a/1", "--to", "b", "--delete-extra-files"], "for folders"),
        (["copy", "--from", "connection:x", "--to", "b"], "names no object"),
    ):
        assert main(wrong) == 2, wrong
        assert says in capsys.readouterr().err
    assert main(["copy", "--from", "lake/a/1", "--to", "one"]) == 0
    assert (tmp_path / "one").read_bytes() == b"some"
    assert keys(mirror) == ["a/1", "a/b/2", "beside"]
