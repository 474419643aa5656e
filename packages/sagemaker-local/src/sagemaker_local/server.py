"""The service as a server: it listens, says that it is ready, and ends when it is told to.

When it is ready it prints one line of JSON, {"endpoint": "http://127.0.0.1:PORT"}; its own log
goes to stderr. SIGTERM and SIGINT end it: children are stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop

from sagemaker_local.app import App
from sagemaker_local.errors import SetupError
from sagemaker_local.service import Service, Settings

__all__ = ["serve"]


class _Server(uvicorn.Server):
    """A server that ends with exit code 0 on SIGTERM and SIGINT.

    uvicorn's own handling raises the signal again when it is done, which would end the process
    by it.

    Args:
        config: Of uvicorn.
        endpoint: The URL to print when requests are taken.
    """

    def __init__(self, config: uvicorn.Config, endpoint: str) -> None:
        super().__init__(config)
        self._endpoint = endpoint

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            print(json.dumps({"endpoint": self._endpoint}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        yield

    def _end(self) -> None:
        self.should_exit = True


def serve(settings: Settings, *, host: str, port: int) -> bool:
    """Run the service until it is told to end.

    Args:
        settings: What it works with.
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Returns:
        Whether it had started.

    Raises:
        SetupError: It cannot listen there, or cannot use its data folder.
    """
    with _listen(host, port) as listener:
        config = uvicorn.Config(
            App(Service(settings), loopback=_is_loopback(listener)),
            loop="none",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        name = f"[{host}]" if ":" in host else host
        server = _Server(config, f"http://{name}:{listener.getsockname()[1]}")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
        return server.started


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise SetupError(
            f"The local SageMaker cannot listen on {host}:{port}: {error.strerror}. "
            "Stop what listens there, or choose another port with --port (0 takes a free one)."
        ) from error
