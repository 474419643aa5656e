"""The slice of a table that ``replace`` replaces, as a condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tradewind.errors import InputError
from tradewind.move.tables.columns import TableColumn

__all__ = ["Slice", "slice_condition"]

Slice = Mapping[str, Any] | str | tuple[str, Any]


def slice_condition(
    slice: Slice,
    columns: Sequence[TableColumn],
    *,
    quote: Callable[[str], str],
    mark: str,
    system: str,
    equal: Callable[[TableColumn, str, Any], tuple[str, list[Any]]] | None = None,
) -> tuple[str, Any]:
    """Write a slice as a condition.

    Args:
        slice: Values by column, a condition, or a condition and its parameters.
        columns: The table's columns.
        quote: Writes a name.
        mark: What stands for a value: ``%s`` or ``?``.
        system: The system, for messages.
        equal: Writes that a column, with its name in SQL, has a value: a condition, in which each
            of its parameters stands as a mark. None for ``=``.

    Returns:
        The condition and its parameters; None for none.

    Raises:
        InputError: It is empty or names a column that is not there.
    """
    if isinstance(slice, str):
        condition, parameters = slice, None
    elif isinstance(slice, Mapping):
        known = {column.name.lower(): column for column in columns}
        for name in slice:
            if name.lower() not in known:
                raise InputError(
                    f"{system}: the slice names the column {name!r}, which the table has not. "
                    f"Choose from: {', '.join(column.name for column in columns)}."
                )
        # Where marks are formatted in, a percent sign of a name's own has to be told from them.
        spelled = {
            name: quote(name).replace("%", "%%") if mark == "%s" else quote(name) for name in slice
        }
        parts: list[str] = []
        parameters = []
        for name, value in slice.items():
            part, values = f"{spelled[name]} = {mark}", [value]
            if value is None:
                part, values = f"{spelled[name]} IS NULL", []
            elif equal is not None:
                part, values = equal(known[name.lower()], spelled[name], value)
            parts.append(part)
            parameters += values
        condition = " AND ".join(parts)
    elif isinstance(slice, tuple | list) and len(slice) == 2 and isinstance(slice[0], str):
        condition, parameters = slice[0], slice[1]
    else:
        raise InputError(
            f"{system}: a slice is a mapping of columns to values, a condition, or a pair of a "
            "condition and its parameters."
        )
    if not condition.strip():
        raise InputError(f"{system}: the slice is empty. Leave it out to replace all rows.")
    return condition, parameters
