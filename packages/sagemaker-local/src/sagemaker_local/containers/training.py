"""A training job in a container: `train`, with its folders under /opt/ml.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html. It
is told in the events that the process of a built-in algorithm emits: `jobs` treats both alike.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_local.containers.archives import layout, pack, read_text
from sagemaker_local.containers.engine import (
    Engine,
    EngineError,
    NoEngineError,
    find_engine,
    require_image,
)
from sagemaker_local.containers.inputs import Pipe, download, input_mode, resolve
from sagemaker_local.containers.labels import labels
from sagemaker_local.errors import InputError, SageMakerLocalError
from sagemaker_local.objects import S3Uri
from sagemaker_local.transform.storage import TransformObjects

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["GRACE_SECONDS", "train"]

# Between SIGTERM and SIGKILL: "How Amazon SageMaker AI Processes Training Output"/StopTrainingJob.
GRACE_SECONDS = 120.0
_MAX_REASON = 1024
_HOST = "algo-1"

_log = logging.getLogger(__name__)
_Event = dict[str, Any]
_Emit = Callable[[_Event], None]


async def train(
    context: Context, folder: Path, body: dict[str, Any], *, emit: _Emit, stop: asyncio.Event
) -> None:
    """Run a training job in a container to its end; ends with one "done" or "failed" event.

    Args:
        context: What the parts of the service share.
        folder: The job's working folder.
        body: The job, as DescribeTrainingJob shows it.
        emit: Takes the events.
        stop: Set to stop the job: SIGTERM, and SIGKILL after 120 seconds; what is in
            /opt/ml/model by then is uploaded.
    """
    try:
        engine = await find_engine(context.settings.engine)
    except NoEngineError as error:
        emit({"event": "failed", "reason": f"ClientError: {error}"})
        return
    job = _Training(context, folder, body, engine, emit, stop)
    try:
        await job.run()
    except InputError as error:
        emit({"event": "failed", "reason": f"ClientError: {error}"})
    except SageMakerLocalError as error:
        emit({"event": "failed", "reason": f"InternalServerError: {error}"})
    finally:
        await asyncio.shield(job.close())


class _Training:
    """One container of one job."""

    def __init__(
        self,
        context: Context,
        folder: Path,
        body: dict[str, Any],
        engine: Engine,
        emit: _Emit,
        stop: asyncio.Event,
    ) -> None:
        self._context = context
        self._folder = folder
        self._body = body
        self._engine = engine
        self._emit = emit
        self._stop = stop
        self._name = body["TrainingJobName"]
        self._container = ""
        self._pipes: list[Pipe] = []
        self._stopper: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=5)
        settings = context.settings
        self._objects = TransformObjects(endpoint=settings.s3_endpoint, region=settings.region)

    async def run(self) -> None:
        """Bring the data in, run the container, bring the model out."""
        count = self._body["ResourceConfig"].get("InstanceCount") or 1
        if count != 1:
            raise InputError(
                f"InstanceCount is {count}: containers train on one host here. Set it to 1."
            )
        image = self._body["AlgorithmSpecification"].get("TrainingImage")
        if not image:
            raise InputError("AlgorithmSpecification names no TrainingImage.")
        try:
            await require_image(self._engine, image)
        except EngineError as error:
            raise InputError(str(error)) from error
        self._emit({"event": "status", "status": "Downloading"})
        await self._bring_data()
        if self._stop.is_set():
            self._emit({"event": "done"})
            return
        self._container = await self._engine.create(self._config(image))
        await self._engine.put(self._container, "/", self._layout())
        try:
            await self._engine.start(self._container)
        except EngineError as error:
            raise InputError(
                "CannotStartContainerError. Please ensure the container starts correctly when "
                f"invoked with 'docker run {image} train': {error}"
            ) from error
        self._emit({"event": "status", "status": "Training"})
        self._stopper = asyncio.create_task(self._stop_when_told())
        await self._follow()
        code = await self._engine.wait(self._container)
        if self._stop.is_set():
            # The grace may have run out: then the stopper is still at its call.
            await self._stopper
        await self._bring_out(code)

    async def close(self) -> None:
        """Leave nothing behind; may be repeated."""
        if self._stopper is not None:
            self._stopper.cancel()
        container, self._container = self._container, ""
        try:
            if container:
                await self._engine.remove(container)
        except EngineError as error:
            _log.warning("The container of %s could not be removed: %s", self._name, error)
        finally:
            for pipe in self._pipes:
                await asyncio.to_thread(pipe.close)
            await self._engine.aclose()

    async def _bring_data(self) -> None:
        data = self._folder / "input" / "data"
        data.mkdir(parents=True, exist_ok=True)
        for channel in self._body.get("InputDataConfig") or []:
            found = await resolve(self._objects, channel)
            if input_mode(self._body, channel) == "Pipe":
                self._pipes.append(Pipe(self._objects, channel, found, data))
            else:
                target = data / channel["ChannelName"]
                await asyncio.to_thread(download, self._objects, channel, found, target)

    def _config(self, image: str) -> dict[str, Any]:
        algorithm = self._body["AlgorithmSpecification"]
        region = self._context.settings.region
        variables = {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            **(self._body.get("Environment") or {}),
            "TRAINING_JOB_NAME": self._name,
            "TRAINING_JOB_ARN": self._body["TrainingJobArn"],
        }
        config: dict[str, Any] = {
            "Image": image,
            "Hostname": _HOST,
            "Cmd": algorithm.get("ContainerArguments") or ["train"],
            "Env": [f"{key}={value}" for key, value in variables.items()],
            "Labels": labels(self._context, f"training-job/{self._name}"),
            "HostConfig": {
                "Binds": [f"{self._folder.resolve()}/input/data:/opt/ml/input/data"],
                # Docker's 64 MB are too few for data loaders with worker processes.
                "ShmSize": 1 << 30,
            },
        }
        if algorithm.get("ContainerEntrypoint"):
            config["Entrypoint"] = algorithm["ContainerEntrypoint"]
            config["Cmd"] = algorithm.get("ContainerArguments") or []
        return config

    def _layout(self) -> bytes:
        """The folders under /opt/ml and the configuration in them."""
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": input_mode(self._body, channel),
                "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            }
            for channel in self._body.get("InputDataConfig") or []
        }
        instance = self._body["ResourceConfig"].get("InstanceType", "local")
        resources = {
            "current_host": _HOST,
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": [_HOST],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": instance,
                    "hosts": [_HOST],
                }
            ],
            "network_interface_name": "eth0",
        }
        config = "/opt/ml/input/config"
        contents = {
            "hyperparameters": self._body.get("HyperParameters") or {},
            "inputdataconfig": channels,
            "resourceconfig": resources,
        }
        return layout(
            [
                "/opt/ml",
                "/opt/ml/input",
                config,
                "/opt/ml/model",
                "/opt/ml/code",
                "/opt/ml/output",
                "/opt/ml/output/data",
            ],
            {
                f"{config}/{name}.json": json.dumps(content).encode()
                for name, content in contents.items()
            },
        )

    async def _follow(self) -> None:
        async for _, line in self._engine.logs(self._container):
            text = line.decode("utf-8", "replace")
            self._last_lines.append(text)
            self._emit({"event": "log", "host": _HOST, "line": text})

    async def _stop_when_told(self) -> None:
        await self._stop.wait()
        with suppress(EngineError):
            await self._engine.stop(self._container, GRACE_SECONDS)

    async def _bring_out(self, code: int) -> None:
        stopped = self._stop.is_set()
        self._emit({"event": "status", "status": "Uploading"})
        output = self._body["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        output = f"{output}/{self._name}/output"
        data = self._folder / "output.tar.gz"
        if await pack(self._engine, self._container, "/opt/ml/output/data", data):
            await self._upload(data, f"{output}/output.tar.gz")
        if code != 0 and not stopped:
            self._emit({"event": "failed", "reason": await self._reason(code)})
            return
        model = self._folder / "model.tar.gz"
        await pack(self._engine, self._container, "/opt/ml/model", model)
        await self._upload(model, f"{output}/model.tar.gz")
        self._emit({"event": "done", "artifacts": f"{output}/model.tar.gz"})

    async def _upload(self, path: Path, url: str) -> None:
        await asyncio.to_thread(self._objects.put, S3Uri.parse(url), path)

    async def _reason(self, code: int) -> str:
        """Why it failed: the container's own word, or what is seen from outside."""
        ending = f", exit code: {code}"
        for pipe in self._pipes:
            if pipe.error is not None:
                return f"ClientError: {pipe.error}{ending}"
        said = await read_text(self._engine, self._container, "/opt/ml/output/failure", _MAX_REASON)
        if said and said.strip():
            room = _MAX_REASON - len("AlgorithmError: ") - len(ending)
            return f"AlgorithmError: {said.strip()[:room]}{ending}"
        state = (await self._engine.inspect(self._container))["State"]
        how = "the container ended without /opt/ml/output/failure"
        if state.get("OOMKilled"):
            how = "the container was killed because it ran out of memory"
        elif code > 128:
            how = f"the container was ended by signal {code - 128}"
        words = re.sub(r"\s+", " ", " | ".join(self._last_lines))[-600:]
        return f"AlgorithmError: {how}{ending}." + (f" It printed last: {words}" if words else "")
