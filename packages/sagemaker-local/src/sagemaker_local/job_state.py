"""The states of a training job, as changes of its body (what DescribeTrainingJob shows).

InProgress becomes Completed, Failed, or Stopping and then Stopped. The secondary status and its
transitions tell the way: https://docs.aws.amazon.com/sagemaker/latest/APIReference/
API_DescribeTrainingJob.html (SecondaryStatus, SecondaryStatusTransitions).
"""

from __future__ import annotations

import math
import time
from typing import Any

from sagemaker_local.store import Body

__all__ = [
    "FINISHED",
    "KIND",
    "add_metric",
    "begin",
    "begin_stop",
    "enter",
    "finish",
]

KIND = "training-job"
FINISHED = frozenset({"Completed", "Failed", "Stopped"})
MAX_REASON = 1024
DEFAULT_MAX_RUNTIME = 86_400

_MESSAGES = {
    "Starting": "Starting the training job",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "DownloadingTrainingImage": "Downloading the training image",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Restarting": "Restarting the training job: the service was restarted while it ran",
    "Interrupted": "Training job interrupted",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


def begin(request: dict[str, Any], arn: str) -> Body:
    """Return the body of a job that was just asked for.

    Args:
        request: The validated CreateTrainingJob request.
        arn: The job's.
    """
    now = _now()
    body: Body = {key: value for key, value in request.items() if key != "Tags"}
    body["TrainingJobArn"] = arn
    body["CreationTime"] = body["LastModifiedTime"] = now
    body["TrainingJobStatus"] = "InProgress"
    body["StoppingCondition"] = {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME} | (
        request.get("StoppingCondition") or {}
    )
    for flag in (
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ):
        body.setdefault(flag, False)
    output = request["OutputDataConfig"]
    folder = f"{output['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output/"
    # AWS shows where the artefact will be from the start on.
    packed = output.get("CompressionType") != "NONE"
    body["ModelArtifacts"] = {"S3ModelArtifacts": folder + ("model.tar.gz" if packed else "model/")}
    enter(body, "Starting")
    return body


def enter(body: Body, status: str, message: str | None = None) -> None:
    """Let a job enter a secondary status; the same again changes the message alone.

    Args:
        body: The job's; changed in place.
        status: A SecondaryStatus.
        message: What SecondaryStatusTransitions says; AWS's usual text when None.
    """
    now = _now()
    transitions: list[dict[str, Any]] = body.setdefault("SecondaryStatusTransitions", [])
    message = message or _MESSAGES.get(status, status)
    body["SecondaryStatus"] = status
    if transitions and transitions[-1]["Status"] == status:
        transitions[-1]["StatusMessage"] = message
        return
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    transitions.append({"Status": status, "StartTime": now, "StatusMessage": message})


def begin_stop(body: Body) -> None:
    """Let a job enter Stopping, until it has finished."""
    if body["TrainingJobStatus"] not in FINISHED:
        body["TrainingJobStatus"] = "Stopping"
        enter(body, "Stopping")


def add_metric(body: Body, name: str, value: float) -> None:
    """Note the newest value of a metric; FinalMetricDataList keeps the last of each name."""
    metrics = [m for m in body.get("FinalMetricDataList", []) if m["MetricName"] != name]
    metrics.append({"MetricName": name, "Value": value, "Timestamp": _now()})
    body["FinalMetricDataList"] = metrics


def finish(
    body: Body, status: str, *, secondary: str | None = None, reason: str | None = None
) -> None:
    """Let a job end.

    Args:
        body: The job's; changed in place.
        status: "Completed", "Failed" or "Stopped".
        secondary: The SecondaryStatus, when it is another than the status.
        reason: Why it failed; cut to 1,024 characters.
    """
    now = _now()
    secondary = secondary or status
    if reason is not None:
        reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 3] + "..."
        body["FailureReason"] = reason
    body["TrainingJobStatus"] = status
    enter(body, secondary, reason)
    body["SecondaryStatusTransitions"][-1]["EndTime"] = now
    started = body.get("TrainingStartTime")
    if started is None:
        # It never ran. Clients (Airflow's hook) take the start for granted on a finished job.
        body["TrainingStartTime"] = now
    else:
        seconds = max(1, math.ceil(now - started))
        body["TrainingTimeInSeconds"] = body["BillableTimeInSeconds"] = seconds
    body["TrainingEndTime"] = now
    body.pop("_pid", None)


def _now() -> float:
    return round(time.time(), 3)
