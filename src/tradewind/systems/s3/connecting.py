"""A client of boto3 for one S3 server."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tradewind.errors import MissingExtraError, SetupError
from tradewind.redaction import redacted
from tradewind.systems.s3.errors import translated

__all__ = ["connected"]


def connected(
    bucket: str, session: Any, client_options: Mapping[str, Any], connections: int
) -> Any:
    """Make a client.

    Args:
        bucket: What it is for, for messages.
        session: A `boto3.Session`; None for boto3's own chain of credentials.
        client_options: As `tradewind.systems.s3.store.S3Store` takes them.
        connections: Requests at once.

    Raises:
        MissingExtraError: boto3 is not installed.
        SetupError: There are no credentials, or the endpoint is none.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingExtraError("boto3", extra="s3", purpose="S3") from error
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 8},
        connect_timeout=10,
        read_timeout=60,
        tcp_keepalive=True,
        max_pool_connections=connections + 4,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="tradewind",
    )
    options = dict(client_options)
    if options.get("config") is not None:
        config = config.merge(options["config"])
    options["config"] = config
    try:
        with translated(f"s3://{bucket}", "connect"):
            client = (session or boto3.Session()).client("s3", **options)
    except ValueError as error:  # an endpoint that is no URL
        told = redacted(str(error), uris=[str(options.get("endpoint_url") or "")])
        raise SetupError(f"s3://{bucket}: {told}. Correct endpoint_url or the region.") from None
    s3 = dict(client.meta.config.s3 or {})
    if "payload_signing_enabled" not in s3 and _is_safe(client.meta.endpoint_url):
        client.meta.config.s3 = {**s3, "payload_signing_enabled": False}
    return client


def _is_safe(endpoint: str) -> bool:
    """Whether nobody between here and there can change what is sent."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    return False
