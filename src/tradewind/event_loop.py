"""Event loops in threads of their own, and coroutines on them, for code that knows of neither."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from tradewind.errors import RetryError

__all__ = ["LoopThread", "Running"]

_T = TypeVar("_T")


class Running(Generic[_T]):
    """A coroutine on the loop of another thread.

    What `asyncio.run_coroutine_threadsafe` returns says that it is done as soon as it is cancelled;
    this one when it has ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> None:
        self._loop = loop
        self._outcome: Future[_T] = Future()
        self._task: asyncio.Task[_T] | None = None

        def start() -> None:
            self._task = loop.create_task(work)
            self._task.add_done_callback(self._end)

        loop.call_soon_threadsafe(start)

    def _end(self, task: asyncio.Task[_T]) -> None:
        if task.cancelled():
            self._outcome.set_exception(RetryError("It was taken back."))
        elif (error := task.exception()) is not None:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def done(self) -> bool:
        """Tell whether the call has ended."""
        return self._outcome.done()

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the result of the call, at most ``timeout`` seconds."""
        return self._outcome.result(timeout)

    def on_end(self, call: Callable[[], object]) -> None:
        """Call this when the call has ended."""
        self._outcome.add_done_callback(lambda _: call())

    def cancel(self) -> None:
        """Cancel the call in its event loop."""

        def cancel() -> None:
            if self._task is not None:
                self._task.cancel()

        self._loop.call_soon_threadsafe(cancel)


class LoopThread:
    """An event loop in a thread of its own, which closes the loop once it has ended.

    So the loop is closed however the caller is interrupted while it waits for that.

    Args:
        name: Of the thread.

    Attributes:
        loop: The event loop.
    """

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self.loop,), name=name, daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self.loop.close()
            raise

    @property
    def running(self) -> bool:
        """Whether the loop still takes work."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> None:
        """Cancel what is left on the loop, and end it. May be called again, from any thread.

        Args:
            timeout: Seconds to wait for it; the thread ends it also later than that.
        """
        if not self._thread.is_alive() or sys.is_finalizing():
            return
        with contextlib.suppress(RuntimeError):  # it is closed by now
            self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
