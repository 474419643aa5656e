"""The log of a container: the engine's messages made into lines, and one that is followed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from struct import Struct
from typing import Any

from tradewind.errors import RetryError, TradewindError
from tradewind.run.backend import LogLine
from tradewind.run.backends._engine import Engine

__all__ = ["Follower", "lines_of", "messages"]

#: Batches of lines that are read ahead, each of what has come at once.
_BATCHES_AHEAD = 16
_HEADER = 8
#: Of all parts of a long line but the last, where the engine's driver is ``local``.
_PART_BYTES = 16 * 1024
_LENGTH = Struct(">I").unpack_from


class Follower:
    """One open connection to a container's log, read by a thread of its own.

    Args:
        engine: Where the container is.
        name: The container's.
        after: Cursor of the last line known; None for all from the beginning.
        told: What the engine tells of the container.
        follow: Whether the log is waited for; else it ends where it ends now.
    """

    def __init__(
        self, engine: Engine, name: str, after: str | None, *, told: Mapping[str, Any], follow: bool
    ) -> None:
        self.cursor = after
        self._engine = engine
        self._told = told
        self._lines: queue.Queue[list[LogLine] | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
        self._closed = threading.Event()
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
        if after:
            # The engine takes seconds with a fraction, and gives what is not older.
            params["since"] = _seconds(after.partition("/")[0])
        self._tail = engine.tail(
            f"/containers/{name}/logs", what=f"the log of {name}", params=params
        )
        self._thread = threading.Thread(target=self._read, args=(after,), daemon=True)
        self._thread.start()

    def take(self, wait: float | None) -> list[LogLine] | None:
        """Take the next lines: none when there are none in time, None when there will be no more.

        Args:
            wait: Seconds; None waits for the end of the log.
        """
        try:
            found = self._lines.get(timeout=wait)
        except queue.Empty:
            return []
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """End the connection and its thread."""
        self._closed.set()
        self._tail.end()
        while self._thread.is_alive():
            try:
                self._lines.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)

    def _read(self, after: str | None) -> None:
        try:
            for lines in lines_of(self._tail.chunks(), self._told, after):
                self._lines.put(lines)
                if self._closed.is_set():
                    return
            self._lines.put(None)
        except TradewindError as error:
            if not self._closed.is_set():
                self._lines.put(error)
        except Exception as error:
            if not self._closed.is_set():
                self._lines.put(RetryError(f"{self._engine.url}: the log broke off: {error!r}."))


def messages(chunks: Iterator[bytes], *, tty: bool) -> Iterator[list[tuple[int, bytes]]]:
    """Split a stream of a container's output into the engine's messages.

    Args:
        chunks: What the engine sends.
        tty: Whether the container has a terminal: then there are no frames, only lines.

    Yields:
        Those of one chunk: stream (1 stdout, 2 stderr) and bytes, each a line, or 16 KiB of a
        longer one.
    """
    rest = b""
    for chunk in chunks:
        data = rest + chunk if rest else chunk
        found: list[tuple[int, bytes]] = []
        if tty:
            *lines, rest = data.split(b"\n")
            found = [(1, line.removesuffix(b"\r") + b"\n") for line in lines]
        else:
            begin, size = _HEADER, len(data)
            while begin <= size:
                # Header: stream, three zeros, length of the message (big endian).
                end = begin + _LENGTH(data, begin - 4)[0]
                if end > size:
                    break
                found.append((data[begin - _HEADER], data[begin:end]))
                begin = end + _HEADER
            rest = data[begin - _HEADER :]
        if found:
            yield found
    if tty and rest:
        yield [(1, rest)]


def lines_of(
    chunks: Iterator[bytes], told: Mapping[str, Any], after: str | None = None
) -> Iterator[list[LogLine]]:
    """Make lines of a stream of a container's output, without those up to a cursor.

    The engine sends messages ``TIMESTAMP TEXT``. A line of more than 16 KiB comes in several, of
    which all but the last have no line's end. With the driver ``local`` of Docker 20.10 the
    last has none either: there it is the one that is shorter.

    A cursor is the engine's timestamp of a line, to the nanosecond, a slash, and how many lines
    there were with that timestamp up to it.

    Args:
        chunks: What the engine sends.
        told: What it tells of the container.
        after: Cursor of the last line known; None for none.
    """
    driver = (told.get("HostConfig") or {}).get("LogConfig") or {}
    least = _PART_BYTES if driver.get("Type") == "local" else 0
    tty = bool((told.get("Config") or {}).get("Tty"))
    stamp, _, count = (after or "").partition("/")
    skip, at, same = int(count or 0), stamp, 0
    begun: dict[int, tuple[str, list[bytes]]] = {}
    # A million lines a log: what is looked up once is not looked up a million times.
    new, read_time = tuple.__new__, datetime.fromisoformat

    for batch in messages(chunks, tty=tty):
        made: list[LogLine] = []
        add = made.append
        for channel, message in batch:
            first, _, text = message.decode("utf-8", "replace").partition(" ")
            if begun or text[-1:] != "\n":
                # In bytes: a character may be half in this part and half in the next.
                raw = message.partition(b" ")[2]
                first, parts = begun.pop(channel, (first, []))
                parts.append(raw)
                if raw[-1:] != b"\n":
                    if len(raw) >= least:
                        begun[channel] = (first, parts)
                        continue
                    parts.append(b"\n")
                text = b"".join(parts).decode(errors="replace")
            if first != at:
                at, same, skip = first, 0, 0
            same += 1
            if same <= skip:
                continue
            add(new(LogLine, (text[:-1], f"{first}/{same}", read_time(first))))
        if made:
            yield made
    for first, parts in begun.values():
        same = same + 1 if first == at else 1
        at = first
        if same > skip or first != stamp:
            text = b"".join(parts).decode(errors="replace")
            yield [LogLine(text, f"{first}/{same}", datetime.fromisoformat(first))]


def _seconds(stamp: str) -> str:
    """Spell a timestamp as the engine takes it: seconds, a point, nanoseconds."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return f"{seconds}.{fraction.ljust(9, '0')}"
