"""Training jobs for tests: a bucket for their data, and the training process run on it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import numpy as np

from sagemaker_local.algorithms.kmeans.serve import KMeansModel
from sagemaker_local.objects import Objects
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio


def recordio_bytes(rows: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    return b"".join(bytes(chunk) for chunk in recordio.encode([(rows, labels)]))


def csv_bytes(rows: np.ndarray) -> bytes:
    return b"".join(b",".join(b"%r" % v for v in row) + b"\n" for row in rows.tolist())


def channel(name: str, uri: str, **more: Any) -> dict[str, Any]:
    """InputDataConfig of one channel; what belongs into its S3DataSource finds its way there."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    for key in ("S3DataType", "S3DataDistributionType"):
        if key in more:
            source[key] = more.pop(key)
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


@dataclass
class Outcome:
    """What a training process said and did."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str
    folder: Path
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = [e["line"] for e in self.events if e["event"] == "log"]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == kind]

    @property
    def metrics(self) -> dict[str, float]:
        return {e["name"]: e["value"] for e in self.of("metric")}

    @property
    def statuses(self) -> list[str]:
        return [e["status"] for e in self.of("status")]

    @property
    def reason(self) -> str:
        (failed,) = self.of("failed")
        return str(failed["reason"])


class Workshop:
    """A bucket, and training processes that read from and write to it.

    Args:
        systems: Where S3 runs.
        folder: For the jobs' folders.
    """

    def __init__(self, systems: Systems, folder: Path) -> None:
        self.endpoint = systems["s3"].endpoint
        self.environment = os.environ | systems.environment
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=systems.environment["AWS_REGION"],
            aws_access_key_id=systems.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=systems.environment["AWS_SECRET_ACCESS_KEY"],
            config=boto3.session.Config(s3={"addressing_style": "path"}),
        )
        self.bucket = f"train-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=self.bucket)
        self.folder = folder
        self._jobs = 0
        self._started: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End what a failed test has left running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def objects(self) -> Objects:
        return Objects(endpoint=self.endpoint, region=self.environment["AWS_REGION"])

    def put(self, key: str, body: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return self.uri(key)

    def uri(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"

    def model(self, job: str) -> KMeansModel:
        return KMeansModel.load(io.BytesIO(self.artefact(job)))

    def artefact(self, job: str) -> bytes:
        key = f"models/{job}/output/model.tar.gz"
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def prepare(
        self,
        channels: list[dict[str, Any]],
        hyperparameters: dict[str, Any],
        *,
        mode: str = "File",
        instances: int = 1,
        name: str | None = None,
        **request: Any,
    ) -> tuple[str, Path]:
        """Write a job's folder; returns the job's name and the folder."""
        self._jobs += 1
        name = name or f"job-{self._jobs}"
        folder = self.folder / f"{self._jobs}-{name}"
        folder.mkdir()
        job = {
            "request": {
                "TrainingJobName": name,
                "HyperParameters": {key: str(value) for key, value in hyperparameters.items()},
                "AlgorithmSpecification": {"TrainingInputMode": mode},
                "InputDataConfig": channels,
                "OutputDataConfig": {"S3OutputPath": self.uri("models/")},
                "ResourceConfig": {"InstanceCount": instances},
                **request,
            },
            "algorithm": "kmeans",
            "s3": {"endpoint": self.endpoint, "region": self.environment["AWS_REGION"]},
        }
        (folder / "job.json").write_text(json.dumps(job))
        return name, folder

    def start(self, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
        with (folder / "stderr.txt").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "sagemaker_local.trainer", folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self.environment | environment,
            )
        self._started.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes], folder: Path, said: bytes = b"") -> Outcome:
        """Read what the process still has to say, and wait for its end."""
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            said += process.stdout.read()
            code = process.wait(timeout=60)
        events = [json.loads(line) for line in said.splitlines()]
        return Outcome(code, events, (folder / "stderr.txt").read_text(), folder)

    def train(self, *args: Any, **kwargs: Any) -> Outcome:
        """Run a job to its end."""
        _, folder = self.prepare(*args, **kwargs)
        return self.finish(self.start(folder), folder)
