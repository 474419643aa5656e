"""Columns as JSON, whole columns at a time: nested ones too, every number to its last digit."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats import text
from tradewind.move.interface import target_option
from tradewind.move.types import UnfitValueError, logical_type

__all__ = ["SPELLED", "JsonStyle", "json_strings", "row_strings"]

SPELLED = "spelled"
"""Note of a column of text that `json_strings` has written; see `tradewind.move.types`."""

_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class JsonStyle:
    """How values are written where JSON leaves a choice.

    Args:
        where: The format's name, for messages.
        decimals: ``number`` or ``string``.
        nan: ``error`` or ``null``: what becomes of NaN and the infinities.
        omit_null: Whether objects leave out members that are null.
    """

    where: str = "JSON"
    decimals: str = "number"
    nan: str = "error"
    omit_null: bool = False


def row_strings(batch: pa.RecordBatch, style: JsonStyle) -> pa.Array:
    """Write each row as a JSON object, with a line feed after it."""
    members = [
        (field.name, json_strings(batch.column(index), field, style, field.name))
        for index, field in enumerate(batch.schema)
    ]
    return _objects(members, batch.num_rows, style, end="}\n")


def _objects(
    members: list[tuple[str, Any]], rows: int, style: JsonStyle, end: str = "}"
) -> pa.Array:
    if not members:
        return pa.array(["{" + end] * rows, pa.string())
    if style.omit_null:
        written = [text.joined(f",{_quoted(name)}:", words) for name, words in members]
        content = text.joined(*written, null="")
        # The first comma becomes the brace.
        return text.joined(pc.binary_replace_slice(content, 0, 1, "{"), end)
    parts: list[Any] = []
    for place, (name, words) in enumerate(members):
        parts += [f"{',' if place else '{'}{_quoted(name)}:", words]
    return text.joined(*parts, end, null="null")


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def json_strings(array: pa.Array, field: pa.Field, style: JsonStyle, column: str) -> pa.Array:
    """Write each value as JSON.

    Args:
        array: The values.
        field: Their type, and the note what strings mean.
        style: How.
        column: Name of the column, for messages.

    Returns:
        Strings; null where the value is null.

    Raises:
        UnfitValueError: A value that JSON cannot hold.
        InputError: A type that JSON cannot hold.
    """
    array = text.plain(array)
    kind = array.type
    kinds = pa.types
    if kinds.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if kinds.is_boolean(kind):
        return text.bools(array, "true", "false")
    if kinds.is_integer(kind):
        return array.cast(pa.string())
    if kinds.is_floating(kind):
        strings, finite = text.floats(array)
        return strings if finite.all() else _without_nan(strings, finite, style, column)
    if kinds.is_decimal(kind):
        strings = text.decimals(array)
        return strings if style.decimals == "number" else text.joined('"', strings, '"')
    if kinds.is_string(kind):
        return _texts(array, logical_type(field), style, column)
    if kinds.is_binary(kind):
        words = [
            None if value is None else f'"{base64.b64encode(value).decode()}"'
            for value in array.to_pylist()
        ]
        return pa.array(words, pa.string())
    if kinds.is_date(kind):
        return text.joined('"', text.date_strings(array, text.iso_year), '"')
    if kinds.is_time(kind):
        return text.joined('"', text.times(array), '"')
    if kinds.is_timestamp(kind):
        strings = text.timestamps(array, text.iso_year)
        strings = pc.replace_substring(strings, " ", "T", max_replacements=1)
        return text.joined('"', strings, 'Z"' if kind.tz else '"')
    return _nested(array, style, column)


def _nested(array: pa.Array, style: JsonStyle, column: str) -> pa.Array:
    kind = array.type
    kinds = pa.types
    valid = array.is_valid()
    null = pa.scalar(None, pa.string())
    if kinds.is_map(kind):
        offsets, keys, values = _inside(array, array.keys, array.items)
        keys = json_strings(keys, kind.key_field, style, column)
        if not text.is_text(kind.key_type):
            # Numbers and such become text: JSON has no other names.
            quoted = pc.match_substring_regex(keys, '^"')
            keys = pc.if_else(quoted, keys, text.joined('"', keys, '"'))
        values = json_strings(values, kind.item_field, style, column)
        written = text.joined(keys, ":", values, null="null")
        return pc.if_else(valid, _sequence(offsets, written, "{", "}"), null)
    if (
        kinds.is_fixed_size_list(kind)
        or kinds.is_large_list(kind)
        or kinds.is_list_view(kind)
        or kinds.is_large_list_view(kind)
    ):
        array = array.cast(pa.list_(kind.value_field))
        kind = array.type
    if kinds.is_list(kind):
        offsets, values = _inside(array, array.values)
        written = json_strings(values, kind.value_field, style, column)
        written = pc.fill_null(written, "null")
        return pc.if_else(valid, _sequence(offsets, written, "[", "]"), null)
    if kinds.is_struct(kind):
        members = []
        for index in range(kind.num_fields):
            inner = kind.field(index)
            words = json_strings(array.field(index), inner, style, column)
            members.append((inner.name, words))
        return pc.if_else(valid, _objects(members, len(array), style), null)
    raise text.unfit_type(column, kind, style.where)


def _inside(array: pa.Array, *children: pa.Array) -> tuple[Any, ...]:
    """Cut out what the lists of this array hold: theirs may be a slice of longer ones."""
    bounds = np.asarray(array.offsets)
    begin, length = int(bounds[0]), int(bounds[-1] - bounds[0])
    return (pa.array(bounds - begin), *(child.slice(begin, length) for child in children))


def _sequence(offsets: pa.Array, written: pa.Array, begin: str, end: str) -> pa.Array:
    """Join the written elements of each list."""
    lists = pa.ListArray.from_arrays(offsets, written)
    return text.joined(begin, pc.binary_join(lists, ","), end)


def _without_nan(strings: pa.Array, finite: Any, style: JsonStyle, column: str) -> pa.Array:
    if style.nan == "null":
        return pc.if_else(pa.array(finite), strings, pa.scalar(None, pa.string()))
    value = strings[int(np.flatnonzero(~finite)[0])].as_py()
    remedy = "Write null in its place, in the query or where the data are made."
    if style.where == "JSON lines":
        remedy = f"Give the format {target_option('nan', 'null')}, or write Parquet or CSV."
    raise UnfitValueError(column, value, where=style.where, remedy=remedy)


def _texts(array: pa.Array, logical: str | None, style: JsonStyle, column: str) -> pa.Array:
    if logical == "decimal" and style.decimals == "number":
        return _numbers(array, style, column)
    if logical == SPELLED:
        return array
    if logical == "json":
        return _documents(array, style, column)
    # What must be escaped: quotes, backslashes and control characters.
    flags = text.flagged(array, lambda data: (data < 0x20) | (data == 0x22) | (data == 0x5C))
    return text.joined('"', text.replaced(array, flags, _escaped), '"')


def _escaped(array: pa.Array) -> pa.Array:
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        array = pc.replace_substring(array, plain, written)
    array = pc.replace_substring(array, "\t", "\\t")
    rest = text.flagged(array, lambda data: data < 0x20)
    if rest is None:
        return array
    control = {code: f"\\u{code:04x}" for code in range(0x20)}
    control |= {8: "\\b", 12: "\\f"}
    return text.replaced(
        array, rest, lambda words: text.each(words, lambda word: word.as_py().translate(control))
    )


def _numbers(array: pa.Array, style: JsonStyle, column: str) -> pa.Array:
    odd = pc.invert(pc.fill_null(pc.match_substring_regex(array, _NUMBER), True))
    if not pc.any(odd).as_py():
        return array
    special = pc.is_in(array, pa.array(["NaN", "Infinity", "-Infinity"]))
    other = pc.and_(odd, pc.invert(special))
    if pc.any(other).as_py():
        value = array.filter(other)[0].as_py()
        raise UnfitValueError(
            column, value, where=f"a number of {style.where}", remedy="Write it as a plain number."
        )
    return _without_nan(array, pc.invert(odd).to_numpy(zero_copy_only=False), style, column)


def _documents(array: pa.Array, style: JsonStyle, column: str) -> pa.Array:
    for value in array.to_pylist():
        if value is not None and not _is_json(value):
            raise UnfitValueError(
                column,
                value,
                where=f"a JSON value of {style.where}",
                remedy="It is not JSON: correct it at its source, or declare the column as text.",
            )
    # Between the tokens of JSON a line feed is only space, and within strings it cannot be.
    flags = text.flagged(array, lambda data: (data == 0x0A) | (data == 0x0D))
    return text.replaced(
        array,
        flags,
        lambda words: pc.replace_substring(pc.replace_substring(words, "\n", " "), "\r", " "),
    )


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=str, parse_int=str)


def _is_json(value: str) -> bool:
    try:
        _DECODER.decode(value)
    except (ValueError, RecursionError):
        return False
    return True
