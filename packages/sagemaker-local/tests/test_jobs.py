"""The life of training jobs, with a training process that does as it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sagemaker_local import jobs as jobs_module
from sagemaker_local import registry, shapes
from sagemaker_local.api_errors import ResourceInUse, ValidationException
from sagemaker_local.job_events import LOG_GROUP
from sagemaker_local.jobs import Jobs
from sagemaker_local.service import Service, Settings

FAKE = Path(__file__).with_name("fake_trainer.py")
IMAGE = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/kmeans:1"


@asynccontextmanager
async def running(data: Path, *, trainers: int = 2) -> AsyncIterator[Service]:
    service = Service(
        Settings(data=data, s3_endpoint="http://127.0.0.1:1", trainers=trainers, engine="none")
    )
    service.jobs = Jobs(service, lambda folder: [sys.executable, str(FAKE), str(folder)])
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def call(service: Service, name: str, **request: Any) -> Any:
    """Call an operation as the wire does: validated, its answer checked."""
    found = registry.find("sagemaker", name)
    assert found is not None
    answer = found.handler(service, shapes.parse("sagemaker", name, request))
    if asyncio.iscoroutine(answer):
        answer = await answer
    public = {k: v for k, v in (answer or {}).items() if v is not None}
    assert shapes.check("sagemaker", name, public) == []
    return public


async def create(service: Service, name: str, mode: str = "train", **more: Any) -> None:
    parameters = {"mode": mode} | more.pop("parameters", {})
    await call(
        service,
        "CreateTrainingJob",
        **{
            "TrainingJobName": name,
            "HyperParameters": parameters,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
        }
        | more,
    )


async def until(
    service: Service, name: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        body = await call(service, "DescribeTrainingJob", TrainingJobName=name)
        if wanted(body):
            return body
        assert time.monotonic() < deadline, body
        await asyncio.sleep(0.01)


async def finished(service: Service, name: str) -> dict[str, Any]:
    return await until(
        service, name, lambda b: b["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
    )


def training(body: dict[str, Any]) -> bool:
    return body["SecondaryStatus"] == "Training"


def transitions(body: dict[str, Any]) -> list[str]:
    return [item["Status"] for item in body["SecondaryStatusTransitions"]]


def test_a_job_completes(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one")
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == body["SecondaryStatus"] == "Completed"
            assert transitions(body) == [
                "Starting",
                "Downloading",
                "Training",
                "Uploading",
                "Completed",
            ]
            for transition in body["SecondaryStatusTransitions"]:
                assert transition["StatusMessage"]
                assert transition["StartTime"] <= transition["EndTime"]
            assert body["ModelArtifacts"] == {
                "S3ModelArtifacts": "s3://bucket/out/one/output/model.tar.gz"
            }
            (metric,) = body["FinalMetricDataList"]
            assert (metric["MetricName"], metric["Value"]) == ("train:msd", 0.25)
            assert body["CreationTime"] <= body["TrainingStartTime"] <= body["TrainingEndTime"]
            assert body["BillableTimeInSeconds"] == body["TrainingTimeInSeconds"] >= 1
            assert body["StoppingCondition"]["MaxRuntimeInSeconds"] == 86400
            assert "FailureReason" not in body
            # Its data are gone, what helps to understand it is kept.
            kept = sorted(path.name for path in (tmp_path / "training/one").iterdir())
            assert kept == ["job.json", "stderr.txt"]

    uvloop.run(story())


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fail", "ClientError: the data are wrong."),
        ("crash", "the trainer has a fault"),
        ("kill", "signal 9 (SIGKILL)"),
        ("silent", "exit code 0 and no result"),
    ],
)
def test_a_job_fails_and_says_why(tmp_path: Path, mode: str, reason: str) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", mode)
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == body["SecondaryStatus"] == "Failed"
            assert reason in body["FailureReason"]
            assert len(body["FailureReason"]) <= 1024

    uvloop.run(story())


def test_a_name_is_given_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one")
            await finished(service, "one")
            with pytest.raises(ResourceInUse) as caught:
                await create(service, "one")
            assert caught.value.message.startswith(
                "Training job names must be unique within an AWS account and region, "
            )

    uvloop.run(story())


def test_a_job_is_stopped_and_keeps_what_it_has(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "wait")
            await until(service, "one", training)
            await call(service, "StopTrainingJob", TrainingJobName="one")
            assert (await call(service, "DescribeTrainingJob", TrainingJobName="one"))[
                "TrainingJobStatus"
            ] in ("Stopping", "Stopped")
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == body["SecondaryStatus"] == "Stopped"
            assert transitions(body)[-3:] == ["Stopping", "Uploading", "Stopped"]
            with pytest.raises(ValidationException) as caught:
                await call(service, "StopTrainingJob", TrainingJobName="one")
            assert caught.value.message == (
                "The request was rejected because the training job is in status Stopped."
            )
            with pytest.raises(ValidationException) as caught:
                await call(service, "StopTrainingJob", TrainingJobName="other")
            assert caught.value.message == "Requested resource not found."

    uvloop.run(story())


def test_a_job_that_will_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "GRACE_SECONDS", 0.2)

    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "stubborn")
            await until(service, "one", training)
            await call(service, "StopTrainingJob", TrainingJobName="one")
            assert (await finished(service, "one"))["TrainingJobStatus"] == "Stopped"

    uvloop.run(story())


def test_the_time_a_job_may_take_is_limited(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "wait", StoppingCondition={"MaxRuntimeInSeconds": 1})
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == "Stopped"
            assert body["SecondaryStatus"] == "MaxRuntimeExceeded"
            assert body["TrainingEndTime"] - body["TrainingStartTime"] >= 1

    uvloop.run(story())


def test_jobs_wait_for_a_core(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, trainers=1) as service:
            await create(service, "one", "wait")
            await until(service, "one", training)
            await create(service, "two")
            await create(service, "three")
            await until(service, "two", lambda body: body["SecondaryStatus"] == "Pending")
            # One that waits can be stopped; it never ran.
            await call(service, "StopTrainingJob", TrainingJobName="two")
            body = await finished(service, "two")
            assert transitions(body) == ["Starting", "Pending", "Stopping", "Stopped"]
            assert body["TrainingStartTime"] == body["TrainingEndTime"]
            await call(service, "StopTrainingJob", TrainingJobName="one")
            assert (await finished(service, "three"))["TrainingJobStatus"] == "Completed"

    uvloop.run(story())


def test_lines_reach_the_log(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "lines", parameters={"lines": "100000"})
            await create(service, "two", "print")
            await finished(service, "one")
            await finished(service, "two")
            streams = service.logs.streams(LOG_GROUP, "one/")
            assert len(streams) == 1
            name = streams[0]["logStreamName"]
            assert name.startswith("one/algo-1-")
            events = service.logs.events(LOG_GROUP, [name], limit=200_000)
            assert [event.message for event in events] == [f"line {n}" for n in range(100_000)]
            (other,) = service.logs.streams(LOG_GROUP, "two/")
            (event,) = service.logs.events(LOG_GROUP, [other["logStreamName"]])
            assert event.message == "not JSON at all"

    uvloop.run(story())


def test_a_job_begins_again_after_a_restart_and_fails_after_the_third(tmp_path: Path) -> None:
    async def story() -> None:
        first: float | None = None
        for number in range(3):
            async with running(tmp_path) as service:
                if number == 0:
                    await create(service, "one", "wait")
                body = await until(service, "one", training)
                assert transitions(body).count("Restarting") == number
                # The clock of MaxRuntimeInSeconds goes on from the first start.
                first = first or body["TrainingStartTime"]
                assert body["TrainingStartTime"] == first
                pid = service.store.get("training-job", "one")["_pid"]  # type: ignore[index]
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        async with running(tmp_path) as service:
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == "Failed"
            assert "InternalServerError" in body["FailureReason"]

    uvloop.run(story())


def test_a_job_being_stopped_is_stopped_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "stubborn")
            await until(service, "one", training)
            await call(service, "StopTrainingJob", TrainingJobName="one")
        async with running(tmp_path) as service:
            assert (await finished(service, "one"))["TrainingJobStatus"] == "Stopped"

    uvloop.run(story())


def test_a_killed_trainer_is_no_matter_to_other_jobs(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "wait")
            await create(service, "two", "wait")
            await until(service, "one", training)
            await until(service, "two", training)
            os.kill(service.store.get("training-job", "one")["_pid"], signal.SIGKILL)  # type: ignore[index]
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == "Failed"
            assert "signal 9 (SIGKILL)" in body["FailureReason"]
            await call(service, "StopTrainingJob", TrainingJobName="two")
            assert (await finished(service, "two"))["TrainingJobStatus"] == "Stopped"

    uvloop.run(story())


def test_what_a_trainer_leaves_behind_is_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "litter")
            assert (await finished(service, "one"))["TrainingJobStatus"] == "Completed"
            (stream,) = service.logs.streams(LOG_GROUP, "one/")
            (event,) = service.logs.events(LOG_GROUP, [stream["logStreamName"]])
            left = Path(f"/proc/{event.message}/cmdline")
            deadline = time.monotonic() + 10
            while left.exists() and b"sleep" in left.read_bytes():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

    uvloop.run(story())


def test_an_image_needs_an_engine(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(
                service,
                "one",
                AlgorithmSpecification={"TrainingImage": "mine:1", "TrainingInputMode": "File"},
            )
            body = await finished(service, "one")
            assert body["TrainingJobStatus"] == "Failed"
            assert "container engine" in body["FailureReason"]
            assert "InternalServerError" not in body["FailureReason"]

    uvloop.run(story())


def test_a_finished_job_can_be_removed(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            await create(service, "one", "wait")
            await until(service, "one", training)
            with pytest.raises(ResourceInUse):
                await call(service, "DeleteTrainingJob", TrainingJobName="one")
            await call(service, "StopTrainingJob", TrainingJobName="one")
            await finished(service, "one")
            await call(service, "DeleteTrainingJob", TrainingJobName="one")
            with pytest.raises(ValidationException):
                await call(service, "DescribeTrainingJob", TrainingJobName="one")
            await create(service, "one")
            assert (await finished(service, "one"))["TrainingJobStatus"] == "Completed"

    uvloop.run(story())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"TrainingJobName": "no_good"}, "Value 'no_good' at 'trainingJobName' failed to satisfy"),
        ({"RoleArn": "sagemaker-role-of-mine"}, "at 'roleArn'"),
        ({"OutputDataConfig": {"S3OutputPath": "/tmp/x"}}, "at 'outputDataConfig.s3OutputPath'"),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://bucket/x", "CompressionType": "NONE"}},
            "CompressionType NONE is not offered",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large"}}, "InstanceCount must be specified"),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "File"}},
            "One of TrainingImage and AlgorithmName",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "a", "Regex": "b=(.*)"}],
                }
            },
            "can't override the metric definitions",
        ),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    async def story() -> None:
        async with running(tmp_path) as service:
            with pytest.raises(ValidationException) as caught:
                await create(service, change.pop("TrainingJobName", "one"), **change)
            assert message in caught.value.message
            assert service.store.list("training-job") == []

    uvloop.run(story())
