"""The models that answer: their centroids and their clusters' names, as the pipeline left them.

The endpoint tells only the nearest cluster and its distance. Which digit that cluster is, how far
the others are and what they look like is in the artefact and the report of exactly the model that
answered. Its name comes with every reply, so two models may serve side by side, as they do in a
blue/green update, and each answer is still explained by the right one.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray
from PIL import Image

from digits.layout import Layout, model_date
from digits.model import read_artifact
from digits.prepare import PIXELS, SIDE
from digits.web import problems
from tradewind.errors import InputError

__all__ = ["DIGITS", "Model", "Models", "data_uri"]

DIGITS = 10
MAX_REPORT = 4 << 20  # bytes; a report of 10,000 clusters has a tenth

_log = logging.getLogger(__name__)


def data_uri(picture: NDArray[np.float32]) -> str:
    """A prepared picture or a centroid, (784,) in [0, 1], as a PNG that a page can show."""
    grey = np.round(picture.reshape(SIDE, SIDE).clip(0, 1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(frozen=True, eq=False)
class Model:
    """A model in service, explained.

    Args:
        name: Of the model and of the variant that serves it.
        date: The day it was trained on, ``YYYY-MM-DD``.
        accuracy: Share of the test pictures it recognised, None when the report does not say.
        labels: The digit each cluster stands for, shape (k,).
        centroids: Shape (k, 784).
    """

    name: str
    date: str
    accuracy: float | None
    labels: NDArray[np.int64]
    centroids: NDArray[np.float32]
    _pictures: dict[int, str] = field(default_factory=dict, repr=False)

    def distances(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Euclidean distance of a prepared picture (784,) to each centroid, shape (k,)."""
        distances: NDArray[np.float32] = np.linalg.norm(self.centroids - picture, axis=1)
        return distances

    def nearest_of(self, digit: int, distances: NDArray[np.float32]) -> int | None:
        """The nearest cluster that stands for a digit, None when no cluster does."""
        clusters = np.flatnonzero(self.labels == digit)
        return int(clusters[distances[clusters].argmin()]) if len(clusters) else None

    def centroid(self, cluster: int) -> str:
        """A cluster's centroid as a picture for a page."""
        if cluster not in self._pictures:
            self._pictures[cluster] = data_uri(self.centroids[cluster])
        return self._pictures[cluster]


class Models:
    """Loads models from S3 and keeps the last few.

    Args:
        s3: A boto3 client of S3.
        layout: Where the models lie.
        size: Models kept; two serve side by side at most, the others were in service before.
    """

    def __init__(self, s3: Any, layout: Layout, *, size: int = 4) -> None:
        self._s3 = s3
        self._layout = layout
        self._size = size
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, variant: str) -> Model:
        """The model of that name; from S3 when it is asked for the first time.

        Raises:
            Problem: It is not a model of the pipeline, or what explains it is absent or damaged.
        """
        with self._lock:
            if variant in self._models:
                self._models.move_to_end(variant)
                return self._models[variant]
            loading = self._loading.setdefault(variant, threading.Lock())
        # One request loads, the others that came at the same time wait for it.
        with loading:
            with self._lock:
                if variant in self._models:
                    return self._models[variant]
            try:
                model = self._load(variant)
                with self._lock:
                    self._models[variant] = model
                    while len(self._models) > self._size:
                        self._models.popitem(last=False)
            finally:
                with self._lock:
                    self._loading.pop(variant, None)
        return model

    def forget(self, model: Model) -> None:
        """Drops a model that turned out to be outdated, so that it is loaded anew."""
        with self._lock:
            if self._models.get(model.name) is model:
                del self._models[model.name]

    def _load(self, variant: str) -> Model:
        date = model_date(variant)
        if date is None:
            raise problems.unlabelled(variant, "it was not made by this pipeline")
        report = self._fetch(
            variant, self._layout.bucket, self._layout.model_report_key(variant), MAX_REPORT
        )
        try:
            content = json.loads(report)
            labels = np.asarray(content["labels"])
            accuracy = content.get("accuracy")
            address = str(content["artifact"]).removeprefix("s3://")
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.warning("The report of the model %s has no labels", variant)
            raise problems.unlabelled(variant, "its report names no clusters") from None
        bucket, _, key = address.partition("/")
        artifact = self._fetch(variant, bucket, key, None)
        try:
            centroids = read_artifact(io.BytesIO(artifact))
        except InputError as error:
            _log.warning("The artefact of the model %s: %s", variant, error)
            raise problems.unlabelled(variant, "its artefact is unreadable") from error
        if (
            centroids.shape[1] != PIXELS
            or labels.shape != centroids.shape[:1]
            or labels.dtype.kind != "i"
            or not ((labels >= 0) & (labels < DIGITS)).all()
        ):
            raise problems.unlabelled(variant, "its report does not fit its artefact")
        _log.info("Loaded the model %s: %d clusters", variant, len(labels))
        return Model(
            name=variant,
            date=date,
            accuracy=float(accuracy) if isinstance(accuracy, int | float) else None,
            labels=labels.astype(np.int64),
            centroids=centroids,
        )

    def _fetch(self, variant: str, bucket: str, key: str, limit: int | None) -> bytes:
        address = f"s3://{bucket}/{key}"
        try:
            with self._s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
                content: bytes = body.read(limit)
                return content
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            _log.warning("Reading %s: %s", address, error)
            if code in ("NoSuchKey", "NoSuchBucket", "404"):
                what = key.rsplit("/", 1)[-1]
                raise problems.unlabelled(variant, f"its {what} is not in S3") from None
        except (BotoCoreError, OSError) as error:
            _log.warning("Reading %s: %s", address, error)
        raise problems.Problem(
            503,
            "storage_away",
            "The store of the models does not answer: try again in a moment.",
            retry_after=5,
        )
