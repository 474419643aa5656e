"""Models: a name for an image and the artefact it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local import listing, shapes
from sagemaker_local.api_errors import ValidationException
from sagemaker_local.operations.tags import drop_tags, set_tags
from sagemaker_local.registry import operation
from sagemaker_local.store import Exists

if TYPE_CHECKING:
    from sagemaker_local.service import Service

_KIND = "model"


@operation("sagemaker", "CreateModel")
def create_model(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Remember a model; its artefact is read when it is put in service."""
    name = request["ModelName"]
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary is not None and several:
        raise ValidationException(
            "Both PrimaryContainer and Containers are specified: name one of them."
        )
    if primary is None and not several:
        raise ValidationException("Either PrimaryContainer or Containers must be specified.")
    if request.get("ExecutionRoleArn") is None:
        raise ValidationException("ExecutionRoleArn is required to create a model.")
    for container in [primary] if primary is not None else several or []:
        _check(container)
    arn = service.arn(_KIND, name)
    # AWS shows the model as it was given, with the defaults of a container spelled out.
    body = request | {"ModelArn": arn}
    if primary is not None:
        body["PrimaryContainer"] = {"Mode": "SingleModel", "Environment": {}} | primary
    body.setdefault("EnableNetworkIsolation", False)
    body.pop("Tags", None)
    try:
        service.store.create(_KIND, name, body)
    except Exists:
        raise ValidationException(f'Cannot create already existing model "{arn}".') from None
    set_tags(service, arn, request.get("Tags"))
    return {"ModelArn": arn}


def _check(container: dict[str, Any]) -> None:
    if not container.get("Image"):
        what = "ModelPackageName" if container.get("ModelPackageName") else "no Image"
        raise ValidationException(
            f"The container has {what}: the local SageMaker wants an Image for every container."
        )
    source = container.get("ModelDataSource")
    if source is not None and container.get("ModelDataUrl"):
        raise ValidationException(
            "Both ModelDataUrl and ModelDataSource are specified: name one of them."
        )


@operation("sagemaker", "DescribeModel")
def describe_model(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one model."""
    body = service.store.get(_KIND, request["ModelName"])
    if body is None:
        raise _missing(service, request["ModelName"])
    return shapes.pick("sagemaker", "DescribeModelOutput", body)


@operation("sagemaker", "ListModels", threaded=True)
def list_models(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List models, the newest first."""
    bodies, token = listing.page(service.store.list(_KIND), request, name="ModelName")
    summaries = [shapes.pick("sagemaker", "ModelSummary", body) for body in bodies]
    return {"Models": summaries, "NextToken": token}


@operation("sagemaker", "DeleteModel")
def delete_model(service: Service, request: dict[str, Any]) -> None:
    """Forget a model; endpoints that serve it go on, as they do on AWS."""
    name = request["ModelName"]
    if not service.store.delete(_KIND, name):
        raise _missing(service, name)
    drop_tags(service, service.arn(_KIND, name))


def _missing(service: Service, name: str) -> ValidationException:
    return ValidationException(f'Could not find model "{service.arn(_KIND, name)}".')
