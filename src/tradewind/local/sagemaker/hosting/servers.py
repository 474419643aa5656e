"""What answers the requests of one production variant.

A `ModelServer` is one loaded model: a built-in algorithm in this process (`BuiltinServer`) or a
container that speaks the serving contract (`tradewind.local.sagemaker.containers.serving`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tradewind.errors import InputError
from tradewind.local.sagemaker.algorithms import Algorithm, InvocationError, ServedModel
from tradewind.local.sagemaker.invocation import Invocation

__all__ = ["Answer", "BuiltinServer", "LoadError", "ModelServer", "ModelTimeoutError"]

# A body up to this size is answered on the event loop: handing it to a thread would cost more
# than the answer does. One digit is 15 KB as JSON.
INLINE_BYTES = 64 * 1024


class LoadError(Exception):
    """A model cannot be brought to service; the text becomes the FailureReason."""


class ModelTimeoutError(Exception):
    """The model did not answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered.

    Args:
        status: The HTTP status; 400 and up when it refuses the request or fails on it.
        body: The payload, or the refusal's text.
        content_type: Of the payload.
        custom_attributes: What a container hands back in X-Amzn-SageMaker-Custom-Attributes.
    """

    status: int
    body: bytes
    content_type: str
    custom_attributes: str | None = None


class ModelServer(Protocol):
    """One loaded model."""

    async def invoke(self, invocation: Invocation, timeout: float) -> Answer:
        """Answer one request.

        Args:
            invocation: The request.
            timeout: Seconds the model has.

        Raises:
            ModelTimeoutError: The model did not answer in time.
        """
        ...

    async def close(self, grace: float = 30.0) -> None:
        """Leave service; may be repeated.

        Args:
            grace: Seconds that a container has between SIGTERM and SIGKILL.
        """
        ...

    @property
    def resolved_image(self) -> str:
        """The image with its digest, for DeployedImages."""
        ...


class BuiltinServer:
    """A model of a built-in algorithm, served in this process.

    Args:
        model: The loaded model.
        image: The image the model was registered with.
    """

    def __init__(self, model: ServedModel, image: str) -> None:
        self._model = model
        self._image = image

    @classmethod
    async def load(cls, algorithm: Algorithm, image: str, artifact: Path) -> BuiltinServer:
        """Load a model from its artefact.

        Args:
            algorithm: The built-in algorithm that made it.
            image: The image the model was registered with.
            artifact: The model.tar.gz on this machine.

        Raises:
            LoadError: The artefact is not a model of this algorithm.
        """
        try:
            model = await asyncio.to_thread(algorithm.load_model, artifact)
        except InputError as error:
            raise LoadError(
                f"Unable to load the model: {error}. The model data must be the model.tar.gz "
                f"that a training job of the built-in algorithm {algorithm.name!r} wrote."
            ) from error
        return cls(model, image)

    @property
    def resolved_image(self) -> str:
        """The image; a built-in algorithm has no digest to resolve to."""
        return self._image

    async def invoke(self, invocation: Invocation, timeout: float) -> Answer:
        """Answer one request, in a thread when it is large. See `ModelServer.invoke`."""
        invoke, body = self._model.invoke, invocation.body
        try:
            if len(body) <= INLINE_BYTES:
                result, kind = invoke(body, invocation.content_type, invocation.accept)
            else:
                async with asyncio.timeout(timeout):
                    result, kind = await asyncio.to_thread(
                        invoke, body, invocation.content_type, invocation.accept
                    )
        except InvocationError as error:
            return Answer(error.status, error.message.encode(), "text/plain")
        except TimeoutError:
            raise ModelTimeoutError from None
        return Answer(200, result, kind)

    async def close(self, grace: float = 30.0) -> None:
        """Let go; nothing outlives the object."""
