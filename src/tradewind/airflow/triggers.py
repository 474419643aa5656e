"""Watching deferred work: one listing call a system and interval, however many tasks wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work_context import line_text
from tradewind.backoff import hearing
from tradewind.errors import CancelledError, RetryError, TradewindError

if TYPE_CHECKING:
    from tradewind.run.backend import Backend, JobStatus, LogLine

__all__ = ["Watcher", "WorkTrigger"]

T = TypeVar("T")

_LINES_AT_ONCE = 1_000
#: A log is a call of its own for each job, so it is read less often than all is listed,
#: and the less often the more there are: some 20 a second at most.
_LOG_SECONDS = 10.0
_LOGS_PER_SECOND = 20
_LOG_THREADS = 4
#: Work is given seconds to end in order.
_ENDERS = ThreadPoolExecutor(16, "tradewind-end")
#: A task that is to collect work that has ended is in one of these states.
_COLLECTING = ("scheduled", "queued", "running")


class WorkTrigger(BaseTrigger):
    """Fires when a job has ended; writes its log meanwhile.

    Memory: a thousand lines of its log.

    Args:
        spec: `BackendSpec` of the system, as a dict.
        name: What the work is called there.
        number: Which job of its owner it is.
        started: Whether the task that waits has started it.
        poll_interval: Seconds between two listings of the system; the shortest one asked for.
        cursor: Of the last line of the log that is known.
        about: What runs where, in words, for the log.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        name: str,
        number: int,
        started: bool,
        poll_interval: float = 5.0,
        cursor: str | None = None,
        about: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.spec = spec
        self.name = name
        self.number = number
        self.started = started
        self.poll_interval = poll_interval
        self.cursor = cursor
        self.about = about

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what makes this trigger again, in another triggerer maybe."""
        names = ("spec", "name", "number", "started", "poll_interval", "cursor", "about")
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {name: getattr(self, name) for name in names},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the end of the work, or for what only the task itself can tell a person."""
        self.log.info("Waiting for %s%s.", self.name, self.about and f", {self.about}")
        try:
            await self._wait()
        except TradewindError as error:
            # `supervise` meets the same, and fails where a person sees it; the work stays.
            self.log.error("%s", error)
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "name": self.name,
                "number": self.number,
                "started": self.started,
                "cursor": self.cursor,
            }
        )

    async def _wait(self) -> None:
        watcher = await self._join()
        read_again = 0.0
        try:
            seen = watcher.begun
            while True:
                seen, status = await watcher.news(self.name, seen)
                if status is None or status.state.ended:
                    # `supervise` writes the rest of the log, and knows what it means when it is
                    # gone.
                    return
                if time.monotonic() >= read_again:
                    await self._write_log(watcher)
                    pause = max(_LOG_SECONDS, watcher.members / _LOGS_PER_SECOND)
                    read_again = time.monotonic() + max(pause, self.poll_interval)
        finally:
            watcher.leave()

    async def _join(self) -> Watcher:
        told = False
        while True:
            try:
                return await Watcher.join(BackendSpec(**self.spec), self.poll_interval)
            except RetryError as error:
                if not told:
                    self.log.warning("%s Trying again each %.0f s.", error, self.poll_interval)
                    told = True
                await asyncio.sleep(self.poll_interval)

    async def on_kill(self) -> None:
        """Stop and remove the work, if it is a person who has ended the task.

        Airflow calls this, too, when it has given the trigger to another triggerer.
        """
        state = await asyncio.to_thread(self._state)
        if state == "deferred":
            # Cleared and waiting again, the task's new life has ended what this one has waited for.
            self.log.info(
                "%s is left alone here: its task waits, in another triggerer or in a later life "
                "that has ended what it does not want.",
                self.name,
            )
            return
        call = partial(copy_context().run, self._end, state)
        ending = asyncio.get_running_loop().run_in_executor(_ENDERS, call)
        # Airflow waits for half a minute. When a person ends very many tasks it may take longer.
        await asyncio.shield(ending)

    def _end(self, state: str | None) -> None:
        from tradewind.run.supervise import end

        backend = BackendSpec(**self.spec).open()
        try:
            if state in _COLLECTING and backend.status(self.name).state.ended:
                # The other triggerer has seen it.
                self.log.info("%s has ended: its task collects it.", self.name)
                return
            end(backend, self.name)
        finally:
            backend.close()
        self.log.info("Stopped and removed %s.", self.name)

    def _state(self) -> str | None:
        """Ask for the state of the task that is waited for; None where there is none."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ti = self.task_instance
        if ti is None:
            return None
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, map_index=ti.map_index, task_ids=[ti.task_id], run_ids=[ti.run_id]
        )
        # A mapped task's key has its index behind its id.
        state = next(iter((states.get(ti.run_id) or {}).values()), None)
        return None if state is None else str(getattr(state, "value", state))

    async def _write_log(self, watcher: Watcher) -> None:
        lines = watcher.backend.logs(self.name, self.cursor, wait=0)
        try:
            while batch := await watcher.in_thread(_take, lines):
                for line in batch:
                    self.log.info("%s", line_text(line))
                self.cursor = batch[-1].cursor
        except RetryError as error:
            self.log.warning("%s", error)
        finally:
            # Cancelled in the middle, a thread is still at it, and drops it at its end.
            with suppress(ValueError, AttributeError):
                lines.close()  # type: ignore[attr-defined]


def _take(lines: Iterator[LogLine]) -> list[LogLine]:
    return list(islice(lines, _LINES_AT_ONCE))


class Watcher:
    """Lists all of Tradewind's work on one system, for all triggers of this triggerer.

    Memory: a status of each job there.

    Args:
        key: Of the system.
        backend: The system.
    """

    _watchers: dict[tuple[int, str], asyncio.Future[Watcher]] = {}  # noqa: RUF012 - one table
    # for the whole triggerer; by event loop, since a process may run one after the other.

    def __init__(self, key: tuple[int, str], backend: Backend[Any]) -> None:
        self.backend = backend
        self.members = 0
        self.begun = 0
        """Number of the listing that is under way, or was last."""
        self._key = key
        self._interval = float("inf")
        self._statuses: dict[str, JobStatus] = {}
        self._error: TradewindError | None = None
        self._done = 0
        self._left = False
        self._listed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        # Listing waits for no log.
        self._lister = ThreadPoolExecutor(1, "tradewind-watch")
        self._readers = ThreadPoolExecutor(_LOG_THREADS, "tradewind-logs")

    @classmethod
    async def join(cls, spec: BackendSpec, interval: float) -> Watcher:
        """Find the watcher of a system, or make it.

        Args:
            spec: Which system.
            interval: Seconds between two listings at most.

        Returns:
            The watcher; it is to be left with `leave`.

        Raises:
            TradewindError: The system cannot be used.
        """
        loop = asyncio.get_running_loop()
        key = (id(loop), spec.key)
        while (found := cls._watchers.get(key)) is None or found.done():
            if found is not None and not found.cancelled() and found.exception() is None:
                return found.result()._joined(interval)
            found = cls._watchers[key] = loop.create_future()
            try:
                backend = await asyncio.to_thread(spec.open)
            except BaseException as error:
                cls._watchers.pop(key, None)
                if isinstance(error, TradewindError):
                    found.set_exception(error)
                    found.exception()  # it may be that nobody else waits for it
                else:
                    found.cancel()
                raise
            watcher = cls(key, backend)
            found.set_result(watcher)
            return watcher._joined(interval)
        # Another trigger is about to make it; who is cancelled does not cancel it for all.
        try:
            return (await asyncio.shield(found))._joined(interval)
        except asyncio.CancelledError:
            if not found.cancelled():
                raise
        # That one was cancelled: this one makes it.
        return await cls.join(spec, interval)

    def _joined(self, interval: float) -> Watcher:
        self.members += 1
        if self._key not in self._watchers:
            # The last one has left while this one was told of it.
            self.members -= 1
            raise RetryError("The watcher has just ended.")
        if interval < self._interval:
            self._interval = interval
            self._sooner.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._list())
        return self

    def leave(self) -> None:
        """Be one fewer; the last one ends the listing."""
        self.members -= 1
        if not self.members:
            self._left = True
            self._watchers.pop(self._key, None)
            if self._task is not None:
                self._task.cancel()
            # After the listing that is under way; it may wait for a connection to end.
            self._lister.submit(self.backend.close)
            self._lister.shutdown(wait=False)
            self._readers.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function that reads a log, beside few others.

        Args:
            function: Is called in a thread.
            arguments: What it takes.
        """
        call = partial(self._heard, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    def _heard(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call what may wait for the system; once all triggers have left, it waits no more."""

        def ask() -> None:
            if self._left:
                raise CancelledError(f"{self.backend.name}: nobody waits for its work any more.")

        with hearing(ask):
            return function(*arguments)

    async def news(self, name: str, seen: int) -> tuple[int, JobStatus | None]:
        """Wait for a listing that began later than one, and tell what it shows of some work.

        Args:
            name: What the work is called.
            seen: Number of that listing.

        Returns:
            The listing's number, and what it shows; None: the work is gone.

        Raises:
            TradewindError: The system cannot be used any more, by what it says.
        """
        async with self._listed:
            await self._listed.wait_for(lambda: self._done > seen)
            if self._error is not None:
                raise self._error
            return self._done, self._statuses.get(name)

    async def _list(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.begun += 1
            began = loop.time()
            statuses: dict[str, JobStatus] = self._statuses
            error: TradewindError | None = None
            passing = False
            try:
                statuses = await loop.run_in_executor(self._lister, self._heard, self._look)
            except RetryError:
                # The next interval asks again, and the defer timeout has an end.
                passing = True
            except TradewindError as said:
                error = said
            except Exception as said:
                error = TradewindError(f"{self.backend.name}: {type(said).__name__}: {said}")
            if not passing:
                async with self._listed:
                    self._statuses, self._error, self._done = statuses, error, self.begun
                    self._listed.notify_all()
            self._sooner.clear()
            rest = self._interval - (loop.time() - began)
            with suppress(TimeoutError):
                # Whoever asks for a shorter interval does not wait for a longer one.
                await asyncio.wait_for(self._sooner.wait(), max(rest, 0.05))

    def _look(self) -> dict[str, JobStatus]:
        return {job.name: job.status for job in self.backend.list()}
