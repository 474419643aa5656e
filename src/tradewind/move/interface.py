"""Spell options for the interface in use, so that errors advise what can be typed there."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from typing import Any, Literal

__all__ = [
    "Interface",
    "format_option",
    "further_option",
    "interface",
    "interface_in_use",
    "names_option",
    "not_replacing",
    "option",
    "part_option",
    "target_option",
]

Interface = Literal["cli", "airflow", "python"]

_current: Interface = "python"


@contextlib.contextmanager
def interface(name: Interface) -> Iterator[None]:
    """Say where moves are asked for: in this process, not this thread, as reading has threads.

    Args:
        name: ``cli``, ``airflow`` or ``python``.
    """
    global _current
    before, _current = _current, name
    try:
        yield
    finally:
        _current = before


def interface_in_use() -> Interface:
    """Tell where moves are asked for."""
    return _current


def option(name: str, value: Any) -> str:
    """Spell an option of a source, for advice in an error.

    Args:
        name: As on the command line, like ``schema``.
        value: What to give.

    Returns:
        Like ``--set-from 'schema={"zip": "string"}'`` or ``schema={"zip": "string"}``.
    """
    as_json = isinstance(value, dict) or (isinstance(value, bool) and _current == "cli")
    word = json.dumps(value, ensure_ascii=False) if as_json else value
    if _current == "cli":
        said = f"{name}={str(word).lower() if isinstance(word, bool) else word}"
        if "'" in said:
            return f"--set-from {shlex.quote(said)}"
        return f"--set-from {said}" if said.replace("=", "").isalnum() else f"--set-from '{said}'"
    shown = word if isinstance(value, dict) else repr(value)
    return f"{name}={shown}"


def further_option(name: str, value: Any) -> str:
    """Spell an option of a source that Airflow's operators take among ``options``.

    Args:
        name: Like ``page_bytes``.
        value: What to give.
    """
    return f"options={{{name!r}: {value!r}}}" if _current == "airflow" else option(name, value)


def format_option(name: str, value: str) -> str:
    """Spell an option of a format, for advice in an error.

    Args:
        name: Like ``delimiter``.
        value: What to give.

    Returns:
        Like ``--set-from 'delimiter=;'`` or ``format_options={'delimiter': ';'}``.
    """
    return option(name, value) if _current == "cli" else f"format_options={{{name!r}: {value!r}}}"


def target_option(name: str, value: Any) -> str:
    """Spell an option of a target or of the format that is written, for advice in an error.

    Args:
        name: Like ``nan``.
        value: What to give.

    Returns:
        Like ``--set-to nan=null`` or ``nan='null'``, ``--set-to create=true`` or ``create=True``.
    """
    if _current != "cli":
        return f"{name}={value!r}"
    return f"--set-to {name}={str(value).lower() if isinstance(value, bool) else value}"


def names_option(name: str) -> str:
    """Spell an option of a target that takes names, whichever they are."""
    return f"--set-to {name}=NAME,NAME" if _current == "cli" else f"{name}=[...]"


def not_replacing() -> str:
    """Spell what asks that nothing be replaced."""
    return "--no-replace" if _current == "cli" else "replace=False"


def part_option(name: str, value: Any) -> str:
    """Spell an option of how data are cut into parts, for advice in an error.

    Args:
        name: As of `tradewind.move.publish.destination.Parts`, like ``keep``.
        value: What to give.

    Returns:
        Like ``--set-to keep_columns=true``, ``parts={'keep': True}`` or ``Parts(keep=True)``.
    """
    if _current == "cli":
        word = {"overwrite": "overwrite", "keep": "keep_columns"}.get(name, f"part_{name}")
        said = ",".join(value) if isinstance(value, tuple) else str(value)
        return f"--set-to {word}={said.lower() if isinstance(value, bool) else said}"
    if _current == "airflow":
        return f"parts={{{name!r}: {value!r}}}"
    return f"Parts({name}={value!r})"
