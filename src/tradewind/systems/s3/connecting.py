"""A client of boto3 for one S3 server."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tradewind.concealing import keep_secrets_out_of_logs
from tradewind.errors import MissingExtraError, SetupError
from tradewind.redaction import redacted, without_user
from tradewind.spellings import remember_fields
from tradewind.systems.s3.errors import OWN, TRUST, translated
from tradewind.tls import refusal, see_files

__all__ = ["connected"]

_FORM = "https://host:port"
_LIBRARIES = ("boto3", "botocore", "s3transfer", "urllib3")
#: Of botocore's credentials, those that are renewed and those that are not.
_FIELDS = ("token", "_token", "secret_key", "_secret_key")


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
    own = config.client_cert or ()
    if isinstance(own, list):
        # As JSON spells it in a connection's extra. botocore would pass over a list in silence.
        own = tuple(own)
        config = config.merge(Config(client_cert=own))
    options["config"] = config
    verify = options.get("verify")
    if verify is None:
        verify = os.environ.get("AWS_CA_BUNDLE")
    see_files(
        f"s3://{bucket}",
        (verify if isinstance(verify, str) else None, TRUST),
        *((path, OWN) for path in ((own,) if isinstance(own, str) else own)),
    )
    if options.get("endpoint_url"):
        options["endpoint_url"] = without_user(str(options["endpoint_url"]), "S3", _FORM)
    try:
        with translated(f"s3://{bucket}", "connect"):
            keep_secrets_out_of_logs(*_LIBRARIES)
            session = session or boto3.Session()
            client = session.client("s3", **options)
            if "@" in urlsplit(client.meta.endpoint_url).netloc:
                # Of the environment, or a file of settings.
                options["endpoint_url"] = without_user(client.meta.endpoint_url, "S3", _FORM)
                client.close()
                client = session.client("s3", **options)
    except ValueError as error:  # an endpoint that is no URL
        told = redacted(str(error), uris=[str(options.get("endpoint_url") or "")])
        raise SetupError(f"s3://{bucket}: {told}. Correct endpoint_url or the region.") from None
    signer = getattr(client, "_request_signer", None)
    remember_fields(getattr(signer, "_credentials", None) or signer, *_FIELDS)
    keep_secrets_out_of_logs(*_LIBRARIES)
    # Else it would go on for a minute with what cannot become better.
    client.meta.events.register_first("needs-retry.s3", _give_up)
    s3 = dict(client.meta.config.s3 or {})
    if "payload_signing_enabled" not in s3 and _is_safe(client.meta.endpoint_url):
        client.meta.config.s3 = {**s3, "payload_signing_enabled": False}
    return client


def _give_up(caught_exception: Exception | None = None, **_: Any) -> None:
    """Raise what TLS refuses before botocore's own handler asks for another attempt."""
    if isinstance(caught_exception, Exception) and refusal(caught_exception) is not None:
        raise caught_exception


def _is_safe(endpoint: str) -> bool:
    """Whether nobody between here and there can change what is sent."""
    parts = urlsplit(endpoint)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    return False
