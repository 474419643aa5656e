"""S3: parts, conditions, broken connections, and what its refusals are told as."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from faulty_proxy import FaultyProxy
from object_moves import ManyRows
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.local import Systems
from tradewind.move.objects.crc32 import combined
from tradewind.move.objects.target import ObjectTarget
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.s3 import conditions
from tradewind.systems.s3.store import S3Store
from tradewind.systems.s3.upload import part_size

MB = 1 << 20
PART = 5 * MB


def other(store: S3Store, systems: Systems, *, endpoint: str = "", **changed: str) -> S3Store:
    """The same bucket, by another way or with other credentials."""
    environment = systems.environment
    given = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
    }
    return S3Store(
        store.bucket,
        session=boto3.Session(**{**given, **changed}),
        client_options={
            "endpoint_url": endpoint or systems["s3"].endpoint,
            "config": Config(retries={"mode": "standard", "total_max_attempts": 3}),
        },
        part_bytes=PART,
    )


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 12 * MB])
def test_parts(s3_store: S3Store, size: int) -> None:
    data = os.urandom(size)
    seen = set()
    for step in (size, 3 * MB + 7, MB):
        upload = s3_store.upload("key", content_type="text/csv", metadata={"a": "b"})
        for start in range(0, size, step):
            upload.write(data[start : start + step])
        stored = upload.complete()
        assert stored.checksum == f"crc32:{zlib.crc32(data):08x}"
        seen.add(stored.etag)
    # However the data came, the parts are the same, and so is what S3 calls them.
    assert len(seen) == 1
    assert b"".join(s3_store.read("key", etag=stored.etag)) == data
    head = s3_store.head("key")
    assert head is not None
    assert (head.content_type, head.metadata) == ("text/csv", {"a": "b"})
    assert list(s3_store.unfinished()) == []


def test_conditions_hold_for_parts_too(s3_store: S3Store) -> None:
    data = bytes(2 * PART)

    def put(**condition) -> str | None:
        upload = s3_store.upload("key", **condition)
        upload.write(data)
        try:
            return upload.complete().etag
        finally:
            upload.abort()

    first = put(create_only=True)
    with pytest.raises(InputError, match="exists already"):
        put(create_only=True)
    with pytest.raises(InputError, match="replaced"):
        put(replaces="0123")
    assert put(replaces=first) == first
    assert list(s3_store.unfinished()) == []


def test_what_was_left_is_discarded_and_cannot_complete(s3_store: S3Store) -> None:
    upload = s3_store.upload("dir/key")
    upload.write(bytes(PART + 1))
    lefts = list(s3_store.unfinished("dir/"))
    assert [left.key for left in lefts] == ["dir/key"]
    assert lefts[0].started is not None
    s3_store.discard(lefts[0])
    with pytest.raises(RetryError, match=r"dir/key.*not there any more"):
        upload.complete()
    upload.abort()
    assert list(s3_store.unfinished()) == list(s3_store.list()) == []


def test_goes_on_reading_after_a_broken_connection(s3_store: S3Store, local_s3: Systems) -> None:
    data = os.urandom(12 * MB)
    upload = s3_store.upload("key")
    upload.write(data)
    upload.complete()
    server = urlsplit(local_s3["s3"].endpoint)
    with FaultyProxy(server.hostname or "", server.port or 0) as proxy:
        store = other(s3_store, local_s3, endpoint=f"http://{proxy.host}:{proxy.port}")
        pieces = []
        for number, piece in enumerate(store.read("key")):
            pieces.append(piece)
            if number == 0:
                proxy.cut_now()
        assert b"".join(pieces) == data
        assert proxy.connections > 1
        # Replaced meanwhile: never mixed.
        reading = store.read("key")
        next(reading)
        proxy.cut_now()
        upload = s3_store.upload("key")
        upload.write(data[::-1])
        upload.complete()
        with pytest.raises(RetryError, match="replaced"):
            list(reading)


def test_goes_on_writing_after_a_broken_connection(s3_store: S3Store, local_s3: Systems) -> None:
    data = os.urandom(17 * MB)
    server = urlsplit(local_s3["s3"].endpoint)
    with FaultyProxy(server.hostname or "", server.port or 0) as proxy:
        store = other(s3_store, local_s3, endpoint=f"http://{proxy.host}:{proxy.port}")
        upload = store.upload("key")
        upload.write(data[: 6 * MB])
        proxy.cut_now()
        upload.write(data[6 * MB :])
        upload.complete()
        assert b"".join(s3_store.read("key")) == data
        upload = store.upload("other")
        upload.write(data)
        proxy.refuse()
        proxy.cut_now()
        with pytest.raises(RetryError, match="other"):
            upload.complete()
        proxy.heal()
        upload.abort()
    assert [info.key for info in s3_store.list()] == ["key"]
    assert list(s3_store.unfinished()) == []


def test_refusals(s3_store: S3Store, local_s3: Systems) -> None:
    for wrong in (
        {"aws_secret_access_key": "not-the-secret"},
        {"aws_access_key_id": "NOTTHEKEY", "aws_secret_access_key": "not-the-secret"},
    ):
        store = other(s3_store, local_s3, **wrong)
        with pytest.raises(SetupError, match=s3_store.bucket) as caught:
            store.check()
        assert "redentials" in str(caught.value)
        assert "not-the-secret" not in str(caught.value) + repr(store)
    missing = S3Store(
        "no-such-bucket",
        session=s3_store._session,
        client_options={"endpoint_url": local_s3["s3"].endpoint},
    )
    for call in (missing.check, lambda: list(missing.list()), lambda: list(missing.unfinished())):
        with pytest.raises(SetupError, match=r"no-such-bucket.*no such bucket.*Create it"):
            call()


def test_nobody_answers(s3_store: S3Store, local_s3: Systems) -> None:
    server = urlsplit(local_s3["s3"].endpoint)
    with FaultyProxy(server.hostname or "", server.port or 0) as proxy:
        proxy.refuse()
        store = other(s3_store, local_s3, endpoint=f"http://{proxy.host}:{proxy.port}")
        with pytest.raises(RetryError, match=rf"{s3_store.bucket} at {proxy.host}:{proxy.port}"):
            store.check()


def test_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    for bucket, options in (
        ("", {}),
        ("a/b", {}),
        ("b", {"part_bytes": MB}),
        ("b", {"connections": 0}),
    ):
        with pytest.raises(InputError):
            S3Store(bucket, **options)
    for uri in ("s3://", "http://a/b", "s3:///key"):
        with pytest.raises(InputError, match="s3://bucket/key"):
            S3Store.from_uri(uri)
    store, key = S3Store.from_uri("s3://bucket/a?b#c%20/d")
    assert (store.bucket, key) == ("bucket", "a?b#c%20/d")
    store, _ = S3Store.from_uri("s3://bucket/key", endpoint_url="not a url")
    with pytest.raises(SetupError, match="not a url"):
        store.check()


def test_no_credentials(local_s3: Systems, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    endpoint = local_s3["s3"].endpoint
    store = S3Store("bucket", client_options={"endpoint_url": endpoint, "region_name": "eu-west-1"})
    with pytest.raises(SetupError, match="no usable AWS credentials"):
        store.check()


def test_parts_grow_so_that_5_tb_fit() -> None:
    assert [part_size(number, 8 * MB) for number in (1, 1000, 1001, 2001)] == [
        8 * MB,
        8 * MB,
        16 * MB,
        32 * MB,
    ]
    assert sum(part_size(number, 5 * MB) for number in range(1, 10_001)) > 5 * 10**12
    assert part_size(10_000, 8 * MB) <= 5 << 30, "S3 takes no larger parts"


def test_crc32_of_pieces() -> None:
    data = os.urandom(1000)
    for cut in (0, 1, 500, 1000):
        first, second = data[:cut], data[cut:]
        whole = combined(zlib.crc32(first), zlib.crc32(second), len(second))
        assert whole == zlib.crc32(data)


def test_all_uploads_share_the_slots_and_give_them_back(s3_store: S3Store) -> None:
    for _ in range(4):  # more often than there are slots, if an abort kept one
        uploads = [s3_store.upload(f"key-{number}") for number in range(3)]
        for upload in uploads:
            upload.write(bytes(PART + 1))
        for upload in uploads:
            upload.abort()
    for _ in range(s3_store.connections):
        assert s3_store.slots.acquire(timeout=30)
    assert list(s3_store.unfinished()) == []


class Ignoring:
    """A client of a server that takes no notice of conditions, which cannot be had here.

    All else is the real server. `before` is called once before an object becomes visible.
    """

    def __init__(self, client: Any, before: Callable[[], None] | None = None) -> None:
        self._client = client
        self._before = before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in ("put_object", "complete_multipart_upload"):
            return method

        def call(**arguments: Any) -> Any:
            arguments.pop("IfMatch", None)
            arguments.pop("IfNoneMatch", None)
            before = self._before
            if before is not None and not arguments["Key"].rpartition("/")[2].startswith("."):
                self._before = None
                before()
            return method(**arguments)

        return call


class IgnoringStore(S3Store):
    """A store on such a server."""

    def __init__(self, store: S3Store, before: Callable[[], None] | None = None) -> None:
        super().__init__(store.bucket, part_bytes=store.part_bytes)
        self._client = Ignoring(store.client, before)


@pytest.mark.parametrize("name", ["s3_store", "versity_store"])
def test_it_finds_out_whether_a_server_keeps_conditions(
    request: pytest.FixtureRequest,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: S3Store = request.getfixturevalue(name)
    monkeypatch.setattr(conditions, "_known", {})
    assert conditions.keeps_conditions(store, "dir/key")
    assert not caplog.records
    monkeypatch.setattr(conditions, "_known", {})
    assert not conditions.keeps_conditions(IgnoringStore(store), "dir/key")
    assert "does not keep conditions" in caplog.text
    assert list(store.list()) == list(store.unfinished()) == []


def test_a_probe_whose_answer_was_lost_is_not_left(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restarted server has begun an upload that nobody was told of; botocore asks again."""
    monkeypatch.setattr(conditions, "_known", {})
    create = s3_store.client.create_multipart_upload

    def again(**given: str) -> Any:
        create(**given)
        answer = create(**given)
        answer["ResponseMetadata"]["RetryAttempts"] = 1
        return answer

    monkeypatch.setattr(s3_store.client, "create_multipart_upload", again)
    assert conditions.keeps_conditions(s3_store, "dir/key", "0123456789ab")
    assert list(s3_store.unfinished("dir/")) == []


@pytest.mark.parametrize("keeps", [True, False])
def test_the_next_attempt_removes_the_probe_of_a_killed_one(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    """And lets be what another owner is asking at this moment."""
    mine, other = (Owner("dag", run, "task").digest for run in ("mine", "other"))
    for owner in (mine, other):
        key = f"dir/.tradewind-probe-{owner}-0123456789abcdef"
        s3_store.client.create_multipart_upload(Bucket=s3_store.bucket, Key=key)
        if not keeps:
            s3_store.client.put_object(Bucket=s3_store.bucket, Key=key, Body=b"")
    assert sorted(left.owner or "" for left in s3_store.unfinished("dir/")) == sorted([mine, other])
    monkeypatch.setattr(conditions, "_known", {})
    store = s3_store if keeps else IgnoringStore(s3_store)
    assert conditions.keeps_conditions(store, "dir/key", mine) == keeps
    assert [left.owner for left in s3_store.unfinished("dir/")] == [other]
    assert [other in info.key for info in s3_store.list()] == ([] if keeps else [True])


def test_a_key_with_an_empty_step_arrives_as_it_is_or_is_refused(
    s3_store: S3Store, versity_store: S3Store
) -> None:
    """A server that keeps files takes ``/a`` for ``a``, which may be another object."""
    for key in ("/a", "a//b", "x/a"):
        upload = s3_store.upload(key)
        upload.write(b"1")
        upload.complete()
    assert sorted(info.key for info in s3_store.list()) == ["/a", "a//b", "x/a"]
    first = versity_store.upload("x/a")
    first.write(b"1")
    first.complete()
    for key in ("/x/a", "x//a", "//x/a"):
        with pytest.raises(InputError, match="empty step"):
            versity_store.upload(key)
    assert [info.key for info in versity_store.list()] == ["x/a"]
    assert list(versity_store.unfinished()) == []


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("rows", [10, 12_000])
def test_a_retry_keeps_an_overtaken_attempt_out_without_conditions(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, rows: int, there: bool
) -> None:
    """However small the object, and in the very moment before the old attempt writes."""
    monkeypatch.setattr(conditions, "_known", {})
    owner = Owner("dag", "run", "task")
    key = "dir/rows.csv"

    def move(count: int, before: Callable[[], None] | None = None, run: Owner = owner) -> None:
        transfer(ManyRows(count), ObjectTarget(IgnoringStore(s3_store, before), key), run)

    if there:
        move(3, run=Owner("dag", "earlier", "task"))
    with pytest.raises(RetryError):
        move(rows, lambda: move(7))
    assert b"".join(s3_store.read(key)).count(b"\n") == 8
    assert [info.key for info in s3_store.list()] == [key]
    assert list(s3_store.unfinished()) == []


def test_an_empty_object_without_conditions(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "_known", {})
    upload = IgnoringStore(s3_store).upload("key", create_only=True)
    assert upload.complete().size == 0
    assert list(s3_store.unfinished()) == []
    with pytest.raises(InputError, match="exists already"):
        IgnoringStore(s3_store).upload("key", create_only=True).complete()
