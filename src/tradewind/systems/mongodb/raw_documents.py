"""Documents that stay BSON until somebody looks at one, and columns made of their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

from tradewind.move.native import decoders
from tradewind.move.types import logical_type
from tradewind.systems.mongodb.connection import named_errors

__all__ = ["RawDocuments", "decode", "native_arrays"]

Starts = np.ndarray[Any, np.dtype[np.int64]]


def decode(part: bytes, where: str) -> list[dict[str, Any]]:
    """Decode documents with PyMongo.

    Args:
        part: The documents, one after the other.
        where: The collection, for messages.
    """
    from bson import decode_all
    from bson.codec_options import CodecOptions, DatetimeConversion

    options: CodecOptions[dict[str, Any]] = CodecOptions(
        document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    with named_errors(where):
        return decode_all(part, options)


class RawDocuments(Sequence[dict[str, Any]]):
    """Some documents, decoded all when the first of them is asked for.

    Args:
        data: The documents, one after the other.
        starts: Where in it they begin.
        where: The collection, for messages.
    """

    def __init__(self, data: bytes, starts: Starts, where: str) -> None:
        self.data = data
        self._starts = starts
        self._where = where
        self._decoded: list[dict[str, Any]] | None = None

    def _all(self) -> list[dict[str, Any]]:
        if self._decoded is None:
            self._decoded = decode(self.data, self._where)
        return self._decoded

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> RawDocuments: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | RawDocuments:
        if isinstance(at, int):
            return self._all()[at]
        begin, end, _ = at.indices(len(self))
        bounds = [*self._starts[begin:end].tolist(), len(self.data)]
        last = int(self._starts[end]) if end < len(self) else len(self.data)
        starts = self._starts[begin:end] - bounds[0]
        return RawDocuments(self.data[bounds[0] : last], starts, self._where)


def native_arrays(
    schema: pa.Schema, documents: Sequence[Sequence[Any]], *, canonical: bool
) -> list[pa.Array] | None:
    """Make columns of documents' bytes, by the decoder in Rust.

    Args:
        schema: The columns.
        documents: The documents, in several pieces.
        canonical: How JSON is written.

    Returns:
        An array a column. None where it is not installed, a column is of another type, or a
        document has a value that does not plainly fit, or a field without a column: what becomes
        of those is told by the way for any document.
    """
    native = decoders()
    if native is None:
        return None
    data = []
    for piece in documents:
        if not isinstance(piece, RawDocuments):
            return None
        data.append(piece.data)
    words = [(field.name, _word(field, canonical)) for field in schema]
    if not all(word for _, word in words):
        return None
    batch = native.BsonColumns(words).decode(b"".join(data))
    if batch is None:
        return None
    columns = pa.record_batch(batch).columns
    # A list's elements keep their note.
    return [
        array.cast(field.type) if pa.types.is_list(field.type) else array
        for array, field in zip(columns, schema, strict=True)
    ]


_WORDS = {
    pa.bool_(): "bool",
    pa.int64(): "int64",
    pa.float64(): "float64",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.binary(): "binary",
}


def _word(field: pa.Field, canonical: bool) -> str:
    """Give the decoder's word of a column; empty where it has none."""
    if pa.types.is_list(field.type):
        element = _word(field.type.value_field, canonical)
        return f"list:{element}" if element and not element.startswith("list:") else ""
    if not pa.types.is_string(field.type):
        return _WORDS.get(field.type, "") if logical_type(field) is None else ""
    logical = logical_type(field)
    if logical == "json":
        return "canonical" if canonical else "json"
    return logical if logical in ("decimal", "uuid") else "string"
