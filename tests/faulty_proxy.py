"""A TCP proxy that fails when it is told to: cuts, stalls and refuses connections.

::

    with FaultyProxy("127.0.0.1", 5432) as proxy:
        connect(proxy.host, proxy.port)
        proxy.cut_after(1_000_000, "down")      # the next megabyte from the server, then a reset
        ...
        proxy.heal()                            # from here on it forwards all again

It forwards in threads of its own, closes with a reset (RST), as a failing network or a killed peer
does, and counts what it forwarded.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Literal, Self

__all__ = ["FaultyProxy"]

Direction = Literal["up", "down"]
_CHUNK = 65536


class FaultyProxy:
    """Forward connections to a server, and fail on request.

    Args:
        host: Where the server listens.
        port: Its port.
    """

    host = "127.0.0.1"

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = threading.Condition()
        self._left: dict[Direction, int | None] = {"up": None, "down": None}
        self._cuts_left: int | None = None
        self._stalled: set[Direction] = set()
        self._refusing = False
        self._open: set[socket.socket] = set()
        self._closed = False
        self.connections = 0
        """Connections accepted so far."""
        self.refused = 0
        """Connections refused so far."""
        self.cuts = 0
        """Connections cut so far."""
        self.forwarded: dict[Direction, int] = {"up": 0, "down": 0}
        """Bytes forwarded so far: up to the server, down to the client."""
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        # A close alone does not wake the thread that waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_now()

    def cut_after(
        self, count: int, direction: Direction = "down", *, times: int | None = 1
    ) -> None:
        """Forward so many more bytes, over all connections, and then reset the one at hand.

        Args:
            count: Bytes from now on; of each connection's life after the first cut, where there
                are several.
            direction: ``down`` from the server to the client, or ``up``.
            times: How many connections to cut so; None cuts each until `heal`.
        """
        with self._lock:
            self._count = count
            self._left[direction] = count
            self._cuts_left = times

    def cut_now(self) -> None:
        """Reset all connections there are."""
        with self._lock:
            # All at once: a connection that is doomed must not see a polite end of its other side.
            doomed, self._open = self._open, set()
        for one in doomed:
            self._reset(one)

    def refuse(self) -> None:
        """Reset each new connection at once; those there are go on."""
        with self._lock:
            self._refusing = True

    def stall(self, *directions: Direction) -> None:
        """Forward nothing, and keep the connections open.

        Args:
            directions: ``up``, ``down``; both when none is named.
        """
        with self._lock:
            self._stalled |= set(directions or ("up", "down"))

    def heal(self) -> None:
        """Forward everything again; what had stalled goes on."""
        with self._lock:
            self._left = {"up": None, "down": None}
            self._stalled.clear()
            self._refusing = False
            self._lock.notify_all()

    def wait(self, condition: Callable[[FaultyProxy], bool], *, seconds: float = 30) -> None:
        """Wait until something has happened here, like ``lambda proxy: proxy.cuts``.

        Raises:
            TimeoutError: It did not happen in time.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: condition(self), timeout=seconds):
                raise TimeoutError(f"the proxy did not see it within {seconds} s")

    def _run(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True, name="faulty-proxy").start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                refused = self._refusing or self._closed
                self.refused += refused
                self.connections += not refused
                self._lock.notify_all()
            try:
                server = None if refused else socket.create_connection(self._server)
            except OSError:
                server = None
            if server is None:
                self._reset(client)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            self._run(self._forward, client, server, "up")
            self._run(self._forward, server, client, "down")

    def _forward(self, origin: socket.socket, target: socket.socket, direction: Direction) -> None:
        try:
            while data := origin.recv(_CHUNK):
                data, cut = self._let_through(data, direction)
                target.sendall(data)
                with self._lock:
                    self.forwarded[direction] += len(data)
                    self.cuts += cut
                    self._lock.notify_all()
                if cut:
                    break
            else:
                if self._pass_on_the_end(origin, target):
                    return
        except OSError:
            pass
        with self._lock:
            self._open -= {origin, target}
        self._reset(origin)
        self._reset(target)

    def _pass_on_the_end(self, origin: socket.socket, target: socket.socket) -> bool:
        """Tell one side that the other has said all; whether it did, and was not reset."""
        with self._lock:
            if origin not in self._open:
                return False
            self._open.discard(origin)
            target.shutdown(socket.SHUT_WR)
            # The end of one direction is not the end of the other.
            over = target not in self._open
        if over:
            origin.close()
            target.close()
        return True

    def _let_through(self, data: bytes, direction: Direction) -> tuple[bytes, bool]:
        """What of some data may pass, and whether the connection is to be cut after it."""
        with self._lock:
            self._lock.wait_for(lambda: direction not in self._stalled or self._closed)
            left = self._left[direction]
            if left is None:
                return data, False
            if len(data) < left:
                self._left[direction] = left - len(data)
                return data, False
            if self._cuts_left is not None:
                self._cuts_left -= 1
            again = self._cuts_left is None or self._cuts_left > 0
            self._left[direction] = self._count if again else None
            return data[:left], True

    def _reset(self, one: socket.socket) -> None:
        """Close at once, with a reset instead of a polite end."""
        with self._lock:
            self._open.discard(one)
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Wakes the thread that reads from it, which a close does not.
            one.shutdown(socket.SHUT_RD)
        one.close()
