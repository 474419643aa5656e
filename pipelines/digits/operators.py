"""The official SageMaker operators, with what this pipeline has to add to them."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.sagemaker import LogState
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointOperator,
    SageMakerTrainingOperator,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from botocore.exceptions import BotoCoreError, ClientError

from digits import serving, storage
from digits.layout import config_name
from digits.settings import Run

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["DeployOperator", "TrainOperator"]


class TrainOperator(SageMakerTrainingOperator):
    """Trains as the official operator does, asks more often, and shows the log once at the end.

    The official one, when it prints the log, asks for the status every 30 seconds at most, and
    takes a job that was stopped for a completed one when it does not print it. How often this one
    asks is the DAG's parameter check_seconds.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(print_log=False, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Trains; returns DescribeTrainingJob's answer under "Training"."""
        self.check_interval = int(context["params"]["check_seconds"])
        # The triggerer gives up after so many questions: only when the job must have ended.
        seconds = int(self.config["StoppingCondition"]["MaxRuntimeInSeconds"]) + 3600
        self.max_attempts = math.ceil(seconds / self.check_interval)
        try:
            result = super().execute(context)
        except TaskDeferred:
            raise
        except AirflowException as error:
            self._show_log(self.config["TrainingJobName"])
            if "ClientError" in str(error):
                # SageMaker's word for wrong data or parameters: no retry can help.
                raise AirflowFailException(str(error)) from error
            raise
        return self._completed(result)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Goes on when the triggerer has seen the end of the job."""
        return self._completed(super().execute_complete(context, event))

    def _completed(self, result: dict[str, Any]) -> dict[str, Any]:
        job = result["Training"]
        self._show_log(job["TrainingJobName"])
        if job["TrainingJobStatus"] != "Completed":
            # Somebody stopped it, or it took too long: it would not be otherwise again.
            raise AirflowFailException(
                f"The training job {job['TrainingJobName']} is {job['TrainingJobStatus']} "
                f"({job['SecondaryStatus']}), not Completed: its model is not used."
            )
        return result

    def _show_log(self, job: str) -> None:
        try:
            self.hook.describe_training_job_with_log(job, {}, [], 1, LogState.COMPLETE, {}, 0)
        except (ClientError, BotoCoreError) as error:
            self.log.warning("The log of %s cannot be read from CloudWatch: %s", job, error)


class DeployOperator(SageMakerEndpointOperator):
    """Puts the date's judged model into service, and removes what it replaces.

    The model and its endpoint configuration are always registered. The endpoint itself, which the
    official operator creates or updates, is created when it is absent, updated when it serves the
    same or an older date, and left alone when it serves a newer one: a backfill does not turn a
    service back. All of it may be repeated.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(config={}, max_ingestion_time=3600, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploys; returns what is in service."""
        run = Run.of(context["params"], context["dag_run"])
        self.check_interval = int(context["params"]["check_seconds"])
        report = self._report(run)
        model = report["model"]
        config = self._register(run, report)
        for operation in self._decisions(run, config):
            self.operation = operation
            self.config = {"EndpointName": run.endpoint, "EndpointConfigName": config}
            try:
                super().execute(context)
            except ClientError as error:
                if not _lost_race(error):
                    raise
                self.log.info("another run was quicker, looking again: %s", error)
        return self._finish(run, model, config)

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Goes on when the triggerer has seen the endpoint in service."""
        super().execute_complete(context, event)
        run = Run.of(context["params"], context["dag_run"])
        report = self._report(run)
        return self._finish(
            run, report["model"], config_name(report["model"], _content(run, report))
        )

    def _report(self, run: Run) -> dict[str, Any]:
        """The date's newest judgement, which says what to deploy."""
        where = run.layout
        key = where.report_key(run.date)
        with storage.open_object(self._s3(), where.bucket, key, made_by="evaluate_model") as stream:
            report: dict[str, Any] = json.loads(stream.read())
        if not report["verdict"]["passed"]:
            raise AirflowFailException(
                f"{report['model']} is not deployed: {'; '.join(report['verdict']['reasons'])}."
            )
        return report

    def _register(self, run: Run, report: dict[str, Any]) -> str:
        """Makes the model and its configuration, unless they are there; returns the latter's name.

        The official operator cannot be retried here: it fails on what its first attempt has made.
        """
        client, model = self.hook.get_conn(), report["model"]
        name = config_name(model, _content(run, report))
        self.config = {
            "Model": {
                "ModelName": model,
                "PrimaryContainer": {"Image": report["image"], "ModelDataUrl": report["artifact"]},
                "ExecutionRoleArn": run.params["role"],
            },
            "EndpointConfig": {
                "EndpointConfigName": name,
                "ProductionVariants": [_variant(run, model)],
            },
        }
        self.preprocess_config()
        _ensure(client.create_model, self.config["Model"])
        _ensure(client.create_endpoint_config, self.config["EndpointConfig"])
        return name

    def _decisions(self, run: Run, config: str) -> Any:
        """Yields what to do with the endpoint, looking at it again after each attempt."""
        deadline = time.monotonic() + self.max_ingestion_time
        while time.monotonic() < deadline:
            endpoint = serving.find_endpoint(self.hook.get_conn(), run.endpoint)
            if endpoint is None:
                yield "create"
            elif endpoint.status in self.hook.endpoint_non_terminal_states:
                self.log.info("the endpoint %s is %s: waiting", run.endpoint, endpoint.status)
                time.sleep(self.check_interval)
            elif endpoint.status == "Failed":
                # SageMaker allows nothing but deleting an endpoint that never came up.
                self.log.warning(
                    "the endpoint %s failed, it is made anew: %s", run.endpoint, endpoint.reason
                )
                self.hook.get_conn().delete_endpoint(EndpointName=run.endpoint)
            elif endpoint.config == config:
                return
            elif endpoint.date > run.date:
                self.log.info(
                    "%s stays in service: it is newer than %s, whose model is ready to be used",
                    endpoint.model,
                    run.date,
                )
                return
            else:
                yield "update"
                after = serving.find_endpoint(self.hook.get_conn(), run.endpoint)
                if after and after.config == endpoint.config and after.status == "InService":
                    raise AirflowException(
                        f"SageMaker took {config} back, {after.config} is in service again: "
                        f"{after.reason or 'no reason was given; see the log of the endpoint'}"
                    )
        raise AirflowException(
            f"The endpoint {run.endpoint} was not ready within {self.max_ingestion_time} seconds."
        )

    def _finish(self, run: Run, model: str, config: str) -> dict[str, Any]:
        client = self.hook.get_conn()
        endpoint = serving.find_endpoint(client, run.endpoint)
        if endpoint is None or (endpoint.config != config and endpoint.date <= run.date):
            raise AirflowException(
                f"{config} was to be in service at {run.endpoint}, and "
                f"{endpoint.config if endpoint else 'no endpoint'} is: "
                f"{endpoint.reason if endpoint else ''}"
            )
        for each in serving.remove_older(
            client, self._s3(), run, model=model, config=config, keep=int(run.params["keep"])
        ):
            self.log.info("removed %s", each)
        return {
            "endpoint": run.endpoint,
            "deployed": endpoint.config == config,
            "model": model,
            "in_service": endpoint.model,
        }

    def _s3(self) -> S3Hook:
        return S3Hook(aws_conn_id=self.aws_conn_id)


def _variant(run: Run, model: str) -> dict[str, Any]:
    return {
        # Named as the model: the endpoint's answers say which one they are from.
        "VariantName": model,
        "ModelName": model,
        "InitialInstanceCount": int(run.params["serving_instances"]),
        "InstanceType": run.params["serving_instance"],
    }


def _content(run: Run, report: dict[str, Any]) -> str:
    return json.dumps(_variant(run, report["model"]), sort_keys=True)


def _ensure(create: Any, request: dict[str, Any]) -> None:
    """Creates what may be there already from an earlier attempt."""
    try:
        create(**request)
    except ClientError as error:
        if "already existing" not in error.response["Error"]["Message"]:
            raise


def _lost_race(error: ClientError) -> bool:
    message = error.response["Error"]["Message"]
    return (
        "Cannot update in-progress endpoint" in message
        or "Cannot create already existing endpoint" in message
    )
