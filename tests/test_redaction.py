"""No secret of an address is shown, whatever it is made of: through the real command line."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import traceback
from contextlib import redirect_stderr, redirect_stdout
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.cli import main
from tradewind.concealing import without_secrets
from tradewind.errors import InputError
from tradewind.redaction import (
    environment_secrets,
    has_password,
    redacted,
    refuse_signed,
    secrets_of,
    shown_uri,
    split_uri,
)

#: Stands in each half of each secret, so that a piece of it gives it away.
MARK = "qZx9Kw7J"
CLOSED = "127.0.0.1:1"

_ODD = st.text(alphabet="/?#[]@:% äß漢ab1&=+'\"\\", max_size=4)
SECRETS = st.builds(lambda a, b, c: f"{a}{MARK}{b}{MARK}{c}", _ODD, _ODD, _ODD)
#: Half of a password in front of what delimits may look like a port.
DIGITS = st.builds(lambda odd: f"12{odd}{MARK}", st.sampled_from(list("/?#[]@:% ")))
ANY = SECRETS | DIGITS
PLACES = st.sampled_from(["raw", "quoted"])


def spelled(secret: str, place: str) -> str:
    return secret if place == "raw" else quote(secret, safe="")


def said(*arguments: str) -> str:
    """All that a run of the command line says: output, errors, logs, exceptions that leave it."""
    out, err, log = io.StringIO(), io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main(list(arguments))
            except SystemExit:
                pass
            except BaseException:
                err.write(traceback.format_exc())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return out.getvalue() + err.getvalue() + log.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _alone(tmp_path_factory):
    """Without what this machine's environment says of systems; no wait for what is closed."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("PG", "MYSQL", "MONGODB", "AWS_", "AZURE_", "TRADEWIND_", "AIRFLOW_C")):
            del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": f"http://{CLOSED}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    here = os.getcwd()
    resolve = socket.getaddrinfo

    def nobody_else(host, *arguments, **options):
        # Half of an address may look like a host: nothing leaves this machine.
        if host not in ("127.0.0.1", b"127.0.0.1", None):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *arguments, **options)

    socket.getaddrinfo = nobody_else
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    socket.getaddrinfo = resolve
    os.chdir(here)
    os.environ.clear()
    os.environ.update(kept)


@settings(max_examples=30, deadline=None)
@given(ANY, ANY, PLACES, st.sampled_from(["postgresql", "postgres", "mysql", "mariadb"]))
def test_databases_show_no_secret(user, password, place, scheme):
    user, password = spelled(user, place), spelled(password, place)
    uri = f"{scheme}://{user}:{password}@{CLOSED}/db"
    for arguments in (
        ["--from", uri, "--to", "x.csv", "--query", "SELECT 1", "--dry-run"],
        ["--from", "x.csv", "--to", uri, "--set-to", "table=t", "--set-to", "nonsense=1"],
        ["--from", uri, "--to", "x.csv", "--set-from", "nonsense=1"],
    ):
        text = said("move", *arguments)
        assert MARK not in text, text


@settings(max_examples=30, deadline=None)
@given(ANY, ANY, PLACES, st.sampled_from(["mongodb", "mongodb+srv"]))
def test_mongodb_shows_no_secret(user, password, place, scheme):
    user, password = spelled(user, place), spelled(password, place)
    uri = f"{scheme}://{user}:{password}@{CLOSED}/db?serverSelectionTimeoutMS=1&connectTimeoutMS=1"
    for options in (["nonsense=1"], ["collection=c"]):
        given_ = [one for pair in options for one in ("--set-from", pair)]
        text = said("move", "--from", uri, "--to", "x.csv", *given_, "--dry-run")
        assert MARK not in text, text


@settings(max_examples=30, deadline=None)
@given(ANY, ANY, PLACES, st.sampled_from(["http", "https"]))
def test_http_shows_no_secret(user, password, place, scheme):
    secret = spelled(password, place)
    for uri in (
        f"{scheme}://{spelled(user, place)}:{secret}@{CLOSED}/items",
        f"{scheme}://{CLOSED}/items?code={secret.replace('&', '%26')}&page=2",
        f"{scheme}://{CLOSED}/items#{secret}",
    ):
        text = said("move", "--from", uri, "--to", "x.csv", "--set-from", "nonsense=1")
        assert MARK not in text, text
        assert MARK not in shown_uri(uri)


@settings(max_examples=30, deadline=None)
@given(ANY, PLACES, st.sampled_from(["s3", "s3a", "gs", "az", "wasb", "file"]))
def test_object_stores_show_no_secret(secret, place, scheme):
    secret = spelled(secret, place)
    for uri in (f"{scheme}://user:{secret}@bucket/key.csv", f"{scheme}://:{secret}@bucket/key"):
        for arguments in (["--from", uri, "--to", "x.csv"], ["--from", "x.csv", "--to", uri]):
            text = said("move", *arguments, "--dry-run")
            assert MARK not in text, text
    if scheme != "file":
        for name in ("sig", "X-Amz-Signature", "X-Goog-Signature", "sv=1&sig"):
            # A bare '&' ends a value, by the rules of a query.
            uri = f"{scheme}://bucket/key.csv?{name}={secret.replace('&', '%26')}"
            text = said("move", "--from", uri, "--to", "x.csv", "--dry-run")
            assert MARK not in text, text


@settings(max_examples=30, deadline=None)
@given(ANY, ANY, PLACES, st.sampled_from(["docker", "ssh", "livy", "yarn"]))
def test_sweep_shows_no_secret(user, password, place, kind):
    user, password = spelled(user, place), spelled(password, place)
    scheme = {"docker": "tcp", "ssh": "ssh"}.get(kind, "http")
    uris = [f"{scheme}://{user}:{password}@{CLOSED}/"]
    if kind != "ssh":
        uris.append(f"{scheme}://{CLOSED}/?token={password}")
    for uri in uris:
        text = said("sweep", f"--{kind}", uri)
        assert MARK not in text, text


@settings(max_examples=30, deadline=None)
@given(ANY, st.sampled_from(["postgresql", "mysql", "sqlite", "s3", "https"]))
def test_what_the_command_line_refuses_is_not_shown(secret, scheme):
    uri = f"{scheme}://user:{secret}@{CLOSED}/db"
    for arguments in (
        ["move", uri],
        ["move", "--from", "a.csv", "--to", "b.csv", uri],
        ["sweep", uri],
        ["move", "--from", uri.replace("://", ":"), "--to", "x.csv"],
        ["move", "--from", uri.replace("://", ":/"), "--to", "x.csv"],
        ["move", "--from", "a.csv", "--to", "b.csv", "--set-to", f"x {uri}"],
        ["move", "--from", f"connection:no_{MARK[:3]}", "--to", uri],
    ):
        text = said(*arguments)
        assert MARK not in text, text


@settings(max_examples=300, deadline=None)
@given(ANY, ANY, PLACES, st.sampled_from(["postgresql", "mysql", "mongodb", "ssh", "tcp", "http"]))
def test_no_description_holds_a_secret(user, password, place, scheme):
    user, password = spelled(user, place), spelled(password, place)
    for uri in (f"{scheme}://{user}:{password}@db.example:5432/shop", f"{scheme}://{password}@h/x"):
        if uri.count(password) and ":" in uri.rpartition("@")[0][len(scheme) + 3 :]:
            assert MARK not in shown_uri(uri), shown_uri(uri)
        assert MARK not in refusal(uri)


def refusal(uri: str) -> str:
    """What `split_uri` says, with all causes; nothing where it takes the address."""
    try:
        split_uri(uri, "X", "x://")
    except InputError as error:
        return "".join(traceback.format_exception(error))
    return ""


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_a_librarys_text_is_redacted_in_every_spelling(secret):
    uri = f"postgresql://user:{quote(secret, safe='')}@h/db"
    text = f"bad {uri}; {secret}; {secret!r}; {secret.encode()!r}; {quote(secret)}"
    assert MARK not in redacted(text, uris=[uri])
    assert MARK not in redacted(text, uris=[f"postgresql://user:{secret}@h/db"], secrets=[secret])


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://db.example:5432/shop",
        "postgresql://[::1]:5432/shop?sslmode=require",
        "mongodb://a:1,b:2/db?replicaSet=rs0",
        "s3://bucket/user@example.com/x y?.csv",
        "https://registry.example/@scope/package?page=2&per_page=100",
        "file:///data/a@b:c.csv",
        "gs://bucket/12:30/x.csv",
        "s3://bucket/export?code=DE.csv",
        "az://bucket/a?tokens=2026.parquet&code=7",
        "gs://bucket/what?code=DE/part-00000-of-00004.csv.gz",
        "unix:///var/run/docker.sock",
    ],
)
def test_what_is_harmless_is_shown_whole(uri):
    assert shown_uri(uri).split("#")[0] == uri.split("#")[0]
    assert secrets_of(uri) == set()


def test_a_key_that_looks_signed_is_refused_with_a_way_to_read_it():
    for query in ("sig=ab.csv", "code=Xz81KpQ0aLmN42wv", "sv=1&session_token=FwoGZXIvYXdzEBY.aZ9"):
        with pytest.raises(InputError, match=r"write \[\?\]"):
            refuse_signed(f"s3://bucket/key?{query}")
        refuse_signed(f"s3://bucket/key[?]{query.replace('&', '[&]')}")
        assert query.rpartition("=")[2] not in shown_uri(f"s3://bucket/key?{query}")


def test_unknown_parameters_are_named_and_not_shown():
    assert shown_uri("https://h/a?q=x&code=y&zz&page=2") == "https://h/a?q=***&code=***&***&page=2"
    assert shown_uri("https://TOKEN@h/a;jsession=1") == "https://***@h/a"


def test_a_database_that_is_called_like_its_user_is_shown():
    for scheme in ("postgresql", "mysql", "mongodb"):
        assert secrets_of(f"{scheme}://shop@db.example:1/shop?sslmode=prefer") == set()
        assert secrets_of(f"{scheme}://shop:secret1@db.example:1/shop") == {"secret1"}
        assert secrets_of(f"{scheme}://shop@db.example:1/other") == {"shop"}


def test_secrets_of_the_environment_are_known():
    found = environment_secrets(
        {
            "PGPASSWORD": "one-1",
            "AIRFLOW_CONN_A": "postgres://u:two-2@h/db",
            "AIRFLOW_CONN_B": '{"host": "h", "password": "three-3", "extra": {"token": "f-4"}}',
            "AWS_SECRET_ACCESS_KEY": "five-5",
            "TRADEWIND_HTTP_TOKEN": "six-6",
            "HOME": "/root",
        }
    )
    assert found == {"one-1", "two-2", "three-3", "f-4", "five-5", "six-6"}


def test_plain_words_of_airflow_s_connections_are_no_secrets():
    connection = {
        "conn_type": "postgres",
        "host": "db.example.com",
        "schema": "warehouse",
        "login": "loader",
        "password": "one-1",
        "extra": json.dumps(
            {"endpoint_url": "http://s3.example.com:9000", "authSource": "admin", "token": "two-2"}
        ),
    }
    found = environment_secrets({"AIRFLOW_CONN_A": json.dumps(connection)})
    assert found == {"one-1", "two-2"}
    inner = {"conn_type": "http", "extra": {"proxy": "http://me:three-3@proxy:1"}}
    assert environment_secrets({"AIRFLOW_CONN_B": json.dumps(inner)}) == {"three-3"}
    # Of Azure's connection strings a host is none either: no error could name its system.
    common = "DefaultEndpointsProtocol=http;AccountName=lake;EndpointSuffix=core.windows.net"
    for text, secrets in (
        (f"{common};AccountKey=five-5==;BlobEndpoint=http://127.0.0.1:1/lake;", {"five-5=="}),
        (f"{common};AccountKey=five-5==", {"five-5=="}),
        ("BlobEndpoint=https://h/;SharedAccessSignature=sv=1&sig=six-6", {"sv=1&sig=six-6"}),
        ("BlobEndpoint=http://h/?sig=seven-7;Password=eight-8", {"seven-7", "eight-8"}),
    ):
        wasb = {"conn_type": "wasb", "extra": {"connection_string": text}}
        for name, value in (
            ("AIRFLOW_CONN_W", json.dumps(wasb)),
            ("AZURE_STORAGE_CONNECTION_STRING", text),
        ):
            assert environment_secrets({name: value}) == {text, *secrets}, text
    # What cannot be read may be anything.
    assert "four-4" in environment_secrets({"AIRFLOW_CONN_C": '{"password": "four-4",'})


def test_a_password_is_told_from_a_user():
    for uri in (
        "postgresql://u:p@h/db", "https://TOKEN@h/a", "https://h/a?api_key=x", "mysql://u@h/?password=x",
        "postgresql://u:SEC/RET@h/db",
    ):  # fmt: skip
        assert has_password(uri), uri
    for uri in (
        "postgresql://u@h/db?sslmode=require", "mongodb://u@h/db?authSource=admin", "a.csv",
        "s3://bucket/key?token=ab.csv", "https://h/a?page=2&q=x", "sftp://u@h/a", "mysql://u:@h/d",
    ):  # fmt: skip
        assert not has_password(uri), uri


def test_an_address_in_key_words_shows_no_password():
    for address in (
        f"host=h password='a {MARK}\\' {MARK}' dbname=d", f"Driver=x;PWD={{{MARK} b}};Server=s",
        f"dbname=d PASSWORD={MARK}", f"mysql -u root -p{MARK} db", f"mysql --password {MARK} db",
        f"mariadb -h h '-p{MARK}'", f"sshpass -p '{MARK} x' sftp h", f"curl -u me:{MARK} h",
    ):  # fmt: skip
        for arguments in (
            ["move", "--from", address, "--to", "x.csv"],
            ["move", "--from", "x.csv", "--to", address],
            ["sweep", "--tables", address],
            ["show", address],
        ):
            text = said(*arguments)
            assert MARK not in text, text
    assert redacted('{"pwd": "a\\"b", "n": 1}') == '{"pwd": ***, "n": 1}'
    for plain in (
        "Wrong password: try again.",
        "set PGPASSWORD=... or a file",
        "no password given",
        "mkdir -p made; docker run -p 80:80; set -p, or psql -p 5432",
    ):
        assert redacted(plain) == plain


def test_what_a_traceback_shows_behind_an_error_shows_no_secret():
    plain, ring, noted, behind = (OSError("closed") for _ in range(4))
    ring.__cause__, plain.__cause__ = plain, ring
    noted.add_note(f"sent: {MARK}")
    behind.__context__ = ExceptionGroup("several", [OSError("closed"), OSError(f"sent: {MARK}")])
    for error, told in ((ring, False), (noted, True), (behind, True)):
        shown = without_secrets(error, secrets=[MARK])
        assert (shown is not error) == told
        assert MARK not in "".join(traceback.format_exception(shown))


def test_a_fault_of_our_own_shows_no_secret(monkeypatch):
    from tradewind.systems.postgres.source import PostgresSource

    def fails(*_: object) -> None:
        raise RuntimeError(f"what I was given: postgresql://u:{MARK}@h/db and {MARK}")

    monkeypatch.setattr(PostgresSource, "from_uri", fails)
    text = said("move", "--from", f"postgresql://u:{MARK}@h/db", "--to", "x.csv")
    assert "RuntimeError" in text
    assert MARK not in text
