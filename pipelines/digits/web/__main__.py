"""Serves the page: ``python -m digits.web [--host 127.0.0.1] [--port 8000]``.

When it can be called, one line of JSON is printed: ``{"url": "http://127.0.0.1:8000/"}``. SIGTERM
and SIGINT let the requests under way end, then it exits with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Sequence

import uvicorn

from digits.web.app import create_app
from tradewind.errors import TradewindError

__all__ = ["main"]

GRACE = 10  # seconds: longer than a call of the endpoint may take


class _Server(uvicorn.Server):
    """A server that tells when it is ready, and for which a signal is no failure."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            address = f"[{host}]" if ":" in host else host
            print(json.dumps({"url": f"http://{address}:{port}/"}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would raise the signal again at the end, and the exit status be its.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until a signal.

    Args:
        arguments: The command line, that of the process when not given.

    Returns:
        The exit status: 0 after a signal, 1 when it could not be served.
    """
    parser = argparse.ArgumentParser(
        prog="python -m digits.web", description="Serves the page that recognises drawn digits."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="port to listen on, 0 for a free one (%(default)s)"
    )
    parser.add_argument("--log-level", default="warning", help="uvicorn's log level (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        application = create_app()
    except TradewindError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except (OSError, OverflowError) as error:
            print(
                f"error: cannot listen on {options.host} port {options.port}: {error}. "
                "Choose another with --port, or 0 for a free one.",
                file=sys.stderr,
            )
            return 1
        config = uvicorn.Config(
            application,
            log_level=options.log_level,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = _Server(config)
        server.run(sockets=[listener])
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main())
