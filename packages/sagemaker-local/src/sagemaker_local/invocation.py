"""A request to a model in service and its answer, as the HTTP layer and the hosting share them.

Header names and errors are those of the SageMaker runtime's InvokeEndpoint (botocore's service
model ``sagemaker-runtime``, protocol rest-json).
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Answer", "Invocation", "InvocationResult"]


@dataclass(slots=True)
class Invocation:
    """One InvokeEndpoint request.

    Args:
        endpoint: The endpoint's name.
        body: The payload.
        content_type: Of the payload; None when the client sent none.
        accept: The content type wanted of the answer; None when the client sent none.
        headers: All headers of the request, names in lower case (such as
            "x-amzn-sagemaker-target-variant", "x-amzn-sagemaker-custom-attributes").
    """

    endpoint: str
    body: bytes
    content_type: str | None = None
    accept: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def target_variant(self) -> str | None:
        """The variant the caller insists on, past the weights."""
        return self.headers.get("x-amzn-sagemaker-target-variant")


@dataclass(slots=True)
class InvocationResult:
    """The model's answer.

    Args:
        body: The payload.
        content_type: Of the payload.
        variant: The name of the production variant that answered.
        headers: Further headers of the response.
    """

    body: bytes
    content_type: str
    variant: str
    headers: dict[str, str] = field(default_factory=dict)


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
