"""Documents of one shape, written as JSON column by column instead of one by one.

Two BSON documents have one shape when they have the same fields of the same types in the same
order, arrays of the same length included. Between two strings all such documents have the same
bytes but for their values, at the same places: a *segment*. So documents of one shape are compared
and read segment by segment, thousands at a time, and the lines are joined from constant texts and
columns of values. Layout: https://bsonspec.org/spec.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.systems.mongodb import bson_columns as columns

__all__ = ["Matched", "Shape", "Shapes", "UnknownShapeError"]

Data = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

_MOST_COLUMNS = 100
_LONGEST_BINARY = 48


class UnknownShapeError(Exception):
    """The document has what only the slow way can write."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Bytes that all documents of a shape have in common, but for their values.

    Args:
        size: Its bytes, rounded up to a multiple of 8.
        length: Its bytes.
        mask: Words with ones where bytes are constant.
        constant: Words of these bytes.
        string: Whether it ends with the length of a string, which follows it.
    """

    size: int
    length: int
    mask: Words
    constant: Words
    string: bool

    @property
    def key(self) -> tuple[int, bytes, bytes]:
        """What equal segments have in common."""
        return self.length, self.mask.tobytes(), self.constant.tobytes()

    def test(self, data: Data, at: Ints, ends: Ints) -> tuple[Bools, Ints]:
        """Look which documents have this segment.

        Args:
            data: All documents.
            at: Where it would begin in each.
            ends: Where each document ends.

        Returns:
            Which have it, and where the next one begins in those.
        """
        words = _gather(data, at, self.size)
        good: Bools = ((words & self.mask) == self.constant).all(axis=1)
        following = at + self.length
        if self.string:
            length = _part(words, self.length - 4, 4).view("<i4")[:, 0].astype(np.int64)
            following = following + length
            good &= (length >= 1) & (following <= ends)
        return good, following


@dataclass(frozen=True)
class _Column:
    """Where the values of a field stand.

    Args:
        kind: Which of `columns.KINDS`; None is the string after the segment.
        segment: Which segment.
        offset: Where in it, in bytes.
        width: Bytes of the value.
    """

    kind: columns.Kind | None
    segment: int
    offset: int
    width: int


@dataclass(frozen=True)
class Matched:
    """Documents of one shape.

    Args:
        rows: Which of the documents asked for they are.
        lines: Their lines, binary.
    """

    rows: Ints
    lines: pa.Array


class Shape:
    """The shape of one document.

    Args:
        document: Its BSON.
        canonical: Whether JSON keeps exact types.
        key_text: Writes a string as JSON.

    Raises:
        UnknownShapeError: It has what only the slow way can write.
    """

    def __init__(
        self, document: bytes, *, canonical: bool, key_text: Callable[[str], bytes]
    ) -> None:
        self._canonical = canonical
        self._key_text = key_text
        self._document = document
        self.segments: list[Segment] = []
        self._pieces: list[bytes | _Column] = []
        self._text = bytearray()
        self._bytes = bytearray()
        self._constant = bytearray()
        self._count = 0
        try:
            self._walk(0, is_array=False)
        except (IndexError, ValueError, UnicodeError) as error:
            raise UnknownShapeError from error
        self._end_segment(string=False)
        self._literal(b"\n")
        self._end_literal()
        del self._document
        self.reach = max(segment.size for segment in self.segments)

    # Learning it from one document.

    def _walk(self, position: int, *, is_array: bool) -> int:
        document = self._document
        self._variable(document[position : position + 4])
        position += 4
        self._literal(b"[" if is_array else b"{")
        names: set[bytes] = set()
        while document[position]:
            end = document.index(b"\0", position + 1)
            kind, name = document[position], document[position + 1 : end]
            # The last of equal names counts; a reference is put in another order.
            if name in names or name == b"$ref":
                raise UnknownShapeError
            if names:
                self._literal(b",")
            names.add(name)
            self._fixed(document[position : end + 1])
            if not is_array:
                self._literal(self._key_text(name.decode()) + b":")
            position = self._value(kind, end + 1)
        self._fixed(b"\0")
        self._literal(b"]" if is_array else b"}")
        return position + 1

    def _value(self, kind: int, position: int) -> int:
        document = self._document
        if kind in (0x03, 0x04):
            return self._walk(position, is_array=kind == 0x04)
        if kind == 0x0A:
            self._literal(b"null")
            return position
        self._count += 1
        if self._count > _MOST_COLUMNS:
            raise UnknownShapeError
        if kind == 0x02:
            length = int.from_bytes(document[position : position + 4], "little")
            self._variable(document[position : position + 4])
            self._literal(b'"')
            self._column(None, 0, 0)
            self._literal(b'"')
            self._end_segment(string=True)
            return position + 4 + length
        if kind == 0x05:
            length = int.from_bytes(document[position : position + 4], "little")
            subtype = document[position + 4]
            if length > _LONGEST_BINARY or subtype == 2:
                raise UnknownShapeError
            self._fixed(document[position : position + 5])
            self._literal(b'{"$binary":{"base64":"')
            self._number(columns.BINARY, position + 5, length)
            self._literal(b'","subType":"%02x"}}' % subtype)
            return position + 5 + length
        found = columns.KINDS.get(kind)
        if found is None:
            raise UnknownShapeError
        before, after = found.canonical if self._canonical else found.relaxed
        self._literal(before)
        self._number(found, position, found.width)
        self._literal(after)
        return position + found.width

    def _number(self, kind: columns.Kind, position: int, width: int) -> None:
        self._column(kind, len(self._bytes), width)
        self._variable(self._document[position : position + width])

    def _fixed(self, data: bytes) -> None:
        self._bytes += data
        self._constant += b"\xff" * len(data)

    def _variable(self, data: bytes) -> None:
        self._bytes += data
        self._constant += bytes(len(data))

    def _literal(self, text: bytes) -> None:
        self._text += text

    def _end_literal(self) -> None:
        if self._text:
            self._pieces.append(bytes(self._text))
            self._text.clear()

    def _column(self, kind: columns.Kind | None, offset: int, width: int) -> None:
        self._end_literal()
        self._pieces.append(_Column(kind, len(self.segments), offset, width))

    def _end_segment(self, *, string: bool) -> None:
        length = len(self._bytes)
        size = -(-length // 8) * 8
        filler = bytes(size - length)
        mask = np.frombuffer(bytes(self._constant) + filler, np.uint64)
        constant = np.frombuffer(bytes(self._bytes) + filler, np.uint64) & mask
        self.segments.append(Segment(size, length, mask, constant, string))
        self._bytes.clear()
        self._constant.clear()

    # Reading others.

    def match(self, data: Data, starts: Ints, ends: Ints) -> Matched:
        """Write those documents that have this shape.

        Args:
            data: All documents, and `reach` bytes more.
            starts: Where the documents begin.
            ends: Where they end.

        Raises:
            InvalidTextError: A string is not UTF-8.
        """
        rows = np.arange(len(starts))
        places = [starts]
        for segment in self.segments:
            good, following = segment.test(data, places[-1], ends[rows])
            places.append(following)
            if not good.all():
                rows = rows[good]
                places = [one[good] for one in places]
        return self.write(data, rows, places, ends)

    def write(self, data: Data, rows: Ints, places: list[Ints], ends: Ints) -> Matched:
        """Write documents that have all segments of this shape.

        Args:
            data: As for `match`.
            rows: Which documents.
            places: Where each of their segments begins, and where the last one ends.
            ends: Where all documents end.
        """
        good = places[-1] == ends[rows]
        words: dict[int, Words] = {}
        fields = [one for one in self._pieces if isinstance(one, _Column) and one.kind is not None]
        for number in {field.segment for field in fields}:
            words[number] = _gather(data, places[number], self.segments[number].size)
        for field in fields:
            if field.kind is not None:
                fits = field.kind.fits(self._raw(words, field), self._canonical)
                good = good if fits is None else good & fits
        if not good.all():
            rows = rows[good]
            places = [one[good] for one in places]
            words = {number: one[good] for number, one in words.items()}
        if not len(rows):
            return Matched(rows, pa.array([], pa.binary()))
        parts: list[Any] = []
        for piece in self._pieces:
            if isinstance(piece, bytes):
                parts.append(pa.scalar(piece, pa.binary()))
            elif piece.kind is None:
                begins = places[piece.segment] + self.segments[piece.segment].length
                parts.append(_strings(data, begins, places[piece.segment + 1] - 1))
            else:
                parts.append(piece.kind.text(self._raw(words, piece), self._canonical))
        if len(parts) == 1:
            return Matched(rows, pa.array([self._pieces[0]] * len(rows), pa.binary()))
        return Matched(rows, pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary())))

    def _raw(self, words: dict[int, Words], field: _Column) -> Data:
        return _part(words[field.segment], field.offset, field.width)


class Shapes:
    """Several shapes, whose common beginnings are looked at once.

    Args:
        shapes: They.
    """

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._root = _Node()
        for shape in shapes:
            node = self._root
            for segment in shape.segments:
                node = node.children.setdefault(segment.key, (segment, _Node()))[1]
            node.shape = shape

    def match(
        self, data: Data, starts: Ints, ends: Ints, *, few: int
    ) -> Iterator[tuple[Shape, Matched]]:
        """Write the documents that have one of the shapes; see `Shape.match`.

        Args:
            data: As for `Shape.match`.
            starts: As for `Shape.match`.
            ends: As for `Shape.match`.
            few: So few documents are not worth looking further.

        Yields:
            A shape, and the documents that have it.
        """
        waiting = [(self._root, np.arange(len(starts)), [starts])]
        while waiting:
            node, rows, places = waiting.pop()
            if node.shape is not None:
                yield node.shape, node.shape.write(data, rows, places, ends)
                continue
            for segment, child in node.children.values():
                if len(rows) < few:
                    break
                good, following = segment.test(data, places[-1], ends[rows])
                if good.all():
                    waiting.append((child, rows, [*places, following]))
                    break
                if good.any():
                    found = [*(one[good] for one in places), following[good]]
                    waiting.append((child, rows[good], found))
                    rest = ~good
                    rows, places = rows[rest], [one[rest] for one in places]


@dataclass
class _Node:
    """Where some segments lead: to further ones, or to a shape."""

    shape: Shape | None = None
    children: dict[Any, tuple[Segment, _Node]] = dataclass_field(default_factory=dict)


def _gather(data: Data, at: Ints, size: int) -> Words:
    """Copy `size` bytes from each place."""
    windows: Any = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
    words: Words = windows[at].view(np.uint64).reshape(len(at), size // 8)
    return words


def _part(words: np.ndarray[Any, Any], offset: int, width: int) -> np.ndarray[Any, Any]:
    """Copy some bytes of each row."""
    return np.ascontiguousarray(words.view(np.uint8)[:, offset : offset + width])


def _strings(data: Data, begins: Ints, ends: Ints) -> pa.Array:
    """Copy strings, and escape what JSON wants escaped."""
    count = len(begins)
    # An array of the strings and of the gaps between them costs no copy; then every other is taken.
    offsets = np.empty(2 * count, np.int32)
    offsets[0::2] = begins
    offsets[1::2] = ends
    both = pa.Array.from_buffers(
        pa.string(), 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return columns.escaped(both.take(pa.array(np.arange(0, 2 * count, 2))))
