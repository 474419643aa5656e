"""Options of formats by their names, as the command line and templates give them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tradewind.errors import InputError
from tradewind.move.format import Format
from tradewind.move.sizes import bytes_of

__all__ = ["FORMAT_OPTIONS", "taken", "with_options"]

FORMAT_OPTIONS = (
    "delimiter",
    "quote",
    "escape",
    "header",
    "null",
    "line_end",
    "quoting",
    "sample_bytes",
    "max_record_bytes",
    "decimals",
    "nan",
    "omit_null",
    "encoding",
    "names",
    "floats",
)
"""Those of CSV and JSON lines that are one word, a number, or true and false."""

_SPELLED = {"\\t": "\t", "tab": "\t", "\\n": "\n", "\\r\\n": "\r\n"}


def taken(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of formats out of others."""
    return {name: options.pop(name) for name in FORMAT_OPTIONS if name in options}


def with_options(format: Format, options: Mapping[str, Any]) -> Format:
    r"""Set options of a format.

    Args:
        format: The format.
        options: Values by name; as text too: ``true``, ``false``, digits, ``\t`` for a tab,
            ``100MB`` for a number of bytes.

    Returns:
        The format with them.

    Raises:
        InputError: The format has no such option, or the option no such value.
    """
    known = {field.name for field in dataclasses.fields(format)} & set(FORMAT_OPTIONS)  # type: ignore[arg-type]
    values = {}
    for name, value in options.items():
        if name not in known:
            raise InputError(
                f"The format {format.name} has no option {name}. Choose from: "
                f"{', '.join(one for one in FORMAT_OPTIONS if one in known) or 'none'}."
            )
        usual = getattr(format, name)
        if isinstance(usual, bool) and not isinstance(value, bool):
            if str(value).lower() not in ("true", "false"):
                raise InputError(f"{name}={value!r} is neither true nor false.")
            value = str(value).lower() == "true"
        elif isinstance(usual, int) and not isinstance(usual, bool):
            if name.endswith("_bytes"):
                value = bytes_of(name, value)
                if value < 0:
                    raise InputError(f"{name}={value} is no number of bytes. Give one above 0.")
            elif not str(value).isdecimal():
                raise InputError(f"{name}={value!r} is no number.")
            value = int(value)
        elif name in ("delimiter", "quote", "escape", "line_end"):
            value = _SPELLED.get(value, value)
        values[name] = value
    return dataclasses.replace(format, **values) if values else format  # type: ignore[type-var]
