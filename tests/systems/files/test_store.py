"""Files as an object store: staged, renamed, recognised."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from made_rows import Rows
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore


def put(store: FileStore, key: str, data: bytes = b"data", **options) -> None:
    upload = store.upload(key, **options)
    upload.write(data)
    upload.complete()


def test_a_staged_file_is_hidden_recognised_and_removed(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    upload = store.upload("a/b.csv")
    upload.write(b"data")
    (staged,) = (tmp_path / "a").iterdir()
    assert staged.name.startswith(".b.csv.tradewind-")
    assert list(store.list()) == []
    (left,) = store.unfinished("a/")
    assert left.key == "a/b.csv"
    assert list(store.unfinished("a/b")) == [left]
    assert list(store.unfinished("b")) == []
    store.discard(left)
    with pytest.raises(RetryError, match=r"a/b\.csv.*taken over"):
        upload.complete()
    assert not (tmp_path / "a").exists()


def test_other_hidden_files_are_not_touched(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (tmp_path / ".notes.part").write_text("mine")
    put(store, "key")
    assert list(store.unfinished()) == []
    assert [info.key for info in store.list()] == [".notes.part", "key"]


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    put(FileStore(tmp_path), "key")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "key")}
    assert len(modes) == 1


def test_empty_folders_go_with_their_last_file(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "root")
    put(store, "a/b/c")
    put(store, "a/d")
    store.delete(["a/b/c"])
    assert [path.name for path in (tmp_path / "root" / "a").iterdir()] == ["d"]
    store.delete(["a/d"])
    assert list((tmp_path / "root").iterdir()) == []


def test_folders_made_for_what_failed_go_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "theirs/empty").mkdir(parents=True)
    owner, left = Owner("d", "r", "t"), {"theirs", "theirs/empty"}
    rows = pa.table({"n": range(9), "p": list("abcabcabc")})

    def fail() -> None:
        raise RetryError("of the source")

    def there() -> set[str]:
        return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}

    for key, parts in (
        ("theirs/empty/new/deep/t.csv", None),
        ("new/deep/", Parts(rows=2)),
        ("theirs/by/", Parts(by="p", open=1)),
    ):
        # As from the command line: the store begins at the folder.
        folder, _, name = key.rpartition("/")
        target = ObjectTarget(FileStore(tmp_path / folder), name, format="csv", parts=parts)
        with pytest.raises(RetryError, match="of the source"):
            transfer(Rows(rows, rows, before=fail), target, owner)
        assert there() == left, key
    # Where two write into one new folder, it stays for the other one.
    first, second = (FileStore(tmp_path / "both").upload(name) for name in "ab")
    first.abort()
    second.write(b"b")
    second.complete()
    assert there() == {*left, "both", "both/b"}


def test_links_that_lead_round_are_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    store = FileStore(tmp_path)
    for doing in (
        lambda: store.head("one"),
        lambda: list(store.list()),
        lambda: list(store.read("one")),
        lambda: store.upload("one"),
        lambda: store.upload("one/new/t.csv"),
    ):
        with pytest.raises(InputError, match=r"one.*Symbolic links lead round in a circle"):
            doing()


def test_changed_while_it_was_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    put(store, "key", bytes(9 << 20))
    reading = store.read("key")
    next(reading)
    with (tmp_path / "key").open("ab") as file:
        file.write(b"more")
    with pytest.raises(RetryError, match="replaced"):
        list(reading)


@pytest.mark.parametrize("key", ["../out", "a/../../out", "/etc/passwd", "a//b", ".", "a\0b"])
def test_keys_that_leave_the_folder(tmp_path: Path, key: str) -> None:
    store = FileStore(tmp_path)
    for call in (lambda: store.head(key), lambda: store.upload(key), lambda: store.delete([key])):
        with pytest.raises(InputError, match="no path within this folder"):
            call()


def test_a_file_where_a_folder_is_wanted(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    put(store, "a")
    with pytest.raises(SetupError, match="A file stands where a folder is wanted"):
        store.upload("a/b")
    assert store.head("a/b") is None
    with pytest.raises(InputError, match="too long"):
        store.upload("x" * 250)


def test_a_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    upload = FileStore(tmp_path).upload("key")
    upload._file.close()
    upload._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(SetupError, match=r"key.*No space left.*Make room"):
        upload.write(b"data")
    upload.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "root", "key"),
    [
        ("file:///data/2026/x.csv", "/data/2026", "x.csv"),
        ("file://localhost/data/x y%20z.csv", "/data", "x y%20z.csv"),
        ("/data/2026-*/x.csv", "/data", "2026-*/x.csv"),
        ("/data/", "/data", ""),
        ("/x", "/", "x"),
    ],
)
def test_from_uri(uri: str, root: str, key: str) -> None:
    store, found = FileStore.from_uri(uri)
    assert (str(store.root), found) == (root, key)


@pytest.mark.parametrize("uri", ["s3://bucket/key", "file://host/path", ""])
def test_wrong_uris(uri: str) -> None:
    with pytest.raises(InputError, match="names no file"):
        FileStore.from_uri(uri)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "link to nothing"])
def test_only_regular_files_are_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=f"{path} is a"):
        FileStore(tmp_path).upload("x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_fifo_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    store = FileStore(tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        store.head("x")
    with pytest.raises(InputError, match="not a regular file"):
        next(store.read("x"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_that_is_replaced_hands_on_its_mode(tmp_path: Path, mode: int) -> None:
    store = FileStore(tmp_path)
    put(store, "x", b"old", metadata={"a": "1"})
    (tmp_path / "x").chmod(mode)
    upload = store.upload("x", metadata={"a": "2"})
    (staged,) = tmp_path.glob(".x.tradewind-*")
    assert stat.S_IMODE(staged.stat().st_mode) == 0o600
    upload.write(b"new")
    upload.complete()
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    assert (tmp_path / "x").read_bytes() == b"new"
    found = store.head("x")
    assert found is not None
    assert found.metadata == {"a": "2"}


def test_folders_beside_are_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "neighbour" / "deep").mkdir(parents=True)
    looked = []
    scandir, listdir = os.scandir, os.listdir
    monkeypatch.setattr(os, "scandir", lambda path: (looked.append(str(path)), scandir(path))[1])
    monkeypatch.setattr(os, "listdir", lambda path: (looked.append(str(path)), listdir(path))[1])
    upload = FileStore(tmp_path).upload("x.csv")
    assert [left.key for left in FileStore(tmp_path).unfinished("x.csv")] == ["x.csv"]
    assert looked
    assert not any("neighbour" in path for path in looked)
    upload.abort()
