"""How a command that moves data ends on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from types import FrameType

__all__ = ["GRACE", "Stop"]

GRACE = 5.0
"""Seconds after which a move that was asked to stop and waits for another system is broken off."""


class _Asked(threading.Event):
    """Set when the move is asked to stop; knows whether it has taken note."""

    noticed = False

    def is_set(self) -> bool:
        found = super().is_set()
        self.noticed = self.noticed or found
        return found


class Stop:
    """Ctrl-C and SIGTERM end the move with its next piece of data.

    Where none comes by, another system is being waited for: that is broken off by a second signal,
    or after some seconds by itself.
    """

    def __init__(self) -> None:
        self.event = _Asked()
        self.signal = 0
        self._restore = ExitStack()

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: it is to outlive its terminal
            self._restore.callback(signal.signal, number, signal.signal(number, self._take))
        return self

    def __exit__(self, *_: object) -> None:
        self._restore.close()

    def _take(self, number: int, _: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        self.event.set()
        main = threading.get_ident()

        def again() -> None:
            if not self.event.noticed:
                # To the main thread: a signal of another one does not interrupt its waiting.
                signal.pthread_kill(main, number)

        timer = threading.Timer(GRACE, again)
        timer.daemon = True
        self._restore.callback(timer.cancel)
        timer.start()
