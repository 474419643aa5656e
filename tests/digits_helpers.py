"""What the tests of the digits pipeline share: clients, a hook, models without a training."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import boto3
import numpy as np
from botocore.config import Config
from botocore.exceptions import ClientError

from digits.layout import Layout
from sagemaker_local.algorithms.kmeans.model import encode_centres
from tradewind.local import Systems

IMAGE = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
ROLE = "arn:aws:iam::123456789012:role/tradewind-digits"


def client(systems: Systems, service: str) -> Any:
    """A boto3 client of a local system."""
    environment = systems.environment
    endpoint = systems["s3" if service == "s3" else "sagemaker"].endpoint
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


class Hook:
    """Does what the pipeline asks of Airflow's S3Hook, as that does it, without Airflow."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def get_conn(self) -> Any:
        return self._s3

    def load_file_obj(self, file_obj: Any, key: str, bucket_name: str, replace: bool) -> None:
        assert replace
        self._s3.upload_fileobj(file_obj, bucket_name, key)

    def check_for_key(self, key: str, bucket_name: str) -> bool:
        try:
            self._s3.head_object(Bucket=bucket_name, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return False
            raise
        return True

    def read_key(self, key: str, bucket_name: str) -> str:
        return str(self._s3.get_object(Bucket=bucket_name, Key=key)["Body"].read().decode())

    def delete_objects(self, bucket: str, keys: list[str]) -> None:
        self._s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        found = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return sorted(item["Key"] for item in found)


def make_bucket(s3: Any, name: str) -> str:
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    return name


def archive(content: bytes, name: str = "model_algo-1") -> bytes:
    """A tar.gz with one file in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        packed.addfile(member, io.BytesIO(content))
    return file.getvalue()


def artifact(centroids: Any) -> bytes:
    """What a training job leaves, as the local SageMaker writes it."""
    return archive(encode_centres(np.asarray(centroids, np.float32)))


def trained(layout: Layout, model: str) -> dict[str, Any]:
    """What the training task hands on, as far as it is read."""
    return {
        "TrainingJobName": model,
        "ModelArtifacts": {"S3ModelArtifacts": layout.uri(layout.artifact_key(model))},
        "AlgorithmSpecification": {"TrainingImage": IMAGE},
    }


def put_report(s3: Any, layout: Layout, model: str, accuracy: float) -> None:
    """A report as far as the comparison with the model in service reads it."""
    s3.put_object(
        Bucket=layout.bucket,
        Key=layout.model_report_key(model),
        Body=json.dumps({"model": model, "accuracy": accuracy}).encode(),
    )
