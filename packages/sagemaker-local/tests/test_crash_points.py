"""The service killed at many moments of one story: afterwards the story ends as it should have.

The long form of what `test_training.py` and `hosting/test_endpoints.py` show at chosen moments.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from sagemaker_service import (
    KMEANS,
    ROLE,
    SageMakerProcess,
    create_config,
    create_model,
    make_client,
    status_of,
)
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio

POINTS = 30
JOB, ENDPOINT = "job", "endpoint"


@pytest.fixture(scope="module")
def bucket(local_s3: Systems) -> str:
    s3 = make_client("s3", local_s3["s3"].endpoint, local_s3.environment)
    name = f"crash-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    points = np.random.default_rng(7).normal(0, 1, (20_000, 20)).astype("f4")
    s3.put_object(Bucket=name, Key="train/points.pbr", Body=bytes(recordio.encode_batch(points)))
    return name


class Story:
    """Train, deploy, update the endpoint, ask it: by a client that tries again after an error."""

    def __init__(self, process: SageMakerProcess, bucket: str) -> None:
        self.process = process
        self.bucket = bucket
        self.output = f"s3://{bucket}/out/{uuid.uuid4().hex}"
        self.alive = threading.Event()
        self.alive.set()

    def tell(self) -> None:
        self.until(self.train)
        for number in ("one", "two"):
            self.until(partial(self.deploy, number))
        self.until(self.ask)

    def until(self, step: Callable[[Any], bool]) -> None:
        """Take a step again and again, over a service that may be away, until it is done."""
        deadline = time.monotonic() + 90
        while True:
            assert time.monotonic() < deadline, f"{step} was not done in time"
            self.alive.wait(60)
            endpoint = self.process.endpoint
            try:
                if step(self.process.client("sagemaker")):
                    return
            except (EndpointConnectionError, HTTPClientError):
                continue
            except ClientError as error:
                if not self.alive.is_set() or self.process.endpoint != endpoint:
                    continue  # killed meanwhile: its port may be somebody else's by now
                message = str(error)
                known = ("already existing", "must be unique", "in-progress", "being loaded")
                if not any(words in message for words in known):
                    raise

    def train(self, sagemaker: Any) -> bool:
        try:
            status = sagemaker.describe_training_job(TrainingJobName=JOB)["TrainingJobStatus"]
        except ClientError as error:
            if "Requested resource not found" not in str(error):
                raise
            sagemaker.create_training_job(
                TrainingJobName=JOB,
                AlgorithmSpecification={"TrainingImage": KMEANS, "TrainingInputMode": "File"},
                RoleArn=ROLE,
                InputDataConfig=[
                    {
                        "ChannelName": "train",
                        "DataSource": {
                            "S3DataSource": {
                                "S3DataType": "S3Prefix",
                                "S3Uri": f"s3://{self.bucket}/train/",
                            }
                        },
                    }
                ],
                OutputDataConfig={"S3OutputPath": self.output},
                ResourceConfig={
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                StoppingCondition={"MaxRuntimeInSeconds": 3600},
                HyperParameters={"k": "5", "feature_dim": "20", "epochs": "3"},
            )
            return False
        assert status in ("InProgress", "Completed"), sagemaker.describe_training_job(
            TrainingJobName=JOB
        )
        return status == "Completed"

    def deploy(self, number: str, sagemaker: Any) -> bool:
        for make in (
            lambda: create_model(sagemaker, number, f"{self.output}/{JOB}/output/model.tar.gz"),
            lambda: create_config(sagemaker, number, **{number: 1.0}),
        ):
            try:
                make()
            except ClientError as error:
                assert "already existing" in str(error)  # noqa: PT017
        status = status_of(sagemaker, ENDPOINT)
        if status == "gone":
            sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=number)
        elif status == "InService":
            described = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
            if described["EndpointConfigName"] == number:
                return True
            sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=number)
        else:
            assert status in ("Creating", "Updating")
        return False

    def ask(self, _: Any) -> bool:
        answer = self.process.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, ContentType="text/csv", Body=b",".join([b"0"] * 20)
        )
        return bool(answer["InvokedProductionVariant"] == "two")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_kill_at_any_moment_changes_nothing_in_the_end(
    local_s3: Systems, bucket: str, tmp_path: Path
) -> None:
    with SageMakerProcess(local_s3, tmp_path / "undisturbed") as process:
        began = time.monotonic()
        Story(process, bucket).tell()
        whole = time.monotonic() - began

    restarts = 0
    for point in range(POINTS):
        with SageMakerProcess(local_s3, tmp_path / f"point-{point}") as process:
            story = Story(process, bucket)
            over = threading.Event()

            def kill_once(
                moment: float = whole * point / POINTS,
                story: Story = story,
                process: SageMakerProcess = process,
                over: threading.Event = over,
            ) -> None:
                if over.wait(moment):
                    return
                story.alive.clear()
                process.restart()
                story.alive.set()

            killer = threading.Thread(target=kill_once)
            killer.start()
            try:
                story.tell()
            finally:
                over.set()
                killer.join(60)
            sagemaker = process.client("sagemaker")
            jobs = sagemaker.list_training_jobs()["TrainingJobSummaries"]
            assert [(job["TrainingJobName"], job["TrainingJobStatus"]) for job in jobs] == [
                (JOB, "Completed")
            ]
            described = sagemaker.describe_training_job(TrainingJobName=JOB)
            statuses = [step["Status"] for step in described["SecondaryStatusTransitions"]]
            restarts += statuses.count("Restarting")
            assert statuses[-1] == "Completed"
            assert status_of(sagemaker, ENDPOINT) == "InService"
    assert restarts > 0, "no kill met the training job: the points are not spread over the story"
