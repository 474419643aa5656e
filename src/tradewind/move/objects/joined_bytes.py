"""Several objects of one format as one stream of bytes."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.move.formats.csv_checks import LINES, check_delimiter, check_names
from tradewind.move.interface import format_option, option

if TYPE_CHECKING:
    from tradewind.move.formats.csv import CsvFormat

__all__ = ["CsvBytes", "LineBytes"]

_LOOKED_AT = 1 << 20
_LONGEST_HEADER = 64 << 20
_MARK = b"\xef\xbb\xbf"  # of UTF-8


class LineBytes:
    """JSON lines of several objects, one after the other; a line end that is missing is added."""

    def __init__(self) -> None:
        self.rows = 0

    def join(self, objects: Iterable[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
        """Give the bytes of all."""
        last = b"\n"
        for where, own in objects:
            chunks = _first_line_checked(where, own)
            if last != b"\n":
                self.rows += 1
                yield b"\n"
            last = b"\n"
            for chunk in _without_mark(chunks):
                if chunk:
                    self.rows += chunk.count(b"\n")
                    last = chunk[-1:]
                    yield chunk
        if last != b"\n":
            self.rows += 1


def _first_line_checked(where: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """See that the first line is an object: an array, or one that spans lines, is no JSON lines."""
    from tradewind.move.formats.jsonl import JsonLinesFormat

    begin = b""
    for chunk in chunks:
        begin += chunk
        if b"\n" in begin.lstrip() or len(begin) >= _LOOKED_AT:
            break
    line, ended, _ = begin.removeprefix(_MARK).lstrip().partition(b"\n")
    if (ended or len(begin) < _LOOKED_AT) and not _is_object(line):
        try:
            JsonLinesFormat().decode([line]).close()
        except InputError as error:
            error.args = (f"{where}: {error}",)
            raise
    return itertools.chain([begin], chunks)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Step over the mark of UTF-8 at the beginning, which may come in pieces."""
    begin: bytes | None = b""
    for chunk in chunks:
        if begin is None:
            yield chunk
            continue
        begin += chunk
        if len(begin) >= len(_MARK) or not _MARK.startswith(begin):
            yield begin.removeprefix(_MARK)
            begin = None
    if begin:
        yield begin


class CsvBytes:
    """CSV of several objects, one after the other, with the header of the first alone.

    Args:
        format: The dialect of all of them.
    """

    def __init__(self, format: CsvFormat) -> None:
        self._format = format
        self._quote = format.quote.encode()
        self._end = format.line_end.encode()
        self._header: list[str] | None = None
        self._quoted = False
        self._lines = 0

    @property
    def rows(self) -> int | None:
        """Records, where no value is quoted, so that each line is one; else None."""
        return None if self._quoted else self._lines - (self._header is not None)

    def columns(self, where: str, chunks: Iterator[bytes]) -> tuple[tuple[str, ...], list[bytes]]:
        """Read the header of an object.

        Args:
            where: What the object is called, for messages.
            chunks: Its bytes.

        Returns:
            The names, and all that was read of it.
        """
        names, read, _ = self._read_header(where, chunks)
        return tuple(names), read

    def checked(
        self, where: str, chunks: Iterator[bytes]
    ) -> tuple[tuple[str, ...] | None, list[bytes]]:
        """Look at the beginning of the first object as if its records were parsed.

        Args:
            where: What the object is called, for messages.
            chunks: Its bytes.

        Returns:
            The names of the header, if the format has one, and all that was read of it.

        Raises:
            InputError: The header names a column twice or not at all, or another delimiter parts
                what is one column by this one.
        """
        names, read, _ = self._read_header(where, chunks)
        if self._format.header and names:
            check_names(names)
        elif self._format.header:
            self._check_blank(where, itertools.chain(read, chunks))
            return None, []
        if len(names) == 1:
            begin = b"".join(read)
            while begin.count(b"\n") < LINES and len(begin) < _LOOKED_AT:
                chunk = next(chunks, None)
                if chunk is None:
                    break
                read.append(chunk)
                begin += chunk
            check_delimiter(self._format, begin)
        return (tuple(names) or None) if self._format.header else None, read

    def join(self, objects: Iterable[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
        """Give the bytes of all.

        Raises:
            InputError: The header of one is another than the first one's.
        """
        open_line = False
        for where, rest in objects:
            chunks = rest if self._format.header else _without_mark(rest)
            if self._format.header:
                names, read, length = self._read_header(where, chunks)
                if not names:
                    self._check_blank(where, itertools.chain(read, chunks))
                    continue
                if self._header is None:
                    self._header = names
                    chunks = itertools.chain(read, chunks)
                else:
                    self._same(where, names)
                    chunks = itertools.chain([b"".join(read)[length:]], chunks)
            first = True
            for chunk in chunks:
                if not chunk:
                    continue
                if first and open_line:
                    # The object before did not end its last line.
                    self._lines += 1
                    yield self._end
                first, open_line = False, not chunk.endswith(b"\n")
                self._lines += chunk.count(b"\n")
                self._quoted = self._quoted or self._quote in chunk
                yield chunk
        self._lines += open_line

    def _check_blank(self, where: str, chunks: Iterable[bytes]) -> None:
        """See that an object without a header has nothing else: then it has no rows."""
        for chunk in _without_mark(chunks):
            if chunk.strip(b"\r\n"):
                raise InputError(
                    f"{where}: it begins with an empty line where a header belongs. Correct it, or "
                    f"give {format_option('header', 'false')} if it has none."
                )

    def _same(self, where: str, names: list[str]) -> None:
        header = self._header or []
        if names == header:
            return
        for expected, found in itertools.zip_longest(header, names):
            if expected != found:
                raise InputError(
                    f"{where}: its header has the column {found!r} where the first object has "
                    f"{expected!r}. Choose objects with the same columns; if only their order "
                    "differs, have them found by their names by declaring one, as with "
                    f"{option('schema', {found or 'a': 'string'})}."
                )

    def _read_header(
        self, where: str, chunks: Iterator[bytes]
    ) -> tuple[list[str], list[bytes], int]:
        data = b""
        for chunk in chunks:
            data += chunk
            length = self._record(data)
            if length:
                break
            if len(data) > _LONGEST_HEADER:
                raise InputError(f"{where}: the first line does not end. Is it CSV?")
        else:
            length = len(data)
        try:
            text = data[:length].decode().removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: the header is not UTF-8 ({error}). Is it CSV?") from error
        escape = self._format.escape
        csv.field_size_limit(max(csv.field_size_limit(), length + 1))
        reader = csv.reader(
            text.splitlines(keepends=True),
            delimiter=self._format.delimiter,
            quotechar=self._format.quote,
            escapechar=escape,
            doublequote=escape is None,
        )
        return next(reader, []), [data], length

    def _record(self, data: bytes) -> int:
        """Tell where the first record ends, behind its line end; 0 where it does not."""
        at = -1
        while (at := data.find(b"\n", at + 1)) >= 0:
            if data.count(self._quote, 0, at) % 2 == 0:
                return at + 1
        return 0
