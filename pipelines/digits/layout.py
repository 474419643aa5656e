"""Where everything of the digits pipeline lies and what it is called: the one place that knows.

The DAG writes by it, the web page reads by it. All objects of a run lie under its date::

    s3://<bucket>/<prefix>/<date>/
        mnist.pkl.gz                       what download_mnist copied
        train/data.pbr, test/data.pbr      RecordIO-protobuf, the channels of the training job
        models/<model>/output/model.tar.gz what a training job left
        models/<model>/report.json, .png   the judgement of exactly that model
        report.json, report.png            the newest judgement of that date

A training job and the variant that serves its model share one name, ``<endpoint>-<date>``; when a
date is run again, Tradewind puts behind it what makes it the task run's own,
``-<12 digits>-<number>``, because the name of the former job is taken. A reply of the endpoint
names its variant (header ``x-Amzn-Invoked-Production-Variant``), so the labels of exactly the model
that answered can be found while two models serve side by side in a blue/green update. SageMaker's
model and endpoint configuration are called in the same way, always with digits: those of the task
run that deploys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CHANNELS",
    "DEFAULT_BUCKET",
    "DEFAULT_ENDPOINT",
    "DEFAULT_PREFIX",
    "SAMPLE_KEY",
    "Layout",
    "model_date",
    "model_name",
    "sample_bucket",
]

Channel = Literal["train", "test"]
CHANNELS: tuple[Channel, ...] = ("train", "test")

DEFAULT_BUCKET = "tradewind-digits"
DEFAULT_PREFIX = "digits"
DEFAULT_ENDPOINT = "digits"

SAMPLE_KEY = "algorithms/kmeans/mnist/mnist.pkl.gz"
"""Key of the data set in AWS's public sample bucket."""

_MODEL = re.compile(r"(?P<endpoint>.+)-(?P<date>\d{4}-\d{2}-\d{2})(?:-[0-9a-f]{12}-\d+)?")


def sample_bucket(region: str) -> str:
    """Name of AWS's public bucket of sample data in a region, such as ``eu-west-1``."""
    return f"sagemaker-sample-data-{region}"


def model_name(endpoint: str, date: str) -> str:
    """What the names of a training job, its variant, model and configuration begin with.

    Args:
        endpoint: Name of the endpoint that is to serve the model.
        date: ``YYYY-MM-DD``.
    """
    return f"{endpoint}-{date}"


def model_date(model: str, *, endpoint: str | None = None) -> str | None:
    """The date a model, configuration, training job or variant belongs to.

    Args:
        model: Its name.
        endpoint: When given, only names that were made for this endpoint count.

    Returns:
        ``YYYY-MM-DD``, or None when the name was not made by this pipeline.
    """
    match = _MODEL.fullmatch(model)
    if match is None or (endpoint is not None and match["endpoint"] != endpoint):
        return None
    return match["date"]


@dataclass(frozen=True)
class Layout:
    """Keys and addresses of all objects.

    Args:
        bucket: The pipeline's own bucket.
        prefix: What all keys begin with, without a slash at its end.
    """

    bucket: str = DEFAULT_BUCKET
    prefix: str = DEFAULT_PREFIX

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Layout:
        """As TRADEWIND_DIGITS_BUCKET and TRADEWIND_DIGITS_PREFIX say."""
        return cls(
            environment.get("TRADEWIND_DIGITS_BUCKET") or DEFAULT_BUCKET,
            (environment.get("TRADEWIND_DIGITS_PREFIX") or DEFAULT_PREFIX).strip("/"),
        )

    def uri(self, key: str) -> str:
        """Address of a key in the bucket."""
        return f"s3://{self.bucket}/{key}"

    def root(self, date: str) -> str:
        """What all keys of a date begin with, with a slash at its end."""
        return f"{self.prefix}/{date}/"

    def source_key(self, date: str) -> str:
        """The date's copy of the data set."""
        return f"{self.root(date)}mnist.pkl.gz"

    def channel_prefix(self, date: str, channel: str) -> str:
        """What a training job's channel reads: every object under it, and no other channel's."""
        return f"{self.root(date)}{channel}/"

    def channel_key(self, date: str, channel: str) -> str:
        """The one object of a channel."""
        return f"{self.channel_prefix(date, channel)}data.pbr"

    def models_prefix(self, date: str) -> str:
        """Where training jobs of a date put their artefacts, each under its own name."""
        return f"{self.root(date)}models"

    def model_prefix(self, model: str) -> str:
        """What belongs to one model.

        Raises:
            ValueError: The name was not made by this pipeline.
        """
        date = model_date(model)
        if date is None:
            raise ValueError(
                f"{model!r} is not a model of this pipeline: "
                "its models are called <endpoint>-<YYYY-MM-DD>[-<12 digits>-<number>]."
            )
        return f"{self.models_prefix(date)}/{model}/"

    def artifact_key(self, model: str) -> str:
        """The model's centroids, where SageMaker puts what a job of that name leaves."""
        return f"{self.model_prefix(model)}output/model.tar.gz"

    def model_report_key(self, model: str) -> str:
        """The judgement, with the labels of the clusters, of exactly this model."""
        return f"{self.model_prefix(model)}report.json"

    def model_picture_key(self, model: str) -> str:
        """The judgement of exactly this model as a picture."""
        return f"{self.model_prefix(model)}report.png"

    def report_key(self, date: str) -> str:
        """The newest judgement of a date."""
        return f"{self.root(date)}report.json"

    def picture_key(self, date: str) -> str:
        """The newest judgement of a date as a picture."""
        return f"{self.root(date)}report.png"
