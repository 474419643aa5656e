"""What an endpoint is to run: its configuration and models, resolved once.

A plan is a plain dict kept in the endpoint's record, so that a model or an endpoint configuration
that is deleted later (as AWS allows) takes nothing from an endpoint in service, and a restart of
the service brings back what served before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local.api_errors import ValidationException

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["container_of", "describe_pending", "describe_variants", "find_config", "make_plan"]

_OFFERED = "This local service"


def find_config(context: Context, name: str) -> dict[str, Any]:
    """The endpoint configuration of this name.

    Raises:
        ValidationException: There is none, in AWS's words.
    """
    config = context.store.get("endpoint-config", name)
    if config is None:
        arn = context.arn("endpoint-config", name)
        raise ValidationException(f'Could not find endpoint configuration "{arn}".')
    return config


def container_of(context: Context, model_name: str) -> dict[str, Any]:
    """The one container of a model, as a plan keeps it.

    Args:
        context: What the parts of the service share.
        model_name: The model's name.

    Returns:
        `Image`, `ModelDataUrl` (may be None) and `Environment`.

    Raises:
        ValidationException: There is no such model, or it asks for more than one container or
            for a kind of model data that is not offered here.
    """
    model = context.store.get("model", model_name)
    if model is None:
        raise ValidationException(f'Could not find model "{context.arn("model", model_name)}".')
    containers = [model["PrimaryContainer"]] if model.get("PrimaryContainer") else []
    containers += model.get("Containers") or []
    if len(containers) != 1:
        raise ValidationException(
            f"{_OFFERED} runs models of exactly one container; model {model_name!r} has "
            f"{len(containers)}. Deploy its containers as models of their own."
        )
    container = containers[0]
    if container.get("Mode") == "MultiModel":
        raise ValidationException(
            f"{_OFFERED} does not offer multi-model containers (model {model_name!r} has Mode "
            "MultiModel). Create one model for each artefact."
        )
    if not container.get("Image"):
        raise ValidationException(
            f"{_OFFERED} does not offer model packages: model {model_name!r} names no Image."
        )
    if container.get("AdditionalModelDataSources"):
        raise ValidationException(
            f"{_OFFERED} does not offer AdditionalModelDataSources (model {model_name!r})."
        )
    return {
        "Image": container["Image"],
        "ModelDataUrl": _model_data(container, model_name),
        "Environment": container.get("Environment") or {},
    }


def _model_data(container: dict[str, Any], model_name: str) -> str | None:
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if source is None:
        url: str | None = container.get("ModelDataUrl")
        return url or None
    if source.get("S3DataType") == "S3Object" and source.get("CompressionType") == "Gzip":
        location: str = source["S3Uri"]
        return location
    raise ValidationException(
        f"{_OFFERED} loads model data from one model.tar.gz: in model {model_name!r} use "
        "ModelDataUrl, or a ModelDataSource with S3DataType S3Object and CompressionType Gzip."
    )


def make_plan(context: Context, config: dict[str, Any], generation: int) -> dict[str, Any]:
    """Resolve an endpoint configuration into what is to run.

    Args:
        context: What the parts of the service share.
        config: The endpoint configuration.
        generation: Tells the deployments of one endpoint apart.

    Raises:
        ValidationException: A model is missing, or something is asked for that is not offered.
    """
    name = config["EndpointConfigName"]
    for field in ("ShadowProductionVariants", "AsyncInferenceConfig", "ExplainerConfig"):
        if config.get(field):
            raise ValidationException(
                f"{_OFFERED} does not offer {field} (endpoint configuration {name!r})."
            )
    variants = []
    for variant in config["ProductionVariants"]:
        if not variant.get("ModelName"):
            raise ValidationException(
                f"{_OFFERED} does not offer inference components: variant "
                f"{variant['VariantName']!r} of endpoint configuration {name!r} names no model."
            )
        weight = variant.get("InitialVariantWeight")
        variants.append(
            {
                "VariantName": variant["VariantName"],
                "ModelName": variant["ModelName"],
                "Weight": 1.0 if weight is None else float(weight),
                "InstanceCount": variant.get("InitialInstanceCount"),
                "ServerlessConfig": variant.get("ServerlessConfig"),
                "StartupTimeout": variant.get("ContainerStartupHealthCheckTimeoutInSeconds", 240),
                **container_of(context, variant["ModelName"]),
            }
        )
    plan = {"EndpointConfigName": name, "generation": generation, "variants": variants}
    capture = config.get("DataCaptureConfig")
    if capture:
        plan["DataCaptureConfig"] = {
            "EnableCapture": bool(capture.get("EnableCapture")),
            # Nothing is captured here, and the description says so.
            "CaptureStatus": "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            **({"KmsKeyId": capture["KmsKeyId"]} if capture.get("KmsKeyId") else {}),
        }
    return plan


def describe_variants(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The ProductionVariants of DescribeEndpoint for a plan in service."""
    described = []
    for variant in plan["variants"]:
        image = {
            "SpecifiedImage": variant["Image"],
            "ResolvedImage": variant.get("ResolvedImage") or variant["Image"],
        }
        if variant.get("ResolutionTime"):
            image["ResolutionTime"] = variant["ResolutionTime"]
        summary = {
            "VariantName": variant["VariantName"],
            "DeployedImages": [image],
            "CurrentWeight": variant["Weight"],
            "DesiredWeight": variant["Weight"],
        }
        if variant.get("ServerlessConfig"):
            summary["CurrentServerlessConfig"] = variant["ServerlessConfig"]
            summary["CurrentInstanceCount"] = 0
        else:
            summary["CurrentInstanceCount"] = variant["InstanceCount"] or 1
            summary["DesiredInstanceCount"] = variant["InstanceCount"] or 1
        described.append(summary)
    return described


def describe_pending(body: dict[str, Any]) -> dict[str, Any]:
    """The PendingDeploymentSummary of DescribeEndpoint while a deployment is under way."""
    plan = body.get("_pending")
    if plan is None:
        return {}
    variants = [
        {
            "VariantName": variant["VariantName"],
            "DesiredWeight": variant["Weight"],
            "VariantStatus": [{"Status": "Creating"}],
            **(
                {"DesiredServerlessConfig": variant["ServerlessConfig"]}
                if variant.get("ServerlessConfig")
                else {"DesiredInstanceCount": variant["InstanceCount"] or 1}
            ),
        }
        for variant in plan["variants"]
    ]
    summary = {
        "EndpointConfigName": plan["EndpointConfigName"],
        "ProductionVariants": variants,
        "StartTime": body.get("_updating_since") or body["CreationTime"],
    }
    return {"PendingDeploymentSummary": summary}
