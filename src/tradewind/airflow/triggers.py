"""Watching deferred work: one listing call a system and interval, however many tasks wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tradewind.airflow.backends import BackendSpec
from tradewind.errors import RetryError

if TYPE_CHECKING:
    from tradewind.run.backend import Backend, LogLine, Sight

__all__ = ["Watcher", "WorkTrigger"]

_LINES_AT_ONCE = 2_000
#: A log is a call of its own for each piece of work, so it is read less often than all is listed.
_LOG_SECONDS = 10.0


class WorkTrigger(BaseTrigger):
    """Fires when a piece of work has ended; writes its log meanwhile.

    Args:
        spec: `BackendSpec` of the system, as a dict.
        name: What the work is called there.
        poll_interval: Seconds between two listings of the system; the shortest one asked for.
        cursor: Of the last line of the log that is known.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        name: str,
        poll_interval: float = 5.0,
        cursor: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.spec = spec
        self.name = name
        self.poll_interval = poll_interval
        self.cursor = cursor

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give what makes this trigger again, in another triggerer maybe."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "spec": self.spec,
                "name": self.name,
                "poll_interval": self.poll_interval,
                "cursor": self.cursor,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the end of the work."""
        watcher = await Watcher.join(BackendSpec(**self.spec), self.poll_interval)
        read_again = 0.0
        try:
            while True:
                sight = await watcher.news(self.name)
                if sight is None or sight.status.ended:
                    # `attend` writes the rest of the log, and knows what it means when it is gone.
                    break
                if time.monotonic() >= read_again:
                    await self._write_log(watcher.backend)
                    read_again = time.monotonic() + max(_LOG_SECONDS, self.poll_interval)
        finally:
            watcher.leave()
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {"name": self.name, "cursor": self.cursor}
        )

    async def on_kill(self) -> None:
        """Stop and remove the work: a person has ended the task."""
        from tradewind.run.attend import end

        backend = await asyncio.to_thread(BackendSpec(**self.spec).open)
        await asyncio.to_thread(end, backend, self.name)
        self.log.info("Stopped and removed %s.", self.name)

    async def _write_log(self, backend: Backend[Any]) -> None:
        def read() -> list[LogLine]:
            lines: list[LogLine] = []
            for line in backend.logs(self.name, self.cursor, wait=0):
                lines.append(line)
                if len(lines) == _LINES_AT_ONCE:
                    break
            return lines

        while True:
            try:
                lines = await asyncio.to_thread(read)
            except RetryError as error:
                self.log.warning("%s", error)
                return
            for line in lines:
                self.log.info("%s", line.text)
            if lines:
                self.cursor = lines[-1].cursor
            if len(lines) < _LINES_AT_ONCE:
                return


class Watcher:
    """Lists all of Tradewind's work on one system, for all triggers of this triggerer.

    Args:
        spec: Which system.
        backend: The system.
    """

    _watchers: dict[str, Watcher] = {}  # noqa: RUF012 - one table for the whole triggerer

    def __init__(self, spec: BackendSpec, backend: Backend[Any]) -> None:
        self.backend = backend
        self._spec = spec
        self._interval = float("inf")
        self._members = 0
        self._sights: dict[str, Sight] = {}
        self._round = 0
        self._listed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def join(cls, spec: BackendSpec, interval: float) -> Watcher:
        """Find the watcher of a system, or make it.

        Args:
            spec: Which system.
            interval: Seconds between two listings at most.
        """
        watcher = cls._watchers.get(spec.key)
        if watcher is None:
            backend = await asyncio.to_thread(spec.open)
            # Another trigger may have been quicker meanwhile.
            watcher = cls._watchers.setdefault(spec.key, cls(spec, backend))
        watcher._members += 1
        watcher._interval = min(watcher._interval, interval)
        if watcher._task is None or watcher._task.done():
            watcher._task = asyncio.create_task(watcher._list())
        return watcher

    def leave(self) -> None:
        """Be one fewer; the last one ends the listing."""
        self._members -= 1
        if not self._members:
            self._watchers.pop(self._spec.key, None)
            if self._task is not None:
                self._task.cancel()
            close = getattr(self.backend, "close", None)
            if close is not None:
                # It may wait for a connection to end.
                asyncio.get_running_loop().run_in_executor(None, close)

    async def news(self, name: str) -> Sight | None:
        """Wait for the next listing, and tell what it shows of a piece of work; None: gone."""
        async with self._listed:
            seen = self._round
            await self._listed.wait_for(lambda: self._round > seen)
            return self._sights.get(name)

    async def _list(self) -> None:
        while True:
            try:
                sights = await asyncio.to_thread(self._look)
            except RetryError:
                # It may pass; the next interval asks again, and the defer timeout has an end.
                await asyncio.sleep(self._interval)
                continue
            async with self._listed:
                self._sights = sights
                self._round += 1
                self._listed.notify_all()
            await asyncio.sleep(self._interval)

    def _look(self) -> dict[str, Sight]:
        return {piece.name: piece.sight for piece in self.backend.list()}
