"""Text of CSV as JSON, each value by itself: a number as it is written, or else a string."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats.infer import parse_told
from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_json", "becomes_json"]

_WORDS = pa.array(["NaN", "Infinity", "-Infinity"])
_TRUE, _FALSE = pa.array(["t", "true"]), pa.array(["f", "false"])
_PLAIN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
# With an exponent only where numbers are floats: 1E5 among whole numbers is a code.
_FLOAT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"


def becomes_json(kind: pa.DataType) -> bool:
    """Whether text of a column with this guessed type is more than a string in JSON."""
    kinds = pa.types
    return bool(kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind))


def as_json(strings: pa.Array, field: pa.Field, style: JsonStyle) -> pa.Array:
    """Write text as JSON.

    Args:
        strings: The text; null stays null.
        field: Name of the column, and the type that its first values have.
        style: How JSON is written: what becomes of NaN.

    Returns:
        Numbers as they are written, ``true`` and ``false`` where the column is of booleans, and
        strings for all else.

    Raises:
        UnfitValueError: NaN or an infinity in a column of floats, where `style` has no null for it.
    """
    if pa.types.is_floating(field.type):
        strings = _without_words(strings, field, style)
    try:
        told = parse_told(strings, field, "CSV")
    except UnfitValueError:
        return _one_by_one(strings, field, style)
    if pa.types.is_boolean(field.type):
        return pc.if_else(told, "true", "false")
    return strings


def _without_words(strings: pa.Array, field: pa.Field, style: JsonStyle) -> pa.Array:
    words = pc.is_in(strings, _WORDS)
    if not pc.any(words).as_py():
        return strings
    # What becomes of them is the style's to say, or to refuse.
    json_strings(strings.filter(words).cast(pa.float64()), field, style, field.name)
    return pc.if_else(words, pa.scalar(None, pa.string()), strings)


def _one_by_one(strings: pa.Array, field: pa.Field, style: JsonStyle) -> pa.Array:
    texts = json_strings(strings, pa.field(field.name, pa.string()), style, field.name)
    if pa.types.is_boolean(field.type):
        ways: Sequence[tuple[pa.Array, str]] = (
            (pc.is_in(strings, _TRUE), "true"),
            (pc.is_in(strings, _FALSE), "false"),
        )
        for flags, word in ways:
            texts = pc.if_else(flags, word, texts)
        return texts
    pattern = _FLOAT if pa.types.is_floating(field.type) else _PLAIN
    return pc.if_else(pc.match_substring_regex(strings, pattern), strings, texts)
