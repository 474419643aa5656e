"""Types told from text: never one that would change what is written."""

from __future__ import annotations

import decimal
import json

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.types import UnfitValueError

__all__ = ["GUESSED", "check_spelling", "infer"]

GUESSED = b"tradewind.guessed"
"""Key in a schema's metadata: its types were told from another object, not declared."""

# Numbers with leading zeros or a plus are codes, like those of places: they stay text.
_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"
_WORDS = pa.array(["NaN", "Infinity", "-Infinity"])
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_NAIVE = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_TIME}$"
_ZONED = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]{_TIME}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$"


def infer(name: str, strings: pa.ChunkedArray) -> pa.Field:
    """Tell a column's type from its first values; text where they allow no other.

    Args:
        name: The column's name.
        strings: Its first values as text.

    Returns:
        The field.
    """
    values = pc.drop_null(strings)
    if not len(values):
        return pa.field(name, pa.string())
    if _all(pc.is_in(values, pa.array(["t", "f"]))) or _all(
        pc.is_in(values, pa.array(["true", "false"]))
    ):
        return pa.field(name, pa.bool_())
    if _all(pc.match_substring_regex(values, _INTEGER)):
        return pa.field(name, pa.int64())
    number = pc.match_substring_regex(values, _NUMBER)
    if _all(pc.or_(number, pc.is_in(values, _WORDS))) and pc.any(number).as_py():
        exact = _keeps_digits(values.filter(number))
        return pa.field(name, pa.float64() if exact else pa.string())
    for pattern, kind in (
        (_DATE, pa.date32()),
        (_NAIVE, pa.timestamp("us")),
        (_ZONED, pa.timestamp("us", tz="UTC")),
    ):
        if _all(pc.match_substring_regex(values, pattern)) and _converts(values, kind):
            return pa.field(name, kind)
    return pa.field(name, pa.string())


def check_spelling(strings: pa.Array, values: pa.Array, field: pa.Field, where: str) -> None:
    """Refuse later values that would not have let `infer` tell the type that it told.

    Args:
        strings: The text.
        values: What it was read as.
        field: Name and told type of the column.
        where: Format and place, for messages.

    Raises:
        UnfitValueError: A text is a code, or spelled in another way than numbers and dates are.
    """
    kind = field.type
    if pa.types.is_integer(kind) or pa.types.is_date(kind):
        back = values.cast(pa.string())
        if back.equals(strings):
            return
        right = pc.equal(back, strings)
    elif pa.types.is_boolean(kind):
        right = pc.is_in(strings, pa.array(["t", "f", "true", "false"]))
    elif pa.types.is_floating(kind):
        right = pc.match_substring_regex(strings, _NUMBER)
        if not pc.all(right, min_count=0).as_py():
            right = pc.or_(right, pc.is_in(strings, _WORDS))
    elif pa.types.is_timestamp(kind):
        right = pc.match_substring_regex(strings, _NAIVE if kind.tz is None else _ZONED)
    else:
        return
    wrong = strings.filter(pc.invert(pc.fill_null(pc.or_(right, strings.is_null()), True)))
    if len(wrong):
        raise UnfitValueError(
            field.name,
            wrong[0].as_py(),
            where=f"the type {kind}, which the values before had told ({where}),",
            remedy="It is spelled in another way. Correct it, or declare the column's type: "
            f'schema={{{json.dumps(field.name)}: "string"}} reads it as text (on the command '
            "line by --set-from).",
        )


def _all(flags: pa.ChunkedArray) -> bool:
    return bool(pc.all(flags).as_py())


def _converts(values: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        values.cast(kind)
    except (pa.ArrowException, ValueError):
        return False
    return True


def _keeps_digits(values: pa.ChunkedArray) -> bool:
    long = values.filter(pc.greater(pc.binary_length(values), 16)).to_pylist()
    return all(decimal.Decimal(word) == decimal.Decimal(repr(float(word))) for word in long)
