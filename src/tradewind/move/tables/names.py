"""Names of tables as people write them: quoted, qualified, in capitals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tradewind.errors import InputError
from tradewind.move.interface import names_option

__all__ = ["QUOTES", "refuse_new_names", "spellings", "split_name", "unquoted"]

QUOTES = '"`['
"""What begins a quoted name in some system; SQLite takes them all."""

_PART = r'"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^\W\d][\w$]*'
_NAME = re.compile(rf"\s*({_PART})\s*(?:\.\s*({_PART})\s*)?(?:\.\s*({_PART})\s*)?")
_ENDS = {'"': '"', "`": "`", "[": "]"}


def split_name(text: str, quotes: str) -> tuple[str, ...] | None:
    """Split a name at the dots that SQL would see.

    Args:
        text: Like ``shop."Order Items"``.
        quotes: What begins a quoted name in this system: ``"``, `````, ``[``.

    Returns:
        One to three parts, quoted as they were; None where it is no name in SQL.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    parts = tuple(part for part in found.groups() if part is not None)
    if any(part[0] in _ENDS and part[0] not in quotes for part in parts):
        return None
    return parts


def unquoted(part: str, quotes: str) -> str:
    """Give the name that a part of `split_name`, or a plain name, stands for."""
    first = part[:1]
    if first and first in quotes and split_name(part, quotes) == (part,):
        end = _ENDS[first]
        return part[1:-1] if first == "[" else part[1:-1].replace(end * 2, end)
    return part


def spellings(text: str) -> tuple[str, ...]:
    """List the names that a text may mean in PostgreSQL: as written, then as SQL reads it.

    SQL folds what is not quoted to lower case (letters of ASCII, in UTF-8 databases). See
    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS.
    """
    parts = split_name(text, '"')
    if parts is None or len(parts) > 1:
        return (text,)
    if parts[0].startswith('"'):
        return (unquoted(parts[0], '"'),)
    folded = "".join(one.lower() if one.isascii() else one for one in parts[0])
    return tuple(dict.fromkeys([text, folded]))


def refuse_new_names(
    system: str,
    names: Sequence[str],
    *,
    fold: Callable[[str], str] = str,
    wrong: Callable[[str], str] = lambda name: "",
) -> None:
    """Refuse names that the columns of a new table cannot have.

    Args:
        system: The system, for messages.
        names: Of the data's columns.
        fold: Gives what names have in common that are one to the system.
        wrong: Says what else is wrong with a name; nothing where it is right.

    Raises:
        InputError: There is none; or one is empty, has a zero byte, or stands twice.
    """
    if not names:
        raise InputError(
            f"{system}: the data have no columns, and a table that is created has one at least."
        )
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(fold(name))
        seen[fold(name)] = name
        why = wrong(name)
        if not name:
            why = "has no name"
        elif "\0" in name:
            why = "has a zero byte in its name"
        elif other is not None:
            why = "stands there twice" if other == name else f"is the column {other!r} there"
        if why:
            raise InputError(
                f"{system}: the data's column {name!r} {why}. Rename it where the data are made, "
                f"or create the table before and name its columns: {names_option('columns')}, in "
                "the order of the data's."
            )
