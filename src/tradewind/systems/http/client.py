"""What every HTTP client of Tradewind has in common: APIs as sources, job servers, Livy and YARN.

TLS, timeouts and proxy; which answers may pass by themselves, and what they ask to wait. How an
error is named is a matter of who asks: `tradewind.systems.http.session` reads data,
`tradewind.systems.http.job_server` runs jobs.
"""

from __future__ import annotations

import datetime
import email.utils
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tradewind.concealing import keep_addresses_out_of_logs
from tradewind.errors import MissingExtraError, SetupError
from tradewind.systems.http.content import ACCEPTED, check_content
from tradewind.systems.http.tls import tls_context

if TYPE_CHECKING:
    import httpx

__all__ = [
    "PASSING",
    "Settings",
    "load_httpx",
    "open_client",
    "remaining",
    "seconds_asked",
]

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of trouble that may pass by itself."""

_EPOCH = 1e9
"""A larger number is seconds since 1970, a smaller one seconds to wait."""


class Settings(Protocol):
    """How to reach a server; see `tradewind.systems.http.connection.HttpConnection`."""

    @property
    def verify(self) -> bool | str | ssl.SSLContext:
        """Whether and by what to check the server's certificate."""

    @property
    def cert(self) -> str | tuple[str, str] | None:
        """Path of a client certificate, or that and the path of its key."""

    @property
    def proxy(self) -> str | None:
        """Address of a proxy; the environment's when None."""

    @property
    def connect_timeout(self) -> float:
        """Seconds until a connection stands."""

    @property
    def read_timeout(self) -> float:
        """Seconds without a byte until a request counts as broken."""

    def conceal(self, text: str) -> str:
        """Remove what is known to be secret from a text."""


def load_httpx(purpose: str = "Reading over HTTP") -> Any:
    """Import httpx.

    Args:
        purpose: What it is for, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise MissingExtraError("httpx", extra="http", purpose=purpose) from error
    keep_addresses_out_of_logs()
    return httpx


def open_client(settings: Settings, where: str, **more: Any) -> httpx.Client:
    """Open a client.

    Args:
        settings: How to reach the server.
        where: The server, for messages.
        more: What `httpx.Client` takes besides.

    Raises:
        SetupError: A setting is wrong.
    """
    library = load_httpx()
    headers = dict(more.pop("headers", {}))
    check_headers(headers, where)
    if not any(name.lower() == "accept-encoding" for name in headers):
        headers["Accept-Encoding"] = ACCEPTED
    try:
        client: httpx.Client = library.Client(
            verify=tls_context(settings, where),
            proxy=settings.proxy,
            timeout=library.Timeout(settings.read_timeout, connect=settings.connect_timeout),
            headers=headers,
            event_hooks={"response": [check_content(library)]},
            **more,
        )
    except (OSError, ValueError, ImportError, library.InvalidURL) as error:
        raise SetupError(
            f"{where}: the connection's settings are wrong ({settings.conceal(str(error))}). "
            "Correct the proxy or the address."
        ) from None
    return client


def check_headers(headers: Mapping[str, str], where: str) -> None:
    """Refuse headers that HTTP cannot send: libraries log the whole of such a one.

    Args:
        headers: Names and values.
        where: The server, for the message.

    Raises:
        SetupError: One has a line's end or the like in it, or letters beyond ASCII.
    """
    for name, value in headers.items():
        if not value.isascii() or any(one < " " and one != "\t" for one in value):
            raise SetupError(
                f"{where}: the header {name} has letters that HTTP cannot send. Write headers, "
                "tokens and keys of the connection in one line of ASCII."
            )


def seconds_asked(response: httpx.Response) -> float | None:
    """Read Retry-After (RFC 9110, section 10.2.3): seconds or a date; or when a limit ends.

    Returns:
        Seconds from now on; None where the answer asks for none.
    """
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return _reset(response)
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - datetime.datetime.now(datetime.UTC)).total_seconds())


def remaining(response: httpx.Response) -> str | None:
    """Read how many requests a rate limit still allows."""
    for name in ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"):
        if name in response.headers:
            return str(response.headers[name]).strip()
    return None


def _reset(response: httpx.Response) -> float | None:
    """Read when a used-up limit begins anew: seconds from now on, or since 1970."""
    if remaining(response) != "0":
        return None
    for name in ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"):
        value = response.headers.get(name, "").strip()
        if value.isdecimal():
            number = float(value)
            return max(0.0, number - time.time()) if number > _EPOCH else number
    return None
