"""Endpoints as boto3 sees them, on a real service process with a real S3.

Over 400 lines: all of it shares one service, which takes seconds to start.
"""

from __future__ import annotations

import collections
import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_service import (
    SageMakerProcess,
    create_config,
    create_model,
    kmeans_artifact,
    make_client,
    status_of,
    wait_status,
)
from tradewind.local import Systems
from waiting import until

ARN = "arn:aws:sagemaker:eu-west-1:123456789012"
# Two models that can be told apart: the distance of (0, 0) to their only centre.
NEAR, FAR = 5.0, 13.0


@pytest.fixture(scope="module")
def artifacts(local_s3: Systems) -> dict[str, str]:
    """URLs of the model artefacts of this module: near, far, broken; missing is not there."""
    s3 = make_client("s3", local_s3["s3"].endpoint, local_s3.environment)
    bucket = f"models-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    bodies = {
        "near": kmeans_artifact([[3, 4]]),
        "far": kmeans_artifact([[5, 12]]),
        "broken": b"no archive at all",
    }
    for name, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=f"{name}/model.tar.gz", Body=body)
    return {name: f"s3://{bucket}/{name}/model.tar.gz" for name in [*bodies, "missing"]}


@pytest.fixture(scope="module")
def service(
    local_s3: Systems, tmp_path_factory: pytest.TempPathFactory, artifacts: dict[str, str]
) -> Iterator[SageMakerProcess]:
    with SageMakerProcess(local_s3, tmp_path_factory.mktemp("sagemaker")) as process:
        prepare(process.client("sagemaker"), artifacts)
        yield process


def prepare(sagemaker: Any, artifacts: dict[str, str]) -> None:
    for name, url in artifacts.items():
        create_model(sagemaker, name, url)
        create_config(sagemaker, name, **{name: 1.0})


@pytest.fixture
def sagemaker(service: SageMakerProcess) -> Any:
    return service.client("sagemaker")


@pytest.fixture
def runtime(service: SageMakerProcess) -> Any:
    return service.client("sagemaker-runtime")


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"endpoint-{next(_numbers)}"


def invoke(runtime: Any, endpoint: str, body: bytes = b"0,0", **more: Any) -> Any:
    arguments = {"ContentType": "text/csv", "Accept": "application/json"} | more
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **arguments)
    answer["Body"] = json.loads(answer["Body"].read())
    return answer


def distance(answer: Any) -> float:
    found: float = answer["Body"]["predictions"][0]["distance_to_cluster"]
    return found


def in_service(sagemaker: Any, name: str, config: str) -> dict[str, Any]:
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = wait_status(sagemaker, name, "InService", "Failed")
    assert described["EndpointStatus"] == "InService"
    return described


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


def test_a_created_endpoint_serves_until_it_is_deleted(
    sagemaker: Any, runtime: Any, name: str
) -> None:
    created = sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName="near", Tags=[{"Key": "team", "Value": "a"}]
    )
    assert created["EndpointArn"] == f"{ARN}:endpoint/{name}"
    waiter = {"Delay": 1, "MaxAttempts": 30}
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=waiter)

    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == "near"
    assert "FailureReason" not in described
    assert "PendingDeploymentSummary" not in described
    [variant] = described["ProductionVariants"]
    assert variant["VariantName"] == "near"
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert variant["DeployedImages"][0]["SpecifiedImage"].endswith("/kmeans:1")
    assert sagemaker.list_tags(ResourceArn=created["EndpointArn"])["Tags"][0]["Key"] == "team"
    listed = sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]
    assert [item["EndpointName"] for item in listed] == [name]

    answer = invoke(runtime, name)
    assert distance(answer) == NEAR
    assert answer["InvokedProductionVariant"] == "near"
    assert answer["ContentType"] == "application/json"

    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=waiter)
    with pytest.raises(ClientError) as error:
        invoke(runtime, name)
    assert refused(error) == (
        "ValidationError",
        f"Endpoint {name} of account 123456789012 not found.",
    )


def test_the_texts_clients_match_on(sagemaker: Any, name: str) -> None:
    for call in ("describe_endpoint", "delete_endpoint"):
        with pytest.raises(ClientError) as error:
            getattr(sagemaker, call)(EndpointName=name)
        assert refused(error) == (
            "ValidationException",
            f'Could not find endpoint "{ARN}:endpoint/{name}".',
        )
    with pytest.raises(ClientError) as error:
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="near")
    assert refused(error)[1] == f'Could not find endpoint "{ARN}:endpoint/{name}".'
    with pytest.raises(ClientError) as error:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="nowhere")
    assert refused(error) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nowhere".',
    )
    in_service(sagemaker, name, "near")
    with pytest.raises(ClientError) as error:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="near")
    assert refused(error) == (
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}:endpoint/{name}".',
    )
    # The second update comes while the first is under way: both in one turn of the event loop
    # cannot be had from outside, so many are sent at once and at least one must be refused.
    texts = collections.Counter[str]()

    def update() -> None:
        try:
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="far")
            texts["taken"] += 1
        except ClientError as error:
            texts[error.response["Error"]["Message"]] += 1

    threads = [threading.Thread(target=update) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    busy = f'Cannot update in-progress endpoint "{ARN}:endpoint/{name}".'
    assert texts["taken"] >= 1
    assert set(texts) <= {"taken", busy}
    wait_status(sagemaker, name, "InService")


@pytest.mark.parametrize(
    ("config", "reason"),
    [("missing", "Failed to download model data"), ("broken", "Unable to load the model")],
)
def test_an_endpoint_whose_model_cannot_be_loaded_fails_with_the_reason(
    sagemaker: Any, runtime: Any, name: str, config: str, reason: str
) -> None:
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = wait_status(sagemaker, name, "InService", "Failed")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(reason)
    with pytest.raises(ClientError, match=r"not found\."):
        invoke(runtime, name)
    with pytest.raises(ClientError, match="in status Failed"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="near")
    sagemaker.delete_endpoint(EndpointName=name)
    wait_status(sagemaker, name, "gone")


def test_an_image_of_ones_own_needs_a_container_engine(sagemaker: Any, name: str) -> None:
    create_model(sagemaker, "own", None, image="own/image:latest")
    create_config(sagemaker, "own", own=1.0)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="own")
    described = wait_status(sagemaker, name, "InService", "Failed")
    assert described["EndpointStatus"] == "Failed"
    assert "container engine" in described["FailureReason"]
    assert "--container-engine none" in described["FailureReason"]


def test_models_that_are_not_offered_are_refused(sagemaker: Any, name: str) -> None:
    container = {"Image": "own/image:1"}
    sagemaker.create_model(
        ModelName="pair",
        Containers=[container, container],
        ExecutionRoleArn="arn:aws:iam::123456789012:role/service",
    )
    create_config(sagemaker, "pair", pair=1.0)
    with pytest.raises(ClientError, match="exactly one container"):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="pair")
    assert status_of(sagemaker, name) == "gone"


def test_one_container_in_the_list_is_served_too(
    sagemaker: Any, runtime: Any, name: str, artifacts: dict[str, str]
) -> None:
    container = {
        "Image": "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1",
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": artifacts["far"],
                "S3DataType": "S3Object",
                "CompressionType": "Gzip",
            }
        },
    }
    sagemaker.create_model(
        ModelName="listed",
        Containers=[container],
        ExecutionRoleArn="arn:aws:iam::123456789012:role/service",
    )
    create_config(sagemaker, "listed", listed=1.0)
    in_service(sagemaker, name, "listed")
    assert distance(invoke(runtime, name)) == FAR


def test_an_update_under_load_fails_no_request(
    service: SageMakerProcess, sagemaker: Any, name: str
) -> None:
    in_service(sagemaker, name, "near")
    done = threading.Event()
    seen: list[list[float]] = []
    errors: list[Exception] = []

    def load() -> None:
        mine: list[float] = []
        seen.append(mine)
        client = service.client("sagemaker-runtime")
        while not done.is_set():
            try:
                mine.append(distance(invoke(client, name)))
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for config in ("far", "near", "far"):
            before = sum(map(len, seen))
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
            wait_status(sagemaker, name, "InService")
            until(lambda before=before: errors or sum(map(len, seen)) > before + 50)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert {NEAR, FAR} == {value for mine in seen for value in mine}
    for mine in seen:
        # Each update switches once: no request is answered by a fleet that has been replaced.
        assert len(list(itertools.groupby(mine))) <= 4
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == "far"


@pytest.mark.parametrize("config", ["missing", "broken"])
def test_an_update_that_cannot_be_loaded_rolls_back(
    sagemaker: Any, runtime: Any, name: str, config: str
) -> None:
    in_service(sagemaker, name, "near")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    described = wait_status(sagemaker, name, "InService", "Failed")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "near"
    assert described["FailureReason"]
    assert distance(invoke(runtime, name)) == NEAR

    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="far")
    described = wait_status(sagemaker, name, "InService")
    assert described["EndpointConfigName"] == "far"
    assert "FailureReason" not in described
    assert distance(invoke(runtime, name)) == FAR


def test_variants_share_the_traffic_by_weight(sagemaker: Any, runtime: Any, name: str) -> None:
    create_config(sagemaker, "shared", near=3.0, far=1.0)
    in_service(sagemaker, name, "shared")

    def shares(requests: int) -> dict[str, int]:
        answers = (invoke(runtime, name) for _ in range(requests))
        return dict(collections.Counter(a["InvokedProductionVariant"] for a in answers))

    assert shares(40) == {"near": 30, "far": 10}
    assert distance(invoke(runtime, name, TargetVariant="far")) == FAR
    with pytest.raises(ClientError) as error:
        invoke(runtime, name, TargetVariant="other")
    assert refused(error)[0] == "ValidationError"

    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "near", "DesiredWeight": 0},
            {"VariantName": "far", "DesiredWeight": 2, "DesiredInstanceCount": 3},
        ],
    )
    variants = wait_status(sagemaker, name, "InService")["ProductionVariants"]
    assert {v["VariantName"]: v["CurrentWeight"] for v in variants} == {"near": 0.0, "far": 2.0}
    assert {v["VariantName"]: v["CurrentInstanceCount"] for v in variants} == {"near": 1, "far": 3}
    assert shares(10) == {"far": 10}
    # A variant without weight still answers who asks for it.
    assert distance(invoke(runtime, name, TargetVariant="near")) == NEAR

    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName="shared",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    variants = wait_status(sagemaker, name, "InService")["ProductionVariants"]
    assert {v["VariantName"]: v["CurrentWeight"] for v in variants} == {"near": 0.0, "far": 2.0}
    assert {v["CurrentInstanceCount"] for v in variants} == {1}
    with pytest.raises(ClientError, match='"other" is/are not present'):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "other", "DesiredWeight": 1}],
        )


def test_what_the_model_refuses_is_a_model_error_and_logged(
    service: SageMakerProcess, sagemaker: Any, runtime: Any, name: str
) -> None:
    in_service(sagemaker, name, "near")
    with pytest.raises(ClientError) as error:
        invoke(runtime, name, b"1,2,3")
    answer = error.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 400
    assert answer["OriginalMessage"]
    assert answer["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")
    assert answer["Error"]["Message"].startswith(
        f'Received client error (400) from primary with message "{answer["OriginalMessage"]}'
    )
    logs = service.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"
    [stream] = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("near/")
    events = logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    assert answer["OriginalMessage"] in events[-1]["message"]


def test_a_body_beyond_the_limit_is_refused(sagemaker: Any, runtime: Any, name: str) -> None:
    in_service(sagemaker, name, "near")
    with pytest.raises(ClientError) as error:
        invoke(runtime, name, b"0,0\n" * 1_600_000)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    # The most that is allowed is answered, by a thread beside the event loop.
    answer = invoke(runtime, name, b"0,0\n" * 1_500_000)
    assert len(answer["Body"]["predictions"]) == 1_500_000


def test_endpoints_survive_a_kill_of_the_service(
    local_s3: Systems, data: Path, artifacts: dict[str, str]
) -> None:
    s3 = make_client("s3", local_s3["s3"].endpoint, local_s3.environment)
    bucket, _, key = artifacts["near"].removeprefix("s3://").partition("/")
    copy = "copied/model.tar.gz"
    s3.copy_object(Bucket=bucket, Key=copy, CopySource={"Bucket": bucket, "Key": key})
    with SageMakerProcess(local_s3, data) as process:
        sagemaker = process.client("sagemaker")
        prepare(sagemaker, artifacts)
        create_model(sagemaker, "copied", f"s3://{bucket}/{copy}")
        create_config(sagemaker, "copied", copied=1.0)
        create_config(sagemaker, "shared", near=1.0, far=3.0)
        in_service(sagemaker, "kept", "copied")
        in_service(sagemaker, "shared", "shared")
        # What an endpoint in service no longer needs.
        sagemaker.delete_endpoint_config(EndpointConfigName="copied")
        sagemaker.delete_model(ModelName="copied")
        s3.delete_object(Bucket=bucket, Key=copy)

        process.restart()
        sagemaker, runtime = process.client("sagemaker"), process.client("sagemaker-runtime")
        assert status_of(sagemaker, "kept") == "InService"
        assert distance(invoke(runtime, "kept")) == NEAR
        answers = [invoke(runtime, "shared")["InvokedProductionVariant"] for _ in range(8)]
        assert collections.Counter(answers) == {"near": 2, "far": 6}

        # Killed right after each call: the next start goes on with what was asked for.
        sagemaker.create_endpoint(EndpointName="young", EndpointConfigName="near")
        sagemaker.update_endpoint(EndpointName="kept", EndpointConfigName="far")
        sagemaker.delete_endpoint(EndpointName="shared")
        process.restart()
        sagemaker, runtime = process.client("sagemaker"), process.client("sagemaker-runtime")
        wait_status(sagemaker, "young", "InService")
        assert wait_status(sagemaker, "kept", "InService")["EndpointConfigName"] == "far"
        wait_status(sagemaker, "shared", "gone")
        assert distance(invoke(runtime, "young")) == NEAR
        assert distance(invoke(runtime, "kept")) == FAR

        # Neither the copy nor the object is there: an honest failure.
        process.kill()
        for kept in (data / "endpoints" / "young").rglob("model.tar.gz"):
            kept.unlink()
        s3.delete_object(Bucket=bucket, Key=key)
        process.start()
        sagemaker = process.client("sagemaker")
        described = wait_status(sagemaker, "young", "Failed")
        assert described["FailureReason"].startswith("After a restart of the service: Failed to")
        s3.put_object(Bucket=bucket, Key=key, Body=kmeans_artifact([[3, 4]]))
