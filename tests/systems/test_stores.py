"""Every store passes the public suite."""

from __future__ import annotations

import pytest

from tradewind.move.store import Store
from tradewind.testing import MemoryStore
from tradewind.testing.conformance.store import StoreConformance


@pytest.mark.parametrize("named", ["gcs_store", "azure_store"])
class TestClouds(StoreConformance):
    @pytest.fixture
    def store(self, named: str, request: pytest.FixtureRequest) -> Store:
        return request.getfixturevalue(named)


@pytest.mark.parametrize("named", ["s3_store", "versity_store"])
class TestS3(StoreConformance):
    tells_owners = True
    etag_counts_parts = True

    @pytest.fixture
    def store(self, named: str, request: pytest.FixtureRequest) -> Store:
        return request.getfixturevalue(named)


class TestFiles(StoreConformance):
    tells_owners = True

    @pytest.fixture
    def store(self, file_store: Store) -> Store:
        return file_store


class TestSFTP(StoreConformance):
    tells_owners = True

    @pytest.fixture
    def store(self, sftp_store: Store) -> Store:
        return sftp_store


class TestMemoryStore(StoreConformance):
    tells_owners = True

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
