"""The life of training jobs: waiting for a core, running, being stopped, surviving a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_local import algorithms, job_state
from sagemaker_local.api_errors import ValidationException
from sagemaker_local.errors import SageMakerLocalError
from sagemaker_local.job_events import Recorder
from sagemaker_local.job_state import FINISHED, KIND
from sagemaker_local.store import Body, Missing
from sagemaker_local.trainer_process import TrainerProcess, end_leftover

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["Jobs"]

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
GRACE_SECONDS = 120.0
_MOST_RESTARTS = 2

_log = logging.getLogger(__name__)


class _Job:
    """One job that is not finished: its task, and what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.task: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()
        self.stopped_as = "Stopped"  # the secondary status to end with, once `stop` is set

    def end(self, secondary: str) -> None:
        if not self.stop.is_set():
            self.stopped_as = secondary
            self.stop.set()


class Jobs:
    """All training jobs of the service.

    Args:
        context: Where their state and logs are kept.
        command: Gives the command that trains in a job's folder; the built-in trainer when None.
    """

    def __init__(
        self, context: Context, command: Callable[[Path], list[str]] | None = None
    ) -> None:
        self._context = context
        self._command = command
        self._jobs: dict[str, _Job] = {}
        self._cores = asyncio.Semaphore(context.settings.trainers)
        self._closing = False

    async def start(self) -> None:
        """Take up the jobs that were going on when the service ended."""
        bodies = [b for b in self._context.store.list(KIND) if _is_going_on(b)]
        for body in sorted(bodies, key=lambda body: body["CreationTime"]):
            await self._recover(body)

    async def stop(self) -> None:
        """End all training processes at once; their jobs begin again with the next start."""
        self._closing = True
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, name: str) -> None:
        """Run a job that is in the store, as soon as there is a core for it."""
        job = _Job(name)
        self._jobs[name] = job
        job.task = asyncio.create_task(self._attend(job), name=f"training job {name}")

    def request_stop(self, name: str) -> None:
        """Stop a job that is going on: what it has made so far is saved, if it can be.

        Raises:
            ValidationException: It is finished already.
        """

        def change(body: Body) -> None:
            status = body["TrainingJobStatus"]
            if status in FINISHED:
                raise ValidationException(
                    f"The request was rejected because the training job is in status {status}."
                )
            job_state.begin_stop(body)

        self._context.store.update(KIND, name, change)
        if name in self._jobs:
            self._jobs[name].end("Stopped")

    def folder(self, name: str) -> Path:
        """Return a job's working folder."""
        return self._context.settings.data / "training" / name

    # After a restart ------------------------------------------------------------------------

    async def _recover(self, body: Body) -> None:
        name = body["TrainingJobName"]
        if "_pid" in body:
            await end_leftover(body["_pid"], self.folder(name))
        if body["TrainingJobStatus"] == "Stopping":
            self._finish(name, "Stopped")
            return
        restarts = body.get("_restarts", 0)
        if "TrainingStartTime" in body:
            restarts += 1
        if restarts > _MOST_RESTARTS:
            self._finish(
                name,
                "Failed",
                reason="InternalServerError: the service was ended "
                f"{restarts} times while this job ran, and it is not begun once more.",
            )
            return

        def change(body: Body) -> None:
            body["_restarts"] = restarts
            body.pop("_pid", None)
            body.pop("FinalMetricDataList", None)
            if "TrainingStartTime" in body:
                job_state.enter(body, "Restarting")

        self._context.store.update(KIND, name, change)
        self.submit(name)

    # Running --------------------------------------------------------------------------------

    async def _attend(self, job: _Job) -> None:
        try:
            await self._run(job)
        except asyncio.CancelledError:
            if not self._closing:
                raise
        except Missing:
            _log.warning("Training job %s was removed while it ran", job.name)
        except SageMakerLocalError as error:
            with contextlib.suppress(Missing):
                self._finish(job.name, "Failed", reason=f"ClientError: {error}")
        except Exception as error:
            _log.exception("Training job %s failed in the service", job.name)
            reason = f"InternalServerError: {type(error).__name__}: {error}"
            with contextlib.suppress(Missing):
                self._finish(job.name, "Failed", reason=reason)
        finally:
            self._jobs.pop(job.name, None)

    async def _run(self, job: _Job) -> None:
        if self._cores.locked():
            self._enter(job.name, "Pending")
        if not await _first(self._cores.acquire(), job.stop.wait()):
            self._finish(job.name, "Stopped", secondary=job.stopped_as)
            return
        timer: asyncio.TimerHandle | None = None
        try:
            if job.stop.is_set():
                self._finish(job.name, "Stopped", secondary=job.stopped_as)
                return
            body = self._context.store.update(KIND, job.name, _start_clock)
            # The clock goes on from the first start, through restarts of the service.
            limit = body["StoppingCondition"]["MaxRuntimeInSeconds"]
            left = body["TrainingStartTime"] + limit - time.time()
            timer = asyncio.get_running_loop().call_later(left, self._expire, job)
            await self._train(job, body)
        finally:
            if timer is not None:
                timer.cancel()
            self._cores.release()

    def _expire(self, job: _Job) -> None:
        with contextlib.suppress(Missing):
            self._context.store.update(KIND, job.name, job_state.begin_stop)
        job.end("MaxRuntimeExceeded")

    async def _train(self, job: _Job, body: Body) -> None:
        folder = self.folder(job.name)
        image = body["AlgorithmSpecification"]["TrainingImage"]
        algorithm = algorithms.find(image)
        await asyncio.to_thread(_prepare, folder, self._description(body, algorithm))
        recorder = Recorder(self._context, job.name, body)
        if algorithm is None:
            reason = await self._train_in_container(job, body, folder, recorder)
        else:
            reason = await self._train_in_process(job, folder, recorder)
        recorder.flush()
        # Before the end is told: then the name may be given away again, and this folder with it.
        await asyncio.to_thread(_tidy, folder)
        if job.stop.is_set():
            self._finish(
                job.name, "Stopped", secondary=job.stopped_as, artifacts=recorder.artifacts
            )
        elif recorder.failure is not None or reason is not None:
            self._finish(job.name, "Failed", reason=recorder.failure or reason)
        else:
            self._finish(job.name, "Completed", artifacts=recorder.artifacts)

    async def _train_in_process(self, job: _Job, folder: Path, recorder: Recorder) -> str | None:
        """Run the built-in trainer; return why it failed, None when all is well."""
        process = TrainerProcess(folder, self._command(folder) if self._command else None)
        await process.start(dict(os.environ))
        stopper = asyncio.create_task(_stop_gently(job.stop, process))
        try:
            self._context.store.update(KIND, job.name, _pid=process.pid)
            async for events in process.events():
                recorder.record(events)
            code = await process.wait()
        except BaseException:
            process.kill()
            await asyncio.shield(process.wait())
            raise
        finally:
            stopper.cancel()
        if code == 0 and recorder.done:
            return None
        return _why(code, process.last_words())

    async def _train_in_container(
        self, job: _Job, body: Body, folder: Path, recorder: Recorder
    ) -> str | None:
        """Run an image by the container contract; return why it failed."""
        from sagemaker_local.containers import training

        await training.train(
            self._context, folder, body, emit=lambda event: recorder.record([event]), stop=job.stop
        )
        return None if recorder.done else "InternalServerError: the container's end was not seen."

    def _description(self, body: Body, algorithm: Any) -> dict[str, Any]:
        settings = self._context.settings
        return {
            "request": {key: value for key, value in body.items() if not key.startswith("_")},
            "algorithm": None if algorithm is None else algorithm.name,
            "s3": {"endpoint": settings.s3_endpoint, "region": settings.region},
        }

    # Changes of state -----------------------------------------------------------------------

    def _enter(self, name: str, status: str, message: str | None = None) -> None:
        self._context.store.update(KIND, name, lambda b: job_state.enter(b, status, message))

    def _finish(
        self,
        name: str,
        status: str,
        *,
        secondary: str | None = None,
        reason: str | None = None,
        artifacts: str | None = None,
    ) -> None:
        def change(body: Body) -> None:
            if artifacts is not None:
                body["ModelArtifacts"] = {"S3ModelArtifacts": artifacts}
            job_state.finish(body, status, secondary=secondary, reason=reason)

        self._context.store.update(KIND, name, change)
        _log.info("Training job %s: %s%s", name, status, f" ({reason})" if reason else "")


async def _stop_gently(stop: asyncio.Event, process: TrainerProcess) -> None:
    await stop.wait()
    process.terminate()
    await asyncio.sleep(GRACE_SECONDS)
    process.kill()


async def _first(one: Any, other: Any) -> bool:
    """Wait for one of two; tell whether it was the first one. The other is given up."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
        return first.done() and not first.cancelled()
    finally:
        for task in (first, second):
            task.cancel()


def _is_going_on(body: Body) -> bool:
    return body["TrainingJobStatus"] not in FINISHED


def _start_clock(body: Body) -> None:
    body.setdefault("TrainingStartTime", round(time.time(), 3))


def _prepare(folder: Path, description: dict[str, Any]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(description, indent=1))


def _tidy(folder: Path) -> None:
    """Remove what a finished job no longer needs: its data and its model, now on S3."""
    for path in folder.glob("*"):
        if path.name in ("job.json", "stderr.txt"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _why(code: int, last_words: str) -> str:
    tail = f" Its last words: {last_words[-600:]}" if last_words else ""
    if code < 0:
        number = -code
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "unknown"
        hint = ", perhaps for want of memory" if number == signal.SIGKILL else ""
        return (
            f"AlgorithmError: the training process was killed by signal {number} ({name}){hint}."
            + tail
        )
    return (
        f"InternalServerError: the training process ended with exit code {code} and no result."
        + tail
    )
