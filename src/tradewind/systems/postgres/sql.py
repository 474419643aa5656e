"""SQL text of PostgreSQL: names, literals, and parameters put into a query.

``COPY (query)`` takes no parameters from the protocol, so they become literals here, the way libpq
and psycopg write them. A query is read by PostgreSQL's own lexical rules (with
``standard_conforming_strings``, which every session of ours sets), so that what looks like a
placeholder within a string, a quoted name or a comment is never replaced.
See https://www.postgresql.org/docs/current/sql-syntax-lexical.html.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tradewind.errors import InputError

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["Token", "bind", "copy_dialect", "literal", "quoted", "statement", "tokens"]

Parameters = Mapping[str, Any] | Sequence[Any] | None

_PLAIN = r"'(?:[^']|'')*'"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'"
_TOKEN = re.compile(
    rf"""
      (?P<string>\b[eE]{_ESCAPED}(?:[ \t\r\f\v]*\n\s*{_ESCAPED})*   # goes on over a line's end
        |{_PLAIN}
        |\$\$.*?\$\$
        |\$(?P<tag>[^\W\d]\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"]|"")*")
    | (?P<comment>--[^\n\r]*)
    | (?P<nested>/\*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<dollar>\$\d+)
    | (?P<percent>%%|%s|%\([^()]+\)s)
    | (?P<space>\s+)
    | (?P<open>['"]|\$(?=[^\W\d]\w*\$|\$))                           # begun and not ended
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One lexical part of a query.

    Args:
        kind: ``string``, ``name`` (quoted), ``word``, ``number``, ``comment``, ``space``,
            ``dollar`` (``$1``), ``percent`` (``%s``, ``%(name)s``, ``%%``) or ``other``.
        text: As it stands in the query.
        start: Where, in characters.
        depth: How many parentheses are open there.
    """

    kind: str
    text: str
    start: int
    depth: int


def tokens(query: str) -> Iterator[Token]:
    """Read a query by PostgreSQL's lexical rules.

    Args:
        query: The text.

    Yields:
        Its parts; joined they give the text again.

    Raises:
        InputError: A string, name or comment is not ended.
    """
    at = depth = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        assert match is not None  # noqa: S101 - the last alternative matches any character
        kind = match.lastgroup or "other"
        if kind == "tag":
            kind = "string"
        end = match.end()
        if kind == "nested":
            kind, end = "comment", _comment_end(query, at)
        elif kind == "open":
            raise InputError(
                f"The query has a quote that is not closed: {query[at : at + 40]!r}. Close it."
            )
        text = query[at:end]
        if text == ")":
            depth -= 1
        yield Token(kind, text, at, depth)
        if text == "(":
            depth += 1
        at = end


def _comment_end(query: str, at: int) -> int:
    level = 0
    for match in re.compile(r"/\*|\*/").finditer(query, at):
        level += 1 if match[0] == "/*" else -1
        if level == 0:
            return match.end()
    raise InputError(f"The query has a comment that is not closed: {query[at : at + 40]!r}.")


def statement(query: str) -> str:
    """Cut blanks, comments and semicolons off the end of a query, so that it can be nested.

    Args:
        query: The text.

    Returns:
        One statement.

    Raises:
        InputError: Nothing is left, or there are several statements.
    """
    parts = list(tokens(query))
    while parts and (parts[-1].kind in ("space", "comment") or parts[-1].text == ";"):
        parts.pop()
    if all(part.kind in ("space", "comment") for part in parts):
        raise InputError("The query is empty. Give a SELECT statement.")
    if any(part.text == ";" and part.kind == "other" for part in parts):
        raise InputError("The query holds several statements. Give exactly one.")
    return "".join(part.text for part in parts)


def quoted(*names: str) -> str:
    """Write a name, or a qualified one, as an identifier.

    Args:
        names: Schema and table, or one name.
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def bind(query: str, parameters: Parameters) -> str:
    """Put parameters into a query as literals.

    Args:
        query: With ``%(name)s`` for a mapping; with ``%s`` or ``$1`` for a sequence. As with
            psycopg, ``%%`` stands for a percent sign where ``%`` placeholders are used, and without
            parameters nothing in the query is changed.
        parameters: The values; see `literal` for the types.

    Returns:
        The query as PostgreSQL takes it.

    Raises:
        InputError: Parameters and placeholders do not match, or a value has no literal.
    """
    if parameters is None:
        return query
    parts = list(tokens(query))
    if isinstance(parameters, Mapping):
        return _bind_percent(parts, parameters)
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Iterable):
        one = "string" if isinstance(parameters, str | bytes) else "value"
        raise InputError(f"Parameters are a mapping or a sequence of values, not one {one}.")
    values = list(parameters)
    if any(part.kind == "dollar" for part in parts):
        return _bind_dollar(parts, values)
    return _bind_percent(parts, values)


def _bind_dollar(parts: list[Token], values: list[Any]) -> str:
    used = {int(part.text[1:]) for part in parts if part.kind == "dollar"}
    if used != set(range(1, len(values) + 1)):
        raise InputError(
            f"The query has the placeholders {', '.join(f'${n}' for n in sorted(used))} and "
            f"{len(values)} parameters were given. Give one for each."
        )
    return "".join(
        literal(values[int(part.text[1:]) - 1]) if part.kind == "dollar" else part.text
        for part in parts
    )


def _bind_percent(parts: list[Token], values: Mapping[str, Any] | list[Any]) -> str:
    named = isinstance(values, Mapping)
    written = []
    used = 0
    for part in parts:
        text = part.text
        if part.kind == "string":
            if re.search(r"(?<!%)(?:%%)*%(?:s\b|\([^()]+\)s)", text):
                raise InputError(
                    f"The placeholder within the string {text[:40]} cannot be replaced: take the "
                    "quotes away, they are written with the value; a percent sign is %%."
                )
            text = text.replace("%%", "%")
        elif part.kind == "percent" and text == "%%":
            text = "%"
        elif part.kind == "percent":
            if (text == "%s") == named:
                raise InputError(
                    f"The placeholder {text} does not go with parameters that are a "
                    f"{'mapping: write %(name)s' if named else 'sequence: write %s or $1'}."
                )
            if isinstance(values, Mapping):
                name = text[2:-2]
                if name not in values:
                    raise InputError(f"The query asks for the parameter {name!r}: it is missing.")
                text = literal(values[name])
            else:
                used += 1
                text = literal(values[used - 1]) if used <= len(values) else ""
        written.append(text)
    if not named and used != len(values):
        raise InputError(
            f"The query has {used} placeholders %s and {len(values)} parameters were given."
        )
    return "".join(written)


def literal(value: Any) -> str:
    """Write a value as a literal of SQL.

    Args:
        value: None, bool, int, float, Decimal, str, bytes, date, time, datetime, timedelta, UUID,
            a list (an array), a tuple or set (a list for ``IN``), a dict (JSON).

    Returns:
        The literal, with its type where the type matters.

    Raises:
        InputError: There is no literal for it.
    """
    if hasattr(value, "item") and hasattr(value, "dtype"):  # a scalar of NumPy
        value = value.item()
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f" {int(value)}"  # the blank: `3 -%s` must not become a comment
    if isinstance(value, float):
        return f" {value!r}" if math.isfinite(value) else f"'{value}'::float8"
    if isinstance(value, Decimal):
        return f" {value}" if value.is_finite() else f"'{value}'::numeric"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"'\\x{bytes(value).hex()}'::bytea"
    if isinstance(value, datetime):
        kind = "timestamptz" if value.tzinfo else "timestamp"
        return f"'{value.isoformat()}'::{kind}"
    if isinstance(value, date):
        return f"'{value.isoformat()}'::date"
    if isinstance(value, time):
        return f"'{value.isoformat()}'::{'timetz' if value.tzinfo else 'time'}"
    if isinstance(value, timedelta):
        return (
            f"'{value.days} days {value.seconds} seconds "
            f"{value.microseconds} microseconds'::interval"
        )
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, Mapping):
        return f"{_text(json.dumps(dict(value), ensure_ascii=False))}::jsonb"
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]" if value else "'{}'"
    if isinstance(value, tuple | set | frozenset):
        return f"({', '.join(map(literal, value)) or 'NULL'})"
    raise InputError(
        f"A parameter of the type {type(value).__name__} has no literal in SQL. "
        "Convert it to a number, text, date, list or such."
    )


def _text(value: str) -> str:
    if "\0" in value:
        raise InputError("A text parameter holds a NUL character, which PostgreSQL has not.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"A text parameter is not valid Unicode: {error}.") from error
    doubled = value.replace("'", "''")
    return f" E'{doubled.replace(chr(92), chr(92) * 2)}'" if "\\" in value else f"'{doubled}'"


def copy_dialect(format: Format) -> dict[str, str] | None:
    """Write a dialect of CSV as options of COPY.

    Args:
        format: Any format.

    Returns:
        Options and their values as SQL; None where it is not CSV, or not one that COPY knows.
    """
    from tradewind.move.formats.csv import CsvFormat

    if not isinstance(format, CsvFormat):
        return None
    # COPY takes these for one character and refuses some as delimiters.
    if format.delimiter in "\\.abcdefghijklmnopqrstuvwxyz0123456789" or "\0" in format.null:
        return None
    return {
        "FORMAT": "csv",
        "HEADER": "true" if format.header else "false",
        "DELIMITER": _text(format.delimiter),
        "QUOTE": _text(format.quote),
        "ESCAPE": _text(format.escape or format.quote),
        "NULL": _text(format.null),
    }
