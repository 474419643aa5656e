"""Rows of ``COPY ... TO STDOUT`` that are too long, found among the bytes as they come."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tradewind.move.row_limit import too_long

__all__ = ["LongRows"]

_HEADER = 19
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_FIELD = struct.Struct("!i")


class LongRows:
    """Refuses rows that are too long.

    Source: https://www.postgresql.org/docs/current/sql-copy.html, "File Formats". The server sends
    a row as one message, which the client library takes whole.

    Args:
        system: Where they are read from, for the error.
        limit: Bytes of the longest row.
        kind: The format of COPY.
        columns: Names of the columns.
        quote: What CSV quotes with.
    """

    def __init__(
        self,
        system: str,
        limit: int,
        kind: Literal["binary", "text", "csv"],
        columns: Sequence[str],
        quote: str = '"',
    ) -> None:
        self._system = system
        self._limit = limit
        self._columns = columns
        self._quote = quote.encode()
        self._sizes: dict[str, Callable[[bytes], Iterator[list[int]]]] = {
            "binary": _binary,
            "text": _text,
            "csv": self._csv,
        }
        self._kind = kind

    def check(self, data: bytes) -> None:
        """Look at whole rows.

        Raises:
            InputError: One is too long.
        """
        if len(data) <= self._limit:
            return
        for sizes in self._sizes[self._kind](data):
            total = sum(sizes)
            if total <= self._limit:
                continue
            longest = max(sizes)
            names = self._columns
            if longest > self._limit and len(sizes) == len(names):
                column = names[sizes.index(longest)]
                raise too_long(self._system, longest, self._limit, column=column)
            raise too_long(self._system, total, self._limit)

    def _csv(self, data: bytes) -> Iterator[list[int]]:
        """Give lengths of whole records: those of their values do not matter enough to parse."""
        size = quotes = begin = 0
        while begin < len(data):
            end = data.find(b"\n", begin) + 1 or len(data)
            size += end - begin
            quotes += data.count(self._quote, begin, end)
            begin = end
            if quotes % 2 == 0:
                yield [size]
                size = quotes = 0


def _text(data: bytes) -> Iterator[list[int]]:
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin) + 1 or len(data)
        sizes = []
        while begin < end:
            tab = data.find(b"\t", begin, end) + 1 or end
            sizes.append(tab - begin - 1)
            begin = tab
        yield sizes


def _binary(data: bytes) -> Iterator[list[int]]:
    at = _HEADER if data.startswith(_SIGNATURE) else 0
    while at + 2 <= len(data):
        count = int.from_bytes(data[at : at + 2], "big", signed=True)
        at += 2
        sizes = []
        for _ in range(max(0, count)):
            size = max(0, _FIELD.unpack_from(data, at)[0])
            sizes.append(size)
            at += 4 + size
        yield sizes or [0]
