"""Jobs of SageMaker that run once for a task run, however often workers die."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.backends import BackendSpec
from tradewind.airflow.parse_checks import check_choice
from tradewind.errors import InputError
from tradewind.systems.sagemaker.operator_base import (
    FIELDS,
    SageMakerOperator,
    hidden,
    with_integers,
)

if TYPE_CHECKING:
    from tradewind.run.backend import Backend
    from tradewind.run.supervise import Outcome

__all__ = [
    "SageMakerProcessingOperator",
    "SageMakerTrainingOperator",
    "SageMakerTransformOperator",
    "SageMakerTuningOperator",
]

_ACTIONS = ("timestamp", "fail")


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
        self.print_log = print_log
        self.max_attempts = max_attempts
        self.check_if_job_exists = check_if_job_exists
        self.action_if_job_exists = action_if_job_exists
        self._told: dict[str, Any] = {}

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_choice("action_if_job_exists", self.action_if_job_exists, _ACTIONS)

    def backend_spec(self) -> BackendSpec:
        """Say which account and kind of job."""
        return BackendSpec(
            "tradewind.systems.sagemaker.airflow:open_sagemaker",
            {"kind": self.kind, **self.aws_arguments(), "print_log": self.print_log},
        )

    def open_backend(self) -> Backend[Any]:
        """Connect; the job is called as the configuration says, where that name is free."""
        return self.backend_spec().open(
            called=self.own_request(self.config).get(self.name_field) or "",
            rename=self.check_if_job_exists and self.action_if_job_exists == "timestamp",
            rename_model=self._may_rename_model(),
            keep_model=not self.wait_for_completion,
        )

    def _may_rename_model(self) -> bool:
        return True

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
    where the artefact is: take both from the XCom. A retry reattaches to the job that an earlier
    attempt has started.

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
        self.check_if_model_exists = check_if_model_exists
        self.action_if_model_exists = action_if_model_exists

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        check_choice("action_if_model_exists", self.action_if_model_exists, _ACTIONS)

    def _may_rename_model(self) -> bool:
        return self.check_if_model_exists and self.action_if_model_exists == "timestamp"

    @staticmethod
    def own_request(config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Find the job's own request beside that of its model."""
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

    template_fields: Sequence[str] = (*FIELDS, "output_files_to_xcom")

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

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        if self.output_files_to_xcom and not self.wait_for_completion:
            raise InputError(
                f"{self.task_id}: output_files_to_xcom needs wait_for_completion=True: before the "
                "job's end there are no files."
            )
        if isinstance(self.output_files_to_xcom, list | tuple):
            for each in self.output_files_to_xcom:
                if isinstance(each, Mapping):
                    self._check_file(each)

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

    def _check_file(self, asked: Mapping[str, str]) -> None:
        missing = {"result_name", "output_name", "file_name"} - asked.keys()
        if missing:
            raise InputError(
                f"{self.task_id}: an entry of output_files_to_xcom has no "
                f"{', '.join(sorted(missing))}."
            )

    def _read_file(self, told: Mapping[str, Any], asked: Mapping[str, str]) -> Any:
        self._check_file(asked)
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


def _s3_uris(found: Any) -> list[str]:
    """Find all ``S3Uri`` in a part of a request or a description."""
    if isinstance(found, Mapping):
        mine = found.get("S3Uri")
        return ([mine] if isinstance(mine, str) else []) + _s3_uris(list(found.values()))
    if isinstance(found, list):
        return [uri for one in found for uri in _s3_uris(one)]
    return []
