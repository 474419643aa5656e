"""Rows by the values of some columns, and those values as folder names, as Hive spells them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError
from tradewind.move import types
from tradewind.move.formats.json_text import SPELLED
from tradewind.move.interface import part_option
from tradewind.move.types import UnfitValueError

__all__ = ["NULL", "MissingColumnError", "Partition", "files_schema", "folder", "partitions"]

NULL = "__HIVE_DEFAULT_PARTITION__"
"""What stands for NULL in a folder's name. An empty string is ``column=`` instead."""

Partition = tuple[str | None, ...]
"""The value of each partition column as text; None for NULL."""

# What Hive escapes: org.apache.hadoop.hive.common.FileUtils.charToEscape.
_ESCAPED = {chr(code) for code in range(0x20)} | set("\x7f\"#%'*/:=?\\{[]^")


class MissingColumnError(InputError):
    """The data have no such column, or several, to make partitions by."""


def folder(by: Sequence[str], partition: Partition) -> str:
    """Spell a partition as folders: ``year=2026/city=Saint%2FDenis``."""
    return "/".join(
        f"{_escaped(name)}={NULL if value is None else _escaped(value)}"
        for name, value in zip(by, partition, strict=True)
    )


def _escaped(text: str) -> str:
    return "".join(f"%{ord(letter):02X}" if letter in _ESCAPED else letter for letter in text)


def files_schema(schema: pa.Schema, by: Sequence[str], *, keep: bool) -> pa.Schema:
    """Tell which columns the files have: all, or those that are no partition columns.

    Raises:
        MissingColumnError: A partition column is missing or there twice.
        InputError: No other column is left.
    """
    for name in by:
        if len(schema.get_all_field_indices(name)) != 1:
            raise MissingColumnError(
                f"The data have no one column {name!r} to make partitions by. Choose from: "
                f"{', '.join(schema.names)}."
            )
    if not len(schema):
        raise InputError("The data have no columns, and parts have one at least. Select one.")
    rest = [field for field in schema if keep or field.name not in by]
    if not rest:
        raise InputError(
            "All columns are partition columns, so nothing is left for the files. Keep them in "
            f"the files with {part_option('keep', True)}, or choose fewer."
        )
    return pa.schema(rest, metadata=schema.metadata)


def partitions(
    batch: pa.RecordBatch, by: Sequence[str]
) -> Iterator[tuple[Partition, pa.RecordBatch]]:
    """Tell the rows of a batch apart by partition, in the order of their first rows.

    Args:
        batch: The rows, all columns.
        by: The partition columns.

    Yields:
        Each partition with its rows, in their order.

    Raises:
        UnfitValueError: A value cannot be the name of a folder.
    """
    codes = np.zeros(batch.num_rows, dtype=np.int64)
    texts: list[list[str | None]] = []
    for name in by:
        encoded = _text(batch.column(name), batch.schema.field(name)).dictionary_encode(
            null_encoding="encode"
        )
        texts.append(encoded.dictionary.to_pylist())
        codes = codes * len(texts[-1]) + encoded.indices.to_numpy(zero_copy_only=False)
    unique, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    for number in np.argsort(first, kind="stable"):
        code, partition = int(unique[number]), []
        for values in reversed(texts):
            code, index = divmod(code, len(values))
            partition.append(values[index])
        key = tuple(reversed(partition))
        for name, value in zip(by, key, strict=True):
            if value == NULL:
                raise UnfitValueError(
                    name, value, where="a folder's name", remedy="It stands for NULL there."
                )
        if len(unique) == 1:
            yield key, batch
        else:
            yield key, batch.take(pa.array(np.flatnonzero(inverse == number)))


def _text(column: pa.Array, field: pa.Field) -> pa.Array:
    if types.logical_type(field) == SPELLED:
        # JSON as it is written: a folder's name has the text of a string, and other values as such.
        return pa.array(
            [
                json.loads(word) if word is not None and word.startswith('"') else word
                for word in column.to_pylist()
            ],
            pa.string(),
        )
    try:
        return pc.cast(column, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"Column {field.name!r} of type {column.type} cannot name folders: {error}. Choose "
            "other columns to make partitions by, or turn it into text in the query."
        ) from error
