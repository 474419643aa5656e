"""Record batches as CSV that PostgreSQL's ``COPY ... FROM STDIN`` reads exactly.

NULL is an unquoted nothing, every string is quoted; lists are array literals, bytes hexadecimal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.formats.text import shown
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.catalog import TableColumn
from tradewind.systems.postgres.exact import is_limited, refuse_inexact
from tradewind.systems.postgres.naive_times import is_naive, refuse_lossy, unchanged

__all__ = ["COPY_OPTIONS", "csv_rows"]

COPY_OPTIONS = {"FORMAT": "csv", "NULL": "''"}
"""How COPY has to read it."""


def csv_rows(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, columns: tuple[TableColumn, ...]
) -> Iterator[bytes]:
    """Write batches for COPY.

    Args:
        batches: The rows.
        schema: Their schema.
        columns: The table's columns that they go to, in the order of the schema.

    Yields:
        Some megabytes at a time, as the batches are.

    Raises:
        UnfitValueError: A value has no room in its column.
    """
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed", batch_size=1 << 14)
    names = [str(number) for number in range(len(schema))]
    for batch in batches:
        if not batch.num_rows:
            continue
        arrays = []
        for field, array, column in zip(schema, batch.columns, columns, strict=True):
            try:
                if is_naive(column.limits):
                    array = unchanged(_plain(array), field.name, column.limits)
                _refuse_inexact(array, field.name, column.limits)
                arrays.append(_written(array, column, field.name))
            except pa.ArrowInvalid as error:
                raise UnfitValueError(
                    field.name,
                    _first_unfit(array, column) or str(error),
                    where=f"{column.type} of PostgreSQL",
                    remedy="Widen the table's column, or round the values before.",
                ) from error
        sink = pa.BufferOutputStream()
        pa.csv.write_csv(pa.RecordBatch.from_arrays(arrays, names=names), sink, options)
        written = sink.getvalue().to_pybytes()
        if b"\0" in written:
            raise _nul(arrays, schema)
        yield written


def _first_unfit(array: pa.Array, column: TableColumn) -> Any:
    """Find the first value that has no room in its column, by halves; None where it is not one."""
    while len(array) > 1:
        half = array.slice(0, len(array) // 2)
        array = half if _is_unfit(half, column) else array.slice(len(half))
    return shown(array) if _is_unfit(array, column) else None


def _is_unfit(array: pa.Array, column: TableColumn) -> bool:
    try:
        if is_naive(column.limits):
            array = unchanged(_plain(array), column.name, column.limits)
        _written(array, column, column.name)
    except pa.ArrowInvalid:
        return True
    except UnfitValueError:
        pass
    return False


def _nul(arrays: list[pa.Array], schema: pa.Schema) -> UnfitValueError:
    for field, array in zip(schema, arrays, strict=True):
        if pa.types.is_string(array.type):
            found = array.filter(pc.match_substring(array, "\0"))
            if len(found):
                return UnfitValueError(
                    field.name,
                    found[0].as_py(),
                    where="text of PostgreSQL",
                    remedy="It has no NUL character: take it out, or store bytes (bytea).",
                )
    raise AssertionError("no column holds the NUL that was written")


def _refuse_inexact(array: pa.Array, name: str, type_: str) -> None:
    """Look at the texts of values whose own type may hold more than the column's does."""
    is_, listed = pa.types, False
    while is_.is_list(array.type) or is_.is_large_list(array.type):
        array, listed = array.flatten(), True
        type_ = type_.removesuffix("[]")
    if not is_limited(type_):
        return
    if listed and is_naive(type_):
        array = _plain(array)
        if is_.is_string(array.type):
            refuse_lossy(array, name, type_)
        else:
            unchanged(array, name, type_)
    if is_.is_duration(array.type):
        _refuse_durations(array, name, type_)
        return
    array = _plain(array)
    own = array.type
    if is_.is_integer(own):
        exact = ",-" not in type_ and type_ != "real"
        exact = exact and (type_ != "double precision" or own.bit_width < 64)
    elif is_.is_floating(own):
        exact = type_ == "double precision" or (type_ == "real" and own.bit_width == 32)
    elif is_.is_timestamp(own) or is_.is_time(own):
        exact = own.unit == "s" or "(" not in type_
    else:
        exact = not (is_.is_string(own) or is_.is_decimal(own))
    if exact:
        return
    refuse_inexact(array.cast(pa.string()), name, type_)


def _refuse_durations(array: pa.Array, name: str, type_: str) -> None:
    """See that an ``interval(3)`` or the like has as many digits of a second."""
    found = re.search(r"\((\d)\)", type_)
    if found is None:
        return
    micros = np.asarray(pc.fill_null(array.cast(pa.duration("us")).cast(pa.int64()), 0))
    wrong = np.flatnonzero(micros % 10 ** (6 - int(found[1])))
    if len(wrong):
        raise UnfitValueError(
            name,
            str(shown(array.slice(int(wrong[0])))),
            where=f"{type_} of PostgreSQL",
            remedy="Make the column an interval, or round the values before.",
        )


def _written(array: pa.Array, column: TableColumn, name: str) -> pa.Array:
    """Turn one column into what the CSV writer writes as PostgreSQL reads it."""
    array = _plain(array)
    type_ = array.type
    if column.category == "A" and pa.types.is_string(type_):
        return _array_texts(array)
    if column.is_json and pa.types.is_nested(type_):
        return _json_texts(array, name)
    if pa.types.is_list(type_) or pa.types.is_binary(type_) or pa.types.is_nested(type_):
        return _texts(array, name)
    if pa.types.is_decimal(type_) and column.scale is not None and type_.scale > column.scale:
        # The server would round without a word.
        return array.cast(pa.decimal256(76, column.scale))
    return _before_christ(array)


def _before_christ(array: pa.Array) -> pa.Array:
    """Spell dates and times of the years that Arrow does not write as PostgreSQL reads them."""
    kind = array.type
    if pa.types.is_date32(kind):
        numbers, second = array.cast(pa.int32()), 1 / 86_400
    elif pa.types.is_timestamp(kind):
        numbers, second = array.cast(pa.int64()), _PER_SECOND[kind.unit]
    else:
        return array
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (
        found["min"] >= _YEAR_1 * second and found["max"] < _YEAR_10000 * second
    ):
        return array
    return _TEXTS.spelled(array, pa.field("", kind))


def _plain(array: pa.Array) -> pa.Array:
    """Reduce the many types of Arrow to those that are written here."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(type_):
        return _plain(array.dictionary_decode())
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return array.cast(pa.string())
    if (
        pa.types.is_large_binary(type_)
        or pa.types.is_binary_view(type_)
        or pa.types.is_fixed_size_binary(type_)
    ):
        return array.cast(pa.binary())
    if (
        pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
        or pa.types.is_list_view(type_)
        or pa.types.is_large_list_view(type_)
    ):
        return array.cast(pa.list_(type_.value_field))
    if pa.types.is_float16(type_):
        return array.cast(pa.float32())
    if pa.types.is_timestamp(type_):
        # In UTC: zones before 1900 have seconds, which texts of zones lack.
        unit = "us" if type_.unit == "ns" else type_.unit
        return array.cast(pa.timestamp(unit, "UTC" if type_.tz else None))
    if pa.types.is_time64(type_) and type_.unit == "ns":
        return array.cast(pa.time64("us"))
    if pa.types.is_duration(type_):
        micros = array.cast(pa.duration("us")).cast(pa.int64()).cast(pa.string())
        return pc.binary_join_element_wise(micros, "microseconds", " ")
    return array


# -------------------------------------------------------------------------------------------- texts

_TEXTS = CsvFormat(header=False)
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6}
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def _hex(array: pa.Array) -> pa.Array:
    if array.offset:
        array = pa.concat_arrays([array, array.slice(0, 0)])
    validity, offsets_buffer, data = array.buffers()
    if data is None:
        digits = array.cast(pa.string())
    else:
        offsets = np.frombuffer(offsets_buffer, np.int32)[: len(array) + 1]
        written = _HEX[np.frombuffer(data, np.uint8)[: offsets[-1]]]
        digits = pa.Array.from_buffers(
            pa.string(),
            len(array),
            [validity, pa.py_buffer(offsets * np.int32(2)), pa.py_buffer(written)],
            array.null_count,
        )
    return pc.binary_join_element_wise("\\x", digits, "")


def _texts(array: pa.Array, name: str) -> pa.Array:
    """Write each value as PostgreSQL's text for it."""
    array = _plain(array)
    type_ = array.type
    if pa.types.is_string(type_):
        return array
    if pa.types.is_binary(type_):
        return _hex(array)
    if pa.types.is_list(type_):
        return _lists(array, name)
    if pa.types.is_nested(type_):
        return _json_texts(array, name)
    return _before_christ(array).cast(pa.string())


def _lists(array: pa.Array, name: str) -> pa.Array:
    if array.offset:
        array = pa.concat_arrays([array, array.slice(0, 0)])
    items = _texts(array.values, name)
    if not pa.types.is_list(array.type.value_type):
        escaped = pc.replace_substring(items, "\\", "\\\\")
        escaped = pc.replace_substring(escaped, '"', '\\"')
        items = pc.binary_join_element_wise('"', escaped, '"', "")
    items = pc.fill_null(items, "NULL")
    offsets = array.offsets
    lists = pa.ListArray.from_arrays(
        offsets, items, mask=array.is_null() if array.null_count else None
    )
    joined = pc.binary_join(lists, ",")
    return pc.binary_join_element_wise("{", joined, "}", "")


def _json_texts(array: pa.Array, name: str) -> pa.Array:
    """Write each value as a JSON document, the same as in every other place that takes JSON."""
    field = pa.field(name, array.type)
    return json_strings(array, field, JsonStyle("JSON in PostgreSQL"), name)


def _array_texts(array: pa.Array) -> pa.Array:
    """Turn JSON texts of lists, as our CSV has them, into array literals; leave others alone."""
    if not pc.any(pc.starts_with(array, "[")).as_py():
        return array
    return pa.array([_array_text(value) for value in array.to_pylist()], pa.string())


def _array_text(value: str | None) -> str | None:
    if value is None or not value.startswith("["):
        return value
    try:
        items = json.loads(value, parse_float=str, parse_int=str)
    except ValueError:
        return value  # as "[0:1]={1,2}": the server reads it, or says what is wrong
    return _literal(items)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "{" + ",".join(map(_literal, value)) + "}"
    text = value if isinstance(value, str) else json.dumps(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
