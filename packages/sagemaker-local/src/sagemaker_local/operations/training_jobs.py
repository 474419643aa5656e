"""Training jobs: asked for, looked at, stopped, removed."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

from sagemaker_local import algorithms, job_state, listing, shapes
from sagemaker_local.api_errors import ResourceInUse, ValidationException
from sagemaker_local.job_state import FINISHED, KIND
from sagemaker_local.operations.tags import drop_tags, set_tags
from sagemaker_local.registry import operation
from sagemaker_local.store import Body, Exists, Missing

if TYPE_CHECKING:
    from sagemaker_local.service import Service


@operation("sagemaker", "CreateTrainingJob")
async def create_training_job(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Take on a job; what is wrong with its data or hyperparameters shows when it runs."""
    name = request["TrainingJobName"]
    _check(request)
    arn = service.arn(KIND, name)
    try:
        service.store.create(KIND, name, job_state.begin(request, arn))
    except Exists:
        raise ResourceInUse(
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({arn})"
        ) from None
    set_tags(service, arn, request.get("Tags"))
    service.jobs.submit(name)
    return {"TrainingJobArn": arn}


def _check(request: dict[str, Any]) -> None:
    specification = request.get("AlgorithmSpecification")
    if specification is None:
        raise ValidationException("AlgorithmSpecification must be specified.")
    image = specification.get("TrainingImage")
    if specification.get("AlgorithmName"):
        if image:
            raise ValidationException(
                "Only one of TrainingImage and AlgorithmName can be specified."
            )
        raise ValidationException(
            "AlgorithmName is not offered by the local SageMaker: name a TrainingImage."
        )
    if not image:
        raise ValidationException("One of TrainingImage and AlgorithmName must be specified.")
    definitions = specification.get("MetricDefinitions")
    if definitions and algorithms.find(image) is not None:
        raise ValidationException(
            "You can't override the metric definitions for Amazon SageMaker algorithms. "
            "Please retry your request without specifying metric definitions."
        )
    for definition in definitions or []:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ValidationException(
                f"The Regex of the metric {definition['Name']!r} is not valid: {error}"
            ) from None
    resources = request.get("ResourceConfig")
    if resources is None:
        raise ValidationException("ResourceConfig must be specified.")
    if resources.get("InstanceGroups"):
        raise ValidationException(
            "InstanceGroups is not offered by the local SageMaker: "
            "give InstanceType and InstanceCount."
        )
    for member in ("InstanceType", "InstanceCount"):
        if resources.get(member) is None:
            raise ValidationException(f"ResourceConfig.{member} must be specified.")
    if (request.get("OutputDataConfig") or {}).get("CompressionType") == "NONE":
        raise ValidationException(
            "OutputDataConfig.CompressionType NONE is not offered by the local SageMaker: "
            "artefacts are always model.tar.gz; leave it out or give GZIP."
        )
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) < len(names):
        raise ValidationException(
            f"Channel names must be unique within a training job: {', '.join(names)}."
        )
    for channel in request.get("InputDataConfig", []):
        if len(channel["DataSource"]) != 1:
            raise ValidationException(
                f"The channel {channel['ChannelName']!r} must have exactly one data source."
            )


@operation("sagemaker", "DescribeTrainingJob")
def describe_training_job(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one job."""
    body = service.store.get(KIND, request["TrainingJobName"])
    if body is None:
        raise _missing()
    return shapes.pick("sagemaker", "DescribeTrainingJobResponse", body)


@operation("sagemaker", "ListTrainingJobs", threaded=True)
def list_training_jobs(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List jobs, the newest first."""
    bodies, token = listing.page(
        service.store.list(KIND), request, name="TrainingJobName", status="TrainingJobStatus"
    )
    summaries = [shapes.pick("sagemaker", "TrainingJobSummary", body) for body in bodies]
    return {"TrainingJobSummaries": summaries, "NextToken": token}


@operation("sagemaker", "StopTrainingJob")
async def stop_training_job(service: Service, request: dict[str, Any]) -> None:
    """Stop a job; it is Stopping until what it has made is saved."""
    try:
        service.jobs.request_stop(request["TrainingJobName"])
    except Missing:
        raise _missing() from None


@operation("sagemaker", "UpdateTrainingJob")
def update_training_job(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Change the settings of a running job that AWS lets be changed; none has an effect here."""
    name = request.pop("TrainingJobName")

    def change(body: Body) -> None:
        status = body["TrainingJobStatus"]
        if status in FINISHED:
            raise ValidationException(
                f"The request was rejected because the training job is in status {status}."
            )
        for member, value in request.items():
            old = body.get(member)
            body[member] = old | value if isinstance(old, dict) else value

    try:
        body = service.store.update(KIND, name, change)
    except Missing:
        raise _missing() from None
    return {"TrainingJobArn": body["TrainingJobArn"]}


@operation("sagemaker", "DeleteTrainingJob")
def delete_training_job(service: Service, request: dict[str, Any]) -> None:
    """Forget a finished job; its artefact and its log stay."""
    name = request["TrainingJobName"]
    body = service.store.get(KIND, name)
    if body is None:
        raise _missing()
    status = body["TrainingJobStatus"]
    if status not in FINISHED:
        raise ResourceInUse(
            f"The training job {name} cannot be deleted while it is in status {status}: "
            "stop it first."
        )
    service.store.delete(KIND, name)
    drop_tags(service, body["TrainingJobArn"])
    shutil.rmtree(service.jobs.folder(name), ignore_errors=True)


def _missing() -> ValidationException:
    return ValidationException("Requested resource not found.")
