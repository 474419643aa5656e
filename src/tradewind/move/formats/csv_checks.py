"""What is looked at in the beginning of a CSV file, whether its records are parsed or passed on."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.interface import format_option, option

if TYPE_CHECKING:
    from tradewind.move.formats.csv_dialect import CsvDialect

__all__ = [
    "LINES",
    "ROWLESS",
    "EmptyFileError",
    "QuoteCheck",
    "check_delimiter",
    "check_names",
    "counted",
    "has_lone_returns",
    "is_plainly_quoted",
    "numbered",
]

ROWLESS = b"tradewind.rowless"
"""Key in a schema's metadata: the file has a header and no record, so that it tells no types."""

LINES = 20
"""How many lines are looked at."""

_PIECE = 1 << 17
"""Bytes that are looked at together, so that they stay in the processor's cache."""

_UTF8_BOM = b"\xef\xbb\xbf"


class EmptyFileError(CorruptDataError):
    """A file has nothing but a byte order mark or line ends."""

    def __init__(self) -> None:
        super().__init__(
            "CSV: the file is empty, which says nothing of columns. Fetch it again, or declare "
            f"them, as with {option('schema', {'id': 'int64'})}",
            offset=0,
        )


def counted(data: bytes, mark: bytes, begin: int = 0, end: int | None = None) -> int:
    """Count a byte that there may be many of, for which `bytes.count` is slow.

    Args:
        data: Where.
        mark: The byte.
        begin: Where to begin.
        end: Where to end; at the end of the data when not given.
    """
    end = len(data) if end is None else end
    if data.find(mark, begin, end) < 0:
        return 0
    octets = np.frombuffer(data, np.uint8)
    return sum(
        int(np.count_nonzero(octets[at : min(at + _PIECE, end)] == ord(mark)))
        for at in range(begin, end, _PIECE)
    )


def check_names(names: Sequence[str]) -> None:
    """Refuse a header that names a column twice, or not at all.

    Args:
        names: What it says.

    Raises:
        InputError: It does.
    """
    if names[0].lower() == "sep=" or (names[0].lower().startswith("sep=") and len(names) == 1):
        raise InputError(
            f"CSV: the first line, {names[0]!r}, is a note for Excel and no header. Remove it, and "
            f"give {format_option('delimiter', ';')} if the values are parted by another character."
        )
    twice = sorted({name for name in names if names.count(name) > 1 or not name})
    if twice:
        raise InputError(
            f"CSV: the header has the column {twice[0]!r} "
            f"{'without a name' if not twice[0] else 'more than once'}. Correct it, or have such "
            f"columns numbered with {format_option('names', 'number')}."
        )


def numbered(names: Sequence[str]) -> list[str]:
    """Give each column a name of its own.

    Args:
        names: What the header says.

    Returns:
        The names; ``column_1`` and so on where there is none, ``a_2`` for a second ``a``.
    """
    found: dict[str, None] = {}
    for index, name in enumerate(names, 1):
        plain = name or f"column_{index}"
        more = (f"{plain}_{number}" for number in range(2, len(names) + 2))
        free = (one for one in (plain, *more) if one not in found)
        # A later column that is called so keeps its name.
        found[next(one for one in free if one == name or one not in names)] = None
    return list(found)


_FOREIGN = re.compile(rb"""\s*(?:<(?:!doctype|html|\?xml)\b|(?P<json>[\[{]*\{\s*"))""", re.I)
"""How a page to log in or an API's answer begins, saved under the name of a table."""


def check_delimiter(format: CsvDialect, first: bytes) -> None:
    """Refuse a file of one column whose lines all have another delimiter, or that is no CSV.

    Args:
        format: The dialect by which it has one column.
        first: Its first lines.

    Raises:
        InputError: It has such lines, or begins as HTML, XML or JSON do.
    """
    lines = first.removeprefix(_UTF8_BOM).split(b"\n")
    lines = [line for line in lines[: LINES if len(lines) > LINES else None] if line.strip()]
    found = _FOREIGN.match(lines[0]) if lines and format.header else None
    if found is not None:
        name = lines[0].decode(errors="replace").strip()
        json = f", or give {option('format', 'jsonl')} for JSON lines" if found["json"] else ""
        raise InputError(
            f"CSV: the file begins with {name[:80]!r}, which is {'JSON' if json else 'HTML or XML'}"
            f" and no header. Fetch the right file{json}. If it is one column of text, declare its "
            f"type with {option('schema', {name[:80]: 'string'})}."
        )
    for mark in {";", "\t", "|", ","} - {format.delimiter}:
        counts = {line.count(mark.encode()) for line in lines}
        if lines and len(counts) == 1 and counts != {0}:
            shown = "\\t" if mark == "\t" else mark
            name = lines[0].decode(errors="replace").strip()[:80]
            raise InputError(
                f"CSV: with the delimiter {format.delimiter!r} the file has one column, "
                f"{name!r}, but each line is parted by {mark!r}. Give "
                f"{format_option('delimiter', shown)}. If it is one column of text, declare "
                f"its type with {option('schema', {name: 'string'})}."
            )


def _beside(format: CsvDialect) -> npt.NDArray[np.bool_]:
    """Mark the bytes that may stand outside of a quote, next to it."""
    found = np.zeros(256, np.bool_)
    found[np.frombuffer(f"{format.delimiter}\n\r{format.quote}".encode(), np.uint8)] = True
    return found


def _misplaced(
    octets: npt.NDArray[np.uint8],
    places: npt.NDArray[np.intp],
    beside: npt.NDArray[np.bool_],
    *,
    odd: bool,
) -> npt.NDArray[np.intp]:
    """Find opening quotes behind, and closing ones before, something else than may be there."""
    begins, ends = places[int(odd) :: 2], places[1 - int(odd) :: 2]
    return np.concatenate((begins[~beside[octets[begins - 1]]], ends[~beside[octets[ends + 1]]]))


def has_lone_returns(block: bytes) -> bool:
    """Whether a carriage return stands without a line feed behind it."""
    return b"\r" in block and counted(block, b"\r") != block.count(b"\r\n")


def is_plainly_quoted(format: CsvDialect, block: bytes) -> bool:
    """Whether whole records are such that every reader cuts them alike.

    Args:
        format: Their dialect.
        block: The records.

    Returns:
        True where quotes stand around whole values and are doubled within, and only line feeds end
        records. False where it may be otherwise.
    """
    if format.escape is not None or has_lone_returns(block) or not block:
        return False
    quote = format.quote.encode()
    if quote not in block:
        return True
    octets = np.frombuffer(block, np.uint8)
    places = np.flatnonzero(octets == ord(quote))
    if len(places) % 2:
        return False
    # The very first and last have nothing beyond them: a line feed, in effect.
    beside = _beside(format)
    if places[-1] == len(block) - 1:
        octets = np.append(octets, np.uint8(0x0A))
    begins = places[2::2] if places[0] == 0 else places[::2]
    return bool(beside[octets[begins - 1]].all() and beside[octets[places[1::2] + 1]].all())


class QuoteCheck:
    """Looks whether quotes stand where RFC 4180 has them: around whole values, doubled in them.

    PostgreSQL and Arrow leave out others without a word.

    Args:
        format: The dialect.
        literal: Whether a value that does not begin with a quote may hold some as they are, as
            Arrow reads it. All that is looked at then has to be one piece.
        where: Where it is, for messages; by its line when not given.
    """

    def __init__(
        self, format: CsvDialect, *, literal: bool = False, where: str | None = None
    ) -> None:
        self._quote = ord(format.quote)
        self._beside = _beside(format)
        self._escape = format.escape
        self._literal = literal
        self._where = where
        self._kept = b""  # the last byte that was not looked at, after the one before it
        self._begun = False
        self._odd = False
        self._lines = 1
        mark, quote = re.escape(format.delimiter.encode()), re.escape(format.quote.encode())
        self._value = re.compile(
            rb"(?:%b(?:[^%b]++|%b%b)*+%b|(?!%b)[^%b\r\n]*+)(?:%b|\r?\n|\r|\Z)"
            % (quote, quote, quote, quote, quote, quote, mark, mark)
        )

    def pieces(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Hand bytes on that have been looked at.

        Raises:
            InputError: A quote stands elsewhere.
        """
        try:
            for chunk in chunks:
                self.look(chunk)
                yield chunk
            self.look(b"\n")
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    def look(self, chunk: bytes) -> None:
        """Look at the next bytes; the last one waits for its successor."""
        if self._literal:
            self._look(chunk)
            return
        for at in range(0, len(chunk), _PIECE):
            self._look(chunk[at : at + _PIECE])

    def _look(self, chunk: bytes) -> None:
        data = self._kept + chunk
        if not self._begun:
            self._begun = len(data) >= len(_UTF8_BOM)
            if not self._begun:
                self._kept = data
                return
            data = b"\n" + data.removeprefix(_UTF8_BOM)
        self._kept = data[-2:]
        if self._escape is not None or len(data) < 3:
            return
        if self._quote in data:
            self._quotes(data)
        self._lines += counted(data, b"\n", 1, len(data) - 1)

    def _quotes(self, data: bytes) -> None:
        octets = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(octets[1:-1] == self._quote) + 1
        wrong = _misplaced(octets, places, self._beside, odd=self._odd)
        self._odd ^= bool(len(places) % 2)
        if self._literal and len(wrong):
            wrong = self._stray(data)
        if len(wrong):
            at = int(wrong.min())
            line = self._lines + data.count(b"\n", 1, at)
            text = data[max(at - 20, 1) : at + 20].decode(errors="replace")
            raise InputError(
                f"CSV: {self._where or f'in line {line}'} a quote stands in the wrong place, about "
                f"{text!r}. Quote the whole value and double the quotes in it, or name another "
                f"quote, as with {format_option('quote', '|')}."
            )

    def _stray(self, data: bytes) -> np.ndarray:
        """Find where a value goes on behind its closing quote, in records that begin here."""
        at = 1
        while at < len(data):
            found = self._value.match(data, at)
            if found is None or found.end() == at:
                return np.array([at])
            at = found.end()
        return np.array([], np.int64)
