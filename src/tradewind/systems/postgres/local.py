"""PostgreSQL: the server of the machine's own packages, with a cluster of its own in the folder."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import pwd
import re
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.processes import Account, free_port
from tradewind.local.samples import sample_rows
from tradewind.local.system import Context, Credentials, Offer, System

__all__ = ["SYSTEM", "Postgres"]

USER = "tradewind"
"""The login, a superuser, and the name of its database."""

_REMEDY = (
    "On Debian and Ubuntu install it with: sudo apt-get install postgresql; elsewhere put initdb "
    "and postgres on PATH."
)
_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")  # Debian's, Red Hat's

_ADMITTED = """\
# Who may come in, and how.
host  all          all  127.0.0.1/32  scram-sha-256
host  replication  all  127.0.0.1/32  scram-sha-256
"""


class Postgres(System):
    """A PostgreSQL server whose one login has a generated password.

    It is told not to wait for the disk (``fsync`` off): what was committed survives the death of
    its processes, not that of the machine.
    """

    name = "postgres"
    summary = "PostgreSQL, with a login and database `tradewind`"
    default_port = 5432
    role = "postgres"

    def check(self) -> None:
        """Look for the server's programs."""
        self._programs()

    def sample(self, environment: Mapping[str, str]) -> None:
        """Make the table ``listings`` with rows."""
        _make_table(environment)

    def start(self, context: Context) -> Offer:
        """Make the cluster when there is none, start the server, wait until it says it is ready."""
        programs = self._programs()
        account = _account()
        cluster = context.folder / "cluster"
        if not cluster.exists():
            self._make(context, programs, account)
        self._set_password(context, programs, account, cluster)
        port = context.port or free_port()
        settings = {
            "listen_addresses": context.host,
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _reachable(cluster, account) as (path, descriptors):
            child = context.children.start(
                [str(programs / "postgres"), "-D", path, *options],
                cwd=Path("/"),
                # SIGQUIT and SIGINT end it at once; SIGTERM would wait for its clients to leave.
                death_signal=signal.SIGQUIT,
                stop_signal=signal.SIGINT,
                account=account,
                keep_open=descriptors,
            )
        child.wait_ready(
            lambda: _is_ready(cluster / "postmaster.pid", child.pid), seconds=context.start_timeout
        )
        return _offer(context.host, port, context.credentials)

    def _programs(self) -> Path:
        found = shutil.which("initdb")
        folders = [Path(os.path.realpath(found)).parent] if found else []
        for pattern in _FOLDERS:
            folders += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
        for folder in folders:
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return folder
        raise SetupError(f"{self.name}: the program 'initdb' is not installed. {_REMEDY}")

    def _make(self, context: Context, programs: Path, account: Account | None) -> None:
        """Make the cluster beside its place and move it there whole."""
        new = context.folder / "cluster.new"
        # A start that was killed has left it, with nothing in it yet.
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if account:
            os.chown(new, account.user, account.group)
        with _reachable(new, account) as (path, descriptors):
            context.children.run(
                [
                    *(str(programs / "initdb"), "-D", path, f"--username={USER}", "--no-sync"),
                    *("--encoding=UTF8", "--locale=C.UTF-8", "--auth=reject"),
                ],
                name="initdb",
                purpose="make its database cluster",
                seconds=context.start_timeout,
                cwd=Path("/"),
                account=account,
                keep_open=descriptors,
            )
        (new / "pg_hba.conf").write_text(_ADMITTED)
        self._type(context, programs, account, new, f"CREATE DATABASE {USER}\n")
        new.rename(context.folder / "cluster")

    def _set_password(
        self, context: Context, programs: Path, account: Account | None, cluster: Path
    ) -> None:
        """Give the login the password of the data folder, unless it has it already."""
        secret = context.credentials.secret_access_key
        note = context.folder / "verifier"
        if note.exists() and _verifies(note.read_text(), secret):
            return
        verifier = _verifier(secret, secrets.token_bytes(16))
        self._type(
            context, programs, account, cluster, f"ALTER ROLE {USER} PASSWORD '{verifier}'\n"
        )
        note.write_text(verifier)

    def _type(
        self, context: Context, programs: Path, account: Account | None, cluster: Path, sql: str
    ) -> None:
        """Type SQL into PostgreSQL's single-user mode: no port, and nobody to ask a password."""
        with _reachable(cluster, account) as (path, descriptors):
            context.children.run(
                [
                    str(programs / "postgres"),
                    "--single",
                    "-D",
                    path,
                    "-c",
                    "exit_on_error=on",
                    "postgres",
                ],
                name="single-user",
                purpose="prepare its login",
                seconds=context.start_timeout,
                cwd=Path("/"),
                account=account,
                keep_open=descriptors,
                typed=sql,
            )


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def _account() -> Account | None:
    """Who runs it: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise SetupError(
        "postgres: it does not run as root, and this machine has no user `postgres` to run it as. "
        "Make one, or start as another user than root."
    )


@contextlib.contextmanager
def _reachable(cluster: Path, account: Account | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A path by which the server reaches its cluster, and what it must inherit for that.

    A folder of root's may be closed to the user that the server runs as somewhere above the
    cluster. An open descriptor of the cluster itself is a way that begins below.
    """
    if account is None:
        yield str(cluster), ()
        return
    descriptor = os.open(cluster, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _is_ready(file: Path, pid: int) -> bool:
    """What pg_ctl looks at too: the first line is the server's id, the eighth says ``ready``."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _verifier(password: str, salt: bytes, iterations: int = 4096) -> str:
    """What PostgreSQL keeps of a password, so that the password itself never leaves here.

    Source: RFC 5803, and PostgreSQL's documentation of pg_authid.rolpassword.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    parts = (
        salt,
        hashlib.sha256(client_key).digest(),
        hmac.digest(salted, b"Server Key", "sha256"),
    )
    written = [base64.b64encode(part).decode() for part in parts]
    return f"SCRAM-SHA-256${iterations}:{written[0]}${written[1]}:{written[2]}"


def _verifies(verifier: str, password: str) -> bool:
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$.*", verifier)
    return found is not None and verifier == _verifier(
        password, base64.b64decode(found[2]), int(found[1])
    )


def _offer(host: str, port: int, credentials: Credentials) -> Offer:
    password = credentials.secret_access_key
    return Offer(
        endpoint=f"postgresql://{host}:{port}",
        environment={
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": USER,
            "PGPASSWORD": password,
            "PGDATABASE": USER,
        },
        connections={
            "postgres_default": {
                "conn_type": "postgres",
                "host": host,
                "port": port,
                "login": USER,
                "password": password,
                "schema": USER,
            }
        },
        notes={"login": USER, "database": USER},
    )


def _make_table(environment: Mapping[str, str]) -> None:
    try:
        import asyncpg
    except ImportError as error:
        raise SetupError(
            "--sample fills PostgreSQL by its client. Install it with: "
            "pip install 'tradewind[postgres]'"
        ) from error

    async def make() -> None:
        connection = await asyncpg.connect(
            host=environment["PGHOST"],
            port=int(environment["PGPORT"]),
            user=environment["PGUSER"],
            password=environment.get("PGPASSWORD"),
            database=environment["PGDATABASE"],
        )
        try:
            async with connection.transaction():
                if await connection.fetchval("SELECT to_regclass('listings')") is not None:
                    return
                await connection.execute(
                    "CREATE TABLE listings (id bigint PRIMARY KEY, name text NOT NULL, "
                    "neighbourhood text NOT NULL, price numeric(10, 2), "
                    "download_date date NOT NULL)"
                )
                await connection.copy_records_to_table("listings", records=sample_rows())
        finally:
            await connection.close()

    asyncio.run(make())


SYSTEM = Postgres()
