"""How JSON lines are written and read: the options, beside what does it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.formats.encodings import checked_encoding
from tradewind.move.formats.json_text import JsonStyle

__all__ = ["JsonLinesDialect"]


@dataclass(frozen=True)
class JsonLinesDialect:
    """The options of `tradewind.move.formats.jsonl.JsonLinesFormat`, which explains them.

    Raises:
        InputError: An option has a value that it cannot have.
    """

    decimals: str = "number"
    nan: str = "error"
    omit_null: bool = False
    max_record_bytes: int = 64 << 20
    types: tuple[pa.Field, ...] = ()
    encoding: str | None = None
    floats: str = "exact"

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoding", checked_encoding(self.encoding))
        choices = {
            "decimals": ("number", "string"),
            "nan": ("error", "null"),
            "floats": ("exact", "nearest"),
        }
        for option, allowed in choices.items():
            if getattr(self, option) not in allowed:
                raise InputError(
                    f"JSON lines: {option} is {getattr(self, option)!r}; choose from "
                    f"{', '.join(map(repr, allowed))}."
                )

    @property
    def style(self) -> JsonStyle:
        """How values are written."""
        return JsonStyle("JSON lines", self.decimals, self.nan, self.omit_null)
