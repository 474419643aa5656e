"""What ``tradewind doctor`` asks an HTTP API: one GET."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.request import getproxies, proxy_bypass

from tradewind.doctor import Check, clock, failed, is_local, reach, tls
from tradewind.errors import TradewindError
from tradewind.systems.http.calls import Call, Streamed
from tradewind.systems.http.connection import HttpConnection, Retries, masked
from tradewind.systems.http.session import HttpSession
from tradewind.systems.http.tls import tls_context

__all__ = ["checks"]


def checks(settings: HttpConnection | str, named: str, timeout: float) -> Iterator[Check]:
    """Look at an API: reach, TLS, credentials, clock.

    Args:
        settings: How to reach it, or its URI.
        named: The path to ask for; empty for the connection's own address.
        timeout: Seconds that an answer may take.
    """
    given = HttpConnection.from_uri(settings) if isinstance(settings, str) else settings
    asked = replace(
        given,
        connect_timeout=timeout,
        read_timeout=timeout,
        retries=Retries(attempts=1),
        rate=None,
    )
    scheme, host, port = given.origin
    if given.proxy is None and (scheme not in getproxies() or proxy_bypass(host)):
        reached = reach(host, port, timeout)
        yield reached
        if reached.status == "fail":
            return
        if scheme == "https":
            secure = tls(host, port, timeout, _trusted(given))
            yield secure
            if secure.status == "fail":
                return
    if scheme == "http" and not is_local(host):
        yield Check(
            "warn",
            "TLS",
            "none: who is in between can read credentials and data",
            "Give an address that begins with https://.",
        )
    try:
        with HttpSession(asked) as session:
            yield from _answer(session, asked, named)
    except TradewindError as error:
        yield failed("answer", error)


def _trusted(given: HttpConnection) -> ssl.SSLContext:
    context = tls_context(given, "HTTP API")
    if isinstance(context, ssl.SSLContext):
        return context
    # As httpx does for a bool.
    import httpx

    return httpx.create_ssl_context(verify=context)


def _answer(session: HttpSession, asked: HttpConnection, named: str) -> Iterator[Check]:
    url = asked.url(named)
    call = Call("GET", url, ends=frozenset(range(300, 600)))
    found: Any = session.read(
        call, limit=0, check=lambda answer: answer, streams=lambda response: True
    )
    assert isinstance(found, Streamed)  # noqa: S101
    with closing(found.chunks):  # type: ignore[type-var]
        status, date = found.answer.status, found.answer.headers.get("date")
    said = f"{masked(url)} answers {status}"
    if status in (401, 403, 407):
        yield Check(
            "fail",
            "credentials",
            said + ("" if asked.auth or asked.headers else "; the connection has none"),
            "Correct login, password or headers of the connection.",
        )
    elif status >= 500:
        yield Check("fail", "answer", said, "Look at the server's log, or try again later.")
    elif status == 404 and named:
        yield Check("fail", "answer", said, "Correct the path.")
    elif status >= 400:
        yield Check(
            "warn",
            "answer",
            f"{said}, which tells nothing of the credentials",
            "Name a path that answers a GET, as --connection ID=PATH.",
        )
    else:
        yield Check("ok", "answer", said)
    yield from clock(date)
