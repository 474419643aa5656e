"""The S3 server of `tradewind up s3`, as its clients see it."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config

from tradewind.local import Systems


def client(systems: Systems, **more):
    environment = systems.environment
    return boto3.client(
        "s3",
        endpoint_url=systems["s3"].endpoint,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        **more,
    )


@pytest.fixture(scope="module")
def s3(local_s3: Systems):
    return client(local_s3, config=Config(response_checksum_validation="when_required"))


@pytest.fixture(scope="module")
def bucket(s3) -> str:
    s3.create_bucket(
        Bucket="test-s3", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return "test-s3"


def test_keeps_an_object_with_its_metadata(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"abc", ContentType="text/csv")
    answer = s3.get_object(Bucket=bucket, Key="a/b")
    assert answer["Body"].read() == b"abc"
    assert answer["ContentType"] == "text/csv"
