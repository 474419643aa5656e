"""What an algorithm that the local SageMaker service has built in offers to the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from sagemaker_local.errors import InputError

if TYPE_CHECKING:
    from sagemaker_local.trainer.context import TrainingContext

__all__ = ["Algorithm", "InvocationError", "ServedModel"]


class InvocationError(InputError):
    """A request to a model that the model refuses.

    On AWS the caller of InvokeEndpoint sees it as ``ModelError`` with ``OriginalStatusCode`` and
    ``OriginalMessage``.

    Args:
        status: HTTP status of the model's answer: 400 (payload), 406 (Accept), 415 (ContentType).
        message: What is wrong with the request.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ServedModel(Protocol):
    """A trained model, in memory, that answers requests; safe to use from several threads."""

    def invoke(
        self, body: bytes, content_type: str | None, accept: str | None
    ) -> tuple[bytes, str]:
        """Answer one request.

        Args:
            body: The payload.
            content_type: The request's ContentType, or None when it has none.
            accept: The request's Accept, or None when it has none.

        Returns:
            The answer's body and its content type.

        Raises:
            InvocationError: The request is wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One built-in algorithm.

    Args:
        name: Its ECR repository name, by which an image URI is recognised, e.g. ``kmeans``.
        load_model: Reads a ``model.tar.gz`` (path or open file) into memory; raises InputError
            when the archive is not a model of this algorithm.
        train: Runs one training job inside the training process.
    """

    name: str
    load_model: Callable[[Path | BinaryIO], ServedModel]
    train: Callable[[TrainingContext], None]
