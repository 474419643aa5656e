"""Operators whose arguments are checked when the DAG file is read, and again in the task.

What is wrong whatever the data are fails where the author sees it. In the task it is never retried.
Mapped operators are no exception: ``expand`` tries what is known already.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.operator import BaseOperatorMeta
from airflow.sdk.definitions.mappedoperator import OperatorPartial

from tradewind.airflow.parse_checks import NOT_KNOWN_YET, NotKnownYetError
from tradewind.errors import InputError

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

__all__ = ["CheckedOperator", "check_mapped", "depend_on_xcoms"]

#: Of each mapped argument. Each try makes an operator, and a DAG file has to be read quickly.
_MOST_TRIED = 100
#: How Airflow refuses names of arguments.
_NAMES_REFUSED = ("missing keyword argument", "Invalid arguments were passed")


class _CheckedMeta(BaseOperatorMeta):
    """Checks an operator when all of its classes have taken their arguments."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """What the class takes, which `inspect` would read from `__call__`."""
        found = inspect.signature(cls.__init__)  # type: ignore[misc]
        return found.replace(parameters=list(found.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            made = super().__call__(*args, **kwargs)
            made.check_arguments()
        except InputError as error:
            if not kwargs.get("_airflow_from_mapped"):
                raise
            # One of a mapped task's operators is made in the task. Airflow would try that again.
            from airflow.sdk.exceptions import AirflowFailException

            raise AirflowFailException(str(error)) from error
        return made


class _Partial:
    """``Operator.partial``, as `BaseOperator` has it: of classes alone."""

    def __get__(self, task: Any, kind: type[BaseOperator]) -> Callable[..., OperatorPartial]:
        airflows: Callable[..., OperatorPartial]
        airflows = vars(BaseOperator)["partial"].__get__(task, kind)
        if task is not None:
            return airflows  # it refuses

        def partial(**kwargs: Any) -> OperatorPartial:
            made = airflows(**kwargs)
            made._expand_called = True  # Airflow warns of one that is dropped without.
            return _CheckedPartial(
                operator_class=made.operator_class, kwargs=made.kwargs, params=made.params
            )

        return partial


class CheckedOperator(BaseOperator, metaclass=_CheckedMeta):
    """An operator that says what is wrong with its arguments before a task runs.

    A subclass overrides `check_arguments`; nothing else is needed, also for mapped operators.
    """

    partial = _Partial()

    def check_arguments(self) -> None:
        """Refuse what no task run can do with the arguments.

        It is called when the operator has been made, and when its templates are rendered. Before
        that, values that are templates or come from other tasks are let be: `is_fixed` tells.
        An override calls ``super().check_arguments()``; it looks at attributes, connects to
        nothing and imports little, since a DAG file is read every few seconds.

        Raises:
            InputError: An argument is wrong whatever the data are.
        """


class _CheckedPartial(OperatorPartial):
    """What ``partial`` returns: checks what is known when ``expand`` says what is mapped."""

    def _expand(self, expand_input: Any, *, strict: bool) -> MappedOperator:
        made = super()._expand(expand_input, strict=strict)
        own = _own_arguments(self.operator_class)
        tries = [
            {name: value for name, value in one.items() if name in own or not _is_airflows(name)}
            for one in _known_values(expand_input.value)
        ]
        check_mapped(made, tries)
        for values in (made.partial_kwargs, *tries):
            for value in values.values():
                depend_on_xcoms(made, value)
        return made


def depend_on_xcoms(task: BaseOperator | MappedOperator, described: Any) -> None:
    """Let a task follow those whose outputs a description holds: Airflow looks into operators only.

    Args:
        task: The task.
        described: One of its arguments. Only what has ``template_fields`` is looked at.
    """
    if described is NOT_KNOWN_YET:
        return
    from airflow.sdk.definitions.xcom_arg import XComArg

    for name in getattr(described, "template_fields", ()):
        XComArg.apply_upstream_relationship(task, getattr(described, name))


def check_mapped(mapped: MappedOperator, tries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what no task of a mapped operator could do, as far as that is known.

    Args:
        mapped: The operator.
        tries: Values of the mapped arguments by name, `NOT_KNOWN_YET` where only the task knows.

    Raises:
        InputError: An argument is wrong whatever the others are.
        TypeError: One is missing, or there is no such argument.
    """
    for values in tries:
        wrong = _tried(mapped, values)
        if wrong is None:
            continue
        # What is not known may turn out to be None, as what is not given: that has to be as wrong.
        needed = _own_arguments(mapped.operator_class, needed=True)
        kept = {
            name: one for name, one in values.items() if one is not NOT_KNOWN_YET or name in needed
        }
        again = wrong if len(kept) == len(values) else _tried(mapped, kept)
        if again is not None and str(again) == str(wrong):
            raise wrong


def _tried(mapped: MappedOperator, values: Mapping[str, Any]) -> InputError | TypeError | None:
    """Make the operator as the task will; only what is said of arguments counts."""
    try:
        mapped.unmap(values)
    except NotKnownYetError:
        return None
    except TypeError as error:
        return error if str(error).startswith(_NAMES_REFUSED) else None
    except Exception as error:
        wrong = error if isinstance(error, InputError) else error.__cause__
        return wrong if isinstance(wrong, InputError) else None
    return None


def _known_values(mapped: Any) -> Iterator[dict[str, Any]]:
    """Tell what the tasks get, as far as the DAG file says: each value at least once.

    Args:
        mapped: Lists by name, of ``expand``, or a list of dicts, of ``expand_kwargs``; or what
            stands for one of them that another task makes.
    """
    if isinstance(mapped, Mapping):
        unknown = dict.fromkeys(mapped, NOT_KNOWN_YET)
        listed = {name: _elements(each) for name, each in mapped.items()}
        if not any(listed.values()):
            yield unknown
        for name, elements in listed.items():
            for element in elements:
                yield {**unknown, name: element}
    elif isinstance(mapped, list | tuple):
        for one in mapped[:_MOST_TRIED]:
            if isinstance(one, Mapping):
                yield dict(one)


def _elements(mapped: Any) -> list[Any]:
    if isinstance(mapped, Mapping):
        return list(mapped.items())[:_MOST_TRIED]
    return list(mapped[:_MOST_TRIED]) if isinstance(mapped, list | tuple) else []


def _own_arguments(kind: type[BaseOperator], *, needed: bool = False) -> set[str]:
    """Name what the classes before `BaseOperator` take, or what of that has no default."""
    return {
        name
        for each in kind.__mro__[: kind.__mro__.index(BaseOperator)]
        if "__init__" in vars(each)
        for name, one in inspect.signature(vars(each)["__init__"]).parameters.items()
        if not needed or one.default is one.empty
    }


def _is_airflows(name: str) -> bool:
    return name in inspect.signature(BaseOperator.__init__).parameters
