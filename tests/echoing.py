"""Servers that repeat what they are sent, and clients of all systems that tell them secrets."""

from __future__ import annotations

import base64
import html
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

#: Stands in each half of each secret, so that a piece of it gives it away. Nothing else has it.
MARK = "qZx9Kw7J"
_BASIC = re.compile(r"(?i)basic ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Secret:
    """One secret, in the forms in which connections take it."""

    text: str

    @property
    def quoted(self) -> str:
        return quote(self.text, safe="")

    @property
    def key(self) -> str:
        """Base64, as the key of an Azure account is."""
        return base64.b64encode(self.text.encode()).decode()

    @property
    def line(self) -> str:
        """What can stand in a header: no server ever sees another one."""
        return "".join(letter for letter in self.text if " " < letter < "\x7f")


def marks() -> list[str]:
    """Give what tells of a secret: its mark, also in base64, wherever in it that begins."""
    found = [MARK]
    for before in range(3):
        # Three bytes become four letters; those at the ends depend on what stands beside.
        coded = base64.b64encode(b":" * before + MARK.encode()).decode()
        found.append(coded[(0, 2, 3)[before] :].rstrip("=")[:-1])
    return found


def as_json(request: str) -> tuple[str, str]:
    return json.dumps({"message": f"cannot serve {request}"}), "application/json"


def as_unicode(request: str) -> tuple[str, str]:
    told = json.dumps({"message": request, "error": {"message": request}}, ensure_ascii=False)
    return told.replace("/", "\\/"), "application/json"


def as_headers(request: str) -> tuple[str, str]:
    """As frameworks in debug mode show it: each header by its name."""
    first, _, rest = request.partition("  ")
    headers = dict(one.split(": ", 1) for one in re.split(r"  ", rest) if ": " in one)
    told = {"message": {"request": unquote(first), "headers": headers}, "detail": repr(headers)}
    return json.dumps(told), "application/json"


def as_page(request: str) -> tuple[str, str]:
    return f"<html><pre>{html.escape(request)}</pre></html>", "text/html"


def as_xml(request: str) -> tuple[str, str]:
    told = html.escape(request)
    return f"<Error><Code>No</Code><Message>{told}</Message></Error>", "application/xml"


def as_text(request: str) -> tuple[str, str]:
    return request, "text/plain"


def decoded(request: str) -> tuple[str, str]:
    """What a proxy says of a login that it refuses."""
    text = _BASIC.sub(
        lambda found: base64.b64decode(found[1] + "==").decode(errors="replace"), request
    )
    return json.dumps({"message": f"no login {unquote(text)}"}), "application/json"


WAYS: tuple[Callable[[str], tuple[str, str]], ...] = (
    as_json, as_headers, as_page, as_xml, as_text, decoded, as_unicode,
)  # fmt: skip


class Echo:
    """A server that answers HTTP by an error with the whole request, and all else by itself.

    Args:
        status: Of its answers.
        say: How the request stands in them, one of `WAYS`.
        tls: With which it listens.
    """

    def __init__(
        self,
        status: str,
        say: Callable[[str], tuple[str, str]] = as_json,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.status, self.say = status, say
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._answering: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for thread in self._answering:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(client,), daemon=True)
            thread.start()
            self._answering.append(thread)

    def _answer(self, plain: socket.socket) -> None:
        with plain:
            plain.settimeout(1)
            try:
                client = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
                with client:
                    sent = client.recv(1 << 16)
                    if b" HTTP/1." in sent:
                        while b"\r\n\r\n" not in sent and (more := client.recv(1 << 16)):
                            sent += more
                        head, _, body = sent.partition(b"\r\n\r\n")
                        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                        if length:
                            while len(body) < int(length[1]) and (more := client.recv(1 << 16)):
                                body += more
                        client.sendall(self._said(head + b"\r\n\r\n" + body))
                    else:
                        client.sendall(sent or b"\x00 nothing")
            except OSError:
                return

    def _said(self, sent: bytes) -> bytes:
        text, kind = self.say(sent.decode(errors="replace").replace("\r\n", "  "))
        body = text.encode(errors="replace")
        head = f"HTTP/1.1 {self.status} No\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# ---------------------------------------------------------------------- clients of their own wire


def postgres(port: int, secret: Secret) -> None:
    from tradewind.systems.postgres.source import PostgresSource

    uri = f"postgresql://who:{secret.quoted}@127.0.0.1:{port}/db?sslmode=disable&connect_timeout=3"
    PostgresSource.from_uri(uri, {"query": "SELECT 1"}).batches().__enter__()


def mysql(port: int, secret: Secret) -> None:
    from tradewind.systems.mysql.source import MySQLSource

    uri = f"mysql://who:{secret.quoted}@127.0.0.1:{port}/db?connect_timeout=3"
    MySQLSource.from_uri(uri, {"query": "SELECT 1"}).batches().__enter__()


def mongodb(port: int, secret: Secret) -> None:
    from tradewind.systems.mongodb.source import MongoSource

    uri = f"mongodb://who:{secret.quoted}@127.0.0.1:{port}/db?serverSelectionTimeoutMS=50"
    MongoSource.from_uri(uri, {"collection": "c"}).batches().__enter__()


def ssh(port: int, secret: Secret) -> None:
    from tradewind.systems.ssh.backend import SSHBackend
    from tradewind.systems.ssh.connection import SSHConnection

    given: dict[str, Any] = {"check_host_key": False, "connect_timeout": 3}
    list(SSHBackend(SSHConnection("127.0.0.1", "who", port, password=secret.text, **given)).list())


def sftp(port: int, secret: Secret) -> None:
    from tradewind.systems.sftp.store import SFTPStore
    from tradewind.systems.ssh.connection import SSHConnection

    given: dict[str, Any] = {"check_host_key": False, "connect_timeout": 3}
    SFTPStore(SSHConnection("127.0.0.1", "who", port, password=secret.text, **given)).check()


# --------------------------------------------------------------------------------- clients of HTTP


def http_basic(port: int, secret: Secret) -> None:
    from tradewind.systems.http.source import RestSource

    uri = f"http://who:{secret.quoted}@127.0.0.1:{port}/a?api_key={secret.quoted}"
    RestSource.from_uri(uri, {"attempts": "1"}).batches().__enter__()


def http_headers(port: int, secret: Secret) -> None:
    from tradewind.systems.http.connection import BearerAuth, HttpConnection, Retries
    from tradewind.systems.http.source import RestSource

    connection = HttpConnection(
        f"http://127.0.0.1:{port}",
        headers={"X-Api-Key": secret.text},
        auth=BearerAuth(secret.key),
        params={"code": secret.text},
        retries=Retries(attempts=1),
    )
    RestSource(connection, "/a").batches().__enter__()


def _s3(port: int, secret: Secret, **given: Any) -> Any:
    import boto3
    from botocore.config import Config

    from tradewind.systems.s3.store import S3Store

    session = boto3.Session(
        "key-id", secret.text, aws_session_token=secret.line, region_name="eu-west-1"
    )
    config = Config(retries={"total_max_attempts": 1})
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "config": config}
    return S3Store("bucket", session=session, client_options=options, **given)


def s3(port: int, secret: Secret) -> None:
    list(_s3(port, secret).list())


def s3_write(port: int, secret: Secret) -> None:
    """An upload under a condition, with a key of the client's own."""
    own = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": secret.key}
    upload = _s3(port, secret, extra_args=own).upload("key", create_only=True)
    upload.write(b"data")
    upload.complete()


def s3_endpoint(port: int, secret: Secret) -> None:
    """An endpoint that has a password of its own, for a proxy before it, say."""
    from tradewind.systems.s3.store import S3Store

    options = {"endpoint_url": f"http://who:{secret.quoted}@127.0.0.1:{port}"}
    list(S3Store("bucket", client_options=options).list())


def sagemaker(port: int, secret: Secret) -> None:
    import boto3
    from botocore.config import Config

    from tradewind.systems.sagemaker.backend import SageMakerBackend

    session = boto3.Session(
        "key-id", secret.text, aws_session_token=secret.line, region_name="eu-west-1"
    )
    config = Config(retries={"total_max_attempts": 1})
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "config": config}
    list(SageMakerBackend(session, client_options=options).list())


def azure(port: int, secret: Secret) -> None:
    from tradewind.systems.azure.store import AzureStore

    endpoint = f"http://127.0.0.1:{port}/account"
    AzureStore("container", account="account", endpoint=endpoint, credential=secret.key).check()


def azure_signed(port: int, secret: Secret) -> None:
    from tradewind.systems.azure.store import AzureStore

    endpoint = f"http://127.0.0.1:{port}/account"
    signed = f"sv=2024-01-01&sig={secret.quoted}"
    AzureStore("container", account="account", endpoint=endpoint, credential=signed).check()


def _google(port: int, secret: Secret, *, fresh: bool) -> Any:
    from google.oauth2.credentials import Credentials

    made: Any = Credentials
    if fresh:
        return made(secret.line)
    return made(
        None,
        refresh_token=secret.text,
        client_id="id",
        client_secret=secret.text,
        token_uri=f"http://127.0.0.1:{port}/token",
    )


def gcs(port: int, secret: Secret, *, fresh: bool = True) -> None:
    from tradewind.systems.gcs.store import GCSStore

    GCSStore(
        "bucket",
        credentials=_google(port, secret, fresh=fresh),
        endpoint=f"http://127.0.0.1:{port}",
        attempts=1,
    ).check()


def gcs_refresh(port: int, secret: Secret) -> None:
    gcs(port, secret, fresh=False)


def bigquery(port: int, secret: Secret, *, fresh: bool = True) -> None:
    from tradewind.systems.bigquery.connection import BigQueryConnection
    from tradewind.systems.bigquery.source import BigQuerySource

    connection = BigQueryConnection(
        "project",
        "data",
        credentials=_google(port, secret, fresh=fresh),
        endpoint=f"http://127.0.0.1:{port}",
    )
    BigQuerySource(connection, query="SELECT 1").batches().__enter__()


def bigquery_refresh(port: int, secret: Secret) -> None:
    bigquery(port, secret, fresh=False)


def docker(port: int, secret: Secret) -> None:
    from tradewind.systems.docker.backend import DockerBackend
    from tradewind.systems.docker.engine import Engine

    with closing(Engine(f"http://who:{secret.quoted}@127.0.0.1:{port}")) as engine:
        list(DockerBackend(engine).list())


def docker_pull(port: int, secret: Secret) -> None:
    from tradewind.systems.docker.engine import Engine, RegistryLogin

    login = RegistryLogin("127.0.0.1", "who", secret.text)
    with closing(Engine(f"http://127.0.0.1:{port}")) as engine:
        list(engine.pull("image", login, platform=None))


def livy(port: int, secret: Secret) -> None:
    from tradewind.systems.http.job_server import RestConnection
    from tradewind.systems.livy.backend import LivyBackend

    connection = RestConnection(
        f"http://127.0.0.1:{port}",
        headers={"X-Api-Key": secret.key},
        auth=("who", secret.text),
        attempts=1,
    )
    list(LivyBackend(connection).list())


def yarn(port: int, secret: Secret) -> None:
    from tradewind.systems.http.job_server import RestConnection
    from tradewind.systems.yarn.backend import YarnBackend

    connection = RestConnection(
        f"http://127.0.0.1:{port}",
        headers={"Cookie": f"hadoop.auth={secret.line}"},
        auth=("who", secret.text),
        attempts=1,
    )
    list(YarnBackend([connection], user="who").list())


OF_THEIR_OWN = (postgres, mysql, mongodb, ssh, sftp)
OF_HTTP = (
    http_basic, http_headers, s3, s3_write, s3_endpoint, sagemaker, azure, azure_signed, gcs,
    gcs_refresh, bigquery, bigquery_refresh, docker, docker_pull, livy, yarn,
)  # fmt: skip
