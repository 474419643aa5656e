"""How each type of PostgreSQL is read: what to select, how to parse it, what it becomes.

Text as ``COPY`` writes it is parsed by Arrow's own reader where that knows the type, and turned
into it by a few vector operations where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.systems.postgres.session import Column, Session

__all__ = ["Reading", "readings", "unescaped"]

_REMEDY = (
    "Cast it in the query: {column}::text gives what PostgreSQL prints, and a condition or "
    "nullif({column}, ...) leaves the value out."
)
_FIXED: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.uint32(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "bytea": pa.binary(),
}
_TEXTS = {"text", "varchar", "bpchar", "char", "name", "unknown"}
_PRINTED = "CASE WHEN {0} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {0}) END"
"""What the server prints of a value. A cast to text would not always say the same."""
_NOTED = {"interval": "interval", "timetz": "timetz", "json": "json", "jsonb": "json"}
_WRITTEN = {
    "interval": "interval",
    "timetz": "timetz",
    "json": "text",
    "jsonb": "jsonb",
    "uuid": "uuid",
}


@dataclass(frozen=True)
class Reading:
    """How one column is read.

    Args:
        field: What it becomes.
        parse: What Arrow's reader parses its text as.
        select: The expression to select for typed reading, ``{}`` being the column.
        native: The same for CSV that the server writes; None where the server would write other
            text than our formats do.
        convert: Turns the parsed column into the field's type; None where it is that already.
        word: What COPY's binary format is decoded as, see `tradewind.systems.postgres.fields`; None
            where it is not.
        binary: The expression to select for that.
    """

    field: pa.Field
    parse: pa.DataType
    select: str = "{}"
    native: str | None = "{}"
    convert: Callable[[pa.Array], pa.Array] | None = None
    word: str | None = None
    binary: str = "{}"

    def unfit(self, value: object) -> UnfitValueError:
        """Make the error for a value that the field's type has no room for."""
        shown = logical_type(self.field) or str(self.field.type)
        return UnfitValueError(
            self.field.name,
            value,
            where=shown,
            remedy=_REMEDY.format(column=self.field.name),
        )


@dataclass(frozen=True)
class _Type:
    name: str
    schema: str
    kind: str
    base: int
    modifier: int
    element: int
    delimiter: str


def readings(session: Session, columns: Iterable[Column]) -> tuple[Reading, ...]:
    """Choose how each column of a query is read.

    Args:
        session: To ask for types that are not built in.
        columns: As `Session.describe` gives them.

    Returns:
        One for each column.
    """
    columns = tuple(columns)
    known = _types(session, {column.oid for column in columns})
    return tuple(_reading(column.name, column.oid, column.modifier, known) for column in columns)


def _types(session: Session, asked: set[int]) -> dict[int, _Type]:
    known: dict[int, _Type] = {}
    while asked:
        rows = session.fetch(
            "SELECT t.oid, t.typname, n.nspname, t.typtype::text, t.typbasetype, t.typtypmod,"
            " coalesce(e.oid, 0) AS element, t.typdelim::text"
            " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
            " LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid"
            " WHERE t.oid = ANY($1::oid[])",
            sorted(asked),
        )
        for oid, *facts in rows:
            known[oid] = _Type(*facts)
        seen = {type_.base for type_ in known.values()} | {t.element for t in known.values()}
        asked = {oid for oid in seen if oid} - set(known)
    return known


def _reading(name: str, oid: int, modifier: int, known: dict[int, _Type]) -> Reading:
    type_ = known.get(oid)
    if type_ is None:
        return _printed(field(name, pa.string(), f"oid {oid}"))
    while type_.kind == "d" and type_.base in known:
        modifier = type_.modifier if modifier == -1 else modifier
        type_ = known[type_.base]
    if type_.element and type_.delimiter == ",":
        return _list_reading(name, _reading("item", type_.element, modifier, known))
    if type_.kind == "e":
        return Reading(field(name, pa.string(), "enum"), pa.string(), word="text")
    if type_.schema != "pg_catalog":
        return _printed(field(name, pa.string(), type_.name))
    if type_.name == "char":
        return _printed(field(name, pa.string()))
    if type_.name in _TEXTS:
        return Reading(field(name, pa.string()), pa.string(), word="text")
    if type_.name == "numeric":
        return _numeric_reading(name, modifier)
    if type_.name == "bytea":
        return Reading(
            field(name, pa.binary()),
            pa.string(),
            "encode({}, 'hex')",
            convert=_from_hex,
            word="bytea",
        )
    if type_.name in _FIXED:
        return Reading(field(name, _FIXED[type_.name]), _FIXED[type_.name], word=type_.name)
    noted = field(name, pa.string(), _NOTED.get(type_.name, type_.name))
    if type_.name in _WRITTEN:
        return Reading(noted, pa.string(), word=_WRITTEN[type_.name])
    return _printed(noted)


def _printed(noted: pa.Field) -> Reading:
    return Reading(noted, pa.string(), word="text", binary=_PRINTED)


def _numeric_reading(name: str, modifier: int) -> Reading:
    if modifier < 4:
        return Reading(field(name, pa.string(), "decimal"), pa.string(), word="numeric")
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400
    # numeric(3, -2) holds 12300, numeric(2, 4) holds 0.0012.
    precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
    word = f"decimal:{precision}:{scale}"
    if precision <= 38:
        decimal = pa.decimal128(precision, scale)
        return Reading(field(name, decimal), decimal, word=word)
    if precision <= 76:
        decimal = pa.decimal256(precision, scale)
        return Reading(
            field(name, decimal), pa.string(), convert=lambda text: text.cast(decimal), word=word
        )
    return Reading(field(name, pa.string(), "decimal"), pa.string(), word="numeric")


# --------------------------------------------------------------------------------------- conversion


def unescaped(column: pa.Array) -> pa.Array:
    r"""Take the backslashes of COPY's text format out of a string column.

    Args:
        column: With ``\n``, ``\t``, ``\\`` and their like.

    Returns:
        The column as it was in the database; itself where it has none.
    """
    validity, offsets_buffer, data = column.buffers()
    if data is None or column.offset:
        column = pa.concat_arrays([column, column.slice(0, 0)]) if column.offset else column
        validity, offsets_buffer, data = column.buffers()
        if data is None:
            return column
    characters = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(characters == 0x5C)
    if not len(at):
        return column
    # In each run of backslashes every second one is data: the others begin an escape. A run never
    # reaches over a value's end with an odd one.
    starts = np.concatenate([[True], np.diff(at) != 1])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(at)), 0))
    escapes = at[(np.arange(len(at)) - first) % 2 == 0]
    changed = characters.copy()
    changed[escapes + 1] = _MEANING[changed[escapes + 1]]
    kept = np.ones(len(changed), bool)
    kept[escapes] = False
    offsets = np.frombuffer(offsets_buffer, np.int32)[: len(column) + 1]
    moved = (offsets - np.searchsorted(escapes, offsets)).astype(np.int32)
    return pa.Array.from_buffers(
        column.type,
        len(column),
        [validity, pa.py_buffer(moved), pa.py_buffer(changed[kept])],
        column.null_count,
    )


_MEANING = np.arange(256, dtype=np.uint8)
for _letter, _byte in zip(b"bfnrtv", b"\b\f\n\r\t\v", strict=True):
    _MEANING[_letter] = _byte

_NIBBLE = np.zeros(256, np.uint8)
for _digit in range(16):
    _NIBBLE[ord(f"{_digit:x}")] = _digit


def _from_hex(text: pa.Array) -> pa.Array:
    if text.offset:
        text = pa.concat_arrays([text, text.slice(0, 0)])
    validity, offsets_buffer, data = text.buffers()
    if data is None:
        return text.cast(pa.binary())
    digits = _NIBBLE[np.frombuffer(data, np.uint8)]
    digits = digits[: len(digits) // 2 * 2]
    offsets = np.frombuffer(offsets_buffer, np.int32)[: len(text) + 1] // 2
    return pa.Array.from_buffers(
        pa.binary(),
        len(text),
        [
            validity,
            pa.py_buffer(offsets.astype(np.int32)),
            pa.py_buffer(digits[::2] << 4 | digits[1::2]),
        ],
        text.null_count,
    )


# -------------------------------------------------------------------------------------------- lists


_AS_JSON = (
    # JSON does not tell that a list begins elsewhere than at 1: then it is what PostgreSQL prints.
    r"CASE WHEN array_dims({0}) ~ '\[(?!1:)' THEN {0}::text ELSE array_to_json({0})::text END"
)


def _list_reading(name: str, element: Reading) -> Reading:
    type_ = pa.list_(pa.field("item", element.field.type, metadata=element.field.metadata))
    reading: Reading

    def convert(text: pa.Array) -> pa.Array:
        offsets, items = _split(text, reading)
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()),
            _elements(items, element),
            type=type_,
            mask=text.is_null() if text.null_count else None,
        )

    # Of the rest (bytes, numbers with NaN, times with zones) PostgreSQL's JSON differs from ours.
    same = pa.types.is_integer(element.field.type) or pa.types.is_boolean(element.field.type)
    if pa.types.is_string(element.field.type):
        same = logical_type(element.field) in (None, "enum", "uuid")
    nested = element.word is None or element.word.startswith("list:")
    reading = Reading(
        field(name, type_),
        pa.string(),
        native=_AS_JSON if same else None,
        convert=convert,
        word=None if element.binary != "{}" or nested else f"list:{element.word}",
    )
    return reading


def _split(text: pa.Array, reading: Reading) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """Split ``{1,2,NULL}`` into where each list begins and all elements as text."""
    odd = pc.or_(pc.starts_with(text, "{{"), pc.starts_with(text, "["))
    if pc.any(odd).as_py():
        raise reading.unfit(text.filter(odd)[0].as_py())
    if pc.any(pc.match_substring(text, '"')).as_py():
        return _split_quoted(text)
    # A null list has no element; an empty one has one too many after the split.
    inner = pc.fill_null(pc.utf8_slice_codeunits(text, 1, -1), "")
    lists = pc.split_pattern(inner, ",")
    lengths = np.asarray(pc.list_value_length(lists)).astype(np.int64)
    empty = np.asarray(pc.equal(pc.binary_length(inner), 0))
    items = lists.flatten().filter(pa.array(np.repeat(~empty, lengths)))
    lengths[empty] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    nothing = pc.equal(items, "NULL")
    return offsets, pc.if_else(nothing, pa.scalar(None, pa.string()), items)


_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _split_quoted(text: pa.Array) -> tuple[np.ndarray[Any, Any], pa.Array]:
    items: list[str | None] = []
    offsets = [0]
    for value in text.to_pylist():
        for quoted, plain in _ITEM.findall(value or ""):
            if plain:
                items.append(None if plain == "NULL" else plain)
            else:
                items.append(_ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted)
        offsets.append(len(items))
    return np.array(offsets, np.int32), pa.array(items, pa.string())


def _elements(items: pa.Array, element: Reading) -> pa.Array:
    type_ = element.field.type
    if pa.types.is_string(type_):
        return items
    if pa.types.is_boolean(type_):
        return pc.equal(items, "t")
    if pa.types.is_binary(type_):
        return _from_hex(pc.utf8_slice_codeunits(items, 2))
    if pa.types.is_time(type_):
        # There is no cast from text to time; to timestamp there is. That of 24:00:00 fails.
        return (
            pc.binary_join_element_wise("1970-01-01", items, " ")
            .cast(pa.timestamp("us"))
            .cast(type_)
        )
    return items.cast(type_)
