"""One session with MySQL or MariaDB: statements, streams of rows, and its end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tradewind.errors import InputError, SetupError
from tradewind.systems.mysql.connection import MySQLConnection, client_library
from tradewind.systems.mysql.errors import translated
from tradewind.systems.mysql.tls import (
    explained,
    falls_back,
    require_offer,
)

__all__ = ["Session", "bound"]

_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class Session:
    """One connection, whose errors are ours. Values come as the bytes that the server sent.

    Its time zone is UTC; it waits an hour for a slow reader before the server gives it up.

    Args:
        connection: Where to.
        local_infile: Lets ``LOAD DATA LOCAL`` read files of this machine.

    Raises:
        TradewindError: There is no connection.
    """

    def __init__(self, connection: MySQLConnection, *, local_infile: bool = False) -> None:
        library = client_library()
        from MySQLdb.constants import FIELD_TYPE, FLAG

        self.connection = connection
        self.system = connection.system
        # Says of each column of text or bytes which it is: by its character set, not by a flag
        # that text with a binary collation has too. Both come as bytes.
        converters: dict[Any, Any] = {
            number: [(FLAG.BINARY, bytes), (None, None)]
            for name, number in vars(FIELD_TYPE).items()
            if isinstance(number, int) and ("STRING" in name or "BLOB" in name or name == "VARCHAR")
        }
        converters |= {
            kind: say
            for kind, say in library.converters.conversions.items()
            if not isinstance(kind, int)
        }
        keywords = connection.keywords()
        require_offer(keywords, self.system)
        more = {"conv": converters, "local_infile": int(local_infile)}
        try:
            try:
                self._connection = library.connect(**keywords, **more)
            except library.Error as error:
                if not falls_back(keywords, error.args[0] if error.args else None):
                    raise
                plain = {name: keywords[name] for name in keywords if not name.startswith("ssl")}
                self._connection = library.connect(**plain, **more)
        except library.Error as error:
            number = error.args[0] if error.args else None
            raise explained(translated(error, self.system), keywords, number) from error
        except (OSError, ValueError, TypeError) as error:
            raise SetupError(f"{self.system}: {error}. Check the connection's options.") from error
        self._closed = False
        # Kept, as the library lets one thread at a time ask for it.
        self.number = int(self._connection.fileno())
        """Of its socket."""
        _keep_alive(self.number)
        self.thread = int(self._connection.thread_id())
        version = self._connection.get_server_info()
        self.is_mariadb = "mariadb" in version.lower()
        self.execute("SET time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600")

    def execute(self, sql: str | bytes, *values: Any) -> int:
        """Run a statement to its end; give the number of rows that it changed.

        Args:
            sql: The statement; ``%s`` stand for `values`, if there are any.
            values: Python values.

        Raises:
            TradewindError: The server refuses it, or is gone.
        """
        self.query(sql, *values)
        result = self._guarded(self._connection.store_result)
        return int(self._connection.affected_rows()) if result is None else 0

    def fetch(self, sql: str | bytes, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that gives a few rows of texts (`bytes` decoded) and NULLs."""
        self.query(sql, *values)
        result = self._guarded(self._connection.store_result)
        rows = result.fetch_row(0, 0) if result is not None else ()
        return [
            tuple(None if value is None else value.decode("utf-8", "replace") for value in row)
            for row in rows
        ]

    def stream(self) -> Any:
        """Give the unbuffered result of the last `query`; None where it has no columns."""
        return self._guarded(self._connection.use_result)

    def fetched(self, result: Any, count: int) -> tuple[tuple[bytes | None, ...], ...]:
        """Fetch some rows of an unbuffered result; none at its end."""
        rows: tuple[tuple[bytes | None, ...], ...] = self._guarded(result.fetch_row, count, 0)
        return rows

    def finish(self) -> bool:
        """Hear the rest of an answer whose first result has been read.

        A ``CALL`` sends one result after the other, and an error of the procedure only after them.

        Returns:
            Whether there is another result with columns. The connection is to be closed then.

        Raises:
            TradewindError: As the server says behind the result.
        """
        while self._guarded(self._connection.next_result) == 0:
            if self._guarded(self._connection.use_result) is not None:
                return True
        return False

    def query(self, sql: str | bytes, *values: Any) -> None:
        """Send a statement and wait for the first of its answer."""
        if values:
            sql = bound(self, sql if isinstance(sql, str) else sql.decode(), values)
        self._guarded(self._connection.query, _encoded(sql))

    def literal(self, value: Any) -> bytes:
        """Write a Python value as SQL."""
        written = self._connection.literal(value)
        return written if isinstance(written, bytes) else str(written).encode()

    @property
    def capabilities(self) -> int:
        """What client and server have agreed on, as the protocol counts it."""
        return int(self._connection.client_flag & self._connection.server_capabilities)

    @property
    def warning_count(self) -> int:
        """How many warnings the last statement gave."""
        return int(self._connection.warning_count())

    def info(self) -> str | None:
        """What the server says of the last statement, like ``Records: 3 ...``."""
        said = self._connection.info()
        return said.decode() if isinstance(said, bytes) else said

    def warnings(self) -> list[tuple[Any, ...]]:
        """Ask what the last statement warned of: level, number, text."""
        return self.fetch("SHOW WARNINGS")

    def _guarded(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except client_library().Error as error:
            raise translated(error, self.system) from error

    def abort(self) -> None:
        """End what runs, from another thread too: on the server and here. Never raises."""
        if self._closed:
            return
        with contextlib.suppress(Exception):
            other = Session(
                replace(self.connection, options={**self.connection.options, "connect_timeout": 3})
            )
            try:
                other.execute(f"KILL {self.thread}")
            finally:
                other.close()
        with contextlib.suppress(OSError), _socket(self.number) as opened:
            opened.shutdown(socket.SHUT_RDWR)

    def hang_up_if_left(self) -> None:
        """Shut a connection that the server has closed, from another thread too. Never raises.

        What writes into a full one waits for room, and would wait for minutes: that the server is
        gone shows on the side that is read.
        """
        if self._closed:
            return
        with contextlib.suppress(OSError), _socket(self.number) as opened:
            poll = select.poll()
            poll.register(opened, select.POLLRDHUP)
            if poll.poll(0):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. May be called again."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(Exception):
                self._connection.close()


def _encoded(sql: str | bytes) -> bytes:
    return sql if isinstance(sql, bytes) else sql.encode("utf-8", "surrogateescape")


def _socket(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _keep_alive(number: int) -> None:
    """Notice within two minutes that the other machine is gone."""
    with contextlib.suppress(OSError), _socket(number) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if opened.family != socket.AF_UNIX:
            for name, value in _ALIVE.items():
                if hasattr(socket, name):
                    opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def bound(
    session: Session, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None
) -> bytes:
    """Put values into a query as Airflow's hooks do.

    Args:
        session: Its server's rules of quoting apply.
        query: With ``%s`` or ``%(name)s``; a ``%`` of its own is written ``%%``.
        parameters: A sequence or mapping; None leaves the query as it is, ``%`` and all.

    Returns:
        The statement to send.

    Raises:
        InputError: Query and parameters do not fit together.
    """
    if parameters is None:
        return query.encode()
    try:
        if isinstance(parameters, Mapping):
            named = {name.encode(): session.literal(value) for name, value in parameters.items()}
            return query.encode() % named
        if isinstance(parameters, str | bytes):
            raise TypeError("parameters are one text")
        return query.encode() % tuple(session.literal(value) for value in parameters)
    except (TypeError, ValueError, KeyError) as error:
        said = f"{error.args[0].decode()!r} is missing" if isinstance(error, KeyError) else error
        raise InputError(
            f"{session.system}: query and parameters do not fit together ({said}). Write %s for "
            "each of a list, %(name)s for each of a mapping, and %% for a percent sign."
        ) from error
