"""Conditional writes to the local S3, as S3 itself has them."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tradewind.local import Systems


def client(systems: Systems) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=systems.environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=systems.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=systems.environment["AWS_SECRET_ACCESS_KEY"],
        region_name="eu-west-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def s3(local_s3: Systems) -> Any:
    return client(local_s3)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"conditions-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def multipart(s3: Any, bucket: str, key: str, body: bytes) -> dict[str, Any]:
    begun = s3.create_multipart_upload(Bucket=bucket, Key=key)
    where = {"Bucket": bucket, "Key": key, "UploadId": begun["UploadId"]}
    part = s3.upload_part(**where, PartNumber=1, Body=body)
    return {**where, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}


def test_a_put_replaces_only_what_it_names(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"1")["ETag"]
    second = s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"2", IfMatch=first)["ETag"]
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"3", IfMatch=first)
    assert code(refused.value) == "PreconditionFailed"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"3", IfNoneMatch="*")
    assert code(refused.value) == "PreconditionFailed"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="none", Body=b"3", IfMatch=first)
    assert code(refused.value) == "NoSuchKey"
    found = s3.get_object(Bucket=bucket, Key="a b/ü")
    assert (found["Body"].read(), found["ETag"]) == (b"2", second)
    assert s3.put_object(Bucket=bucket, Key="new", Body=b"1", IfNoneMatch="*")["ETag"]


def test_a_completed_upload_replaces_only_what_it_names(s3, bucket):
    whole = s3.complete_multipart_upload(**multipart(s3, bucket, "k", b"1"), IfNoneMatch="*")
    begun = multipart(s3, bucket, "k", b"2")
    with pytest.raises(ClientError) as refused:
        s3.complete_multipart_upload(**begun, IfNoneMatch="*")
    assert code(refused.value) == "PreconditionFailed"
    s3.complete_multipart_upload(**begun, IfMatch=whole["ETag"])
    with pytest.raises(ClientError) as refused:
        s3.complete_multipart_upload(**multipart(s3, bucket, "k", b"3"), IfMatch=whole["ETag"])
    assert code(refused.value) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_a_body_that_is_not_what_was_signed_writes_nothing(s3, bucket):
    with pytest.raises(ClientError):
        s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*", ContentMD5="AAAA" * 6)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("condition", ["new", "replaced"])
def test_of_many_at_once_one_writes(s3, local_s3, bucket, condition: str):
    given: dict[str, str] = {"IfNoneMatch": "*"}
    if condition == "replaced":
        given = {"IfMatch": s3.put_object(Bucket=bucket, Key="k", Body=b"0")["ETag"]}
    clients = [client(local_s3) for _ in range(8)]
    wrote: list[bytes] = []
    refused: list[str] = []
    start = threading.Barrier(len(clients))

    def write(number: int) -> None:
        body = b"x" * (200_000 + number)
        start.wait()
        try:
            clients[number].put_object(Bucket=bucket, Key="k", Body=body, **given)
        except ClientError as error:
            refused.append(code(error))
        else:
            wrote.append(body)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrote) == 1
    assert set(refused) == {"PreconditionFailed"}
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == wrote[0]
