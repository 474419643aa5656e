"""A server's front with TLS: it takes connections, unwraps them, and hands on what it hears.

::

    with TlsFront(reach(port), authority.certificate("db.test", "127.0.0.1")) as front:
        connect("127.0.0.1", front.port)
        assert front.heard == b""           # what it was told in confidence

What is behind it is the real server. It is for those that do not speak TLS themselves, or take long
to be started a second time with it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

__all__ = ["TlsFront", "reach", "reach_socket"]


def reach(port: int) -> Callable[[], socket.socket]:
    """Connect to a port of loopback."""
    return lambda: socket.create_connection(("127.0.0.1", port))


def reach_socket(path: str | Path) -> Callable[[], socket.socket]:
    """Connect to a Unix socket."""

    def connect() -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(path))
        return link

    return connect


class TlsFront:
    """Listen on all of loopback, so that there are names that a certificate does not have.

    Args:
        connect: Connects to what is behind.
        files: The front's certificate and key.
        clients: The file of the authority of its clients, each of which must have a certificate.
        greet: What happens on a connection before TLS begins.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        files: tuple[Path, Path],
        *,
        clients: Path | None = None,
        greet: Callable[[socket.socket], None] = lambda link: None,
    ) -> None:
        self._connect = connect
        self._greet = greet
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files)
        if clients is not None:
            self._context.load_verify_locations(clients)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("0.0.0.0", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        """Connections accepted so far, refused ones too."""
        self.heard = b""
        """What clients have sent, unwrapped."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            doomed = list(self._open)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in doomed:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        link.settimeout(60)
        try:
            self._greet(link)
        except OSError:
            link.close()
            return
        raw = link.dup()
        client = self._context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
        try:
            client.do_handshake()
        except OSError:
            # A close with bytes unread would be a reset, and the client never see why.
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(1 << 16):
                    pass
            client.close()
            return
        finally:
            raw.close()
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
            closed = self._closed
        if not closed:
            self._forward(client, server)
        for one in (client, server):
            with self._lock:
                self._open.discard(one)
            one.close()

    def _forward(self, client: ssl.SSLSocket, server: socket.socket) -> None:
        """Both ways in one thread: two may not use one TLS connection at once."""
        import selectors

        client.setblocking(False)
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    try:
                        if key.fileobj is client:
                            if not self._up(client, server):
                                return
                        else:
                            data = server.recv(1 << 16)
                            if not data:
                                with contextlib.suppress(OSError):
                                    client.setblocking(True)
                                    client.unwrap().close()
                                return
                            client.setblocking(True)
                            client.sendall(data)
                            client.setblocking(False)
                    except OSError:
                        return

    def _up(self, client: ssl.SSLSocket, server: socket.socket) -> bool:
        while True:
            try:
                data = client.recv(1 << 16)
            except ssl.SSLWantReadError:
                return True
            if not data:
                return False
            self.heard += data
            server.sendall(data)
