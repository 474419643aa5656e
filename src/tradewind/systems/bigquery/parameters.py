"""Python's values as parameters of a query."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tradewind.errors import InputError

__all__ = ["query_parameters"]


def query_parameters(given: Mapping[str, Any] | Sequence[Any] | None) -> list[Any]:
    """Make parameters of the client library.

    Args:
        given: Values by name for ``@name``, or in order for ``?``. A list is an array.

    Raises:
        InputError: A value is of a kind that no parameter takes.
    """
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [_parameter(str(name), value) for name, value in given.items()]
    if isinstance(given, str | bytes):
        raise InputError("BigQuery: parameters are a mapping or a list of values, not one text.")
    return [_parameter(None, value) for value in given]


def _parameter(name: str | None, value: Any) -> Any:
    from google.cloud.bigquery import ArrayQueryParameter, ScalarQueryParameter

    made: Any
    if isinstance(value, list | tuple | set | frozenset):
        values = list(value)
        kinds = {_kind(one) for one in values}
        if len(kinds) > 1 or None in values:
            raise InputError(
                f"BigQuery: the array for the parameter {name or '?'} has values of several kinds, "
                "or NULL. Give values of one kind."
            )
        made = ArrayQueryParameter
        return made(name, kinds.pop() if kinds else "STRING", values)
    made = ScalarQueryParameter
    return made(name, _kind(value), value)


def _kind(value: Any) -> str:
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        scale = -exponent if isinstance(exponent, int) else 0
        return "NUMERIC" if scale <= 9 and abs(value) < Decimal(10) ** 29 else "BIGNUMERIC"
    for kind, word in (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (str, "STRING"),
        (bytes, "BYTES"),
        (datetime.date, "DATE"),
        (datetime.time, "TIME"),
        (type(None), "STRING"),
    ):
        if isinstance(value, datetime.datetime):
            return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
        if isinstance(value, kind):
            return word
    raise InputError(
        f"BigQuery: a parameter cannot be a {type(value).__name__}. Give text, a number, a truth "
        "value, bytes, a date or time, or a list of one of these."
    )
