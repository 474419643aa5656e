"""Uploads in parts of one size: gathered here, sent by threads while the next part is gathered."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from tradewind.move.store import ObjectInfo, Upload

__all__ = ["PartedUpload"]


class PartedUpload(Upload):
    """What uploads to stores that take parts have in common.

    Memory: (`senders` + 2) parts, plus what `write` is handed.

    Args:
        part_bytes: Size of all parts but the last.
        senders: How many parts are on their way at once, at most.
    """

    def __init__(self, part_bytes: int, senders: int) -> None:
        self._part_bytes = part_bytes
        self._buffer = bytearray()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sent = 0
        self._parts = 0
        self._on_the_way: deque[Future[None]] = deque()
        self._senders = senders
        self._pool: ThreadPoolExecutor | None = None
        self._over = False

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._sent + len(self._buffer)

    @abstractmethod
    def _put(self, data: bytes, md5: bytes) -> ObjectInfo:
        """Make the object of one piece, as nothing was sent before."""

    @abstractmethod
    def _begin(self) -> None:
        """Prepare for parts, before the first."""

    @abstractmethod
    def _send(self, number: int, offset: int, data: bytes) -> None:
        """Send one part that is not the last; called by the senders' threads."""

    @abstractmethod
    def _finish(self, number: int, offset: int, data: bytes, md5: bytes) -> ObjectInfo:
        """Send the last part, which may be empty, and make the object visible."""

    @abstractmethod
    def _cancel(self) -> None:
        """Remove what was sent, if anything."""

    def write(self, data: bytes) -> None:
        """Hand over the next bytes; waits while enough parts are on their way."""
        self._md5.update(data)
        rest = memoryview(data)
        while len(self._buffer) + len(rest) >= self._part_bytes:
            take = self._part_bytes - len(self._buffer)
            self._buffer += rest[:take]
            rest = rest[take:]
            part, self._buffer = bytes(self._buffer), bytearray()
            self._hand_over(part)
        self._buffer += rest

    def complete(self) -> ObjectInfo:
        """Make the object visible, whole."""
        data, md5 = bytes(self._buffer), self._md5.digest()
        if not self._parts:
            done = self._put(data, md5)
        else:
            self._wait(0)
            done = self._finish(self._parts, self._sent, data, md5)
        self._close()
        return done

    def abort(self) -> None:
        """Remove all that was sent."""
        if self._over:
            return
        for future in self._on_the_way:
            future.cancel()
        for future in self._on_the_way:
            with suppress(BaseException):
                future.result()
        self._close()
        if self._parts:
            self._cancel()

    def _hand_over(self, part: bytes) -> None:
        if self._pool is None:
            self._begin()
            self._pool = ThreadPoolExecutor(self._senders, thread_name_prefix="tradewind-upload")
        self._wait(self._senders - 1)
        self._on_the_way.append(self._pool.submit(self._send, self._parts, self._sent, part))
        self._parts += 1
        self._sent += len(part)

    def _wait(self, most: int) -> None:
        """Wait until at most so many parts are on their way; what failed there is raised here."""
        while len(self._on_the_way) > most:
            self._on_the_way.popleft().result()

    def _close(self) -> None:
        self._over = True
        self._buffer = bytearray()
        if self._pool is not None:
            self._pool.shutdown()
