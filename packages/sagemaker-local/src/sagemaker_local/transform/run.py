"""One run of a transform job: every input object through the model, into its output object."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sagemaker_local.errors import InputError, SageMakerLocalError
from sagemaker_local.hosting.loader import load_server
from sagemaker_local.hosting.servers import ModelServer, ModelTimeoutError
from sagemaker_local.invocation import Invocation
from sagemaker_local.objects import S3Uri
from sagemaker_local.transform.processing import Processing
from sagemaker_local.transform.split import gunzip, payloads, splitter
from sagemaker_local.transform.storage import Item, TransformObjects

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["LOG_GROUP", "StoppedError", "TransformError", "run", "unless"]

T = TypeVar("T")

LOG_GROUP = "/aws/sagemaker/TransformJobs"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html (defaults),
# API_ModelClientConfig.html (600 s, no retries).
_DEFAULT_PAYLOAD_MB = 6
_MOST_PAYLOAD_MB = 100
_DEFAULT_SECONDS = 600

_log = logging.getLogger(__name__)


class TransformError(Exception):
    """The job fails; the text becomes its FailureReason."""


class StoppedError(Exception):
    """The job was stopped."""


async def unless(stop: asyncio.Event, work: Awaitable[T]) -> T:
    """Wait for the work, but give it up when `stop` is set.

    Raises:
        StoppedError: It was given up.
    """
    task, halt = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, halt), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise StoppedError
        return task.result()
    finally:
        halt.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def run(context: Context, body: dict[str, Any], folder: Path, stop: asyncio.Event) -> None:
    """Run a job to its end.

    Args:
        context: What the parts of the service share.
        body: The job.
        folder: Its working folder.
        stop: Set to end it early.

    Raises:
        StoppedError: `stop` was set; the output object at work is not written.
        LoadError: The model cannot be loaded.
        TransformError: There is no input, the model refuses it, or S3 does.
    """
    name = body["TransformJobName"]
    stream = f"{name}/i-{uuid.uuid4().hex[:17]}"
    container = body["_container"]
    container = container | {
        "Environment": container["Environment"] | {"SAGEMAKER_BATCH": "true"} | _settings(body)
    }
    load = load_server(
        context,
        container,
        folder / "model.tar.gz",
        label=f"transform-job/{name}",
        log=(LOG_GROUP, stream),
        role=f"transform job {name}",
    )
    server = await unless(stop, load)
    try:
        await _Run(context, body, server, stream, stop).all()
    finally:
        await asyncio.shield(server.close(grace=2.0 if stop.is_set() else 30.0))


def _settings(body: dict[str, Any]) -> dict[str, str]:
    """What a container is told about the job, beside the model's own variables."""
    return {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(body.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)),
        "SAGEMAKER_BATCH_STRATEGY": body.get("BatchStrategy", "MultiRecord"),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(body.get("MaxConcurrentTransforms") or 1),
        **(body.get("Environment") or {}),
    }


class _Run:
    """The objects of one job, one after the other."""

    def __init__(
        self,
        context: Context,
        body: dict[str, Any],
        server: ModelServer,
        stream: str,
        stop: asyncio.Event,
    ) -> None:
        self._context = context
        self._body = body
        self._server = server
        self._stream = stream
        self._stop = stop
        self._processing = Processing.of(body)
        settings = context.settings
        self._objects = TransformObjects(endpoint=settings.s3_endpoint, region=settings.region)
        self._input = body["TransformInput"]
        self._output = body["TransformOutput"]
        self._at_once = body.get("MaxConcurrentTransforms") or 1
        client = body.get("ModelClientConfig") or {}
        self._timeout = float(client.get("InvocationsTimeoutInSeconds", _DEFAULT_SECONDS))
        self._retries = int(client.get("InvocationsMaxRetries", 0))

    async def all(self) -> None:
        """Transform every input object."""
        source = self._input["DataSource"]["S3DataSource"]
        try:
            target = S3Uri.parse(self._output["S3OutputPath"])
            found = await unless(self._stop, self._objects.items(source))
            for item in found:
                if self._stop.is_set():
                    raise StoppedError
                key = f"{target.key.rstrip('/')}/{item.relative}.out".lstrip("/")
                await self._one(item, S3Uri(target.bucket, key))
        except InputError as error:
            raise TransformError(f"ClientError: {error}") from error
        except SageMakerLocalError as error:
            raise TransformError(f"InternalServerError: {error}") from error
        if not found:
            raise TransformError(
                f'ClientError: No S3 objects found under S3 URL "{source["S3Uri"]}" given in '
                "input data source. Please ensure that the bucket exists in the selected AWS "
                f"region ({self._context.settings.region}) and that objects exist under that "
                "S3 prefix."
            )

    async def _one(self, item: Item, target: S3Uri) -> None:
        begun = time.monotonic()
        try:
            await self._objects.write(target, self._answers(item))
        except InputError as error:
            raise TransformError(f"ClientError: {item.uri}: {error}") from error
        self._say(f"{item.uri} -> {target} in {time.monotonic() - begun:.3f} s")

    async def _answers(self, item: Item) -> AsyncIterator[bytes]:
        # A stop raises in here rather than cancel the upload, so that the store's client ends the
        # upload itself and no part of it stays in the bucket.
        chunks = self._objects.chunks(item.uri)
        if self._input.get("CompressionType") == "Gzip":
            chunks = gunzip(chunks)
        megabytes = self._body.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB) or _MOST_PAYLOAD_MB
        split = splitter(
            self._input.get("SplitType", "None"),
            multi=self._body.get("BatchStrategy", "MultiRecord") == "MultiRecord",
            limit=megabytes << 20,
        )
        lines = self._output.get("AssembleWith") == "Line"
        # Requests are in flight side by side; their answers are written in the records' order.
        waiting: deque[asyncio.Task[bytes]] = deque()
        try:
            async for payload in payloads(chunks, split):
                if len(waiting) >= self._at_once:
                    yield _assembled(await unless(self._stop, waiting.popleft()), lines=lines)
                if self._stop.is_set():
                    raise StoppedError
                waiting.append(asyncio.create_task(self._ask(payload, item.uri)))
            while waiting:
                yield _assembled(await unless(self._stop, waiting.popleft()), lines=lines)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _ask(self, payload: bytes, uri: S3Uri) -> bytes:
        processing = self._processing
        invocation = Invocation(
            self._body["TransformJobName"],
            payload if processing is None else processing.request(payload),
            self._input.get("ContentType"),
            self._output.get("Accept"),
        )
        attempt = 0
        while True:
            try:
                answer = await self._server.invoke(invocation, self._timeout)
                status, text = answer.status, answer.body
            except ModelTimeoutError:
                status, text = 504, f"no answer within {self._timeout:g} s".encode()
            except Exception as error:
                # A container that went away in the middle of a request, for one.
                status, text = 500, f"{type(error).__name__}: {error}".encode()
            if status < 400:
                return text if processing is None else processing.result(payload, text)
            said = text.decode("utf-8", "replace")[:500]
            self._say(f"{uri}: the model answered {status}: {said}")
            attempt += 1
            if attempt > self._retries or (status < 500 and status != 429):
                kind = "ClientError" if status < 500 else "AlgorithmError"
                raise TransformError(
                    f"{kind}: {uri}: the model answered {status}: {said} See job logs for more "
                    "information."
                )
            await asyncio.sleep(min(0.1 * 2**attempt, 5.0))

    def _say(self, line: str) -> None:
        now = int(time.time() * 1000)
        with suppress(Exception):
            self._context.logs.put(LOG_GROUP, f"{self._stream}/data-log", [(now, line)])


def _assembled(answer: bytes, *, lines: bool) -> bytes:
    # An answer that brings its own line end gets no second one.
    return answer + b"\n" if lines and not answer.endswith(b"\n") else answer
