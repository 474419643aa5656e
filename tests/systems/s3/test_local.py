"""The S3 server of `tradewind up s3`, as its clients see it."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import signal
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

import boto3
import obstore
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tradewind.local import Systems, up

MB = 1 << 20
REGION = "eu-west-1"


def client(systems: Systems, secret: str | None = None):
    environment = systems.environment
    return boto3.client(
        "s3",
        endpoint_url=systems["s3"].endpoint,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or environment["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}),
    )


def refused(call: Callable[..., object], **arguments: object) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def make_bucket(s3, name: str) -> str:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture(scope="module")
def s3(local_s3: Systems):
    return client(local_s3)


@pytest.fixture(scope="module")
def bucket(s3) -> str:
    return make_bucket(s3, "test-s3")


@pytest.fixture(scope="module")
def store(local_s3: Systems, bucket: str) -> S3Store:
    environment = local_s3.environment
    return S3Store(
        bucket,
        endpoint=local_s3["s3"].endpoint,
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region=REGION,
        client_options={"allow_http": True},
    )


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(20 * MB)


@pytest.fixture(scope="module", params=["whole", "parts"])
def key(request: pytest.FixtureRequest, s3, bucket: str, content: bytes) -> str:
    """The same content, put in one request and in parts."""
    if request.param == "whole":
        s3.put_object(Bucket=bucket, Key="content/whole", Body=content)
    else:
        s3.upload_fileobj(io.BytesIO(content), bucket, "content/parts")
    return f"content/{request.param}"


def test_download_with_boto3(s3, bucket: str, key: str, content: bytes) -> None:
    target = io.BytesIO()
    s3.download_fileobj(bucket, key, target)
    assert target.getvalue() == content


@pytest.mark.parametrize(("start", "end"), [(0, 10), (5, 105), (8 * MB - 1, 8 * MB + 1)])
def test_range_with_boto3(s3, bucket: str, key: str, content: bytes, start: int, end: int) -> None:
    answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == f"bytes {start}-{end - 1}/{len(content)}"
    assert answer["Body"].read() == content[start:end]


def test_ranges_with_obstore(store: S3Store, key: str, content: bytes) -> None:
    starts = [0, 8 * MB - 1, 19 * MB]
    ranges = obstore.get_ranges(store, key, starts=starts, lengths=[100, 2, MB])
    expected = [content[0:100], content[8 * MB - 1 : 8 * MB + 1], content[19 * MB :]]
    assert [bytes(part) for part in ranges] == expected


def test_stream_with_obstore(store: S3Store, key: str, content: bytes) -> None:
    digest = hashlib.sha256()
    for chunk in obstore.get(store, key).stream():
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(content).digest()


def test_multipart_put_with_obstore(s3, bucket: str, store: S3Store, content: bytes) -> None:
    obstore.put(store, "obstore", content, use_multipart=True, chunk_size=6 * MB)
    assert s3.get_object(Bucket=bucket, Key="obstore")["Body"].read() == content
    assert s3.head_object(Bucket=bucket, Key="obstore")["ETag"].endswith('-4"')


def test_keeps_type_and_metadata(s3, bucket: str) -> None:
    put = {"ContentType": "text/csv", "ContentEncoding": "gzip", "Metadata": {"owner": "x-1"}}
    s3.put_object(Bucket=bucket, Key="typed", Body=b"abc", **put)
    head = s3.head_object(Bucket=bucket, Key="typed")
    assert {name: head[name] for name in put} == put
    assert head["ETag"] == f'"{hashlib.md5(b"abc").hexdigest()}"'


def test_copy_into_a_bucket_of_any_name(s3, bucket: str, key: str) -> None:
    name = f"tradewind-{uuid.uuid4().hex}"
    region = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=region)
    s3.copy_object(Bucket=name, Key="a/tradewind", CopySource={"Bucket": bucket, "Key": key})
    assert s3.head_object(Bucket=name, Key="a/tradewind")["ContentLength"]


def test_copy_with_acl_and_delete(s3, bucket: str, key: str, content: bytes) -> None:
    source = {"Bucket": bucket, "Key": key}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ACL="private")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == content
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}, {"Key": "never"}]})
    assert refused(s3.head_object, Bucket=bucket, Key="copy") == "404"
    s3.delete_object(Bucket=bucket, Key="copy")


def test_unfinished_upload_is_listed_until_aborted(s3, bucket: str) -> None:
    target = {"Bucket": bucket, "Key": "unfinished"}
    upload = s3.create_multipart_upload(**target)["UploadId"]
    s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"x" * 5 * MB)
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix="unfin")["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in uploads] == [("unfinished", upload)]
    assert [part["Size"] for part in s3.list_parts(**target, UploadId=upload)["Parts"]] == [5 * MB]
    assert refused(s3.head_object, **target) == "404"
    s3.abort_multipart_upload(**target, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket, Prefix="unfin")
    assert refused(s3.list_parts, **target, UploadId=upload) == "NoSuchUpload"


def test_conditional_put(s3, bucket: str) -> None:
    put = {"Bucket": bucket, "Key": "once", "IfNoneMatch": "*"}
    s3.put_object(**put, Body=b"first")
    assert refused(s3.put_object, **put, Body=b"second") == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="once")["Body"].read() == b"first"


def test_conditional_completion(s3, bucket: str) -> None:
    target = {"Bucket": bucket, "Key": "once-in-parts"}
    s3.put_object(**target, Body=b"first")
    upload = s3.create_multipart_upload(**target)["UploadId"]
    part = s3.upload_part(**target, UploadId=upload, PartNumber=1, Body=b"second")
    finish = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    complete = {**target, **finish, "UploadId": upload, "IfNoneMatch": "*"}
    assert refused(s3.complete_multipart_upload, **complete) == "PreconditionFailed"
    assert s3.get_object(**target)["Body"].read() == b"first"


def test_conditional_put_with_obstore(store: S3Store) -> None:
    obstore.put(store, "created", b"first", mode="create")
    with pytest.raises(BaseError, match="already exists"):
        obstore.put(store, "created", b"second", mode="create")


def test_lists_in_pages_and_by_delimiter(s3, bucket: str) -> None:
    keys = [f"pages/{folder}/{number}" for folder in "ab" for number in range(4)]
    for name in keys:
        s3.put_object(Bucket=bucket, Key=name, Body=b"")
    listing = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="pages/", PaginationConfig={"PageSize": 3}
    )
    assert [item["Key"] for page in listing for item in page["Contents"]] == keys
    folders = s3.list_objects_v2(Bucket=bucket, Prefix="pages/", Delimiter="/")["CommonPrefixes"]
    assert [folder["Prefix"] for folder in folders] == ["pages/a/", "pages/b/"]


@pytest.mark.parametrize("name", ["a key with spaces", "ümlaut/ñ", "a+b=c&d?e#f", "x" * 1000])
def test_keys_of_any_spelling(s3, bucket: str, name: str) -> None:
    s3.put_object(Bucket=bucket, Key=name, Body=b"1")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=name)["Contents"]
    assert [item["Key"] for item in found] == [name]


def test_refuses_a_wrong_secret(local_s3: Systems, bucket: str) -> None:
    stranger = client(local_s3, secret="wrong")
    assert refused(stranger.list_objects_v2, Bucket=bucket) == "SignatureDoesNotMatch"


def test_its_other_ports_answer_nobody(local_s3: Systems) -> None:
    process = psutil.Process(local_s3["s3"].pids[0])
    ports = {
        connection.laddr.port
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    ports.remove(urllib.parse.urlsplit(local_s3["s3"].endpoint).port)
    assert len(ports) >= 3
    for port in ports:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/device/0/AUTH_local", headers={"Insider": "me"})
        assert connection.getresponse().status == 403
        connection.close()


def test_refuses_wrong_content_md5(s3, bucket: str) -> None:
    md5 = "1B2M2Y8AsgTpgAmY7PhCfg=="
    assert refused(s3.put_object, Bucket=bucket, Key="md5", Body=b"x", ContentMD5=md5) == (
        "BadDigest"
    )


def test_presigned_address(s3, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="signed", Body=b"signed")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"})
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"signed"


def test_objects_and_uploads_survive_a_kill(data) -> None:
    with up(["s3"], data=data) as systems:
        s3 = client(systems)
        bucket = make_bucket(s3, "kept")
        s3.put_object(Bucket=bucket, Key="whole", Body=b"whole", Metadata={"a": "b"})
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        target = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
        part = s3.upload_part(**target, PartNumber=1, Body=b"parts")
        os.kill(systems["s3"].pids[0], signal.SIGKILL)
    with up(["s3"], data=data) as systems:
        s3 = client(systems)
        answer = s3.get_object(Bucket=bucket, Key="whole")
        assert (answer["Body"].read(), answer["Metadata"]) == (b"whole", {"a": "b"})
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**target, MultipartUpload=parts)
        assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"parts"
        listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert [item["Key"] for item in listed] == ["parts", "whole"]


def stored_bytes(data: Path) -> int:
    return sum(path.stat().st_size for path in data.rglob("*.data"))


def test_parts_of_replaced_objects_go_at_the_next_start(data: Path, content: bytes) -> None:
    with up(["s3"], data=data) as systems:
        s3 = client(systems)
        bucket = make_bucket(s3, "replaced")
        for key in ("a/1", "b"):
            s3.upload_fileobj(io.BytesIO(content), bucket, key)
            s3.upload_fileobj(io.BytesIO(content), bucket, key)
        s3.put_object(Bucket=bucket, Key="b", Body=b"small")
        target = {"Bucket": bucket, "Key": "a/1"}
        unfinished = s3.create_multipart_upload(**target)["UploadId"]
        s3.upload_part(**target, UploadId=unfinished, PartNumber=1, Body=b"part")
        assert stored_bytes(data) > 3 * len(content)
    with up(["s3"], data=data) as systems:
        s3 = client(systems)
        assert stored_bytes(data) < 1.1 * len(content)
        assert s3.get_object(**target)["Body"].read() == content
        assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == b"small"
        parts = s3.list_parts(**target, UploadId=unfinished)["Parts"]
        assert [part["Size"] for part in parts] == [4]
        s3.delete_object(**target)
        assert stored_bytes(data) < MB
