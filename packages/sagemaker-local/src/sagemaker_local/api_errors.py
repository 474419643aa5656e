"""Errors as the AWS services put them on the wire.

An operation raises one of these; `wire` writes it in the protocol the caller spoke. Codes and
texts are AWS's own, because clients match on them (Airflow's operators, for one, look for
"Requested resource not found." and "Cannot create already existing endpoint").
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ApiError",
    "InternalFailure",
    "InvalidParameter",
    "ModelError",
    "ModelNotReady",
    "NoSuchEntity",
    "ResourceAlreadyExists",
    "ResourceInUse",
    "ResourceLimitExceeded",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "SerializationException",
    "UnknownOperation",
    "ValidationError",
    "ValidationException",
]


class ApiError(Exception):
    """An error with the code, message and HTTP status that AWS would answer with.

    Args:
        code: What clients see as ``Error.Code``.
        message: What clients see as ``Error.Message``.
        status: The HTTP status.
        fields: Further members of the error's shape, such as ``OriginalStatusCode``.
    """

    code = "InternalFailure"
    status = 400

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        fields: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})


class _Fixed(ApiError):
    """An error whose code and HTTP status belong to its class."""

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(type(self).code, message, type(self).status, fields=fields)


class ValidationException(_Fixed):
    """SageMaker's control plane: the input is wrong, or what it names does not exist."""

    code = "ValidationException"


class ResourceInUse(_Fixed):
    """SageMaker's control plane: the name is taken, or the resource is busy."""

    code = "ResourceInUse"


class ResourceNotFound(_Fixed):
    """SageMaker's control plane: a resource is missing (most operations say it otherwise)."""

    code = "ResourceNotFound"


class ResourceLimitExceeded(_Fixed):
    """SageMaker's control plane: more than this account (here: this machine) may have."""

    code = "ResourceLimitExceeded"


class UnknownOperation(_Fixed):
    """The operation is not offered here."""

    code = "UnknownOperationException"


class SerializationException(_Fixed):
    """The request cannot be read, or a value is of the wrong type."""

    code = "SerializationException"


class InternalFailure(_Fixed):
    """A fault of this service."""

    code = "InternalFailure"
    status = 500


class ValidationError(_Fixed):
    """SageMaker's runtime: the request is wrong, or there is no such endpoint."""

    code = "ValidationError"


class ModelError(_Fixed):
    """SageMaker's runtime: the model refused the request or failed on it.

    Give ``OriginalStatusCode``, ``OriginalMessage`` and ``LogStreamArn`` as fields.
    """

    code = "ModelError"
    status = 424


class ModelNotReady(_Fixed):
    """SageMaker's runtime: the model behind the endpoint is still loading."""

    code = "ModelNotReadyException"
    status = 429


class ResourceNotFoundException(_Fixed):
    """CloudWatch Logs: no such log group or stream."""

    code = "ResourceNotFoundException"


class ResourceAlreadyExists(_Fixed):
    """CloudWatch Logs: the log group or stream is there already."""

    code = "ResourceAlreadyExistsException"


class InvalidParameter(_Fixed):
    """CloudWatch Logs: an argument is wrong."""

    code = "InvalidParameterException"


class NoSuchEntity(_Fixed):
    """IAM: no such role."""

    code = "NoSuchEntity"
    status = 404
