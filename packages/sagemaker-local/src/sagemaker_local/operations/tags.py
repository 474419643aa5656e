"""Tags of any resource, by its ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local import listing
from sagemaker_local.api_errors import ValidationException
from sagemaker_local.registry import operation

if TYPE_CHECKING:
    from sagemaker_local.service import Service

__all__ = ["drop_tags", "set_tags"]

_KIND = "tags"
_MOST = 50  # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html
_KINDS = ("training-job", "model", "endpoint-config", "endpoint", "transform-job")


def set_tags(service: Service, arn: str, tags: list[dict[str, str]] | None) -> None:
    """Add tags to a resource, replacing those of the same key.

    Args:
        service: The service.
        arn: The resource's.
        tags: Pairs {"Key": ..., "Value": ...}; None adds nothing.

    Raises:
        ValidationException: That would be more than 50 tags.
    """
    if not tags:
        return
    merged = _tags(service, arn) | {tag["Key"]: tag["Value"] for tag in tags}
    if len(merged) > _MOST:
        raise ValidationException(f"Tag limit exceeded: {arn} would have more than {_MOST} tags.")
    service.store.put(_KIND, arn, merged)


def drop_tags(service: Service, arn: str) -> None:
    """Forget the tags of a resource that is gone."""
    service.store.delete(_KIND, arn)


def _tags(service: Service, arn: str) -> dict[str, str]:
    return service.store.get(_KIND, arn) or {}


def _check(service: Service, arn: str) -> None:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind in _KINDS and arn == service.arn(kind, name):
        if service.store.get(kind, name) is not None:
            return
        # ARNs are in lower case, names need not be.
        if any(service.arn(kind, known) == arn for known in service.store.names(kind)):
            return
    raise ValidationException(f"Requested resource not found: {arn}")


@operation("sagemaker", "AddTags")
def add_tags(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags, answer all the resource has now."""
    arn = request["ResourceArn"]
    _check(service, arn)
    set_tags(service, arn, request["Tags"])
    return {"Tags": _listed(_tags(service, arn))}


@operation("sagemaker", "ListTags")
def list_tags(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List a resource's tags by key."""
    arn = request["ResourceArn"]
    _check(service, arn)
    tags, token = listing.cut(
        _listed(_tags(service, arn)), request, key=lambda tag: [tag["Key"]], default=_MOST
    )
    return {"Tags": tags, "NextToken": token}


@operation("sagemaker", "DeleteTags")
def delete_tags(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags; those that are not there do not matter."""
    arn = request["ResourceArn"]
    _check(service, arn)
    kept = {k: v for k, v in _tags(service, arn).items() if k not in request["TagKeys"]}
    service.store.put(_KIND, arn, kept)
    return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
