"""Azure Blob Storage where it is not like other stores: credentials, blocks, failures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from azure.storage.blob import BlobLeaseClient, ExponentialRetry, generate_container_sas

from emulators import Emulator
from faulty_proxy import FaultyProxy
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.copy import copy_object
from tradewind.move.store import ServerCopy
from tradewind.owner import Owner
from tradewind.systems.azure.store import AzureStore

MB = 1 << 20
PART = 256 << 10
LARGE = 24 * MB
"""More than the kernel keeps of a connection: the rest is still to come when it is cut."""
IMPATIENT = {"retry_policy": ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=2)}


@pytest.fixture
def proxy(azurite: Emulator) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", azurite.port) as running:
        yield running


@pytest.fixture
def distant(azurite: Emulator, azure_store: AzureStore, proxy: FaultyProxy) -> Iterator[AzureStore]:
    """The same container by way of the proxy."""
    store = AzureStore(
        azure_store.container,
        account=azurite.account,
        credential=azurite.key,
        endpoint=f"http://{proxy.host}:{proxy.port}/{azurite.account}",
        part_bytes=PART,
        options=IMPATIENT,
    )
    yield store
    store.client.close()


def other(azurite: Emulator, container: str, credential: object) -> AzureStore:
    return AzureStore(
        container,
        account=azurite.account,
        credential=credential,
        endpoint=azurite.endpoint,
        options=IMPATIENT,
    )


def put(store: AzureStore, key: str, data: bytes, **options):
    upload = store.upload(key, **options)
    upload.write(data)
    return upload.complete()


def read(store: AzureStore, key: str) -> bytes:
    return b"".join(store.read(key))


def test_a_lease_is_told_as_what_it_is(azure_store: AzureStore) -> None:
    put(azure_store, "leased", b"one")
    found = azure_store.head("leased")
    assert found is not None
    lease = BlobLeaseClient(azure_store.client.get_blob_client("leased"))
    lease.acquire(60)
    try:
        with pytest.raises(RetryError, match="holds a lease on it"):
            put(azure_store, "leased", b"two", replaces=found.etag)
        assert read(azure_store, "leased") == b"one"
    finally:
        lease.break_lease(0)


def test_goes_on_reading_after_a_cut(
    azure_store: AzureStore, distant: AzureStore, proxy: FaultyProxy
) -> None:
    data = os.urandom(LARGE)
    put(azure_store, "key", data)
    pieces = distant.read("key")
    got = bytes(next(pieces))
    proxy.cut_after(MB)
    got += b"".join(pieces)
    assert got == data
    assert proxy.cuts == 1


def test_goes_on_writing_after_a_cut(distant: AzureStore, proxy: FaultyProxy) -> None:
    data = os.urandom(3 * MB)
    upload = distant.upload("key")
    upload.write(data[:MB])
    proxy.cut_after(PART // 2, "up")
    upload.write(data[MB:])
    upload.complete()
    assert proxy.cuts == 1
    assert read(distant, "key") == data


@pytest.mark.parametrize("size", [10, MB])
@pytest.mark.parametrize("options", [{}, {"create_only": True}])
def test_completion_whose_answer_got_lost(
    distant: AzureStore, proxy: FaultyProxy, size: int, options: dict
) -> None:
    data = os.urandom(size)
    upload = distant.upload("key", **options)
    upload.write(data)
    if size > PART:
        upload._wait(0)
    proxy.cut_after(1, "down")
    stored = upload.complete()
    assert proxy.cuts == 1
    head = distant.head("key")
    assert head is not None
    assert head.etag == stored.etag
    assert read(distant, "key") == data


def test_nobody_answers(distant: AzureStore, proxy: FaultyProxy) -> None:
    proxy.refuse()
    with pytest.raises(RetryError, match=rf"az://{distant.container} at 127\.0\.0\.1:.*not answer"):
        distant.check()


def test_object_replaced_while_it_is_read(azure_store: AzureStore) -> None:
    put(azure_store, "key", b"1" * LARGE)
    pieces = azure_store.read("key")
    next(pieces)
    put(azure_store, "key", b"2" * LARGE)
    with pytest.raises(RetryError, match="key was replaced by another version"):
        list(pieces)


def staged(store: AzureStore, key: str) -> int:
    return len(store.client.get_blob_client(key).get_block_list("all")[1])


def test_blocks_of_a_killed_upload_go_with_the_next(azure_store: AzureStore) -> None:
    killed = azure_store.upload("key")
    killed.write(bytes(MB))
    killed._wait(0)
    assert staged(azure_store, "key") == 4
    assert list(azure_store.unfinished("key")) == [], "the next commit throws them away"
    put(azure_store, "key", b"x" * MB)
    assert staged(azure_store, "key") == 0
    with pytest.raises(RetryError, match="another writer took over"):
        killed.complete()
    killed.abort()
    assert read(azure_store, "key") == b"x" * MB


def test_blocks_beside_a_blob_go_with_the_next(azure_store: AzureStore) -> None:
    put(azure_store, "key", b"before")
    killed = azure_store.upload("key")
    killed.write(bytes(MB))
    killed._wait(0)
    put(azure_store, "key", b"x" * MB)
    assert staged(azure_store, "key") == 0
    with pytest.raises(RetryError, match="another writer took over"):
        killed.complete()
    killed.abort()
    assert read(azure_store, "key") == b"x" * MB


def test_discarding_what_is_a_blob_by_now_changes_nothing(azure_store: AzureStore) -> None:
    upload = azure_store.upload("dir/key")
    upload.write(bytes(MB))
    (left,) = azure_store.unfinished("dir/")
    upload.complete()
    azure_store.discard(left)
    assert read(azure_store, "dir/key") == bytes(MB)


def test_the_server_copies_within(
    azurite: Emulator, azure_store: AzureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = generate_container_sas(
        azurite.account,
        azure_store.container,
        account_key=azurite.key,
        permission="rl",
        expiry=datetime.now(UTC) + timedelta(minutes=5),
    )
    put(azure_store, "a b/ü", b"x" * 1000, content_type="text/csv", metadata={"colour": "blue"})
    put(azure_store, "there", b"another's")
    owner = Owner("d", "r", "t")
    signed = other(azurite, azure_store.container, signature)

    def streamed(*_: object, **__: object) -> None:
        raise AssertionError("the data were read")

    with monkeypatch.context() as during:
        during.setattr(AzureStore, "read", streamed)
        for source, key in ((azure_store, "copy"), (azure_store, "there"), (signed, "signed")):
            copy_object(source, "a b/ü", azure_store, key, owner=owner)
            info = azure_store.head(key)
            assert info is not None
            assert (info.size, info.content_type) == (1000, "text/csv")
            assert info.metadata["colour"] == "blue"
            assert info.metadata["tradewind-owner"] == owner.digest
            assert info.checksum == azure_store.head("a b/ü").checksum
        again = copy_object(azure_store, "a b/ü", azure_store, "copy", owner=owner, skip_equal=True)
        assert again.skipped == (azure_store.uri("copy"),)
        with pytest.raises(InputError, match="exists and replace=False"):
            copy_object(
                azure_store, "a b/ü", azure_store, "copy", owner=Owner("d", "r", "u"), replace=False
            )
        during.setattr("tradewind.systems.azure.store.MOST_BYTES", 999)
        with pytest.raises(AssertionError, match="the data were read"):
            copy_object(azure_store, "a b/ü", azure_store, "large", owner=owner)
    assert read(azure_store, "there") == b"x" * 1000
    described = azure_store.described("a b/ü")
    assert described is not None
    order = ServerCopy(
        source=azure_store,
        described=described,
        version=None,
        key="there",
        metadata={"tradewind-owner": "x"},
        create_only=True,
        acl=None,
        threshold=1,
        part_size=1,
        connections=1,
        copied=lambda size: None,
        stop=Event(),
    )
    with pytest.raises(InputError, match=r"there at .* exists"):
        azure_store.copy_within(order)
    put(azure_store, "a b/ü", b"newer")
    with pytest.raises(RetryError, match="was replaced while it was copied"):
        azure_store.copy_within(replace(order, create_only=False))
    assert read(azure_store, "there") == b"x" * 1000
    signed.client.close()


def test_missing_container(azurite: Emulator) -> None:
    store = other(azurite, "never-made", azurite.key)
    for call in (
        store.check,
        lambda: store.head("key"),
        lambda: list(store.list()),
        lambda: put(store, "key", b""),
        lambda: store.delete(["key"]),
    ):
        with pytest.raises(SetupError, match=r"az://never-made.*NotFound\. Create the cont"):
            call()
    store.client.close()


@pytest.mark.parametrize("credential", ["d3Jvbmc=", "not Base64", lambda: "d3Jvbmc="])
def test_wrong_key(azurite: Emulator, azure_store: AzureStore, credential: object) -> None:
    store = other(azurite, azure_store.container, credential)
    with pytest.raises(SetupError, match=f"az://{azure_store.container}") as caught:
        store.check()
    assert "d3Jvbmc" not in str(caught.value)
    assert "Base64" not in str(caught.value)


def test_signature_that_may_only_read(azurite: Emulator, azure_store: AzureStore) -> None:
    signature = generate_container_sas(
        azurite.account,
        azure_store.container,
        account_key=azurite.key,
        permission="rl",
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    put(azure_store, "key", b"data")
    store = other(azurite, azure_store.container, signature)
    store.check()
    assert read(store, "key") == b"data"
    with pytest.raises(SetupError, match="no permission") as caught:
        put(store, "key", b"other")
    assert "sig=" not in str(caught.value)
    assert read(store, "key") == b"data"
    store.client.close()


def test_account_and_key_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, azurite: Emulator, azure_store: AzureStore
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", azurite.account)
    monkeypatch.setenv("AZURE_STORAGE_KEY", azurite.key)
    uri = f"az://{azure_store.container}/a/b c?d#e.csv"
    store, key = AzureStore.from_uri(uri, endpoint=azurite.endpoint)
    assert key == "a/b c?d#e.csv"
    store.check()
    store.client.close()
    text = f"BlobEndpoint={azurite.endpoint};AccountName={azurite.account};AccountKey={azurite.key}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    store, _ = AzureStore.from_uri(uri)
    store.check()
    store.client.close()
    assert azurite.key not in repr(store)


def test_wrong_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(InputError, match="name the storage account"):
        AzureStore.from_uri("az://container/key")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=x;Secret=hidden")
    with pytest.raises(SetupError, match="AZURE_STORAGE_CONNECTION_STRING") as caught:
        AzureStore.from_uri("az://container/key")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("uri", ["az://", "az:///key", "gs://bucket/key", "az://a@b/key"])
def test_wrong_uri(uri: str) -> None:
    with pytest.raises(InputError, match="az://CONTAINER/KEY"):
        AzureStore.from_uri(uri)
