"""How the end of a process is told in words."""

from __future__ import annotations

import signal

__all__ = ["in_words"]


def in_words(code: int) -> str:
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
