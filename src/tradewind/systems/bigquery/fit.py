"""Arrow's values as columns of BigQuery take them: the same value, or an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.formats.text import shown
from tradewind.move.tables.exact import any_of, is_rounded_float
from tradewind.move.types import UnfitValueError
from tradewind.systems.bigquery.types import Column, decimal_of, kind_of, spelled

__all__ = ["expression", "fit", "staged"]

_AS_TEXT = {"JSON", "GEOGRAPHY", "DATETIME"}
"""Types that are staged as text: how Parquet is read as them is not documented to be exact."""
_FIRST_DAY, _LAST_DAY = -719162, 2932896
_DAY = 86_400_000_000
_ELSEWHERE = "Convert it where it is read, or declare the column otherwise."


def staged(column: Column, *, top: bool = True) -> dict[str, Any]:
    """Give the column of the staging table for one of the target's.

    Args:
        column: The target's.
        top: Whether it is a column of its own, not a field of one.
    """
    repeated = column.get("mode") == "REPEATED"
    made = {"name": column["name"], "mode": "REPEATED" if repeated else "NULLABLE"}
    kind = kind_of(column)
    if kind == "RECORD":
        return {
            **made,
            "type": "RECORD",
            "fields": [staged(one, top=False) for one in column["fields"]],
        }
    return {**made, "type": "STRING" if top and not repeated and kind in _AS_TEXT else kind}


def expression(column: Column, name: str) -> str:
    """Write what makes a value of the target's type of a staged one.

    Args:
        column: The target's.
        name: Its name in SQL.
    """
    if column.get("mode") == "REPEATED":
        return name
    return {
        # "exact" refuses a number that JSON of BigQuery would round.
        "JSON": f"PARSE_JSON({name}, wide_number_mode=>'exact')",
        "GEOGRAPHY": f"ST_GEOGFROMTEXT({name})",
        "DATETIME": f"CAST({name} AS DATETIME)",
    }.get(kind_of(column), name)


def fit(array: pa.Array, field: pa.Field, column: Column, *, top: bool = True) -> pa.Array:
    """Turn an array into one that a staging column keeps as it is.

    Args:
        array: Values of the data.
        field: Theirs.
        column: The target's.
        top: Whether it is a column of its own, not a field or element of one.

    Raises:
        UnfitValueError: The column cannot hold a value.
        InputError: It can hold no value of this type.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if column.get("mode") == "REPEATED":
        return _repeated(array, field, column)
    if column.get("mode") == "REQUIRED" and array.null_count:
        raise _unfit(field, None, column, "Leave such rows out, or let the column be NULLABLE.")
    if kind_of(column) == "RECORD":
        return _record(array, field, column)
    text = top and kind_of(column) in _AS_TEXT
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string() if text else _staging_type(column))
    change = _CHANGES.get(kind_of(column))
    if change is None:
        raise InputError(
            f"BigQuery: the column {column['name']!r} is of type {spelled(column)}, into which "
            "nothing is loaded. Leave it out of the data."
        )
    try:
        changed = change(array, field, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _first_unfit(array, field, column, change) from error
    if text and pa.types.is_timestamp(changed.type):
        return pc.strftime(changed, "%Y-%m-%dT%H:%M:%S")
    return changed


def _staging_type(column: Column) -> pa.DataType:
    kind = kind_of(column)
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return decimal_of(column)
    return {
        "INT64": pa.int64(),
        "FLOAT64": pa.float64(),
        "BOOL": pa.bool_(),
        "BYTES": pa.binary(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "DATETIME": pa.timestamp("us"),
        "TIMESTAMP": pa.timestamp("us", "UTC"),
    }.get(kind, pa.string())


def _unfit(field: pa.Field, value: Any, column: Column, remedy: str) -> UnfitValueError:
    where = f"the column {column['name']!r} of type {spelled(column)} in BigQuery"
    return UnfitValueError(field.name, value, where=where, remedy=remedy)


def _first_unfit(
    array: pa.Array, field: pa.Field, column: Column, change: Callable[..., Any]
) -> InputError:
    """Find the value that does not fit; where none fits, it is the type."""
    for one in range(len(array)):
        try:
            change(array.slice(one, 1), field, column)
        except (pa.ArrowInvalid, InputError):
            return _unfit(field, shown(array.slice(one, 1)), column, _ELSEWHERE)
        except pa.ArrowNotImplementedError:
            break
    return _no_cast(array, field, column)


def _no_cast(array: pa.Array, field: pa.Field, column: Column) -> InputError:
    return InputError(
        f"BigQuery: the column {column['name']!r} is of type {spelled(column)}, and the data's "
        f"{field.name!r} is {array.type}, which does not become that. {_ELSEWHERE}"
    )


# ------------------------------------------------------------------------------- arrays, records


def _repeated(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    is_ = pa.types
    if is_.is_null(array.type) and len(array) == 0:
        array = array.cast(pa.list_(pa.string()))
    if is_.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    if not (is_.is_list(array.type) or is_.is_large_list(array.type)):
        raise _no_cast(array, field, column)
    if array.null_count:
        raise _unfit(
            field, None, column, "BigQuery keeps no NULL for an array: read an empty array instead."
        )
    elements = array.flatten()
    if elements.null_count:
        at = next(at for at in range(len(array)) if array[at].values.null_count)
        whole = shown(array.slice(at, 1))
        raise _unfit(
            field, whole, column, "BigQuery keeps no NULL in an array: leave NULLs out of it."
        )
    inner = pa.field(field.name, elements.type, metadata=field.metadata)
    values = fit(elements, inner, {**column, "mode": "NULLABLE"}, top=False)
    lengths = pc.list_value_length(array).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    return pa.ListArray.from_arrays(offsets, values)


def _record(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if pa.types.is_null(array.type):
        parts = [
            fit(pa.nulls(len(array)), pa.field(str(one["name"]), pa.null()), one, top=False)
            for one in column["fields"]
        ]
    elif not pa.types.is_struct(array.type):
        raise _no_cast(array, field, column)
    else:
        known = {str(one["name"]).lower(): one for one in column["fields"]}
        theirs = [array.type.field(n) for n in range(array.type.num_fields)]
        if {one.name.lower() for one in theirs} != set(known):
            raise InputError(
                f"BigQuery: the column {column['name']!r} has the fields {', '.join(known)}, and "
                f"the data's {field.name!r} has {', '.join(one.name for one in theirs)}. Give the "
                "same fields."
            )
        # Flattened: where the whole is NULL, so is each part.
        found = dict(zip([one.name.lower() for one in theirs], array.flatten(), strict=True))
        kinds = {one.name.lower(): one for one in theirs}
        parts = [_part(found[name], kinds[name], known[name], array) for name in known]
    names = [str(one["name"]) for one in column["fields"]]
    return pa.StructArray.from_arrays(parts, names, mask=pc.is_null(array))


def _part(array: pa.Array, field: pa.Field, column: Column, whole: pa.Array) -> pa.Array:
    if whole.null_count and column.get("mode") == "REPEATED" and not pa.types.is_null(array.type):
        # The array of a record that is NULL itself is none that could be asked for.
        empty = pa.scalar([], array.type)
        array = pc.if_else(pc.is_null(whole), empty, array)
    return fit(array, field, column, top=False)


# ------------------------------------------------------------------------------------- scalars


def _is_text(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind))


def _integer(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if not (_is_number(array.type) or _is_text(array.type)):
        raise _no_cast(array, field, column)
    if _is_text(array.type):
        odd = pc.fill_null(pc.match_substring(array, "x", ignore_case=True), False)
        if any_of(odd):  # Arrow reads hexadecimal digits
            raise _unfit(field, array.filter(odd)[0].as_py(), column, _ELSEWHERE)
    return array.cast(pa.int64())


def _float(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())
    if _is_text(array.type):
        rounded = is_rounded_float(array, 64)
        if any_of(rounded):
            raise _unfit(field, array.filter(rounded)[0].as_py(), column, _ELSEWHERE)
        # A number beyond the type's range is read as infinite: only the word is.
        words = pc.match_substring_regex(array, r"(?i)inf")
        beyond = pc.and_(pc.is_inf(array.cast(pa.float64())), pc.invert(words))
        if any_of(beyond):
            raise _unfit(field, array.filter(beyond)[0].as_py(), column, _ELSEWHERE)
    elif not _is_number(array.type):
        raise _no_cast(array, field, column)
    return array.cast(pa.float64())


def _decimal(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if pa.types.is_floating(array.type):
        # By the digits that stand for the float, as other databases read it.
        array = array.cast(pa.string())
    elif not (_is_number(array.type) or _is_text(array.type)):
        raise _no_cast(array, field, column)
    return array.cast(decimal_of(column))


def _truth(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if not (pa.types.is_boolean(array.type) or _is_text(array.type)):
        raise _no_cast(array, field, column)
    return array.cast(pa.bool_())


def _text(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if pa.types.is_nested(array.type):
        array = json_strings(array, field, JsonStyle("JSON in BigQuery"), field.name)
    elif pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        raise _no_cast(array, field, column)
    array = array.cast(pa.string())
    return _of_length(array, pc.utf8_length(array), field, column)


def _bytes(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    is_ = pa.types
    binary = (is_.is_binary, is_.is_large_binary, is_.is_fixed_size_binary)
    if not any(tells(array.type) for tells in binary):
        raise _no_cast(array, field, column)
    array = array.cast(pa.binary())
    return _of_length(array, pc.binary_length(array), field, column)


def _of_length(array: pa.Array, lengths: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if column.get("maxLength"):
        longer = pc.greater(lengths, int(column["maxLength"]))
        if any_of(longer):
            raise _unfit(field, array.filter(longer)[0].as_py(), column, _ELSEWHERE)
    return array


def _date(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if not (pa.types.is_date(array.type) or _is_text(array.type)):
        raise _no_cast(array, field, column)
    days = array.cast(pa.date32())
    _check_range(days.cast(pa.int32()), _FIRST_DAY, _LAST_DAY, field, column)
    return days


def _time(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if not (pa.types.is_time(array.type) or _is_text(array.type)):
        raise _no_cast(array, field, column)
    if _is_text(array.type):
        array = pc.binary_join_element_wise("1970-01-01T", array.cast(pa.string()), "")
        array = array.cast(pa.timestamp("us"))
    return array.cast(pa.time64("us"))


def _moment(zone: str | None) -> Callable[[pa.Array, pa.Field, Column], pa.Array]:
    def change(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
        kind = array.type
        if pa.types.is_timestamp(kind) and bool(kind.tz) != bool(zone):
            raise InputError(
                f"BigQuery: the column {column['name']!r} is a {kind_of(column)}, "
                f"{'a point in time' if zone else 'without a zone'}, and the data's "
                f"{field.name!r} has {'no' if zone else 'a'} zone. Convert it where it is read."
            )
        if not (pa.types.is_timestamp(kind) or _is_text(kind)):
            raise _no_cast(array, field, column)
        moments = array.cast(pa.timestamp("us", zone))
        first, last = _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
        _check_range(moments.cast(pa.int64()), first, last, field, column)
        return moments

    return change


def _check_range(numbers: pa.Array, first: int, last: int, field: pa.Field, column: Column) -> None:
    outside = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    if any_of(outside):
        shown = numbers.filter(outside)[0].as_py()
        unit = "days" if column["type"] == "DATE" else "microseconds"
        raise _unfit(
            field,
            f"{shown} {unit} after 1970",
            column,
            "BigQuery keeps the years 1 to 9999. Leave such rows out, or convert them.",
        )


def _json(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if _is_text(array.type):
        return array.cast(pa.string())
    return json_strings(array, field, JsonStyle("JSON in BigQuery"), field.name)


def _geography(array: pa.Array, field: pa.Field, column: Column) -> pa.Array:
    if not _is_text(array.type):
        raise _no_cast(array, field, column)
    return array.cast(pa.string())


_CHANGES: dict[str, Callable[[pa.Array, pa.Field, Column], pa.Array]] = {
    "INT64": _integer,
    "FLOAT64": _float,
    "NUMERIC": _decimal,
    "BIGNUMERIC": _decimal,
    "BOOL": _truth,
    "STRING": _text,
    "BYTES": _bytes,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _moment(None),
    "TIMESTAMP": _moment("UTC"),
    "JSON": _json,
    "GEOGRAPHY": _geography,
}
