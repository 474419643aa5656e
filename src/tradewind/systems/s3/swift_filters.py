"""What the local Swift has in its pipelines: a cache, the key pair, a closed door.

A module of its own, because PasteDeploy imports it by its name while that one runs as a program.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from swift.common.bufferedhttp import BufferedHTTPConnection
from swift.common.middleware.tempauth import TempAuth

__all__ = [
    "ACCOUNT",
    "InMemoryCache",
    "WsgiApp",
    "cache_factory",
    "insiders_only_factory",
    "key_pair_factory",
    "show_as_insider",
]

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

ACCOUNT = "AUTH_local"
"""Swift's account that all buckets are in."""

_INSIDER = "Insider"
_PASSWORD = secrets.token_hex(32)


class InMemoryCache:
    """What Swift asks of memcached (`swift.common.memcached.MemcacheRing`), for one process."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, raise_on_error: bool = False) -> Any:
        """Look up a value; None when there is none or its time is over."""
        value, end = self._entries.get(key, (None, 0.0))
        if end and end < time.monotonic():
            del self._entries[key]
            return None
        return value

    def set(
        self,
        key: str,
        value: Any,
        serialize: bool = True,
        time: float = 0,
        min_compress_len: int = 0,
        raise_on_error: bool = False,
    ) -> None:
        """Keep a value for a time in seconds, or without end."""
        self._entries[key] = (value, _now() + time if time else 0.0)

    def delete(self, key: str, server_key: str | None = None) -> None:
        """Forget a value."""
        self._entries.pop(key, None)

    def incr(self, key: str, delta: int = 1, time: float = 0) -> int:
        """Add to a number that begins at 0."""
        value = max(0, int(self.get(key) or 0) + delta)
        self.set(key, value, time=time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0) -> int:
        """Take from a number."""
        return self.incr(key, -delta, time)


def _now() -> float:
    return time.monotonic()


def cache_factory(global_conf: dict[str, str], **_: str) -> Callable[[WsgiApp], WsgiApp]:
    """Make the filter that offers `InMemoryCache` to Swift (PasteDeploy's filter factory)."""
    cache = InMemoryCache()

    def wrap(app: WsgiApp) -> WsgiApp:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return call

    return wrap


def key_pair_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[WsgiApp], WsgiApp]:
    """Make Swift's TempAuth with the one user whose key pair is in the environment.

    TempAuth's own configuration wants the secret in a file and an access key of the form
    ``account:user``.
    """

    def wrap(app: WsgiApp) -> WsgiApp:
        auth = TempAuth(app, {**global_conf, **local_conf})
        auth.users = {
            os.environ["AWS_ACCESS_KEY_ID"]: {
                "key": os.environ["AWS_SECRET_ACCESS_KEY"],
                "groups": [".admin"],
                "url": f"$HOST/v1/{ACCOUNT}",
            }
        }
        authenticated: WsgiApp = auth
        return authenticated

    return wrap


def insiders_only_factory(global_conf: dict[str, str], **_: str) -> Callable[[WsgiApp], WsgiApp]:
    """Make the filter that keeps everybody but this process from the storage servers.

    Made for a closed network, they ask for no key themselves.
    """

    def wrap(app: WsgiApp) -> WsgiApp:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            shown = str(environ.get("HTTP_" + _INSIDER.upper(), ""))
            if secrets.compare_digest(shown.encode(), _PASSWORD.encode()):
                return app(environ, start_response)
            start_response("403 Forbidden", [("Content-Length", "0")])
            return []

        return call

    return wrap


def show_as_insider() -> None:
    """Let each connection that Swift opens say that it comes from this process."""
    plain = BufferedHTTPConnection.putrequest

    def putrequest(self: Any, *arguments: Any, **options: Any) -> Any:
        result = plain(self, *arguments, **options)
        self.putheader(_INSIDER, _PASSWORD)
        return result

    BufferedHTTPConnection.putrequest = putrequest
