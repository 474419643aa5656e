"""SFTP: an sshd for the account that starts it, which logs in with a key made for it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Offer, System

__all__ = ["SFTP", "SYSTEM"]

_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"


class SFTP(System):
    """OpenSSH's server, whose SFTP begins in a folder of its own."""

    name = "sftp"
    summary = "SFTP and SSH (OpenSSH's sshd), for this account with a key of its own"
    default_port = 9022
    role = "sftp"

    def check(self) -> None:
        """Look for the server and for what makes keys."""
        for program in ("sshd", "ssh-keygen"):
            _program(program)

    def start(self, context: Context) -> Offer:
        """Make keys where there are none, and start the server."""
        folder, port = context.folder, context.port or free_port()
        files = folder / "files"
        files.mkdir(exist_ok=True)
        for name in ("host", "key"):
            if not (folder / name).exists():
                # An empty passphrase: the key is as well kept as the folder.
                command = [_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", ""]
                context.children.run(
                    [*command, "-C", f"tradewind {name}", "-f", str(folder / name)],
                    name="ssh-keygen",
                    purpose="make a key",
                    seconds=context.start_timeout,
                )
        host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[{context.host}]:{port} {host_key}\n")
        if os.getuid() == 0:
            # Where sshd of root puts itself away; anybody else's does not.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (folder / "config").write_text(
            f"Port {port}\nListenAddress {context.host}\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/key.pub\nPidFile none\nUsePAM no\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nX11Forwarding no\n"
            f"MaxSessions 100\nMaxStartups 100\nSubsystem sftp internal-sftp -d {files}\n"
        )
        child = context.children.start(
            [_program("sshd"), "-D", "-e", "-f", str(folder / "config")], cwd=folder
        )
        child.wait_ready(lambda: _listens(context.host, port), seconds=context.start_timeout)
        user = getpass.getuser()
        connection = {
            "host": context.host,
            "port": port,
            "login": user,
            "extra": {"key_file": str(folder / "key"), "host_key": host_key},
        }
        return Offer(
            endpoint=f"sftp://{context.host}:{port}",
            environment={
                "TRADEWIND_SFTP_KEY_FILE": str(folder / "key"),
                "TRADEWIND_SFTP_KNOWN_HOSTS": str(folder / "known_hosts"),
            },
            connections={
                "sftp_default": {"conn_type": "sftp", **connection},
                "ssh_default": {"conn_type": "ssh", **connection},
            },
            notes={
                "files": str(files),
                "log in": f"sftp -P {port} -i {folder}/key "
                f"-o UserKnownHostsFile={folder}/known_hosts {user}@{context.host}",
            },
        )


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise SetupError(
            f"sftp: the program {name!r} is not installed. Install it with: "
            "apt-get install openssh-server"
        )
    return found


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


SYSTEM = SFTP()
