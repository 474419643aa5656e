"""Values of Python as literals of GoogleSQL.

A literal takes the type that a comparison wants (``day = '2026-01-31'`` compares dates), which a
parameter does not. Source:
https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#literals
"""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from typing import Any

from tradewind.errors import InputError

__all__ = ["literal", "one_statement"]


def literal(value: Any) -> str:
    """Write a value.

    Args:
        value: Text, bytes, a truth value, a number, a date, a time; None for NULL.

    Raises:
        InputError: It is of another kind.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"CAST('{value}' AS FLOAT64)"
    if isinstance(value, Decimal):
        return f"BIGNUMERIC '{value}'"
    if isinstance(value, str):
        return "'" + "".join(_ESCAPED.get(sign, sign) for sign in value) + "'"
    if isinstance(value, bytes):
        return "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"
    if isinstance(value, datetime.datetime):
        word = "DATETIME" if value.tzinfo is None else "TIMESTAMP"
        return f"{word} '{value.isoformat(' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, datetime.time):
        return f"TIME '{value.isoformat()}'"
    raise InputError(f"BigQuery: a {type(value).__name__} cannot stand in a condition.")


_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\x00"}


def one_statement(query: str) -> str:
    """Give a query without what may end a statement, to put it into another one.

    Args:
        query: One statement.
    """
    return query.strip().rstrip("; \t\r\n")
