"""File targets that are links, other users' files, or wanted by two writers at once."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tradewind.errors import InputError, RetryError
from tradewind.systems.files.store import FileStore

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

NOBODY = 65534


def put(store: FileStore, key: str, data: bytes, **options) -> None:
    upload = store.upload(key, **options)
    upload.write(data)
    upload.complete()


def test_the_file_behind_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    real, link = tmp_path / "real" / "x.csv", tmp_path / "links" / "x.csv"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to("../real/x.csv")
    store = FileStore(tmp_path / "links")
    head = store.head("x.csv")
    assert head is not None
    with real.open("rb") as reading:
        put(store, "x.csv", b"new", replaces=head.etag)
        assert reading.read() == b"old", "it was written in place"
    assert link.is_symlink()
    assert os.readlink(link) == "../real/x.csv"
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["links", "real", "x.csv", "x.csv"]


def test_what_is_left_beside_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    store = FileStore(tmp_path)
    upload = store.upload("link")
    (left,) = store.unfinished("link")
    store.discard(left)
    with pytest.raises(RetryError, match="taken over"):
        upload.complete()
    assert (tmp_path / "real").read_bytes() == b"old"


def test_a_link_that_is_turned_meanwhile(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "link"
    link.symlink_to("one")
    upload = FileStore(tmp_path).upload("link")
    link.unlink()
    link.symlink_to("two")
    with pytest.raises(RetryError, match="link was changed"):
        upload.complete()
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["one", "two"]
    assert not list(tmp_path.glob(".*"))


def test_a_link_to_another_file_system(tmp_path: Path) -> None:
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as other:
        (tmp_path / "link").symlink_to(other.name)
        with pytest.raises(InputError, match="another file system"):
            FileStore(tmp_path).upload("link")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "x"))
        store = FileStore(tmp_path)
        for call in (lambda: store.upload("x"), lambda: store.head("x")):
            with pytest.raises(InputError, match="not a regular file"):
                call()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_of_writers_that_saw_the_same_file_one_replaces_it(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for _ in range(25):
        put(store, "x", b"before")
        head = store.head("x")
        assert head is not None
        uploads = [store.upload("x", replaces=head.etag) for _ in range(4)]
        for number, upload in enumerate(uploads):
            upload.write(b"%d" % number * (number + 1))

        def completed(upload) -> bool:
            try:
                upload.complete()
            except InputError:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(completed, uploads))
        assert done.count(True) == 1
        winner = done.index(True)
        assert (tmp_path / "x").read_bytes() == b"%d" % winner * (winner + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@root
def test_owner_and_group_stay(tmp_path: Path) -> None:
    put(FileStore(tmp_path), "x", b"old")
    os.chown(tmp_path / "x", NOBODY, 12345)
    (tmp_path / "x").chmod(0o600)
    put(FileStore(tmp_path), "x", b"new")
    status = (tmp_path / "x").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, 12345)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert (tmp_path / "x").read_bytes() == b"new"


@pytest.fixture
def everybodys() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tradewind-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def as_nobody(script: str, folder: Path, groups: Sequence[int] = ()) -> str:
    # It imports first, as the sources need not be readable for that user.
    begin = (
        "import os, sys, tradewind.move.store\n"
        "from tradewind.errors import SetupError\n"
        "from tradewind.systems.files.store import FileStore\n"
        f"os.setgroups({list(groups)}); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "store = FileStore(sys.argv[1])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", begin + script, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@root
def test_members_of_a_group_replace_each_others_files(everybodys: Path) -> None:
    group = 12345
    os.chown(everybodys, 0, group)
    everybodys.chmod(0o2770)
    for name, mode in (("read", 0o640), ("written", 0o664), ("private", 0o600)):
        (everybodys / name).write_text("old")
        (everybodys / name).chmod(mode)
        os.chown(everybodys / name, 1, group)
    said = as_nobody(
        "for name in ('read', 'written', 'private', 'new'):\n"
        "    try: upload = store.upload(name)\n"
        "    except SetupError as error: print(error); continue\n"
        "    upload.write(b'new'); upload.complete()\n",
        everybodys,
        [group],
    )
    assert "private: the file belongs to user 1" in said
    assert len(said.splitlines()) == 1
    found = {path.name: path.stat() for path in everybodys.iterdir()}
    assert {name: (one.st_uid, one.st_gid) for name, one in found.items()} == {
        "read": (NOBODY, group),
        "written": (NOBODY, group),
        "private": (1, group),
        "new": (NOBODY, group),
    }
    assert [stat.S_IMODE(found[name].st_mode) for name in ("read", "written")] == [0o640, 0o664]
    assert (everybodys / "private").read_text() == "old"
    # In a sticky folder like /tmp nobody replaces what belongs to others.
    everybodys.chmod(0o3770)
    os.chown(everybodys / "read", 1, group)
    said = as_nobody(
        "try: store.upload('read')\nexcept SetupError as error: print(error)\n",
        everybodys,
        [group],
    )
    assert "read: the file belongs to user 1" in said


@root
def test_another_users_file_is_refused_at_once(everybodys: Path) -> None:
    (everybodys / "x").write_text("old")
    said = as_nobody(
        "try: store.upload('x')\nexcept SetupError as error: print(error)\n", everybodys
    )
    assert "belongs to user 0" in said
    assert "Nothing was read or written" in said
    assert [path.name for path in everybodys.iterdir()] == ["x"]
    assert (everybodys / "x").read_text() == "old"


@root
def test_beside_a_private_folder_of_somebody_else(everybodys: Path) -> None:
    (everybodys / "private").mkdir(mode=0o700)
    said = as_nobody(
        "print(list(store.unfinished('x.csv')))\n"
        "u = store.upload('x.csv'); u.write(b'1'); u.complete()\n"
        "print([i.key for i in store.list('x')])\n",
        everybodys,
    )
    assert said.splitlines() == ["[]", "['x.csv']"]
    assert (everybodys / "x.csv").stat().st_uid == NOBODY
