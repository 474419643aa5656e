"""What answers the requests of one production variant.

A `ModelServer` is one loaded model: a built-in algorithm in this process (`BuiltinServer`) or a
container that speaks the serving contract (`sagemaker_local.containers.serving`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from sagemaker_local.algorithms import Algorithm, InvocationError, ServedModel
from sagemaker_local.errors import InputError
from sagemaker_local.hosting.workers import Workers
from sagemaker_local.invocation import Answer, Invocation

__all__ = ["BuiltinServer", "LoadError", "ModelServer", "ModelTimeoutError"]

# A body up to this size is answered on the event loop, in a millisecond or so (one digit is 8 to
# 15 KB as JSON); a larger one would hold up all other requests, and goes to another process.
INLINE_BYTES = 64 * 1024


class LoadError(Exception):
    """A model cannot be brought to service; the text becomes the FailureReason."""


class ModelTimeoutError(Exception):
    """The model did not answer in time."""


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
    """A model of a built-in algorithm, served in this process; large requests in another.

    Args:
        model: The loaded model.
        algorithm: The built-in algorithm's name.
        image: The image the model was registered with.
        artifact: The model.tar.gz on this machine; it stays there while the model serves.
        workers: Who answers large requests.
    """

    def __init__(
        self, model: ServedModel, algorithm: str, image: str, artifact: Path, workers: Workers
    ) -> None:
        self._model = model
        self._algorithm = algorithm
        self._image = image
        self._artifact = artifact
        self._workers = workers

    @classmethod
    async def load(
        cls, algorithm: Algorithm, image: str, artifact: Path, workers: Workers
    ) -> BuiltinServer:
        """Load a model from its artefact.

        Args:
            algorithm: The built-in algorithm that made it.
            image: The image the model was registered with.
            artifact: The model.tar.gz on this machine; it stays there while the model serves.
            workers: Who answers large requests.

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
        return cls(model, algorithm.name, image, artifact, workers)

    @property
    def resolved_image(self) -> str:
        """The image; a built-in algorithm has no digest to resolve to."""
        return self._image

    async def invoke(self, invocation: Invocation, timeout: float) -> Answer:
        """Answer one request. See `ModelServer.invoke`."""
        body = invocation.body
        if len(body) > INLINE_BYTES:
            try:
                async with asyncio.timeout(timeout):
                    return await self._workers.invoke(self._algorithm, self._artifact, invocation)
            except TimeoutError:
                raise ModelTimeoutError from None
        try:
            result, kind = self._model.invoke(body, invocation.content_type, invocation.accept)
        except InvocationError as error:
            return Answer(error.status, error.message.encode(), "text/plain")
        return Answer(200, result, kind)

    async def close(self, grace: float = 30.0) -> None:
        """Let go; nothing outlives the object."""
