"""Waiting until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

Found = TypeVar("Found")


def until(
    true: Callable[[], Found], *, seconds: float = 30, said: Callable[[], object] | None = None
) -> Found:
    """Look again and again, and fail where it is not so in time.

    Args:
        true: What has to become true.
        seconds: How long to look at the most.
        said: Tells why it may not have become so, a log for example.

    Returns:
        What `true` gave at last.
    """
    end = time.monotonic() + seconds
    while not (found := true()):
        late = f"it never became so in {seconds} s"
        assert time.monotonic() < end, said() if said is not None else late
        time.sleep(0.02)
    return found
