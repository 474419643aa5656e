"""Which rows are a slice of a table of MySQL: those whose values are the given ones, no others."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.tables.staging import TableColumn
from tradewind.systems.mysql.exact import settled
from tradewind.systems.mysql.session import Session, bound

__all__ = ["TEXTS", "exactly"]

TEXTS = frozenset(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"))
"""Types whose values are compared by a collation."""
_BYTES = frozenset(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"))
_WHOLE = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"))
_NUMBERS = _WHOLE | {"float", "double", "year"}
_TIMES = {
    "date": "DATETIME(6)",
    "datetime": "DATETIME(6)",
    "timestamp": "DATETIME(6)",
    "time": "TIME(6)",
}


def exactly(session: Session) -> Callable[[TableColumn, str, Any], tuple[str, list[Any]]]:
    """Give what writes that a column has a value, and not one that the server holds for equal.

    A collation makes ``A``, ``á`` and ``a `` equal to ``a``, and where a number meets a text, both
    become floats: ``01`` and ``1abc`` are 1.

    Args:
        session: To ask whether a text is a date or time.

    Returns:
        From a column, its name in SQL and a value to a condition and its parameters.

    Raises:
        InputError: The value is none that the column can have.
    """

    def equal(column: TableColumn, spelled: str, value: Any) -> tuple[str, list[Any]]:
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if column.type in TEXTS:
            value = _text(session.system, column, value)
            # The first is for the index. Texts travel as utf8mb4, whatever the column keeps.
            exact = f"CAST(CONVERT({spelled} USING utf8mb4) AS BINARY) = CAST(%s AS BINARY)"
            return f"({spelled} = %s AND {exact})", [value, value]
        if column.type in _BYTES:
            value = _text(session.system, column, value)
        elif column.type in _NUMBERS:
            value = _number(session.system, column, value)
        elif column.type in _TIMES:
            value = _unzoned(column, value)
        if column.type in _TIMES and not isinstance(value, datetime.date | datetime.time):
            cast = bound(session, f"SELECT CAST(%s AS {_TIMES[column.type]})", [value])
            moment = session.fetch(cast)[0][0]
            # Without a table, the server keeps what it has warned of before.
            cut = any(str(value) in str(text) for _, _, text in session.warnings())
            if moment is None or cut:
                raise _refusal(session.system, column, value, "a date or time as it is written")
        return f"{spelled} = %s", [value]

    return equal


def _unzoned(column: TableColumn, value: Any) -> Any:
    """Give a time with a zone as the rows of the table have it: in UTC.

    Raises:
        UnfitValueError: The column is a DATE or TIME; the zone is told by a name.
    """
    if isinstance(value, datetime.datetime) and value.tzinfo is not None and column.type == "date":
        # As rows are taken: midnight in UTC is the day, like Airflow's data_interval_start.
        moment = value.astimezone(datetime.UTC)
        if moment.time() == datetime.time():
            return moment.date()
    if isinstance(value, datetime.datetime | datetime.time) and value.tzinfo is not None:
        value = str(value)
    if not isinstance(value, str):
        return value
    return settled(pa.array([value], pa.string()), column.name, column)[0].as_py()


def _text(system: str, column: TableColumn, value: Any) -> Any:
    if isinstance(value, bool | float):
        raise _refusal(system, column, value, "the text")
    return str(value) if isinstance(value, int | Decimal) else value


def _number(system: str, column: TableColumn, value: Any) -> Any:
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        raise _refusal(system, column, value, "a number")
    number = value
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise _refusal(system, column, value, "a number") from None
    elif isinstance(value, float) and math.isfinite(value) and column.type in _WHOLE:
        number = Decimal(repr(value))
    if isinstance(number, Decimal) and not number.is_finite():
        raise _refusal(system, column, value, "a number")
    # A text or a float beside them would make floats of both.
    return number


def _refusal(system: str, column: TableColumn, value: Any, what: str) -> InputError:
    return InputError(
        f"{system}: the slice gives {value!r} for the column {column.name!r}, which is "
        f"{column.spelled or column.type}. Give {what}."
    )
