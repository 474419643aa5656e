"""Parquet's logical types that Arrow reads as extension types, as the other sources give them.

A UUID becomes a text with the note ``uuid``, JSON a text with the note ``json``, 8-bit booleans
become booleans: so each target treats them as those of a database. Of another extension type the
values are what it is stored as, which is all that a reader without its library has.

Source: https://arrow.apache.org/docs/format/CanonicalExtensions.html
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.types import LOGICAL_TYPE

__all__ = ["unwrapped", "unwrapped_field"]

_HYPHENS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))


def unwrapped_field(field: pa.Field) -> pa.Field:
    """Give a field the type that its values have behind `unwrapped`, at any depth."""
    kind = field.type
    if not _holds_extension(kind):
        return field
    if isinstance(kind, pa.BaseExtensionType):
        name = kind.extension_name
        if name == "arrow.uuid":
            return _noted(field, "uuid")
        if name == "arrow.json":
            return _noted(field, "json")
        stored = pa.bool_() if name == "arrow.bool8" else kind.storage_type
        return unwrapped_field(field.with_type(stored))
    return field.with_type(_with_children(kind, [unwrapped_field(one) for one in _children(kind)]))


def unwrapped(array: pa.Array) -> pa.Array:
    """Turn the values of extension types into those of plain ones, at any depth."""
    kind = array.type
    if not _holds_extension(kind):
        return array
    if isinstance(kind, pa.BaseExtensionType):
        name = kind.extension_name
        if name == "arrow.uuid":
            return _uuids(array.storage)
        if name == "arrow.json":
            return array.storage.cast(pa.string())
        if name == "arrow.bool8":
            return pc.not_equal(array.storage, pa.scalar(0, pa.int8()))
        return unwrapped(array.storage)
    if array.offset:
        array = pa.concat_arrays([array, array.slice(0, 0)])
    target = _with_children(kind, [unwrapped_field(one) for one in _children(kind)])
    mask = array.is_null() if array.null_count else None
    if pa.types.is_struct(kind):
        inner = [unwrapped(array.field(at)) for at in range(kind.num_fields)]
        return pa.StructArray.from_arrays(inner, fields=list(target), mask=mask)
    if pa.types.is_map(kind):
        keys, items = unwrapped(array.keys), unwrapped(array.items)
        return pa.MapArray.from_arrays(array.offsets, keys, items, type=target, mask=mask)
    if pa.types.is_fixed_size_list(kind):
        values = unwrapped(array.values)
        return pa.FixedSizeListArray.from_arrays(values, type=target, mask=mask)
    made = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return made.from_arrays(array.offsets, unwrapped(array.values), type=target, mask=mask)


def _holds_extension(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return True
    return any(_holds_extension(field.type) for field in _children(kind))


def _children(kind: pa.DataType) -> list[pa.Field]:
    is_ = pa.types
    if is_.is_struct(kind):
        return list(kind)
    if is_.is_map(kind):
        return [kind.key_field, kind.item_field]
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        return [kind.value_field]
    return []


def _with_children(kind: pa.DataType, fields: list[pa.Field]) -> pa.DataType:
    is_ = pa.types
    if is_.is_struct(kind):
        return pa.struct(fields)
    if is_.is_map(kind):
        return pa.map_(*fields, keys_sorted=kind.keys_sorted)
    if is_.is_large_list(kind):
        return pa.large_list(fields[0])
    return pa.list_(fields[0], kind.list_size if is_.is_fixed_size_list(kind) else -1)


def _noted(field: pa.Field, note: str) -> pa.Field:
    noted = {**(field.metadata or {}), LOGICAL_TYPE: note.encode()}
    return field.with_type(pa.string()).with_metadata(noted)


def _uuids(stored: pa.Array) -> pa.Array:
    """Write 16 bytes as UUIDs are written."""
    digits = pa.array([None if one is None else one.hex() for one in stored.to_pylist()])
    digits = digits.cast(pa.string())  # also where all are null
    return pc.binary_join_element_wise(
        *(pc.utf8_slice_codeunits(digits, begin, end) for begin, end in _HYPHENS), "-"
    )
