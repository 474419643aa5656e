"""The log of a container: followed over one connection, and read to its end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from tradewind.backoff import rest
from tradewind.errors import RetryError, TradewindError
from tradewind.run.backend import LogLine, join_last
from tradewind.run.log_messages import ENDED, LogReader, just_before, seconds_of
from tradewind.systems.docker.engine import Engine, EngineRefusedError
from tradewind.systems.docker.terminal_log import TerminalReader

__all__ = ["ContainerLogs"]

#: Batches of lines that are read ahead, each of what has come at once.
_BATCHES_AHEAD = 64
#: How long after a taking of lines the next wait for some begins, in seconds.
_REST = 0.001
#: How long a connection may be silent whose end is waited for, in seconds.
_SILENCE = 1.0
#: How long after its end a log is not followed anew, in seconds: the engine ends the log of a
#: container a moment before it says that the container has ended. One that restarts has more.
_ENDED_SECONDS = 2.0
#: The engine counts a long line as several messages, each of 16 KiB: 2 MiB at most.
_LAST_MESSAGES = 128


class ContainerLogs:
    """The logs of an engine's containers. May be used from several threads, for several containers.

    Args:
        engine: Where the containers are.
        inspect: Gives what the engine tells of a container; None where there is none.
    """

    def __init__(self, engine: Engine, inspect: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._engine = engine
        self._inspect = inspect
        self._followers: dict[str, Follower] = {}
        #: When a log ended whose container may not have: there is nothing to follow for a moment.
        self._ended: dict[str, float] = {}

    def close(self) -> None:
        """End all connections."""
        for name in list(self._followers):
            self.forget(name)

    def forget(self, name: str) -> None:
        """End the connection to a container's log, where there is one."""
        follower = self._followers.pop(name, None)
        self._ended.pop(name, None)
        if follower is not None:
            follower.close()

    def read(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read what has come since, over a connection that stays open from call to call.

        Args:
            name: The container's.
            after: Cursor of the last line known; None for all from the beginning.
            wait: How long to wait for more, in seconds; 0 for what is there.
        """
        follower = self._followers.pop(name, None)
        if follower is not None and follower.cursor != after:
            follower.close()
            follower = None
        if wait and time.monotonic() - self._ended.get(name, -_ENDED_SECONDS) < _ENDED_SECONDS:
            rest(wait)
            return
        told = self._inspect(name) if follower is None or wait == 0 else {}
        try:
            if told is None:
                return
            if wait == 0:
                yield from self._read_to_the_end(name, after, told, follower)
                return
            if follower is None:
                follower = Follower(self._engine, name, after, told=told, follow=True)
            while (lines := follower.take(wait)) is not None:
                if not lines:
                    self._followers[name], follower = follower, None
                    return
                yield from lines
                follower.cursor = lines[-1].cursor
            self._ended[name] = time.monotonic()
        finally:
            # Whoever stops between two lines comes back with a cursor, over a new connection.
            if follower is not None:
                follower.close()

    def _read_to_the_end(
        self, name: str, after: str | None, told: Mapping[str, Any], follower: Follower | None
    ) -> Iterator[LogLine]:
        """Read what is there.

        The engine reads its file from the beginning also when it is given a cursor: it is asked to
        only where it is not enough to go on following, and to ask for the last lines.
        """
        if follower is not None and told["State"]["Status"] in ENDED:
            while lines := follower.take(_SILENCE):
                yield from lines
                after = follower.cursor = lines[-1].cursor
        # Docker 20.10 may end what is followed before its last lines.
        last = self._last(name, after, told) if after else None
        if last is not None:
            yield from last
            return
        reader = Follower(self._engine, name, after, told=told, follow=False)
        try:
            while (lines := reader.take(None)) is not None:
                yield from lines
        finally:
            reader.close()

    def _last(self, name: str, after: str, told: Mapping[str, Any]) -> list[LogLine] | None:
        """Ask for the lines after a cursor where they are few; None where there may be more."""
        reader = LogReader(told, after)
        # Of a line in several parts podman counts and sends the last part alone.
        if reader.tty or self._engine.is_podman:
            return None
        # Fewer messages than asked for: it has left out those before the cursor, or there are none.
        found = list(reader.lines([self._ask_for_last(name, after)]))
        return list(chain.from_iterable(found)) if reader.count < _LAST_MESSAGES else None

    def last_line(self, name: str) -> str | None:
        """Tell the last line.

        Raises:
            InputError: It is longer than 16 MiB.
        """
        told = self._inspect(name)
        if told is None:
            return None
        if self._engine.is_podman:
            return join_last(self._read_to_the_end(name, None, told, None), where=f"Docker: {name}")
        reader = LogReader(told)
        found = list(chain.from_iterable(reader.lines([self._ask_for_last(name, None)])))
        # A whole line before it says that the last one is whole too.
        if any(not line.goes_on for line in found[:-1]) or reader.count < _LAST_MESSAGES - 1:
            return join_last(found, where=f"Docker: {name}")
        return join_last(self._read_to_the_end(name, None, told, None), where=f"Docker: {name}")

    def _ask_for_last(self, name: str, after: str | None) -> bytes:
        params = {**_query(self._engine, after), "tail": str(_LAST_MESSAGES)}
        try:
            response = self._engine.ask(
                "GET", f"/containers/{name}/logs", what=f"the log of {name}", params=params
            )
        except EngineRefusedError as error:
            if error.status == 404:
                # Gone: the next look at the container says so.
                raise RetryError(str(error)) from error
            raise
        return response.content


class Follower:
    """One open connection to a container's log, read by a thread of its own.

    Args:
        engine: Where the container is.
        name: The container's.
        after: Cursor of the last line known; None for all from the beginning.
        told: What the engine tells of the container.
        follow: Whether the log is waited for; else it ends where it ends now.
    """

    def __init__(
        self, engine: Engine, name: str, after: str | None, *, told: Mapping[str, Any], follow: bool
    ) -> None:
        self.cursor = after
        self._engine = engine
        self._lines: queue.Queue[list[LogLine] | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
        self._closed = threading.Event()
        self._taken = 0.0
        self._reader: LogReader | TerminalReader
        if _has_no_times(engine, told, after):
            self._reader = TerminalReader(after, ended=told["State"]["Status"] in ENDED)
            params = {**_query(engine, None), "timestamps": "0", "follow": str(int(follow))}
        else:
            self._reader = LogReader(told, after)
            params = {**_query(engine, after), "follow": str(int(follow))}
        self._tail = engine.tail(
            f"/containers/{name}/logs", what=f"the log of {name}", params=params
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self, wait: float | None) -> list[LogLine] | None:
        """Take the next lines: none when there are none in time, None when there will be no more.

        Args:
            wait: Seconds; None waits for the end of the log.
        """
        if self._lines.empty():
            # An engine sends a few lines at a time, and to wake up for each few is not cheap. The
            # thread that reads does not rest: the engine would have to wait, which costs it more.
            time.sleep(max(0.0, self._taken + _REST - time.monotonic()))
        try:
            found = self._lines.get(timeout=wait)
        except queue.Empty:
            return []
        finally:
            self._taken = time.monotonic()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """End the connection and its thread."""
        self._closed.set()
        self._tail.end()
        while self._thread.is_alive():
            try:
                self._lines.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)

    def _read(self) -> None:
        try:
            for lines in self._reader.lines(self._tail.chunks()):
                self._lines.put(lines)
                if self._closed.is_set():
                    return
            self._lines.put(None)
        except EngineRefusedError as error:
            if not self._closed.is_set():
                # Gone, or not yet there: the next look at the container says which.
                self._lines.put(RetryError(str(error)) if error.status == 404 else error)
        except TradewindError as error:
            if not self._closed.is_set():
                self._lines.put(error)
        except Exception as error:
            if not self._closed.is_set():
                self._lines.put(RetryError(f"{self._engine.url}: the log broke off: {error!r}."))


def _has_no_times(engine: Engine, told: Mapping[str, Any], after: str | None) -> bool:
    """Say whether a log is read without times: podman puts them into a terminal's long lines."""
    tty = bool((told.get("Config") or {}).get("Tty"))
    return engine.is_podman and tty and (after is None or TerminalReader.knows(after))


def _query(engine: Engine, after: str | None) -> dict[str, str]:
    """Spell what is wanted of a log: both streams, with times, from a cursor on."""
    params = {"stdout": "1", "stderr": "1", "timestamps": "1"}
    if after:
        stamp = after.partition("/")[0]
        # Docker takes seconds with a fraction, and gives what is not older.
        params["since"] = just_before(stamp) if engine.is_podman else seconds_of(stamp)
    return params
