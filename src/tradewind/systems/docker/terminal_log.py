"""The log of a container with a terminal, as podman sends it: text without times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tradewind.run.backend import LogLine
from tradewind.run.log_messages import cut_at_character

__all__ = ["TerminalReader"]

_MARK = "#"
#: A line is handed on in pieces of this size.
_PIECE_BYTES = 1 << 20
#: With the carriage return that may end it: what is cut does not depend on how it comes.
_LONGEST = _PIECE_BYTES + 1


class TerminalReader:
    """Makes lines of a terminal's text, without those up to a cursor.

    podman takes what a terminal's program writes in parts as it comes, and its log has a time
    before each part, in the middle of a line too. Nothing tells that from a time that the program
    wrote. So it is asked for no times, and a cursor is ``#`` and how many lines and pieces there
    were from the beginning.

    Args:
        after: Cursor of the last line known; None for none.
        ended: Whether the container has ended, so that what has no line's end will get none. A
            log that was followed may end before its last bytes.
    """

    def __init__(self, after: str | None, *, ended: bool) -> None:
        self._ended = ended
        self._skip = int((after or "").removeprefix(_MARK) or 0)
        self._number = 0

    @staticmethod
    def knows(cursor: str) -> bool:
        """Say whether a cursor is one of these."""
        return cursor.startswith(_MARK)

    def lines(self, chunks: Iterable[bytes]) -> Iterator[list[LogLine]]:
        """Make lines of all that the engine sends.

        Args:
            chunks: What it sends.

        Yields:
            Those that a chunk has completed, pieces of 1 MiB of longer ones; after the last chunk
            what has no line's end and will get none.
        """
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            found = [line for text in whole for line in self._pieces_of(text)]
            while len(rest) > _LONGEST:
                piece, rest = _cut(rest)
                found += self._line(piece, goes_on=True)
            if found:
                yield found
        if self._ended and rest and (found := list(self._pieces_of(rest))):
            yield found

    def _pieces_of(self, text: bytes) -> Iterator[LogLine]:
        while len(text) > _LONGEST:
            piece, text = _cut(text)
            yield from self._line(piece, goes_on=True)
        yield from self._line(text.removesuffix(b"\r"), goes_on=False)

    def _line(self, text: bytes, *, goes_on: bool) -> list[LogLine]:
        self._number += 1
        if self._number <= self._skip:
            return []
        cursor = f"{_MARK}{self._number}"
        return [LogLine(text.decode(errors="replace"), cursor, goes_on=goes_on)]


def _cut(text: bytes) -> tuple[bytes, bytes]:
    piece, rest = cut_at_character(text[:_PIECE_BYTES])
    return piece, rest + text[_PIECE_BYTES:]
