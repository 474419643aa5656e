"""Actions whose logs, at their finest level, and whose output go into a file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any


def loudly(actions: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    def run(what: str, log: str, variables: dict[str, str], arguments: dict[str, Any]) -> Any:
        """Carry out an action with other variables; only for a process that ends then."""
        os.environ.update(variables)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(file, stream)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        logging.basicConfig(level=logging.DEBUG, force=True)
        return actions[what](**arguments)

    return run
