"""Object stores for the tests: each an empty bucket, container or folder of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import requests
from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials

from emulators import Emulator
from tradewind.move.stores.azure import AzureStore
from tradewind.move.stores.gcs import GCSStore

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
