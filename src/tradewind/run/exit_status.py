"""How the end of a process is told in words."""

from __future__ import annotations

import signal
from typing import Any

from tradewind.former_names import former_attribute

__all__ = ["describe_exit_status"]


def describe_exit_status(code: int) -> str:
    """Say what an exit status means.

    Args:
        code: As a shell or a container engine tells it; above 128 it is that of a process ended
            by a signal.

    Returns:
        What happened, to stand after the name of the place: ``it was ended by SIGKILL, ...``.
    """
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            return f"it ended with exit status {code}"
        hint = " (out of memory, or killed by hand)" if name == "SIGKILL" else ""
        return f"it was ended by {name}{hint}, exit status {code}"
    hint = {126: " (the command cannot be run)", 127: " (there is no such command)"}.get(code, "")
    return f"it ended with exit status {code}{hint}"


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
