"""HTTP APIs over TLS, to read from and to run jobs on, with an authority of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from certificates import Authority
from job_server import JobServer, job_server
from rest_server import Reply, Server, serving
from tls_cases import Files, Pki, check_tls, http_environment
from tls_front import TlsFront, reach
from tradewind.airflow.rest_backends import open_http_jobs
from tradewind.errors import InputError, SetupError
from tradewind.systems.http.airflow import http_connection
from tradewind.systems.http.backend import RestConnection
from tradewind.systems.http.connection import HttpConnection
from tradewind.systems.http.job_server import JobServer as Client
from tradewind.systems.http.source import RestSource
from tradewind.testing.conformance.source import rows_of

TRUST = r"authority's certificate as verify \(TRADEWIND_HTTP_CA_FILE"


@pytest.fixture(scope="module")
def api() -> Iterator[Server]:
    with serving(lambda asked: Reply([{"id": 1}])) as server:
        yield server


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServer]:
    with job_server(tmp_path_factory.mktemp("jobs")) as server:
        yield server


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def airflow_connection(
    monkeypatch: pytest.MonkeyPatch, address: str, extra: dict[str, object]
) -> str:
    given = {"conn_type": "http", "schema": "https", "host": address, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_OVER_TLS", json.dumps(given))
    return "over_tls"


def test_a_source(pki: Pki, api: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_arguments(host: str, port: int, authority: Path, own: Files | None) -> object:
        given = None if own is None else (str(own[0]), str(own[1]))
        place = HttpConnection(f"https://{host}:{port}", verify=str(authority), cert=given)
        return rows_of(RestSource(place, ""))

    def by_uri(host: str, port: int, authority: Path, own: Files | None) -> object:
        with monkeypatch.context() as patch:
            http_environment(patch, authority, own)
            return rows_of(RestSource(HttpConnection.from_uri(f"https://{host}:{port}"), ""))

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {"verify": str(authority), "cert": list(map(str, own or ()))}
        conn_id = airflow_connection(monkeypatch, f"{host}:{port}", extra)
        return rows_of(RestSource(http_connection(conn_id), ""))

    for use in (by_arguments, by_uri, by_airflow):
        check_tls(pki, reach(port_of(api.url)), use, trust=TRUST)


def test_a_backend_of_jobs(pki: Pki, jobs: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"listing_offset": "offset", "listing_size": "size"}

    def use(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {"verify": str(authority), "cert": list(map(str, own or ()))}
        conn_id = airflow_connection(monkeypatch, f"{host}:{port}/api", extra)
        backend = open_http_jobs(conn_id, declared)
        try:
            return list(backend.list()) == []
        finally:
            backend.close()

    check_tls(pki, reach(port_of(jobs.url)), use, trust=TRUST)


def test_what_is_no_question_of_trust_is_told_as_what_it_is(
    pki: Pki, api: Server, tmp_path: Path
) -> None:
    """One line each: what is wrong, and what the error says of it."""
    port = port_of(api.url)
    key = str(pki.client[1])
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY")
    (tmp_path / "some.txt").write_text("no certificate")
    mine = str(pki.client[0])
    for given, said in (
        ({"verify": "/there/is/none"}, r"no file /there/is/none, which verify"),
        ({"verify": str(tmp_path / "some.txt")}, r"some\.txt holds no certificates"),
        ({"cert": "/there/is/none"}, r"no file /there/is/none, which cert"),
        ({"cert": (mine, "/no/key")}, r"no file /no/key, which the key of cert"),
        ({"cert": (mine, mine)}, r"cannot be used.*belong together"),
        ({"cert": (mine, str(pki.strange_client[1]))}, r"cannot be used.*belong together"),
        ({"cert": (mine, str(locked))}, r"passphrase|cannot be used"),
        ({"verify": False, "cert": (mine, key)}, r"does not speak TLS.*port, or the scheme"),
    ):
        place = f"https://127.0.0.1:{port}"
        with pytest.raises(SetupError, match=said):
            rows_of(RestSource(HttpConnection(place, **given), ""))
        with pytest.raises(SetupError, match=said):
            Client(RestConnection(place, **given), "Livy").ask("GET", "/", what="it")


def test_words_of_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, verify in (("false", False), ("True", True), ("/ca.pem", "/ca.pem"), (False, False)):
        conn_id = airflow_connection(monkeypatch, "h", {"verify": word, "cert": "/c.pem"})
        found = http_connection(conn_id)
        assert (found.verify, found.cert) == (verify, "/c.pem")
    with pytest.raises(InputError, match="3 files"):
        http_connection(airflow_connection(monkeypatch, "h", {"cert": ["a", "b", "c"]}))


def test_expired(pki: Pki, api: Server, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "old-authority")
    files = authority.certificate("db.test", "127.0.0.1", days=-1)
    with TlsFront(reach(port_of(api.url)), files) as front:
        place = HttpConnection(f"https://127.0.0.1:{front.port}", verify=str(authority.file))
        with pytest.raises(SetupError, match=r"expired.*Renew"):
            rows_of(RestSource(place, ""))
        assert front.heard == b""
        assert front.connections == 1, "what cannot change is not asked again"
