"""A real sshd of the tests' own, on a port of its own, for the account that runs the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradewind.local.processes import free_port, wait_until


@dataclass
class SSHServer:
    """A running sshd.

    Args:
        folder: Keys and configuration.
        port: Where it listens on 127.0.0.1.
        username: The account that may log in.
        key_file: The private key that may.
        host_key: Its own public key.
        known_hosts: A file that trusts it.
    """

    folder: Path
    port: int
    username: str
    key_file: Path
    host_key: str
    known_hosts: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again after a stop."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [find_sshd(), "-D", "-e", "-f", str(self.folder / "config")], stderr=log
            )
        assert wait_until(self.answers, seconds=20), (self.folder / "log").read_text()

    def stop(self) -> None:
        """End it with all its connections."""
        assert self.process is not None
        import psutil

        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        self.process.wait(10)
        for child in children:
            # One whose connection has ended meanwhile has ended too.
            with suppress(psutil.NoSuchProcess):
                if child.name().startswith("sshd"):
                    child.kill()

    def answers(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0


def find_sshd() -> str:
    found = shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("sshd is missing: apt-get install openssh-server")
    return found


@contextmanager
def ssh_server(
    folder: Path, *, sftp: str = "internal-sftp", settings: str = ""
) -> Iterator[SSHServer]:
    """Start an sshd, and end it at the end.

    Args:
        folder: Keys and configuration go there.
        sftp: Its SFTP server and the arguments of that; an empty one for none.
        settings: Lines of its configuration, which come before those of this function.
    """
    find_sshd()
    if os.getuid() == 0:
        # Where sshd of root puts itself away; anybody else's does not, and serves that account.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "key", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    port = free_port()
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "config").write_text(
        f"{settings}Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/key.pub\nStrictModes no\nPidFile {folder}/pid\n"
        f"MaxStartups 100\nMaxSessions 100\nPasswordAuthentication no\n"
        + (f"Subsystem sftp {sftp}\n" if sftp else "")
    )
    server = SSHServer(folder, port, getpass.getuser(), folder / "key", host_key, known)
    server.start()
    try:
        yield server
    finally:
        server.stop()
