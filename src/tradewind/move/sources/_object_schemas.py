"""Columns of objects: declared in words, and compared from one object to the next."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pyarrow as pa

from tradewind.errors import InputError

__all__ = ["declared", "same_columns"]

_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")
_ZONED = re.compile(r"timestamp\[(s|ms|us|ns), *(?:tz=)?UTC\]")


def declared(text: str) -> dict[str, pa.DataType]:
    """Read declared types.

    Args:
        text: A JSON object of columns and types, like ``{"zip": "string"}``, or the path of a file
            that holds one. Types are named as Arrow does: ``string``, ``int64``, ``double``,
            ``bool``, ``date32``, ``timestamp[us]``, ``timestamp[us, UTC]``, ``decimal(12, 2)``.

    Returns:
        The types by column; none for no text.

    Raises:
        InputError: It is no such object, or a type is not known.
    """
    if not text:
        return {}
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(
                f"schema: it is neither a JSON object nor a file that can be read ({error}). "
                'Give columns and types, like {"zip": "string"}.'
            ) from None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"schema: it is not JSON ({error}). Correct it.") from None
    if not isinstance(found, dict) or not found:
        raise InputError('schema: give an object of columns and types, like {"zip": "string"}.')
    return {name: _type(name, word) for name, word in found.items()}


def _type(name: str, word: object) -> pa.DataType:
    said = str(word).strip()
    if match := _DECIMAL.fullmatch(said):
        digits, scale = int(match[1]), int(match[2])
        if scale <= digits and 1 <= digits <= 76:
            return (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, scale)
    if match := _ZONED.fullmatch(said):
        return pa.timestamp(match[1], tz="UTC")
    try:
        return pa.type_for_alias(said)
    except ValueError:
        raise InputError(
            f"schema: column {name!r} has the type {said!r}, which is not known. Choose from "
            "string, int64, double, bool, date32, timestamp[us], timestamp[us, UTC], binary and "
            "decimal(12, 2)."
        ) from None


def same_columns(first: pa.Schema, schema: pa.Schema, where: str) -> None:
    """Refuse an object whose columns are others than the first one's."""
    if first.equals(schema, check_metadata=False):
        return
    for expected, found in itertools.zip_longest(first, schema):
        if expected is None or found is None or not expected.equals(found):
            raise InputError(
                f"{where}: it has {_words(found)} where the first object has {_words(expected)}. "
                "Choose objects with the same columns, or give a schema."
            )


def _words(field: pa.Field | None) -> str:
    return "no column" if field is None else f"the column {field.name!r} of type {field.type}"
