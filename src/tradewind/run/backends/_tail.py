"""An HTTP answer of many small pieces, read as it comes: the log of a container."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from tradewind.errors import RetryError, SetupError

__all__ = ["Connection", "Tail"]

_CONNECT_SECONDS = 10.0
_TAIL_BYTES = 1 << 18


class Connection(http.client.HTTPConnection):
    """A connection for one request, to a socket or a port, with or without TLS."""

    def __init__(
        self, host: str, port: int | None, *, unix: str | None, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(host, port, timeout=_CONNECT_SECONDS)
        self._unix = unix
        self._context = tls

    def connect(self) -> None:
        """Connect to the socket or the port."""
        if self._unix is not None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_CONNECT_SECONDS)
            self.sock.connect(self._unix)
        else:
            super().connect()
            if self._context is not None:
                self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)
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
            SetupError: The engine is not there, or may not be used.
            EngineRefusedError: It said no.
            RetryError: The connection broke.
        """
        connection = self._connection
        response = None
        try:
            try:
                connection.connect()
            except OSError as error:
                raise SetupError(
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
                yield from _dechunked(lambda: bytes(file.read1(_TAIL_BYTES)))
            else:
                while piece := response.read1(_TAIL_BYTES):
                    yield piece
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
    data = b""
    while True:
        more = read()
        if not more:
            raise ConnectionError("it ended too early")
        data += more
        at, found = 0, []
        while (line_end := data.find(b"\r\n", at)) >= 0:
            line = data[at:line_end]
            size = int(line.partition(b";")[0] if b";" in line else line, 16)
            begin = line_end + 2
            if size and len(data) < begin + size + 2:
                break
            found.append(data[begin : begin + size])
            at = begin + size + 2
            if not size:
                break
        if found:
            yield b"".join(found)
            if not found[-1]:
                return
        data = data[at:]
