"""The life of transform jobs: running, being stopped, begun again after a restart.

States and texts: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTransformJob.html.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_local.api_errors import ResourceInUse, ValidationException
from sagemaker_local.errors import InputError
from sagemaker_local.hosting.plan import container_of
from sagemaker_local.hosting.servers import LoadError
from sagemaker_local.store import Body, Exists, Missing
from sagemaker_local.transform.processing import Processing
from sagemaker_local.transform.run import StoppedError, TransformError, run, unless

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["KIND", "Transforms"]

KIND = "transform-job"
# Jobs at once; each has one request in flight unless it asks for more.
_AT_ONCE = 2
_MOST_RESTARTS = 2

_log = logging.getLogger(__name__)


class Transforms:
    """All transform jobs of the service.

    Args:
        context: What the parts of the service share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._closing = False

    async def start(self) -> None:
        """Begin again the jobs that were going on when the service ended."""
        for body in self._context.store.list(KIND):
            name, status = body["TransformJobName"], body["TransformJobStatus"]
            if status == "Stopping":
                self._finish(name, "Stopped")
            elif status == "InProgress":
                restarts = body.get("_restarts", 0) + ("TransformStartTime" in body)
                if restarts > _MOST_RESTARTS:
                    reason = (
                        f"InternalServerError: the service was ended {restarts} times while this "
                        "job ran, and it is not begun once more."
                    )
                    self._finish(name, "Failed", reason)
                else:
                    self._context.store.update(KIND, name, _restarts=restarts)
                    self._submit(name)

    async def stop(self) -> None:
        """End all jobs; they begin again with the next start."""
        self._closing = True
        for stop in self._stops.values():
            stop.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def create(self, request: dict[str, Any]) -> str:
        """Carry out CreateTransformJob; returns the job's ARN.

        Raises:
            ResourceInUse: The name is taken.
            ValidationException: There is no such model, or something is asked for that is not
                offered.
        """
        name = request["TransformJobName"]
        arn = self._context.arn(KIND, name)
        container = container_of(self._context, request["ModelName"])
        _check(request)
        body = {
            **{key: value for key, value in request.items() if key != "Tags"},
            "TransformJobArn": arn,
            "TransformJobStatus": "InProgress",
            "_container": container,
        }
        try:
            self._context.store.create(KIND, name, body)
        except Exists:
            raise ResourceInUse(
                "Job name must be unique within an AWS account and region, and a job with this "
                f"name already exists ({arn})"
            ) from None
        self._submit(name)
        return arn

    def find(self, name: str) -> Body:
        """The job of this name as DescribeTransformJob shows it.

        Raises:
            ValidationException: There is none.
        """
        body = self._context.store.get(KIND, name)
        if body is None:
            raise ValidationException(f"Could not find requested job with name: {name}")
        return body

    def request_stop(self, name: str) -> None:
        """Carry out StopTransformJob: the objects finished stay, the one at work is given up.

        Raises:
            ValidationException: There is no such job, or it is finished.
        """
        status = self.find(name)["TransformJobStatus"]
        if status in ("Stopping", "Stopped"):
            return
        if status != "InProgress":
            raise ValidationException(
                f"The request was rejected because the transform job is in status {status}."
            )
        self._context.store.update(KIND, name, TransformJobStatus="Stopping")
        self._stops[name].set()

    def _submit(self, name: str) -> None:
        self._stops[name] = asyncio.Event()
        attend = self._attend(name, self._stops[name])
        self._tasks[name] = asyncio.create_task(attend, name=f"transform job {name}")

    async def _attend(self, name: str, stop: asyncio.Event) -> None:
        folder = self._context.settings.data / "transform" / name
        try:
            await unless(stop, self._slots.acquire())
            try:
                body = self._context.store.update(KIND, name, _start_clock)
                await run(self._context, body, folder, stop)
            finally:
                self._slots.release()
            self._finish(name, "Completed")
        except StoppedError:
            if not self._closing:
                self._finish(name, "Stopped")
        except (LoadError, TransformError) as error:
            self._finish(name, "Failed", str(error))
        except Exception as error:
            _log.exception("Transform job %s failed in the service", name)
            self._finish(name, "Failed", f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            self._tasks.pop(name, None)
            self._stops.pop(name, None)
            await asyncio.to_thread(_tidy, folder)

    def _finish(self, name: str, status: str, reason: str | None = None) -> None:
        def change(body: Body) -> None:
            # A stop that was asked for while the last object was written is honoured by name.
            asked = body["TransformJobStatus"] == "Stopping"
            body["TransformJobStatus"] = "Stopped" if asked else status
            body["TransformEndTime"] = round(time.time(), 3)
            if reason is not None and not asked:
                body["FailureReason"] = reason if len(reason) <= 1024 else reason[:1021] + "..."

        with suppress(Missing):
            self._context.store.update(KIND, name, change)
        _log.info("Transform job %s: %s%s", name, status, f" ({reason})" if reason else "")


def _start_clock(body: Body) -> None:
    body.setdefault("TransformStartTime", round(time.time(), 3))


def _tidy(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _check(request: dict[str, Any]) -> None:
    """Refuse what is not offered or cannot be.

    Raises:
        ValidationException: It says what.
    """
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if not source["S3Uri"].startswith("s3://"):
        raise ValidationException(f"The S3Uri {source['S3Uri']!r} is no S3 URL.")
    if not request["TransformOutput"]["S3OutputPath"].startswith("s3://"):
        raise ValidationException(
            f"The S3OutputPath {request['TransformOutput']['S3OutputPath']!r} is no S3 URL."
        )
    if request["TransformInput"].get("SplitType") == "TFRecord":
        raise ValidationException(
            "This local service does not offer SplitType TFRecord: use None, Line or RecordIO."
        )
    try:
        Processing.of(request)
    except InputError as error:
        raise ValidationException(str(error)) from error
    if request.get("DataCaptureConfig"):
        raise ValidationException(
            "This local service does not offer DataCaptureConfig for transform jobs: leave it out."
        )
    size = request.get("MaxPayloadInMB", 6)
    if size * (request.get("MaxConcurrentTransforms") or 1) > 100 or size > 100:
        raise ValidationException(
            "MaxPayloadInMB times MaxConcurrentTransforms must not be greater than 100 MB."
        )
