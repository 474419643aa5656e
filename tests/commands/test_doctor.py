"""`tradewind doctor` against real servers, and against what is wrong with some."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Airflow writes a configuration on import; never into the home of who runs the tests.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tradewind-airflow-"))

import boto3
import pytest
from botocore.stub import Stubber

from certificates import Authority
from postgres_server import connection_to, database_on, fresh
from tradewind.cli import main
from tradewind.commands import doctor_setup
from tradewind.commands.doctor_runner import Subject, looked_at
from tradewind.doctor import Check, clock
from tradewind.local import Systems
from tradewind.systems.s3.doctor import _rights

PATIENT = ["--timeout", "30"]


class Doctor:
    """Runs the command, and gives what it found."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.patch, self.capsys = patch, capsys
        self.text = ""
        self.status = 0
        for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
            patch.delenv(name)

    def connection(self, name: str, **fields: Any) -> str:
        self.patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
        return name

    def __call__(self, *names: str, options: tuple[str, ...] = ()) -> dict[str, Check]:
        """Look at connections; give the checks by what was looked at."""
        given = [f"--connection={name}" for name in names]
        self.status = main(["doctor", "--json", *(options or PATIENT), *given])
        seen = self.capsys.readouterr()
        self.text = seen.out + seen.err
        told = json.loads(seen.out)
        assert told["ok"] == (self.status == 0)
        return {
            one["what"]: Check(one["status"], one["what"], one["said"], one["remedy"])
            for one in told["checks"]
            if one["about"].startswith("connection ")
        }


@pytest.fixture
def doctor(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    # What an installation lacks is not what these tests are about.
    tmp_path: Path,
) -> Doctor:
    monkeypatch.setattr(doctor_setup, "setup_sections", lambda: iter(()))
    return Doctor(monkeypatch, capsys)


def postgres(systems: Systems, **changes: Any) -> dict[str, Any]:
    environment = systems.environment
    return {
        "conn_type": "postgres",
        "host": environment["PGHOST"],
        "port": int(environment["PGPORT"]),
        "login": environment["PGUSER"],
        "password": environment["PGPASSWORD"],
        "schema": environment["PGDATABASE"],
        **changes,
    }


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --------------------------------------------------------------------------------------- PostgreSQL


def test_a_postgres_connection_that_works(doctor: Doctor, local_postgres: Systems) -> None:
    with database_on(connection_to(local_postgres)) as database:
        table = database.table("id int", name="Doctor")
        found = doctor(f"{doctor.connection('here', **postgres(local_postgres))}={table}")
    assert doctor.status == 0
    assert {name: check.status for name, check in found.items()} == {
        "reach": "ok",
        "login": "ok",
        "TLS": "ok",
        "clock": "ok",
        "permissions": "ok",
    }
    assert "SELECT, INSERT" in found["permissions"].said


def test_a_uri_needs_no_airflow(doctor: Doctor, local_postgres: Systems) -> None:
    for name, value in local_postgres.environment.items():
        doctor.patch.setenv(name, value)
    found = doctor(f"postgresql://{local_postgres.environment['PGHOST']}/")
    assert found["login"].status == "ok"


def test_a_table_that_may_not_be_read(doctor: Doctor, local_postgres: Systems) -> None:
    with database_on(connection_to(local_postgres)) as database:
        table, role = database.table("id int"), fresh("reader")
        database.run(f"CREATE ROLE {role} LOGIN PASSWORD 'read-only-9'")
        name = doctor.connection(
            "reader", **postgres(local_postgres, login=role, password="read-only-9")
        )
        try:
            found = doctor(f"{name}={table}")
            assert found["login"].status == "ok"
            assert found["permissions"].status == "fail"
            assert table in found["permissions"].remedy
            assert doctor(f"{name}=no_such_table")["permissions"].status == "fail"
        finally:
            database.run(f"DROP ROLE {role}")
    assert "read-only-9" not in doctor.text


def test_a_wrong_password_is_told_and_not_shown(doctor: Doctor, local_postgres: Systems) -> None:
    wrong = postgres(local_postgres, password="hush-hush-1")
    found = doctor(doctor.connection("wrong", **wrong))
    assert doctor.status == 1
    assert found["reach"].status == "ok"
    assert found["login"].status == "fail"
    assert "Check user and password" in found["login"].said
    assert "hush-hush-1" not in doctor.text


def test_a_port_where_nothing_listens(doctor: Doctor, local_postgres: Systems) -> None:
    gone = postgres(local_postgres, port=closed_port())
    found = doctor(doctor.connection("gone", **gone))
    assert list(found) == ["reach"]
    assert "nothing listens" in found["reach"].said
    assert found["reach"].remedy


def test_who_is_silent_holds_up_no_other(doctor: Doctor, local_postgres: Systems) -> None:
    names = [doctor.connection("works", **postgres(local_postgres))]
    with silent() as port:
        hangs = postgres(local_postgres, port=port)
        names = [doctor.connection(f"hangs_{n}", **hangs) for n in range(5)] + names
        # So that the first to be looked at does not pay for all imports.
        doctor(names[-1])
        began = time.monotonic()
        main(["doctor", "--json", "--timeout", "4", *(f"--connection={name}" for name in names)])
        seconds = time.monotonic() - began
    checks = json.loads(doctor.capsys.readouterr().out)["checks"]
    failed = [one["about"] for one in checks if one["status"] == "fail"]
    assert len(failed) == 5
    assert all("hangs" in about for about in failed)
    assert [one for one in checks if "works" in one["about"] and one["what"] == "permissions"]
    # One after the other they would take five times four seconds.
    assert seconds < 19


# --------------------------------------------------------------------------------------- the others


def test_a_mysql_connection(doctor: Doctor, local_mariadb: Systems) -> None:
    fields = json.loads(local_mariadb.environment["AIRFLOW_CONN_MYSQL_DEFAULT"])
    found = doctor(doctor.connection("maria", **fields))
    assert doctor.status == 0
    assert found["login"].status == found["permissions"].status == "ok"
    assert "MariaDB" in found["login"].said
    wrong = {**fields, "password": "hush-hush-2"}
    found = doctor(doctor.connection("maria_wrong", **wrong))
    assert found["login"].status == "fail"
    assert "hush-hush-2" not in doctor.text
    found = doctor("maria=no_such_table")
    assert found["permissions"].status == "fail"


def test_a_mongodb_connection(doctor: Doctor, local_mongodb: Systems) -> None:
    fields = json.loads(local_mongodb.environment["AIRFLOW_CONN_MONGO_DEFAULT"])
    found = doctor(doctor.connection("mongo", **fields))
    assert found["login"].status == "ok"
    found = doctor(doctor.connection("mongo_wrong", **{**fields, "password": "hush-hush-3"}))
    assert found["login"].status == "fail"
    assert "hush-hush-3" not in doctor.text


def test_buckets(doctor: Doctor, local_s3: Systems) -> None:
    environment = local_s3.environment
    fields = json.loads(environment["AIRFLOW_CONN_AWS_DEFAULT"])
    bucket = fresh("doctor").replace("_", "-")
    boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    ).create_bucket(Bucket=bucket)
    name = doctor.connection("aws_here", **fields)

    found = doctor(f"{name}={bucket}")
    assert doctor.status == 0
    assert {check.status for check in found.values()} == {"ok"}
    assert "s3:ListBucket" in found["permissions"].said
    assert found["clock"].status == "ok"

    found = doctor(name)
    assert doctor.status == 0
    assert found["credentials"].status == "ok"
    assert found["permissions"].status == "warn"

    found = doctor(f"{name}=no-such-bucket-here")
    assert found["bucket"].status == "fail"

    found = doctor(
        f"{doctor.connection('aws_wrong', **{**fields, 'password': 'hush-hush-4'})}={bucket}"
    )
    assert doctor.status == 1
    assert found["credentials"].status == "fail"
    assert "hush-hush-4" not in doctor.text


def test_permissions_that_a_bucket_lacks() -> None:
    # The local server has none that can be taken away one by one.
    client = boto3.client(
        "s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as answers:
        answers.add_client_error("list_multipart_uploads", "AccessDenied", http_status_code=403)
        answers.add_client_error("head_object", "403", http_status_code=403)
        [found] = _rights(client, "bucket", ["key"])
    assert found.status == "warn"
    assert "s3:GetObject (to read)" in found.remedy
    assert "s3:ListBucketMultipartUploads (to write)" in found.remedy


class _Api(http.server.BaseHTTPRequestHandler):
    date: str | None = None

    def do_GET(self) -> None:
        status = 401 if self.path == "/closed" else 404 if self.path == "/nothing" else 200
        self.send_response_only(status)
        if self.date:
            self.send_header("Date", self.date)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def api(context: ssl.SSLContext | None = None, date: str | None = None) -> Iterator[int]:
    handler = type("Handler", (_Api,), {"date": date})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_an_http_api(doctor: Doctor) -> None:
    with api(date="Thu, 01 Jan 2026 00:00:00 GMT") as port:
        fields = {"conn_type": "http", "host": "127.0.0.1", "port": port}
        name = doctor.connection("api", **fields, password="hush-hush-5", login="me")
        found = doctor(name)
        assert doctor.status == 0
        assert found["answer"].status == "ok"
        assert found["clock"].status == "warn"
        assert doctor(f"{name}=closed")["credentials"].status == "fail"
        assert doctor(f"{name}=nothing")["answer"].status == "fail"
        assert "hush-hush-5" not in doctor.text


@pytest.mark.parametrize("days", [-3, 2, 90])
def test_certificates(doctor: Doctor, tmp_path: Path, days: int) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.certificate("localhost", "127.0.0.1", days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with api(context) as port:
        fields = {"conn_type": "http", "host": "localhost", "schema": "https", "port": port}
        trusting = {"extra": {"verify": str(authority.file)}}
        found = doctor(doctor.connection("tls", **fields, **trusting))["TLS"]
        assert "localhost, 127.0.0.1" in found.said
        assert found.status == {-3: "fail", 2: "warn", 90: "ok"}[days]
        if days < 0:
            assert "expired" in found.said
            assert "Renew" in found.remedy
        found = doctor(doctor.connection("strange", **fields))["TLS"]
        assert found.status == "fail"
        assert "localhost, 127.0.0.1" in found.said


def test_a_system_without_questions_of_its_own(doctor: Doctor, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    name = doctor.connection("lite", conn_type="sqlite", host=str(path))
    assert doctor(name)["query"].status == "fail"
    assert not path.exists()
    path.touch()
    assert doctor(name)["query"].status == "ok"
    found = doctor(doctor.connection("box", conn_type="ssh", host="127.0.0.1", port=closed_port()))
    assert found["reach"].status == "fail"
    fields = {"conn_type": "sftp", "host": "127.0.0.1", "port": closed_port(), "login": "me"}
    assert doctor(doctor.connection("store", **fields))["bucket"].status == "fail"


def test_a_connection_that_is_not_there(doctor: Doctor) -> None:
    found = doctor("nobody_made_it")
    assert doctor.status == 1
    assert "airflow connections add" in found["settings"].said


def test_where_airflow_is_not_installed(doctor: Doctor) -> None:
    known = importlib.util.find_spec
    doctor.patch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "airflow" else known(name)
    )
    found = doctor("some_connection")
    assert "pip install 'tradewind[airflow]'" in found["settings"].said


def test_all_connections(doctor: Doctor, tmp_path: Path) -> None:
    doctor.connection("one", conn_type="sqlite", host=str(tmp_path / "none.db"))
    doctor.connection("two", conn_type="ssh", host="127.0.0.1", port=closed_port())
    assert main(["doctor", "--json", "--all-connections"]) == 1
    checks = json.loads(doctor.capsys.readouterr().out)["checks"]
    about = {one["about"] for one in checks}
    assert {"connection one: SQLite", "connection two: Machines behind SSH"} <= about
    assert [one for one in checks if one["what"] == "metadata database"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--connection", "=x"],
        ["--connection", "x9://h"],
        ["--connection", "file:///x"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------------------------- in pieces


def test_what_fails_in_a_system_is_told_without_its_secrets() -> None:
    def begin() -> tuple[str, Iterator[Check]]:
        def checks() -> Iterator[Check]:
            yield Check("ok", "reach")
            raise ValueError("the token is hush-hush-6")

        return "Test", checks()

    [(title, found)] = looked_at([Subject("one", begin, secrets={"hush-hush-6"})], 5)
    assert title == "one: Test"
    assert [check.status for check in found] == ["ok", "fail"]
    assert found[1].said == "ValueError: the token is ***"


def test_clocks() -> None:
    now = time.time()
    assert [check.status for check in clock(now)] == ["ok"]
    assert [check.status for check in clock(now + 30)] == ["ok"]
    assert [check.status for check in clock(now - 100)] == ["warn"]
    assert [check.status for check in clock(now + 1000, most=900)] == ["fail"]
    assert list(clock(None)) == list(clock("not a date")) == []
