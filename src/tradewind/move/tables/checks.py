"""What a table refuses, and why: claims that are gone, cascades, long names, rows left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tradewind.errors import InputError
from tradewind.move.interface import target_option

__all__ = [
    "GONE",
    "check_claim",
    "refuse_cascade",
    "refuse_names",
    "refused_by_triggers",
    "said_of_cascade",
]

GONE = "that table is gone"
"""What became of a table that is not there: it may have to be made anew."""


def check_claim(
    system: str,
    table: str,
    *,
    claimed: int,
    there: int | None,
    at: str,
    gone: str = GONE,
) -> None:
    """See that a table has what the ledger says an earlier attempt has appended to it.

    Args:
        system: The system, for messages.
        table: The table, for messages.
        claimed: Rows that were appended.
        there: Rows of the table, counted up to `claimed`; None where the table is gone, or another
            one has its name.
        at: When they were appended.
        gone: What became of the table where it is not there.

    Raises:
        InputError: They are not there.
    """
    if there is not None and there >= claimed:
        return
    found = gone if there is None else f"it has {there} rows"
    anew = ""
    if there is None and gone == GONE:
        anew = f" and {target_option('create', True)}, where the table is to be made anew"
    raise InputError(
        f"{system}: this run has appended {claimed} rows to {table} at {at}, and by now {found}. "
        "Whoever did that may have used them, so they are not written again. To write them again, "
        f"clear the task, or give the run another name (--run){anew}. If all is as it should be, "
        "nothing is left to do: mark the task as success."
    )


def said_of_cascade(cascade: bool) -> str:
    """Say, for a plan, what becomes of other tables' rows that refer to deleted ones."""
    if cascade:
        return ", with what its foreign keys do to rows of other tables (cascade)"
    return "; refused where foreign keys would delete or change rows of other tables"


def refuse_cascade(system: str, table: str, references: Sequence[tuple[str, str]]) -> None:
    """Refuse to delete rows where other tables' rows would go, or change, with them.

    Args:
        system: The system, for messages.
        table: Whose rows are to be deleted.
        references: Each table that refers to it, and what its foreign key does: ``CASCADE``,
            ``SET NULL`` or ``SET DEFAULT``.

    Raises:
        InputError: There are any.
    """
    if references:
        listed = ", ".join(f"{name} (ON DELETE {rule})" for name, rule in references)
        raise InputError(
            f"{system}: to replace rows of {table} would delete or change rows of other tables "
            f"that refer to it: {listed}. {target_option('mode', 'upsert')} writes over rows "
            f"and deletes none; {target_option('cascade', True)} replaces all the same."
        )


def refuse_names(
    system: str, names: Iterable[str], limit: int, unit: str, size: Callable[[str], int] = len
) -> None:
    """Refuse names that are longer than a system keeps.

    Args:
        system: The system, for messages.
        names: Of tables, schemas, columns.
        limit: The most that it keeps.
        unit: What it counts: ``bytes`` or ``characters``.
        size: Counts them.

    Raises:
        InputError: One is too long.
    """
    for name in names:
        if size(name) > limit:
            shown = name if len(name) <= 100 else f"{name[:100]}..."
            raise InputError(
                f"{system}: the name {shown!r} has {size(name)} {unit}; the server keeps {limit}, "
                "and what is cut may be another table's or column's name. Give a shorter one."
            )


def refused_by_triggers(
    system: str, table: str, triggers: Sequence[str], dropped: int, rows: int
) -> InputError:
    """Make the error for rows that triggers of a table have left out.

    Args:
        system: The system, for messages.
        table: The table.
        triggers: Their names.
        dropped: How many rows are not there.
        rows: How many there should be.
    """
    return InputError(
        f"{system}: {dropped} of {rows} rows for {table} were left out by its triggers "
        f"({', '.join(triggers)}). Nothing of it is visible. Leave such rows out of the data, or "
        "load into a table without these triggers."
    )
