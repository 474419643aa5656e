"""The dialects of CSV: the options, beside what writes and reads by them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.formats.encodings import checked_encoding

__all__ = ["CsvDialect"]


@dataclass(frozen=True)
class CsvDialect:
    """The options of `tradewind.move.formats.csv.CsvFormat`, which explains them.

    Raises:
        InputError: Options that contradict each other.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    header: bool = True
    null: str = ""
    line_end: str = "\n"
    quoting: str = "minimal"
    nested: str = "json"
    max_record_bytes: int = 64 << 20
    types: tuple[tuple[str, pa.DataType], ...] = ()
    sample_bytes: int = 4 << 20
    encoding: str | None = None
    names: str = "error"
    floats: str = "exact"

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoding", checked_encoding(self.encoding))
        marks = [self.delimiter, self.quote] + ([] if self.escape is None else [self.escape])
        for mark in marks:
            if len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
                raise InputError(f"CSV: {mark!r} cannot part or quote values; take one character.")
        if self.delimiter in marks[1:]:
            raise InputError(f"CSV: delimiter and quote are both {self.delimiter!r}.")
        if self.escape == self.quote:
            object.__setattr__(self, "escape", None)  # PostgreSQL's word for doubling
        if any(mark in self.null for mark in (self.delimiter, self.quote, "\r", "\n")):
            raise InputError(f"CSV: null {self.null!r} holds a delimiter, quote or line end.")
        choices = {
            "line_end": ("\n", "\r\n"),
            "quoting": ("minimal", "all"),
            "nested": ("json", "error"),
            "names": ("error", "number"),
            "floats": ("exact", "nearest"),
        }
        if self.sample_bytes < 1:
            raise InputError("CSV: sample_bytes is less than 1. Give the bytes that tell types.")
        for option, allowed in choices.items():
            if getattr(self, option) not in allowed:
                raise InputError(
                    f"CSV: {option} is {getattr(self, option)!r}; choose from "
                    f"{', '.join(map(repr, allowed))}."
                )
