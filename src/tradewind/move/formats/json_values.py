"""Columns from JSON values: every number to its last digit, nested types too."""

from __future__ import annotations

import base64
import binascii
import decimal
import json
import math
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import numpy as np
import pyarrow as pa

from tradewind.move.formats import text
from tradewind.move.formats.parse import parse, rounded_float, unfit
from tradewind.move.tables.exact import is_rounded
from tradewind.move.types import logical_type

__all__ = [
    "Digits",
    "Raw",
    "column",
    "dump",
    "keep_floats",
    "loads",
    "members",
    "object_of",
    "parse_texts",
    "texts",
]

_SPACE = " \t\n\r"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_DEEPEST = 300


class Digits(str):
    """A number as it is written."""

    __slots__ = ()


class Raw(str):
    """A JSON value as it is written."""

    __slots__ = ()


def _integer(word: str) -> int | Digits:
    # Python refuses to read thousands of digits, and its whole numbers know no -0.
    return int(word) if len(word) <= 20 and word != "-0" else Digits(word)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members.

    Raises:
        ValueError: One stands there twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(next(name for name in names if names.count(name) > 1))
    return found


def _twice(name: str) -> ValueError:
    return ValueError(f"an object has the member {name!r} twice, of which one value would be lost")


_DECODER = json.JSONDecoder(
    parse_float=Digits, parse_int=_integer, parse_constant=_refuse, object_pairs_hook=object_of
)
_scan = _DECODER.scan_once  # type: ignore[attr-defined]


def loads(word: str) -> Any:
    """Read one JSON value; numbers that Python would change are `Digits`.

    Raises:
        ValueError: It is not JSON.
    """
    _check_depth(word)
    try:
        return _DECODER.decode(word)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _check_depth(word: str) -> None:
    """Refuse what is nested so deeply that Python's stack would not hold its way to a column."""
    if word.count("[") + word.count("{") <= _DEEPEST:
        return
    octets = np.frombuffer(_STRING.sub("", word).encode(errors="replace"), np.uint8)
    begun = (octets == ord("[")) | (octets == ord("{"))
    ended = (octets == ord("]")) | (octets == ord("}"))
    if int(np.cumsum(begun.astype(np.int64) - ended).max(initial=0)) > _DEEPEST:
        raise ValueError("it is nested too deeply")


def dump(value: Any) -> str:
    """Write what `loads` has read."""
    if isinstance(value, Digits | Raw):
        return str(value)
    if isinstance(value, dict):
        parts = (f"{json.dumps(key, ensure_ascii=False)}:{dump(v)}" for key, v in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def members(line: str, raw: frozenset[str]) -> dict[str, Any]:
    """Read one JSON object, and leave some members as they are written.

    Args:
        line: The object.
        raw: Names of members whose values become `Raw`, unless they are null.

    Raises:
        ValueError: It is not a JSON object.
    """
    _check_depth(line)
    found: dict[str, Any] = {}
    at = _past(line, 0)
    if line[at : at + 1] != "{":
        raise ValueError("it is not a JSON object")
    at = _past(line, at + 1)
    if line[at : at + 1] == "}":
        return _ended(line, at, found)
    while True:
        if line[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting a name in quotes", line, at)
        name, at = scanstring(line, at + 1, True)
        at = _past(line, at)
        if line[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':'", line, at)
        at = _past(line, at + 1)
        try:
            value, end = _scan(line, at)
        except StopIteration as error:
            raise json.JSONDecodeError("Expecting value", line, error.value) from None
        if name in found:
            raise _twice(name)
        found[name] = Raw(line[at:end]) if name in raw and value is not None else value
        at = _past(line, end)
        mark = line[at : at + 1]
        if mark == "}":
            return _ended(line, at, found)
        if mark != ",":
            raise json.JSONDecodeError("Expecting ','", line, at)
        at = _past(line, at + 1)


def _past(line: str, at: int) -> int:
    while at < len(line) and line[at] in _SPACE:
        at += 1
    return at


def _ended(line: str, at: int, found: dict[str, Any]) -> dict[str, Any]:
    if _past(line, at + 1) != len(line):
        raise json.JSONDecodeError("Extra data", line, at + 1)
    return found


def parse_texts(strings: pa.Array, field: pa.Field, where: str, *, exact: bool = False) -> pa.Array:
    """Turn JSON text into values; as `tradewind.move.formats.parse.parse`.

    Args:
        strings: The text.
        field: Name, type and note of the column.
        where: Format and place, for messages.
        exact: Whether to refuse numbers that a float would change.
    """
    values = []
    for word in strings.to_pylist():
        try:
            values.append(None if word is None else loads(word))
        except ValueError:
            raise unfit(field, word, where, "It is not JSON.") from None
    if exact:
        keep_floats(values, field, where)
    return column(values, field, where)


def keep_floats(values: list[Any], field: pa.Field, where: str) -> None:
    """Refuse numbers that their floats would change, in all depths of a column.

    Raises:
        UnfitValueError: There is one; see `tradewind.move.formats.parse.keep_floats`.
    """
    kind = field.type
    kinds = pa.types
    if kinds.is_floating(kind):
        for value in values:
            number = isinstance(value, Digits) or type(value) is int
            if number and is_rounded(str(value), kind.bit_width):
                raise rounded_float(_shown(value), field, where)
    elif kinds.is_struct(kind):
        for inner in kind:
            parts = [value.get(inner.name) for value in values if isinstance(value, dict)]
            keep_floats(parts, _named(inner, field.name), where)
    elif kinds.is_map(kind):
        items = [item for value in values if isinstance(value, dict) for item in value.values()]
        keep_floats(items, _named(kind.item_field, field.name), where)
    elif kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        items = [item for value in values if isinstance(value, list) for item in value]
        keep_floats(items, _named(kind.value_field, field.name), where)


def column(values: list[Any], field: pa.Field, where: str) -> pa.Array:
    """Turn JSON values into a column.

    Args:
        values: What `loads` gives; None is null.
        field: Name, type and note of the column.
        where: Format and place, for messages.

    Raises:
        UnfitValueError: A value is not of the type, or the type cannot hold it exactly.
        InputError: The type cannot be read from JSON.
    """
    kind = field.type
    kinds = pa.types
    if kinds.is_null(kind):
        words = [None if value is None else dump(value) for value in values]
        return parse(pa.array(words, pa.string()), field, where)
    if text.is_text(kind):
        return texts(_words(values, field, where), field, where)
    if kinds.is_boolean(kind):
        _only(values, bool, field, where)
        return pa.array(values, kind)
    if kinds.is_integer(kind):
        return texts([_whole(value, field, where) for value in values], field, where)
    if kinds.is_floating(kind):
        floats = [_float(value, field, where) for value in values]
        numbers = pa.array(np.array(floats, np.float64), pa.float64(), mask=_nulls(values))
        with np.errstate(over="ignore"):
            far = ~np.isfinite(np.array(floats, kind.to_pandas_dtype()))
        if far.any():  # JSON has no infinity: it is a number beyond the type's range
            raise unfit(field, _shown(values[int(np.flatnonzero(far)[0])]), where)
        return numbers.cast(kind)
    if kinds.is_decimal(kind):
        numbers = [_number(value, field, where) for value in values]
        return parse(pa.array(numbers, pa.string()), field, where)
    if kinds.is_temporal(kind):
        _only(values, str, field, where)
        return parse(pa.array(values, pa.string()), field, where)
    if kinds.is_fixed_size_binary(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return pa.array([_bytes(value, field, where) for value in values], kind)
    if kinds.is_dictionary(kind):
        inner = pa.field(field.name, kind.value_type, metadata=field.metadata)
        return column(values, inner, where).dictionary_encode().cast(kind)
    return _nested(values, field, where)


def _nulls(values: list[Any]) -> Any:
    return np.fromiter((value is None for value in values), np.bool_, len(values))


def texts(values: list[Any], field: pa.Field, where: str) -> pa.Array:
    """Make an array of what Arrow takes as it is, and name the value that it does not take."""
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, ValueError, OverflowError):
        for value in values:
            try:
                pa.array([value], field.type)
            except (pa.ArrowException, ValueError, OverflowError):
                raise unfit(field, value, where) from None
        raise


def _only(values: list[Any], kind: type, field: pa.Field, where: str) -> None:
    for value in values:
        if value is not None and (not isinstance(value, kind) or isinstance(value, Digits)):
            raise unfit(field, _shown(value), where)


def _shown(value: Any) -> Any:
    return decimal.Decimal(value) if isinstance(value, Digits) else value


def _words(values: list[Any], field: pa.Field, where: str) -> list[Any]:
    logical = logical_type(field)
    if logical == "json":
        return [None if value is None else dump(value) for value in values]
    if logical == "decimal":
        return [_number(value, field, where) for value in values]
    _only(values, str, field, where)
    return values


def _number(value: Any, field: pa.Field, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise unfit(field, value, where)
    return str(value)


def _whole(value: Any, field: pa.Field, where: str) -> int | None:
    if value is None or type(value) is int:
        return value
    if isinstance(value, Digits):
        number = decimal.Decimal(value)
        if number.adjusted() < 40 and number == number.to_integral_value():
            return int(number)
    raise unfit(field, _shown(value), where)


def _float(value: Any, field: pa.Field, where: str) -> float:
    if value is None:
        return 0.0
    if isinstance(value, Digits) or type(value) is int:
        number = float(value)
        if not math.isinf(number):
            return number
    raise unfit(field, _shown(value), where)


def _bytes(value: Any, field: pa.Field, where: str) -> bytes | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and not isinstance(value, Digits):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise unfit(field, _shown(value), where, "Bytes are written as base64.")


def _nested(values: list[Any], field: pa.Field, where: str) -> pa.Array:
    kind = field.type
    kinds = pa.types
    name = field.name
    if kinds.is_struct(kind):
        _only(values, dict, field, where)
        children = []
        for index in range(kind.num_fields):
            inner = kind.field(index)
            parts = [None if value is None else value.get(inner.name) for value in values]
            children.append(column(parts, _named(inner, name), where))
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=fields, mask=pa.array(_nulls(values)))
    if kinds.is_map(kind):
        _only(values, dict, field, where)
        keys = [key for value in values if value for key in value]
        items = [item for value in values if value for item in value.values()]
        keys_array = parse(pa.array(keys, pa.string()), _named(kind.key_field, name), where)
        items_array = column(items, _named(kind.item_field, name), where)
        offsets = _offsets(values)
        # Its own constructor takes no mask: a null is an offset that is null.
        return pa.MapArray.from_arrays(offsets, keys_array, items_array, type=kind)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        _only(values, list, field, where)
        items = [item for value in values if value for item in value]
        inner = column(items, _named(kind.value_field, name), where)
        lists = pa.ListArray.from_arrays(_offsets(values), inner, type=pa.list_(kind.value_field))
        return lists if kinds.is_list(kind) else lists.cast(kind)
    raise text.unfit_type(name, kind, where)


def _named(inner: pa.Field, name: str) -> pa.Field:
    """Give an inner field its column's name, which messages say."""
    return inner.with_name(name)


def _offsets(values: list[Any]) -> pa.Array:
    lengths = np.fromiter((len(value) if value else 0 for value in values), np.int32, len(values))
    ends = np.concatenate((np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)))
    return pa.array(ends, pa.int32(), mask=np.append(_nulls(values), False))
