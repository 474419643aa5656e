"""Real systems for the tests, each started once a test process and stopped at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tradewind.testing")

import emulators
from mysql_client import need_mysql_client
from ssh_server import SSHServer, ssh_server
from tls_cases import Pki
from tradewind.errors import SetupError
from tradewind.local import Systems, up
from tradewind.local.system import find_systems


def started(name: str, folders: pytest.TempPathFactory) -> Iterator[Systems]:
    """One system, or a skip that says what to install."""
    try:
        find_systems()[name].check()
    except SetupError as error:
        pytest.skip(str(error))
    with up([name], data=folders.mktemp(f"local-{name}")) as systems:
        yield systems


@pytest.fixture(scope="session")
def local_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running PostgreSQL: ``local_postgres.environment`` has PGHOST, PGPORT and the others."""
    yield from started("postgres", tmp_path_factory)


@pytest.fixture(scope="session")
def local_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running MariaDB: MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER, MYSQL_PWD, MYSQL_DATABASE.

    Where its client is not there, what needs it is skipped.
    """
    need_mysql_client()
    yield from started("mariadb", tmp_path_factory)


@pytest.fixture(scope="session")
def local_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running MongoDB, a replica set of one: MONGODB_URI, MONGODB_PASSWORD."""
    yield from started("mongodb", tmp_path_factory)


@pytest.fixture(scope="session")
def local_bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """A running emulator of BigQuery: BIGQUERY_EMULATOR_HOST, GOOGLE_CLOUD_PROJECT."""
    yield from started("bigquery", tmp_path_factory)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """A running emulator of Azure Blob Storage, with an account and its key."""
    with emulators.azurite(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """A running emulator of Google Cloud Storage."""
    with emulators.fake_gcs(tmp_path_factory.mktemp("fake-gcs")) as running:
        yield running


@pytest.fixture(scope="session")
def versity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """A running S3 server that knows more of S3 than the local one does."""
    with emulators.versity(tmp_path_factory.mktemp("versity")) as running:
        yield running


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """An sshd for transfers of files."""
    with ssh_server(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Authorities of the tests' own, and certificates."""
    return Pki.made(tmp_path_factory.mktemp("pki"))
