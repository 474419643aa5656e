"""Tradewind's deployment, with what this pipeline has to add to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowFailException

from digits import serving, storage
from digits.settings import Run
from tradewind.airflow import S3CopyObjectOperator, SageMakerEndpointOperator

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from airflow.sdk import Context

    from tradewind.move.receipt import Receipt

__all__ = ["DeployOperator", "DownloadOperator"]


class DownloadOperator(S3CopyObjectOperator):
    """Copies the data set to the date's own place in S3: within S3, or from another store.

    Args:
        store: Where the data set is: ``s3``, ``gs`` or ``az``. (templated)
        store_conn_id: The connection of that store; its usual one when empty. Within S3 it is of
            no effect, since S3 itself copies, by `aws_conn_id`. (templated)
        kwargs: Of `S3CopyObjectOperator`.
    """

    template_fields: Sequence[str] = (
        *S3CopyObjectOperator.template_fields,
        "store",
        "store_conn_id",
    )

    def __init__(self, *, store: str = "s3", store_conn_id: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.store_conn_id = store_conn_id

    def act(self, context: Context, owner: Any, stop: threading.Event) -> Receipt:
        """Copies it."""
        if self.store == "s3":
            return super().act(context, owner, stop)
        from tradewind.airflow.connections.stores import store_of
        from tradewind.move.copy import copy_object

        uri = f"{self.store}://{self.source_bucket_name}/{self.source_bucket_key}"
        source, key = store_of(uri, self.store_conn_id or None)
        to = f"s3://{self.dest_bucket_name}/{self.dest_bucket_key}"
        target, target_key = store_of(to, self.aws_conn_id)
        self.log.info("copying %s to %s", uri, to)
        return copy_object(source, key, target, target_key, owner=owner, stop=stop)


class DeployOperator(SageMakerEndpointOperator):
    """Puts the date's judged model into service, and removes what it replaces.

    The model and its endpoint configuration are always made. An endpoint that serves a newer date
    is left alone: a backfill does not turn a service back. What is replaced is kept for some dates.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(config={}, max_ingestion_time=3600, keep_superseded=True, **kwargs)

    def execute(self, context: Context) -> Any:
        """Deploys; returns what is in service."""
        self._describe(context)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Goes on when the triggerer has seen the end of the deployment."""
        self._describe(context)
        return super().execute_complete(context, event)

    def may_replace(self, endpoint: Mapping[str, Any]) -> bool:
        """Whether what is in service is of the same date, or of an older one."""
        found = serving.read_endpoint(self.aws().client("sagemaker"), endpoint)
        if found.date > self._run.date:
            self.log.info(
                "%s stays in service: it is newer than %s, whose model is ready to be used",
                found.model,
                self._run.date,
            )
        return found.date <= self._run.date

    def read_result(self, outcome: Any) -> dict[str, Any]:
        """Removes what was replaced; tells what is in service."""
        told, run = super().read_result(outcome), self._run
        config, client = (
            told["EndpointConfig"]["EndpointConfigName"],
            self.aws().client("sagemaker"),
        )
        endpoint = serving.read_endpoint(client, told["Endpoint"])
        for each in serving.remove_older(
            client, self._s3(), run, model=self._model, config=config, keep=int(run.params["keep"])
        ):
            self.log.info("removed %s", each)
        return {
            "endpoint": run.endpoint,
            "deployed": endpoint.config == config,
            "model": self._model,
            "in_service": endpoint.model,
        }

    def _describe(self, context: Context) -> None:
        """Describes what is to be deployed, by the date's newest judgement."""
        run = self._run = Run.of(context["params"], context["dag_run"])
        report = self._report(run)
        self._model = report["model"]
        variant = {
            # Named as the training job: the endpoint's answers say which model they are from.
            "VariantName": report["model"],
            "ModelName": run.job,
            "InitialInstanceCount": int(run.params["serving_instances"]),
            "InstanceType": run.params["serving_instance"],
        }
        self.config = {
            "Model": {
                "ModelName": run.job,
                "PrimaryContainer": {"Image": report["image"], "ModelDataUrl": report["artifact"]},
                "ExecutionRoleArn": run.params["role"],
            },
            "EndpointConfig": {"EndpointConfigName": run.job, "ProductionVariants": [variant]},
            "Endpoint": {"EndpointName": run.endpoint, "EndpointConfigName": run.job},
        }

    def _report(self, run: Run) -> dict[str, Any]:
        where = run.layout
        key = where.report_key(run.date)
        with storage.open_object(self._s3(), where.bucket, key, made_by="evaluate_model") as stream:
            report: dict[str, Any] = json.loads(stream.read())
        if not report["verdict"]["passed"]:
            raise AirflowFailException(
                f"{report['model']} is not deployed: {'; '.join(report['verdict']['reasons'])}."
            )
        return report

    def _s3(self) -> S3Hook:
        return S3Hook(aws_conn_id=self.aws_conn_id)
