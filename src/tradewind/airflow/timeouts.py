"""Airflow's `execution_timeout`, fired at a safe point."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from tradewind.errors import CancelledError

__all__ = ["timeout_held_back", "timeout_kept"]

_PATIENCE = 5.0


@contextmanager
def timeout_kept(limit: timedelta | None, stop: threading.Event) -> Iterator[None]:
    """Hold a task to its `execution_timeout` also where Airflow's own is lost.

    Airflow raises it once, from a signal handler, in whatever the main thread does. Where that is
    a callback of a weak reference or a `__del__`, Python prints it and goes on: the task would run
    to its end, and succeed.

    Args:
        limit: Of the task; None for none.
        stop: Is set five seconds after it, and ends what runs with `CancelledError`.

    Raises:
        AirflowTaskTimeout: It has ended by that.
    """
    if limit is None:
        yield
        return
    from airflow.sdk.exceptions import AirflowTaskTimeout

    came = threading.Event()

    def end() -> None:
        came.set()
        stop.set()

    timer = threading.Timer(limit.total_seconds() + _PATIENCE, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except CancelledError as error:
        if not came.is_set():
            raise
        raise AirflowTaskTimeout(f"Timeout: it ran longer than {limit}.") from error
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def timeout_held_back(patience: float = _PATIENCE) -> Iterator[Callable[[], None]]:
    """Hold back the timeout of a task until it is asked for.

    Airflow's handler of the alarm writes a line of the task's log and raises, wherever the task is.
    Where that is in the middle of writing a line, the lock of the log is taken already, and both
    wait for ever: a task whose work writes much would hang at its timeout
    (``airflow.sdk.execution_time.timeout``, 3.3).

    Args:
        patience: Seconds after which it is raised all the same, when nobody has asked.

    Yields:
        What raises the timeout, if it has come: to be called often, where nothing is half done.
    """
    handler = signal.getsignal(signal.SIGALRM)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield lambda: None
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            handler(number, frame)
        came = True
        signal.setitimer(signal.ITIMER_REAL, patience)

    def meet() -> None:
        if came:
            signal.setitimer(signal.ITIMER_REAL, 0)
            handler(signal.SIGALRM, None)

    signal.signal(signal.SIGALRM, note)
    try:
        yield meet
    finally:
        if came:
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
