"""Training jobs of own images, in real containers."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from container_engine import Engine
from own_containers import of_service
from sagemaker_service import ROLE, SageMakerProcess
from tradewind.local import Systems
from waiting import until

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("container-engine")]


class Trainer:
    """Starts jobs of the tests' image and reads what they made."""

    def __init__(self, service: SageMakerProcess, s3: Any, bucket: str, image: str) -> None:
        self.service = service
        self.sagemaker = service.client("sagemaker")
        self.s3 = s3
        self.bucket = bucket
        self.image = image

    def create(
        self,
        mode: str,
        *,
        channels: dict[str, dict[str, Any]] | None = None,
        input_mode: str = "File",
        algorithm: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        name = f"job-{mode}-{uuid.uuid4().hex[:6]}"
        if channels:
            more["InputDataConfig"] = [
                {
                    "ChannelName": channel,
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{self.bucket}/{options.pop('prefix')}",
                        }
                    },
                    **options,
                }
                for channel, options in channels.items()
            ]
        arguments = {
            "RoleArn": ROLE,
            "HyperParameters": {"mode": mode, "rate": "0.1"},
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": input_mode,
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
                **(algorithm or {}),
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_training_job(TrainingJobName=name, **(arguments | more))
        return name

    def describe(self, name: str) -> dict[str, Any]:
        body: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return body

    def ended(self, name: str) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            body = self.describe(name)
            return body if body["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        found: dict[str, Any] = until(over, seconds=120)
        return found

    def failed(self, name: str) -> str:
        body = self.ended(name)
        assert body["TrainingJobStatus"] == "Failed"
        reason: str = body["FailureReason"]
        assert len(reason) <= 1024
        return reason

    def archive(self, name: str, file: str) -> dict[str, bytes]:
        key = f"models/{name}/output/{file}"
        data = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            return {
                member.name: file.read()
                for member in archive
                if (file := archive.extractfile(member)) is not None
            }

    def lines(self, name: str) -> list[str]:
        logs, group = self.service.client("logs"), "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")[
                "logStreams"
            ]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]


@pytest.fixture(scope="module")
def trainer(service: SageMakerProcess, s3: Any, bucket: str, image: str) -> Trainer:
    s3.put_object(Bucket=bucket, Key="data/a.csv", Body=b"1,2\n")
    s3.put_object(Bucket=bucket, Key="data/deep/b.csv", Body=b"3,4\n")
    s3.put_object(Bucket=bucket, Key="zipped/c.csv.gz", Body=gzip.compress(b"5,6\n"))
    return Trainer(service, s3, bucket, image)


def test_a_container_trains_by_the_contract(trainer: Trainer, engine: Engine) -> None:
    name = trainer.create(
        "files",
        channels={
            "train": {"prefix": "data/", "ContentType": "text/csv"},
            "test": {"prefix": "zipped/", "CompressionType": "Gzip"},
        },
        Environment={"VARIABLE": "value"},
    )
    body = trainer.ended(name)
    assert body["TrainingJobStatus"] == "Completed", body.get("FailureReason")
    url = f"s3://{trainer.bucket}/models/{name}/output/model.tar.gz"
    assert body["ModelArtifacts"]["S3ModelArtifacts"] == url
    statuses = [item["Status"] for item in body["SecondaryStatusTransitions"]]
    assert [s for s in statuses if s in ("Downloading", "Training", "Uploading")] == [
        "Downloading",
        "Training",
        "Uploading",
    ]
    assert {m["MetricName"]: m["Value"] for m in body["FinalMetricDataList"]} == {"loss": 0.25}

    model = trainer.archive(name, "model.tar.gz")
    assert set(model) == {"name.txt", "deep/told.json"}
    assert trainer.archive(name, "output.tar.gz") == {"extra.txt": b"more"}
    told = json.loads(model["deep/told.json"])
    assert told["files"] == {
        "train/a.csv": "1,2\n",
        "train/deep/b.csv": "3,4\n",
        "test/c.csv.gz": "5,6\n",
    }
    assert told["config"]["hyperparameters"] == {"mode": "files", "rate": "0.1"}
    channel = told["config"]["inputdataconfig"]["train"]
    assert (channel["TrainingInputMode"], channel["ContentType"]) == ("File", "text/csv")
    assert told["config"]["resourceconfig"]["current_host"] == "algo-1"
    assert told["config"]["resourceconfig"]["hosts"] == ["algo-1"]
    assert told["host"] == "algo-1"
    assert told["arn"] == body["TrainingJobArn"]
    assert (told["variable"], told["arguments"]) == ("value", [])
    assert trainer.lines(name)[0] == f"training {name}"
    assert engine.containers() == []


def test_an_entrypoint_of_the_job(trainer: Trainer) -> None:
    name = trainer.create(
        "entry",
        algorithm={
            "ContainerEntrypoint": ["python3", "/usr/bin/train"],
            "ContainerArguments": ["--one", "two"],
        },
    )
    assert trainer.ended(name)["TrainingJobStatus"] == "Completed"
    told = json.loads(trainer.archive(name, "model.tar.gz")["deep/told.json"])
    assert told["arguments"] == ["--one", "two"]


def test_pipe_mode_gives_a_pipe_an_epoch(trainer: Trainer) -> None:
    name = trainer.create("pipe", channels={"train": {"prefix": "data/"}}, input_mode="Pipe")
    body = trainer.ended(name)
    assert body["TrainingJobStatus"] == "Completed", body.get("FailureReason")
    told = json.loads(trainer.archive(name, "model.tar.gz")["deep/told.json"])
    assert told["files"] == {"train_0": "1,2\n3,4\n", "train_1": "1,2\n3,4\n"}
    assert told["config"]["inputdataconfig"]["train"]["TrainingInputMode"] == "Pipe"


def test_a_failure_is_told_in_the_containers_words(trainer: Trainer) -> None:
    name = trainer.create("fail")
    reason = trainer.failed(name)
    assert reason.startswith("AlgorithmError: the data are not to my taste!!!")
    assert reason.endswith(", exit code: 1")
    assert trainer.archive(name, "output.tar.gz") == {"why.txt": b"because"}
    made = trainer.s3.list_objects_v2(Bucket=trainer.bucket, Prefix=f"models/{name}/")
    assert [item["Key"].rpartition("/")[2] for item in made["Contents"]] == ["output.tar.gz"]


def test_a_crash_is_told_by_what_is_seen_of_it(trainer: Trainer) -> None:
    reason = trainer.failed(trainer.create("crash"))
    assert reason.startswith("AlgorithmError:")
    assert "exit code: 139" in reason or "exit code: 9" in reason
    assert "about to crash" in reason


def test_what_cannot_be_run_fails_with_the_reason(trainer: Trainer) -> None:
    gone = trainer.create("absent", algorithm={"TrainingImage": "nowhere/image:9"})
    assert "'nowhere/image:9' is not in the container engine" in trainer.failed(gone)
    two = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    assert "InstanceCount is 2" in trainer.failed(trainer.create("two", ResourceConfig=two))
    empty = trainer.create("empty", channels={"train": {"prefix": "nothing/"}})
    assert "No S3 objects found" in trainer.failed(empty)
    entry = trainer.create("entry", algorithm={"ContainerEntrypoint": ["/no/such/program"]})
    assert "CannotStartContainerError" in trainer.failed(entry)


def test_a_stopped_job_keeps_its_model(trainer: Trainer, engine: Engine) -> None:
    name = trainer.create("wait")
    until(lambda: "waiting" in trainer.lines(name))
    trainer.sagemaker.stop_training_job(TrainingJobName=name)
    body = trainer.ended(name)
    assert body["TrainingJobStatus"] == "Stopped"
    assert trainer.archive(name, "model.tar.gz") == {"name.txt": b"stopped early"}
    assert engine.containers() == []


def test_max_runtime_stops_the_container(trainer: Trainer) -> None:
    name = trainer.create("wait", StoppingCondition={"MaxRuntimeInSeconds": 5})
    body = trainer.ended(name)
    assert body["TrainingJobStatus"] == "Stopped"
    assert body["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert trainer.archive(name, "model.tar.gz") == {"name.txt": b"stopped early"}


def test_a_killed_service_begins_the_job_again(
    engine: Engine, local_s3: Systems, data: Path, s3: Any, bucket: str, image: str
) -> None:
    with SageMakerProcess(local_s3, data, engine.address) as process:
        trainer = Trainer(process, s3, bucket, image)
        name = trainer.create("wait")
        until(lambda: "waiting" in trainer.lines(name))
        [old] = of_service(engine, data)
        process.restart()
        trainer = Trainer(process, s3, bucket, image)
        until(lambda: of_service(engine, data) not in (set(), {old}))
        assert old not in of_service(engine, data)
        until(lambda: trainer.lines(name).count("waiting") == 2)
        trainer.sagemaker.stop_training_job(TrainingJobName=name)
        assert trainer.ended(name)["TrainingJobStatus"] == "Stopped"
    assert of_service(engine, data) == set()
