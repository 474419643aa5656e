"""Every operation that is offered answers in the shape that botocore's service model states.

Each is called through boto3, and what came over the wire is compared with the model: no member
that the model does not know, none missing that it requires, each of its type and within its
bounds. A new operation without a call here fails `test_every_operation_is_called`.

Over 400 lines: one call an operation, and the check that none is left out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from sagemaker_local import registry, shapes
from sagemaker_service import (
    KMEANS,
    ROLE,
    create_config,
    create_model,
    kmeans_artifact,
    make_client,
    wait_status,
)
from tradewind.local import Systems
from waiting import until

registry.load()

TAGS = [{"Key": "team", "Value": "digits"}]
CALLS: dict[tuple[str, str], Callable[[World], object]] = {}


def calls(service: str, operation: str) -> Callable[[Callable[[World], object]], None]:
    def register(function: Callable[[World], object]) -> None:
        assert (service, operation) not in CALLS
        CALLS[service, operation] = function

    return register


class World:
    """The service with one of each resource, and clients that check what they are answered."""

    def __init__(self, systems: Systems) -> None:
        self.checked: set[tuple[str, str]] = set()
        self.faults: list[str] = []
        self._systems = systems
        self._number = 0
        self.sagemaker = self._client("sagemaker")
        self.logs = self._client("logs")
        self.sts = self._client("sts")
        self.iam = self._client("iam")
        s3 = make_client("s3", systems["s3"].endpoint, systems.environment)
        self.bucket = f"conformance-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=self.bucket)
        s3.put_object(Bucket=self.bucket, Key="model.tar.gz", Body=kmeans_artifact([[0.0, 0.0]]))
        s3.put_object(Bucket=self.bucket, Key="in/rows.csv", Body=b"3,4\n")
        self.model_url = f"s3://{self.bucket}/model.tar.gz"

    def _client(self, service: str) -> Any:
        endpoint = self._systems["sagemaker"].endpoint
        client = make_client(service, endpoint, self._systems.environment)
        client.meta.events.register("before-parse", self._look_at)
        return client

    def _look_at(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        """Compare an answer's bytes with the service model (an event of botocore)."""
        service = operation_model.service_model.service_name
        key = service, operation_model.name
        if response_dict["status_code"] != 200:
            return
        if operation_model.metadata["protocol"] == "json":
            body = json.loads(response_dict["body"] or b"null")
            self.faults += shapes.check(*key, body)
        else:
            assert response_dict["body"].startswith(f"<{operation_model.name}Response".encode())
        self.checked.add(key)

    def name(self, prefix: str = "it") -> str:
        self._number += 1
        return f"{prefix}-{self._number}-{uuid.uuid4().hex[:6]}"

    def model(self) -> str:
        name = self.name("model")
        create_model(self.sagemaker, name, self.model_url)
        return name

    def config(self) -> str:
        name = self.name("config")
        create_config(self.sagemaker, name, **{self.model(): 1.0})
        return name

    def endpoint(self) -> str:
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config())
        wait_status(self.sagemaker, name, "InService")
        return name

    def job(self, *, finished: bool = True) -> str:
        name = self.name("job")
        self.sagemaker.create_training_job(**self.job_request(name))
        if finished:
            until(
                lambda: (
                    self.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
                    in ("Completed", "Failed", "Stopped")
                ),
                seconds=90,
            )
        return name

    def job_request(self, name: str) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": KMEANS, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "ContentType": "text/csv",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{self.bucket}/in/",
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "HyperParameters": {"k": "1", "feature_dim": "2", "mini_batch_size": "1"},
            "Tags": TAGS,
        }

    def transform_request(self, name: str) -> dict[str, Any]:
        return {
            "TransformJobName": name,
            "ModelName": self.model(),
            "TransformInput": {
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{self.bucket}/in/",
                    }
                },
                "ContentType": "text/csv",
            },
            "TransformOutput": {"S3OutputPath": f"s3://{self.bucket}/predictions"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "Tags": TAGS,
        }

    def transform(self) -> str:
        name = self.name("transform")
        self.sagemaker.create_transform_job(**self.transform_request(name))
        return name

    def stream(self) -> dict[str, str]:
        names = {"logGroupName": self.name("group"), "logStreamName": "stream"}
        self.logs.create_log_group(logGroupName=names["logGroupName"])
        self.logs.create_log_stream(**names)
        events = [{"timestamp": 1_700_000_000_000 + n, "message": f"line {n}"} for n in range(3)]
        self.logs.put_log_events(**names, logEvents=events)
        return names


@pytest.fixture(scope="module")
def world(local_sagemaker: Systems) -> World:
    return World(local_sagemaker)


# Training jobs ------------------------------------------------------------------------------


@calls("sagemaker", "CreateTrainingJob")
def _(world: World) -> object:
    return world.job(finished=False)


@calls("sagemaker", "DescribeTrainingJob")
def _(world: World) -> object:
    return world.job()


@calls("sagemaker", "ListTrainingJobs")
def _(world: World) -> object:
    name = world.job()
    answer = world.sagemaker.list_training_jobs(NameContains=name, MaxResults=1)
    assert [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]] == [name]


@calls("sagemaker", "StopTrainingJob")
def _(world: World) -> object:
    return world.sagemaker.stop_training_job(TrainingJobName=world.job(finished=False))


@calls("sagemaker", "UpdateTrainingJob")
def _(world: World) -> object:
    name = world.job(finished=False)
    return world.sagemaker.update_training_job(
        TrainingJobName=name, ProfilerConfig={"DisableProfiler": True}
    )


@calls("sagemaker", "DeleteTrainingJob")
def _(world: World) -> object:
    return world.sagemaker.delete_training_job(TrainingJobName=world.job())


# Models and endpoint configurations ---------------------------------------------------------


@calls("sagemaker", "CreateModel")
def _(world: World) -> object:
    return world.model()


@calls("sagemaker", "DescribeModel")
def _(world: World) -> object:
    return world.sagemaker.describe_model(ModelName=world.model())


@calls("sagemaker", "ListModels")
def _(world: World) -> object:
    name = world.model()
    answer = world.sagemaker.list_models(NameContains=name)
    assert [model["ModelName"] for model in answer["Models"]] == [name]


@calls("sagemaker", "DeleteModel")
def _(world: World) -> object:
    return world.sagemaker.delete_model(ModelName=world.model())


@calls("sagemaker", "CreateEndpointConfig")
def _(world: World) -> object:
    return world.config()


@calls("sagemaker", "DescribeEndpointConfig")
def _(world: World) -> object:
    return world.sagemaker.describe_endpoint_config(EndpointConfigName=world.config())


@calls("sagemaker", "ListEndpointConfigs")
def _(world: World) -> object:
    name = world.config()
    answer = world.sagemaker.list_endpoint_configs(NameContains=name)
    assert [config["EndpointConfigName"] for config in answer["EndpointConfigs"]] == [name]


@calls("sagemaker", "DeleteEndpointConfig")
def _(world: World) -> object:
    return world.sagemaker.delete_endpoint_config(EndpointConfigName=world.config())


# Endpoints ----------------------------------------------------------------------------------


@calls("sagemaker", "CreateEndpoint")
def _(world: World) -> object:
    return world.endpoint()


@calls("sagemaker", "DescribeEndpoint")
def _(world: World) -> object:
    return world.sagemaker.describe_endpoint(EndpointName=world.endpoint())


@calls("sagemaker", "ListEndpoints")
def _(world: World) -> object:
    name = world.endpoint()
    answer = world.sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")
    assert [endpoint["EndpointName"] for endpoint in answer["Endpoints"]] == [name]


@calls("sagemaker", "UpdateEndpoint")
def _(world: World) -> object:
    name = world.endpoint()
    return world.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=world.config())


@calls("sagemaker", "UpdateEndpointWeightsAndCapacities")
def _(world: World) -> object:
    name = world.endpoint()
    described = world.sagemaker.describe_endpoint(EndpointName=name)
    variant = described["ProductionVariants"][0]["VariantName"]
    return world.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": variant, "DesiredWeight": 0.5}],
    )


@calls("sagemaker", "DeleteEndpoint")
def _(world: World) -> object:
    return world.sagemaker.delete_endpoint(EndpointName=world.endpoint())


# Transform jobs -----------------------------------------------------------------------------


@calls("sagemaker", "CreateTransformJob")
def _(world: World) -> object:
    return world.transform()


@calls("sagemaker", "DescribeTransformJob")
def _(world: World) -> object:
    name = world.transform()
    return until(
        lambda: (
            world.sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"]
            in ("Completed", "Failed")
        )
    )


@calls("sagemaker", "ListTransformJobs")
def _(world: World) -> object:
    name = world.transform()
    answer = world.sagemaker.list_transform_jobs(NameContains=name)
    assert [job["TransformJobName"] for job in answer["TransformJobSummaries"]] == [name]


@calls("sagemaker", "StopTransformJob")
def _(world: World) -> object:
    name = world.transform()
    try:
        return world.sagemaker.stop_transform_job(TransformJobName=name)
    except world.sagemaker.exceptions.ClientError as error:
        # It may be quicker than this test; then the answer is none, as it is for one in time.
        assert "is in status Completed" in str(error)  # noqa: PT017
        world.checked.add(("sagemaker", "StopTransformJob"))
        return None


# Tags ---------------------------------------------------------------------------------------


def _tagged(world: World) -> str:
    arn: str = world.sagemaker.describe_model(ModelName=world.model())["ModelArn"]
    assert world.sagemaker.add_tags(ResourceArn=arn, Tags=TAGS)["Tags"] == TAGS
    return arn


@calls("sagemaker", "AddTags")
def _(world: World) -> object:
    return _tagged(world)


@calls("sagemaker", "ListTags")
def _(world: World) -> object:
    assert world.sagemaker.list_tags(ResourceArn=_tagged(world))["Tags"] == TAGS


@calls("sagemaker", "DeleteTags")
def _(world: World) -> object:
    arn = _tagged(world)
    world.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "none"])
    assert world.sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


# Logs ---------------------------------------------------------------------------------------


@calls("logs", "CreateLogGroup")
def _(world: World) -> object:
    return world.stream()


@calls("logs", "CreateLogStream")
def _(world: World) -> object:
    return world.stream()


@calls("logs", "PutLogEvents")
def _(world: World) -> object:
    return world.stream()


@calls("logs", "DescribeLogGroups")
def _(world: World) -> object:
    group = world.stream()["logGroupName"]
    found = world.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [item["logGroupName"] for item in found] == [group]


@calls("logs", "DescribeLogStreams")
def _(world: World) -> object:
    group = world.stream()["logGroupName"]
    (stream,) = world.logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"] == "stream"


@calls("logs", "GetLogEvents")
def _(world: World) -> object:
    answer = world.logs.get_log_events(**world.stream())
    assert [event["message"] for event in answer["events"]] == ["line 0", "line 1", "line 2"]


@calls("logs", "FilterLogEvents")
def _(world: World) -> object:
    group = world.stream()["logGroupName"]
    answer = world.logs.filter_log_events(logGroupName=group, filterPattern='"line 1"')
    assert [event["message"] for event in answer["events"]] == ["line 1"]


@calls("logs", "DeleteLogStream")
def _(world: World) -> object:
    return world.logs.delete_log_stream(**world.stream())


@calls("logs", "DeleteLogGroup")
def _(world: World) -> object:
    return world.logs.delete_log_group(logGroupName=world.stream()["logGroupName"])


# Identity -----------------------------------------------------------------------------------


@calls("sts", "GetCallerIdentity")
def _(world: World) -> object:
    answer = world.sts.get_caller_identity()
    assert answer["Account"] == "123456789012"
    assert answer["Arn"].startswith("arn:aws:iam::123456789012:")


@calls("iam", "GetRole")
def _(world: World) -> object:
    role = world.iam.get_role(RoleName="sagemaker")["Role"]
    assert role["Arn"] == "arn:aws:iam::123456789012:role/sagemaker"
    assert role["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"


# --------------------------------------------------------------------------------------------


def test_every_operation_is_called() -> None:
    offered = {(found.service, found.name) for found in registry.offered()}
    assert offered == set(CALLS)


@pytest.mark.parametrize(
    ("service", "operation"), [(found.service, found.name) for found in registry.offered()]
)
def test_answers_have_the_shape_of_the_model(world: World, service: str, operation: str) -> None:
    world.checked.clear()
    world.faults.clear()
    CALLS[service, operation](world)
    assert (service, operation) in world.checked
    assert world.faults == []
