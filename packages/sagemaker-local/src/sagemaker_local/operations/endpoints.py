"""Endpoints: what serves models; their life is in `sagemaker_local.hosting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_local import listing, shapes
from sagemaker_local.hosting.plan import describe_pending
from sagemaker_local.operations.tags import drop_tags, set_tags
from sagemaker_local.registry import operation

if TYPE_CHECKING:
    from sagemaker_local.service import Service

_KIND = "endpoint"


@operation("sagemaker", "CreateEndpoint")
async def create_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Begin to load a configuration's models; they are in service soon after."""
    arn = service.hosting.create(request)
    set_tags(service, arn, request.get("Tags"))
    return {"EndpointArn": arn}


@operation("sagemaker", "DescribeEndpoint")
def describe_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Show one endpoint."""
    body = service.hosting.find(request["EndpointName"])
    return shapes.pick("sagemaker", "DescribeEndpointOutput", body | describe_pending(body))


@operation("sagemaker", "UpdateEndpoint")
async def update_endpoint(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    """Begin a blue/green deployment of another configuration."""
    return {"EndpointArn": service.hosting.update(request)}


@operation("sagemaker", "UpdateEndpointWeightsAndCapacities")
async def update_endpoint_weights_and_capacities(
    service: Service, request: dict[str, Any]
) -> dict[str, Any]:
    """Share the traffic out differently, at once."""
    return {"EndpointArn": service.hosting.reweigh(request)}


@operation("sagemaker", "ListEndpoints", threaded=True)
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
    service.hosting.delete(name)
    drop_tags(service, service.arn(_KIND, name))
