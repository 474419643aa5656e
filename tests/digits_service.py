"""A digits model in service on a local SageMaker, made the way the pipeline makes one."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import numpy as np
from botocore.config import Config
from sklearn.datasets import load_digits

from digits.evaluate import measure
from digits.layout import Layout, model_date
from digits.model import read_artifact
from digits.prepare import prepare_batch
from sagemaker_service import KMEANS, ROLE, create_config, create_model, wait_status
from tradewind.local import Systems
from tradewind.systems.sagemaker import recordio
from waiting import until

MODEL = "digits-web-2026-01-01"
TRAINED = 1500  # of scikit-learn's 1,797 digits; the others are for testing


def client(systems: Systems, service: str) -> Any:
    """A boto3 client of the local systems."""
    environment = systems.environment
    variable = service.upper().replace("-", "_")
    return boto3.client(
        service,
        endpoint_url=environment[f"AWS_ENDPOINT_URL_{variable}"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits, prepared, in an order that mixes the writers."""
    bundle = load_digits()
    order = np.random.RandomState(0).permutation(len(bundle.target))
    return prepare_batch(bundle.images[order]), bundle.target[order].astype(np.int64)


class DigitsService:
    """Trains, judges and deploys digits models.

    Args:
        systems: The local SageMaker and S3.
        layout: Where everything goes; the bucket is made.
        endpoint: Name of the endpoint.
    """

    def __init__(self, systems: Systems, layout: Layout, endpoint: str) -> None:
        self.systems = systems
        self.layout = layout
        self.endpoint = endpoint
        self.s3 = client(systems, "s3")
        self.sagemaker = client(systems, "sagemaker")
        self.s3.create_bucket(
            Bucket=layout.bucket,
            CreateBucketConfiguration={"LocationConstraint": systems.environment["AWS_REGION"]},
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the page is told by its environment."""
        return self.systems.environment | {
            "TRADEWIND_DIGITS_ENDPOINT": self.endpoint,
            "TRADEWIND_DIGITS_BUCKET": self.layout.bucket,
            "TRADEWIND_DIGITS_PREFIX": self.layout.prefix,
        }

    def train(self, model: str, *, k: int = 150) -> str:
        """Trains a model of that name through the API and writes its report; its artefact."""
        date = model_date(model)
        assert date is not None
        images, labels = digits()
        body = b"".join(recordio.encode([(images[:TRAINED], labels[:TRAINED].astype(np.float32))]))
        self.put(self.layout.channel_key(date, "train"), body)
        self.sagemaker.create_training_job(
            TrainingJobName=model,
            AlgorithmSpecification={"TrainingImage": KMEANS, "TrainingInputMode": "File"},
            RoleArn=ROLE,
            HyperParameters={"k": str(k), "feature_dim": "784", "epochs": "5"},
            InputDataConfig=[
                {
                    "ChannelName": "train",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": self.layout.uri(self.layout.channel_prefix(date, "train")),
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            OutputDataConfig={"S3OutputPath": self.layout.uri(self.layout.models_prefix(date))},
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        job = until(lambda: self._ended(model), seconds=120)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        artifact: str = job["ModelArtifacts"]["S3ModelArtifacts"]
        self.report(model, artifact)
        return artifact

    def _ended(self, job: str) -> dict[str, Any] | None:
        described: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=job)
        ended = described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
        return described if ended else None

    def report(self, model: str, artifact: str) -> dict[str, Any]:
        """Judges the artefact and writes the model's report, as the pipeline's task does."""
        images, labels = digits()
        bucket, _, key = artifact.removeprefix("s3://").partition("/")
        centroids = read_artifact(
            io.BytesIO(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        )
        figures = measure(
            centroids,
            [(images[:TRAINED], labels[:TRAINED])],
            [(images[TRAINED:], labels[TRAINED:])],
        )
        report = {"model": model, "date": model_date(model), "artifact": artifact}
        report |= figures.as_json()
        self.put(self.layout.model_report_key(model), json.dumps(report).encode())
        return report

    def put(self, key: str, body: bytes) -> str:
        """Writes an object of the pipeline's bucket; its address."""
        self.s3.put_object(Bucket=self.layout.bucket, Key=key, Body=body)
        return self.layout.uri(key)

    def deploy(self, model: str, artifact: str, *, endpoint: str | None = None) -> str:
        """Creates or updates an endpoint to serve the model and waits until it does; its name."""
        endpoint = endpoint or self.endpoint
        create_model(self.sagemaker, model, artifact)
        create_config(self.sagemaker, model, **{model.replace("-", "_"): 1.0})
        try:
            self.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=model)
        except self.sagemaker.exceptions.ClientError as error:
            if "Cannot create already existing" not in str(error):
                raise
            self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=model)
        until(
            lambda: (
                self.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
                == model
            )
        )
        wait_status(self.sagemaker, endpoint, "InService")
        return endpoint
