import io
import socket

import pytest

from sagemaker_local.errors import InputError, RetryError, SetupError
from sagemaker_local.objects import Objects, S3Uri
from training_jobs import Workshop


@pytest.fixture
def workshop(local_s3, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, local_s3.environment[name])
    return Workshop(local_s3, tmp_path)


def test_addresses_are_split_and_joined():
    assert S3Uri.parse("s3://bucket/a/b c") == S3Uri("bucket", "a/b c")
    assert S3Uri.parse("s3://bucket") == S3Uri.parse("s3://bucket/") == S3Uri("bucket", "")
    assert str(S3Uri("bucket", "a/b")) == "s3://bucket/a/b"
    for wrong in ("bucket/key", "s3:///key", "https://bucket/key", ""):
        with pytest.raises(InputError, match="s3://bucket/key"):
            S3Uri.parse(wrong)


def test_a_prefix_is_any_beginning_of_keys_as_in_s3(workshop):
    keys = ["train/part-1", "train/part-10", "train/sub/é x%20+&=.csv", "train-2/x", "tr"]
    for key in keys:
        workshop.put(key, b"12345")
    objects = workshop.objects()

    def listed(prefix):
        return [info.uri.key for info in objects.list(S3Uri(workshop.bucket, prefix))]

    assert listed("") == sorted(keys)
    assert listed("train/") == ["train/part-1", "train/part-10", "train/sub/é x%20+&=.csv"]
    assert listed("train/part-1") == ["train/part-1", "train/part-10"]
    assert listed("train") == [key for key in sorted(keys) if key != "tr"]
    assert listed("train/part-2") == []
    assert {info.size for info in objects.list(S3Uri(workshop.bucket, ""))} == {5}


def test_bytes_come_back_as_they_went_up(workshop):
    objects = workshop.objects()
    content = bytes(range(256)) * 50_000  # 12.8 MB: more than one part
    for number, source in enumerate(
        [content, io.BytesIO(content), iter([content[:9_999_999], content[9_999_999:]])]
    ):
        uri = S3Uri(workshop.bucket, f"up/é {number}")
        objects.put(uri, source)
        assert objects.size(uri) == len(content)
        chunks = list(objects.stream(uri, chunk_bytes=100_000))
        assert len(chunks) > 1
        assert b"".join(chunks) == content
    assert objects.read(uri, limit=len(content)) == content
    with pytest.raises(InputError, match="larger than"):
        objects.read(uri, limit=len(content) - 1)


def test_errors_name_what_is_missing_and_where(workshop):
    objects = workshop.objects()
    nowhere, nothing = S3Uri("no-such-bucket", "key"), S3Uri(workshop.bucket, "nothing")
    for call in (
        lambda: objects.list(nowhere),
        lambda: list(objects.stream(nowhere)),
        lambda: objects.put(nowhere, b"x"),
        lambda: objects.put(nowhere, iter([b"x"])),
    ):
        with pytest.raises(InputError, match="no bucket s3://no-such-bucket at http://127"):
            call()
    for call in (lambda: list(objects.stream(nothing)), lambda: objects.size(nothing)):
        with pytest.raises(InputError, match=f"no object s3://{workshop.bucket}/nothing"):
            call()
    with pytest.raises(InputError, match="empty part"):
        list(objects.stream(S3Uri(workshop.bucket, "a//b")))


def test_wrong_credentials_are_a_matter_of_the_setup(workshop, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    objects = workshop.objects()
    for call in (
        lambda: objects.list(S3Uri(workshop.bucket, "")),
        lambda: list(objects.stream(S3Uri(workshop.bucket, "key"))),
        lambda: objects.put(S3Uri(workshop.bucket, "key"), b"x"),
    ):
        with pytest.raises(SetupError, match="AWS_SECRET_ACCESS_KEY") as raised:
            call()
        assert "not-the-secret" not in str(raised.value)


def test_a_server_that_is_not_there_may_come_back(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-seen")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RetryError, match=f"127.0.0.1:{port}") as raised:
        Objects(endpoint=f"http://127.0.0.1:{port}", region="eu-west-1").size(S3Uri("abc", "key"))
    assert "not-to-be-seen" not in str(raised.value)
