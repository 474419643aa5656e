"""``@task.docker_job`` and ``@task.ssh_job``: a function returns the command of a job.

As Airflow's ``@task.bash``: the function runs on the worker, with arguments and context as those of
any TaskFlow function, and what it returns is the command. All else is that of the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk.bases.decorator import (
    DecoratedOperator,
    TaskDecorator,
    _TaskDecorator,
    determine_kwargs,
    task_decorator_factory,
)
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from tradewind.airflow.checked import check_mapped
from tradewind.airflow.parse_checks import NOT_KNOWN_YET
from tradewind.errors import InputError
from tradewind.systems.docker.operators import DockerOperator
from tradewind.systems.ssh.operators import SSHOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context, XComArg

__all__ = ["docker_job_task", "ssh_job_task"]


class _CommandOfFunction(DecoratedOperator):
    """Calls a function for the command of the operator that comes after it in the class's bases.

    The function is called by each attempt, also by one that reattaches to what an earlier one has
    started; it is not called again when a deferred task comes back.

    Args:
        python_callable: The function.
        op_args: Its arguments by position. (templated)
        op_kwargs: Its arguments by name. (templated)
        kwargs: The operator's.
    """

    #: The command that is shown is the function's.
    overwrite_rtif_after_execution = True

    command: Any
    custom_operator_name: str

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if "command" in kwargs:
            raise InputError(
                f"{self.custom_operator_name}: the command is what the function returns. Take "
                "command away."
            )
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            command=SET_DURING_EXECUTION,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Call the function, render what it returns, and run that."""
        context_merge(context, self.op_kwargs)
        arguments = determine_kwargs(self.python_callable, self.op_args, context)
        command = self.python_callable(*self.op_args, **arguments)
        with self._naming_input():  # type: ignore[attr-defined]
            self._check(command)
        self.command = self.render_template(command, context)
        return super().execute(context)

    def make_work(self, context: Context) -> Any:
        """Describe the work; that of a deferred task that comes back has begun with its command."""
        if self.command is not SET_DURING_EXECUTION:
            return super().make_work(context)  # type: ignore[misc]
        try:
            self.command = "true"
            return super().make_work(context)  # type: ignore[misc]
        finally:
            self.command = SET_DURING_EXECUTION

    def _check(self, command: Any) -> None:
        if not isinstance(command, str) or not command.strip():
            raise self._wrong("text", command)

    def _wrong(self, wanted: str, found: Any) -> InputError:
        return InputError(
            f"{self.custom_operator_name}: the function {self.python_callable.__name__} of the "
            f"task {self.task_id} has to return the command, {wanted} that is not empty. What it "
            f"returned is {'empty' if found in ('', []) else f'a {type(found).__name__}'}."
        )


class _CheckedDecorator(_TaskDecorator):  # type: ignore[type-arg]
    """Checks the operator's arguments also where those of the function are mapped."""

    def _expand(self, expand_input: Any, *, strict: bool) -> XComArg:
        made: Any = super()._expand(expand_input, strict=strict)
        if isinstance(expand_input.value, Mapping):
            unknown = dict.fromkeys(expand_input.value, NOT_KNOWN_YET)
            check_mapped(made.operator, [{"op_kwargs": unknown}])
        return made  # type: ignore[no-any-return]


def _decorator(
    kind: type[BaseOperator],
    function: Callable[..., Any] | None,
    multiple_outputs: bool | None,
    kwargs: dict[str, Any],
) -> TaskDecorator:
    """Make a decorator as `task_decorator_factory` does, which makes Airflow's own alone."""
    made: Any = task_decorator_factory(
        python_callable=function,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=kind,
        **kwargs,
    )

    def checked(plain: Any) -> Any:
        fields = ("function", "operator_class", "multiple_outputs", "kwargs")
        return _CheckedDecorator(**{name: getattr(plain, name) for name in fields})

    if function is not None:
        return cast("TaskDecorator", checked(made))
    return cast("TaskDecorator", lambda function: checked(made(function)))


class _DockerJob(_CommandOfFunction, DockerOperator):
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *DockerOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **DockerOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.docker_job"

    def _check(self, command: Any) -> None:
        words = isinstance(command, (list, tuple)) and all(isinstance(one, str) for one in command)
        if isinstance(command, str) or not words:
            super()._check(command)
        elif not command:
            raise self._wrong("words or text", [])

    def _wrong(self, wanted: str, found: Any) -> InputError:
        return super()._wrong("words or text", found)


class _SSHJob(_CommandOfFunction, SSHOperator):
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *SSHOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **SSHOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.ssh_job"


def docker_job_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """Make a task of a function that returns the command of a container: ``@task.docker_job``.

    Args:
        python_callable: The function; it returns words, or a line that is split as a shell does.
        multiple_outputs: Makes an XCom of each value of the JSON object that the work hands back.
        kwargs: `DockerOperator`'s, without ``command``.
    """
    return _decorator(_DockerJob, python_callable, multiple_outputs, kwargs)


def ssh_job_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """Make a task of a function that returns a command for another machine: ``@task.ssh_job``.

    Args:
        python_callable: The function; it returns what the account's shell runs.
        multiple_outputs: Makes an XCom of each value of the JSON object that the work hands back.
        kwargs: `SSHOperator`'s, without ``command``.
    """
    return _decorator(_SSHJob, python_callable, multiple_outputs, kwargs)
