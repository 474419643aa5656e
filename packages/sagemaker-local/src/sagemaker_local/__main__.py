"""``python -m tradewind.local.sagemaker``: the local SageMaker as a process of its own.

When it is ready it prints one line of JSON, {"endpoint": "http://127.0.0.1:PORT"}; its own log
goes to stderr. SIGTERM and SIGINT end it: children are stopped, and it exits with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
import uvloop

from tradewind.errors import SetupError, TradewindError
from tradewind.local.sagemaker.app import App
from tradewind.local.sagemaker.service import Service, Settings


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until it is told to end.

    Args:
        arguments: Of the command line; those of the process when None.

    Returns:
        The exit code: 0 after a graceful end, 1 when it could not start.
    """
    options = _parse(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return _serve(options)
    except TradewindError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tradewind.local.sagemaker", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder for all state")
    parser.add_argument("--s3-endpoint", required=True, help="URL of the S3 service")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--region", default="eu-west-1", help="the AWS region to play")
    parser.add_argument("--account", default="123456789012", help="the AWS account to play")
    parser.add_argument(
        "--container-engine",
        default="auto",
        metavar="auto|none|unix:///PATH",
        help="where images that are not built in run",
    )
    parser.add_argument(
        "--trainers",
        type=int,
        default=os.cpu_count() or 1,
        help="how many training jobs run at once; the number of cores by default",
    )
    options = parser.parse_args(arguments)
    if len(options.account) != 12 or not options.account.isdigit():
        parser.error(f"--account must have 12 digits, not {options.account!r}")
    if options.trainers < 1:
        parser.error("--trainers must be at least 1")
    return options


def _serve(options: argparse.Namespace) -> int:
    listener = _listen(options.host, options.port)
    with listener:
        port = listener.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        service = Service(
            Settings(
                data=options.data.resolve(),
                s3_endpoint=options.s3_endpoint,
                region=options.region,
                account=options.account,
                engine=options.container_engine,
                trainers=options.trainers,
            )
        )
        config = uvicorn.Config(
            App(service, loopback=_is_loopback(listener)),
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
        server = _Server(config, f"http://{host}:{port}")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[listener]))
        return 0 if server.started else 1


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


if __name__ == "__main__":
    sys.exit(main())
