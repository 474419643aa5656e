"""MongoDB over TLS, with an authority of the tests' own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from airflow.sdk import Connection

from tls_cases import Files, Pki, check_tls
from tls_front import reach
from tradewind.errors import RetryError, SetupError
from tradewind.local.processes import bind_to_parent, free_port, wait_until
from tradewind.systems.mongodb.airflow import connection_of
from tradewind.systems.mongodb.connection import MongoConnection, named_errors
from tradewind.systems.mongodb.local import SYSTEM

#: A server behind a front is not looked for elsewhere, and what is refused is not for long.
ALONE = {"directConnection": "true", "serverSelectionTimeoutMS": "700", "tls": "true"}


@pytest.fixture(scope="module")
def mongod(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that takes both kinds of connections: its port."""
    try:
        SYSTEM.check()
    except SetupError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("mongod")
    (folder / "db").mkdir()
    both = folder / "server.pem"
    both.write_bytes(b"".join(file.read_bytes() for file in pki.server))
    port = free_port()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            bind_to_parent(
                [SYSTEM._program(), f"--dbpath={folder / 'db'}", f"--port={port}", "--bind_ip_all",
                 "--nounixsocket", "--tlsMode=preferTLS", f"--tlsCertificateKeyFile={both}",
                 f"--tlsCAFile={pki.trusted}", "--wiredTigerCacheSizeGB=0.25",
                 "--setParameter=diagnosticDataCollectionEnabled=false",
                 "--wiredTigerEngineConfigString=log=(file_max=16MB)"]
            ),
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        said = folder / "log"
        assert wait_until(
            lambda: "Waiting for connections" in said.read_text() or server.poll() is not None,
            seconds=60,
        )
        assert server.poll() is None, said.read_text()[-2000:]
        yield port
    finally:
        server.kill()
        server.wait(10)


def ping(connection: MongoConnection) -> bool:
    with connection.open() as client, named_errors(f"MongoDB at {connection.address}"):
        return bool(client.admin.command("ping")["ok"])


def test_a_client_of_files(
    pki: Pki, mongod: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_file(own: Files | None) -> dict[str, str]:
        if own is None:
            return {}
        both = tmp_path / "both.pem"
        both.write_bytes(b"".join(file.read_bytes() for file in own))
        return {"tlsCertificateKeyFile": str(both)}

    def by_uri(host: str, port: int, authority: Path, own: Files | None) -> object:
        options = {**ALONE, "tlsCAFile": str(authority), **one_file(own)}
        place = MongoConnection.from_uri(f"mongodb://{host}:{port}/x?{urlencode(options)}")
        return ping(place)

    def by_airflow(host: str, port: int, authority: Path, own: Files | None) -> object:
        extra = {
            "ssl": True,
            "tlsCAFile": str(authority),
            "directConnection": True,
            "serverSelectionTimeoutMS": 700,
            **one_file(own),
        }
        fields = {"conn_type": "mongo", "host": host, "port": port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OVER_TLS", json.dumps(fields))
        return ping(connection_of(Connection.get("over_tls")))

    for use in (by_uri, by_airflow):
        # The server itself, which wants a certificate of each client.
        assert use("127.0.0.1", mongod, pki.trusted, pki.client)
        with pytest.raises(SetupError, match="TLS"):
            use("127.0.0.1", mongod, pki.stranger, pki.client)
    # It closes the connection without a word.
    with pytest.raises(RetryError, match="certificate of the client, tlsCertificateKeyFile"):
        by_uri("127.0.0.1", mongod, pki.trusted, None)
    # And where one sees what it is told.
    check_tls(pki, reach(mongod), by_uri, trust="authority's certificate as tlsCAFile")


def test_what_is_no_question_of_trust(pki: Pki, mongod: int) -> None:
    for given, said in (
        ({"tlsCAFile": "/there/is/none"}, "/there/is/none"),
        ({"tlsCertificateKeyFile": "/no/key"}, "/no/key"),
        ({"tlsCertificateKeyFile": str(pki.client[0])}, "tlsCertificateKeyFile|certificate"),
    ):
        options = urlencode({**ALONE, "tlsCAFile": str(pki.trusted), **given})
        with pytest.raises(SetupError, match=said):
            ping(MongoConnection.from_uri(f"mongodb://127.0.0.1:{mongod}/?{options}"))
