"""Waiting until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]


def until(true: Callable[[], object], *, seconds: float = 30) -> None:
    """Look again and again, and fail where it is not so in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.02)
