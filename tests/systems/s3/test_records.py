"""Attempts that are killed while they begin a multipart upload: what the next one knows of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tradewind.errors import RetryError
from tradewind.local import Systems
from tradewind.move.store import OWNER
from tradewind.systems.s3 import begin, records
from tradewind.systems.s3.store import S3Store

OURS, THEIRS = "0a0b0c0d0e0f", "f0e0d0c0b0a0"
PART = 5 << 20


class Killed(BaseException):
    """Ends an attempt as SIGKILL does: nothing is tidied up after it."""


class Dying:
    """A client that dies after some of the requests that begin an upload: it answers no more."""

    def __init__(self, client: Any, begun: int) -> None:
        self._client = client
        self._begun = begun
        self.meta = client.meta

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            if not self._begun:
                raise Killed
            answer = getattr(self._client, name)(**arguments)
            self._begun -= name == "create_multipart_upload"
            return answer

        return call


class AskingTwice:
    """A client whose first answer is lost on the way, so that botocore asks again."""

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name != "create_multipart_upload":
            return call

        def twice(**arguments: Any) -> Any:
            if arguments["Key"] != self._key:
                return call(**arguments)
            call(**arguments)
            answer = call(**arguments)
            answer["ResponseMetadata"]["RetryAttempts"] = 1
            return answer

        return twice


@pytest.fixture(scope="module")
def bucket(local_s3: Systems) -> S3Store:
    environment = local_s3.environment
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    options = {"endpoint_url": local_s3["s3"].endpoint}
    store = S3Store(
        f"test-{uuid.uuid4().hex}", session=session, client_options=options, part_bytes=PART
    )
    where = {"LocationConstraint": "eu-west-1"}
    store.client.create_bucket(Bucket=store.bucket, CreateBucketConfiguration=where)
    return store


@pytest.fixture
def store(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A bucket where nothing is left; who wait for another owner do not wait long."""
    monkeypatch.setattr(begin, "_SETTLE_SECONDS", 0.2)
    yield bucket
    assert listed(bucket) == []


def listed(store: S3Store) -> list[tuple[str, str]]:
    found = store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])
    return sorted((one["Key"], one["UploadId"]) for one in found)


def killed(store: S3Store, owner: str, begun: int, key: str = "key") -> None:
    client = store.client
    store._client = Dying(client, begun)
    try:
        with pytest.raises(Killed):
            store.upload(key, metadata={OWNER: owner}).write(bytes(PART + 1))
    finally:
        store._client = client


def begun_by_others(store: S3Store, key: str = "key") -> str:
    return str(store.client.create_multipart_upload(Bucket=store.bucket, Key=key)["UploadId"])


def retried(store: S3Store, owner: str, key: str = "key") -> None:
    """Discard what an owner's earlier attempts have left, as each attempt does."""
    for left in store.unfinished(key):
        if left.key == key and left.owner == owner:
            store.discard(left)


def discard_all(store: S3Store) -> None:
    for key, upload in listed(store):
        store.client.abort_multipart_upload(Bucket=store.bucket, Key=key, UploadId=upload)


def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    date_of = records._date_of

    def later(page: Any) -> Any:
        told = date_of(page)
        assert told is not None
        return told + timedelta(seconds=61)

    monkeypatch.setattr(records, "_date_of", later)


@pytest.mark.parametrize("begun", [1, 2, 3])
def test_whenever_an_attempt_is_killed_the_next_one_discards_what_it_left(
    store: S3Store, begun: int
):
    """After the intent; after the upload, which has no record; after the record."""
    killed(store, OURS, begun)
    assert len(listed(store)) == begun
    retried(store, OURS)
    assert listed(store) == []


def test_uploads_of_others_are_left_alone(store: S3Store):
    killed(store, OURS, 2)
    others = store.upload("key", metadata={OWNER: THEIRS})
    others.write(bytes(PART + 1))
    another_key = begun_by_others(store, "key2")
    # Of a program that records nothing.
    sending = begun_by_others(store)
    store.client.upload_part(
        Bucket=store.bucket, Key="key", UploadId=sending, PartNumber=1, Body=b"x"
    )
    left = [upload for key, upload in listed(store) if key == "key"]
    retried(store, OURS)
    kept = [upload for key, upload in listed(store) if key == "key"]
    assert sending in kept
    assert len(kept) == len(left) - 1
    assert ("key2", another_key) in listed(store)
    others.complete()
    store.delete(["key"])
    discard_all(store)


def test_where_it_cannot_be_told_nothing_is_discarded(store: S3Store):
    killed(store, OURS, 2)
    begun_by_others(store)
    left = listed(store)
    retried(store, OURS)
    assert listed(store) == left
    discard_all(store)


def test_of_two_owners_at_one_key_none_discards_what_the_other_may_be_recording(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
):
    killed(store, OURS, 2)
    killed(store, THEIRS, 2)
    left = listed(store)
    retried(store, OURS)
    assert listed(store) == left
    # Nobody who lives takes that long between the two requests.
    a_minute_later(monkeypatch)
    retried(store, OURS)
    assert len(listed(store)) == 2
    retried(store, THEIRS)


def test_an_upload_that_is_recorded_while_it_is_looked_for_is_left_alone(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
):
    """Theirs is listed without its record, which comes before the second look."""
    killed(store, OURS, 2)
    before = set(listed(store))
    killed(store, THEIRS, 2)
    (_, theirs), (intent, its_id) = sorted(set(listed(store)) - before)
    place = records.record_key("key", theirs, {OWNER: THEIRS})
    told, looks = records.Listing.told, []

    def told_while_they_record(self: records.Listing, *arguments: Any) -> Any:
        looks.append(1)
        if len(looks) == 1:
            store.client.create_multipart_upload(Bucket=store.bucket, Key=place)
            where = {"Bucket": store.bucket, "Key": intent, "UploadId": its_id}
            store.client.abort_multipart_upload(**where)
        return told(self, *arguments)

    monkeypatch.setattr(begin, "_SETTLE_SECONDS", 60.0)
    monkeypatch.setattr(records.Listing, "told", told_while_they_record)
    retried(store, OURS)
    assert [upload for key, upload in listed(store) if key == "key"] == [theirs]
    assert {left.owner for left in store.unfinished()} == {THEIRS}
    discard_all(store)


def test_an_attempt_that_took_too_long_to_record_its_upload_gives_it_up(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(begin, "CLAIM_SECONDS", -1.0)
    with pytest.raises(RetryError, match="took longer than"):
        store.upload("key", metadata={OWNER: OURS}).write(bytes(PART + 1))


def test_an_upload_whose_answer_was_lost_is_not_left(store: S3Store, monkeypatch):
    monkeypatch.setattr(store, "_client", AskingTwice(store.client, "key"))
    upload = store.upload("key", metadata={OWNER: OURS})
    upload.write(bytes(PART + 1))
    assert len(listed(store)) == 2, "the upload and its record"
    upload.complete()
    store.delete(["key"])
