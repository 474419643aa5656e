"""TLS to MariaDB and PostgreSQL, with an authority of the tests' own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

import postgres_server
from certificates import Authority
from mysql_client import need_mysql_client
from tls_cases import Files, Pki, check_tls
from tls_front import reach
from tradewind.doctor import Check
from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.local import Systems
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.doctor import checks as postgres_checks
from tradewind.systems.postgres.session import Session as PostgresSession
from waiting import until

need_mysql_client()
from tradewind.systems.files.store import FileStore  # noqa: E402
from tradewind.systems.mysql.airflow import connection_of  # noqa: E402
from tradewind.systems.mysql.connection import MySQLConnection  # noqa: E402
from tradewind.systems.mysql.doctor import checks as mysql_checks  # noqa: E402
from tradewind.systems.mysql.session import Session  # noqa: E402

SERVER = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
INSTALL = shutil.which("mariadb-install-db", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PASSWORD = "Marker-7f3a-secret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("own"), "own-authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "other-authority")


@pytest.fixture(scope="module")
def mariadb(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with TLS: its port."""
    if SERVER is None or INSTALL is None:
        pytest.skip("MariaDB is missing: apt-get install mariadb-server-core")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = authority.certificate("localhost", "127.0.0.1")
    root = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [INSTALL, "--no-defaults", *root, f"--datadir={folder}/db", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "tmp").mkdir()
    (folder / "init.sql").write_text(
        "CREATE DATABASE tls;\n"
        + "".join(
            f"CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'{more};\n"
            f"GRANT ALL ON *.* TO '{name}'@'%';\n"
            for name, more in (("plain", ""), ("strict", " REQUIRE SSL"))
        )
        + "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\nFLUSH PRIVILEGES;\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [SERVER, "--no-defaults", *root, f"--datadir={folder}/db", f"--tmpdir={folder}/tmp",
             # All of loopback, so that there is a name that the certificate does not have.
             "--bind-address=0.0.0.0", f"--port={port}", "--socket=s.sock", "--skip-name-resolve",
             f"--init-file={folder}/init.sql", f"--ssl-cert={certificate}", f"--ssl-key={key}",
             "--local-infile=ON"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        log_of = (folder / "log").read_text

        def ready() -> bool:
            assert server.poll() is None, log_of()
            return "ready for connections" in log_of()

        until(ready, seconds=60, said=log_of)
        yield port
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(10)


def cipher(connection: MySQLConnection) -> str:
    session = Session(connection)
    try:
        return str(session.fetch("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])
    finally:
        session.close()


def to(port: int, user: str = "strict", host: str = "127.0.0.1", **options) -> MySQLConnection:
    given = "&".join(f"{name}={value}" for name, value in options.items())
    return MySQLConnection.from_uri(f"mysql://{user}:{PASSWORD}@{host}:{port}/tls?{given}")


def test_an_account_that_requires_tls_works_by_default(mariadb: int, tmp_path: Path) -> None:
    from mysql_server import Database
    from tradewind.move.objects.source import ObjectSource
    from tradewind.move.objects.target import ObjectTarget
    from tradewind.systems.mysql.source import MySQLSource
    from tradewind.systems.mysql.table import MySQLTable

    place = to(mariadb)
    assert cipher(place)
    (tmp_path / "t.csv").write_text("id,t\n1,a\n2,b\n")
    target = MySQLTable(place, "t", create=True)
    transfer(ObjectSource(FileStore(tmp_path), "t.csv"), target, Owner("d", "r", "in"))
    Database(place).run("SET GLOBAL require_secure_transport = ON")
    source = MySQLSource(place, "SELECT * FROM t ORDER BY id")
    transfer(source, ObjectTarget(FileStore(tmp_path), "o.csv"), Owner("d", "r", "out"))
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    with pytest.raises(SetupError, match=r"ssl_mode|secure"):
        cipher(to(mariadb, "plain", ssl_mode="DISABLED"))
    Database(place).run("SET GLOBAL require_secure_transport = OFF")


def test_each_mode(mariadb: int, authority: Authority, stranger: Authority) -> None:
    assert cipher(to(mariadb, "plain")), "TLS is taken where it is offered"
    assert not cipher(to(mariadb, "plain", ssl_mode="DISABLED"))
    for mode in ("PREFERRED", "REQUIRED", "VERIFY_CA", "verify-identity"):
        assert cipher(to(mariadb, ssl_mode=mode, ssl_ca=authority.file))
        with pytest.raises(SetupError, match=r"TLS.*authority.*ssl_ca"):
            cipher(to(mariadb, ssl_mode=mode, ssl_ca=stranger.file))
    assert cipher(to(mariadb, ssl_mode="REQUIRED"))
    with pytest.raises(SetupError, match="authority"):
        cipher(to(mariadb, ssl_mode="VERIFY_IDENTITY"))
    with pytest.raises(SetupError, match="another host name"):
        cipher(to(mariadb, host="127.0.0.2", ssl_mode="VERIFY_IDENTITY", ssl_ca=authority.file))
    assert cipher(to(mariadb, host="127.0.0.2", ssl_mode="REQUIRED", ssl_ca=authority.file))
    with pytest.raises(SetupError, match=r"requires TLS.*ssl_mode=DISABLED") as told:
        cipher(to(mariadb, ssl_mode="DISABLED"))
    assert PASSWORD not in str(told.value)
    with pytest.raises(SetupError, match=r"no file /there/is/none.*ssl_ca"):
        cipher(to(mariadb, ssl_ca="/there/is/none"))
    with pytest.raises(InputError, match="no ssl_mode"):
        to(mariadb, ssl_mode="SOMETIMES")


@pytest.mark.parametrize(
    "extra",
    [{}, {"ssl_mode": "REQUIRED"}, {"ssl": {"ca": "{ca}"}}, {"ssl": '{{"ca": "{ca}"}}'},
     {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": "{ca}"}}],
)  # fmt: skip
def test_extras_of_airflow(mariadb: int, authority: Authority, extra: dict) -> None:
    from airflow.sdk import Connection

    def filled(value: object) -> object:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        return value.format(ca=authority.file) if isinstance(value, str) else value

    connection = Connection(
        conn_id="m", conn_type="mysql", host="127.0.0.1", port=mariadb, login="strict",
        password=PASSWORD, schema="tls", extra=json.dumps(filled(extra)),
    )  # fmt: skip
    assert cipher(connection_of(connection))


@pytest.mark.parametrize("mode", ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"])
def test_no_login_is_sent_to_a_server_without_tls(mode: str) -> None:
    """A mock, since no real server tells what it was not sent."""
    heard = bytearray()
    greeting = b"\x0a5.5.5-10.11\0" + b"\1\0\0\0" + b"x" * 8 + b"\0" + b"\xff\xf7" + b"\x2d\2\0"
    greeting += b"\x0f\x80\x15" + b"\0" * 10 + b"y" * 12 + b"\0mysql_native_password\0"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.settimeout(5)
                    link.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
                    with contextlib.suppress(OSError):
                        heard.extend(link.recv(1 << 16))

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SetupError, match="no TLS"):
            Session(to(port, ssl_mode=mode))
        assert bytes(heard) == b""
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def postgres(local_postgres: Systems, authority: Authority) -> Iterator[postgres_server.Database]:
    """The server of all tests, with TLS for as long as this test lasts."""
    place = postgres_server.connection_to(local_postgres)
    with postgres_server.database_on(place) as db:
        # Each of its processes works in its folder, which it may know by another name.
        folder = Path(f"/proc/{db.value('SELECT pg_backend_pid()')}/cwd").resolve()
        owner = folder.stat()
        for source, name in zip(
            authority.certificate("db.test", "127.0.0.1"), ("tls.crt", "tls.key"), strict=True
        ):
            shutil.copy(source, folder / name)
            os.chown(folder / name, owner.st_uid, owner.st_gid)
            (folder / name).chmod(0o600)
        db.run("ALTER SYSTEM SET ssl_cert_file = 'tls.crt'")
        db.run("ALTER SYSTEM SET ssl_key_file = 'tls.key'")
        db.run("ALTER SYSTEM SET ssl = on")
        db.run("SELECT pg_reload_conf()")
        try:
            yield db
        finally:
            for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
                db.run(f"ALTER SYSTEM RESET {name}")
            db.run("SELECT pg_reload_conf()")


def test_postgres_verifies_who_it_is(
    postgres: postgres_server.Database, authority: Authority, stranger: Authority
) -> None:
    def encrypted(host: str = "127.0.0.1", **options: str) -> bool:
        given = {name: str(value) for name, value in options.items()}
        place = type(postgres.connection)(
            host=host,
            port=postgres.connection.port,
            user=postgres.connection.user,
            password=postgres.connection.password,
            database=postgres.connection.database,
            options=given,
        )
        with PostgresSession(place, name="tls") as session:
            return bool(
                session.fetch("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]
            )

    until(encrypted)  # the server has read its settings
    for mode in ("require", "verify-ca", "verify-full"):
        assert encrypted(sslmode=mode, sslrootcert=str(authority.file))
    assert not encrypted(sslmode="disable")
    assert encrypted("localhost", sslmode="verify-ca", sslrootcert=str(authority.file))
    for host, root in (("127.0.0.1", stranger.file), ("localhost", authority.file)):
        with pytest.raises(TradewindError, match=r"certificate") as told:
            encrypted(host, sslmode="verify-full", sslrootcert=str(root))
        assert str(postgres.connection.password) not in str(told.value)
        assert isinstance(told.value, SetupError)


def test_postgres_by_every_interface(
    local_postgres: Systems, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a URI, by the environment, by a connection of Airflow: wrong files send nothing."""
    from airflow.sdk import Connection

    from tradewind.systems.postgres.airflow import connection_of

    place = postgres_server.connection_to(local_postgres)

    def asks_for_tls(link: socket.socket) -> None:
        assert link.recv(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # SSLRequest
        link.sendall(b"S")

    def answers(place: PostgresConnection) -> bool:
        with PostgresSession(place, name="tls") as session:
            return session.fetch("SELECT 1")[0][0] == 1

    def options(authority: Path, own: Files | None) -> dict[str, str]:
        given = zip(("sslcert", "sslkey"), map(str, own or ()), strict=False)
        return {"sslmode": "verify-full", "sslrootcert": str(authority), **dict(given)}

    def by_uri(host: str, port: int, authority: Path, own: Files | None) -> object:
        given = urlencode(options(authority, own))
        login = f"{place.user}:{quote(place.password or '', safe='')}"
        uri = f"postgresql://{login}@{host}:{port}/{place.database}?{given}"
        return answers(PostgresConnection.from_uri(uri))

    def by_environment(host: str, port: int, authority: Path, own: Files | None) -> object:
        with monkeypatch.context() as patch:
            for name, value in options(authority, own).items():
                patch.setenv(f"PG{name.upper()}", value)
            return answers(replace(place, host=host, port=port))

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        given = {"login": place.user, "password": place.password, "schema": place.database}
        given |= {"host": host, "port": port, "extra": json.dumps(options(authority, own))}
        return answers(connection_of(Connection(conn_id="p", conn_type="postgres", **given)))

    for use in (by_uri, by_environment, by_airflow):
        check_tls(pki, reach(place.port), use, trust="as sslrootcert", greet=asks_for_tls)


def test_the_doctor_reads_the_certificate_of_postgres(
    postgres: postgres_server.Database, authority: Authority, stranger: Authority
) -> None:
    def found(**options: str) -> Check:
        place = replace(postgres.connection, options=options)
        return next(check for check in postgres_checks(place, "", 30) if check.what == "TLS")

    until(lambda: "certificate" in found().said)  # the server has read its settings
    assert "TLSv1." in found().said
    assert "certificate for db.test, 127.0.0.1" in found().said
    assert found().status == "warn"  # it ends in two days
    assert "not checked by the client" in found(sslmode="require").said
    trusting = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
    assert "not checked" not in found(**trusting).said
    assert "certificate for db.test, 127.0.0.1" in found(**trusting).said
    assert found(**{**trusting, "sslrootcert": str(stranger.file)}).status == "fail"


def test_the_doctor_reads_the_certificate_of_mysql(
    mariadb: int, authority: Authority, stranger: Authority
) -> None:
    def found(**options: str) -> Check:
        checks = mysql_checks(to(mariadb, **options), "", 30)
        return next(check for check in checks if check.what == "TLS")

    assert found().status == "warn"  # it ends in two days
    assert "Renew" in found().remedy
    assert "not checked by the client" in found().said
    trusting = {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": str(authority.file)}
    assert "not checked" not in found(**trusting).said
    assert found(**{**trusting, "ssl_ca": str(stranger.file)}).status == "fail"
