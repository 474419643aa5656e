"""What a training process or container tells, put where it belongs: log, metrics, state."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from sagemaker_local import job_state
from sagemaker_local.job_state import KIND
from sagemaker_local.metrics import MetricFinder
from sagemaker_local.store import Body
from sagemaker_local.trainer_process import Event

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["LOG_GROUP", "Recorder"]

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class Recorder:
    """Takes a job's events: lines to the log, all else to the job's body.

    Args:
        context: Where both are kept.
        name: The job's.
        body: The job's, when it began to run.

    Attributes:
        done: Whether the end was told.
        artifacts: URL of the artefact, when the end was told with one.
        failure: Why it failed, when that was told.
    """

    def __init__(self, context: Context, name: str, body: Body) -> None:
        self.done = False
        self.artifacts: str | None = None
        self.failure: str | None = None
        self._context = context
        self._name = name
        self._epoch = int(body["TrainingStartTime"])
        self._metrics = MetricFinder(body["AlgorithmSpecification"].get("MetricDefinitions"))
        self._lines: dict[str, list[tuple[int, str]]] = {}

    def record(self, events: list[Event]) -> None:
        """Take some events in their order."""
        now = int(time.time() * 1000)
        for event in events:
            if event["event"] == "log":
                line = str(event.get("line", ""))
                self._lines.setdefault(str(event.get("host", "algo-1")), []).append((now, line))
                self._metrics.look_at(line)
            else:
                self.flush()
                self._change(event)
        self.flush()

    def flush(self) -> None:
        """Write the lines that have come in."""
        for host, lines in self._lines.items():
            stream = f"{self._name}/{host}-{self._epoch}"
            self._context.logs.put(LOG_GROUP, stream, lines)
        self._lines.clear()
        for name, value in self._metrics.take().items():
            self._change({"event": "metric", "name": name, "value": value})

    def _change(self, event: Event) -> None:
        kind = event["event"]
        if kind == "status":
            self._context.store.update(KIND, self._name, lambda body: _move(body, event))
        elif kind == "metric":
            name, value = str(event["name"]), float(event["value"])
            if not math.isfinite(value):
                return  # JSON has no word for it
            self._context.store.update(
                KIND, self._name, lambda body: job_state.add_metric(body, name, value)
            )
        elif kind == "done":
            self.done = True
            self.artifacts = event.get("artifacts")
        elif kind == "failed":
            self.failure = str(event.get("reason") or "AlgorithmError: no reason was given")


def _move(body: Body, event: Event) -> None:
    status = str(event["status"])
    # A job that is being stopped shows no progress but the saving of what it has.
    if body["TrainingJobStatus"] == "Stopping" and status != "Uploading":
        return
    job_state.enter(body, status, event.get("message"))
