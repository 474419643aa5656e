"""What the online part is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from digits.layout import DEFAULT_ENDPOINT, Layout
from digits.web.pictures import MAX_PIXELS
from tradewind.errors import SetupError

__all__ = ["Settings"]

MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """Where the model is served, and how much is taken in.

    Args:
        endpoint: Name of the SageMaker endpoint.
        layout: Where the models' artefacts and reports lie in S3.
        max_bytes: Largest body of a request. The default is what an API Gateway passes on.
        max_pixels: Largest picture that is decoded.
        timeout: Seconds that one try of a call to SageMaker or S3 may take.
        base_path: What an API Gateway puts before the path, such as ``/prod``; used on Lambda.
    """

    endpoint: str = DEFAULT_ENDPOINT
    layout: Layout = field(default_factory=Layout)
    max_bytes: int = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    timeout: float = 5.0
    base_path: str = "/"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the variables that begin with TRADEWIND_DIGITS_.

        They are ENDPOINT, BUCKET, PREFIX, MAX_BYTES, MAX_PIXELS, TIMEOUT and BASE_PATH; what is not
        set has its default. Region, credentials and addresses are boto3's own affair
        (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3 and so on).

        Raises:
            SetupError: A number is not a positive number.
        """
        return cls(
            endpoint=environment.get("TRADEWIND_DIGITS_ENDPOINT") or DEFAULT_ENDPOINT,
            layout=Layout.from_environment(environment),
            max_bytes=int(_number(environment, "MAX_BYTES", MAX_BYTES)),
            max_pixels=int(_number(environment, "MAX_PIXELS", MAX_PIXELS)),
            timeout=_number(environment, "TIMEOUT", 5.0),
            base_path=environment.get("TRADEWIND_DIGITS_BASE_PATH") or "/",
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    variable = f"TRADEWIND_DIGITS_{name}"
    text = environment.get(variable)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise SetupError(
            f"{variable} must be a positive number, not {text!r}: correct or unset it."
        )
    return number
