"""Objects are streamed in and out, whole or not at all."""

import hashlib
import io
import uuid

import pytest

from digits.storage import ChunkReader, Hashed, exists, open_object, put, remove_prefix
from digits_helpers import Hook, client, make_bucket
from tradewind.errors import SetupError


@pytest.fixture(scope="module")
def s3(local_s3):
    return client(local_s3, "s3")


@pytest.fixture(scope="module")
def bucket(s3):
    return make_bucket(s3, f"storage-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def hook(s3):
    return Hook(s3)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_chunks_are_a_file(size):
    chunks = [b"one", bytearray(b""), memoryview(b"three"), b"x" * 20]
    reader = io.BufferedReader(ChunkReader(iter(chunks)), 16)
    pieces = iter(lambda: reader.read(size), b"")
    assert b"".join(pieces) == b"onethree" + b"x" * 20
    assert not reader.seekable()


def test_chunks_are_made_as_they_are_read():
    made = []

    def chunks():
        for number in range(100):
            made.append(number)
            yield bytes(1000)

    reader = io.BufferedReader(ChunkReader(chunks()), 1000)
    assert len(reader.read(2500)) == 2500
    assert len(made) <= 4


def test_checksum_is_of_what_was_read():
    hashed = Hashed(io.BytesIO(b"abc" * 100))
    while hashed.read(7):
        pass
    assert hashed.sha256 == hashlib.sha256(b"abc" * 100).hexdigest()


def test_large_objects_go_up_in_parts(s3, hook, bucket):
    part = bytes(range(256)) * 4096
    put(hook, bucket, "large", (part for _ in range(20)))
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ContentLength"] == 20 << 20
    assert head["ETag"].endswith('-3"')
    with open_object(hook, bucket, "large", made_by="x") as stream:
        assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(part * 20).digest()


@pytest.mark.parametrize("megabytes", [1, 20])
def test_a_failure_leaves_what_was_there(s3, hook, bucket, megabytes):
    put(hook, bucket, "kept", [b"before"])

    def chunks():
        for _ in range(megabytes):
            yield bytes(1 << 20)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        put(hook, bucket, "kept", chunks())
    assert hook.read_key("kept", bucket) == "before"
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_what_is_not_there_is_named_with_the_task_that_makes_it(hook, bucket):
    assert not exists(hook, bucket, "absent")
    with pytest.raises(SetupError, match=rf"s3://{bucket}/absent is not there.*task extract"):
        open_object(hook, bucket, "absent", made_by="extract")
    with pytest.raises(SetupError, match="is not there"):
        open_object(hook, "no-such-bucket-here", "absent", made_by="extract")


def test_a_prefix_is_removed_and_nothing_else(hook, bucket):
    for key in ("a/b/1", "a/b/2", "a/c"):
        put(hook, bucket, key, [b""])
    assert sorted(remove_prefix(hook, bucket, "a/b/")) == ["a/b/1", "a/b/2"]
    assert hook.keys(bucket, "a/") == ["a/c"]
    assert remove_prefix(hook, bucket, "a/b/") == []
