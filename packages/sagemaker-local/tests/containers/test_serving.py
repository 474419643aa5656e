"""Own images on endpoints and in batch transform, in real containers."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from container_engine import Engine
from own_containers import of_service
from sagemaker_local.containers.labels import SERVICE, WHAT
from sagemaker_service import (
    ROLE,
    SageMakerProcess,
    create_config,
    create_model,
    wait_status,
)
from tradewind.local import Systems
from waiting import until

pytestmark = [pytest.mark.container, pytest.mark.xdist_group("container-engine")]


def artifact(name: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo("name.txt")
        member.size = len(name)
        archive.addfile(member, io.BytesIO(name.encode()))
    return target.getvalue()


@pytest.fixture(scope="module")
def models(service: SageMakerProcess, s3: Any, bucket: str, image: str) -> dict[str, str]:
    """Models and configurations `alpha` and `beta` with different artefacts; their URLs."""
    sagemaker = service.client("sagemaker")
    return make_models(sagemaker, s3, bucket, image)


def make_models(sagemaker: Any, s3: Any, bucket: str, image: str) -> dict[str, str]:
    urls = {}
    for name in ("alpha", "beta"):
        s3.put_object(Bucket=bucket, Key=f"{name}.tar.gz", Body=artifact(name))
        urls[name] = f"s3://{bucket}/{name}.tar.gz"
        create_model(sagemaker, name, urls[name], image)
        create_config(sagemaker, name, **{name: 1.0})
    return urls


def special(service: SageMakerProcess, name: str, image: str, **environment: str) -> None:
    sagemaker = service.client("sagemaker")
    container = {"Image": image, "Environment": environment}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    create_config(sagemaker, name, **{name.replace("-", "_"): 1.0})


def invoke(runtime: Any, endpoint: str, body: bytes = b"x", **more: Any) -> dict[str, Any]:
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, Body=body, **({"ContentType": "text/csv"} | more)
    )
    told: dict[str, Any] = json.loads(answer["Body"].read())
    return told | {"attributes": answer.get("CustomAttributes"), "type": answer["ContentType"]}


def of_endpoint(engine: Engine, name: str) -> list[dict[str, Any]]:
    return [c for c in engine.containers() if c["Labels"].get(WHAT) == f"endpoint/{name}"]


def test_the_labels_are_those_of_the_former_version() -> None:
    assert (SERVICE, WHAT) == ("tradewind.local.sagemaker", "tradewind.local.sagemaker.what")


def test_a_container_serves_until_the_endpoint_is_deleted(
    service: SageMakerProcess, models: dict[str, str], engine: Engine, image: str
) -> None:
    sagemaker, runtime = service.client("sagemaker"), service.client("sagemaker-runtime")
    sagemaker.create_endpoint(EndpointName="own", EndpointConfigName="alpha")
    described = wait_status(sagemaker, "own", "InService", "Failed")
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    [deployed] = described["ProductionVariants"][0]["DeployedImages"]
    assert deployed["SpecifiedImage"] == image
    assert "@sha256:" in deployed["ResolvedImage"]

    told = invoke(runtime, "own", b"1,2", Accept="application/json", CustomAttributes="a=b")
    assert told["model"] == "alpha"
    assert told["body"] == "1,2"
    assert (told["content_type"], told["accept"]) == ("text/csv", "application/json")
    assert (told["attributes"], told["type"]) == ("A=B", "application/json")
    [container] = of_endpoint(engine, "own")
    # Of this machine only.
    assert {port["IP"] for port in container["Ports"]} == {"127.0.0.1"}

    with pytest.raises(ClientError) as error:
        invoke(runtime, "own", b"refuse")
    assert error.value.response["OriginalStatusCode"] == 418
    assert error.value.response["OriginalMessage"] == "I am a teapot"

    logs = service.client("logs")
    group = "/aws/sagemaker/Endpoints/own"

    def lines() -> list[str]:
        [stream] = logs.describe_log_streams(logGroupName=group)["logStreams"]
        events = logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
        return [event["message"] for event in events]

    until(lambda: "serving as usual" in lines())
    sagemaker.delete_endpoint(EndpointName="own")
    wait_status(sagemaker, "own", "gone")
    assert of_endpoint(engine, "own") == []


def test_an_update_under_load_fails_no_request(
    service: SageMakerProcess, models: dict[str, str], engine: Engine
) -> None:
    sagemaker = service.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="busy", EndpointConfigName="alpha")
    wait_status(sagemaker, "busy", "InService")
    done = threading.Event()
    seen: list[str] = []
    errors: list[Exception] = []

    def load(body: bytes) -> None:
        client = service.client("sagemaker-runtime")
        while not done.is_set():
            try:
                seen.append(invoke(client, "busy", body)["model"])
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=load, args=[body]) for body in (b"x", b"slow", b"x")]
    for thread in threads:
        thread.start()
    try:
        until(lambda: errors or "alpha" in seen)
        sagemaker.update_endpoint(EndpointName="busy", EndpointConfigName="beta")
        wait_status(sagemaker, "busy", "InService")
        until(lambda: errors or seen.count("beta") > 20)
        # The old container is gone once its last request was answered.
        until(lambda: errors or len(of_endpoint(engine, "busy")) == 1)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    sagemaker.delete_endpoint(EndpointName="busy")
    wait_status(sagemaker, "busy", "gone")


def test_a_new_container_that_fails_rolls_back(
    service: SageMakerProcess, models: dict[str, str], engine: Engine, image: str
) -> None:
    sagemaker, runtime = service.client("sagemaker"), service.client("sagemaker-runtime")
    special(service, "broken", image, MODE="broken")
    sagemaker.create_endpoint(EndpointName="careful", EndpointConfigName="alpha")
    wait_status(sagemaker, "careful", "InService")
    sagemaker.update_endpoint(EndpointName="careful", EndpointConfigName="broken")
    described = wait_status(sagemaker, "careful", "InService", "Failed")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "alpha"
    assert "ended with exit code 3" in described["FailureReason"]
    assert "cannot read the model" in described["FailureReason"]
    assert invoke(runtime, "careful")["model"] == "alpha"
    assert len(of_endpoint(engine, "careful")) == 1
    sagemaker.delete_endpoint(EndpointName="careful")
    wait_status(sagemaker, "careful", "gone")


def test_what_cannot_start_fails_with_the_reason(
    service: SageMakerProcess, engine: Engine, image: str
) -> None:
    sagemaker = service.client("sagemaker")
    special(service, "absent", "nowhere/image:9")
    sagemaker.create_endpoint(EndpointName="absent", EndpointConfigName="absent")
    reason = wait_status(sagemaker, "absent", "Failed")["FailureReason"]
    assert "'nowhere/image:9' is not in the container engine" in reason
    assert "docker load" in reason

    special(service, "sick", image, MODE="sick")
    sagemaker.delete_endpoint_config(EndpointConfigName="sick")
    sagemaker.create_endpoint_config(
        EndpointConfigName="sick",
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": "sick",
                "InstanceType": "ml.t2.medium",
                "InitialInstanceCount": 1,
                "ContainerStartupHealthCheckTimeoutInSeconds": 60,
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName="sick", EndpointConfigName="sick")
    # It goes on trying for a minute; the endpoint cannot be deleted meanwhile, as on AWS.
    until(lambda: of_endpoint(engine, "sick"))
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.delete_endpoint(EndpointName="sick")


def test_a_container_that_ends_is_started_again(
    service: SageMakerProcess, models: dict[str, str]
) -> None:
    sagemaker, runtime = service.client("sagemaker"), service.client("sagemaker-runtime")
    sagemaker.create_endpoint(EndpointName="phoenix", EndpointConfigName="alpha")
    wait_status(sagemaker, "phoenix", "InService")
    with pytest.raises(ClientError) as error:
        invoke(runtime, "phoenix", b"crash")
    assert error.value.response["Error"]["Code"] == "ModelError"
    assert invoke(runtime, "phoenix")["model"] == "alpha"
    sagemaker.delete_endpoint(EndpointName="phoenix")
    wait_status(sagemaker, "phoenix", "gone")


def test_a_container_transforms(
    service: SageMakerProcess, models: dict[str, str], s3: Any, bucket: str, engine: Engine
) -> None:
    sagemaker = service.client("sagemaker")
    s3.put_object(Bucket=bucket, Key="in/rows.csv", Body=b"one\ntwo\n")
    sagemaker.create_transform_job(
        TransformJobName="own",
        ModelName="beta",
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=2,
        TransformInput={
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{bucket}/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m4.xlarge", "InstanceCount": 1},
    )

    def ended() -> Any:
        body = sagemaker.describe_transform_job(TransformJobName="own")
        return body if body["TransformJobStatus"] != "InProgress" else None

    body = until(ended)
    assert body["TransformJobStatus"] == "Completed", body.get("FailureReason")
    text = s3.get_object(Bucket=bucket, Key="out/rows.csv.out")["Body"].read()
    told = [json.loads(line) for line in text.splitlines()]
    assert [(t["model"], t["body"]) for t in told] == [("beta", "one"), ("beta", "two")]


def test_a_killed_service_leaves_no_container_behind(
    engine: Engine, local_s3: Systems, data: Path, s3: Any, bucket: str, image: str
) -> None:
    with SageMakerProcess(local_s3, data, engine.address) as process:
        make_models(process.client("sagemaker"), s3, bucket, image)
        sagemaker = process.client("sagemaker")
        sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="alpha")
        wait_status(sagemaker, "kept", "InService")
        sagemaker.create_endpoint(EndpointName="gone", EndpointConfigName="beta")
        wait_status(sagemaker, "gone", "InService")
        sagemaker.delete_endpoint(EndpointName="gone")
        old = of_service(engine, data)
        assert old
        process.restart()
        runtime = process.client("sagemaker-runtime")
        wait_status(process.client("sagemaker"), "kept", "InService")
        assert until(lambda: invoke(runtime, "kept"))["model"] == "alpha"
        wait_status(process.client("sagemaker"), "gone", "gone")
        now = of_service(engine, data)
        assert len(now) == 1
        assert not now & old
    assert of_service(engine, data) == set()
