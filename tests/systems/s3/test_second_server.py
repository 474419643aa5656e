"""What the local Swift does not know of S3, against a server that does: Versity's gateway."""

from __future__ import annotations

import base64
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest

from emulators import Emulator
from tradewind.errors import RetryError
from tradewind.move.batches import Batches
from tradewind.move.copy import copy_object
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.source import Source
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.s3.store import S3Store

SCHEMA = pa.schema([("a", pa.int64())])
OWNER = Owner("d", "r", "t")


def session_of(versity: Emulator) -> boto3.Session:
    return boto3.Session(versity.account, versity.key, region_name="eu-west-1")


@pytest.fixture
def store(versity: Emulator) -> S3Store:
    session = session_of(versity)
    options = {"endpoint_url": versity.endpoint}
    store = S3Store(
        f"second-{uuid.uuid4().hex}", session=session, client_options=options, part_bytes=5 << 20
    )
    store.client.create_bucket(
        Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return store


class Numbers(Source):
    def __init__(self, count: int, during: Any = None) -> None:
        self.count, self.during = count, during

    def describe(self) -> str:
        return "numbers"

    def batches(self) -> Batches:
        def generate():
            yield pa.record_batch([pa.array(range(self.count))], schema=SCHEMA)
            if self.during is not None:
                self.during()

        return Batches(SCHEMA, generate())


def test_a_copy_keeps_tags_and_metadata(store: S3Store):
    data = os.urandom(12 << 20)
    store.client.put_object(
        Bucket=store.bucket,
        Key="from",
        Body=data,
        ContentType="text/x",
        Metadata={"color": "red"},
        Tagging="team=blue&cost=low",
    )
    receipt = copy_object(store, "from", store, "to", owner=OWNER)
    there = store.client.get_object(Bucket=store.bucket, Key="to")
    assert there["Body"].read() == data
    assert there["ContentType"] == "text/x"
    assert there["Metadata"]["color"] == "red"
    tags = store.client.get_object_tagging(Bucket=store.bucket, Key="to")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "blue", "cost": "low"}
    assert receipt.stored.objects[0].etag == there["ETag"].strip('"')


def test_a_checksum_that_does_not_fit_is_noticed(store: S3Store, monkeypatch: pytest.MonkeyPatch):
    # This server gives each range the checksum of the whole source, and then puts them together.
    # Copies know that of it; here they do not.
    monkeypatch.setattr("tradewind.systems.s3.copy._tells", lambda *_: False)
    store.client.put_object(Bucket=store.bucket, Key="from", Body=os.urandom(12 << 20))
    ranges = {"threshold": 6 << 20, "part_size": 5 << 20}
    with pytest.raises(RetryError, match="another checksum than"):
        copy_object(store, "from", store, "to", owner=OWNER, **ranges)


def test_the_server_confirms_the_checksum_of_the_whole_object(store: S3Store):
    upload = store.upload("large")
    for _ in range(3):
        upload.write(os.urandom(5 << 20))
    info = upload.complete()
    told = store.client.head_object(Bucket=store.bucket, Key="large", ChecksumMode="ENABLED")
    crc = int.from_bytes(base64.b64decode(told["ChecksumCRC32"]), "big")
    assert info.checksum == f"crc32:{crc:08x}"


def test_parts_are_not_published_over_a_manifest_that_another_has_written(store: S3Store):
    parts = Parts(rows=2)
    first = ObjectTarget(store, "set/", format="csv", parts=parts)

    def overtake() -> None:
        transfer(Numbers(5), ObjectTarget(store, "set/", format="csv", parts=parts), other)

    mine, other = Owner("d", "r", "mine"), Owner("d", "r", "other")
    with pytest.raises(RetryError):
        transfer(Numbers(3, during=overtake), first, mine)
    left = [info.key for info in store.list("set/")]
    assert len(left) == 4, "three parts of the other, and its manifest"
    assert list(store.unfinished("set/")) == []


def test_a_sibling_s_publication_is_adopted(store: S3Store):
    parts, owner = Parts(rows=2), OWNER

    def overtake() -> None:
        transfer(Numbers(3), ObjectTarget(store, "set/", format="csv", parts=parts), owner)

    target = ObjectTarget(store, "set/", format="csv", parts=parts)
    receipt = transfer(Numbers(3, during=overtake), target, owner)
    there = {store.uri(info.key) for info in store.list("set/")}
    published = {stored.uri for stored in receipt.stored.objects}
    assert published < there
    assert len(there) == 3, "two parts and the manifest"


def test_a_copy_in_ranges_is_right_though_the_server_tells_wrong_checksums(
    store: S3Store, versity: Emulator
):
    data = bytes(range(256)) * (12 << 12)
    for key, algorithm in (("crc32.bin", "CRC32"), ("sha1.bin", "SHA1")):
        store.client.put_object(
            Bucket=store.bucket, Key=key, Body=data, ChecksumAlgorithm=algorithm
        )
        receipt = copy_object(
            store, key, store, f"copy-of-{key}", owner=OWNER, threshold=5 << 20, part_size=5 << 20
        )
        assert receipt.bytes == len(data)
        assert b"".join(store.read(f"copy-of-{key}")) == data
        # By a client that compares what it gets with the checksum that is stored.
        client = session_of(versity).client("s3", endpoint_url=versity.endpoint)
        found = client.get_object(Bucket=store.bucket, Key=f"copy-of-{key}", ChecksumMode="ENABLED")
        assert found["Body"].read() == data
    assert list(store.unfinished()) == []


@pytest.mark.long
def test_an_object_above_5_gib(store: S3Store, tmp_path: Path):
    """CopyObject ends at 5 GiB: with the defaults it is copied by 21 ranges, several at once."""
    if shutil.disk_usage(tmp_path).free < 20 << 30:
        pytest.skip("this needs 20 GB of disk")
    client, bucket = store.client, store.bucket
    client.put_object(Bucket=bucket, Key="piece", Body=bytes(256 << 20))
    where = {"Bucket": bucket, "Key": "large"}
    told = {"ContentType": "text/x", "Metadata": {"a": "b"}}
    upload = client.create_multipart_upload(**where, **told)["UploadId"]
    parts = []
    for number in range(1, 22):
        answer = client.upload_part_copy(
            **where,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "piece"},
        )
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    try:
        receipt = copy_object(store, "large", store, "copy", owner=OWNER)
        assert receipt.bytes == 21 * (256 << 20) > 5 << 30
        found = client.head_object(Bucket=bucket, Key="copy")
        assert found["ContentLength"] == receipt.bytes
        assert (found["ContentType"], found["Metadata"]["a"]) == ("text/x", "b")
        assert list(store.unfinished()) == []
    finally:
        store.delete(["piece", "large", "copy"])
