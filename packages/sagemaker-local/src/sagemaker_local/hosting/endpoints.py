"""The life of endpoints: created, updated blue/green, deleted, brought back after a restart.

States and texts: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html.
Private members of an endpoint's record: `_active` is the plan in service, `_pending` the plan of
the deployment under way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from sagemaker_local.api_errors import ModelNotReady, ValidationException
from sagemaker_local.hosting.fleet import Fleet
from sagemaker_local.hosting.loader import discard, load_fleet, tidy
from sagemaker_local.hosting.plan import describe_variants, find_config, make_plan
from sagemaker_local.hosting.runtime import MODEL_TIMEOUT, invoke, not_found
from sagemaker_local.hosting.servers import LoadError
from sagemaker_local.invocation import Invocation, InvocationResult
from sagemaker_local.store import Exists

if TYPE_CHECKING:
    from sagemaker_local.context import Context

__all__ = ["Hosting"]

# How long a start of the service waits for the endpoints to serve again; slower ones answer
# "not ready" until they do.
RECOVERY_SECONDS = 20.0

_log = logging.getLogger(__name__)
_KIND = "endpoint"


class Hosting:
    """All endpoints of the service.

    Args:
        context: What the parts of the service share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fleets: dict[str, Fleet] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bring the endpoints back that were in service, and go on with cut deployments."""
        from sagemaker_local.containers import remove_leftovers

        # Hosting starts first: what containers there are now, nobody attends any more.
        await remove_leftovers(self._context)
        endpoints = self._context.store.list(_KIND)
        tidy(self._context, endpoints)
        for body in endpoints:
            if body["EndpointStatus"] != "Failed":
                self._begin(body["EndpointName"], self._recover(body))
        if self._work:
            await asyncio.wait(list(self._work.values()), timeout=RECOVERY_SECONDS)

    async def stop(self) -> None:
        """Let everything go; what is under way is resumed by the next start."""
        work = [*self._work.values(), *self._retiring]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        fleets, self._fleets = list(self._fleets.values()), {}
        await asyncio.gather(*(fleet.close(drain=2.0, grace=2.0) for fleet in fleets))
        await self._context.workers.close()

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """Answer one InvokeEndpoint request, or raise one of the runtime's errors."""
        fleet = self._fleets.get(invocation.endpoint)
        if fleet is None:
            body = self._context.store.get(_KIND, invocation.endpoint)
            # Loading again after a restart of the service; on AWS there is no such moment.
            if body is not None and body["EndpointStatus"] in ("InService", "Updating"):
                raise ModelNotReady(
                    f"The model of endpoint {invocation.endpoint} is being loaded. Try again."
                )
            raise not_found(self._context, invocation.endpoint)
        return await invoke(self._context, fleet, invocation)

    def create(self, request: dict[str, Any]) -> str:
        """Carry out CreateEndpoint; returns the endpoint's ARN.

        Raises:
            ValidationException: The name is taken, or the configuration cannot be deployed.
        """
        name, store = request["EndpointName"], self._context.store
        arn = self._context.arn(_KIND, name)
        if store.get(_KIND, name) is not None:
            raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
        config = find_config(self._context, request["EndpointConfigName"])
        body = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "_pending": make_plan(self._context, config, 1),
        }
        if request.get("DeploymentConfig"):
            body["LastDeploymentConfig"] = request["DeploymentConfig"]
        try:
            store.create(_KIND, name, body)
        except Exists:
            raise ValidationException(f'Cannot create already existing endpoint "{arn}".') from None
        # Files of an endpoint of that name that was deleted while the service was killed.
        discard(self._context, name, None)
        self._begin(name, self._deploy(name))
        return arn

    def find(self, name: str) -> dict[str, Any]:
        """The endpoint of this name as DescribeEndpoint shows it.

        Raises:
            ValidationException: There is none, in AWS's words.
        """
        body = self._context.store.get(_KIND, name)
        if body is None:
            raise ValidationException(
                f'Could not find endpoint "{self._context.arn(_KIND, name)}".'
            )
        return body

    def update(self, request: dict[str, Any]) -> str:
        """Carry out UpdateEndpoint: a new fleet is loaded beside the old one, then takes over.

        Raises:
            ValidationException: There is no such endpoint, it is not in service, or the
                configuration cannot be deployed.
        """
        name = request["EndpointName"]
        body = self._in_service(name)
        config = find_config(self._context, request["EndpointConfigName"])
        plan = make_plan(self._context, config, body["_active"]["generation"] + 1)
        if request.get("RetainAllVariantProperties"):
            excluded = {
                item["VariantPropertyType"]
                for item in request.get("ExcludeRetainedVariantProperties") or []
            }
            _retain(plan, body["_active"], excluded)
        changes: dict[str, Any] = {"EndpointStatus": "Updating", "_pending": plan}
        if request.get("DeploymentConfig"):
            changes["LastDeploymentConfig"] = request["DeploymentConfig"]
        elif not request.get("RetainDeploymentConfig"):
            changes["LastDeploymentConfig"] = None
        changes["_updating_since"] = round(time.time(), 3)
        self._context.store.update(_KIND, name, **changes)
        self._begin(name, self._deploy(name))
        return str(body["EndpointArn"])

    def reweigh(self, request: dict[str, Any]) -> str:
        """Carry out UpdateEndpointWeightsAndCapacities.

        Raises:
            ValidationException: There is no such endpoint or variant, or it is not in service.
        """
        name = request["EndpointName"]
        body = self._in_service(name)
        wanted = {item["VariantName"]: item for item in request["DesiredWeightsAndCapacities"]}
        plan = body["_active"]
        unknown = sorted(set(wanted) - {v["VariantName"] for v in plan["variants"]})
        if unknown:
            config = self._context.arn("endpoint-config", plan["EndpointConfigName"])
            raise ValidationException(
                f'The variant name(s) "{", ".join(unknown)}" is/are not present within endpoint '
                f'configuration "{config}".'
            )
        for variant in plan["variants"]:
            change = wanted.get(variant["VariantName"], {})
            if change.get("DesiredWeight") is not None:
                variant["Weight"] = float(change["DesiredWeight"])
            if change.get("DesiredInstanceCount") is not None:
                variant["InstanceCount"] = change["DesiredInstanceCount"]
        self._context.store.update(
            _KIND, name, _active=plan, ProductionVariants=describe_variants(plan)
        )
        fleet = self._fleets.get(name)
        if fleet is not None:
            fleet.reweigh({v["VariantName"]: v["Weight"] for v in plan["variants"]})
        return str(body["EndpointArn"])

    def delete(self, name: str) -> None:
        """Carry out DeleteEndpoint: no new request is taken, running ones finish.

        Raises:
            ValidationException: There is no such endpoint, or a deployment is under way.
        """
        body = self.find(name)
        if body["EndpointStatus"] not in ("InService", "Failed", "OutOfService"):
            raise self._in_progress(body)
        self._context.store.update(_KIND, name, EndpointStatus="Deleting")
        self._begin(name, self._remove(name))

    def _in_service(self, name: str) -> dict[str, Any]:
        body = self.find(name)
        if body["EndpointStatus"] == "Failed":
            raise ValidationException(
                f'Cannot update endpoint "{body["EndpointArn"]}" in status Failed: DeleteEndpoint '
                "is the only operation on a failed endpoint."
            )
        if body["EndpointStatus"] != "InService":
            raise self._in_progress(body)
        return body

    @staticmethod
    def _in_progress(body: dict[str, Any]) -> ValidationException:
        return ValidationException(f'Cannot update in-progress endpoint "{body["EndpointArn"]}".')

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        before = self._work.get(name)

        async def in_turn() -> None:
            try:
                # One thing at a time an endpoint: after a restart a client may ask for the next
                # thing while the models are still being loaded.
                if before is not None:
                    await asyncio.wait([before])
                await work
            except Exception:
                _log.exception("The deployment of endpoint %s broke", name)
                self._fail(name, "InternalFailure: see the log of the local SageMaker service.")
            finally:
                work.close()

        task = asyncio.create_task(in_turn(), name=f"endpoint {name}")
        self._work[name] = task
        task.add_done_callback(lambda done: self._work.get(name) is done and self._work.pop(name))

    async def _recover(self, body: dict[str, Any]) -> None:
        name, status, active = body["EndpointName"], body["EndpointStatus"], body.get("_active")
        if status == "Deleting":
            return await self._remove(name)
        if active is not None:
            try:
                fleet = await load_fleet(self._context, name, active)
            except LoadError as error:
                return self._fail(name, f"After a restart of the service: {error}")
            weights = self.find(name)["_active"]["variants"]  # They may have changed meanwhile.
            fleet.reweigh({variant["VariantName"]: variant["Weight"] for variant in weights})
            self._fleets[name] = fleet
        if body.get("_pending") is not None:
            await self._deploy(name)
        elif status != "InService":
            self._context.store.update(_KIND, name, EndpointStatus="InService")
        return None

    async def _deploy(self, name: str) -> None:
        """Load the pending plan, switch the traffic to it, let the old fleet go."""
        store = self._context.store
        body = self.find(name)
        plan, active = body.get("_pending"), body.get("_active")
        if plan is None:  # The endpoint failed before its update's turn came.
            return None
        try:
            fleet = await load_fleet(self._context, name, plan)
        except LoadError as error:
            discard(self._context, name, plan)
            if active is None:
                return self._fail(name, str(error))
            store.update(_KIND, name, EndpointStatus="RollingBack", _pending=None)
            # A fleet of containers would be torn down here; it was, while load_fleet failed.
            store.update(
                _KIND,
                name,
                EndpointStatus="InService",
                FailureReason=_reason(str(error)),
                _updating_since=None,
            )
            return None
        old = self._fleets.get(name)
        store.update(
            _KIND,
            name,
            EndpointStatus="InService",
            EndpointConfigName=plan["EndpointConfigName"],
            ProductionVariants=describe_variants(plan),
            DataCaptureConfig=plan.get("DataCaptureConfig"),
            FailureReason=None,
            _active=plan,
            _pending=None,
            _updating_since=None,
        )
        self._fleets[name] = fleet
        if old is not None:
            retiring = asyncio.create_task(self._retire(name, old, active))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        return None

    async def _retire(self, name: str, fleet: Fleet, plan: dict[str, Any] | None) -> None:
        try:
            await fleet.close(drain=MODEL_TIMEOUT)
        finally:
            if plan is not None:
                discard(self._context, name, plan)

    async def _remove(self, name: str) -> None:
        fleet = self._fleets.pop(name, None)
        if fleet is not None:
            await fleet.close(drain=MODEL_TIMEOUT)
        discard(self._context, name, None)
        self._context.store.delete(_KIND, name)

    def _fail(self, name: str, reason: str) -> None:
        if self._context.store.get(_KIND, name) is None:
            return
        self._context.store.update(
            _KIND,
            name,
            EndpointStatus="Failed",
            FailureReason=_reason(reason),
            _pending=None,
            _updating_since=None,
        )
        _log.warning("Endpoint %s failed: %s", name, reason)


def _reason(text: str) -> str:
    """A FailureReason: at most 1,024 characters."""
    return text if len(text) <= 1024 else text[:1021] + "..."


def _retain(plan: dict[str, Any], active: dict[str, Any], excluded: set[str]) -> None:
    """Keep weights and instance counts of variants that the new configuration has too."""
    before = {variant["VariantName"]: variant for variant in active["variants"]}
    for variant in plan["variants"]:
        old = before.get(variant["VariantName"])
        if old is None:
            continue
        if "DesiredWeight" not in excluded:
            variant["Weight"] = old["Weight"]
        if "DesiredInstanceCount" not in excluded and old["InstanceCount"] is not None:
            variant["InstanceCount"] = old["InstanceCount"]
