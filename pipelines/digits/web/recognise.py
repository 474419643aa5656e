"""Asks the endpoint which cluster a picture belongs to, and explains its answer."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from numpy.typing import NDArray

from digits.web import problems
from digits.web.metrics import Metrics
from digits.web.models import DIGITS, Model, Models, data_uri
from digits.web.settings import Settings
from tradewind.errors import MissingExtraError

__all__ = ["Recogniser"]

# Answers of the runtime that pass: the same request may succeed in a moment.
PASSING = {"ModelNotReadyException", "ThrottlingException", "ServiceUnavailable"}

_log = logging.getLogger(__name__)


class Recogniser:
    """The endpoint and the models behind it. Thread safe; every call of it blocks.

    Args:
        settings: Which endpoint, which bucket.
        metrics: Where calls are counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._known: Models | None = None

    def recognise(self, picture: NDArray[np.float32]) -> dict[str, Any]:
        """Recognises a prepared picture.

        Args:
            picture: float32 of shape (784,) in [0, 1], from `digits.prepare.prepare`.

        Returns:
            What the API answers, see `digits.web.app`.

        Raises:
            Problem: The endpoint or the store is away, or the model cannot be explained.
        """
        variant, cluster, distance = self._invoke(picture)
        model, distances = self._explain(variant, cluster, distance, picture)
        distances[cluster] = distance  # the endpoint's word counts
        digits = []
        for digit in range(DIGITS):
            nearest = model.nearest_of(digit, distances)
            if digit == model.labels[cluster]:
                nearest = cluster  # also should two be equally near
            digits.append(
                {
                    "digit": digit,
                    "cluster": nearest,
                    "distance": None if nearest is None else round(float(distances[nearest]), 4),
                    "centroid": None if nearest is None else model.centroid(nearest),
                }
            )
        return {
            "digit": int(model.labels[cluster]),
            "cluster": cluster,
            "distance": round(float(distances[cluster]), 4),
            "distances": [entry["distance"] for entry in digits],
            "digits": digits,
            "centroid": model.centroid(cluster),
            "picture": data_uri(picture),
            "model": {"date": model.date, "variant": model.name, "accuracy": model.accuracy},
        }

    def status(self) -> str:
        """The endpoint's status, such as InService; for `/health`.

        Raises:
            Problem: There is no such endpoint, or SageMaker does not answer.
        """
        name = self._settings.endpoint
        try:
            described = self._client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise self._away(error) from None
        return str(described["EndpointStatus"])

    def _invoke(self, picture: NDArray[np.float32]) -> tuple[str, int, float]:
        """Calls InvokeEndpoint: the variant that answered, the cluster and its distance."""
        name = self._settings.endpoint
        began = time.perf_counter()
        try:
            reply = self._client("sagemaker-runtime").invoke_endpoint(
                EndpointName=name,
                ContentType="text/csv",
                Accept="application/json",
                Body=",".join([f"{value:.7g}" for value in picture.tolist()]),
            )
            body = reply["Body"].read()
        except ClientError as error:
            raise self._refused(error) from None
        except (BotoCoreError, OSError) as error:
            raise self._away(error) from None
        finally:
            self._metrics.observe_endpoint(time.perf_counter() - began)
        try:
            [prediction] = json.loads(body)["predictions"]
            cluster = int(prediction["closest_cluster"])
            distance = float(prediction["distance_to_cluster"])
        except (ValueError, KeyError, TypeError):
            self._metrics.count_endpoint_error("answer")
            _log.warning("The endpoint %s answered what k-means does not: %.200r", name, body)
            raise problems.model_failed(name) from None
        return str(reply.get("InvokedProductionVariant") or ""), cluster, distance

    def _explain(
        self, variant: str, cluster: int, distance: float, picture: NDArray[np.float32]
    ) -> tuple[Model, NDArray[np.float32]]:
        """The model that answered, and the distances to its centroids.

        A model may have been trained again under the same name. Then the distance computed from
        the centroids at hand is not the one the endpoint told, and they are fetched anew.
        """
        models = self._models()
        for _ in range(2):
            model = models.get(variant)
            distances = model.distances(picture)
            if 0 <= cluster < len(distances) and np.isclose(
                distances[cluster], distance, rtol=1e-3, atol=1e-3
            ):
                return model, distances
            models.forget(model)
        _log.warning("The artefact of %s is not the model that the endpoint serves", variant)
        raise problems.unlabelled(variant, "its artefact in S3 is of another training")

    def _refused(self, error: ClientError) -> problems.Problem:
        """What a refusal by SageMaker means; its own words go to the log."""
        name = self._settings.endpoint
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        self._metrics.count_endpoint_error(code or "unknown")
        _log.warning("The endpoint %s: %s", name, error)
        if code == "ModelError":
            return problems.model_failed(name)
        if code in PASSING or status >= 500 or status == 429:
            return problems.endpoint_away(
                f"The endpoint {name!r} is not ready: try again in a moment."
            )
        if code in ("ValidationError", "ValidationException"):
            return problems.endpoint_away(
                f"There is no endpoint {name!r} in service: run the pipeline, which deploys it."
            )
        return problems.endpoint_away(
            f"SageMaker refuses to call the endpoint {name!r}: the page's credentials need "
            "sagemaker:InvokeEndpoint and sagemaker:DescribeEndpoint for it."
        )

    def _away(self, error: Exception) -> problems.Problem:
        self._metrics.count_endpoint_error(type(error).__name__)
        _log.warning("SageMaker does not answer: %s", error)
        return problems.endpoint_away(
            f"SageMaker, where the endpoint {self._settings.endpoint!r} is, does not answer: "
            "try again in a moment."
        )

    def _models(self) -> Models:
        client = self._client("s3")
        with self._lock:
            if self._known is None:
                self._known = Models(client, self._settings.layout)
            return self._known

    def _client(self, service: str) -> Any:
        """A boto3 client; made when first needed, so that importing the page calls nothing."""
        with self._lock:
            if service not in self._clients:
                try:
                    import boto3
                except ImportError:
                    raise MissingExtraError(
                        "boto3", extra="digits", purpose="The page's call of the endpoint"
                    ) from None
                from botocore.config import Config

                config = Config(
                    connect_timeout=min(2.0, self._settings.timeout),
                    read_timeout=self._settings.timeout,
                    retries={"mode": "standard", "total_max_attempts": 2},
                    max_pool_connections=50,  # more than the threads that call
                )
                # A session of its own: the default one of boto3 belongs to the whole process.
                if self._session is None:
                    self._session = boto3.session.Session()
                self._clients[service] = self._session.client(service, config=config)
            return self._clients[service]
