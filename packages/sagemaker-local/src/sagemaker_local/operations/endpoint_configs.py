"""Endpoint configurations: which models an endpoint serves, and with what weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local import listing, shapes
from sagemaker_local.api_errors import ValidationException
from sagemaker_local.operations.tags import drop_tags, set_tags
from sagemaker_local.registry import operation
from sagemaker_local.store import Exists

if TYPE_CHECKING:
    from sagemaker_local.service import Service

_KIND = "endpoint-config"


@operation("sagemaker", "CreateEndpointConfig")
def create_endpoint_config(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Remember a configuration whose models are there."""
    name = request["EndpointConfigName"]
    arn = service.arn(_KIND, name)
    variants = request["ProductionVariants"]
    if not variants:
        raise ValidationException("At least one production variant must be specified.")
    for unsupported in ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig"):
        if request.get(unsupported):
            raise ValidationException(
                f"{unsupported} is not offered by the local SageMaker: leave it out."
            )
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise ValidationException(
            f"Variant names must be unique within an endpoint configuration: {', '.join(names)}."
        )
    for variant in variants:
        _check(service, variant)
    body = request | {
        "EndpointConfigArn": arn,
        "ProductionVariants": [{"InitialVariantWeight": 1.0} | variant for variant in variants],
    }
    body.setdefault("EnableNetworkIsolation", False)
    body.pop("Tags", None)
    try:
        service.store.create(_KIND, name, body)
    except Exists:
        raise ValidationException(
            f'Cannot create already existing endpoint configuration "{arn}".'
        ) from None
    set_tags(service, arn, request.get("Tags"))
    return {"EndpointConfigArn": arn}


def _check(service: Service, variant: dict[str, Any]) -> None:
    model = variant.get("ModelName")
    if model is None:
        raise ValidationException(
            f"The variant {variant['VariantName']!r} has no ModelName: the local SageMaker "
            "serves models, no inference components."
        )
    if service.store.get("model", model) is None:
        raise ValidationException(f'Could not find model "{service.arn("model", model)}".')
    if variant.get("ServerlessConfig") is not None:
        for member in ("InstanceType", "InitialInstanceCount"):
            if variant.get(member) is not None:
                raise ValidationException(
                    f"{member} cannot be specified together with ServerlessConfig."
                )
    elif variant.get("InstanceType") is None:
        raise ValidationException(
            f"The variant {variant['VariantName']!r} must have an InstanceType "
            "or a ServerlessConfig."
        )


@operation("sagemaker", "DescribeEndpointConfig")
def describe_endpoint_config(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one configuration."""
    body = service.store.get(_KIND, request["EndpointConfigName"])
    if body is None:
        raise _missing(service, request["EndpointConfigName"])
    return shapes.pick("sagemaker", "DescribeEndpointConfigOutput", body)


@operation("sagemaker", "ListEndpointConfigs", threaded=True)
def list_endpoint_configs(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List configurations, the newest first."""
    bodies, token = listing.page(service.store.list(_KIND), request, name="EndpointConfigName")
    summaries = [shapes.pick("sagemaker", "EndpointConfigSummary", body) for body in bodies]
    return {"EndpointConfigs": summaries, "NextToken": token}


@operation("sagemaker", "DeleteEndpointConfig")
def delete_endpoint_config(service: Service, request: dict[str, Any]) -> None:
    """Forget a configuration; an endpoint that uses it goes on."""
    name = request["EndpointConfigName"]
    if not service.store.delete(_KIND, name):
        raise _missing(service, name)
    drop_tags(service, service.arn(_KIND, name))


def _missing(service: Service, name: str) -> ValidationException:
    return ValidationException(
        f'Could not find endpoint configuration "{service.arn(_KIND, name)}".'
    )
