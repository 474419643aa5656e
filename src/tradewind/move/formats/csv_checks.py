"""What is looked at in the beginning of a CSV file, whether its records are parsed or passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move.interface import format_option, option

if TYPE_CHECKING:
    from tradewind.move.formats.csv_dialect import CsvDialect

__all__ = ["LINES", "check_delimiter", "check_names"]

LINES = 20
"""How many lines are looked at."""

_UTF8_BOM = b"\xef\xbb\xbf"


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
            f"{'without a name' if not twice[0] else 'more than once'}. Correct it, or "
            "give header=False and a schema and leave the first record out."
        )


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
