"""Names of tables as people write them: quoted, qualified, in capitals."""

from __future__ import annotations

import re

__all__ = ["QUOTES", "spellings", "split_name", "unquoted"]

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
