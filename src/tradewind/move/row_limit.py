"""How long a row of a database may be: some copies of it are in memory, so it has a limit."""

from __future__ import annotations

from collections.abc import Sequence

from tradewind.errors import InputError
from tradewind.move.interface import interface_in_use, option

__all__ = ["MAX_ROW_BYTES", "check_limit", "too_long"]

MAX_ROW_BYTES = 64 << 20
"""The longest row that is read where nothing else is asked for, as its system sends it, in bytes:
as long as a record of CSV or a line of JSON may be."""


def check_limit(system: str, limit: int) -> int:
    """Refuse what is no limit.

    Args:
        system: Whose rows.
        limit: Bytes of the longest row.

    Raises:
        InputError: It is not above 0.
    """
    if limit < 1:
        raise InputError(f"{system}: max_row_bytes is a number of bytes above 0.")
    return limit


def too_long(
    system: str,
    size: int,
    limit: int,
    *,
    column: str | None = None,
    among: Sequence[str] = (),
    row: int | None = None,
) -> InputError:
    """Make the error of a row that is too long.

    Args:
        system: Where it is read from.
        size: Its bytes, or those of the value in `column`.
        limit: How many there may be.
        column: The one whose value is too long alone.
        among: Those whose values may make the row so long.
        row: Its number, from 1 on, where that is known.
    """
    which = "a row" if row is None else f"row {row}"
    if column is not None:
        what = f"column {column!r} of {which} has {size} bytes"
    else:
        what = f"{which} has {size} bytes"
        if among:
            more = ", ..." if len(among) > 5 else ""
            what += f" (look at {', '.join(map(repr, among[:5]))}{more})"
    # Room for the rest of the row, and for the next one that is a bit longer.
    allowed = option("max_row_bytes", 2 * max(size, limit))
    if interface_in_use() == "airflow":
        allowed = f"Sql(..., {allowed})"
    return InputError(
        f"{system}: {what}, where {limit} are allowed. Several copies of it are in memory at a "
        f"time. If there is room for that, give {allowed}; or leave it out of the query."
    )
