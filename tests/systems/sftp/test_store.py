"""SFTP against a real sshd: broken connections, refusals, what is left, names and URIs.

Over 400 lines: one store; its cases share a server, and the ways to break it.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from faulty_proxy import FaultyProxy
from object_moves import ManyRows
from ssh_server import SSHServer, ssh_server
from tradewind.cli import main
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.local.processes import wait_until
from tradewind.move.objects.source import ObjectSource
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.store import OWNER
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.run.backend import UnreachableError
from tradewind.sweep.objects import leftovers_of_objects
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.sftp.upload import SFTPUpload
from tradewind.systems.ssh.connection import SSHConnection

MB = 1 << 20
TASK = Owner("dag", "run", "task")
SECRET = "qZx9Kw7J-secret"


def put(store: SFTPStore, key: str, data: bytes, **options) -> str:
    upload = store.upload(key, **options)
    upload.write(data)
    return str(upload.complete().etag)


def read(store: SFTPStore, key: str) -> bytes:
    return b"".join(store.read(key))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def proxy(sftp_server: SSHServer) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", sftp_server.port) as proxy:
        yield proxy


@pytest.fixture
def by_proxy(
    sftp_connection: SSHConnection, sftp_server: SSHServer, proxy: FaultyProxy, tmp_path: Path
) -> SFTPStore:
    connection = replace(
        sftp_connection, port=proxy.port, known_hosts=None, host_key=sftp_server.host_key
    )
    return SFTPStore(connection, str(tmp_path / "objects"), part_bytes=MB)


# ------------------------------------------------------------------------------ broken connections


def test_a_read_goes_on_after_broken_connections(by_proxy: SFTPStore, proxy: FaultyProxy) -> None:
    data = os.urandom(10 * MB)
    put(by_proxy, "key", data)
    proxy.cut_after(3 * MB, times=2)
    assert read(by_proxy, "key") == data
    assert proxy.cuts == 2


def test_a_read_never_mixes_two_files(
    by_proxy: SFTPStore, proxy: FaultyProxy, tmp_path: Path
) -> None:
    put(by_proxy, "key", bytes(9 * MB))
    pieces = by_proxy.read("key")
    next(pieces)
    (tmp_path / "new").write_bytes(b"x" * (9 * MB + 1))
    (tmp_path / "new").rename(tmp_path / "objects/key")
    proxy.cut_now()
    with pytest.raises(RetryError, match="replaced while it was read"):
        list(pieces)


def test_a_file_that_grows_while_it_is_read_is_refused(
    sftp_store: SFTPStore, tmp_path: Path
) -> None:
    put(sftp_store, "key", bytes(5 * MB))
    pieces = sftp_store.read("key")
    next(pieces)
    with (tmp_path / "objects/key").open("ab") as file:
        file.write(b"more")
    with pytest.raises(RetryError, match="replaced while it was read"):
        list(pieces)


def test_folders_made_for_what_failed_go_and_no_others(
    sftp_store: SFTPStore, tmp_path: Path
) -> None:
    there = tmp_path / "objects"
    (there / "theirs").mkdir(parents=True)
    sftp_store.upload("theirs/new/deep/key").abort()
    first, second = (sftp_store.upload(f"both/{name}") for name in "ab")
    first.abort()
    second.write(b"b")
    second.complete()
    put(sftp_store, "parts/p/0", b"0")
    sftp_store.delete(["parts/p/0"])
    sftp_store.remove_made_folders()
    found = {str(path.relative_to(there)) for path in there.rglob("*")}
    assert found == {"theirs", "both", "both/b"}


def test_a_folder_that_another_move_takes_away_is_made_again(
    sftp_store: SFTPStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "objects"
    taken: list[Path] = []
    begin = SFTPUpload._begin

    async def late(upload: SFTPUpload, client: object) -> None:
        if not taken:  # by a move that failed, and had made it
            taken.append(there / "new")
            taken[0].rmdir()
        await begin(upload, client)

    monkeypatch.setattr(SFTPUpload, "_begin", late)
    put(sftp_store, "new/key", b"data")
    assert taken
    assert files(there) == ["new/key"]


def test_an_upload_goes_on_after_a_broken_connection(
    by_proxy: SFTPStore, proxy: FaultyProxy, tmp_path: Path
) -> None:
    data = os.urandom(6 * MB)
    by_proxy.check()
    proxy.cut_after(int(2.5 * MB), "up")
    put(by_proxy, "key", data)
    assert proxy.cuts == 1
    assert (tmp_path / "objects/key").read_bytes() == data
    assert files(tmp_path) == ["objects/key"]


def test_a_completion_whose_answer_is_lost_is_found_out(
    by_proxy: SFTPStore, proxy: FaultyProxy, tmp_path: Path
) -> None:
    """Cut around the answer to the rename, the last one of a completion."""
    put(by_proxy, "first", b"data")
    cuts = 0
    for create_only in (True, False):
        upload = by_proxy.upload(f"{create_only}", create_only=create_only)
        upload.write(b"data")
        before = proxy.forwarded["down"]
        upload.complete()
        answers = proxy.forwarded["down"] - before
        for count in range(answers - 160, answers, 20):
            key = f"{create_only}-{count}"
            upload = by_proxy.upload(key, create_only=create_only)
            upload.write(b"data")
            proxy.cut_after(count)
            upload.complete()
            proxy.heal()
            assert read(by_proxy, key) == b"data"
        cuts, former = proxy.cuts, cuts
        assert cuts > former
    assert not [name for name in files(tmp_path) if "tradewind" in name]


def test_a_server_that_is_gone_is_told(by_proxy: SFTPStore, proxy: FaultyProxy) -> None:
    put(by_proxy, "key", b"data")
    proxy.refuse()
    proxy.cut_now()
    with pytest.raises(RetryError, match=str(proxy.port)):
        by_proxy.head("key")


# --------------------------------------------------------------------------------------- refusals


def test_who_answers_must_be_who_is_known(
    sftp_connection: SSHConnection, sftp_server: SSHServer
) -> None:
    other = " ".join((sftp_server.folder / "other.pub").read_text().split()[:2])
    wrong = replace(sftp_connection, known_hosts=None, host_key=other, password=SECRET)
    with pytest.raises(SetupError, match="host key is not one that is trusted") as refused:
        SFTPStore(wrong, "/tmp").check()
    assert SECRET not in str(refused.value)


def test_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    with ssh_server(tmp_path, settings="PasswordAuthentication yes\n") as server:
        wrong = SSHConnection(
            "127.0.0.1",
            server.username,
            server.port,
            password=SECRET,
            known_hosts=str(server.known_hosts),
            options={"client_keys": None, "agent_path": None},
        )
        store = SFTPStore(wrong, "/tmp")
        with pytest.raises(SetupError, match="login is refused") as refused:
            store.check()
    assert SECRET not in str(refused.value) + repr(store) + repr(wrong)


def test_a_host_that_does_not_answer(sftp_connection: SSHConnection) -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        SFTPStore(replace(sftp_connection, port=1), "/tmp").check()


def test_a_server_without_sftp_is_told(tmp_path: Path, sftp_connection: SSHConnection) -> None:
    with ssh_server(tmp_path, sftp="") as server:
        connection = replace(
            sftp_connection,
            port=server.port,
            key_file=str(server.key_file),
            known_hosts=str(server.known_hosts),
        )
        with pytest.raises(SetupError, match="offers no SFTP"):
            SFTPStore(connection, "/tmp").check()


def test_a_server_that_cannot_replace_at_once(
    tmp_path: Path, sftp_connection: SSHConnection
) -> None:
    (tmp_path / "sshd").mkdir()
    with ssh_server(tmp_path / "sshd", sftp="internal-sftp -P posix-rename") as server:
        connection = replace(
            sftp_connection,
            port=server.port,
            key_file=str(server.key_file),
            known_hosts=str(server.known_hosts),
        )
        store = SFTPStore(connection, str(tmp_path / "objects"))
        put(store, "new", b"data")
        put(store, "only", b"data", create_only=True)
        with pytest.raises(SetupError, match=r"lacks posix-rename@openssh\.com"):
            store.upload("new")  # before anything is read
        late = store.upload("late")
        put(store, "late", b"first")
        with pytest.raises(SetupError, match=r"lacks posix-rename@openssh\.com"):
            late.complete()
        assert read(store, "late") == b"first"
    assert files(tmp_path / "objects") == ["late", "new", "only"]


def test_what_is_no_file_is_refused(sftp_store: SFTPStore, tmp_path: Path) -> None:
    (tmp_path / "objects/folder").mkdir(parents=True)
    os.mkfifo(tmp_path / "objects/fifo")
    for doing in (lambda: read(sftp_store, "fifo"), lambda: sftp_store.upload("folder")):
        with pytest.raises(InputError, match="not a regular file"):
            doing()
    put(sftp_store, "file", b"data")
    with pytest.raises(TradewindError, match="file/below"):
        put(sftp_store, "file/below", b"data")
    with pytest.raises(InputError, match="too long"):
        sftp_store.upload("x" * 250)
    assert files(tmp_path) == ["objects/file"]


# ------------------------------------------------------------------------------------- what is left

UPLOADER = """
import sys, time
from tradewind.move.store import OWNER
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.ssh.connection import SSHConnection
host, user, port, key, known, root, owner = sys.argv[1:]
store = SFTPStore(SSHConnection(host, user, int(port), key_file=key, known_hosts=known), root)
upload = store.upload("out.csv", metadata={OWNER: owner})
upload.write(bytes(9 << 20))
print("sent", flush=True)
time.sleep(600)
"""


def test_a_killed_uploader_leaves_a_hidden_file_that_the_retry_removes(
    sftp_store: SFTPStore, sftp_connection: SSHConnection, tmp_path: Path
) -> None:
    where = sftp_connection
    arguments = ("127.0.0.1", where.username, where.port, where.key_file, where.known_hosts)
    worker = subprocess.Popen(
        [sys.executable, "-c", UPLOADER, *map(str, arguments), sftp_store.root, TASK.digest],
        stdout=subprocess.PIPE,
    )
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"sent\n"
        worker.send_signal(signal.SIGKILL)
    others = sftp_store.upload("out.csv", metadata={OWNER: "f" * 12})
    assert [info.key for info in sftp_store.list()] == []
    assert {left.owner for left in sftp_store.unfinished("out.csv")} == {TASK.digest, "f" * 12}
    transfer(ManyRows(2), ObjectTarget(sftp_store, "out.csv", format="csv"), TASK)
    # What of it is another's, is left to him, or to the sweep.
    (left,) = leftovers_of_objects("here", sftp_store, "")
    assert left.owner == "f" * 12
    assert left.since is not None
    left.remove()
    left.remove()
    assert list(sftp_store.unfinished("out.csv")) == []
    others.abort()
    assert files(tmp_path) == ["objects/out.csv"]


def test_parts_that_no_manifest_names_are_not_read(sftp_store: SFTPStore) -> None:
    for number in range(2):
        put(sftp_store, f"out/part-{number:05d}-{TASK.digest}01234567.csv", b"id\n1\n")
    with pytest.raises(InputError):
        ObjectSource(sftp_store, "out/").batches()
    target = ObjectTarget(sftp_store, "out/", format="csv", parts=Parts(rows=1))
    transfer(ManyRows(3), target, TASK)
    with ObjectSource(sftp_store, "out/").batches() as batches:
        assert sum(batch.num_rows for batch in batches) == 3


def test_the_session_ends_with_its_store(sftp_connection: SSHConnection, tmp_path: Path) -> None:
    store = SFTPStore(sftp_connection, str(tmp_path))
    before = set(threading.enumerate())
    narrowed, _ = store.within("folder/key")
    narrowed.check()
    session = set(threading.enumerate()) - before
    assert session
    del store, narrowed
    gc.collect()
    assert wait_until(lambda: not any(each.is_alive() for each in session), seconds=20)


# ----------------------------------------------------------------------------------- what is there


def test_two_files_of_one_size_and_second_are_two_versions(sftp_store: SFTPStore) -> None:
    versions = [put(sftp_store, "key", f"data{number}".encode()) for number in range(4)]
    assert len(set(versions)) == 4
    head = sftp_store.head("key")
    assert head is not None
    assert head.etag == versions[-1]


def test_what_is_replaced_leaves_its_mode_and_links_stay(
    sftp_store: SFTPStore, tmp_path: Path
) -> None:
    root = tmp_path / "objects"
    put(sftp_store, "real/x", b"old")
    (root / "real/x").chmod(0o640)
    (root / "link").symlink_to("real/x")
    (root / "round").symlink_to(root)
    (root / "nowhere").symlink_to("nothing")
    put(sftp_store, "link", b"new")
    assert os.readlink(root / "link") == "real/x"
    assert (root / "real/x").read_bytes() == b"new"
    assert stat.S_IMODE((root / "real/x").stat().st_mode) == 0o640
    assert [(info.key, info.size) for info in sftp_store.list()] == [("link", 3), ("real/x", 3)]
    with pytest.raises(InputError, match="link to nothing"):
        sftp_store.upload("nowhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_replaced_leaves_its_owner(sftp_store: SFTPStore, tmp_path: Path) -> None:
    put(sftp_store, "key", b"old")
    os.chown(tmp_path / "objects/key", 65534, 65534)
    put(sftp_store, "key", b"new")
    status = (tmp_path / "objects/key").stat()
    assert (status.st_uid, status.st_gid) == (65534, 65534)


def test_names_that_are_no_text(sftp_store: SFTPStore, tmp_path: Path) -> None:
    put(sftp_store, "caf\udce9", b"data")
    assert os.listdir(os.fsencode(tmp_path / "objects")) == [b"caf\xe9"]
    assert [info.key for info in sftp_store.list()] == ["caf\udce9"]
    assert read(sftp_store, "caf\udce9") == b"data"


# ----------------------------------------------------------------------------------- URIs and lines


@pytest.mark.parametrize(
    ("uri", "root", "key"),
    [
        ("sftp://h/a/b/x.csv", "/a/b", "x.csv"),
        ("sftp://h/x.csv", "/", "x.csv"),
        ("sftp://h//a/./x.csv", "/a", "x.csv"),
        ("sftp://h/a/b/", "/a/b", ""),
        ("sftp://h/a/2026-*/x.csv", "/a", "2026-*/x.csv"),
        ("sftp://h/a/x?y#z%20.csv", "/a", "x?y#z%20.csv"),
        ("sftp://h/a@b.csv", "/", "a@b.csv"),
    ],
)
def test_a_uri_has_a_folder_and_a_key(uri: str, root: str, key: str) -> None:
    store, found = SFTPStore.from_uri(uri)
    assert (store.root, found) == (root, key)


def test_a_uri_names_who_logs_in_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_SFTP_PASSWORD", SECRET)
    store, key = SFTPStore.from_uri("sftp://me%40home@[::1]:2222/a/b", key_file="~/k")
    assert (store.host, store.port, store.username) == ("::1", 2222, "me@home")
    assert store.uri(key) == "sftp://[::1]:2222/a/b"
    assert SECRET not in repr(store)
    assert SFTPStore.from_uri("sftp://h/a@b", port="2222")[0].port == 2222


@pytest.mark.parametrize(
    "uri",
    [
        "sftp://h",
        "sftp:///a/b",
        f"sftp://u:{SECRET}/x@h/a",
        f"sftp://u:{SECRET}@x@h/a",
        f"sftp://u:{SECRET}#x@h/a",
        f"sftp://{SECRET}?@h/a",
        f"sftp://u:1/{SECRET}@h/a",
        f"sftp://u:{SECRET}@h:x/a",
    ],
)
def test_a_uri_that_may_be_another_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="sftp://host:22/absolute/path") as refused:
        SFTPStore.from_uri(uri)
    assert SECRET not in str(refused.value)


def test_the_command_line_moves(
    sftp_server: SSHServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for day in (1, 2):
        (tmp_path / f"in/{day}.csv").write_text(f"id,name\n{day},a\n")
    place = f"sftp://{sftp_server.username}@127.0.0.1:{sftp_server.port}{tmp_path}"
    reached = [f"key_file={sftp_server.key_file}", f"known_hosts={sftp_server.known_hosts}"]
    line = ["move", "--from", f"{place}/in/*.csv", "--to", f"{place}/out/all.csv"]
    for option in ("--set-from", "--set-to"):
        for setting in reached:
            line += [option, setting]
    assert main(line) == 0
    assert (tmp_path / "out/all.csv").read_text() == "id,name\n1,a\n2,a\n"
    assert "sftp://127.0.0.1" in capsys.readouterr().out


def test_a_host_is_reached_through_another(
    sftp_server: SSHServer, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the keys and the known hosts of this user, as `ssh -J` would."""
    home = tmp_path / "home/.ssh"
    home.mkdir(parents=True, mode=0o700)
    shutil.copy(sftp_server.key_file, home / "id_ed25519")
    known = sftp_server.known_hosts.read_text()
    (home / "known_hosts").write_text(known + known.replace(str(sftp_server.port), str(proxy.port)))
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    user = sftp_server.username
    store, key = SFTPStore.from_uri(
        f"sftp://{user}@127.0.0.1:{sftp_server.port}{tmp_path}/through/key",
        jump_host=f"{user}@127.0.0.1:{proxy.port}",
    )
    put(store, key, b"data")
    assert (tmp_path / "through/key").read_bytes() == b"data"
    assert proxy.connections == 1
