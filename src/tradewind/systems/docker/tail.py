"""An HTTP answer of many small pieces, read as it comes: the log of a container."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tradewind.errors import RetryError
from tradewind.run.backend import UnreachableError

__all__ = ["Connection", "Tail"]

_CONNECT_SECONDS = 10.0
_TAIL_BYTES = 1 << 16
_SIZE = re.compile(rb"\r\n([0-9A-Fa-f]+)\r\n")


class Connection(http.client.HTTPConnection):
    """A connection for one request, to a socket or a port, with or without TLS."""

    def __init__(
        self,
        host: str,
        port: int | None,
        *,
        unix: str | None,
        tls: ssl.SSLContext | None,
        server_name: str | None = None,
    ) -> None:
        super().__init__(host, port, timeout=_CONNECT_SECONDS)
        self._unix = unix
        self._context = tls
        self._server_name = server_name or host

    def connect(self) -> None:
        """Connect to the socket or the port."""
        if self._unix is not None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_CONNECT_SECONDS)
            self.sock.connect(self._unix)
        else:
            super().connect()
            if self._context is not None:
                self.sock = self._context.wrap_socket(self.sock, server_hostname=self._server_name)
        self.sock.settimeout(None)


class Tail:
    """An answer that is read as it comes, and may be ended by another thread; see `Engine.tail`.

    The engine sends each line of a log in an HTTP chunk of its own. An HTTP library makes an event
    of each, which costs more than all else; here they are taken apart by the hundred.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        url: str,
        what: str,
        refuse: Callable[[int, bytes], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._url = url
        self._what = what
        self._refuse = refuse
        self._lock = threading.Lock()
        self._ended = False
        self._socket: socket.socket | None = None

    def chunks(self) -> Iterator[bytes]:
        """Read what comes, as much as there is at once.

        Raises:
            UnreachableError: The engine is not there, or may not be used.
            EngineRefusedError: It said no.
            RetryError: The connection broke.
        """
        connection = self._connection
        response = None
        try:
            try:
                connection.connect()
            except OSError as error:
                raise UnreachableError(
                    f"Docker at {self._url}: it cannot be reached for {self._what} ({error}). "
                    "Start the engine, check the address, and let this account use its socket."
                ) from error
            with self._lock:
                self._socket = connection.sock
                if self._ended:
                    return
            connection.request("GET", self._path)
            response = connection.getresponse()
            if response.status >= 300:
                self._refuse(response.status, response.read())
            if response.chunked:
                file: Any = response.fp
                pieces = _dechunked(lambda: bytes(file.read1(_TAIL_BYTES)))
            else:
                pieces = iter(lambda: response.read1(_TAIL_BYTES), b"")
            yield from pieces
        except (OSError, http.client.HTTPException) as error:
            raise RetryError(
                f"Docker at {self._url}: the connection broke at {self._what} "
                f"({type(error).__name__}: {error})."
            ) from error
        finally:
            with self._lock:
                self._ended, self._socket = True, None
            if response is not None:
                response.close()
            connection.close()

    def end(self) -> None:
        """End it; a read that waits for bytes ends too."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                # It does not hear a close; it hears a shutdown.
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _dechunked(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Undo HTTP's chunked transfer coding (RFC 9112, 7.1), many chunks at once.

    Args:
        read: Reads what there is; nothing at the end of the connection.

    Raises:
        ConnectionError: The connection ended before the last chunk.
    """
    # What is left always begins with the end of the line before a chunk's size.
    data = b"\r\n"
    while True:
        more = read()
        if not more:
            raise ConnectionError("it ended too early")
        data += more
        bodies, data = _many_chunks(data) or _each_chunk(data)
        if bodies:
            yield b"".join(bodies)
            if not bodies[-1]:
                return


def _many_chunks(data: bytes) -> tuple[list[bytes], bytes] | None:
    """Take chunks apart by what looks like a size between two; None where one was not.

    Returns:
        Their bodies, an empty one at the end; what is left.
    """
    before, *parts = _SIZE.split(data)
    if before or not parts:
        return None
    bodies, sizes = parts[1::2], [int(size, 16) for size in parts[::2]]
    last, size = bodies.pop(), sizes.pop()
    if list(map(len, bodies)) != sizes or 0 in sizes:
        return None
    if len(last) >= size:
        return [*bodies, last[:size]], last[size:]
    return bodies, b"\r\n%b\r\n%b" % (parts[-2], last)


def _each_chunk(data: bytes) -> tuple[list[bytes], bytes]:
    """Take chunks apart one after the other; see `_many_chunks`."""
    bodies: list[bytes] = []
    at = 0
    while (line_end := data.find(b"\r\n", at + 2)) >= 0:
        size = int(data[at + 2 : line_end].partition(b";")[0], 16)
        begin = line_end + 2
        if len(data) < begin + size:
            break
        bodies.append(data[begin : begin + size])
        at = begin + size
        if not size:
            break
    return bodies, data[at:]
