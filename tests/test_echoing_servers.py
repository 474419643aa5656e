"""Servers that repeat what they are sent, as proxies and frameworks in debug mode do.

The errors of client libraries hold what a server says, and at times what the client sent. No secret
of a connection may come to light by them: not in our error, not in those that it was raised from.
"""

from __future__ import annotations

import base64
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote, quote_plus

import pytest

from tradewind.errors import TradewindError

MARK = "Zq7/w+K=x 9vT"
IN_URI = quote(MARK, safe="")
KEY = base64.b64encode(b"Zq7wK key of an account 9vT").decode()


def spellings() -> list[str]:
    """Give what tells of the secrets: also in base64, wherever in it they begin."""
    found = [MARK, IN_URI, quote(MARK), quote_plus(MARK), KEY, quote(KEY, safe="")]
    for before in range(3):
        # Three bytes become four letters; those at the ends depend on what stands beside.
        coded = base64.b64encode(b":" * before + MARK.encode()).decode()
        found.append(coded[(0, 2, 3)[before] :].rstrip("=")[:-1])
    return found


class Echo:
    """A server that answers HTTP by an error with the whole request, and all else by itself."""

    def __init__(self, status: str) -> None:
        self._status = status
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client:
            client.settimeout(1)
            try:
                sent = client.recv(1 << 16)
                if b" HTTP/1." in sent:
                    said, kind = b"cannot serve " + sent.replace(b"\r\n", b" "), "json"
                    body = b'{"message": "' + said + b'"}'
                    if b"AWS4" in sent:
                        said, kind = said.replace(b"&", b"&amp;"), "xml"
                        body = b"<Error><Code>No</Code><Message>" + said + b"</Message></Error>"
                    head = f"HTTP/1.1 {self._status} No\r\nContent-Type: application/{kind}\r\n"
                    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                else:
                    client.sendall(sent or b"\x00 nothing")
            except OSError:
                return


def postgres(port: int) -> None:
    from tradewind.systems.postgres.source import PostgresSource

    uri = f"postgresql://who:{IN_URI}@127.0.0.1:{port}/db?sslmode=disable&connect_timeout=3"
    PostgresSource.from_uri(uri, {"query": "SELECT 1"}).batches().__enter__()


def mysql(port: int) -> None:
    from tradewind.systems.mysql.source import MySQLSource

    uri = f"mysql://who:{IN_URI}@127.0.0.1:{port}/db?connect_timeout=3"
    MySQLSource.from_uri(uri, {"query": "SELECT 1"}).batches().__enter__()


def mongodb(port: int) -> None:
    from tradewind.systems.mongodb.source import MongoSource

    uri = f"mongodb://who:{IN_URI}@127.0.0.1:{port}/db?serverSelectionTimeoutMS=500"
    MongoSource.from_uri(uri, {"collection": "c"}).batches().__enter__()


def http_basic(port: int) -> None:
    from tradewind.systems.http.source import RestSource

    uri = f"http://who:{IN_URI}@127.0.0.1:{port}/a?api_key={IN_URI}"
    RestSource.from_uri(uri, {"attempts": "1"}).batches().__enter__()


def http_headers(port: int) -> None:
    from tradewind.systems.http.connection import BearerAuth, HttpConnection, Retries
    from tradewind.systems.http.source import RestSource

    connection = HttpConnection(
        f"http://127.0.0.1:{port}",
        headers={"X-Api-Key": MARK},
        auth=BearerAuth(KEY),
        retries=Retries(attempts=1),
    )
    RestSource(connection, "/a").batches().__enter__()


def s3(port: int) -> None:
    import boto3
    from botocore.config import Config

    from tradewind.systems.s3.store import S3Store

    session = boto3.Session("key-id", MARK, aws_session_token=KEY, region_name="eu-west-1")
    config = Config(retries={"total_max_attempts": 1})
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "config": config}
    list(S3Store("bucket", session=session, client_options=options).list())


def azure(port: int) -> None:
    from tradewind.systems.azure.store import AzureStore

    endpoint = f"http://127.0.0.1:{port}/account"
    AzureStore("container", account="account", endpoint=endpoint, credential=KEY).check()


def azure_signed(port: int) -> None:
    from tradewind.systems.azure.store import AzureStore

    endpoint = f"http://127.0.0.1:{port}/account"
    signed = f"sv=2024-01-01&sig={IN_URI}"
    AzureStore("container", account="account", endpoint=endpoint, credential=signed).check()


def docker(port: int) -> None:
    from tradewind.systems.docker.backend import DockerBackend
    from tradewind.systems.docker.engine import Engine

    list(DockerBackend(Engine(f"http://who:{IN_URI}@127.0.0.1:{port}")).list())


def docker_pull(port: int) -> None:
    from tradewind.systems.docker.engine import Engine, RegistryLogin

    login = RegistryLogin("127.0.0.1", "who", MARK)
    list(Engine(f"http://127.0.0.1:{port}").pull("image", login, platform=None))


def ssh(port: int) -> None:
    from tradewind.systems.ssh.backend import SSHBackend
    from tradewind.systems.ssh.connection import SSHConnection

    connection = SSHConnection(
        "127.0.0.1", "who", port, password=MARK, check_host_key=False, connect_timeout=3
    )
    with closing(SSHBackend(connection)) as backend:
        list(backend.list())


def sftp(port: int) -> None:
    from tradewind.systems.sftp.store import SFTPStore
    from tradewind.systems.ssh.connection import SSHConnection

    connection = SSHConnection("127.0.0.1", "who", port, password=MARK, check_host_key=False)
    SFTPStore(connection).check()


def livy(port: int) -> None:
    from tradewind.systems.http.job_server import RestConnection
    from tradewind.systems.livy.backend import LivyBackend

    given = {"headers": {"X-Api-Key": KEY}, "attempts": 1}
    connection = RestConnection(f"http://127.0.0.1:{port}", auth=("who", MARK), **given)
    list(LivyBackend(connection).list())


OF_THEIR_OWN = [postgres, mysql, mongodb, ssh, sftp]
OF_HTTP = [http_basic, http_headers, s3, azure, azure_signed, docker, docker_pull, livy]


@pytest.mark.parametrize(
    ("client", "status"),
    [(client, "400") for client in (*OF_THEIR_OWN, *OF_HTTP)]
    + [pytest.param(client, "500", marks=pytest.mark.long) for client in OF_HTTP],
)
def test_no_secret_comes_back_by_an_error(client: Callable[[int], None], status: str):
    echo = Echo(status)
    try:
        client(echo.port)
    except TradewindError as error:
        told = "".join(traceback.format_exception(error))
    else:
        pytest.fail("it was taken for an answer")
    finally:
        echo.close()
    assert not [one for one in spellings() if one in told], told
