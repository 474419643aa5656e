"""Google Cloud Storage where it is unlike other stores: credentials, failures, resumed uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google.auth.credentials
import google.auth.exceptions
import pytest

from emulators import Emulator
from faulty_proxy import FaultyProxy
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.systems.gcs.store import GCSStore

MB = 1 << 20
PART = 256 << 10
LARGE = 24 * MB
"""More than the kernel keeps of a connection: the rest is still to come when it is cut."""
ANONYMOUS = google.auth.credentials.AnonymousCredentials()


class ShortLived(google.auth.credentials.Credentials):
    """Credentials that are always about to expire."""

    def __init__(self) -> None:
        super().__init__()
        self.refreshed = 0

    def refresh(self, request: object) -> None:
        self.refreshed += 1
        self.token = f"secret-token-{self.refreshed}"
        # google-auth wants UTC without a zone, and renews what ends within minutes.
        self.expiry = datetime.now() - timedelta(days=1)


class Refused(google.auth.credentials.Credentials):
    """Credentials that cannot be renewed."""

    def refresh(self, request: object) -> None:
        raise google.auth.exceptions.RefreshError("invalid_grant: key 'top-secret' is revoked")


@pytest.fixture
def proxy(fake_gcs: Emulator) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", fake_gcs.port) as running:
        yield running


@pytest.fixture
def roomy_store(gcs_store: GCSStore, fake_gcs: Emulator) -> GCSStore:
    """The same bucket, for objects that the emulator gets in one piece: it is slow at many."""
    endpoint = fake_gcs.endpoint
    return GCSStore(gcs_store.bucket, credentials=ANONYMOUS, endpoint=endpoint, part_bytes=32 * MB)


def through(proxy: FaultyProxy, store: GCSStore, **options) -> GCSStore:
    """The same bucket by way of the proxy."""
    endpoint = f"http://{proxy.host}:{proxy.port}"
    return GCSStore(store.bucket, credentials=ANONYMOUS, endpoint=endpoint, **options)


def put(store: GCSStore, key: str, data: bytes):
    upload = store.upload(key)
    upload.write(data)
    return upload.complete()


def test_tells_the_md5_that_the_store_has_computed(gcs_store: GCSStore) -> None:
    for size in (10, MB):
        data = os.urandom(size)
        assert put(gcs_store, "key", data).checksum == f"md5:{hashlib.md5(data).hexdigest()}"


def test_goes_on_reading_after_a_cut(roomy_store: GCSStore, proxy: FaultyProxy) -> None:
    data = os.urandom(LARGE)
    put(roomy_store, "key", data)
    pieces = through(proxy, roomy_store).read("key")
    got = bytes(next(pieces))
    proxy.cut_after(MB)
    got += b"".join(pieces)
    assert got == data
    assert proxy.cuts == 1


def test_gives_up_reading_in_the_end(roomy_store: GCSStore, proxy: FaultyProxy) -> None:
    put(roomy_store, "key", os.urandom(LARGE))
    pieces = through(proxy, roomy_store, attempts=2).read("key")
    next(pieces)
    proxy.cut_after(0, times=None)
    with pytest.raises(RetryError, match=f"bucket {roomy_store.bucket}: reading broke off"):
        list(pieces)


def test_object_replaced_while_it_is_read(roomy_store: GCSStore, proxy: FaultyProxy) -> None:
    put(roomy_store, "key", b"1" * LARGE)
    pieces = through(proxy, roomy_store).read("key")
    next(pieces)
    roomy_store.delete(["key"])
    proxy.cut_now()
    with pytest.raises(RetryError, match="key was replaced or deleted while it was read"):
        list(pieces)


def test_small_put_survives_a_cut(gcs_store: GCSStore, proxy: FaultyProxy) -> None:
    upload = through(proxy, gcs_store).upload("key")
    upload.write(b"data")
    # The answer gets lost: the object is there, and the request is repeated.
    proxy.cut_after(1, "down")
    stored = upload.complete()
    assert proxy.cuts == 1
    head = gcs_store.head("key")
    assert head is not None
    assert head.etag == stored.etag


def test_nobody_answers(gcs_store: GCSStore, proxy: FaultyProxy) -> None:
    proxy.refuse()
    store = through(proxy, gcs_store, attempts=2)
    with pytest.raises(RetryError, match=r"does not answer \(ConnectionError\), after 2 attempts"):
        store.check()


def test_missing_bucket(fake_gcs: Emulator) -> None:
    store = GCSStore("never-made", credentials=ANONYMOUS, endpoint=fake_gcs.endpoint)
    for call in (store.check, lambda: store.head("key"), lambda: list(store.list())):
        with pytest.raises(SetupError, match="bucket never-made: not found"):
            call()


def test_credentials_are_renewed_on_the_way(gcs_store: GCSStore, fake_gcs: Emulator) -> None:
    credentials = ShortLived()
    store = GCSStore(
        gcs_store.bucket,
        credentials=lambda: credentials,
        endpoint=fake_gcs.endpoint,
        part_bytes=PART,
    )
    upload = store.upload("key")
    upload.write(bytes(PART))
    before = credentials.refreshed
    upload.write(bytes(PART))
    upload.complete()
    assert credentials.refreshed > before > 0
    assert "secret" not in repr(store)


def test_credentials_that_do_not_work(gcs_store: GCSStore, fake_gcs: Emulator) -> None:
    store = GCSStore(gcs_store.bucket, credentials=Refused(), endpoint=fake_gcs.endpoint)
    with pytest.raises(SetupError, match=r"no usable credentials \(RefreshError\)") as caught:
        store.check()
    assert "top-secret" not in str(caught.value)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, fake_gcs: Emulator) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
    with pytest.raises(SetupError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        GCSStore("any", endpoint=fake_gcs.endpoint).check()


def test_emulator_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, gcs_store: GCSStore, fake_gcs: Emulator
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.endpoint.removeprefix("http://"))
    store, key = GCSStore.from_uri(f"gs://{gcs_store.bucket}/a/b c?d#e.csv")
    assert key == "a/b c?d#e.csv"
    store.check()


@pytest.mark.parametrize("uri", ["gs://", "gs:///key", "s3://bucket/key", "bucket/key"])
def test_wrong_uri(uri: str) -> None:
    with pytest.raises(InputError, match="gs://BUCKET/KEY"):
        GCSStore.from_uri(uri)


@pytest.mark.parametrize("options", [{"part_bytes": 0}, {"part_bytes": 1000}])
def test_wrong_arguments(options: dict) -> None:
    with pytest.raises(InputError, match="multiple of 262144"):
        GCSStore("bucket", credentials=ANONYMOUS, **options)
    with pytest.raises(InputError, match="not the name of a bucket"):
        GCSStore("a/b", credentials=ANONYMOUS)


class Session(BaseHTTPRequestHandler):
    """The one upload of the stand-in; `server.faults` says what goes wrong with which PUT."""

    protocol_version = "HTTP/1.1"
    server: Standin

    def do_GET(self) -> None:
        self.answer(404 if "/o/" in self.path else 200, b"{}")

    def do_POST(self) -> None:
        self.read()
        self.answer(200, b"{}", Location=f"http://127.0.0.1:{self.server.server_port}/session")

    def do_DELETE(self) -> None:
        self.server.cancelled += 1
        self.answer(499, b"")

    def do_PUT(self) -> None:
        fault = self.server.faults.pop(0) if self.server.faults else None
        span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", self.headers["Content-Range"])
        assert span is not None
        body = self.read()
        if isinstance(fault, int):
            return self.answer(fault, b'{"error": {"message": "as the test wants it"}}')
        if fault == "half":
            # What arrived before the connection broke is kept, in whole units.
            body = body[: len(body) // 2 // PART * PART]
        if span[1] is not None:
            assert int(span[1]) == len(self.server.content)
            self.server.content += body
        if fault in ("half", "lost"):
            self.close_connection = True
            return None
        if span[2] == "*" or len(self.server.content) < int(span[2]):
            last = len(self.server.content) - 1
            return self.answer(308, b"", **({"Range": f"bytes=0-{last}"} if last >= 0 else {}))
        digest = base64.b64encode(hashlib.md5(self.server.content).digest()).decode()
        described = {
            "name": "key",
            "size": str(len(self.server.content) + self.server.lie),
            "generation": "7",
            "md5Hash": digest,
        }
        return self.answer(200, json.dumps(described).encode())

    def read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Standin(ThreadingHTTPServer):
    """The protocol of resumable uploads as documented, with faults.

    In place of the emulator, which takes the question how much has arrived for the upload's end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.content = b""
        self.faults: list[str | int | None] = []
        self.cancelled = 0
        self.lie = 0


@pytest.fixture
def standin() -> Iterator[Standin]:
    server = Standin()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def of(standin: Standin, **options) -> GCSStore:
    endpoint = f"http://127.0.0.1:{standin.server_port}"
    options = {"part_bytes": 4 * PART, "attempts": 3, **options}
    return GCSStore("bucket", credentials=ANONYMOUS, endpoint=endpoint, **options)


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["half"],
        ["lost"],
        [503],
        [None, "half", 503],
        [None, None, "lost"],
        [None, None, 503, "lost"],
    ],
)
def test_resumes_an_upload(standin: Standin, faults: list) -> None:
    data = os.urandom(2 * 4 * PART + 1000)
    standin.faults = faults
    stored = put(of(standin), "key", data)
    assert standin.content == data
    assert (stored.size, stored.etag) == (len(data), "7")
    assert standin.faults == []


def test_gives_up_resuming_in_the_end(standin: Standin) -> None:
    standin.faults = [503] * 20
    upload = of(standin).upload("key")
    upload.write(bytes(4 * PART))
    with pytest.raises(RetryError, match=r"does not go on \(status 503\), after 3 attempts"):
        upload.complete()
    standin.faults = []
    upload.abort()
    assert standin.cancelled == 1


@pytest.mark.parametrize("status", [404, 410])
def test_upload_that_the_store_has_forgotten(standin: Standin, status: int) -> None:
    standin.faults = [None, status]
    upload = of(standin).upload("key")
    upload.write(bytes(5 * PART))
    with pytest.raises(RetryError, match="gs://bucket/key: the store has given up the upload"):
        upload.complete()
    upload.abort()


@pytest.mark.parametrize(
    ("status", "said"), [(401, "no usable credentials"), (403, "no permission")]
)
def test_refusals_name_the_remedy(standin: Standin, status: int, said: str) -> None:
    standin.faults = [status]
    upload = of(standin).upload("key")
    upload.write(bytes(4 * PART))
    with pytest.raises(SetupError, match=said):
        upload.complete()
    upload.abort()


def test_an_upload_that_arrived_changed_is_removed(standin: Standin) -> None:
    standin.lie = 1
    with pytest.raises(RetryError, match=r"has 1049577 bytes .* not the 1049576"):
        put(of(standin), "key", bytes(4 * PART + 1000))
    assert standin.cancelled == 1


def test_the_address_of_an_upload_is_in_no_message(standin: Standin) -> None:
    upload = of(standin, attempts=1).upload("key")
    upload.write(bytes(4 * PART))
    standin.faults = ["lost"] * 5
    with pytest.raises(RetryError) as caught:
        upload.complete()
    upload.abort()
    assert "/session" not in str(caught.value)
