"""Endpoints: what serves models; their life is in `tradewind.local.sagemaker.hosting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tradewind.local.sagemaker import listing, shapes
from tradewind.local.sagemaker.hosting import Hosting
from tradewind.local.sagemaker.hosting.plan import describe_pending
from tradewind.local.sagemaker.operations.tags import drop_tags, set_tags
from tradewind.local.sagemaker.registry import operation

if TYPE_CHECKING:
    from tradewind.local.sagemaker.service import Service

_KIND = "endpoint"


def _hosting(service: Service) -> Hosting:
    return cast("Hosting", service.hosting)


@operation("sagemaker", "CreateEndpoint")
async def create_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Begin to load a configuration's models; they are in service soon after."""
    arn = _hosting(service).create(request)
    set_tags(service, arn, request.get("Tags"))
    return {"EndpointArn": arn}


@operation("sagemaker", "DescribeEndpoint")
def describe_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one endpoint."""
    body = _hosting(service).find(request["EndpointName"])
    return shapes.pick("sagemaker", "DescribeEndpointOutput", body | describe_pending(body))


@operation("sagemaker", "UpdateEndpoint")
async def update_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Begin a blue/green deployment of another configuration."""
    return {"EndpointArn": _hosting(service).update(request)}


@operation("sagemaker", "UpdateEndpointWeightsAndCapacities")
async def update_endpoint_weights_and_capacities(
    service: Service, request: dict[str, Any]
) -> dict[str, Any]:
    """Share the traffic out differently, at once."""
    return {"EndpointArn": _hosting(service).reweigh(request)}


@operation("sagemaker", "ListEndpoints")
def list_endpoints(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoints, the newest first."""
    bodies, token = listing.page(
        service.store.list(_KIND), request, name="EndpointName", status="EndpointStatus"
    )
    summaries = [shapes.pick("sagemaker", "EndpointSummary", body) for body in bodies]
    return {"Endpoints": summaries, "NextToken": token}


@operation("sagemaker", "DeleteEndpoint")
async def delete_endpoint(service: Service, request: dict[str, Any]) -> None:
    """Take an endpoint out of service; its configuration and models stay."""
    name = request["EndpointName"]
    _hosting(service).delete(name)
    drop_tags(service, service.arn(_KIND, name))
