"""Record batches as INSERT statements of MySQL, for servers that allow no ``LOAD DATA LOCAL``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tradewind.move.batches import Batches
from tradewind.move.tables.staging import TableColumn
from tradewind.systems.mysql.connection import quoted
from tradewind.systems.mysql.fits import Suspects
from tradewind.systems.mysql.rows import ROWS, checked_batches
from tradewind.systems.mysql.session import Session

__all__ = ["counted_on", "insert_statements"]

_STATEMENT = 1 << 20


def insert_statements(
    session: Session,
    into: str,
    batches: Batches,
    columns: Sequence[TableColumn],
    suspects: Suspects,
) -> Iterator[tuple[bytes, int]]:
    """Write batches as statements of about a megabyte.

    Args:
        session: Its server's rules of quoting apply.
        into: The table, quoted.
        batches: The data.
        columns: Where each of their columns goes.
        suspects: Remembers what the server may refuse.

    Yields:
        A statement and the number of its rows.
    """
    listed = ", ".join(quoted(column.name) for column in columns)
    head = f"INSERT INTO {into} ({listed}) VALUES ".encode()  # noqa: S608
    rows: list[bytes] = []
    size = 0
    for batch in checked_batches(batches, columns, suspects):
        written = [_literals(session, array) for array in batch.columns]
        for values in zip(*written, strict=True):
            row = b"(" + b",".join(values) + b")"
            if rows and size + len(row) > _STATEMENT:
                yield head + b",".join(rows), len(rows)
                rows, size = [], 0
            rows.append(row)
            size += len(row) + 1
    if rows:
        yield head + b",".join(rows), len(rows)


def counted_on(message: str, before: int) -> str:
    """Name a row in a message of the server by its place in all statements, not in the last one.

    Args:
        message: The server's.
        before: Rows of the statements before.
    """
    return re.sub(r"\bat row (\d+)", lambda row: f"at row {int(row[1]) + before}", message)


def _literals(session: Session, array: pa.Array) -> list[bytes]:
    is_ = pa.types
    if is_.is_integer(array.type):
        return [b"NULL" if value is None else b"%d" % value for value in array.to_pylist()]
    if is_.is_timestamp(array.type) or is_.is_time(array.type) or is_.is_date(array.type):
        # As in LOAD DATA: Python has neither nanoseconds nor years past 9999.
        array = ROWS.spelled(array, pa.field("", array.type))
    values: list[Any] = array.to_pylist()
    if is_.is_decimal(array.type):
        return [b"NULL" if value is None else format(value, "f").encode() for value in values]
    return [session.literal(value) for value in values]
