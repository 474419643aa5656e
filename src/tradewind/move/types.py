"""The types that all systems share: Arrow's, with metadata where those do not suffice.

Sources hand out Arrow record batches in the types of this table, formats and targets take them:

=============================  ======================================  ===============
what                           Arrow type                              `logical_type`
=============================  ======================================  ===============
boolean, integers, floats      the same, signed and unsigned
decimal of known scale         decimal128 (38 digits), decimal256 (76)
decimal of unknown scale       string, all digits                      ``decimal``
text                           string
bytes                          binary
date                           date32
time of day                    time64[us]
timestamp without, with zone   timestamp[us], timestamp[us, UTC]
interval, time with zone       string, ISO 8601                        ``interval``, ``timetz``
JSON document                  string                                  ``json``
UUID                           string                                  ``uuid``
enum                           string                                  ``enum``
arrays                         list of the element's type
what has no word of its own    string, as its system prints it         ``NAME``, its type's
=============================  ======================================  ===============

The note travels in the field's metadata, which Parquet keeps. A value that its column's type
cannot hold is an `UnfitValueError`, never a silent change.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

import pyarrow as pa

from tradewind.errors import InputError

__all__ = ["LOGICAL_TYPE", "UnfitValueError", "field", "logical_type"]

LOGICAL_TYPE = b"tradewind.type"
"""Key in a field's metadata: what a string column means. See the module's table."""


class UnfitValueError(InputError):
    """A value that a column, format or target cannot hold as it is.

    Args:
        column: Name of the column.
        value: The value; a long one is shortened in the message.
        where: What cannot hold it, like ``CSV`` or ``timestamp[us] of Parquet``.
        remedy: What to do about it, one sentence.
    """

    def __init__(self, column: str, value: object, *, where: str, remedy: str) -> None:
        shown = _shown(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        super().__init__(f"Column {column!r}: {where} cannot hold the value {shown}. {remedy}")
        self.column = column
        self.where = where
        self.remedy = remedy


def _shown(value: object) -> str:
    """Spell a value as it stands where it comes from, not as Python calls it."""
    if isinstance(value, bytes):
        return f"\\x{value[:80].hex()}"
    return str(value) if isinstance(value, Decimal | date | time | timedelta) else repr(value)


def field(name: str, type_: pa.DataType, logical: str | None = None) -> pa.Field:
    """Make a nullable field.

    Args:
        name: Name of the column.
        type_: Its Arrow type.
        logical: What a string means; see the table of this module.

    Returns:
        The field, with the note in its metadata.
    """
    return pa.field(name, type_, metadata={LOGICAL_TYPE: logical.encode()} if logical else None)


def logical_type(field: pa.Field) -> str | None:
    """Read the note that `field` has written, None where there is none."""
    noted = (field.metadata or {}).get(LOGICAL_TYPE)
    return noted.decode() if noted else None
