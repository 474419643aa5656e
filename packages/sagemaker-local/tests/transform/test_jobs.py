"""Batch transform as boto3 sees it, on a real service process with a real S3."""

from __future__ import annotations

import gzip
import itertools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from sagemaker_service import (
    SageMakerProcess,
    create_model,
    kmeans_artifact,
    make_client,
)
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from waiting import until


class Setting:
    """A service with a model `points` of three centres, and a bucket."""

    def __init__(self, service: SageMakerProcess, s3: Any, bucket: str) -> None:
        self.service = service
        self.s3 = s3
        self.bucket = bucket
        self.sagemaker = service.client("sagemaker")
        s3.put_object(
            Bucket=bucket,
            Key="model.tar.gz",
            Body=kmeans_artifact([[0, 0], [10, 10], [20, 20]]),
        )
        create_model(self.sagemaker, "points", f"s3://{bucket}/model.tar.gz")

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return sorted(item["Key"] for item in found)

    def create(
        self,
        name: str,
        prefix: str,
        *,
        data_type: str = "S3Prefix",
        input: dict[str, Any] | None = None,
        output: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        source = {"S3DataType": data_type, "S3Uri": f"s3://{self.bucket}/{prefix}"}
        arguments: dict[str, Any] = {
            "ModelName": "points",
            "TransformInput": {
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                **(input or {}),
            },
            "TransformOutput": {
                "S3OutputPath": f"s3://{self.bucket}/out/{name}",
                "Accept": "text/csv",
                **(output or {}),
            },
            "TransformResources": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1},
        }
        self.sagemaker.create_transform_job(TransformJobName=name, **(arguments | more))

    def describe(self, name: str) -> dict[str, Any]:
        body: dict[str, Any] = self.sagemaker.describe_transform_job(TransformJobName=name)
        return body

    def ended(self, name: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            body = self.describe(name)
            return body if body["TransformJobStatus"] not in ("InProgress", "Stopping") else None

        found: dict[str, Any] = until(over)
        return found

    def completed(self, name: str) -> dict[str, Any]:
        body = self.ended(name)
        assert body["TransformJobStatus"] == "Completed", body.get("FailureReason")
        return body

    def failed(self, name: str) -> str:
        body = self.ended(name)
        assert body["TransformJobStatus"] == "Failed"
        reason: str = body["FailureReason"]
        return reason


def make_bucket(s3: Systems) -> tuple[Any, str]:
    client = make_client("s3", s3["s3"].endpoint, s3.environment)
    bucket = f"transform-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    return client, bucket


@pytest.fixture(scope="module")
def setting(local_s3: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with SageMakerProcess(local_s3, tmp_path_factory.mktemp("sagemaker")) as process:
        yield Setting(process, *make_bucket(local_s3))


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"job-{next(_numbers)}"


def clusters(text: bytes) -> list[float]:
    return [float(line.split(",")[0]) for line in text.decode().splitlines()]


def test_objects_of_a_prefix_become_out_objects(setting: Setting, name: str) -> None:
    setting.put(f"{name}/a.csv", b"1,1\n19,19\n")
    setting.put(f"{name}/sub/b.csv", b"9,9\n")
    setting.put(f"{name}-beside/c.csv", b"9,9\n")
    setting.create(name, f"{name}/", Tags=[{"Key": "team", "Value": "a"}])
    body = setting.completed(name)
    assert setting.keys(f"out/{name}/") == [f"out/{name}/a.csv.out", f"out/{name}/sub/b.csv.out"]
    assert clusters(setting.get(f"out/{name}/a.csv.out")) == [0, 2]
    assert clusters(setting.get(f"out/{name}/sub/b.csv.out")) == [1]
    assert body["TransformStartTime"] <= body["TransformEndTime"]
    assert body["ModelName"] == "points"
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:transform-job/{name}"
    assert body["TransformJobArn"] == arn
    assert setting.sagemaker.list_tags(ResourceArn=arn)["Tags"][0]["Value"] == "a"
    listed = setting.sagemaker.list_transform_jobs(NameContains=name, StatusEquals="Completed")
    assert [job["TransformJobName"] for job in listed["TransformJobSummaries"]] == [name]
    logs = setting.service.client("logs")
    streams = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=f"{name}/"
    )["logStreams"]
    assert any(stream["logStreamName"].endswith("/data-log") for stream in streams)


def test_one_object_by_its_key_and_the_waiter(setting: Setting, name: str) -> None:
    setting.put(f"{name}/points.csv", b"19,19")
    setting.create(name, f"{name}/points.csv")
    setting.sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    assert setting.keys(f"out/{name}/") == [f"out/{name}/points.csv.out"]


def test_a_manifest_names_the_objects(setting: Setting, name: str) -> None:
    for key in ("one.csv", "deep/two.csv", "three.csv"):
        setting.put(f"{name}/{key}", b"1,1\n")
    prefix = {"prefix": f"s3://{setting.bucket}/{name}/"}
    setting.put(f"{name}.manifest", json.dumps([prefix, "one.csv", "deep/two.csv"]).encode())
    setting.create(name, f"{name}.manifest", data_type="ManifestFile")
    setting.completed(name)
    expected = [f"out/{name}/deep/two.csv.out", f"out/{name}/one.csv.out"]
    assert setting.keys(f"out/{name}/") == expected


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
@pytest.mark.parametrize("concurrent", [1, 4])
def test_lines_keep_their_order(
    setting: Setting, name: str, strategy: str, concurrent: int
) -> None:
    expected = [number % 3 for number in range(5000)]
    rows = "".join(f"{cluster * 10},{cluster * 10}\n" for cluster in expected)
    setting.put(f"{name}/rows.csv.gz", gzip.compress(rows.encode()))
    setting.create(
        name,
        f"{name}/rows",
        input={"SplitType": "Line", "CompressionType": "Gzip"},
        output={"AssembleWith": "Line"},
        BatchStrategy=strategy,
        MaxConcurrentTransforms=concurrent,
        MaxPayloadInMB=1,
        ModelClientConfig={"InvocationsTimeoutInSeconds": 30, "InvocationsMaxRetries": 1},
    )
    setting.completed(name)
    assert clusters(setting.get(f"out/{name}/rows.csv.gz.out")) == expected


def test_recordio_in_json_lines_out(setting: Setting, name: str) -> None:
    rows = np.array([[0, 0], [20, 20], [10, 10]], np.float32)
    setting.put(f"{name}/rows", b"".join(bytes(c) for c in recordio.encode([rows])))
    setting.create(
        name,
        f"{name}/",
        input={"SplitType": "RecordIO", "ContentType": "application/x-recordio-protobuf"},
        output={"Accept": "application/jsonlines", "AssembleWith": "Line"},
        BatchStrategy="SingleRecord",
    )
    setting.completed(name)
    answers = [json.loads(line) for line in setting.get(f"out/{name}/rows.out").splitlines()]
    assert [answer["closest_cluster"] for answer in answers] == [0, 2, 1]


def test_what_the_model_refuses_fails_the_job_and_leaves_nothing_half(
    setting: Setting, name: str
) -> None:
    setting.put(f"{name}/a.csv", b"1,1\n" * 10 + b"1,2,3\n" + b"1,1\n" * 10)
    setting.create(name, f"{name}/", input={"SplitType": "Line"}, BatchStrategy="SingleRecord")
    reason = setting.failed(name)
    assert reason.startswith("ClientError:")
    assert "a.csv" in reason
    assert "answered 400" in reason
    assert setting.keys(f"out/{name}/") == []
    assert "Uploads" not in setting.s3.list_multipart_uploads(Bucket=setting.bucket)


def test_failures_name_their_cause(setting: Setting, name: str) -> None:
    setting.create(f"{name}-empty", f"{name}/nothing/")
    assert "No S3 objects found under S3 URL" in setting.failed(f"{name}-empty")
    setting.put(f"{name}/large.csv", b"1,1\n" * 300_000)
    setting.create(f"{name}-large", f"{name}/large.csv", MaxPayloadInMB=1)
    assert "Too much data for max payload size" in setting.failed(f"{name}-large")
    create_model(setting.sagemaker, f"{name}-gone", f"s3://{setting.bucket}/none.tar.gz")
    setting.create(f"{name}-gone", f"{name}/", ModelName=f"{name}-gone")
    assert setting.failed(f"{name}-gone").startswith("Failed to download model data")
    create_model(setting.sagemaker, f"{name}-own", None, image="own/image:1")
    setting.create(f"{name}-own", f"{name}/", ModelName=f"{name}-own")
    assert "container engine" in setting.failed(f"{name}-own")


def test_the_texts_clients_match_on(setting: Setting, name: str) -> None:
    for call in ("describe_transform_job", "stop_transform_job"):
        with pytest.raises(ClientError, match="Could not find requested job with name") as error:
            getattr(setting.sagemaker, call)(TransformJobName=name)
        assert error.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match='Could not find model "arn:'):
        setting.create(name, "x", ModelName="no-model")
    with pytest.raises(ClientError, match="is not understood"):
        setting.create(name, "x", DataProcessing={"InputFilter": "$..everything"})
    with pytest.raises(ClientError, match="ContentType and Accept must be the same"):
        setting.create(
            name,
            "x",
            output={"Accept": "application/jsonlines"},
            DataProcessing={"JoinSource": "Input"},
        )
    with pytest.raises(ClientError, match="TFRecord"):
        setting.create(name, "x", input={"SplitType": "TFRecord"})
    setting.put(f"{name}/a.csv", b"1,1\n")
    setting.create(name, f"{name}/")
    with pytest.raises(ClientError) as error:
        setting.create(name, f"{name}/")
    assert error.value.response["Error"]["Code"] == "ResourceInUse"
    setting.completed(name)
    with pytest.raises(ClientError, match="in status Completed"):
        setting.sagemaker.stop_transform_job(TransformJobName=name)


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_rows_are_filtered_and_joined(setting: Setting, name: str, strategy: str) -> None:
    setting.put(f"{name}/rows.csv", b'one,1,1\n"two, or so",19,19\n')
    setting.create(
        name,
        f"{name}/",
        input={"SplitType": "Line"},
        output={"AssembleWith": "Line"},
        BatchStrategy=strategy,
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-2]"},
    )
    setting.completed(name)
    text = setting.get(f"out/{name}/rows.csv.out").decode()
    assert [line.rpartition(",")[0] for line in text.splitlines()] == ["one", '"two, or so"']
    assert [float(line.rpartition(",")[2]) for line in text.splitlines()] == [0, 2]


def test_json_lines_are_filtered_and_joined(setting: Setting, name: str) -> None:
    lines = [{"id": n, "data": {"features": [n, n]}} for n in (1, 11)]
    setting.put(f"{name}/rows", "\n".join(map(json.dumps, lines)).encode())
    setting.create(
        name,
        f"{name}/",
        input={"SplitType": "Line", "ContentType": "application/jsonlines"},
        output={"AssembleWith": "Line", "Accept": "application/jsonlines"},
        DataProcessing={
            "InputFilter": "$.data",
            "JoinSource": "Input",
            "OutputFilter": "$['id','SageMakerOutput']",
        },
    )
    setting.completed(name)
    answers = [json.loads(line) for line in setting.get(f"out/{name}/rows.out").splitlines()]
    found = [(a["id"], a["SageMakerOutput"]["closest_cluster"], len(a)) for a in answers]
    assert found == [(1, 0, 2), (11, 1, 2)]


def long_job(setting: Setting, name: str) -> None:
    """A job that goes on for many seconds: one request a line, a million lines."""
    setting.put(f"{name}/a.csv", b"1,1\n")
    setting.put(f"{name}/b.csv", b"1,1\n" * 1_000_000)
    setting.create(name, f"{name}/", input={"SplitType": "Line"}, BatchStrategy="SingleRecord")
    until(lambda: setting.keys(f"out/{name}/"))


def test_a_stopped_job_keeps_what_it_has_finished(setting: Setting, name: str) -> None:
    long_job(setting, name)
    setting.sagemaker.stop_transform_job(TransformJobName=name)
    body = setting.ended(name)
    assert body["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in body
    assert setting.keys(f"out/{name}/") == [f"out/{name}/a.csv.out"]
    assert "Uploads" not in setting.s3.list_multipart_uploads(Bucket=setting.bucket)
    setting.sagemaker.stop_transform_job(TransformJobName=name)


def test_a_killed_service_begins_its_jobs_again(local_s3: Systems, data: Path) -> None:
    with SageMakerProcess(local_s3, data) as process:
        setting = Setting(process, *make_bucket(local_s3))
        long_job(setting, "long")
        setting.put("long/b.csv", b"9,9\n")  # What the second run finds.
        process.restart()
        setting.sagemaker = process.client("sagemaker")
        setting.completed("long")
        assert clusters(setting.get("out/long/b.csv.out")) == [1]
