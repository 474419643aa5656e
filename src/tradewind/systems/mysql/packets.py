"""Rows of a prepared statement as the server sends them, many at once.

mysqlclient makes a Python object of every value, and asks for text, which the server has to print
and somebody to read again. Here a statement is prepared and executed over the socket of a session
that mysqlclient has opened (which knows all ways to log in), and what comes stays bytes.

Protocol: https://mariadb.com/kb/en/com_stmt_prepare/, https://mariadb.com/kb/en/com_stmt_execute/
and https://mariadb.com/kb/en/result-set-packets/.

Memory: a buffer as large as one block of rows and what is read at once, or as the longest row.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import TradewindError
from tradewind.move.row_limit import too_long
from tradewind.systems.mysql.connection import client_library
from tradewind.systems.mysql.errors import translated
from tradewind.systems.mysql.session import Session

__all__ = ["PADDING", "Block", "ColumnDefinition", "PreparedRows"]

PADDING = 24
"""Bytes behind the rows of a block that may be looked at, and mean nothing."""

_PREPARE, _EXECUTE = 0x16, 0x17
_LONGEST = 0xFFFFFF
"""A packet of this length goes on in the next one."""
_ERROR, _END = 0xFF, 0xFE
_DEPRECATE_EOF = 1 << 24
_MORE_RESULTS = 8
_READ = 256 << 10
_header = struct.Struct("<I").unpack_from

Block = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]
"""Bytes, and where in them each row begins and ends. Valid until the next one is asked for."""


@dataclass(frozen=True)
class ColumnDefinition:
    """A column of a result, as the server describes it.

    Args:
        name: Its name.
        kind: Number of its type.
        length: The most bytes that its text takes.
        flags: Its flags.
        decimals: Digits after the point.
        is_text: Whether it has a character set.
    """

    name: str
    kind: int
    length: int
    flags: int
    decimals: int
    is_text: bool

    @property
    def described(self) -> tuple[Any, ...]:
        """The same in the order of Python's DB-API, as far as it is known."""
        return (self.name, self.kind, None, self.length, self.length, self.decimals)


class PreparedRows:
    """The rows of one statement; made by `open`.

    Args:
        session: Where it runs. Nothing else may be asked of it before the last row.
        columns: What a row has.
    """

    def __init__(self, session: Session, connection: socket.socket) -> None:
        self.columns: tuple[ColumnDefinition, ...] = ()
        self.has_more = False
        """Whether the server has another result to send, behind the last row."""
        self._session = session
        self._socket = connection
        self._buffer = bytearray(_READ + PADDING)
        self._begin = 0
        self._end = 0

    @classmethod
    def open(cls, session: Session, sql: str) -> PreparedRows | None:
        """Prepare a statement and execute it.

        Args:
            session: Where. It must not be doing anything else.
            sql: The statement.

        Returns:
            Its rows. None where they cannot be had in this way, and nothing was executed: the
            connection is encrypted or compressed by mysqlclient, or the server does not prepare
            such a statement, or finds it wrong.

        Raises:
            TradewindError: As the server says while it executes.
        """
        if any(
            value not in ("", "OFF")
            for _, value in session.fetch(
                "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Compression')"
            )
        ):
            return None
        connection = socket.socket(fileno=os.dup(session.number))
        rows = cls(session, connection)
        try:
            connection.settimeout(None)
            statement = rows._prepare(sql.encode("utf-8", "surrogateescape"))
            if statement is None:
                rows.close()
                return None
            rows._execute(statement)
        except BaseException:
            rows.close()
            raise
        return rows

    # ------------------------------------------------------------------------------------ commands

    def _command(self, command: int, rest: bytes) -> None:
        """Send a command, in packets of at most 16 MB."""
        payload = bytes([command]) + rest
        packets = []
        for number, start in enumerate(range(0, len(payload) + 1, _LONGEST)):
            part = payload[start : start + _LONGEST]
            packets.append(len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part)
        try:
            self._socket.sendall(b"".join(packets))
        except OSError as error:
            raise self._lost(error) from error

    def _prepare(self, sql: bytes) -> int | None:
        self._command(_PREPARE, sql)
        answer = self._packet()
        if answer[0] == _ERROR:
            return None
        statement, columns, parameters = struct.unpack_from("<IHH", answer, 1)
        ends = 0 if self._session.capabilities & _DEPRECATE_EOF else 1
        for _ in range(parameters + ends if parameters else 0):
            self._packet()
        definitions = [self._packet() for _ in range(columns + ends if columns else 0)]
        self.columns = tuple(map(_definition, definitions[:columns]))
        if parameters or not columns:
            return None
        return int(statement)

    def _execute(self, statement: int) -> None:
        self._command(_EXECUTE, struct.pack("<IBI", statement, 0, 1))
        answer = self._packet()
        if answer[0] == _ERROR:
            raise self._refused(answer)
        # The definitions come again, unless the server knows that they have not changed.
        again: list[ColumnDefinition] = []
        while self._peeked(4) == b"\x03def":
            again.append(_definition(self._packet()))
        if again:
            self.columns = tuple(again)
        if not self._session.capabilities & _DEPRECATE_EOF:
            self._packet()

    # --------------------------------------------------------------------------------------- rows

    def blocks(self, size: int, most: int, *, longest: int) -> Iterator[Block]:
        """Read all rows.

        Args:
            size: A block ends with the row that makes it so many bytes,
            most: or with so many rows: so by the rows alone, whenever they arrive.
            longest: Bytes of the longest row that may come.

        Yields:
            Blocks, the buffer of which the next one takes.

        Raises:
            InputError: A row is longer, as its packet says before it comes.
            TradewindError: The server says, or the connection is lost.
        """
        more = True
        rows = 0
        while more:
            starts: list[int] = []
            at = self._begin
            while True:
                at = self._walk(starts, at, self._begin + size, most)
                last = at
                if starts and self._buffer[starts[-1]] != 0:
                    more = False
                    last = starts.pop() - 4
                    self._ended(last + 4, at)
                    break
                if at - self._begin >= size or len(starts) == most:
                    break
                if self._end - at >= 4 and self._announced(at) > longest:
                    raise self._too_long(self._announced(at), longest, rows + len(starts) + 1)
                if moved := self._read():
                    at -= moved
                    starts = [start - moved for start in starts]
            self._begin = at
            if starts:
                begins = np.array(starts, np.int64)
                ends = np.append(begins[1:] - 4, last)
                sizes = ends - begins
                if sizes.max() > longest:
                    long = int(np.argmax(sizes > longest))
                    raise self._too_long(int(sizes[long]), longest, rows + long + 1)
                rows += len(starts)
                yield np.frombuffer(self._buffer, np.uint8)[: self._end + PADDING], begins, ends

    def _walk(self, starts: list[int], at: int, full: int, most: int) -> int:
        """Go from packet to packet as far as they have come; tell where that is."""
        if self._end - at >= _LONGEST:
            return self._walk_long(starts, at, full, most)
        buffer, header, longest, append = self._buffer, _header, _LONGEST, starts.append
        # None of them can be of several packets here. Few words, as it is done for each row.
        stop = min(full, self._end - 3)
        packet = at
        for _ in itertools.repeat(None, most - len(starts)):
            if at >= stop:
                break
            packet = at
            append(at + 4)
            at += 4 + (header(buffer, at)[0] & longest)
        if at > self._end:  # the last one has not come whole
            starts.pop()
            return packet
        return at

    def _walk_long(self, starts: list[int], at: int, full: int, most: int) -> int:
        """Do the same where rows of several packets may be."""
        while len(starts) < most and self._end - at >= 4 and at < full:
            length = _header(self._buffer, at)[0] & _LONGEST
            following: int | None = at + 4 + length
            if length == _LONGEST:
                following = self._joined(at)
            if following is None or following > self._end:
                break
            starts.append(at + 4)
            at = following
        return at

    def _joined(self, at: int) -> int | None:
        """Take the headers out of a row of several packets; None where it has not come whole."""
        headers = []
        length, place = _LONGEST, at
        while length == _LONGEST:
            place += 4 + length
            if self._end - place < 4:
                return None
            length = _header(self._buffer, place)[0] & _LONGEST
            headers.append(place)
        if place + 4 + length > self._end:
            return None
        for header in reversed(headers):
            self._buffer[header : self._end - 4] = self._buffer[header + 4 : self._end]
            self._end -= 4
        return place + 4 + length - 4 * len(headers)

    def _announced(self, at: int) -> int:
        """Tell how long a row is that has not come whole; as far as that is known of it."""
        total = 0
        length = _LONGEST
        while length == _LONGEST and self._end - at >= 4:
            length = int(_header(self._buffer, at)[0] & _LONGEST)
            total += length
            at += 4 + length
        return total

    def _too_long(self, size: int, longest: int, row: int) -> TradewindError:
        may = [each.name for each in self.columns if each.length >= longest // len(self.columns)]
        return too_long(self._session.system, size, longest, among=may, row=row)

    def _ended(self, start: int, at: int) -> None:
        packet = bytes(self._buffer[start:at])
        if packet[0] == _ERROR:
            raise self._refused(packet)
        if packet[0] != _END:
            raise self._error(2027, "malformed packet")
        at = 3  # behind the mark and the warnings
        if self._session.capabilities & _DEPRECATE_EOF:
            _, at = _size(packet, 1)
            _, at = _size(packet, at)
        self.has_more = bool(int.from_bytes(packet[at : at + 2], "little") & _MORE_RESULTS)

    # ------------------------------------------------------------------------------------- reading

    def _read(self) -> int:
        """Read more; tell by how much what was there has been moved to the front for it."""
        moved = 0
        free = len(self._buffer) - PADDING - self._end
        if free < _READ and self._begin:
            kept = self._buffer[self._begin : self._end]
            self._buffer[: len(kept)] = kept
            moved, self._begin, self._end = self._begin, 0, len(kept)
            free = len(self._buffer) - PADDING - self._end
        if free < _READ:
            larger = bytearray(max(2 * len(self._buffer), _READ + PADDING))
            larger[: self._end] = self._buffer[: self._end]
            self._buffer = larger
        with memoryview(self._buffer) as view, view[self._end : -PADDING] as room:
            try:
                got = self._socket.recv_into(room)
            except OSError as error:
                raise self._lost(error) from error
        if not got:
            raise self._lost(None)
        self._end += got
        return moved

    def _need(self, size: int) -> None:
        while self._end - self._begin < size:
            self._read()

    def _length(self) -> int:
        self._need(4)
        return int(_header(self._buffer, self._begin)[0] & _LONGEST)

    def _peeked(self, size: int) -> bytes:
        """Look at the first bytes of the next packet, as many as it has."""
        size = min(size, self._length())
        self._need(4 + size)
        return bytes(self._buffer[self._begin + 4 : self._begin + 4 + size])

    def _packet(self) -> bytes:
        size = self._length()
        self._need(4 + size)
        packet = bytes(self._buffer[self._begin + 4 : self._begin + 4 + size])
        self._begin += 4 + size
        if not packet:
            raise self._error(2027, "malformed packet")
        return packet

    # -------------------------------------------------------------------------------------- errors

    def _refused(self, packet: bytes) -> TradewindError:
        """Make the error that a packet tells of: number, ``#`` and state, text."""
        text = packet[3:]
        if text[:1] == b"#":
            text = text[6:]
        return self._error(int.from_bytes(packet[1:3], "little"), text.decode("utf-8", "replace"))

    def _lost(self, error: OSError | None) -> TradewindError:
        why = f" ({error.strerror or error})" if error else ""
        return self._error(2013, f"Lost connection to server while reading{why}")

    def _error(self, number: int, text: str) -> TradewindError:
        return translated(client_library().OperationalError(number, text), self._session.system)

    def close(self) -> None:
        """Let go of the socket; the session keeps its own. May be called again."""
        self._socket.close()


def _definition(packet: bytes) -> ColumnDefinition:
    """Read a column's definition."""
    at = 0
    texts = []
    for _ in range(6):  # catalog, schema, table, its own name, name, its own name
        size, at = _size(packet, at)
        texts.append(packet[at : at + size])
        at += size
    # MariaDB may tell more of the type here; behind it are always twelve bytes.
    while True:
        size, at = _size(packet, at)
        if len(packet) - at <= 12:
            break
        at += size
    charset, length, kind, flags, decimals = struct.unpack_from("<HIBHB", packet, at)
    name = texts[4].decode("utf-8", "replace")
    return ColumnDefinition(name, kind, length, flags, decimals, charset != _NO_CHARSET)


_NO_CHARSET = 63


def _size(packet: bytes, at: int) -> tuple[int, int]:
    """Read a length in the protocol's own way; gives where it ends too."""
    first = packet[at]
    if first < 0xFB:
        return first, at + 1
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    return int.from_bytes(packet[at + 1 : at + 1 + width], "little"), at + 1 + width
