"""What is wrong with a description whatever the data are: told when the DAG file is read.

Nothing is imported for it that a DAG file does without: which options a class takes is read in its
source file. Values that are templates, or come from other tasks, are known to the task alone.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION

from tradewind.errors import InputError

__all__ = [
    "NOT_KNOWN_YET",
    "NotKnownYetError",
    "check_choice",
    "check_list",
    "check_mapping",
    "check_number",
    "check_options",
    "check_text",
    "is_fixed",
    "named_parameters",
    "parameters_of",
]

_SOURCES = Path(__file__).resolve().parent.parent


class NotKnownYetError(Exception):
    """A check has come to a value that only the task will know."""


class _NotKnownYet:
    """Stands for such a value where the rest of an operator's arguments is checked.

    It can be handed on and kept. Whoever looks into it ends the check.
    """

    def resolve(self, context: Any) -> Any:
        """Tell `is_fixed` that it is not."""
        raise NotKnownYetError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotKnownYetError

    def _refuse(self, *_: Any) -> Any:
        raise NotKnownYetError

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __int__ = __float__ = __index__ = __add__ = __radd__ = __or__ = __ror__ = _refuse
    __str__ = __format__ = __fspath__ = _refuse
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "what only the task knows"

    def __copy__(self) -> _NotKnownYet:
        return self

    def __deepcopy__(self, memo: Any) -> _NotKnownYet:
        return self


#: A value of a mapped argument that the DAG file does not hold.
NOT_KNOWN_YET: Any = _NotKnownYet()


def is_fixed(value: Any) -> bool:
    """Tell whether a value is the same in all task runs: no template, no output of a task."""
    if value is SET_DURING_EXECUTION:
        return False
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(map(is_fixed, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_fixed, value))
    return not hasattr(value, "resolve")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Refuse a value that is none of several.

    Args:
        name: What the user calls it.
        value: What was given.
        choices: What there is.

    Raises:
        InputError: It is none of them.
    """
    if is_fixed(value) and value not in choices:
        shown = ", ".join(map(repr, choices))
        raise InputError(f"{name}={value!r} is not known. Choose from: {shown}.")


def check_text(name: str, value: Any, *, missing: str = "") -> None:
    """Refuse what is no text.

    Args:
        name: What the user calls it.
        value: What was given; None where it was not, or is not needed.
        missing: What to say where there is none; nothing is said then when this is empty.

    Raises:
        InputError: It is no text, or missing.
    """
    if not is_fixed(value):
        return
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} is no text but {_kind(value)}. Give a text.")
    if missing and not (value or "").strip():
        raise InputError(missing)


def check_number(name: str, value: Any, *, above: float | None = None, whole: bool = False) -> None:
    """Refuse what is no number, where numbers may also be written as text.

    Args:
        name: What the user calls it.
        value: What was given; None where it was not.
        above: It has to be more than this.
        whole: Whether it has to be a whole number.

    Raises:
        InputError: It is none, or too small.
    """
    if value is None or not is_fixed(value):
        return
    what = "whole number" if whole else "number"
    more = "" if above is None else f" above {above:g}"
    try:
        found = float(value)
        right = (above is None or found > above) and not (whole and found % 1)
    except (TypeError, ValueError):
        right = False
    if not right or isinstance(value, bool):
        raise InputError(f"{name}={value!r} is no {what}{more}. Give one.")


def check_mapping(name: str, value: Any) -> None:
    """Refuse what is no dict.

    Args:
        name: What the user calls it.
        value: What was given; None where it was not. Its values may be templates.

    Raises:
        InputError: It is none.
    """
    if value is None or isinstance(value, Mapping) or not is_fixed(value):
        return
    raise InputError(f"{name} is no dict but {_kind(value)}. Give values by their names.")


def check_list(name: str, value: Any, *, example: str) -> None:
    """Refuse a text where a list is meant, which would be taken apart into its letters.

    Args:
        name: What the user calls it.
        value: What was given; None where it was not. Its elements may be templates.
        example: How to write it.

    Raises:
        InputError: It is no list.
    """
    if value is None or isinstance(value, list | tuple) or not is_fixed(value):
        return
    raise InputError(f"{name} is no list but {_kind(value)}. Write it like {example}.")


def _kind(value: Any) -> str:
    kind = type(value).__name__
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def check_options(
    name: str, given: Any, known: Collection[str] | None, *, besides: Collection[str] = ()
) -> None:
    """Refuse an option that nobody takes.

    Args:
        name: The argument that holds them, as the user calls it.
        given: Options by name.
        known: Those there are; None where that cannot be told.
        besides: Of those, what has an argument of its own.

    Raises:
        InputError: There is no such option, or it is no dict.
    """
    if not is_fixed(given) and not isinstance(given, Mapping):
        return
    if not isinstance(given, Mapping):
        raise InputError(f"{name}={given!r} is no dict. Give options by their names.")
    if known is None:
        return
    free = sorted(set(known) - set(besides))
    for option in given:
        if option not in free:
            hint = f" It is an argument: {option}=..." if option in besides else ""
            raise InputError(
                f"{name}: there is no option {option!r}.{hint} Choose from: {', '.join(free)}."
            )


@functools.cache
def parameters_of(path: str) -> frozenset[str] | None:
    """Read in its source what a class or function of Tradewind takes by name.

    Args:
        path: ``module:name``.

    Returns:
        The names; None where it takes any, or is not Tradewind's.
    """
    module, _, name = path.partition(":")
    if module.split(".")[0] != "tradewind":
        return None
    tree = _parsed(module)
    for node in tree.body:
        if getattr(node, "name", None) != name:
            continue
        if isinstance(node, ast.FunctionDef):
            return _arguments(node)
        if isinstance(node, ast.ClassDef):
            return _of_class(node, tree)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(one.name == name for one in node.names):
            return parameters_of(f"{node.module}:{name}")
    return None


def named_parameters(path: str) -> frozenset[str] | None:
    """Read what a function of Tradewind takes by a name of its own, beside any others.

    Args:
        path: ``module:function``.
    """
    module, _, name = path.partition(":")
    if module.split(".")[0] != "tradewind":
        return None
    for node in _parsed(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            every = (*node.args.args, *node.args.kwonlyargs)
            return frozenset(one.arg for one in every)
    return None


@functools.cache
def _parsed(module: str) -> ast.Module:
    file = _SOURCES.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _arguments(function: ast.FunctionDef) -> frozenset[str] | None:
    if function.args.kwarg is not None:
        return None
    every = (*function.args.args, *function.args.kwonlyargs)
    return frozenset(one.arg for one in every if one.arg != "self")


def _of_class(node: ast.ClassDef, tree: ast.Module) -> frozenset[str] | None:
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return _arguments(each)
    fields = {
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and "ClassVar" not in ast.unparse(each.annotation)
    }
    homes = {
        one.name: each.module
        for each in tree.body
        if isinstance(each, ast.ImportFrom)
        for one in each.names
    }
    for base in node.bases:
        home = homes.get(base.id) if isinstance(base, ast.Name) else None
        if home and home.startswith("tradewind") and isinstance(base, ast.Name):
            fields |= parameters_of(f"{home}:{base.id}") or set()
    return frozenset(fields)
