"""What is asked over HTTP, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Call", "Streamed", "TryAgainError"]


class TryAgainError(Exception):
    """An attempt failed in a way that may pass.

    Args:
        reason: What happened, without a full stop.
        wait: Seconds that the server asks to wait; None where it does not say.
        unsent: Whether the request cannot have reached the server.
    """

    def __init__(self, reason: str, *, wait: float | None = None, unsent: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.unsent = unsent


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        method: ``GET`` or another.
        url: The whole URL.
        params: Query parameters that take the place of those of the URL.
        body: What to send as JSON; None is nothing.
        content: What to send as it is, instead of `body`.
        headers: Beside those of the connection.
        ends: Statuses that are handed on though they are errors.
    """

    method: str
    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ends: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Answer:
    """What the server said.

    Args:
        status: HTTP's.
        url: Where it came from, after redirects.
        headers: With names in lower case.
        body: The whole body, uncompressed.
        encoding: The charset that the server names, if it does.
    """

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    encoding: str | None


@dataclass(frozen=True)
class Streamed:
    """An answer in a stream.

    Args:
        answer: All but its body.
        chunks: The body, uncompressed. Closing it early ends the request.
    """

    answer: Answer
    chunks: Iterator[bytes]
