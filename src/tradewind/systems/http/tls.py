"""TLS of HTTP APIs, Livy and YARN: which files it takes, from a connection or the environment."""

from __future__ import annotations

import os
import ssl
from typing import Any, Protocol

from tradewind.errors import InputError
from tradewind.tls import client_context, load_own

__all__ = ["OWN", "TRUST", "tls_context", "tls_files"]

TRUST = "verify (TRADEWIND_HTTP_CA_FILE for a URI)"
OWN = "cert (TRADEWIND_HTTP_CERT_FILE for a URI)"


class _Settings(Protocol):
    @property
    def verify(self) -> bool | str | ssl.SSLContext: ...

    @property
    def cert(self) -> str | tuple[str, str] | None: ...


def tls_context(connection: _Settings, where: str) -> ssl.SSLContext | bool:
    """Make what httpx takes as ``verify``.

    Args:
        connection: With ``verify`` and ``cert``.
        where: System and address, for messages.

    Raises:
        SetupError: A file is missing or wrong.
    """
    verify, cert = connection.verify, connection.cert
    if isinstance(verify, bool) and cert is None:
        return verify
    certificate, key = (cert, None) if isinstance(cert, str) else cert or (None, None)
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif verify is True:
        import httpx

        # The authorities that it trusts without a certificate of the client too.
        context = httpx.create_ssl_context()
    else:
        context = client_context(where, verify=verify, trust=TRUST, own=OWN)
    load_own(context, where, certificate, key, own=OWN)
    return context


def tls_files() -> dict[str, Any]:
    """Read from the environment what a URI cannot say.

    ``TRADEWIND_HTTP_CA_FILE`` has the authorities to trust, ``TRADEWIND_HTTP_CERT_FILE`` the
    client's certificate, ``TRADEWIND_HTTP_KEY_FILE`` its key where that is a file of its own.

    Returns:
        ``verify`` and ``cert`` of a connection, where they are given.

    Raises:
        InputError: There is a key and no certificate.
    """
    found: dict[str, Any] = {}
    if authorities := os.environ.get("TRADEWIND_HTTP_CA_FILE"):
        found["verify"] = authorities
    cert = os.environ.get("TRADEWIND_HTTP_CERT_FILE")
    key = os.environ.get("TRADEWIND_HTTP_KEY_FILE")
    if key and not cert:
        raise InputError(
            "TRADEWIND_HTTP_KEY_FILE names a key, and there is no certificate. Set "
            "TRADEWIND_HTTP_CERT_FILE too."
        )
    if cert:
        found["cert"] = (cert, key) if key else cert
    return found
