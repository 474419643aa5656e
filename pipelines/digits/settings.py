"""What a run of the digits pipeline is told: the DAG's parameters, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from digits import layout
from digits.layout import Layout
from tradewind.errors import SetupError

__all__ = ["Run", "kmeans_image", "parameters"]

# Accounts that keep the image of the built-in k-means, by region: AWS's "Docker registry paths and
# example code", as the SageMaker SDK 2.257 carries them (image_uri_config/kmeans.json).
_KMEANS_ACCOUNTS = {
    "af-south-1": "455444449433",
    "ap-east-1": "286214385809",
    "ap-northeast-1": "351501993468",
    "ap-northeast-2": "835164637446",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "991648021394",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "475088953585",
    "ap-southeast-2": "712309505854",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "469771592824",
    "ca-west-1": "190319476487",
    "cn-north-1": "390948362332",
    "cn-northwest-1": "387376663083",
    "eu-central-1": "664544806723",
    "eu-central-2": "680994064768",
    "eu-north-1": "669576153137",
    "eu-south-1": "257386234256",
    "eu-south-2": "104374241257",
    "eu-west-1": "438346466558",
    "eu-west-2": "644912444149",
    "eu-west-3": "749696950732",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "249704162688",
    "sa-east-1": "855470959533",
    "us-east-1": "382416733822",
    "us-east-2": "404615174143",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "226302683700",
    "us-west-1": "632365934929",
    "us-west-2": "174872318107",
}


def kmeans_image(region: str) -> str:
    """Address of the built-in k-means image in a region.

    Args:
        region: Such as ``eu-west-1``.

    Raises:
        SetupError: AWS publishes none there.
    """
    account = _KMEANS_ACCOUNTS.get(region)
    if account is None:
        raise SetupError(
            f"No image of the built-in k-means is known in region {region!r}: "
            "name one in the DAG's parameter image."
        )
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/kmeans:1"


# Name: default, JSON type, what else its schema says, what it is.
_PARAMETERS: dict[str, tuple[Any, str, dict[str, Any], str]] = {
    "aws_conn_id": (
        "aws_default",
        "string",
        {},
        "Airflow connection to AWS. Without such a connection boto3's own settings are used.",
    ),
    "bucket": (layout.DEFAULT_BUCKET, "string", {"minLength": 3}, "Bucket of the pipeline's own."),
    "prefix": (
        layout.DEFAULT_PREFIX,
        "string",
        {"pattern": r"^[^/\s].*[^/\s]$|^[^/\s]$"},
        "What all keys in it begin with; the date follows.",
    ),
    "store": (
        "s3",
        "string",
        {"enum": ["s3", "gs", "az"]},
        "Store of the data set: S3, Google Cloud Storage or Azure Blob Storage. What SageMaker "
        "reads and writes is in S3 whatever this says.",
    ),
    "store_conn_id": (
        None,
        "string",
        {},
        "Airflow connection to that store, where it is not S3. Empty: google_cloud_default or "
        "wasb_default.",
    ),
    "source_bucket": (
        None,
        "string",
        {},
        "Bucket or container of the data set. Empty: AWS's public samples in the connection's "
        "region.",
    ),
    "source_key": (layout.SAMPLE_KEY, "string", {"minLength": 1}, "Key of the data set there."),
    "role": (
        "tradewind-digits",
        "string",
        {"minLength": 1},
        "Role, by name or ARN, with which SageMaker reads and writes the bucket.",
    ),
    "image": (
        None,
        "string",
        {},
        "Image that trains and serves. Empty: the built-in k-means of the connection's region.",
    ),
    "k": (256, "integer", {"minimum": 10}, "Clusters."),
    "epochs": (10, "integer", {"minimum": 1, "maximum": 1000}, "Passes over the training data."),
    "mini_batch_size": (5000, "integer", {"minimum": 1}, "Pictures of a training step."),
    "training_instance": ("ml.m5.large", "string", {}, "Type of the instance that trains."),
    "max_runtime": (3600, "integer", {"minimum": 60}, "Most seconds a training may take."),
    "serving_instance": ("ml.m5.large", "string", {}, "Type of the instances that serve."),
    "serving_instances": (1, "integer", {"minimum": 1}, "Instances that serve."),
    "endpoint": (
        "digits",
        "string",
        {"pattern": "^[a-zA-Z0-9](-*[a-zA-Z0-9])*$", "maxLength": 32},
        "Name of the endpoint; jobs, models and configurations are called after it.",
    ),
    "min_accuracy": (
        0.85,
        "number",
        {"minimum": 0, "maximum": 1},
        "Least share of the test pictures a model must recognise to be deployed.",
    ),
    "max_drop": (
        0.05,
        "number",
        {"minimum": 0, "maximum": 1},
        "Most that this share may be below that of the model in service.",
    ),
    "keep": (
        3,
        "integer",
        {"minimum": 1},
        "Dates whose models, configurations and jobs are kept, newest first.",
    ),
    "check_seconds": (
        5,
        "integer",
        {"minimum": 1},
        "Seconds between two questions whether SageMaker has finished.",
    ),
}


def parameters(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The DAG's parameters, each with its default, its schema and what it is for.

    A default is what ``TRADEWIND_DIGITS_<NAME>`` says where that is set, so that a scheduled run
    can be told where to work without changing this code; a triggered run may change any of them.

    Args:
        environment: Where those variables are looked up.

    Returns:
        ``airflow.sdk.Param`` by name.

    Raises:
        SetupError: A variable that must be a number is none.
    """
    from airflow.sdk import Param

    found = {}
    for name, (default, kind, schema, description) in _PARAMETERS.items():
        variable = f"TRADEWIND_DIGITS_{name.upper()}"
        value = default
        if text := environment.get(variable):
            try:
                value = {"string": str, "integer": int, "number": float}[kind](text)
            except ValueError:
                raise SetupError(f"{variable} must be of type {kind}, it is {text!r}.") from None
        # The form that starts a run demands an entry where null is not allowed.
        allowed = ["null", kind] if default is None else kind
        found[name] = Param(value, type=allowed, description=description, **schema)
    return found


@dataclass(frozen=True)
class Run:
    """One run: its parameters, its date, and the names and addresses that follow.

    Args:
        params: The DAG's parameters.
        date: ``YYYY-MM-DD``, which keys everything the run makes.
    """

    params: Mapping[str, Any]
    date: str

    @classmethod
    def of(cls, params: Mapping[str, Any], dag_run: Any) -> Run:
        """The run that is being executed.

        Its date is the day of the logical date, in UTC. A run that was triggered without a logical
        date belongs to the day it was triggered for (``run_after``), which is what the logical date
        of a scheduled run is as well.

        Args:
            params: Of the task's context.
            dag_run: Of the task's context.
        """
        moment: datetime = dag_run.logical_date or dag_run.run_after
        return cls(params, moment.astimezone(UTC).strftime("%Y-%m-%d"))

    @property
    def layout(self) -> Layout:
        """Where the objects lie."""
        return Layout(self.params["bucket"], self.params["prefix"])

    @property
    def region(self) -> str:
        """The region of the connection.

        Raises:
            SetupError: Neither the connection nor boto3's own settings name one.
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        connection = self.params["aws_conn_id"]
        hook = AwsBaseHook(aws_conn_id=connection, client_type="sagemaker")
        region = hook.get_session().region_name
        if not region:
            raise SetupError(
                f"No AWS region is known: name it in the connection {connection!r} (extra "
                "region_name), in AWS_DEFAULT_REGION or in the profile."
            )
        return str(region)

    @property
    def source_bucket(self) -> str:
        """Where the data set comes from.

        Raises:
            SetupError: It is to come from another store than S3, and no bucket is named.
        """
        store = self.params.get("store", "s3")
        if store != "s3" and not self.params["source_bucket"]:
            raise SetupError(
                f"store is {store!r}, and the public samples are in S3 alone: name "
                "the bucket of the data set in the parameter source_bucket."
            )
        return str(self.params["source_bucket"] or layout.sample_bucket(self.region))

    @property
    def image(self) -> str:
        """What trains and serves."""
        return str(self.params["image"] or kmeans_image(self.region))

    @property
    def endpoint(self) -> str:
        """What serves."""
        return str(self.params["endpoint"])

    @property
    def source_key(self) -> str:
        """The date's copy of the data set."""
        return self.layout.source_key(self.date)

    @property
    def job(self) -> str:
        """What the names of the training job, the model and its configuration begin with."""
        return layout.model_name(self.endpoint, self.date)

    @property
    def models_uri(self) -> str:
        """Where the training job puts its artefact, under its own name."""
        return self.layout.uri(self.layout.models_prefix(self.date))

    def channel_uri(self, channel: str) -> str:
        """What a channel of the training job reads."""
        return self.layout.uri(self.layout.channel_prefix(self.date, channel))
