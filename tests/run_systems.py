"""Systems that run work, started for the tests of a module and stopped at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from busybox import with_busybox
from container_engine import Engine, docker_engine
from ssh_server import SSHServer, ssh_server
from tradewind.systems.ssh.backend import SSHConnection


@pytest.fixture(scope="module")
def daemon() -> Iterator[Engine]:
    """A Docker daemon with one small image; no test may leave a container there."""
    with with_busybox(docker_engine()) as daemon:
        yield daemon
        assert daemon.containers() == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """An sshd."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def connection(server: SSHServer) -> SSHConnection:
    """The way to the sshd."""
    return SSHConnection(
        "127.0.0.1",
        server.username,
        server.port,
        key_file=str(server.key_file),
        known_hosts=str(server.known_hosts),
    )
