"""Object stores for the tests: each an empty bucket, container or folder of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials

from emulators import Emulator
from ssh_server import SSHServer
from tradewind.local import Systems
from tradewind.systems.azure.store import AzureStore
from tradewind.systems.files.store import FileStore
from tradewind.systems.gcs.store import GCSStore
from tradewind.systems.s3.store import S3Store
from tradewind.systems.sftp.store import SFTPStore
from tradewind.systems.ssh.connection import SSHConnection

SMALL = 256 << 10
"""The size of parts, so that small objects have several."""


@pytest.fixture
def gcs_store(fake_gcs: Emulator) -> GCSStore:
    bucket = f"test-{uuid.uuid4().hex}"
    made = requests.post(f"{fake_gcs.endpoint}/storage/v1/b", json={"name": bucket}, timeout=30)
    made.raise_for_status()
    credentials = AnonymousCredentials()
    return GCSStore(bucket, credentials=credentials, endpoint=fake_gcs.endpoint, part_bytes=SMALL)


@pytest.fixture
def azure_store(azurite: Emulator) -> Iterator[AzureStore]:
    container = f"test-{uuid.uuid4().hex}"
    with ContainerClient(azurite.endpoint, container, azurite.key) as client:
        client.create_container()
    store = AzureStore(
        container,
        account=azurite.account,
        credential=azurite.key,
        endpoint=azurite.endpoint,
        part_bytes=SMALL,
    )
    yield store
    store.client.close()


def s3_session(systems: Systems, **changed: str) -> boto3.Session:
    """A session with the key pair of the local S3, or with another one."""
    environment = systems.environment
    given = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
    }
    return boto3.Session(**{**given, **changed})


@pytest.fixture
def s3_store(local_s3: Systems) -> S3Store:
    store = S3Store(
        f"test-{uuid.uuid4().hex}",
        session=s3_session(local_s3),
        client_options={"endpoint_url": local_s3["s3"].endpoint},
        part_bytes=5 << 20,
    )
    store.client.create_bucket(
        Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return store


@pytest.fixture
def versity_store(versity: Emulator) -> S3Store:
    session = boto3.Session(versity.account, versity.key, region_name="eu-west-1")
    store = S3Store(
        f"test-{uuid.uuid4().hex}",
        session=session,
        client_options={"endpoint_url": versity.endpoint},
        part_bytes=5 << 20,
    )
    store.client.create_bucket(
        Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return store


@pytest.fixture
def sftp_connection(sftp_server: SSHServer) -> SSHConnection:
    return SSHConnection(
        "127.0.0.1",
        sftp_server.username,
        sftp_server.port,
        key_file=str(sftp_server.key_file),
        known_hosts=str(sftp_server.known_hosts),
    )


@pytest.fixture
def sftp_store(sftp_connection: SSHConnection, tmp_path: Path) -> SFTPStore:
    return SFTPStore(sftp_connection, f"{tmp_path}/objects", part_bytes=SMALL)


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "objects")
