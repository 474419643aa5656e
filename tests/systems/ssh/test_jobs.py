"""Processes of another machine, over a real sshd, which the tests start."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssh_server import SSHServer
from tradewind.errors import RetryError, SetupError
from tradewind.local.processes import free_port
from tradewind.owner import Owner
from tradewind.run.backend import JobState
from tradewind.systems.ssh.backend import Command, SSHBackend, SSHConnection
from tradewind.testing.conformance.backend import BackendConformance, until_ended, until_logged

pytestmark = pytest.mark.xdist_group("run-ssh")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


@pytest.fixture
def backend(connection: SSHConnection, root: Path) -> Iterator[SSHBackend]:
    backend = SSHBackend(connection, root=str(root))
    yield backend
    backend.close()


@pytest.fixture
def owner() -> Owner:
    return Owner("ssh", uuid.uuid4().hex, "work")


class TestConformance(BackendConformance):
    def work(self, script: str, **environment: str) -> Command:
        return Command(script, environment)


def test_work_survives_the_end_of_sshd_and_is_attended_again(
    backend: SSHBackend, owner: Owner, server: SSHServer, tmp_path: Path
):
    go = tmp_path / "go"
    script = f"echo one; while [ ! -e {go} ]; do sleep 0.1; done; echo two"
    backend.submit(owner, 1, Command(script), variables={})
    name = backend.name_of(owner, 1)
    first = until_logged(backend, name, "one")
    server.stop()
    with pytest.raises((RetryError, SetupError)):
        backend.status(name)
    go.touch()
    server.start()
    assert until_ended(backend, name).state is JobState.SUCCEEDED
    assert [line.text for line in backend.logs(name, first.cursor, wait=0)] == ["two"]
    backend.delete(name)


def test_a_key_itself_and_a_host_key_will_do(
    connection: SSHConnection, server: SSHServer, root: Path, owner: Owner
):
    given = dataclasses.replace(
        connection,
        key_file=None,
        private_key=server.key_file.read_text(),
        known_hosts=None,
        host_key=server.host_key,
    )
    backend = SSHBackend(given, root=str(root))
    backend.submit(owner, 1, Command("true"), variables={})
    assert until_ended(backend, backend.name_of(owner, 1)).state is JobState.SUCCEEDED
    backend.delete(backend.name_of(owner, 1))
    backend.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_with_a_passphrase_opens_with_it_alone(
    connection: SSHConnection,
    server: SSHServer,
    root: Path,
    owner: Owner,
    tmp_path: Path,
    kind: str,
):
    key = tmp_path / "locked"
    made = ["ssh-keygen", "-q", "-t", kind, "-N", "open sesame", "-f", str(key)]
    subprocess.run(made, check=True)
    known = server.folder / "key.pub"
    before = known.read_text()
    known.write_text(before + (tmp_path / "locked.pub").read_text())
    ways = ({"key_file": str(key)}, {"key_file": None, "private_key": key.read_text()})
    try:
        for number, way in enumerate(ways, 1):
            given = dataclasses.replace(connection, **way, passphrase="open sesame")
            backend = SSHBackend(given, root=str(root))
            backend.submit(owner, number, Command("true"), variables={})
            name = backend.name_of(owner, number)
            assert until_ended(backend, name).state is JobState.SUCCEEDED
            backend.delete(name)
            backend.close()
            wrong = SSHBackend(dataclasses.replace(given, passphrase="s3cret"), root=str(root))
            with pytest.raises(SetupError, match="Check the key and its passphrase") as refused:
                wrong.status("x")
            assert "s3cret" not in str(refused.value)
            wrong.close()
    finally:
        known.write_text(before)


def test_job_folders_are_found_from_the_account_s_home(
    connection: SSHConnection, owner: Owner, monkeypatch: pytest.MonkeyPatch
):
    folder = f".tradewind-tests-{uuid.uuid4().hex}"
    backend = SSHBackend(connection, root=folder)
    backend.submit(owner, 1, Command("echo here"), variables={})
    name = backend.name_of(owner, 1)
    until_ended(backend, name)
    assert [line.text for line in backend.logs(name, None, wait=0)] == ["here"]
    backend.delete(name)
    backend._call('cd && rmdir "$1"', folder)
    assert not (Path.home() / folder).exists()
    backend.close()


def refused(connection: SSHConnection, **changes) -> str:
    backend = SSHBackend(dataclasses.replace(connection, **changes), root="/nowhere")
    with pytest.raises(SetupError) as caught:
        backend.status("x")
    backend.close()
    return str(caught.value)


def test_wrong_ways_in_are_told_at_once(
    connection: SSHConnection, server: SSHServer, tmp_path: Path
):
    other = str(server.folder / "other")
    assert "the login is refused" in refused(connection, key_file=other)
    (tmp_path / "empty").touch()
    unknown = refused(connection, known_hosts=str(tmp_path / "empty"))
    assert "its host key is not one that is trusted" in unknown
    assert "cannot be reached" in refused(connection, port=free_port())
    # An address that cannot be resolved, without asking a name server of the outside.
    nowhere = {"family": socket.AF_INET6}
    assert "cannot be reached" in refused(connection, options=nowhere)
    assert "is not there" in refused(connection, key_file="/no/such/key")
    assert "private key cannot be read" in refused(connection, key_file=None, private_key="x")


def test_secrets_are_not_shown(connection: SSHConnection):
    given = dataclasses.replace(connection, password="s3cret", passphrase="s3cret")
    assert "s3cret" not in f"{given!r} {given}"
