"""The faulty proxy of the tests fails exactly as it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from faulty_proxy import FaultyProxy

MB = 1 << 20


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", echo) as running:
        yield running


def connect(proxy: FaultyProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=30)


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := connection.recv(count - len(data))):
        data += more
    return data


def broken(proxy: FaultyProxy, sent: bytes) -> bool:
    """Whether a connection fails before all that was sent has come back."""
    try:
        with connect(proxy) as connection:
            connection.sendall(sent)
            return receive(connection, len(sent)) != sent
    except ConnectionError:
        return True


def test_forwards_and_counts(proxy: FaultyProxy) -> None:
    with connect(proxy) as connection:
        sender = threading.Thread(target=connection.sendall, args=(b"x" * 3 * MB,))
        sender.start()
        assert receive(connection, 3 * MB) == b"x" * 3 * MB
        sender.join()
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert proxy.forwarded == {"up": 3 * MB, "down": 3 * MB}
    assert (proxy.connections, proxy.cuts, proxy.refused) == (1, 0, 0)


def test_cuts_after_so_many_bytes_and_only_once(proxy: FaultyProxy) -> None:
    proxy.cut_after(5, "down")
    with connect(proxy) as connection:
        connection.sendall(b"0123456789")
        with pytest.raises(ConnectionResetError):
            receive(connection, 10)
    assert proxy.forwarded["down"] == 5
    assert proxy.cuts == 1
    with connect(proxy) as connection:
        connection.sendall(b"0123456789")
        assert receive(connection, 10) == b"0123456789"


def test_cuts_on_the_way_up_each_time_until_healed(proxy: FaultyProxy) -> None:
    proxy.cut_after(3, "up", times=None)
    for _ in range(3):
        assert broken(proxy, b"0123")
    assert proxy.cuts == 3
    assert proxy.forwarded["up"] == 9
    proxy.heal()
    with connect(proxy) as connection:
        connection.sendall(b"0123")
        assert receive(connection, 4) == b"0123"


def test_refuses_new_connections_only(proxy: FaultyProxy) -> None:
    with connect(proxy) as old:
        old.sendall(b"a")
        assert receive(old, 1) == b"a"
        proxy.refuse()
        assert broken(proxy, b"a")
        old.sendall(b"b")
        assert receive(old, 1) == b"b"
    assert proxy.refused == 1


def test_stalls_and_goes_on(proxy: FaultyProxy) -> None:
    with connect(proxy) as connection:
        proxy.stall("down")
        connection.sendall(b"a")
        proxy.wait(lambda seen: seen.forwarded["up"] == 1)
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)
        proxy.heal()
        assert receive(connection, 1) == b"a"


def test_cuts_all_now(proxy: FaultyProxy) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"a")
        assert receive(connection, 1) == b"a"
        proxy.cut_now()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_server_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultyProxy("127.0.0.1", nobody.getsockname()[1]) as proxy:
            assert broken(proxy, b"a")
