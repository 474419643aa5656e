"""A model served by a container: `serve`, `/ping`, `/invocations` on port 8080.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from sagemaker_local.containers.archives import file_chunks, layout
from sagemaker_local.containers.engine import (
    Engine,
    EngineError,
    NoEngineError,
    find_engine,
    require_image,
)
from sagemaker_local.containers.labels import labels
from sagemaker_local.errors import InputError
from sagemaker_local.hosting.servers import LoadError, ModelTimeoutError
from sagemaker_local.invocation import Answer, Invocation
from sagemaker_local.unpacked import check

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["ContainerServer"]

PORT = "8080/tcp"
PING_SECONDS = 2.0
CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

_log = logging.getLogger(__name__)


class ContainerServer:
    """One model in one container; made by `start`.

    The instance count of a variant has no meaning here: one container answers for all.
    """

    def __init__(
        self,
        context: Context,
        engine: Engine,
        image: str,
        *,
        log: tuple[str, str],
        startup_timeout: float,
        role: str,
    ) -> None:
        self._context = context
        self._engine = engine
        self._image = image
        self._resolved = image
        self._group, self._stream = log
        self._startup_timeout = startup_timeout
        self._role = role
        self._container = ""
        self._client = httpx.AsyncClient()
        self._follower: asyncio.Task[None] | None = None
        self._reviving = asyncio.Lock()
        self._suspect = False
        self._last_lines: deque[str] = deque(maxlen=5)
        self._closed = False

    @classmethod
    async def start(
        cls,
        context: Context,
        image: str,
        artifact: Path | None,
        *,
        environment: dict[str, str],
        startup_timeout: float,
        label: str,
        log: tuple[str, str],
        role: str,
    ) -> ContainerServer:
        """Start a container and wait until it is healthy.

        Args:
            context: What the parts of the service share.
            image: Its name in the container engine.
            artifact: The model.tar.gz to unpack into /opt/ml/model, if any.
            environment: Variables of the model.
            startup_timeout: Seconds until `/ping` must answer 200; AWS gives 240.
            label: What the container is for, such as "endpoint/digits".
            log: Log group and stream for what it prints.
            role: What the model is for, as a failure names it.

        Raises:
            LoadError: There is no engine or image, or the container is not healthy in time;
                nothing of it stays.
        """
        try:
            engine = await find_engine(context.settings.engine)
        except NoEngineError as error:
            raise LoadError(str(error)) from error
        server = cls(context, engine, image, log=log, startup_timeout=startup_timeout, role=role)
        try:
            await server._start(artifact, environment, label)
        except EngineError as error:
            await server.close(grace=0)
            raise LoadError(f"{role}: {error}") from error
        except BaseException:
            await asyncio.shield(server.close(grace=0))
            raise
        return server

    async def _start(self, artifact: Path | None, environment: dict[str, str], label: str) -> None:
        found = await require_image(self._engine, self._image)
        digests = found.get("RepoDigests") or []
        self._resolved = digests[0] if digests else f"{self._image.split('@')[0]}@{found['Id']}"
        region = self._context.settings.region
        variables = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region} | environment
        self._container = await self._engine.create(
            {
                "Image": self._image,
                "Cmd": ["serve"],
                "Env": [f"{key}={value}" for key, value in variables.items()],
                "Labels": labels(self._context, label),
                "ExposedPorts": {PORT: {}},
                "HostConfig": {
                    # Any free port, and of the loopback interface only.
                    "PortBindings": {PORT: [{"HostIp": "127.0.0.1", "HostPort": ""}]}
                },
            }
        )
        await self._engine.put(self._container, "/", layout(["/opt/ml", "/opt/ml/model"]))
        if artifact is not None:
            try:  # before the engine unpacks it, which has no limit
                await asyncio.to_thread(check, artifact)
            except InputError as error:
                raise LoadError(f"{self._role}: {error}.") from error
            await self._engine.put(self._container, "/opt/ml/model", file_chunks(artifact))
        await self._run()

    async def _run(self) -> None:
        """Start the container, again perhaps, and wait until it is healthy."""
        since = time.time()
        try:
            await self._engine.start(self._container)
        except EngineError as error:
            raise LoadError(
                f"CannotStartContainerError. Please ensure the model container for {self._role} "
                f"starts correctly when invoked with 'docker run {self._image} serve': {error}"
            ) from error
        if self._follower is not None:
            self._follower.cancel()
        self._follower = asyncio.create_task(self._follow(since))
        port = await self._port()
        await self._client.aclose()
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )
        await self._wait_healthy()

    async def _port(self) -> str:
        details = await self._engine.inspect(self._container)
        bindings = (details["NetworkSettings"].get("Ports") or {}).get(PORT) or []
        # None when the container has ended at once; `_wait_healthy` tells that.
        return str(bindings[0]["HostPort"]) if bindings else "1"

    async def _wait_healthy(self) -> None:
        deadline = time.monotonic() + self._startup_timeout
        pause = 0.02
        while True:
            if await self._is_healthy():
                return
            state = (await self._engine.inspect(self._container))["State"]
            if not state["Running"]:
                raise LoadError(
                    f"The container for {self._role} ended with exit code {state['ExitCode']}"
                    f"{' (out of memory)' if state.get('OOMKilled') else ''} before it answered "
                    f"/ping on port 8080. It was started as 'docker run {self._image} serve'. "
                    f"{await self._said()}"
                )
            if time.monotonic() > deadline:
                raise LoadError(
                    f"The primary container for {self._role} did not pass the ping health check. "
                    "Please check CloudWatch logs for this endpoint. "
                    f"(/ping on port 8080 did not answer 200 within {self._startup_timeout:g} s.) "
                    f"{await self._said()}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _said(self) -> str:
        if self._follower is not None:
            # What it printed last may still be on its way.
            await asyncio.wait([self._follower], timeout=0.5)
        if not self._last_lines:
            return "It printed nothing."
        return "It printed last: " + " | ".join(self._last_lines)[-600:]

    async def _follow(self, since: float) -> None:
        """Carry what the container prints into CloudWatch Logs."""
        try:
            async for moment, line in self._engine.logs(self._container, since):
                text = line.decode("utf-8", "replace")
                self._last_lines.append(text)
                self._context.logs.put(self._group, self._stream, [(int(moment * 1000), text)])
        except EngineError as error:
            if not self._closed:
                _log.warning("The log of the container of %s broke off: %s", self._group, error)

    @property
    def resolved_image(self) -> str:
        """The image with its digest, or its id where it never was in a registry."""
        return self._resolved

    async def invoke(self, invocation: Invocation, timeout: float) -> Answer:
        """Hand one request to the container. See `ModelServer.invoke`."""
        try:
            async with asyncio.timeout(timeout):
                if self._suspect:
                    await self._revive()
                try:
                    return await self._post(invocation)
                except httpx.ConnectError:
                    # It had ended before the request: nothing was asked of it yet.
                    self._suspect = True
                    await self._revive()
                    return await self._post(invocation)
        except TimeoutError:
            raise ModelTimeoutError from None
        except httpx.TransportError:
            # It ended with the request, which may be the cause: only later ones are asked again.
            self._suspect = True
            raise

    async def _post(self, invocation: Invocation) -> Answer:
        headers = {
            "Content-Type": invocation.content_type or "application/octet-stream",
            "Accept": invocation.accept or "*/*",
        }
        attributes = invocation.headers.get(CUSTOM_ATTRIBUTES)
        if attributes is not None:
            headers[CUSTOM_ATTRIBUTES] = attributes
        response = await self._client.post(
            "/invocations", content=invocation.body, headers=headers, timeout=None
        )
        return Answer(
            response.status_code,
            response.content,
            response.headers.get("content-type", "application/octet-stream"),
            response.headers.get(CUSTOM_ATTRIBUTES),
        )

    async def _revive(self) -> None:
        """Start the container again if it has ended, as SageMaker does."""
        async with self._reviving:
            # The port may take connections for a moment when the container is ending already.
            deadline = time.monotonic() + PING_SECONDS
            while self._suspect and not self._closed and time.monotonic() < deadline:
                state = (await self._engine.inspect(self._container))["State"]
                if not state["Running"]:
                    code = state["ExitCode"]
                    _log.warning("A container of %s ended (%s): started again", self._group, code)
                    await self._run()
                    self._suspect = False
                elif await self._is_healthy():
                    self._suspect = False
                else:
                    await asyncio.sleep(0.05)

    async def _is_healthy(self) -> bool:
        try:
            return (await self._client.get("/ping", timeout=PING_SECONDS)).status_code == 200
        except httpx.HTTPError:
            return False

    async def close(self, grace: float = 30.0) -> None:
        """Stop and remove the container; may be repeated. See `ModelServer.close`."""
        self._closed = True
        container, self._container = self._container, ""
        try:
            if container:
                with suppress(EngineError):
                    await self._engine.stop(container, grace)
                await self._engine.remove(container)
        except EngineError as error:
            _log.warning("A container of %s could not be removed: %s", self._group, error)
        finally:
            if self._follower is not None:
                await asyncio.wait([self._follower], timeout=5.0)
                self._follower.cancel()
            await self._client.aclose()
            await self._engine.aclose()
