"""What the operators of SageMaker have in common."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tradewind.airflow.links import JobLink
from tradewind.airflow.parse_checks import check_mapping, check_number, is_fixed
from tradewind.airflow.work import WorkOperator
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["FIELDS", "SageMakerOperator", "hidden", "with_integers"]

FIELDS = ("config", "check_interval", "aws_conn_id", "region_name", "verify")


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

    operator_extra_links = (JobLink(),)
    template_fields: Sequence[str] = FIELDS
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

    integer_fields: ClassVar[tuple[str, ...]] = ()
    """Paths in the request to numbers, with dots."""

    def check_arguments(self) -> None:
        """Refuse what is wrong whatever the data are; see `CheckedOperator.check_arguments`."""
        super().check_arguments()
        if not isinstance(self.config, Mapping) and is_fixed(self.config):
            raise InputError(
                f"{self.task_id}: config is no dict but {type(self.config).__name__}. Give the "
                "request as boto3 has it."
            )
        if isinstance(self.config, Mapping):
            for path in self.integer_fields:
                for holder, name in _holders(self.own_request(self.config), path.split(".")):
                    if is_fixed(holder[name]):
                        _integer(holder[name], path, self.task_id)
        check_number(f"{self.task_id}: check_interval", self.check_interval, above=0)
        check_number(f"{self.task_id}: max_ingestion_time", self.max_ingestion_time, above=0)
        check_mapping(f"{self.task_id}: botocore_config", self.botocore_config)

    @staticmethod
    def own_request(config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Find the part of the configuration that the paths of `integer_fields` begin in.

        Args:
            config: The configuration.
        """
        return config

    @abstractmethod
    def prepare(self) -> Mapping[str, Any]:
        """Make the request of a copy of `config`; called only where the work is started."""

    def aws(self) -> Any:
        """Open the connection."""
        from tradewind.systems.sagemaker.airflow import AWS

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
        """Run it, or reattach to what an earlier attempt has started.

        Args:
            context: Of the task run.

        Returns:
            What SageMaker tells of it, as the official operator has it.
        """
        with self._naming_input():
            self.check_arguments()
        self.poll_interval = float(self.check_interval)
        if self.wait_for_completion:
            return super().execute(context)
        from tradewind.run.supervise import Outcome

        with self._naming_input():
            claimed = self._claim(context)
            with self._opened() as backend:
                told = backend.result(claimed.name, limit=self.result_limit)
        text = None if told is None else told.decode()
        return self.read_result(Outcome(claimed.name, text, reattached=not claimed.started))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Collect what the trigger has seen ending.

        Args:
            context: Of the task run.
            event: Of the trigger.
        """
        self.poll_interval = float(self.check_interval)
        return super().execute_complete(context, event)

    def _config_without_s3_operations(self) -> dict[str, Any]:
        config = copy.deepcopy(dict(self.config))
        operations = config.pop("S3Operations", None)
        if operations:
            self.aws().do_s3_operations(operations)
        return config


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
        for holder, name in _holders(config, path.split(".")):
            holder[name] = _integer(holder[name], path, task_id)


def _holders(config: Any, steps: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Find the dicts that a path ends in, through all lists on the way."""
    if isinstance(config, list):
        for one in config:
            yield from _holders(one, steps)
    elif isinstance(config, dict) and steps[0] in config:
        if len(steps) > 1:
            yield from _holders(config[steps[0]], steps[1:])
        else:
            yield config, steps[0]


def _integer(value: Any, path: str, task_id: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{task_id}: {path} of config is no number: {value!r}. Correct it."
        ) from None


def hidden(told: Any) -> Any:
    """Mask what looks like a secret among variables: an XCom is seen by many."""
    from airflow.sdk._shared.secrets_masker import redact

    if isinstance(told, Mapping):
        return {
            key: redact(value) if key == "Environment" else hidden(value)
            for key, value in told.items()
        }
    return [hidden(one) for one in told] if isinstance(told, list) else told
