"""Which column of a table each of the data's goes to."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move.interface import names_option
from tradewind.move.tables.staging import refuse_generated

if TYPE_CHECKING:
    from tradewind.move.formats.csv import CsvFormat
    from tradewind.move.source import Encoded
    from tradewind.move.tables.staging import SqlTable
    from tradewind.systems.postgres.catalog import Table, TableColumn

__all__ = ["closing", "matched", "names_and_chunks"]


def matched(
    system: str,
    table: Table,
    target: SqlTable,
    names: tuple[str, ...] | None,
    keys: tuple[str, ...],
) -> tuple[TableColumn, ...]:
    """Find the table's column for each of the data's.

    Args:
        system: The system, for messages.
        table: The table.
        target: What is asked for.
        names: The data's; None where they have none, and go by order.
        keys: Columns that must be among them.

    Returns:
        One for each name.

    Raises:
        InputError: They do not fit together.
    """
    asked = target.columns
    if names is None:
        names = asked or tuple(c.name for c in table.columns if not c.generated)
    if asked is not None:
        if len(asked) != len(names):
            raise InputError(
                f"{system}: columns names {len(asked)} columns of {table}, the data "
                f"have {len(names)}: {', '.join(names)}. Name one for each."
            )
        names = asked
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{system}: the data have the column {twice!r} twice. Name one.")
    writable = {column.name: column for column in table.columns if not column.generated}
    computed = {column.name for column in table.columns if column.generated}
    refuse_generated(
        system,
        str(table),
        [name for name in names if name in computed],
        [name for name in names if name not in computed],
    )
    surplus = [name for name in names if name not in writable]
    lacking = [c.name for c in table.columns if c.name not in names and not c.filled]
    if surplus or (lacking and asked is None):
        wrong = []
        if surplus:
            wrong.append(f"the data have {', '.join(map(repr, surplus))}, which it has not")
        if lacking:
            wrong.append(f"it has {', '.join(map(repr, lacking))}, which the data have not")
        raise InputError(
            f"{system}: the columns of {table} and of the data differ: "
            f"{'; '.join(wrong)}. Select the same names, or give "
            f"{names_option('columns')}."
        )
    if lacking := [key for key in keys if key not in names]:
        raise InputError(f"{system}: the data have no column {lacking[0]!r}, a key.")
    counted = [name for name in names if writable[name].identity and name not in keys]
    if target.mode == "upsert" and counted:
        raise InputError(
            f"{system}: {counted[0]!r} of {table} is GENERATED ALWAYS AS IDENTITY, which "
            "cannot be written over in rows that are there. Leave it out of the data (a query "
            "that selects the other columns), or upsert by it."
        )
    return tuple(writable[name] for name in names)


def names_and_chunks(
    encoded: Encoded, format: CsvFormat
) -> tuple[tuple[str, ...] | None, Iterator[bytes]]:
    """Tell the names of the columns, by the header where the source does not know.

    Returns:
        The names, if there are any, and all chunks.
    """
    if encoded.columns is not None or not format.header:
        return encoded.columns, encoded.chunks
    chunks = iter(encoded.chunks)
    first = b""
    for chunk in chunks:
        first += chunk
        if b"\n" in first:
            break
    try:
        text = first.decode("utf-8-sig", errors="strict" if len(first) < 1 << 16 else "ignore")
    except UnicodeDecodeError:
        text = first.decode("utf-8-sig", errors="ignore")
    lines = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=format.delimiter,
        quotechar=format.quote,
        escapechar=format.escape,
        doublequote=format.escape is None,
    )
    row = next(lines, [])

    def again() -> Generator[bytes, None, None]:
        with closing(chunks):
            if first:
                yield first
            yield from chunks

    return tuple(row), again()


@contextlib.contextmanager
def closing(chunks: Iterator[bytes]) -> Iterator[None]:
    """Close chunks at the end, whoever makes them."""
    try:
        yield
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
