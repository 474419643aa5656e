"""What is looked at in the beginning of a CSV file, whether its records are parsed or passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.interface import format_option, option

if TYPE_CHECKING:
    from tradewind.move.formats.csv_dialect import CsvDialect

__all__ = ["LINES", "ROWLESS", "EmptyFileError", "check_delimiter", "check_names", "numbered"]

ROWLESS = b"tradewind.rowless"
"""Key in a schema's metadata: the file has a header and no record, so that it tells no types."""

LINES = 20
"""How many lines are looked at."""

_UTF8_BOM = b"\xef\xbb\xbf"


class EmptyFileError(CorruptDataError):
    """A file has nothing but a byte order mark or line ends."""

    def __init__(self) -> None:
        super().__init__(
            "CSV: the file is empty, which says nothing of columns. Fetch it again, or declare "
            f"them, as with {option('schema', {'id': 'int64'})}",
            offset=0,
        )


def check_names(names: Sequence[str]) -> None:
    """Refuse a header that names a column twice, or not at all.

    Args:
        names: What it says.

    Raises:
        InputError: It does.
    """
    twice = sorted({name for name in names if names.count(name) > 1 or not name})
    if twice:
        raise InputError(
            f"CSV: the header has the column {twice[0]!r} "
            f"{'without a name' if not twice[0] else 'more than once'}. Correct it, or have such "
            f"columns numbered with {format_option('names', 'number')}."
        )


def numbered(names: Sequence[str]) -> list[str]:
    """Give each column a name of its own.

    Args:
        names: What the header says.

    Returns:
        The names; ``column_1`` and so on where there is none, ``a_2`` for a second ``a``.
    """
    found: dict[str, None] = {}
    for index, name in enumerate(names, 1):
        plain = name or f"column_{index}"
        more = (f"{plain}_{number}" for number in range(2, len(names) + 2))
        free = (one for one in (plain, *more) if one not in found)
        # A later column that is called so keeps its name.
        found[next(one for one in free if one == name or one not in names)] = None
    return list(found)


def check_delimiter(format: CsvDialect, first: bytes) -> None:
    """Refuse a file of one column whose lines all have another delimiter.

    Args:
        format: The dialect by which it has one column.
        first: Its first lines.

    Raises:
        InputError: It has such lines.
    """
    lines = first.removeprefix(_UTF8_BOM).split(b"\n")
    lines = [line for line in lines[: LINES if len(lines) > LINES else None] if line.strip()]
    for mark in {";", "\t", "|", ","} - {format.delimiter}:
        counts = {line.count(mark.encode()) for line in lines}
        if lines and len(counts) == 1 and counts != {0}:
            shown = "\\t" if mark == "\t" else mark
            name = lines[0].decode(errors="replace").strip()[:80]
            raise InputError(
                f"CSV: with the delimiter {format.delimiter!r} the file has one column, "
                f"{name!r}, but each line is parted by {mark!r}. Give "
                f"{format_option('delimiter', shown)}. If it is one column of text, declare "
                f"its type with {option('schema', {name: 'string'})}."
            )
