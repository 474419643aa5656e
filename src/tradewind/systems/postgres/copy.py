"""COPY: the bytes of tables on their way out of the server, and into it.

Between asyncpg's loop and the thread that reads or writes stand bounded queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tradewind.errors import InputError, RetryError
from tradewind.systems.postgres.session import CLOSING, Session
from tradewind.systems.postgres.sql import quoted

__all__ = ["CopyIn", "CopyOut"]

_AHEAD = 2
"""Pieces that wait between the loop's thread and the reader or writer."""
_SMALL = 128 << 10
_REST = 0.0007
"""Seconds; 256 kB in each, which is what is read at once, are more than a server sends."""
_GATHER = 1 << 20
_MESSAGE = 1 << 18
"""Bytes in one message of COPY: enough to be cheap, few enough that sending copies little."""


class CopyOut:
    """Bytes of a ``COPY ... TO STDOUT``, read ahead in a thread.

    Memory: the pieces that may wait, and one that is being gathered. What the server sends is not
    put together here: a piece is a list of bytes as they came.

    Args:
        session: Where it runs, after the one that was begun before.
        sql: The statement.
        piece: Bytes that a piece should have.
        ahead: How many pieces may wait to be read.
        check: Looks at whole rows as they come; what it raises ends the reading.

    Close it before anything else is asked of the session.
    """

    def __init__(
        self,
        session: Session,
        sql: str,
        *,
        piece: int,
        ahead: int = _AHEAD,
        check: Callable[[bytes], None] | None = None,
    ) -> None:
        self._session = session
        self._check = check
        self._sql = sql
        self._piece = piece
        self._ready: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(ahead)
        self.rows: int | None = None
        """How many there were, once all is read."""
        self._running = session.begin_running(self._copy())

    async def _copy(self) -> None:
        pieces: list[bytes] = []
        size = 0

        async def hand_on() -> None:
            nonlocal pieces, size
            await self._room.acquire()
            self._ready.put(pieces)
            pieces, size = [], 0

        async def take(data: bytes) -> None:
            nonlocal size
            if self._check is not None:
                self._check(data)
            pieces.append(data)
            size += len(data)
            if size >= self._piece:
                await hand_on()
            elif len(data) < _SMALL:
                # The server sends 8 kB at a time. Waking up for each costs four times the processor
                # that reading does, so it is let to fill the socket's buffer meanwhile.
                await asyncio.sleep(_REST)

        try:
            # The statement is complete: asyncpg's own ways to write one know too few options.
            async with self._session.turn:
                tag = await self._session.link._copy_out(self._sql, take, None)
            if pieces:
                await hand_on()
            self.rows = int(tag.rpartition(" ")[2])
        except InputError:
            # What `check` has refused. Where that came with the last piece, asyncpg cancels what
            # has ended already, and would wait until its timeout to hear so.
            self._session.link.terminate()
            raise
        finally:
            self._ready.put(None)

    def __iter__(self) -> Iterator[list[bytes]]:
        try:
            while (piece := self._ready.get()) is not None:
                self._session.loop.call_soon_threadsafe(self._room.release)
                yield piece
            try:
                self._running.result()
            except BaseException as error:
                raise self._session.translated(error, self._sql) from error
        finally:
            self.close()

    def close(self) -> None:
        """End it; on the server too. May be called again."""
        if self._running.done() or not self._session.open:
            return
        self._running.cancel()
        with contextlib.suppress(Exception):
            self._running.result(CLOSING)


class CopyIn:
    """Bytes on their way into a ``COPY ... FROM STDIN``.

    Memory: `_AHEAD` pieces that wait, one that is being gathered, of 1 MB or as they are given, and
    one that is being sent.

    Args:
        session: Where it runs.
        table: Quoted, qualified name.
        columns: Names of the columns, not quoted.
        options: Of COPY, as SQL writes their values.
    """

    def __init__(
        self, session: Session, table: str, columns: tuple[str, ...], options: dict[str, Any]
    ) -> None:
        names = ", ".join(map(quoted, columns))
        written = ", ".join(f"{name} {value}" for name, value in options.items())
        self.sql = f"COPY {table} ({names}) FROM STDIN ({written})"
        self.size = 0
        self._session = session
        self._room = threading.Semaphore(_AHEAD)
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._pieces: asyncio.Queue[list[bytes] | None] = asyncio.Queue()
        self._running = session.begin_running(self._copy())
        # Whoever waits for room shall wake when there is nobody left to make some.
        self._running.on_end(self._room.release)

    async def _copy(self) -> int:
        async def give() -> Any:
            while (pieces := await self._pieces.get()) is not None:
                self._room.release()
                for piece in pieces:
                    for start in range(0, len(piece), _MESSAGE):
                        yield piece[start : start + _MESSAGE]

        # asyncpg waits for ever where the connection is lost while it may not write.
        link = self._session.link
        task = asyncio.current_task()

        def lost(_: Any) -> None:
            if task is not None:
                task.cancel()

        link.add_termination_listener(lost)
        try:
            tag = await link._copy_in(self.sql, give(), None)
        except asyncio.CancelledError:
            if link.is_closed():
                raise ConnectionResetError("the connection was lost") from None
            raise
        finally:
            link.remove_termination_listener(lost)
        return int(tag.rpartition(" ")[2])

    def write(self, piece: bytes) -> None:
        """Send bytes; waits while enough is on its way.

        Raises:
            TradewindError: As the server says, perhaps about earlier bytes.
        """
        if not piece:
            return
        self.size += len(piece)
        self._gathered.append(piece)
        self._gathered_size += len(piece)
        if self._gathered_size >= _GATHER:
            self._send()

    def _send(self) -> None:
        """Hand over what was gathered."""
        self._room.acquire()
        if self._running.done():
            self._gathered.clear()
            self.finish()
            raise RetryError(f"{self._session.system}: COPY ended too early. Try again.")
        self._session.loop.call_soon_threadsafe(self._pieces.put_nowait, self._gathered)
        self._gathered, self._gathered_size = [], 0

    def finish(self) -> int:
        """Send the end.

        Returns:
            The rows that the server counted.

        Raises:
            TradewindError: As the server says.
        """
        if self._gathered:
            self._send()
        self._session.loop.call_soon_threadsafe(self._pieces.put_nowait, None)
        try:
            return self._running.result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise self._session.translated(error) from error

    def abort(self) -> None:
        """Take it back: nothing of it is written. May be called again."""
        if self._running.done() or not self._session.open:
            return
        self._running.cancel()
        with contextlib.suppress(Exception):
            self._running.result(CLOSING)
