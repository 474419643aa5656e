"""A session with PostgreSQL for synchronous code: asyncpg on an event loop in a thread of its own.

Between the two stand bounded queues. Each transaction has our settings: ISO dates, UTC, ISO
intervals, hexadecimal bytes, floats to the last digit, UTF-8. They end with it, as a pooler that
hands on transactions (PgBouncer) gives the connection to another client then:
https://www.pgbouncer.org/features.html.

Over 400 lines: both directions of COPY share the session's loop, queues and errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.event_loop import LoopThread, Running
from tradewind.systems.postgres.connection import PostgresConnection, client_library
from tradewind.systems.postgres.described import Column, Tap
from tradewind.systems.postgres.errors import translated

__all__ = ["Column", "CopyIn", "CopyOut", "Session"]

_T = TypeVar("_T")

_SETTINGS = {
    "datestyle": "'ISO, YMD'",
    "timezone": "'UTC'",
    "intervalstyle": "'iso_8601'",
    "bytea_output": "'hex'",
    "extra_float_digits": "3",
    "client_encoding": "'UTF8'",
    "standard_conforming_strings": "on",
    "xmloption": "content",
    # A scan that joins another one's middle, or workers that race, would give another order each
    # time; a retry shall give the same bytes.
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
}
_CLOSING = 10.0
"""Seconds that ending a session in order may take."""
_AHEAD = 2
"""Pieces that wait between the loop's thread and the reader or writer."""
_SMALL = 128 << 10
_REST = 0.0007
"""Seconds; 256 kB in each, which is what is read at once, are more than a server sends."""


class Session:
    """One connection to a server, used by one thread at a time.

    Args:
        connection: Where to.
        name: What the server calls it: its ``application_name``.
        settings: Further settings of its transactions, by name; see `begin`.

    Raises:
        SetupError: Host, credentials or permissions are wrong.
        RetryError: The server is not there, or in trouble.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        *,
        name: str,
        settings: dict[str, str] | None = None,
    ) -> None:
        asyncpg = client_library()
        self.connection = connection
        self.system = connection.system
        keywords = connection.keywords()
        keywords["server_settings"] = {**keywords["server_settings"], "application_name": name}
        self._link: Any = None
        self._settings = dict(settings or {})
        self._turn = asyncio.Lock()
        self._thread = LoopThread(f"tradewind-{name}")
        self._loop = self._thread.loop
        try:
            # Unnamed statements, nothing cached: so poolers that hand on transactions work too.
            self._link = self._wait(asyncpg.connect(**keywords, statement_cache_size=0))
            try:
                self._keep_alive()
            except OSError as error:  # the server has gone since
                raise self.translated(error) from error
        except BaseException:
            self.close()
            raise

    def begin(self, sql: str = "BEGIN", *, snapshot: str | None = None) -> None:
        """Begin a transaction, with our settings and those of this session until it ends.

        Args:
            sql: The statement that begins it.
            snapshot: Of another session, to read the same.

        Raises:
            TradewindError: As the server says.
        """
        local = "; ".join(f"SET LOCAL {name} TO {value}" for name, value in _SETTINGS.items())
        self.execute(f"{sql}; {local}")
        if snapshot is not None:  # before anything is read
            self.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        for setting, value in self._settings.items():
            self.fetch("SELECT set_config($1, $2, true)", setting, value)

    @property
    def version(self) -> int:
        """The server's version: 150018 for 15.18."""
        found = self._link.get_server_version()
        return int(found.major) * 10_000 + int(found.minor)

    @property
    def server_encoding(self) -> str:
        """How the database encodes text."""
        return str(self._link.get_settings().server_encoding)

    @property
    def pid(self) -> int:
        """The server's process that serves this session."""
        return int(self._link.get_server_pid())

    def execute(self, sql: str) -> str:
        """Run statements without parameters.

        Args:
            sql: One or several.

        Returns:
            The last one's command tag.

        Raises:
            TradewindError: As the server says.
        """
        return str(self._wait(self._link.execute(sql), query=sql))

    def fetch(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a small query.

        Args:
            sql: With ``$1``.
            parameters: In the types that asyncpg asks for.

        Returns:
            All rows.

        Raises:
            TradewindError: As the server says.
        """
        return list(self._wait(self._link.fetch(sql, *parameters), query=sql))

    def describe(self, query: str) -> tuple[Column, ...]:
        """Ask the server for the columns of a query, without running it.

        Args:
            query: One statement.

        Returns:
            Its columns.

        Raises:
            InputError: The query is wrong or gives no rows.
            TradewindError: As the server says.
        """
        columns = self._wait(self._describe(query), query=query)
        if columns is None:
            raise InputError(f"{self.system}: the query gives no rows. Give a SELECT statement.")
        return columns

    async def _describe(self, query: str) -> tuple[Column, ...] | None:
        # asyncpg reads the types' modifiers (precision and scale of a numeric) and forgets them;
        # so its bytes are read along the way.
        transport = self.transport
        tap: Any = Tap(transport.get_protocol())
        transport.set_protocol(tap)
        try:
            await self._link.prepare(query)
        finally:
            transport.set_protocol(tap.protocol)
        columns: tuple[Column, ...] | None = tap.columns()
        return columns

    @property
    def transport(self) -> asyncio.Transport:
        """The connection's transport: its bytes, its socket, its certificate.

        asyncpg gives it to nobody, and nothing public of it tells a column's precision, the socket
        or the peer's certificate. So it is taken here alone, ``pyproject.toml`` caps the version,
        and a test fails when a version has it no more.

        Raises:
            SetupError: asyncpg is a version that has none.
        """
        found = getattr(self._link, "_transport", None)
        if not isinstance(found, asyncio.Transport):
            raise SetupError(
                "PostgreSQL: this version of asyncpg is not known. Install the one that "
                "pip install 'tradewind[postgres]' brings."
            )
        return found

    def copy_out(
        self,
        sql: str,
        *,
        piece: int,
        ahead: int = _AHEAD,
        check: Callable[[bytes], None] | None = None,
    ) -> CopyOut:
        """Begin ``COPY ... TO STDOUT``; after the one that was begun before.

        Args:
            sql: The statement.
            piece: Bytes that a piece should have.
            ahead: How many pieces may wait to be read.
            check: Looks at whole rows as they come; what it raises ends the reading.

        Returns:
            The pieces. Close them before anything else is asked of this session.
        """
        return CopyOut(self, sql, piece, ahead, check)

    def copy_in(self, table: str, columns: tuple[str, ...], options: dict[str, Any]) -> CopyIn:
        """Begin ``COPY ... FROM STDIN``.

        Args:
            table: Quoted, qualified name.
            columns: Names of the columns, not quoted.
            options: Of COPY, as SQL writes their values.
        """
        return CopyIn(self, table, columns, options)

    def close(self) -> None:
        """End it: what still runs on the server is cancelled there. May be called again."""
        if not self._thread.running or sys.is_finalizing():
            return
        try:
            if self._link is not None:
                with contextlib.suppress(Exception):
                    self._run(self._end()).result(_CLOSING + 5)
        finally:  # also where the task's timeout comes meanwhile
            self._thread.close(_CLOSING)

    async def _end(self) -> None:
        try:
            await self._link.close(timeout=_CLOSING)
        except BaseException:
            self._link.terminate()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def translated(self, error: BaseException, query: str | None = None) -> TradewindError:
        """Tell an error of this session in our own terms; see `postgres_errors`."""
        return translated(error, self.system, query=query)

    def _run(self, work: Coroutine[Any, Any, _T]) -> Running[_T]:
        return Running(self._loop, work)

    def _wait(self, work: Coroutine[Any, Any, _T], *, query: str | None = None) -> _T:
        async def run() -> _T:  # what asyncpg.connect returns is awaitable and no coroutine
            return await work

        running = self._run(run())
        try:
            return running.result()
        except (TradewindError, KeyboardInterrupt, SystemExit):
            running.cancel()
            raise
        except BaseException as error:
            raise self.translated(error, query) from error

    def _keep_alive(self) -> None:
        """Notice a server that is gone without a word, as libpq does."""
        options = self.connection.options
        found = self.transport.get_extra_info("socket")
        if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
            return
        if options.get("keepalives", "1") == "0":
            return
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, option, default in (
            ("keepalives_idle", "TCP_KEEPIDLE", 60),
            ("keepalives_interval", "TCP_KEEPINTVL", 15),
            ("keepalives_count", "TCP_KEEPCNT", 8),
            # Bytes that nobody acknowledges end the connection too.
            ("tcp_user_timeout", "TCP_USER_TIMEOUT", 180_000),
        ):
            if hasattr(socket, option):
                number = int(float(options.get(name, default)))
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), number)


class CopyOut:
    """Bytes of a ``COPY ... TO STDOUT``, read ahead in a thread.

    Memory: the pieces that may wait, and one that is being gathered. What the server sends is not
    put together here: a piece is a list of bytes as they came.
    """

    def __init__(
        self,
        session: Session,
        sql: str,
        piece: int,
        ahead: int,
        check: Callable[[bytes], None] | None,
    ) -> None:
        self._session = session
        self._check = check
        self._sql = sql
        self._piece = piece
        self._ready: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(ahead)
        self.rows: int | None = None
        """How many there were, once all is read."""
        self._running = session._run(self._copy())

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
            async with self._session._turn:
                tag = await self._session._link._copy_out(self._sql, take, None)
            if pieces:
                await hand_on()
            self.rows = int(tag.rpartition(" ")[2])
        except InputError:
            # What `check` has refused. Where that came with the last piece, asyncpg cancels what
            # has ended already, and would wait until its timeout to hear so.
            self._session._link.terminate()
            raise
        finally:
            self._ready.put(None)

    def __iter__(self) -> Iterator[list[bytes]]:
        try:
            while (piece := self._ready.get()) is not None:
                self._session._loop.call_soon_threadsafe(self._room.release)
                yield piece
            try:
                self._running.result()
            except BaseException as error:
                raise self._session.translated(error, self._sql) from error
        finally:
            self.close()

    def close(self) -> None:
        """End it; on the server too. May be called again."""
        if self._running.done() or not self._session._thread.running:
            return
        self._running.cancel()
        with contextlib.suppress(Exception):
            self._running.result(_CLOSING)


class CopyIn:
    """Bytes on their way into a ``COPY ... FROM STDIN``.

    Memory: `_AHEAD` pieces that wait, one that is being gathered, of 1 MB or as they are given, and
    one that is being sent.
    """

    def __init__(
        self, session: Session, table: str, columns: tuple[str, ...], options: dict[str, Any]
    ) -> None:
        from tradewind.systems.postgres.sql import quoted

        names = ", ".join(map(quoted, columns))
        written = ", ".join(f"{name} {value}" for name, value in options.items())
        self.sql = f"COPY {table} ({names}) FROM STDIN ({written})"
        self.size = 0
        self._session = session
        self._room = threading.Semaphore(_AHEAD)
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._pieces: asyncio.Queue[list[bytes] | None] = asyncio.Queue()
        self._running = session._run(self._copy())
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
        link = self._session._link
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
        self._session._loop.call_soon_threadsafe(self._pieces.put_nowait, self._gathered)
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
        self._session._loop.call_soon_threadsafe(self._pieces.put_nowait, None)
        try:
            return self._running.result()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise self._session.translated(error) from error

    def abort(self) -> None:
        """Take it back: nothing of it is written. May be called again."""
        if self._running.done() or not self._session._thread.running:
            return
        self._running.cancel()
        with contextlib.suppress(Exception):
            self._running.result(_CLOSING)


_GATHER = 1 << 20
_MESSAGE = 1 << 18
"""Bytes in one message of COPY: enough to be cheap, few enough that sending copies little."""
