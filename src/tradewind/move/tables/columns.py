"""The columns of a table that rows are written to, and which of the data's goes to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.interface import names_option, target_option

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableColumn", "matched", "refuse_generated", "without_generated"]


@dataclass(frozen=True)
class TableColumn:
    """A column of a target table.

    Args:
        name: Its name.
        type: Its type, as the system spells it, in lower case.
        filled: Whether a row may leave it out.
        generated: Whether it is computed, so that nothing can be written to it.
        precision: Digits of fractions of seconds; None where it is no time.
        scale: Digits after the point; None where it has none of its own.
        length: Characters of a text, bytes of bytes, that it has room for; None for no number.
        members: The values of an ENUM or SET.
        spelled: The type with all that belongs to it, for messages.
    """

    name: str
    type: str
    filled: bool = True
    generated: bool = False
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    members: tuple[str, ...] = ()
    spelled: str = ""


def matched(
    system: str,
    table: str,
    columns: Sequence[TableColumn],
    names: Sequence[str],
    *,
    asked: Sequence[str] | None,
    keys: Sequence[str],
) -> tuple[TableColumn, ...]:
    """Find the table's column for each of the data's.

    Args:
        system: The system, for messages.
        table: The table, for messages.
        columns: All of the table's.
        names: The data's.
        asked: The table's columns that the data's go to one by one, if chosen.
        keys: Columns that must be among them.

    Returns:
        One for each name.

    Raises:
        InputError: They do not fit together.
    """
    wanted = tuple(names)
    if asked is not None:
        if len(asked) != len(wanted):
            raise InputError(
                f"{system}: columns names {len(asked)} columns of {table}, the data have "
                f"{len(wanted)}: {', '.join(wanted)}. Name one for each."
            )
        wanted = tuple(asked)
    # Names that differ in case only are the same column to these systems.
    writable = {column.name.lower(): column for column in columns if not column.generated}
    found = [name.lower() for name in wanted]
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"{system}: the data have the column {name!r} twice. Name one.")
    computed = {column.name.lower() for column in columns if column.generated}
    refuse_generated(
        system,
        table,
        [name for name in wanted if name.lower() in computed],
        [name for name in wanted if name.lower() not in computed],
    )
    surplus = [name for name in wanted if name.lower() not in writable]
    lacking = [
        column.name
        for column in columns
        if column.name.lower() not in found and not column.filled and not column.generated
    ]
    if surplus or lacking:
        wrong = []
        if surplus:
            wrong.append(f"the data have {', '.join(map(repr, surplus))}, which it has not")
        if lacking:
            wrong.append(f"it has {', '.join(map(repr, lacking))}, which the data have not")
        raise InputError(
            f"{system}: the columns of {table} and of the data differ: {'; '.join(wrong)}. "
            f"Select the same names, or give {names_option('columns')}."
        )
    for key in keys:
        if key.lower() not in found:
            raise InputError(f"{system}: the data have no column {key!r}, a key.")
    return tuple(writable[name] for name in found)


def refuse_generated(
    system: str, table: str, generated: Sequence[str], others: Sequence[str]
) -> None:
    """Refuse data for columns that the table computes itself.

    Args:
        system: The system, for messages.
        table: The table.
        generated: Such columns among the data's.
        others: The data's other columns.

    Raises:
        InputError: There are any.
    """
    if generated:
        raise InputError(
            f"{system}: {table} computes {', '.join(map(repr, generated))} itself (GENERATED "
            "ALWAYS AS), so no value can be written there. Leave it out of the data: by "
            f"{target_option('skip_generated', True)}, or by "
            f"a query that selects the others only: {', '.join(others)}."
        )


def without_generated(batches: Batches, generated: Iterable[str], *, fold: bool) -> Batches:
    """Leave out columns that a table computes itself.

    Args:
        batches: The data.
        generated: Names of such columns.
        fold: Whether names that differ in case only are the same.

    Returns:
        The data's other columns.
    """
    import pyarrow as pa

    def folded(name: str) -> str:
        return name.lower() if fold else name

    computed = {folded(name) for name in generated}
    kept = [n for n, name in enumerate(batches.schema.names) if folded(name) not in computed]
    if len(kept) == len(batches.schema):
        return batches
    schema = pa.schema([batches.schema.field(n) for n in kept], batches.schema.metadata)

    def chosen() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            # By hand: a batch without any column would forget its rows.
            arrays = [batch.column(n) for n in kept]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Batches(schema, chosen(), on_close=batches.close)
