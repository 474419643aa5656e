"""Ranges of a column, in which several workers read a query of MySQL."""

from __future__ import annotations

import datetime
import decimal
import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.systems.mysql.connection import quoted

__all__ = ["range_conditions", "shared"]

_DIGITS = 80
"""More than the 65 that a DECIMAL has; Python's own default is 28."""


def shared(query: str, share: Mapping[str, Any]) -> str:
    """Write the query of one share; without a condition that of the column's ends.

    Args:
        query: One statement, without a semicolon.
        share: ``by``, the column, and ``where``, a condition or None.
    """
    column = quoted(share["by"])
    inner = f"FROM (\n{query}\n) AS tradewind_share"
    if share["where"] is None:
        return f"SELECT MIN({column}) AS low, MAX({column}) AS high {inner}"
    return f"SELECT * {inner} WHERE {share['where']} ORDER BY {column}"


def range_conditions(
    system: str, by: str, kind: pa.DataType, low: Any, high: Any, number: int
) -> list[str]:
    """Divide what lies between two values into ranges of equal width.

    Args:
        system: For messages.
        by: The column.
        kind: Its type.
        low: The least value; None where there is none.
        high: The greatest.
        number: How many ranges, at most.

    Returns:
        Conditions of which each row fulfils exactly one, in the order of the column.

    Raises:
        InputError: The column is of a type that has no middle.
    """
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
    ):
        raise InputError(
            f"{system}: a query cannot be divided by {by}, which is of the type {kind}. Name a "
            "column of whole numbers, decimals, dates or times."
        )
    column = quoted(by)
    if low is None or low == high:
        return ["TRUE"]
    limits = [_literal(_between(low, high, step, number)) for step in range(1, number)]
    limits = list(dict.fromkeys(limits))
    first = _literal(low)
    limits = [limit for limit in limits if limit != first]
    if not limits:
        return ["TRUE"]
    return [
        f"({column} < {limits[0]} OR {column} IS NULL)",
        *(f"{column} >= {one} AND {column} < {next_}" for one, next_ in itertools.pairwise(limits)),
        f"{column} >= {limits[-1]}",
    ]


def _between(low: Any, high: Any, step: int, number: int) -> Any:
    if isinstance(low, int):
        return low + (high - low) * step // number
    if isinstance(low, Decimal):
        with decimal.localcontext(prec=_DIGITS):
            return (low + (high - low) * step / number).quantize(low)
    return low + (high - low) * step / number


def _literal(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    return str(value) if isinstance(value, int) else f"{value:f}"
