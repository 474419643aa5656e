"""MariaDB: the server of the machine's own packages, with databases of its own in the folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import free_port
from tradewind.local.system import Context, Credentials, Offer, System

__all__ = ["SYSTEM", "MariaDB"]

USER = "tradewind"
"""The login, which may do everything, and the name of its database."""

_REMEDY = (
    "On Debian and Ubuntu install it with: sudo apt-get install mariadb-server-core "
    "mariadb-client-core; elsewhere put mariadbd and mariadb-install-db on PATH."
)


class MariaDB(System):
    """A MariaDB server whose one login has a generated password.

    What was committed survives the death of its process; that of the machine may cost the last
    second.
    """

    name = "mariadb"
    summary = "MariaDB, which speaks MySQL's protocol, with a login and database `tradewind`"
    default_port = 3306
    role = "mariadb"

    def check(self) -> None:
        """Look for the server's programs."""
        self._program("mariadbd")
        self._program("mariadb-install-db")

    def start(self, context: Context) -> Offer:
        """Make the databases when there are none, start the server, wait until it greets."""
        databases = context.folder / "databases"
        # It runs as whoever starts it; of root it wants to hear that this is meant.
        user = ["--user=root"] if os.geteuid() == 0 else []
        # A server that starts removes all temporary tables of its folder, another server's too.
        temporary = context.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        if not databases.exists():
            self._make(context, databases, temporary, user)
        admitted = context.folder / "admitted.sql"
        admitted.write_text(_admitted(context.credentials.secret_access_key))
        port = context.port or free_port()
        child = context.children.start(
            [
                self._program("mariadbd"),
                "--no-defaults",
                *user,
                f"--datadir={databases}",
                f"--tmpdir={temporary}",
                f"--bind-address={context.host}",
                f"--port={port}",
                # Within the folder of the databases: a path to it may be longer than a socket's
                # may be.
                "--socket=mariadb.sock",
                f"--pid-file={context.folder / 'pid'}",
                f"--init-file={admitted}",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_unicode_ci",
                "--default-time-zone=+00:00",
                "--local-infile=ON",
                "--innodb-flush-log-at-trx-commit=2",
            ],
            cwd=context.folder,
        )
        child.wait_ready(lambda: _greets(context.host, port), seconds=context.start_timeout)
        return _offer(context.host, port, context.credentials)

    def _program(self, name: str) -> str:
        # Debian keeps servers where an ordinary user's PATH does not lead.
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found is None:
            raise SetupError(f"{self.name}: the program {name!r} is not installed. {_REMEDY}")
        return found

    def _make(self, context: Context, databases: Path, temporary: Path, user: list[str]) -> None:
        """Make the databases beside their place and move them there whole."""
        new = context.folder / "databases.new"
        # A start that was killed has left it, with nothing in it yet.
        shutil.rmtree(new, ignore_errors=True)
        context.children.run(
            [
                self._program("mariadb-install-db"),
                "--no-defaults",
                *user,
                f"--datadir={new}",
                f"--tmpdir={temporary}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            name="mariadb-install-db",
            purpose="make its databases",
            seconds=context.start_timeout,
            cwd=context.folder,
        )
        new.rename(databases)


def _admitted(password: str) -> str:
    """SQL that the server runs at each start, before anybody may come in.

    The password goes there as the server keeps it (mysql_native_password: SHA-1 of SHA-1), so that
    it stands in no file.
    """
    kept = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324
    return (
        f"CREATE USER IF NOT EXISTS '{USER}'@'%';\n"
        f"ALTER USER '{USER}'@'%' IDENTIFIED BY PASSWORD '*{kept}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        # Those that come with it, without a password.
        "DELETE FROM mysql.global_priv WHERE User IN ('root', '');\n"
        "FLUSH PRIVILEGES;\n"
        f"CREATE DATABASE IF NOT EXISTS {USER};\n"
    )


def _greets(host: str, port: int) -> bool:
    """Whether the server says its first words, the packet by which each connection begins."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            # Three bytes of length, a number, and the version of the protocol.
            return connection.recv(5)[4:] == b"\x0a"
    except OSError:
        return False


def _offer(host: str, port: int, credentials: Credentials) -> Offer:
    password = credentials.secret_access_key
    return Offer(
        endpoint=f"mysql://{host}:{port}",
        environment={
            "MYSQL_HOST": host,
            "MYSQL_TCP_PORT": str(port),
            "MYSQL_USER": USER,
            "MYSQL_PWD": password,
            "MYSQL_DATABASE": USER,
        },
        connections={
            "mysql_default": {
                "conn_type": "mysql",
                "host": host,
                "port": port,
                "login": USER,
                "password": password,
                "schema": USER,
                "extra": {"charset": "utf8mb4", "local_infile": True},
            }
        },
        notes={"login": USER, "database": USER},
    )


SYSTEM = MariaDB()
