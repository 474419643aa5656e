"""Statements of MySQL: told apart, and put within another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tradewind.errors import InputError
from tradewind.systems.mysql.connection import quoted

__all__ = ["statement", "wrapped"]

_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
    r"|--(?=[\s]|$)[^\n]*|\#[^\n]*|/\*(?!!|M!).*?\*/|\w+|\s+|.",
    re.DOTALL,
)


def _tokens(query: str) -> list[str]:
    return [
        token
        for token in _TOKEN.findall(query)
        if not token.isspace() and not token.startswith(("--", "#", "/*"))
    ]


def statement(query: str) -> str:
    """Strip what follows the statement: a semicolon, blanks, comments.

    Args:
        query: One statement.

    Raises:
        InputError: It is empty or more than one.
    """
    places = [match for match in _TOKEN.finditer(query) if match[0] == ";"]
    for place in places:
        if _tokens(query[place.end() :]) and any(t != ";" for t in _tokens(query[place.end() :])):
            raise InputError("MySQL: the query has several statements. Give one that gives rows.")
    stripped = query[: places[0].start()] if places else query
    if not _tokens(stripped):
        raise InputError("MySQL: the query is empty. Give a statement that gives rows.")
    return stripped


def wrapped(query: str, selects: Sequence[tuple[str, str]], system: str) -> str:
    """Select expressions over the columns of a query, in the query's order.

    Args:
        query: One SELECT.
        selects: Name of each column and the expression for it, ``{}`` being the column.
        system: The server, for messages.

    Raises:
        InputError: The statement cannot stand within another.
    """
    depth = 0
    top = []
    for word in _tokens(query):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            top.append(word.upper())
    if top[:1] not in (["SELECT"], ["WITH"], [")"]) or {"FOR", "LOCK", "INTO", "PROCEDURE"} & set(
        top
    ):
        raise InputError(
            f"{system}: the query has FLOAT columns, which the server prints with six digits, and "
            f"it is no plain SELECT. Select {quoted(selects[0][0])} * 1e0 or a DOUBLE instead."
        )
    # An order within a derived table counts for nothing unless there is a limit.
    limit = "\nLIMIT 18446744073709551615" if "ORDER" in top and "LIMIT" not in top else ""
    chosen = ", ".join(
        f"{expression.format(quoted(name))} AS {quoted(name)}" for name, expression in selects
    )
    return f"SELECT {chosen} FROM (\n{query}{limit}\n) AS source"  # noqa: S608
