"""What a declared type would change of Parquet's values without Arrow's saying so."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.formats import text
from tradewind.move.interface import option
from tradewind.move.tables.exact import any_of, is_rounded_float
from tradewind.move.types import UnfitValueError

__all__ = ["check_kept", "first_unfit"]


def check_kept(stored: pa.Array, found: pa.Array, field: pa.Field) -> None:
    """Refuse values that a cast has rounded, or whose zone it has dropped.

    Args:
        stored: A column of the file.
        found: The same, cast to the type that was asked for.
        field: Name and type that were asked for.

    Raises:
        UnfitValueError: As CSV and JSON lines refuse the same values.
    """
    is_ = pa.types
    was, now = stored.type, found.type
    if was == now:
        return
    if is_.is_timestamp(was) and is_.is_timestamp(now) and was.tz is not None and now.tz is None:
        if found.null_count < len(found):
            _refuse_zone(stored, field)
    elif is_.is_timestamp(was) and is_.is_date(now):
        lost = pc.not_equal(stored.cast(pa.timestamp(was.unit)), found.cast(pa.timestamp(was.unit)))
        _refuse(stored, lost, field, "Its time of the day would be lost.")
    elif is_.is_timestamp(was) and is_.is_time(now):
        _refuse(stored, stored.is_valid(), field, "Its date would be lost.")
    elif is_.is_boolean(now) and (is_.is_integer(was) or is_.is_floating(was)):
        _refuse(stored, pc.not_equal(found.cast(was), stored), field, "Only 0 and 1 are booleans.")
    elif is_.is_floating(now) and (is_.is_decimal(was) or is_.is_floating(was)):
        if is_.is_decimal(was) or was.bit_width > now.bit_width:
            _check_digits(stored, found, field)
    elif is_.is_dictionary(now) and not is_.is_dictionary(was):
        check_kept(stored, found.dictionary_decode(), field)
    elif is_.is_struct(was) and is_.is_struct(now):
        for name in (now.field(at).name for at in range(now.num_fields)):
            if was.get_field_index(name) >= 0 and now.get_field_index(name) >= 0:
                check_kept(pc.struct_field(stored, name), pc.struct_field(found, name), field)
    elif _is_list(was) and _is_list(now):
        check_kept(pc.list_flatten(stored), pc.list_flatten(found), field)
    elif is_.is_map(was) and is_.is_map(now):
        for before, after in zip(_entries(stored), _entries(found), strict=True):
            check_kept(before, after, field)


def _is_list(kind: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind))


def _entries(maps: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Give keys and values of all maps, and not those that stand before or behind a slice."""
    begin, end = (maps.offsets[at].as_py() for at in (0, len(maps)))
    return maps.keys.slice(begin, end - begin), maps.items.slice(begin, end - begin)


def _check_digits(stored: pa.Array, found: pa.Array, field: pa.Field) -> None:
    """Hold floats against what they were made of, in as many digits as it is written with."""
    kind = found.type
    words = stored.cast(pa.string())
    rounded = is_rounded_float(words, kind.bit_width)
    if pa.types.is_floating(stored.type):
        # Beyond the type's range a number would become infinite.
        rounded = pc.or_(rounded, pc.and_(pc.is_inf(_wide(found)), pc.is_finite(_wide(stored))))
    _refuse(words, rounded, field, "It has more digits than such a float keeps.", stored.type)


def _refuse(
    values: pa.Array, odd: pa.Array, field: pa.Field, why: str, was: pa.DataType | None = None
) -> None:
    """Refuse a column that has a value of which something would be lost."""
    odd = pc.fill_null(odd, False)
    if any_of(odd):
        raise UnfitValueError(
            field.name,
            text.shown(values.filter(odd)),
            where=f"{field.type}, from {was or values.type} of Parquet,",
            remedy=f"{why} Declare its own type or text instead, as with "
            f"{option('schema', {field.name: 'string'})}; a schema names all columns of Parquet "
            "that are read.",
        )


def _wide(floats: pa.Array) -> pa.Array:
    return floats.cast(pa.float64())


def _refuse_zone(stored: pa.Array, field: pa.Field) -> None:
    own = f"timestamp[{stored.type.unit}, UTC]"
    raise UnfitValueError(
        field.name,
        text.shown(stored.drop_null()),
        where=f"{field.type}, from {stored.type} of Parquet,",
        remedy=f"Its zone would be lost. Declare {own}, as with "
        f"{option('schema', {field.name: own})}; a schema names all columns of Parquet that are "
        "read.",
    )


def first_unfit(stored: pa.Array, kind: pa.DataType) -> object:
    """Give the first value that Arrow does not cast, as an error shows it.

    Args:
        stored: A column of the file, which cannot be cast as a whole.
        kind: The type that was asked for.
    """
    stored = stored.drop_null()
    begin, end = 0, len(stored)
    while end - begin > 1:
        middle = (begin + end) // 2
        try:
            stored.slice(begin, middle - begin).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            end = middle
        else:
            begin = middle
    return text.shown(stored.slice(begin)) if len(stored) else None
