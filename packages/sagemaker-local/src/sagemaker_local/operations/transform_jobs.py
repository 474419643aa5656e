"""Transform jobs; their life is in `sagemaker_local.transform`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local import listing, shapes
from sagemaker_local.operations.tags import set_tags
from sagemaker_local.registry import operation
from sagemaker_local.transform.jobs import KIND

if TYPE_CHECKING:
    from sagemaker_local.service import Service


@operation("sagemaker", "CreateTransformJob")
async def create_transform_job(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Begin a job."""
    arn = service.transforms.create(request)
    set_tags(service, arn, request.get("Tags"))
    return {"TransformJobArn": arn}


@operation("sagemaker", "DescribeTransformJob")
def describe_transform_job(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one job."""
    body = service.transforms.find(request["TransformJobName"])
    return shapes.pick("sagemaker", "DescribeTransformJobResponse", body)


@operation("sagemaker", "StopTransformJob")
async def stop_transform_job(service: Service, request: dict[str, Any]) -> None:
    """End a job early; the objects it has finished stay."""
    service.transforms.request_stop(request["TransformJobName"])


@operation("sagemaker", "ListTransformJobs", threaded=True)
def list_transform_jobs(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List jobs, the newest first."""
    bodies, token = listing.page(
        service.store.list(KIND), request, name="TransformJobName", status="TransformJobStatus"
    )
    summaries = [shapes.pick("sagemaker", "TransformJobSummary", body) for body in bodies]
    return {"TransformJobSummaries": summaries, "NextToken": token}
