"""A container engine, spoken to over its Unix socket: Docker, or podman's service for it.

Protocol: the Docker Engine API, https://docs.docker.com/reference/api/engine/version/v1.41/, which
podman serves too (https://docs.podman.io/en/latest/markdown/podman-system-service.1.html). No
version is asked for, so each engine speaks its own: what is used here is the same in all of them.

Tradewind has a client of the same API, and the two share no line: this distribution is used without
Tradewind, and runs on one event loop, while that client blocks and reads logs in threads. Of the
dozen requests of each, what they have in common is the addresses. A client for both would be a
third distribution, in both ways of calling: it is not made so far.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import socket
import stat
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from sagemaker_local.errors import SageMakerLocalError

__all__ = ["Engine", "EngineError", "NoEngineError", "find_engine", "require_image"]

_INSTALL = (
    "Install one (on Debian and Ubuntu: apt-get install docker.io, or podman with "
    "'podman system service') and give this user access to its socket, or name the socket with "
    "--container-engine unix:///path/to/docker.sock."
)
_SECONDS = 60.0


class EngineError(SageMakerLocalError):
    """The container engine refused or failed on a request.

    Args:
        status: Its HTTP status; 0 when it could not be reached.
        message: What it said.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class NoEngineError(SageMakerLocalError):
    """There is no container engine to be used; the text says what to install."""


async def find_engine(address: str) -> Engine:
    """Find the container engine of this machine.

    Args:
        address: "auto" looks at DOCKER_HOST and the usual sockets of Docker and podman, "none"
            uses no engine, "unix:///path" is the address of one.

    Raises:
        NoEngineError: There is none, or none that answers.
    """
    if address == "none":
        raise NoEngineError(
            "Images other than the built-in algorithms need a container engine, and the service "
            "was started with --container-engine none. Start it without that option."
        )
    tried = []
    for candidate in _candidates(address):
        path = candidate.removeprefix("unix://")
        if candidate == path or not path.startswith("/"):
            tried.append(f"{candidate} (only unix:///path is spoken)")
            continue
        problem = _socket_problem(Path(path))
        if problem is None:
            engine = Engine(path)
            try:
                await engine.ping()
                return engine
            except EngineError as error:
                problem = error.message
                await engine.aclose()
        tried.append(f"{path} ({problem})")
    raise NoEngineError(
        "Images other than the built-in algorithms need a container engine, Docker or podman, "
        f"and none answers here. Tried: {', '.join(tried)}. {_INSTALL}"
    )


async def require_image(engine: Engine, image: str) -> dict[str, Any]:
    """Inspect an image on this machine.

    Raises:
        EngineError: It is not here; says how to bring it.
    """
    found = await engine.image(image)
    if found is None:
        raise EngineError(
            404,
            f"The image {image!r} is not in the container engine at {engine.socket}. Images are "
            "never pulled from the network here: put it there under exactly this name (docker "
            "build -t, docker load or docker tag).",
        )
    return found


def _candidates(address: str) -> list[str]:
    if address != "auto":
        return [address]
    named = os.environ.get("DOCKER_HOST")
    if named:
        return [named]
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return [
        "unix:///var/run/docker.sock",
        f"unix://{runtime}/docker.sock",
        "unix:///run/podman/podman.sock",
        f"unix://{runtime}/podman/podman.sock",
    ]


def _socket_problem(path: Path) -> str | None:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return "is no socket"
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(2.0)
            attempt.connect(str(path))
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return str(error.strerror or error)
    return None


class Engine:
    """A client of one container engine.

    Args:
        socket: Path of its Unix socket.
    """

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=socket, limits=httpx.Limits(max_connections=None, max_keepalive_connections=4)
            ),
            base_url="http://engine",
            # Docker compresses archives for who takes it; over a socket that only costs time.
            headers={"Accept-Encoding": "identity"},
            timeout=_SECONDS,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return _checked(response)

    def _unreachable(self, error: Exception) -> EngineError:
        what = str(error) or type(error).__name__
        return EngineError(0, f"The container engine at {self.socket} cannot be reached: {what}")

    async def ping(self) -> None:
        """Raise EngineError unless the engine answers."""
        await self._request("GET", "/_ping", timeout=5.0)

    async def image(self, name: str) -> dict[str, Any] | None:
        """Inspect an image on this machine; None when it is not here."""
        try:
            response = await self._request("GET", f"/images/{name}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        return _object(response)

    async def create(self, config: dict[str, Any]) -> str:
        """Create a container; returns its id."""
        response = await self._request("POST", "/containers/create", json=config)
        return str(_object(response)["Id"])

    async def start(self, container: str) -> None:
        """Start a container that was created or has ended."""
        await self._request("POST", f"/containers/{container}/start")

    async def inspect(self, container: str) -> dict[str, Any]:
        """The container's configuration and state."""
        return _object(await self._request("GET", f"/containers/{container}/json"))

    async def wait(self, container: str) -> int:
        """Wait for the container's end; returns its exit code."""
        response = await self._request("POST", f"/containers/{container}/wait", timeout=None)
        return int(_object(response)["StatusCode"])

    async def stop(self, container: str, grace: float) -> None:
        """Send SIGTERM, then SIGKILL when the container still runs after `grace` seconds."""
        await self._request(
            "POST",
            f"/containers/{container}/stop",
            params={"t": round(grace)},
            timeout=grace + _SECONDS,
        )

    async def remove(self, container: str) -> None:
        """Remove the container, running or not, with its volumes; may be repeated."""
        try:
            await self._request(
                "DELETE", f"/containers/{container}", params={"force": "true", "v": "true"}
            )
        except EngineError as error:
            # 409: its removal is under way already.
            if error.status not in (404, 409):
                raise

    async def list(self, label: str) -> list[dict[str, Any]]:
        """All containers, ended ones too, that carry a label (`key` or `key=value`)."""
        filters = json.dumps({"label": [label]})
        response = await self._request(
            "GET", "/containers/json", params={"all": "true", "filters": filters}
        )
        found: list[dict[str, Any]] = response.json()
        return found

    async def put(self, container: str, folder: str, archive: bytes | AsyncIterable[bytes]) -> None:
        """Unpack a tar archive, plain or gzipped, into a folder of the container."""
        await self._request(
            "PUT",
            f"/containers/{container}/archive",
            params={"path": folder},
            content=archive,
            headers={"Content-Type": "application/x-tar"},
            timeout=httpx.Timeout(_SECONDS, write=None, read=600.0),
        )

    @asynccontextmanager
    async def get(self, container: str, path: str) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """A file or folder of the container as a tar stream; None when it is not there."""
        async with self._stream(f"/containers/{container}/archive", path=path) as response:
            yield None if response is None else response.aiter_bytes()

    async def logs(self, container: str, since: float = 0.0) -> AsyncIterator[tuple[float, bytes]]:
        """Follow what the container prints, to its end.

        Args:
            container: Its id.
            since: Epoch seconds: what was printed before is left out.

        Yields:
            Epoch seconds and one line, without its end.
        """
        async with self._stream(
            f"/containers/{container}/logs",
            since=f"{since:.6f}",
            follow="true",
            stdout="true",
            stderr="true",
            timestamps="true",
        ) as response:
            if response is None:
                return
            async for line in _lines(response.aiter_bytes()):
                yield line

    @asynccontextmanager
    async def _stream(self, url: str, **params: str) -> AsyncIterator[httpx.Response | None]:
        try:
            async with self._client.stream(
                "GET", url, params=params, timeout=httpx.Timeout(_SECONDS, read=None)
            ) as response:
                if response.status_code == 404:
                    await response.aread()
                    yield None
                    return
                if response.is_error:
                    await response.aread()
                yield _checked(response)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error


def _object(response: httpx.Response) -> dict[str, Any]:
    content: dict[str, Any] = response.json()
    return content


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        try:
            message = str(response.json()["message"])
        except (ValueError, KeyError, TypeError):
            message = response.text or response.reason_phrase
        raise EngineError(response.status_code, message.strip())
    return response


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[float, bytes]]:
    """Lines out of the engine's multiplexed stream: `u8 stream, 3 zeros, u32 length` a frame.

    See https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach.
    """
    pending: dict[int, bytes] = {}
    buffer = b""
    async for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 8:
            length = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + length:
                break
            source = buffer[0]
            text = pending.get(source, b"") + buffer[8 : 8 + length]
            buffer = buffer[8 + length :]
            *whole, pending[source] = text.split(b"\n")
            for line in whole:
                yield _stamped(line)
        await asyncio.sleep(0)
    for rest in pending.values():
        if rest:
            yield _stamped(rest)


def _stamped(line: bytes) -> tuple[float, bytes]:
    stamp, _, text = line.partition(b" ")
    try:
        # Nanoseconds are more than fromisoformat reads.
        moment = datetime.datetime.fromisoformat(stamp[:26].decode().rstrip("Z") + "+00:00")
    except (ValueError, UnicodeDecodeError):
        return time.time(), line
    return moment.timestamp(), text.rstrip(b"\r")
