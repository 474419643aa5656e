"""The messages of a container's log as the engine sends them, and the lines they make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import add
from struct import Struct, unpack
from typing import Any

from tradewind.run.backend import LogLine

__all__ = ["ENDED", "LogReader", "cut_at_character", "just_before", "seconds_of"]

#: States of a container that writes nothing any more.
ENDED = ("exited", "stopped", "dead")

_HEADER = 8
#: Of all parts of a long line but the last, where the engine's driver is ``local``.
_PART_BYTES = 16 * 1024
_LENGTH = Struct(">I").unpack_from
#: In the middle of a terminal's line, before each part but the first.
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
_STAMP_BYTES = 31
_PARTS_OF_STAMP = re.compile(r"([^.Z+]*?T[^.Z+-]*)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
#: A line is handed on in pieces of this size.
_PIECE_BYTES = 1 << 20
#: A message with a whole line: its header, of which the length is kept, its time and its text.
_WHOLE = re.compile(rb"[\1\2]\0\0\0(.{4})([^ ]*) ([^\n]*)\n", re.DOTALL)
_read_time = datetime.fromisoformat
_line_of = partial(tuple.__new__, LogLine)


class LogReader:
    """Makes lines of a stream of a container's output, without those up to a cursor.

    The engine sends messages ``TIMESTAMP TEXT``. A line of more than 16 KiB comes in several, of
    which all but the last have no line's end. With the driver ``local`` of Docker 20.10 the
    last has none either: there it is the one that is shorter. A terminal's log has no messages,
    only text, with a timestamp before each such part.

    Of a line of more than 1 MiB pieces are handed on, with the timestamp of their first part.

    A cursor is a timestamp of the engine's, to the nanosecond, a slash, and how many lines there
    were from the first message with that timestamp on. That message is one before which no line
    was begun: so whoever begins there reads the same lines again, and knows them by their number.
    Timestamps of lines alone would not do. podman gives all that it has read at once the same one,
    and each part of a long line another one.

    A million lines a log: what can be done to many at once is not done to each of them.

    Args:
        told: What the engine tells of the container. Where it has ended, what has no line's end at
            the end of the log is a line too.
        after: Cursor of the last line known; None for none.
    """

    def __init__(self, told: Mapping[str, Any], after: str | None = None) -> None:
        driver = (told.get("HostConfig") or {}).get("LogConfig") or {}
        self._at, _, count = (after or "").partition("/")
        self._since, self._skip = 0, int(count or 0)
        self._stamp = ""
        self._has_ended = str((told.get("State") or {}).get("Status")).lower() in ENDED
        self._begun: dict[int, tuple[str, list[bytes]]] = {}
        self._sizes: dict[int, int] = {}
        self._rest = b""
        self.count = 0
        """How many messages there were, those of skipped lines too."""
        self.tty = bool((told.get("Config") or {}).get("Tty"))
        """Whether the container has a terminal: then there are no messages, only lines."""
        self._least = _PART_BYTES if driver.get("Type") == "local" and not self.tty else 0

    def lines(self, chunks: Iterable[bytes]) -> Iterator[list[LogLine]]:
        """Make lines of all that the engine sends.

        Args:
            chunks: What it sends.

        Yields:
            Those that a chunk has completed; after the last one what has no line's end and will
            get none.
        """
        for chunk in chunks:
            if lines := self._take(chunk):
                yield lines
        if self._has_ended and (lines := self._finish()):
            yield lines

    def _take(self, chunk: bytes) -> list[LogLine]:
        """Make the lines that a chunk completes."""
        data = self._rest + chunk
        if not (self.tty or self._begun) and (whole := _whole_lines(data)) is not None:
            self._rest = b""
            self.count += len(whole[0])
            return self._number(*whole)
        lines = []
        for channel, message in self._messages(data):
            self.count += 1
            self._come_to(message.partition(b" ")[0].decode(errors="replace"))
            for stamp, text, goes_on in self._ends_of_line(channel, message):
                lines += self._next(stamp, text, goes_on=goes_on)
        return lines

    def _messages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Split what has come into messages: stream (1 stdout, 2 stderr) and bytes."""
        if self.tty:
            yield from self._parts_of_terminal(data)
            return
        begin, size = _HEADER, len(data)
        while begin <= size:
            # Header: stream, three zeros, length of the message (big endian).
            end = begin + _LENGTH(data, begin - 4)[0]
            if end > size:
                break
            yield data[begin - _HEADER], data[begin:end]
            begin = end + _HEADER
        self._rest = data[begin - _HEADER :]

    def _parts_of_terminal(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Split a terminal's text into what would be messages without one."""
        at = 0
        while (begin := data.find(b" ", at) + 1) > 0:
            limit = begin + _PART_BYTES
            end = data.find(b"\n", begin, limit) + 1
            if not end:
                if len(data) < limit + _STAMP_BYTES:
                    break
                # An engine that splits no lines goes on without a timestamp.
                split = _STAMP.match(data, limit) is not None
                end = limit if split else data.find(b"\n", limit) + 1
                if not end:
                    break
            yield 1, data[at:end]
            at = end
        self._rest = data[at:]

    def _ends_of_line(self, channel: int, message: bytes) -> Iterator[tuple[str, str, bool]]:
        """Take a message; tell timestamp and text of the line that it ends, if it ends one.

        Before that the pieces of a line that is long enough, of the same size however the engine
        cuts its messages; of those the third says that the line goes on.
        """
        stamp, _, raw = message.partition(b" ")
        first, parts = self._begun.pop(channel, (stamp.decode(errors="replace"), []))
        parts.append(raw)
        size = self._sizes.pop(channel, 0) + len(raw)
        ends = raw[-1:] == b"\n" or len(raw) < self._least
        if not ends and size <= _PIECE_BYTES:
            self._begun[channel], self._sizes[channel] = (first, parts), size
            return
        # In bytes until here: a character may be half in one part and half in the next.
        text = b"".join(parts)
        if ends:
            text = text.removesuffix(b"\n")
            if self.tty:
                text = text.removesuffix(b"\r")
        while len(text) > _PIECE_BYTES:
            piece, rest = cut_at_character(text[:_PIECE_BYTES])
            text = rest + text[_PIECE_BYTES:]
            yield first, piece.decode(errors="replace"), True
            first = stamp.decode(errors="replace")
        if ends:
            yield first, text.decode(errors="replace"), False
        else:
            self._begun[channel], self._sizes[channel] = (first, [text]), len(text)

    def _come_to(self, stamp: str) -> None:
        """Count lines from a message on, where it is the first of its time and no line is begun."""
        if stamp != self._stamp:
            self._stamp = stamp
            if not self._begun and stamp != self._at:
                self._at, self._since, self._skip = stamp, 0, 0

    def _next(self, stamp: str, text: str, *, goes_on: bool = False) -> list[LogLine]:
        """Make the next line with its cursor; none where it is to be skipped."""
        self._since += 1
        if self._since <= self._skip:
            return []
        return [LogLine(text, f"{self._at}/{self._since}", _read_time(stamp), goes_on)]

    def _number(self, stamps: Sequence[str], texts: Sequence[str]) -> list[LogLine]:
        """Make lines of messages that are one line each, without those that are to be skipped."""
        if stamps[0] not in (self._at, self._stamp) and len(set(stamps)) == len(stamps):
            self._at, self._since, self._skip = stamps[-1], 1, 0
            self._stamp = self._at
            cursors = [f"{stamp}/1" for stamp in stamps]
            whole = [False] * len(texts)
            times = map(_read_time, stamps)
            return list(map(_line_of, zip(texts, cursors, times, whole, strict=True)))
        lines = []
        for stamp, text in zip(stamps, texts, strict=True):
            self._come_to(stamp)
            lines += self._next(stamp, text)
        return lines

    def _finish(self) -> list[LogLine]:
        """Make lines of what has no line's end and will get none."""
        if self.tty and self._rest:
            stamp, _, raw = self._rest.partition(b" ")
            self._come_to(stamp.decode(errors="replace"))
            self._begun.setdefault(1, (stamp.decode(errors="replace"), []))[1].append(raw)
        lines = []
        for first, parts in self._begun.values():
            if parts:
                lines += self._next(first, b"".join(parts).decode(errors="replace"))
        return lines


def _whole_lines(data: bytes) -> tuple[list[str], list[str]] | None:
    """Take many messages apart at once; None unless each of them is one whole line.

    Returns:
        Timestamps and texts.
    """
    found = _WHOLE.findall(data)
    if not found:
        return None
    headers, stamps, texts = zip(*found, strict=True)
    lengths = unpack(f">{len(found)}I", b"".join(headers))
    # What fits the pattern may be a message without a line's end, and the next one.
    seen = [size + 2 for size in map(add, map(len, stamps), map(len, texts))]
    if seen != list(lengths) or sum(seen) + _HEADER * len(found) != len(data):
        return None
    text = b"\n".join(texts).decode(errors="replace")
    return b" ".join(stamps).decode(errors="replace").split(" "), text.split("\n")


def cut_at_character(data: bytes) -> tuple[bytes, bytes]:
    """Split bytes so that no character in UTF-8 is split: the second part is its begin, if any."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return (data[:-back], data[-back:]) if back < length else (data, b"")
        if byte < 0x80:
            break
    return data, b""


def seconds_of(stamp: str) -> str:
    """Spell a timestamp as Docker takes it: seconds, a point, nanoseconds."""
    seconds, nanoseconds = _instant(stamp)
    return f"{seconds}.{nanoseconds:09}"


def just_before(stamp: str) -> str:
    """Spell the nanosecond before a timestamp as RFC 3339 does, in UTC.

    podman gives what is later than it is told, and rounds seconds with a fraction to the next
    quarter of a microsecond or so; this it takes as it is.
    """
    seconds, nanoseconds = _instant(stamp)
    seconds, nanoseconds = divmod(seconds * 10**9 + nanoseconds - 1, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def _instant(stamp: str) -> tuple[int, int]:
    """Read a timestamp (RFC 3339): seconds since 1970, and nanoseconds."""
    match = _PARTS_OF_STAMP.fullmatch(stamp)
    if match is None:
        raise ValueError(f"{stamp!r} is no timestamp.")
    whole, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{whole}{'+00:00' if zone == 'Z' else zone}")
    return int(moment.timestamp()), int((fraction or "").ljust(9, "0")[:9])
