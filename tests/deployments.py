"""Deployments for tests: an endpoint of a test's own, models to serve, and what is there of it."""

from __future__ import annotations

import uuid
from typing import Any

from sagemaker_service import KMEANS, ROLE, kmeans_artifact, make_client
from tradewind.local import Systems
from tradewind.owner import Owner
from tradewind.run.supervise import supervise
from tradewind.systems.sagemaker.deployment import DeploymentBackend

Memory = type("Memory", (dict,), {"set": dict.__setitem__})


def make_artifacts(systems: Systems) -> dict[str, str]:
    """A model that serves and one that does not, in S3."""
    s3 = make_client("s3", systems["s3"].endpoint, systems.environment)
    bucket = f"deploy-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    bodies = {"good": kmeans_artifact([[0.0, 0.0], [1.0, 1.0]]), "broken": b"not a model"}
    for name, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=f"{name}.tar.gz", Body=body)
    return {name: f"s3://{bucket}/{name}.tar.gz" for name in bodies}


class Place:
    """An endpoint of a test's own, and what is there of it."""

    def __init__(self, clients: dict[str, Any], artifacts: dict[str, str]) -> None:
        self.clients = clients
        self.sagemaker = clients["sagemaker"]
        self.artifacts = artifacts
        self.endpoint = f"e{uuid.uuid4().hex[:8]}"

    def backend(self, **more: Any) -> DeploymentBackend:
        more = {"prefix": self.endpoint, **more}
        return DeploymentBackend(self.endpoint, clients=self.clients, **more)

    def owner(self, run: str = "r") -> Owner:
        return Owner("deploy", f"{run}-{uuid.uuid4().hex}", "t")

    def work(self, artifact: str = "good") -> dict[str, Any]:
        container = {"Image": KMEANS, "ModelDataUrl": self.artifacts[artifact]}
        variant = {
            "VariantName": "all",
            "ModelName": self.endpoint,
            "InstanceType": "ml.t2.medium",
            "InitialInstanceCount": 1,
        }
        return {
            "Model": {
                "ModelName": self.endpoint,
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": container,
            },
            "EndpointConfig": {
                "EndpointConfigName": self.endpoint,
                "ProductionVariants": [variant],
            },
        }

    def models(self) -> list[str]:
        found = self.sagemaker.list_models(NameContains=self.endpoint)["Models"]
        return sorted(one["ModelName"] for one in found)

    def configs(self) -> list[str]:
        found = self.sagemaker.list_endpoint_configs(NameContains=self.endpoint)["EndpointConfigs"]
        return sorted(one["EndpointConfigName"] for one in found)

    def serving(self) -> str | None:
        try:
            told = self.sagemaker.describe_endpoint(EndpointName=self.endpoint)
        except self.sagemaker.exceptions.ClientError:
            return None
        return str(told["EndpointConfigName"])


def deploy(backend: DeploymentBackend, owner: Owner, work: Any, memory: Any = None, **more: Any):
    memory = Memory() if memory is None else memory
    more = {"poll_seconds": 0.2, "log": lambda _: None, **more}
    return supervise(backend, owner, work, state_store=memory, **more)
