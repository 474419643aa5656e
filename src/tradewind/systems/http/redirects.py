"""Where a redirect leads to, and what of a request goes there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tradewind.errors import InputError, SetupError
from tradewind.systems.http.calls import Call
from tradewind.systems.http.client import load_httpx
from tradewind.systems.http.connection import masked, origin

if TYPE_CHECKING:
    import httpx

__all__ = ["redirected"]


def redirected(
    call: Call, response: httpx.Response, location: str, own: tuple[str, str, int]
) -> Call:
    """Give the request that follows a redirect (RFC 9110, section 15.4).

    Args:
        call: What was asked.
        response: The redirect.
        location: Where it leads to, as the server says it.
        own: Scheme, host and port of the connection, for which alone a body is meant.

    Raises:
        InputError: It leads to no address of HTTP.
        SetupError: It leads what is sent to another host.
    """
    where = f"HTTP API at {masked(str(response.url))}"
    try:
        url = str(response.url.join(location))
        scheme, *_ = origin(url)
    except (load_httpx().InvalidURL, ValueError):
        raise InputError(
            f"{where}: it redirects to something that is no address. Correct the address, or have "
            "the server send a right one."
        ) from None
    if scheme not in ("http", "https"):
        raise InputError(
            f"{where}: it redirects to an address of {scheme[:20]!r}, and only http and https are "
            "followed. Correct the address, or name as the source what it leads to."
        )
    keeps = response.status_code in (307, 308) or call.method.upper() in ("GET", "HEAD")
    if not keeps:
        return replace(call, method="GET", url=url, params={}, body=None, content=None)
    if origin(url) != own and (call.body or call.content):
        raise SetupError(
            f"{where}: it redirects a {call.method} to {masked(url)}; what is sent is meant for "
            "one host alone. Correct the address of the connection."
        )
    return replace(call, url=url, params={})
