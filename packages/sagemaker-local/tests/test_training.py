"""Training jobs for real: the built-in algorithm, stopped, killed, and through a restart."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from botocore.exceptions import ClientError

from sagemaker_service import KMEANS, ROLE, SageMakerProcess, make_client
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from waiting import until


@pytest.fixture(scope="module")
def s3(local_s3: Systems) -> Any:
    return make_client("s3", local_s3["s3"].endpoint, local_s3.environment)


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = f"training-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    points = np.random.default_rng(7).normal(0, 1, (2000, 20)).astype("f4")
    s3.put_object(Bucket=name, Key="train/points.pbr", Body=bytes(recordio.encode_batch(points)))
    return name


@pytest.fixture
def process(local_s3: Systems, tmp_path: Path) -> Iterator[SageMakerProcess]:
    with SageMakerProcess(local_s3, tmp_path / "data") as process:
        yield process


def create(process: SageMakerProcess, bucket: str, name: str, **change: Any) -> None:
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": KMEANS, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/train/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out/{uuid.uuid4().hex}"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        # More epochs than anybody waits for.
        "HyperParameters": {
            "k": "5",
            "feature_dim": "20",
            "mini_batch_size": "100",
            "epochs": "1000000",
        },
    }
    process.client("sagemaker").create_training_job(**request | change)


def describe(process: SageMakerProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = process.client("sagemaker").describe_training_job(TrainingJobName=name)
    return found


def wait_secondary(process: SageMakerProcess, name: str, *wanted: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = describe(process, name)
        return found if found["SecondaryStatus"] in wanted else None

    found: dict[str, Any] = until(look, seconds=60)
    return found


def trainers(process: SageMakerProcess) -> list[psutil.Process]:
    return psutil.Process(process._process.pid).children(recursive=True)


def artefact_is_there(s3: Any, described: dict[str, Any]) -> bool:
    url = described["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bool(s3.head_object(Bucket=bucket, Key=key)["ContentLength"])


def test_a_stopped_job_keeps_its_model(process: SageMakerProcess, bucket: str, s3: Any) -> None:
    create(process, bucket, "job")
    wait_secondary(process, "job", "Training")
    process.client("sagemaker").stop_training_job(TrainingJobName="job")
    found = wait_secondary(process, "job", "Stopped")
    assert found["TrainingJobStatus"] == "Stopped"
    assert artefact_is_there(s3, found)
    until(lambda: not trainers(process))


def test_a_job_out_of_time_keeps_its_model(process: SageMakerProcess, bucket: str, s3: Any) -> None:
    create(process, bucket, "job", StoppingCondition={"MaxRuntimeInSeconds": 5})
    found = wait_secondary(process, "job", "MaxRuntimeExceeded", "Failed")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == (
        "Stopped",
        "MaxRuntimeExceeded",
    )
    assert artefact_is_there(s3, found)


def test_a_killed_trainer_fails_its_job(process: SageMakerProcess, bucket: str) -> None:
    create(process, bucket, "job")
    wait_secondary(process, "job", "Training")
    os.kill(trainers(process)[0].pid, signal.SIGKILL)
    found = wait_secondary(process, "job", "Failed")
    assert found["TrainingJobStatus"] == "Failed"
    assert "SIGKILL" in found["FailureReason"]


def test_bad_data_fail_the_job_with_a_client_error(process: SageMakerProcess, bucket: str) -> None:
    create(process, bucket, "job", HyperParameters={"k": "5", "feature_dim": "19"})
    found = wait_secondary(process, "job", "Failed")
    assert found["FailureReason"].startswith("ClientError: ")


def test_a_job_is_run_again_after_the_service_was_killed(
    process: SageMakerProcess, bucket: str, s3: Any
) -> None:
    # Long enough to be caught at work, short enough to come to its end.
    parameters = {"k": "5", "feature_dim": "20", "mini_batch_size": "100", "epochs": "1500"}
    create(process, bucket, "job", HyperParameters=parameters)
    before = wait_secondary(process, "job", "Training", "Completed")
    left = trainers(process)
    process.restart()
    until(lambda: not any(trainer.is_running() for trainer in left))
    found = wait_secondary(process, "job", "Completed", "Failed")
    assert found["TrainingJobStatus"] == "Completed", found
    if before["SecondaryStatus"] == "Training":
        passed = [item["Status"] for item in found["SecondaryStatusTransitions"]]
        assert "Restarting" in passed
        assert found["TrainingStartTime"] == before["TrainingStartTime"]
    assert artefact_is_there(s3, found)


def test_a_name_is_claimed_by_one_of_many(process: SageMakerProcess, bucket: str) -> None:
    def claim(_: int) -> str:
        try:
            create(process, bucket, "job")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "claimed"

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(claim, range(8)))
    assert outcomes == ["ResourceInUse"] * 7 + ["claimed"]
