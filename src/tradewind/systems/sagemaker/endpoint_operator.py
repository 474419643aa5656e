"""A deployment on SageMaker that happens once for a task run, however often workers die."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import check_mapping, is_fixed
from tradewind.errors import InputError
from tradewind.systems.sagemaker.operator_base import SageMakerOperator, hidden, with_integers

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Claim, Outcome

__all__ = ["SageMakerEndpointOperator"]


class SageMakerEndpointOperator(SageMakerOperator):
    """Deploy to an endpoint, as the official operator of this name.

    Models and the endpoint configuration are called as the configuration says, followed by what
    makes them the task run's own. The endpoint is created or updated, whichever it needs. A
    deployment that fails, or that a person cancels, is rolled back: what was in service stays.

    Args:
        operation: Has no effect: ``create`` or ``update`` is chosen by what is there.
        max_ingestion_time: The most seconds that a deployment may take, 10 hours when not given;
            then it is rolled back, and the task fails.
        keep_superseded: Whether models and configurations that this deployment replaces stay. Only
            what Tradewind has made for this endpoint is ever removed.
        kwargs: `SageMakerOperator`'s. ``config`` is ``{"Model": ..., "EndpointConfig": ...,
            "Endpoint": ...}``, or the endpoint's own alone, whose configuration is there then.
    """

    integer_fields = ("EndpointConfig.ProductionVariants.InitialInstanceCount",)

    def __init__(
        self,
        *,
        operation: str = "create",
        max_ingestion_time: int | None = None,
        keep_superseded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_ingestion_time=max_ingestion_time or 3600 * 10, **kwargs)
        self.operation = operation.lower()
        if self.operation not in ("create", "update"):
            raise InputError(f"operation is {operation!r}; it is create or update.")
        self.keep_superseded = keep_superseded

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        # A subclass that says in the task what is deployed begins with nothing.
        if isinstance(self.config, Mapping) and self.config:
            parts = {
                name: self.config.get(name) for name in ("Endpoint", "EndpointConfig", "Model")
            }
            for name, part in parts.items():
                check_mapping(f"{self.task_id}: {name} of config", part)
            if all(part is None or isinstance(part, Mapping) for part in parts.values()):
                self._names()

    def may_replace(self, endpoint: Mapping[str, Any]) -> bool:
        """Say whether what is in service may be replaced; a subclass may say no.

        Args:
            endpoint: ``DescribeEndpoint``'s answer.

        Returns:
            False leaves it in service: model and configuration are made, and wait to be used.
        """
        return True

    def backend_spec(self) -> BackendSpec:
        """Say which endpoint."""
        endpoint, _ = self._names()
        return BackendSpec(
            "tradewind.systems.sagemaker.airflow:open_deployments",
            {"endpoint": endpoint["EndpointName"], **self.aws_arguments(), **self._existing()},
        )

    def _existing(self) -> dict[str, Any]:
        endpoint, config = self._names()
        return {} if config else {"config": endpoint["EndpointConfigName"]}

    def _names(self) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
        endpoint: Mapping[str, Any] = self.config.get("Endpoint") or self.config
        config: Mapping[str, Any] | None = self.config.get("EndpointConfig")
        model = self.config.get("Model")
        for name in ("EndpointName", "EndpointConfigName"):
            if not endpoint.get(name) and (name == "EndpointName" or not config):
                raise InputError(f"{self.task_id}: config names no {name} of an Endpoint.")
        if config:
            named = [config.get("EndpointConfigName"), endpoint.get("EndpointConfigName")]
            if is_fixed(named) and len({*named} - {None}) > 1:
                raise InputError(
                    f"{self.task_id}: the endpoint is to serve "
                    f"{endpoint['EndpointConfigName']}, and the EndpointConfig that is made is "
                    f"called {config['EndpointConfigName']}. Give both one name."
                )
        if model and not config:
            raise InputError(
                f"{self.task_id}: config has a Model that no EndpointConfig uses. Give one, or "
                "leave the model out."
            )
        variants = (config or {}).get("ProductionVariants", [])
        if not model or not is_fixed([model, variants]):
            return endpoint, config
        used = [one.get("ModelName") for one in variants]
        if model.get("ModelName") not in used:
            raise InputError(
                f"{self.task_id}: the Model that is made is called {model.get('ModelName')}, and "
                f"the EndpointConfig's variants serve {', '.join(map(str, used))}. Give both one "
                "name."
            )
        return endpoint, config

    def open_backend(self) -> Backend[Any]:
        """Connect, with all that the endpoint is told when it is moved."""
        endpoint, config = self._names()
        return self.backend_spec().open(
            prefix=(config or {}).get("EndpointConfigName") or "",
            options=dict(endpoint),
            may_replace=self.may_replace,
            keep_superseded=self.keep_superseded,
        )

    def prepare(self) -> Mapping[str, Any]:
        """Make the requests of model and configuration."""
        config = self._config_without_s3_operations()
        with_integers(config, self.integer_fields, self.task_id)
        if (model := config.get("Model")) and "ExecutionRoleArn" in model:
            model["ExecutionRoleArn"] = self.aws().expand_role(model["ExecutionRoleArn"])
        return config

    def _claim(self, context: Context) -> Claim:
        from tradewind.run.backend import JobState
        from tradewind.run.supervise import Decision, LeftError, StoppedError, end

        claimed = super()._claim(context)
        if claimed.outcome is not None:
            return claimed
        # Who waits in the triggerer, or not at all, has begun; another deployment may be under way.
        ask = self._decider(context)
        with self._opened() as backend:
            while backend.status(claimed.name).state is JobState.PENDING:
                asked = ask()
                if asked is Decision.CANCEL:
                    end(backend, claimed.name)
                    raise StoppedError(f"{claimed.name} was stopped and removed.")
                if asked is Decision.LEAVE:
                    raise LeftError(f"{claimed.name} is left to the next attempt.")
                backend.resume(claimed.name)
                time.sleep(min(1.0, float(self.check_interval)))
        return claimed

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom of both descriptions."""
        return hidden(json.loads(outcome.result or "{}"))
