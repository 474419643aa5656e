"""TLS of a container engine: its files from options, or from the variables that Docker reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tradewind.tls import client_context

if TYPE_CHECKING:
    import ssl

__all__ = ["OWN", "TRUST", "context_of_environment", "engine_context"]

TRUST = "tls_ca_cert (ca.pem in DOCKER_CERT_PATH)"
OWN = "tls_client_cert and tls_client_key (cert.pem and key.pem in DOCKER_CERT_PATH)"


def engine_context(
    ca: str | None,
    cert: str | None,
    key: str | None,
    *,
    verify: bool = True,
    check_hostname: bool = True,
) -> ssl.SSLContext | None:
    """Make the context of an engine's address.

    Args:
        ca: File with the certificate of the engine's authority.
        cert: File with the client's certificate.
        key: File with its key.
        verify: Whether the engine's certificate is checked.
        check_hostname: Whether it must have the host's name.

    Returns:
        The context; None where no file is given.

    Raises:
        SetupError: A file is missing, or there is a key without a certificate.
    """
    if not (ca or cert or key):
        return None
    return client_context(
        "Docker",
        verify=(ca or True) if verify else False,
        cert=cert or None,
        key=key or None,
        check_hostname=check_hostname,
        trust=TRUST,
        own=OWN,
    )


def context_of_environment(address: str) -> ssl.SSLContext | None:
    """Read Docker's variables, as its command line does.

    With ``DOCKER_TLS_VERIFY`` set to anything, ``ca.pem``, ``cert.pem`` and ``key.pem`` are those
    in ``DOCKER_CERT_PATH``, or in ``~/.docker``; the client's may be missing.
    Source: https://docs.docker.com/reference/cli/docker/#environment-variables

    Args:
        address: Of the engine; a socket needs no TLS.

    Raises:
        SetupError: A file is missing or wrong.
    """
    if not os.environ.get("DOCKER_TLS_VERIFY") or address.startswith("unix:"):
        return None
    folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
    ca, cert, key = (os.path.join(folder, f"{name}.pem") for name in ("ca", "cert", "key"))
    own = {name: name if os.path.exists(name) else None for name in (cert, key)}
    return engine_context(ca, own[cert], own[key])
