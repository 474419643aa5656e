"""Arguments as a DAG file writes them, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Arguments", "Told", "default_arguments", "entries_of", "told_value"]

Arguments = Mapping[str, ast.expr]
"""Arguments of a call by name, as the file writes them."""

_NAME = "default_args"


@dataclass(frozen=True)
class Told:
    """A value that can be read from the file."""

    value: Any


def told_value(node: ast.expr) -> Told | None:
    """Read a value that is written out.

    Args:
        node: What stands in the file.

    Returns:
        The value, or None where only running the file would tell.
    """
    try:
        return Told(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def entries_of(node: ast.expr) -> dict[str, ast.expr] | None:
    """Read a dict whose keys are written out.

    Args:
        node: What stands in the file.

    Returns:
        Its values by their keys, none of them read; nothing where it is no such dict. None, as an
        argument, is an empty one.
    """
    if isinstance(node, ast.Constant) and node.value is None:
        return {}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        if node.args or any(one.arg is None for one in node.keywords):
            return None
        return {str(one.arg): one.value for one in node.keywords}
    if not isinstance(node, ast.Dict):
        return None
    found = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            return None
        found[key.value] = value
    return found


def default_arguments(nodes: list[ast.AST]) -> tuple[dict[str, ast.expr], bool]:
    """Read what a file's ``default_args`` are.

    Args:
        nodes: All nodes of the file.

    Returns:
        The entries that are written out, of all DAGs and task groups of the file, and whether
        there are others.
    """
    given = [one.value for one in nodes if isinstance(one, ast.keyword) if one.arg == _NAME]
    names = {_NAME} | {one.id for one in given if isinstance(one, ast.Name)}
    written: dict[str, list[ast.expr]] = {name: [] for name in names}
    unread = False
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id in names:
                    written[target.id].append(node.value)
                elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    unread = unread or target.value.id in names
    found: dict[str, ast.expr] = {}
    for one in given:
        for value in written[one.id] or [one] if isinstance(one, ast.Name) else [one]:
            entries = entries_of(value)
            unread = unread or entries is None
            found |= entries or {}
    return found, unread
