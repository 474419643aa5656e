"""Record batches as text for ``LOAD DATA`` of MySQL, and their types as its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.json_text import JsonStyle, json_strings
from tradewind.move.formats.text import plain, shown, unfit_type
from tradewind.move.tables.staging import TableColumn
from tradewind.move.types import UnfitValueError, logical_type
from tradewind.systems.mysql.connection import quoted
from tradewind.systems.mysql.exact import as_texts, refuse_inexact, settled
from tradewind.systems.mysql.fits import Suspects

__all__ = [
    "DIALECT",
    "ROWS",
    "assignments",
    "checked_batches",
    "column_types",
    "load_rows",
    "wrong_name",
]

ROWS = CsvFormat(header=False, null="NULL")
"""How rows travel: a NULL is the bare word, anything that looks like it is quoted."""

DIALECT = (
    "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
    "LINES TERMINATED BY '\\n'"
)

_TYPES = {
    pa.bool_(): "TINYINT(1)",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.uint8(): "TINYINT UNSIGNED",
    pa.uint16(): "SMALLINT UNSIGNED",
    pa.uint32(): "INT UNSIGNED",
    pa.uint64(): "BIGINT UNSIGNED",
    pa.float16(): "FLOAT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
}
_NOTED = {"json": "JSON", "uuid": "CHAR(36)", "interval": "VARCHAR(64)", "decimal": "LONGTEXT"}
_KEY = 255


def column_types(schema: pa.Schema, keys: Sequence[str]) -> list[str]:
    """Write the columns of a table that holds a schema's data.

    Args:
        schema: The data's.
        keys: Columns of its primary key.

    Raises:
        InputError: MySQL has no type for a column.
    """
    return [
        f"{quoted(field.name)} {_type(field, is_key=field.name in keys)}"
        f"{' NOT NULL' if field.name in keys else ' NULL'}"
        for field in map(_plain_field, schema)
    ]


def wrong_name(name: str) -> str:
    """Say what is wrong with a column's name; nothing where it is right."""
    return "ends with a blank, which MySQL takes from no name" if name.endswith(" ") else ""


def _type(field: pa.Field, *, is_key: bool) -> str:
    kind, is_ = field.type, pa.types
    if kind in _TYPES:
        return _TYPES[kind]
    if is_.is_decimal(kind):
        if kind.precision > 65 or kind.scale > 30 or kind.scale < 0:
            raise InputError(
                f"MySQL: column {field.name!r}: DECIMAL has 65 digits, 30 of them after the point, "
                f"and not {kind}. Round it, or make it a text, in the query or the file."
            )
        return f"DECIMAL({kind.precision},{kind.scale})"
    if is_.is_timestamp(kind):
        return "TIMESTAMP(6)" if kind.tz else "DATETIME(6)"
    if is_.is_time(kind):
        return "TIME(6)"
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_null(kind):
        if is_key:
            return f"VARCHAR({_KEY}) COLLATE utf8mb4_bin"
        return f"{_NOTED.get(logical_type(field) or '', 'LONGTEXT')}"
    if is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind):
        return f"VARBINARY({_KEY})" if is_key else "LONGBLOB"
    if is_.is_nested(kind):
        return "JSON"
    raise unfit_type(field.name, kind, "a table of MySQL")


def _plain_field(field: pa.Field) -> pa.Field:
    """Give a column the type that its values travel in: without dictionaries and the like."""
    return pa.field(field.name, _plain(pa.nulls(0, field.type)).type, metadata=field.metadata)


def _plain(array: pa.Array) -> pa.Array:
    array = plain(array)
    return array.cast(pa.float32()) if pa.types.is_float16(array.type) else array


def assignments(schema: pa.Schema, columns: Sequence[TableColumn]) -> tuple[str, str]:
    """Say where each value of a line goes.

    Returns:
        The list of columns and variables, and the SET clause for what has to be converted.
    """
    listed, assigned = [], []
    for number, (field, column) in enumerate(zip(map(_plain_field, schema), columns, strict=True)):
        if _is_bytes(field.type):
            listed.append(f"@c{number}")
            assigned.append(f"{quoted(column.name)} = UNHEX(SUBSTR(@c{number}, 3))")
        elif column.type == "bit":
            listed.append(f"@c{number}")
            assigned.append(f"{quoted(column.name)} = CAST(@c{number} AS UNSIGNED)")
        else:
            listed.append(quoted(column.name))
    return f"({', '.join(listed)})", f" SET {', '.join(assigned)}" if assigned else ""


def load_rows(
    batches: Batches, columns: Sequence[TableColumn], suspects: Suspects
) -> Iterator[bytes]:
    """Write batches as the lines that ``LOAD DATA`` reads.

    Args:
        batches: The data.
        columns: Where each of their columns goes.
        suspects: Remembers what the server may refuse.

    Yields:
        Pieces of some megabytes.

    Raises:
        UnfitValueError: The table's column cannot hold a value, and MySQL would not say.
    """
    return ROWS.encode(checked_batches(batches, columns, suspects))


def checked_batches(
    batches: Batches, columns: Sequence[TableColumn], suspects: Suspects
) -> Batches:
    """Turn batches into what the columns take; refuse what MySQL would change without a word."""
    fields = [_plain_field(field) for field in batches.schema]
    for field in fields:
        if pa.types.is_duration(field.type):
            raise unfit_type(field.name, field.type, "a table of MySQL")
    schema = pa.schema(list(map(_travelling, fields, columns)))

    def changed() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            arrays = [
                _checked(_plain(batch.column(at)), field, column)
                for at, (field, column) in enumerate(zip(fields, columns, strict=True))
            ]
            for array, field, column in zip(arrays, fields, columns, strict=True):
                suspects.look(array, field.name, column)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Batches(schema, changed(), on_close=batches.close)


def _travelling(field: pa.Field, column: TableColumn) -> pa.Field:
    type_ = field.type
    if pa.types.is_boolean(type_):
        type_ = pa.uint8()
    elif pa.types.is_timestamp(type_) and type_.tz:
        type_ = pa.timestamp(type_.unit)
    elif pa.types.is_nested(type_):
        type_ = pa.string()
    elif column.type == "bit" and _is_text(type_):
        type_ = pa.uint64()
    elif column.type in ("year", "enum", "set") and pa.types.is_integer(type_):
        type_ = pa.string()  # A number means something else there, on one road or on both.
    return pa.field(field.name, type_, metadata=field.metadata)


def _checked(array: pa.Array, field: pa.Field, column: TableColumn) -> pa.Array:
    kind, is_ = field.type, pa.types
    if is_.is_boolean(kind):
        return array.cast(pa.uint8())
    if is_.is_nested(kind):
        return json_strings(array, field, JsonStyle("JSON in MySQL"), field.name)
    array = settled(array, field.name, column)
    refuse_inexact(array, field.name, column)
    if column.type == "bit" and _is_text(kind):
        return _bits(array, field.name, column)
    if column.type in ("year", "enum", "set") and is_.is_integer(kind):
        texts = as_texts(array)
        return pc.utf8_lpad(texts, 4, "0") if column.type == "year" else texts
    if is_.is_floating(kind):
        _check_floats(array, field.name, column)
    if is_.is_timestamp(kind):
        naive = array
        if kind.tz:
            naive = array.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))
        _check_fraction(
            naive, naive.cast(pa.int64()), field, column, {"s": 0, "ms": 3, "us": 6, "ns": 9}
        )
        return naive
    if is_.is_time(kind):
        unit = pa.int32() if is_.is_time32(kind) else pa.int64()
        _check_fraction(array, array.cast(unit), field, column, {"s": 0, "ms": 3, "us": 6, "ns": 9})
    if column.type == "time" and logical_type(field) == "interval":
        return pa.array(
            [None if text is None else _time(text, field.name) for text in array.to_pylist()],
            pa.string(),
        )
    return array


def _check_floats(array: pa.Array, name: str, column: TableColumn) -> None:
    numbers = array.drop_null().to_numpy(zero_copy_only=False)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        raise UnfitValueError(
            name,
            float(numbers[wrong][0]),
            where=f"the column {column.name!r} of type {column.type.upper()}",
            remedy="MySQL has no such number: write NULL (in the query or the file), or use a text "
            "column.",
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bits(array: pa.Array, name: str, column: TableColumn) -> pa.Array:
    """Read texts as the numbers that a BIT column holds."""
    try:
        return array.cast(pa.uint64())
    except pa.ArrowInvalid:
        wrong = pc.invert(pc.match_substring_regex(array, r"^\d{1,19}$"))
        value = array.filter(pc.fill_null(wrong, False))
        raise UnfitValueError(
            name,
            value[0].as_py() if len(value) else "a number of more than 64 bits",
            where=f"the column {column.name!r} of type {column.spelled}",
            remedy="Write its bits as a whole number, like 5 for 101.",
        ) from None


def _check_fraction(
    array: pa.Array,
    numbers: pa.Array,
    field: pa.Field,
    column: TableColumn,
    digits: dict[str, int],
) -> None:
    """Refuse fractions of seconds that the column would cut off without a word."""
    if column.precision is None:
        return
    surplus = digits[field.type.unit] - column.precision
    if surplus <= 0:
        return
    whole = 10**surplus
    values = np.asarray(pc.fill_null(numbers, 0))
    wrong = values % whole != 0
    if wrong.any():
        raise UnfitValueError(
            field.name,
            shown(array.slice(int(np.flatnonzero(wrong)[0]))),
            where=f"the column {column.name!r} of type {column.type.upper()}({column.precision})",
            remedy=_finer(column),
        )


def _finer(column: TableColumn) -> str:
    wider = f"Make it {column.type.upper()}(6)" if column.precision != 6 else "Make it a text"
    return f"{wider}, or round the values before (in the query, or where the file is made)."


_ISO = re.compile(r"PT(?:(-?)(\d+)H)?(?:(-?)(\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?")


def _time(text: str, name: str) -> str:
    """Write a duration in hours, minutes and seconds as TIME is written."""
    found = _ISO.fullmatch(text)
    if found is None or len({sign for sign in found.group(1, 3, 5) if sign is not None}) != 1:
        raise UnfitValueError(
            name,
            text,
            where="TIME",
            remedy="Give hours, minutes and seconds of one sign, like PT1H2M3S, or use text.",
        )
    sign = next(sign for sign in found.group(1, 3, 5) if sign is not None)
    hours, minutes, seconds = (int(number or 0) for number in found.group(2, 4, 6))
    fraction = f".{found[7]}" if found[7] else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"


def _is_bytes(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind))
