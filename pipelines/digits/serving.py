"""What SageMaker has of this pipeline: what the endpoint serves, and what may be removed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from digits import layout, storage
from tradewind.errors import SetupError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from digits.settings import Run

__all__ = [
    "Endpoint",
    "find_endpoint",
    "is_missing",
    "newest_job",
    "read_endpoint",
    "remove_older",
    "report_of",
]

log = logging.getLogger(__name__)

_FINISHED = ("Completed", "Failed", "Stopped")
_ABANDONED = timedelta(days=1)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is now.

    Args:
        status: Its EndpointStatus.
        config: The configuration it serves.
        model: The training job whose model it serves, after which its variant is named.
        date: The date of that model, ``YYYY-MM-DD``.
        reason: Why it failed, when it did.
    """

    status: str
    config: str
    model: str
    date: str
    reason: str = ""


def is_missing(error: ClientError) -> bool:
    """Whether SageMaker says that what was asked for does not exist."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    return code in ("ResourceNotFound", "ResourceNotFoundException") or (
        code == "ValidationException"
        and ("could not find" in message.lower() or "not found" in message.lower())
    )


def find_endpoint(client: Any, name: str) -> Endpoint | None:
    """Looks at the endpoint.

    Args:
        client: boto3's, for SageMaker.
        name: The endpoint's name.

    Returns:
        None when there is no such endpoint.

    Raises:
        SetupError: The endpoint serves something that this pipeline has not made.
    """
    try:
        described = client.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return read_endpoint(client, described)


def read_endpoint(client: Any, described: Mapping[str, Any]) -> Endpoint:
    """Reads what is known of an endpoint.

    Args:
        client: boto3's, for SageMaker.
        described: ``DescribeEndpoint``'s answer.

    Raises:
        SetupError: The endpoint serves something that this pipeline has not made.
    """
    name, config = described["EndpointName"], described["EndpointConfigName"]
    date = layout.model_date(config, endpoint=name)
    if date is None:
        raise SetupError(
            f"The endpoint {name} serves the configuration {config}, which this pipeline has not "
            "made: it is left alone. Give the pipeline an endpoint of its own (parameter endpoint)."
        )
    # While the endpoint is being created it tells no variants.
    variants = described.get("ProductionVariants") or client.describe_endpoint_config(
        EndpointConfigName=config
    ).get("ProductionVariants")
    return Endpoint(
        status=described["EndpointStatus"],
        config=config,
        model=variants[0]["VariantName"],
        date=date,
        reason=described.get("FailureReason", ""),
    )


def report_of(hook: S3Hook, run: Run, model: str) -> dict[str, Any] | None:
    """Reads the report of a model; None when there is none."""
    import json

    key = run.layout.model_report_key(model)
    if not storage.exists(hook, run.layout.bucket, key):
        return None
    found = json.loads(hook.read_key(key, run.layout.bucket))
    return found if isinstance(found, dict) else None


def newest_job(client: Any, run: Run) -> str | None:
    """Name of the date's training job that completed last; None when there is none."""
    jobs = [
        job
        for job in _list(client, "list_training_jobs", "TrainingJobSummaries", run.endpoint)
        if job["TrainingJobStatus"] == "Completed"
        and layout.model_date(job["TrainingJobName"], endpoint=run.endpoint) == run.date
    ]
    newest = max(jobs, key=lambda job: job["CreationTime"], default=None)
    return str(newest["TrainingJobName"]) if newest else None


def remove_older(
    client: Any, hook: S3Hook, run: Run, *, model: str, config: str, keep: int
) -> list[str]:
    """Removes what newer runs have replaced.

    That is: of this run's date, everything but what is given; and of dates before the newest
    ``keep`` that have models, the models, their endpoint configurations and their training jobs.
    What the endpoint serves stays in any case, and so do the objects of other dates.

    Args:
        client: boto3's, for SageMaker.
        hook: For the objects of replaced models of this date.
        run: The run that cleans up after itself.
        model: The training job of its model.
        config: The endpoint configuration of that model; the model has its name in SageMaker.
        keep: Dates to keep.

    Returns:
        What was removed, each as ``kind name``.
    """
    endpoint = find_endpoint(client, run.endpoint)
    stay = {model, config} | ({endpoint.model, endpoint.config} if endpoint else set())
    models = [
        each["ModelName"]
        for each in _list(client, "list_models", "Models", run.endpoint)
        if layout.model_date(each["ModelName"], endpoint=run.endpoint)
    ]
    dates = sorted({_date(name) for name in [*models, *stay]}, reverse=True)
    # As long as fewer dates have models, all stay: a run of an older one may be about to make its.
    oldest = dates[keep - 1] if len(dates) >= keep else ""

    def replaced(name: str) -> bool:
        if name in stay or layout.model_date(name, endpoint=run.endpoint) is None:
            return False
        return _date(name) == run.date or _date(name) < oldest

    # First what refers to a model, then the model, then what it was made by.
    configs = list(_list(client, "list_endpoint_configs", "EndpointConfigs", run.endpoint))
    removed = [
        f"endpoint-config {each['EndpointConfigName']}"
        for each in configs
        if replaced(each["EndpointConfigName"])
        and _delete(client.delete_endpoint_config, EndpointConfigName=each["EndpointConfigName"])
    ]
    removed += [
        f"model {name}"
        for name in models
        if replaced(name) and _delete(client.delete_model, ModelName=name)
    ]
    jobs = list(_list(client, "list_training_jobs", "TrainingJobSummaries", run.endpoint))
    began = next((job["CreationTime"] for job in jobs if job["TrainingJobName"] == model), None)
    for job in jobs:
        name = job["TrainingJobName"]
        if not replaced(name):
            continue
        superseded = _date(name) == run.date and began is not None and job["CreationTime"] < began
        if job["TrainingJobStatus"] not in _FINISHED or not (
            superseded or _attended(job, hook, run)
        ):
            continue
        if _delete(client.delete_training_job, TrainingJobName=name):
            removed.append(f"training-job {name}")
        if _date(name) == run.date:
            prefix = run.layout.model_prefix(name)
            removed += [
                f"object {run.layout.uri(key)}"
                for key in storage.remove_prefix(hook, run.layout.bucket, prefix)
            ]
    return removed


def _date(name: str) -> str:
    return layout.model_date(name) or ""


def _attended(job: dict[str, Any], hook: S3Hook, run: Run) -> bool:
    """Whether nobody waits for a finished job any more.

    Another run may just be about to look at it: that one is through with it when it has judged the
    model. What was never judged is removed after a day.
    """
    report = run.layout.model_report_key(job["TrainingJobName"])
    return storage.exists(hook, run.layout.bucket, report) or bool(
        datetime.now(UTC) - job["CreationTime"] > _ABANDONED
    )


def _list(client: Any, operation: str, member: str, contains: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(NameContains=contains):
        yield from page[member]


def _delete(delete: Any, **name: str) -> bool:
    """Deletes, and takes it well when another run was quicker or the thing is in use."""
    try:
        delete(**name)
    except ClientError as error:
        if is_missing(error):
            return False
        if error.response["Error"]["Code"] in ("ResourceInUse", "ResourceInUseException"):
            log.warning("%s is still in use and stays for now: %s", name, error)
            return False
        raise
    return True
