"""The JSONPath expressions of DataProcessing, by which columns and members are selected.

The operators are those of https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
(Supported JSONPath Operators): `$`, `.name`, `*`, `['a','b']`, `[0,-1]`, `[1:3]`. Several names
select an object of these members, several numbers an array, which libraries for JSONPath do not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sagemaker_local.errors import InputError

__all__ = ["Path", "parse_path"]

Path = Callable[[Any], Any]

_NAME = r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"'
_STEP = re.compile(
    r"\.?\*|\.?\[\*\]"
    r"|\.(?P<name>[A-Za-z_][\w-]*)"
    rf"|\.?\[\s*(?P<names>(?:{_NAME})(?:\s*,\s*(?:{_NAME}))*)\s*\]"
    r"|\.?\[\s*(?P<start>-?\d+)?\s*:\s*(?P<end>-?\d+)?\s*\]"
    r"|\.?\[\s*(?P<numbers>-?\d+(?:\s*,\s*-?\d+)*)\s*\]"
)


def parse_path(text: str) -> Path:
    """Make a function of an expression, which selects from a decoded JSON value.

    Args:
        text: Such as `$`, `$.features`, `$['id','SageMakerOutput']`, `$[1:]`, `$[0,-1]`.

    Raises:
        InputError: The expression uses something else; the function raises it for a value that
            lacks what is selected.
    """
    place, steps = 1, []
    while place < len(text) and text.startswith("$"):
        match = _STEP.match(text, place)
        if match is None:
            break
        steps.append(_step(match))
        place = match.end()
    if not text.startswith("$") or place < len(text):
        raise InputError(
            f"The JSONPath {text!r} is not understood: offered are $, .name, *, ['a','b'], "
            "[0,-1] and [1:3]."
        )

    def select(value: Any) -> Any:
        for step in steps:
            try:
                value = step(value)
            except (KeyError, IndexError, TypeError, AttributeError):
                shown = repr(value)[:200]
                raise InputError(f"The JSONPath {text} finds nothing in {shown}.") from None
        return value

    return select


def _step(match: re.Match[str]) -> Path:
    if match["name"] is not None:
        return _member(match["name"])
    if match["names"] is not None:
        names = [re.sub(r"\\(.)", r"\1", name[1:-1]) for name in re.findall(_NAME, match["names"])]
        return _member(names[0]) if len(names) == 1 else _members(names)
    if match["numbers"] is not None:
        numbers = [int(number) for number in match["numbers"].split(",")]
        return _element(numbers[0]) if len(numbers) == 1 else _elements(numbers)
    if ":" in match[0]:
        start, end = (int(match[g]) if match[g] else None for g in ("start", "end"))
        return _slice(start, end)
    return lambda value: list(value.values()) if isinstance(value, dict) else list(_array(value))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _member(name: str) -> Path:
    return lambda value: _object(value)[name]


def _members(names: list[str]) -> Path:
    return lambda value: {name: _object(value)[name] for name in names}


def _element(number: int) -> Path:
    return lambda value: _array(value)[number]


def _elements(numbers: list[int]) -> Path:
    return lambda value: [_array(value)[number] for number in numbers]


def _slice(start: int | None, end: int | None) -> Path:
    return lambda value: _array(value)[start:end]
