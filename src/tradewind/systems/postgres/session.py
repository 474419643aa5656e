"""A session with PostgreSQL for synchronous code: asyncpg on an event loop in a thread of its own.

Each transaction has our settings: ISO dates, UTC, ISO intervals, hexadecimal bytes, floats to the
last digit, UTF-8. They end with it, as a pooler that hands on transactions (PgBouncer) gives the
connection to another client then: https://www.pgbouncer.org/features.html.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.event_loop import LoopThread, Running
from tradewind.systems.postgres.connection import PostgresConnection, client_library
from tradewind.systems.postgres.described import Column, Tap
from tradewind.systems.postgres.errors import translated

__all__ = ["CLOSING", "Column", "Session"]

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
CLOSING = 10.0
"""Seconds that ending a session in order may take."""


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
        self.link: Any = None
        """asyncpg's connection; what it does runs on the loop."""
        self._settings = dict(settings or {})
        self.turn = asyncio.Lock()
        """Held while rows are copied out: one statement at a time."""
        self._thread = LoopThread(f"tradewind-{name}")
        self.loop = self._thread.loop
        try:
            # Unnamed statements, nothing cached: so poolers that hand on transactions work too.
            self.link = self._wait(asyncpg.connect(**keywords, statement_cache_size=0))
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
    def open(self) -> bool:
        """Whether its loop runs: what was begun can be ended."""
        return self._thread.running

    @property
    def version(self) -> int:
        """The server's version: 150018 for 15.18."""
        found = self.link.get_server_version()
        return int(found.major) * 10_000 + int(found.minor)

    @property
    def server_encoding(self) -> str:
        """How the database encodes text."""
        return str(self.link.get_settings().server_encoding)

    @property
    def pid(self) -> int:
        """The server's process that serves this session."""
        return int(self.link.get_server_pid())

    def execute(self, sql: str) -> str:
        """Run statements without parameters.

        Args:
            sql: One or several.

        Returns:
            The last one's command tag.

        Raises:
            TradewindError: As the server says.
        """
        return str(self._wait(self.link.execute(sql), query=sql))

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
        return list(self._wait(self.link.fetch(sql, *parameters), query=sql))

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
            await self.link.prepare(query)
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
        found = getattr(self.link, "_transport", None)
        if not isinstance(found, asyncio.Transport):
            raise SetupError(
                "PostgreSQL: this version of asyncpg is not known. Install the one that "
                "pip install 'tradewind[postgres]' brings."
            )
        return found

    def close(self) -> None:
        """End it: what still runs on the server is cancelled there. May be called again."""
        if not self.open or sys.is_finalizing():
            return
        try:
            if self.link is not None:
                with contextlib.suppress(Exception):
                    self.begin_running(self._end()).result(CLOSING + 5)
        finally:  # also where the task's timeout comes meanwhile
            self._thread.close(CLOSING)

    async def _end(self) -> None:
        try:
            await self.link.close(timeout=CLOSING)
        except BaseException:
            self.link.terminate()
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

    def begin_running(self, work: Coroutine[Any, Any, _T]) -> Running[_T]:
        """Begin what runs on the loop."""
        return Running(self.loop, work)

    def _wait(self, work: Coroutine[Any, Any, _T], *, query: str | None = None) -> _T:
        async def run() -> _T:  # what asyncpg.connect returns is awaitable and no coroutine
            return await work

        running = self.begin_running(run())
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
