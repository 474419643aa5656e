"""InvokeEndpoint: a request finds its variant, and errors are told as AWS tells them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sagemaker_local.api_errors import (
    ApiError,
    ModelError,
    ValidationError,
)
from sagemaker_local.hosting.fleet import Fleet, NoSuchVariantError, Variant
from sagemaker_local.hosting.servers import ModelTimeoutError
from sagemaker_local.invocation import Answer, Invocation, InvocationResult

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["MAX_BODY_BYTES", "MODEL_TIMEOUT", "invoke", "not_found"]

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html: the
# body is at most 6,291,456 bytes; the model must answer within 60 s.
MAX_BODY_BYTES = 6_291_456
MODEL_TIMEOUT = 60.0

_log = logging.getLogger(__name__)


def not_found(context: Context, endpoint: str) -> ValidationError:
    """The error for an endpoint that is not there, or not yet, or no longer, in service."""
    return ValidationError(f"Endpoint {endpoint} of account {context.settings.account} not found.")


async def invoke(context: Context, fleet: Fleet, invocation: Invocation) -> InvocationResult:
    """Answer one InvokeEndpoint request.

    Args:
        context: What the parts of the service share.
        fleet: What serves the endpoint.
        invocation: The request.

    Raises:
        ApiError: 413 for a body beyond the limit.
        ValidationError: There is no such variant, or a feature is asked for that is not offered.
        ModelError: The model refused the request, failed on it or did not answer in time.
    """
    if len(invocation.body) > MAX_BODY_BYTES:
        # The gateway's answer, before SageMaker sees the request: the code is the status.
        raise ApiError("413", f"HTTP content length exceeded {MAX_BODY_BYTES} bytes.", 413)
    for header in ("x-amzn-sagemaker-target-model", "x-amzn-sagemaker-inference-component"):
        if header in invocation.headers:
            raise ValidationError(
                f"The header {header} is for multi-model endpoints and inference components, "
                "which this local service does not offer."
            )
    try:
        variant = fleet.pick(invocation.target_variant)
    except NoSuchVariantError as error:
        raise ValidationError(f"{error} (endpoint {invocation.endpoint}).") from None
    with fleet:
        try:
            answer = await variant.server.invoke(invocation, MODEL_TIMEOUT)
        except ModelTimeoutError:
            raise _refusal(
                context,
                invocation.endpoint,
                variant,
                0,
                "Your invocation timed out while waiting for a response from container primary. "
                "Review the latency metrics for each container in Amazon CloudWatch, resolve the "
                "issue, and try again.",
            ) from None
        except Exception as error:
            _log.exception("The model behind endpoint %s failed", invocation.endpoint)
            raise _refusal(
                context, invocation.endpoint, variant, 500, f"{type(error).__name__}: {error}"
            ) from error
    if answer.status >= 400:
        raise _refusal(
            context,
            invocation.endpoint,
            variant,
            answer.status,
            answer.body.decode("utf-8", "replace"),
        )
    return _result(answer, variant)


def _result(answer: Answer, variant: Variant) -> InvocationResult:
    headers = {}
    if answer.custom_attributes is not None:
        headers["X-Amzn-SageMaker-Custom-Attributes"] = answer.custom_attributes
    return InvocationResult(answer.body, answer.content_type, variant.name, headers)


def _refusal(
    context: Context, endpoint: str, variant: Variant, status: int, message: str
) -> ModelError:
    settings = context.settings
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    now = int(time.time() * 1000)
    context.logs.put(group, variant.stream, [(now, f"{status} {message}"[:10_000])])
    side = "client" if 400 <= status < 500 else "server"
    console = f"https://{settings.region}.console.aws.amazon.com/cloudwatch/home"
    return ModelError(
        f'Received {side} error ({status}) from primary with message "{message}". '
        f"See {console}?region={settings.region}#logEventViewer:group={group} "
        f"in account {settings.account} for more information.",
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{settings.region}:{settings.account}:log-group:{group}",
    )
