"""HTTP APIs: how to reach one, and what may be shown of it."""

from __future__ import annotations

import os
import re
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tradewind.errors import InputError
from tradewind.redaction import (
    HARMLESS,
    is_secret_name,
    redacted,
    shown_uri,
    split_uri,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["BearerAuth", "HeaderAuth", "HttpConnection", "Retries", "masked"]


@dataclass(frozen=True)
class BearerAuth:
    """Send ``Authorization: Bearer TOKEN``.

    Args:
        token: The token.
    """

    token: str = field(repr=False)


@dataclass(frozen=True)
class HeaderAuth:
    """Send a secret in a header of its own, like ``X-Api-Key``.

    Args:
        name: Name of the header.
        value: The secret.
    """

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Retries:
    """How often and after how long a request is made again.

    The wait before attempt n + 1 is chance between 0 and ``backoff * 2 ** (n - 1)`` seconds (full
    jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or what the
    server asks for in Retry-After and up to `backoff` more. Made again are requests that the
    network broke or that were answered 408, 425, 429, 500, 502, 503 or 504, and only those that
    change nothing: GET, HEAD, OPTIONS, PUT, DELETE. One that never reached the server always is.

    Args:
        attempts: How often a request is made at most.
        backoff: Seconds, see above.
        longest: The longest wait in seconds; a server that asks for more is not asked again.
        any_method: Whether POST and PATCH are made again too: for APIs that search by POST.
    """

    attempts: int = 6
    backoff: float = 0.5
    longest: float = 120.0
    any_method: bool = False


@dataclass(frozen=True)
class HttpConnection:
    """How to reach an HTTP API.

    Headers, parameters and credentials are sent to the origin of `base_url` (scheme, host, port)
    alone: a redirect or next link to another one goes without them.

    Args:
        base_url: Where paths begin.
        headers: Sent with each request.
        params: Query parameters sent with each request.
        auth: User and password, `BearerAuth`, `HeaderAuth`, or any `httpx.Auth`.
        verify: Whether and by what to check the server's certificate: a bool, the path of a bundle
            or of a folder of certificates, or a context.
        cert: Path of a client certificate, or that and the path of its key.
        proxy: Address of a proxy; the environment's when not given.
        connect_timeout: Seconds until a connection stands.
        read_timeout: Seconds without a byte until a request counts as broken.
        retries: How often a request is made again.
        rate: The most requests in a second; None is no limit.
        redirects: The most redirects to follow for one request.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | BearerAuth | HeaderAuth | httpx.Auth | None = field(
        default=None, repr=False
    )
    verify: bool | str | ssl.SSLContext = True
    cert: str | tuple[str, str] | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    retries: Retries = field(default_factory=Retries)
    rate: float | None = None
    redirects: int = 5

    def __post_init__(self) -> None:
        parts = split_uri(self.base_url, "HTTP API", "https://host/path")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"{masked(self.base_url)!r} is not the address of an HTTP API. Write it like "
                "https://host/path."
            )
        if self.rate is not None and self.rate <= 0:
            raise InputError(f"rate={self.rate} requests in a second is none. Give more, or None.")

    def __repr__(self) -> str:
        return f"HttpConnection({masked(self.base_url)!r})"

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Take an address; secrets come from the environment.

        ``TRADEWIND_HTTP_TOKEN`` is a bearer token; ``TRADEWIND_HTTP_USER`` and
        ``TRADEWIND_HTTP_PASSWORD`` are those of basic authentication, the user may be in the URI.
        Files of TLS come from there too, see `tradewind.systems.http.tls.tls_files`.

        Raises:
            InputError: It is no address.
        """
        parts = split_uri(uri, "HTTP API", "https://host/path")
        host = parts.netloc.rpartition("@")[2]
        base = urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        from tradewind.systems.http.tls import tls_files

        tls = tls_files()
        token = os.environ.get("TRADEWIND_HTTP_TOKEN")
        if token:
            return cls(base, auth=BearerAuth(token), **tls)
        user = os.environ.get("TRADEWIND_HTTP_USER") or urllib.parse.unquote(parts.username or "")
        password = os.environ.get("TRADEWIND_HTTP_PASSWORD") or urllib.parse.unquote(
            parts.password or ""
        )
        return cls(base, auth=(user, password) if user else None, **tls)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return origin(self.base_url)

    def url(self, path: str) -> str:
        """Join a path to the address; a whole URL stands for itself."""
        if re.match(r"https?://", path):
            return path
        if not path:
            return self.base_url
        base, question, query = self.base_url.partition("?")
        joined = f"{base.rstrip('/')}/{path.lstrip('/')}"
        if question:
            joined += ("&" if "?" in joined else "?") + query
        return joined

    def conceal(self, text: str) -> str:
        """Remove what is known to be secret from a text of the server."""
        return redacted(text, uris=self.secret_uris(), secrets=self.secrets())

    def secret_uris(self) -> list[str]:
        """Addresses that may hold a password."""
        return [self.base_url, *([self.proxy] if self.proxy else [])]

    def secrets(self) -> list[str]:
        """Give all that is known to be secret."""
        secrets = [value for name, value in self.headers.items() if is_secret_name(name)]
        secrets += [value for name, value in self.params.items() if name.lower() not in HARMLESS]
        if isinstance(self.auth, tuple):
            secrets += [self.auth[1], f"{self.auth[0]}:{self.auth[1]}"]
        elif isinstance(self.auth, BearerAuth):
            secrets.append(self.auth.token)
        elif isinstance(self.auth, HeaderAuth):
            secrets.append(self.auth.value)
        return secrets


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of a URL."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def masked(url: str) -> str:
    """Show a URL without user, password and values of parameters that may be secret."""
    return shown_uri(url)
