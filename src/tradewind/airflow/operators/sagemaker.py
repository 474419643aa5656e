"""Jobs of SageMaker that run once for a task run, however often workers die."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tradewind.run.attend import Outcome
    from tradewind.run.backend import Backend

__all__ = [
    "SageMakerOperator",
    "SageMakerProcessingOperator",
    "SageMakerTrainingOperator",
    "SageMakerTransformOperator",
    "SageMakerTuningOperator",
    "hidden",
    "with_integers",
]

_JOB_FIELDS = ("config", "check_interval", "aws_conn_id", "region_name", "verify")


class SageMakerOperator(WorkOperator):
    """What the operators of SageMaker have in common: subclasses say which work.

    Args:
        config: The request, as boto3 has it; never changed. Numbers may be text, roles names, and
            ``S3Operations`` are done first. (templated)
        aws_conn_id: The AWS connection; None for boto3's own chain. (templated)
        region_name: The region; the connection's when not given. (templated)
        verify: Whether to check certificates, or the file with those to trust. (templated)
        botocore_config: Arguments of `botocore.config.Config`.
        wait_for_completion: False starts the work and does not wait for it.
        check_interval: The longest time between two looks, in seconds; the first ones are closer
            together. (templated)
        max_ingestion_time: The most seconds that the work may take; then it is stopped, and the
            task fails.
        kwargs: `WorkOperator`'s: ``deferrable``, ``result_limit``.
    """

    template_fields: Sequence[str] = _JOB_FIELDS
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "json"}
    ui_color = "#ededed"

    def __init__(
        self,
        *,
        config: dict[str, Any],
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        wait_for_completion: bool = True,
        check_interval: float | str = 30,
        max_ingestion_time: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.wait_for_completion = wait_for_completion
        self.check_interval = check_interval
        self.max_ingestion_time = max_ingestion_time

    @abstractmethod
    def prepare(self) -> Mapping[str, Any]:
        """Make the request of a copy of `config`; called only where the work is started."""

    def aws(self) -> Any:
        """Open the connection."""
        from tradewind.airflow.sagemaker_backends import AWS

        return AWS(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)

    def aws_arguments(self) -> dict[str, Any]:
        """Say which connection, in values that JSON can hold."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
        }

    def make_work(self, context: Context) -> Callable[[], Mapping[str, Any]]:
        """Describe the work: by what makes its request, when it is to be started."""
        return self.prepare

    def longest_run(self) -> float | None:
        """Say how long it may run."""
        return None if self.max_ingestion_time is None else float(self.max_ingestion_time)

    def execute(self, context: Context) -> Any:
        """Run it, or attend what an earlier attempt has started.

        Args:
            context: Of the task run.

        Returns:
            What SageMaker tells of it, as the official operator has it.
        """
        self._check_config()
        self.poll_interval = float(self.check_interval)
        if self.wait_for_completion:
            return super().execute(context)
        from tradewind.run.attend import Outcome

        with self._naming_input():
            claimed = self._claim(context)
            with self._opened() as backend:
                told = backend.result(claimed.name, limit=self.result_limit)
        text = None if told is None else told.decode()
        return self.read_result(Outcome(claimed.name, text, attended=not claimed.started))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Collect what the trigger has seen ending.

        Args:
            context: Of the task run.
            event: Of the trigger.
        """
        self.poll_interval = float(self.check_interval)
        return super().execute_complete(context, event)

    def _check_config(self) -> None:
        if not isinstance(self.config, Mapping):
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(
                f"{self.task_id}: config is no dict but {type(self.config).__name__}. Give the "
                "request as boto3 has it."
            )

    def _config_without_s3_operations(self) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.config))
        operations = config.pop("S3Operations", None)
        if operations:
            self.aws().do_s3_operations(operations)
        return config


class SageMakerJobOperator(SageMakerOperator):
    """What the operators of SageMaker's jobs have in common.

    Args:
        print_log: Whether the job's log is written into the task's.
        max_attempts: Has no effect: the job is waited for as long as it runs.
        check_if_job_exists: False fails where another task run's job has the name.
        action_if_job_exists: What happens then else: ``timestamp`` puts something behind the name,
            which is not the time but whose it is; ``fail`` fails.
        kwargs: `SageMakerOperator`'s.
    """

    kind: ClassVar[str]
    key: ClassVar[str]
    """Where the XCom has the description."""
    name_field: ClassVar[str]
    integer_fields: ClassVar[tuple[str, ...]]
    """Paths in the request to numbers, with dots."""

    def __init__(
        self,
        *,
        print_log: bool = True,
        max_attempts: int | None = None,
        check_if_job_exists: bool = True,
        action_if_job_exists: str = "timestamp",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_action("action_if_job_exists", action_if_job_exists)
        self.print_log = print_log
        self.max_attempts = max_attempts
        self.check_if_job_exists = check_if_job_exists
        self.action_if_job_exists = action_if_job_exists
        self._told: dict[str, Any] = {}

    def backend_spec(self) -> BackendSpec:
        """Say which account and kind of job."""
        return BackendSpec(
            "tradewind.airflow.sagemaker_backends:open_sagemaker",
            {"kind": self.kind, **self.aws_arguments(), "print_log": self.print_log},
        )

    def open_backend(self) -> Backend[Any]:
        """Connect; the job is called as the configuration says, where that name is free."""
        return self.backend_spec().open(
            called=self._job(self.config).get(self.name_field) or "",
            rename=self.check_if_job_exists and self.action_if_job_exists == "timestamp",
            rename_model=self._may_rename_model(),
            keep_model=not self.wait_for_completion,
        )

    def _may_rename_model(self) -> bool:
        return True

    @staticmethod
    def _job(config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Find the job's own request in the configuration."""
        return config

    def prepare(self) -> Mapping[str, Any]:
        """Make the request."""
        config = self._config_without_s3_operations()
        with_integers(config, self.integer_fields, self.task_id)
        aws = self.aws()
        for holder, field in self._roles(config):
            if field in holder:
                holder[field] = aws.expand_role(holder[field])
        aws.check_s3(_s3_uris(self._inputs(config)))
        return config

    def _roles(self, config: dict[str, Any]) -> Iterable[tuple[dict[str, Any], str]]:
        return [(config, "RoleArn")]

    @abstractmethod
    def _inputs(self, config: Mapping[str, Any]) -> Any:
        """Find what the job reads."""

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom: the job's description, as the official operator has it."""
        told = json.loads(outcome.result or "{}")
        self._told = hidden(told if self.key in told else {self.key: told})
        return self._told

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage what was read and written.

        Args:
            task_instance: Of the task run.

        Returns:
            An ``OperatorLineage``; None where OpenLineage's provider is not installed.
        """
        from tradewind.airflow.lineage import Lineage, dataset_of_uri, openlineage_facets

        told = self._told.get(self.key) or {}
        read, written = _s3_uris(self._inputs(told)), self._outputs(told)
        return openlineage_facets(
            Lineage(
                tuple(dataset_of_uri(uri) for uri in read),
                tuple(dataset_of_uri(uri) for uri in written if uri),
            ),
            None,
        )

    def _outputs(self, told: Mapping[str, Any]) -> Iterable[str | None]:
        return ()


class SageMakerTrainingOperator(SageMakerJobOperator):
    """Train a model, as the official operator of this name.

    The job has the configuration's ``TrainingJobName`` where that is free; where it is another task
    run's, or an earlier job of this one has failed, something follows. The name is also a part of
    where the artefact is: take both from the XCom. A retry attends the job that an earlier attempt
    has started.

    Args:
        kwargs: `SageMakerJobOperator`'s.
    """

    kind, key, name_field = "TRAINING", "Training", "TrainingJobName"
    integer_fields = (
        "ResourceConfig.InstanceCount",
        "ResourceConfig.VolumeSizeInGB",
        "StoppingCondition.MaxRuntimeInSeconds",
    )

    def _inputs(self, config: Mapping[str, Any]) -> Any:
        return config.get("InputDataConfig")

    def _outputs(self, told: Mapping[str, Any]) -> Iterable[str | None]:
        return [(told.get("ModelArtifacts") or {}).get("S3ModelArtifacts")]


class SageMakerTransformOperator(SageMakerJobOperator):
    """Run a batch transform, as the official operator of this name.

    Args:
        check_if_model_exists: As `check_if_job_exists`, for a model that this makes.
        action_if_model_exists: As `action_if_job_exists`.
        kwargs: `SageMakerJobOperator`'s. ``config`` is the job's request, or
            ``{"Model": ..., "Transform": ...}``.
    """

    kind, key, name_field = "TRANSFORM", "Transform", "TransformJobName"
    integer_fields = (
        "TransformResources.InstanceCount",
        "MaxConcurrentTransforms",
        "MaxPayloadInMB",
    )

    def __init__(
        self,
        *,
        check_if_model_exists: bool = True,
        action_if_model_exists: str = "timestamp",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_action("action_if_model_exists", action_if_model_exists)
        self.check_if_model_exists = check_if_model_exists
        self.action_if_model_exists = action_if_model_exists

    def _may_rename_model(self) -> bool:
        return self.check_if_model_exists and self.action_if_model_exists == "timestamp"

    @staticmethod
    def _job(config: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = config.get("Transform", config)
        return found

    def prepare(self) -> Mapping[str, Any]:
        """Make the request, with the model's beside it where there is one."""
        config = self._config_without_s3_operations()
        work: dict[str, Any] = config if "Transform" in config else {"Transform": config}
        with_integers(work["Transform"], self.integer_fields, self.task_id)
        aws = self.aws()
        if (model := work.get("Model")) and "ExecutionRoleArn" in model:
            model["ExecutionRoleArn"] = aws.expand_role(model["ExecutionRoleArn"])
        aws.check_s3(_s3_uris(self._inputs(work["Transform"])))
        return work

    def _inputs(self, config: Mapping[str, Any]) -> Any:
        return config.get("TransformInput")

    def _outputs(self, told: Mapping[str, Any]) -> Iterable[str | None]:
        return [(told.get("TransformOutput") or {}).get("S3OutputPath")]


class SageMakerProcessingOperator(SageMakerJobOperator):
    """Run a processing job, as the official operator of this name.

    Args:
        output_files_to_xcom: Small JSON files of the job's outputs that become a part of the XCom:
            dicts with ``output_name``, ``file_name`` and ``result_name``. (templated)
        kwargs: `SageMakerJobOperator`'s.
    """

    template_fields: Sequence[str] = (*_JOB_FIELDS, "output_files_to_xcom")

    kind, key, name_field = "PROCESSING", "Processing", "ProcessingJobName"
    integer_fields = (
        "ProcessingResources.ClusterConfig.InstanceCount",
        "ProcessingResources.ClusterConfig.VolumeSizeInGB",
        "StoppingCondition.MaxRuntimeInSeconds",
    )

    def __init__(
        self, *, output_files_to_xcom: list[dict[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.output_files_to_xcom = output_files_to_xcom
        if output_files_to_xcom and not self.wait_for_completion:
            raise InputError(
                f"{self.task_id}: output_files_to_xcom needs wait_for_completion=True: before the "
                "job's end there are no files."
            )

    def _inputs(self, config: Mapping[str, Any]) -> Any:
        return config.get("ProcessingInputs")

    def _outputs(self, told: Mapping[str, Any]) -> Iterable[str | None]:
        return _s3_uris((told.get("ProcessingOutputConfig") or {}).get("Outputs"))

    def read_result(self, outcome: Outcome) -> Any:
        """Make the XCom: the job's description, and the files that were asked for."""
        told = super().read_result(outcome)
        if self.output_files_to_xcom:
            files = {}
            for each in self.output_files_to_xcom:
                found = self._read_file(told[self.key], each)
                if found is not None:
                    files[each["result_name"]] = found
            if files:
                told = {**told, "OutputFiles": files}
        return told

    def _read_file(self, told: Mapping[str, Any], asked: Mapping[str, str]) -> Any:
        missing = {"result_name", "output_name", "file_name"} - asked.keys()
        if missing:
            raise InputError(
                f"{self.task_id}: an entry of output_files_to_xcom has no "
                f"{', '.join(sorted(missing))}."
            )
        outputs = (told.get("ProcessingOutputConfig") or {}).get("Outputs") or []
        output = next((one for one in outputs if one["OutputName"] == asked["output_name"]), None)
        if output is None:
            self.log.warning("The job has no output %r.", asked["output_name"])
            return None
        uri = f"{output['S3Output']['S3Uri'].rstrip('/')}/{asked['file_name']}"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        client = self.aws().client("s3")
        try:
            body = client.get_object(Bucket=bucket, Key=key)["Body"].read(self.result_limit + 1)
            if len(body) > self.result_limit:
                return {"_error": f"Larger than {self.result_limit} bytes: {uri}"}
            return json.loads(body)
        except client.exceptions.NoSuchKey:
            return {"_error": f"File not found: {uri}"}
        except ValueError:
            return {"_error": f"Invalid JSON at {uri}"}


class SageMakerTuningOperator(SageMakerJobOperator):
    """Tune hyperparameters, as the official operator of this name.

    The tuning job starts its training jobs by itself, and stops them when it is stopped. Its name
    has 32 characters at most. It has no log of its own.

    Args:
        kwargs: `SageMakerJobOperator`'s.
    """

    kind, key, name_field = "TUNING", "Tuning", "HyperParameterTuningJobName"
    integer_fields = (
        "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs",
        "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs",
        "TrainingJobDefinition.ResourceConfig.InstanceCount",
        "TrainingJobDefinition.ResourceConfig.VolumeSizeInGB",
        "TrainingJobDefinition.StoppingCondition.MaxRuntimeInSeconds",
    )

    def _roles(self, config: dict[str, Any]) -> Iterable[tuple[dict[str, Any], str]]:
        return [(config.get("TrainingJobDefinition", {}), "RoleArn")]

    def _inputs(self, config: Mapping[str, Any]) -> Any:
        return (config.get("TrainingJobDefinition") or {}).get("InputDataConfig")


def with_integers(config: Any, paths: Iterable[str], task_id: str) -> None:
    """Make integers of numbers that a template has rendered as text.

    Args:
        config: Is changed. Lists on the way are gone through.
        paths: To the numbers, with dots.
        task_id: For messages.

    Raises:
        InputError: One is no number.
    """
    for path in paths:
        _with_integer(config, path.split("."), path, task_id)


def _with_integer(config: Any, steps: list[str], path: str, task_id: str) -> None:
    if isinstance(config, list):
        for one in config:
            _with_integer(one, steps, path, task_id)
    elif isinstance(config, dict) and steps[0] in config:
        if len(steps) > 1:
            _with_integer(config[steps[0]], steps[1:], path, task_id)
            return
        try:
            config[steps[0]] = int(config[steps[0]])
        except (TypeError, ValueError):
            raise InputError(
                f"{task_id}: {path} of config is no number: {config[steps[0]]!r}. Correct it."
            ) from None


def _s3_uris(found: Any) -> list[str]:
    """Find all ``S3Uri`` in a part of a request or a description."""
    if isinstance(found, Mapping):
        mine = found.get("S3Uri")
        return ([mine] if isinstance(mine, str) else []) + _s3_uris(list(found.values()))
    if isinstance(found, list):
        return [uri for one in found for uri in _s3_uris(one)]
    return []


def hidden(told: Any) -> Any:
    """Mask what looks like a secret among variables: an XCom is seen by many."""
    from airflow.sdk._shared.secrets_masker import redact

    if isinstance(told, Mapping):
        return {
            key: redact(value) if key == "Environment" else hidden(value)
            for key, value in told.items()
        }
    return [hidden(one) for one in told] if isinstance(told, list) else told


def _check_action(name: str, value: str) -> None:
    if value not in ("timestamp", "fail"):
        raise InputError(f"{name} is {value!r}; it is timestamp or fail.")
