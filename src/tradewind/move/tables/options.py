"""The options of a table on the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tradewind.errors import InputError

__all__ = ["table_options"]

_SWITCHES = ("create", "cascade", "skip_generated")


def table_options(
    system: str, options: Mapping[str, str], more: Sequence[str] = ()
) -> dict[str, Any]:
    """Read the options of a table from the command line.

    Args:
        system: Its name, for messages.
        options: ``table``, ``mode``, ``slice`` (a JSON object or a condition), ``keys`` and
            ``columns`` (with commas), ``create``, ``cascade`` and ``skip_generated`` (``true``).
        more: Names of further options, kept as they are.

    Returns:
        Arguments of `SqlTable`.

    Raises:
        InputError: Something of it is wrong.
    """
    given = dict(options)
    keywords: dict[str, Any] = {"table": given.pop("table", "")}
    keywords |= {name: given.pop(name) for name in ("mode", "slice", *more) if name in given}
    if keywords.get("slice", "").lstrip().startswith("{"):
        try:
            keywords["slice"] = json.loads(keywords["slice"])
        except ValueError as error:
            raise InputError(f"{system}: the slice is no JSON object: {error}.") from error
    for name in ("keys", "columns"):
        if name in given:
            keywords[name] = [part.strip() for part in given.pop(name).split(",")]
    for name in _SWITCHES:
        if name in given:
            asked = given.pop(name).lower()
            if asked not in ("true", "false"):
                raise InputError(f"{system}: {name} is true or false.")
            keywords[name] = asked == "true"
    if "lock_timeout" in keywords:
        keywords["lock_timeout"] = _seconds(system, keywords["lock_timeout"])
    if given:
        raise InputError(
            f"{system}: a table has no option {', '.join(sorted(given))}. Choose from: table, "
            f"{', '.join(['mode', 'slice', *more, 'keys', 'columns', *_SWITCHES])}."
        )
    return keywords


def _seconds(system: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise InputError(f"{system}: lock_timeout is a number of seconds, like 60.")
    return seconds
