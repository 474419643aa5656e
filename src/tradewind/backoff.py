"""Waits between the attempts of one request: one rule for all clients of our own.

Full jitter: before attempt n + 1 chance between 0 and ``first * 2 ** (n - 1)`` seconds, at most
``longest``. What a server asks for itself (Retry-After) it gets, and up to `first` more. Source:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

Not by tenacity: the core needs numpy and pyarrow alone, and importing tenacity takes 0.1 s or more
of a process that the formula costs one line. It would not spare what is different in each client
either: which error may pass, and from where a reading goes on.

Who supervises outside work has a rule of its own, since it reads logs and obeys in between
(`tradewind.run.supervise`); client libraries of vendors (boto3, Azure's, PyMongo) have theirs.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tradewind.errors import CancelledError

__all__ = ["Backoff", "hearing", "rest"]

_HEAR_SECONDS = 1.0
_heard: ContextVar[Callable[[], None] | None] = ContextVar("tradewind_heard", default=None)


class Backoff:
    """How long to wait before an attempt is made again.

    Args:
        first: The most seconds before the second attempt; twice as many before each further one.
        longest: The most seconds of a wait, where the server asks for none.
        stop: Ends a wait once it is set.
    """

    def __init__(
        self,
        *,
        first: float = 0.5,
        longest: float = 8.0,
        stop: threading.Event | None = None,
    ) -> None:
        self._first = first
        self._longest = longest
        self._stop = stop

    def seconds(self, attempt: int, asked: float | None = None) -> float:
        """Tell how long to wait.

        Args:
            attempt: Which one has failed, counted from 1.
            asked: Seconds that the server asks to wait, where it does.
        """
        if asked is not None:
            return asked + random.uniform(0, self._first)  # noqa: S311
        return random.uniform(0, min(self._longest, self._first * 2 ** (attempt - 1)))  # noqa: S311

    def rest(self, attempt: int, asked: float | None = None) -> None:
        """Wait.

        Args:
            attempt: As `seconds` takes it.
            asked: As `seconds` takes it.

        Raises:
            CancelledError: It was asked to stop.
        """
        rest(self.seconds(attempt, asked), self._stop)


@contextmanager
def hearing(ask: Callable[[], None] | None) -> Iterator[None]:
    """Let waits of this thread hear that they are to end, however deep in a client they are.

    Args:
        ask: Is called about each second of a wait; what it raises ends the wait. None: nothing
            ends them, as where outside work is being ended.
    """
    token = _heard.set(ask)
    try:
        yield
    finally:
        _heard.reset(token)


def rest(seconds: float, stop: threading.Event | None = None) -> None:
    """Wait, and hear a stop meanwhile.

    Args:
        seconds: How long.
        stop: Ends it once it is set.

    Raises:
        CancelledError: It was set.
        Exception: What a surrounding `hearing` raises.
    """
    ask = _heard.get()
    last = time.monotonic() + seconds
    while True:
        left = max(0.0, last - time.monotonic())
        pause = left if ask is None else min(left, _HEAR_SECONDS)
        if stop is None:
            time.sleep(pause)
        elif stop.wait(pause):
            raise CancelledError("A wait for another system was asked to stop.")
        if ask is not None:
            with hearing(None):  # what it asks may wait itself
                ask()
        if pause >= left:
            return
