"""Options of the command line, which are text, as arguments of a source or target."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from tradewind.errors import InputError

__all__ = ["take_options"]

_TRUE_FALSE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_ANY = str(inspect.Parameter.empty)
_LISTS = ("Sequence[str]", "tuple[str", "list[str]", "Iterable[str]")


def take_options(kind: type, options: Mapping[str, str]) -> dict[str, Any]:
    """Turn text into what the constructor of a class takes, by its annotations.

    Args:
        kind: A source or target.
        options: Text by the name of the argument. Lists of names have commas; what is neither text,
            number nor truth value in the constructor is given as JSON.

    Returns:
        Arguments by name.

    Raises:
        InputError: An option is not known or not of the argument's type.
    """
    known = {
        name: parameter
        for name, parameter in inspect.signature(kind).parameters.items()
        if name not in ("connection", "store", "connect")
        and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    for name in options:
        if name not in known:
            raise InputError(
                f"{kind.__name__} has no option {name!r}. Choose from: {', '.join(sorted(known))}."
            )
    return {name: _value(name, text, str(known[name].annotation)) for name, text in options.items()}


def _value(name: str, text: str, annotation: str) -> Any:
    kinds = {each.strip() for each in annotation.split("|")} - {"None"}
    if "Format" in kinds:
        from tradewind.move.registry import FORMATS, load

        return load(FORMATS, text, what="format")()
    if kinds == {"bool"}:
        if text.lower() not in _TRUE_FALSE:
            raise InputError(f"The option {name!r} is true or false, not {text!r}.")
        return _TRUE_FALSE[text.lower()]
    for word, make in (("int", int), ("float", float)):
        if kinds == {word}:
            try:
                return make(text)
            except ValueError:
                raise InputError(f"The option {name!r} is a number, not {text!r}.") from None
    structured = text.lstrip().startswith(("{", "["))
    if kinds <= {"str", _ANY} or all(each.startswith("Literal[") for each in kinds):
        return text
    if "str" in kinds and not structured:
        return text
    if not structured and any(each.startswith(_LISTS) for each in kinds):
        return [part.strip() for part in text.split(",")]
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"The option {name!r} is to be JSON, and is not: {error}") from error
