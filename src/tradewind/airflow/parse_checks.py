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

from tradewind.errors import InputError

__all__ = ["check_choice", "check_options", "is_fixed", "named_parameters", "parameters_of"]

_SOURCES = Path(__file__).resolve().parent.parent


def is_fixed(value: Any) -> bool:
    """Tell whether a value is the same in all task runs: no template, no output of a task."""
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
