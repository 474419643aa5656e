"""BSON documents as lines of extended JSON, many at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from tradewind.errors import CorruptDataError
from tradewind.move.native import decoders
from tradewind.systems.mongodb.bson_columns import InvalidTextError
from tradewind.systems.mongodb.bson_shapes import Matched, Shape, Shapes, UnknownShapeError
from tradewind.systems.mongodb.extended_json import BsonValues

__all__ = ["BsonLines", "split"]

_FEW = 32
"""Documents of one shape that are worth its overhead."""
_FAILURES = 4
"""Shapes of fewer documents after which no other is looked for in a part."""
_MOST_SHAPES = 64
_REST = 10
"""Parts to write one by one after one where more than half had no shape."""
_TELLING = 1000
"""Documents in a part that say something of the others; the first reply has only 101."""
_GOLDEN = 0.6180339887

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
    unpack_from = struct.Struct("<i").unpack_from
    while position < total:
        length = unpack_from(reply, position)[0] if position + 5 <= total else 0
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

    Documents of shapes that come often are written by `_bson_shapes`, the others one by one; both
    give the same bytes, so where the server cuts its replies makes no difference.

    Args:
        canonical: Whether JSON keeps the exact BSON type of every number and date.
    """

    def __init__(self, *, canonical: bool) -> None:
        from bson.codec_options import CodecOptions, DatetimeConversion

        self._canonical = canonical
        self._decoders = decoders()
        self._values = BsonValues(canonical=canonical)
        self._options: CodecOptions[dict[str, Any]] = CodecOptions(
            document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
        )
        self._shapes: list[Shape] = []
        self._reach = 0
        self._rest = 0

    def encode(self, part: bytes, starts: Starts) -> bytes:
        """Write documents.

        Args:
            part: The documents, one after the other.
            starts: Where they begin.

        Returns:
            A line a document.
        """
        if self._decoders is not None:
            return self._natively(self._decoders, part)
        if self._rest:
            # Too few documents have a shape in common: look again only now and then.
            self._rest -= 1
            return b"".join(self._one_by_one(part, starts, np.append(starts[1:], len(part))))
        try:
            return self._by_shapes(part, starts)
        except InvalidTextError:
            return b"".join(self._one_by_one(part, starts, np.append(starts[1:], len(part))))

    def _natively(self, native: Any, part: bytes) -> bytes:
        """Write all in Rust, but the documents that are rare in kind or wrong."""
        lines, odd = native.bson_lines(part, self._canonical)
        if not odd:
            return lines  # type: ignore[no-any-return]
        pieces: list[bytes] = []
        at = 0
        for place, begin, end in odd:
            pieces.append(lines[at:place])
            pieces += self._one_by_one(
                part[begin:end], np.zeros(1, np.int64), np.array([end - begin])
            )
            at = place
        return b"".join([*pieces, lines[at:]])

    def _by_shapes(self, part: bytes, starts: Starts) -> bytes:
        count = len(starts)
        ends = np.append(starts[1:], len(part))
        left = np.arange(count)
        data = self._padded(part)
        rows: list[Starts] = []
        lines: list[pa.Array] = []
        hits: dict[Shape, int] = {}

        def take(shape: Shape, matched: Matched) -> None:
            hits[shape] = len(matched.rows)
            if len(matched.rows):
                rows.append(left[matched.rows])
                lines.append(matched.lines)

        for shape, matched in Shapes(self._shapes).match(data, starts, ends, few=_FEW):
            take(shape, matched)
        if rows:
            left = np.delete(left, np.concatenate(rows))
        tries = failures = 0
        while len(left) >= _FEW and failures < _FAILURES and tries < _MOST_SHAPES:
            # Here and there among them: what cannot be learned stays where it is.
            tries += 1
            document = left[int(len(left) * (tries * _GOLDEN % 1))]
            learned = self._learn(part[starts[document] : ends[document]])
            if learned is not None:
                if learned.reach > self._reach:
                    self._reach = learned.reach
                    data = self._padded(part)
                matched = learned.match(data, starts[left], ends[left])
                take(learned, matched)
                left = np.delete(left, matched.rows)
            if learned is None or hits[learned] < _FEW:
                failures += 1
        kept = [shape for shape, hit in hits.items() if hit >= _FEW // 4]
        self._shapes = sorted(kept, key=lambda shape: -hits[shape])[:_MOST_SHAPES]
        if count >= _TELLING and len(left) > count // 2:
            self._rest = _REST
        if len(left):
            rows.append(left)
            lines.append(pa.array(self._one_by_one(part, starts[left], ends[left]), pa.binary()))
        if len(lines) == 1:
            return _joined(lines[0])
        order = np.empty(count, np.int64)
        order[np.concatenate(rows)] = np.arange(count)
        return _joined(pa.concat_arrays(lines).take(pa.array(order)))

    def _padded(self, part: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(part + bytes(self._reach + 8), np.uint8)

    def _learn(self, document: bytes) -> Shape | None:
        try:
            return Shape(document, canonical=self._canonical, key_text=self._values.dumps)
        except UnknownShapeError:
            return None

    def _one_by_one(self, part: bytes, starts: Starts, ends: Starts) -> list[bytes]:
        from bson import decode_all

        if len(starts) and int((ends - starts).sum()) != len(part):
            part = b"".join(
                [part[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            )
        dumps, finite = self._values.dumps, _is_finite(part)
        return [
            dumps(document, finite=finite) + b"\n" for document in decode_all(part, self._options)
        ]


def _is_finite(part: bytes) -> bool:
    """Whether no bytes look like the last two of a NaN or an Infinity."""
    data = np.frombuffer(part, np.uint8)
    last = np.flatnonzero((data[1:] & 0x7F) == 0x7F)
    return not (data[last] >= 0xF0).any()


def _joined(lines: pa.Array) -> bytes:
    """Give all lines in one piece."""
    _, offsets, data = lines.buffers()
    if data is None:
        return b""
    ends = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return data[int(ends[0]) : int(ends[-1])].to_pybytes()  # type: ignore[no-any-return]
