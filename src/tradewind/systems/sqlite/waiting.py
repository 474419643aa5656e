"""Says that SQLite waits for a lock: the library itself waits in silence."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

__all__ = ["told"]

_log = logging.getLogger(__name__)
_PATIENCE = 2.0
"""Seconds after which a step that is usually done at once is worth a line."""


@contextlib.contextmanager
def told(system: str, timeout: float, why: str) -> Iterator[None]:
    """Log, if what is done inside takes long, whom it probably waits for, and how long it will.

    Args:
        system: The file.
        timeout: Seconds after which SQLite gives up.
        why: Whom it waits for.
    """
    timer = threading.Timer(
        _PATIENCE,
        lambda: _log.warning(
            "%s: %s; waiting for up to %.0f s (lock_timeout).", system, why, timeout
        ),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
