"""BSON documents as lines of extended JSON, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tradewind.errors import CorruptDataError
from tradewind.move.sources._extended_json import BsonValues

__all__ = ["BsonLines", "split"]

Starts = np.ndarray[Any, np.dtype[np.int64]]


def split(reply: bytes, size: int) -> Iterator[tuple[bytes, Starts]]:
    """Cut a row of BSON documents into parts.

    Args:
        reply: Documents, one after the other.
        size: Bytes of a part; it ends with the document that reaches them.

    Yields:
        The part, and where its documents begin.

    Raises:
        CorruptDataError: The lengths of the documents do not add up.
    """
    starts: list[int] = []
    begin = position = 0
    total = len(reply)
    from_bytes = int.from_bytes
    while position < total:
        length = from_bytes(reply[position : position + 4], "little")
        if length < 5 or position + length > total:
            raise CorruptDataError("A BSON document is cut off", offset=position)
        starts.append(position - begin)
        position += length
        if position - begin >= size:
            yield reply[begin:position], np.array(starts, np.int64)
            begin, starts = position, []
    if starts:
        yield reply[begin:position], np.array(starts, np.int64)


class BsonLines:
    """Writes documents as lines of extended JSON.

    Args:
        canonical: Whether JSON keeps the exact BSON type of every number and date.
    """

    def __init__(self, *, canonical: bool) -> None:
        from bson.codec_options import CodecOptions, DatetimeConversion

        self._values = BsonValues(canonical=canonical)
        self._options: CodecOptions[dict[str, Any]] = CodecOptions(
            document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
        )

    def encode(self, part: bytes, starts: Starts) -> bytes:
        """Write documents.

        Args:
            part: The documents, one after the other.
            starts: Where they begin.

        Returns:
            A line a document.
        """
        from bson import decode_all

        dumps = self._values.dumps
        lines = [dumps(document) for document in decode_all(part, self._options)]
        lines.append(b"")
        return b"\n".join(lines)
