"""A local SageMaker process of a test's own, that can be killed and started again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from botocore.config import Config

from sagemaker_local.algorithms.kmeans.model import write_archive
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from waiting import until

KMEANS = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"
ROLE = "arn:aws:iam::123456789012:role/service"


class SageMakerProcess:
    """The service as a process, on a data folder and an S3 server.

    Args:
        s3: The running S3 system.
        data: The data folder; kept between starts.
        engine: The --container-engine argument.
    """

    def __init__(self, s3: Systems, data: Path, engine: str = "none") -> None:
        self._s3 = s3
        self._data = data
        self._engine = engine
        self.endpoint = ""

    def start(self) -> SageMakerProcess:
        command = [sys.executable, "-m", "sagemaker_local", "serve", "--port=0"]
        command += [f"--data={self._data}"]
        command += [f"--s3-endpoint={self._s3['s3'].endpoint}"]
        command += [f"--container-engine={self._engine}"]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self._s3.environment,
            text=True,
        )
        assert self._process.stdout is not None
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        line = self._process.stdout.readline()
        assert line, "the service did not start:\n" + "".join(self._log)
        self.endpoint = json.loads(line)["endpoint"]
        return self

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._log.append(line)

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> SageMakerProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            assert self._process.wait(60) in (0, -9)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._close()

    def _close(self) -> None:
        self._reader.join(10)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def restart(self) -> None:
        """SIGKILL, then a new start on the same data folder."""
        self.kill()
        self.start()

    def client(self, service: str) -> Any:
        return make_client(service, self.endpoint, self._s3.environment)


def make_client(service: str, endpoint: str, environment: dict[str, str]) -> Any:
    """A boto3 client of one service at an endpoint."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 0}, read_timeout=90
        ),
    )


def kmeans_artifact(centres: Any) -> bytes:
    """The model.tar.gz of a k-means model with these centres."""
    target = io.BytesIO()
    write_archive(np.asarray(centres, np.float32), target)
    return target.getvalue()


def sagemaker_data(systems: Systems, bucket: str) -> str:
    """Make a bucket with points to train on, rows to transform, a model, and a broken one."""
    s3 = make_client("s3", systems["s3"].endpoint, systems.environment)
    s3.create_bucket(Bucket=bucket)
    random = np.random.default_rng(7)
    points = np.repeat(np.array([[0, 0], [0, 10], [10, 0]], np.float32), 100, axis=0)
    points += random.normal(0, 0.1, points.shape).astype("f4")
    for key, body in {
        "train/points.pbr": bytes(recordio.encode_batch(points)),
        "batch/rows.csv": b"0,0\n0,10\n10,0\n",
        "good.tar.gz": kmeans_artifact([[0.0, 0.0], [10.0, 10.0]]),
        "broken.tar.gz": b"not a model",
    }.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    return bucket


def create_model(sagemaker: Any, name: str, url: str | None, image: str = KMEANS) -> None:
    """CreateModel with one container."""
    container = {"Image": image} | ({"ModelDataUrl": url} if url else {})
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)


def create_config(sagemaker: Any, name: str, **models: float) -> None:
    """CreateEndpointConfig with one variant a model: name and weight (name: a_b becomes a-b)."""
    variants = [
        {
            "VariantName": model.replace("_", "-"),
            "ModelName": model.replace("_", "-"),
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for model, weight in models.items()
    ]
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)


def status_of(sagemaker: Any, endpoint: str) -> str:
    """The endpoint's status, or "gone"."""
    try:
        status: str = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
    except sagemaker.exceptions.ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return "gone"
    return status


def wait_status(sagemaker: Any, endpoint: str, *wanted: str) -> dict[str, Any]:
    """Wait until the endpoint is in one of these states; returns its description."""
    until(lambda: status_of(sagemaker, endpoint) in wanted)
    if "gone" in wanted:
        return {}
    described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=endpoint)
    return described
