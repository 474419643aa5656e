"""Input objects cut into request payloads, in a stream.

What a record is: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html; RecordIO
frames are as `sagemaker_local.recordio` describes them.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from sagemaker_local.errors import InputError
from sagemaker_local.recordio import LENGTH_BITS, MAGIC

__all__ = ["Splitter", "gunzip", "payloads", "splitter"]


class Splitter(Protocol):
    """Cuts a stream of bytes into payloads."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes; give the payloads that are whole now."""
        ...

    def finish(self) -> Iterator[bytes]:
        """Give what is left at the end."""
        ...


def splitter(split: str, *, multi: bool, limit: int) -> Splitter:
    """The splitter for a transform job's SplitType and BatchStrategy.

    Args:
        split: None, Line or RecordIO.
        multi: Whether a payload takes as many records as fit (MultiRecord), or one.
        limit: The most bytes a payload may have.
    """
    if split == "None":
        return _Whole(limit)
    take = _take_lines if split == "Line" else _take_frames
    return _Records(take, multi=multi, limit=limit)


async def payloads(chunks: AsyncIterator[bytes], split: Splitter) -> AsyncIterator[bytes]:
    """Cut a stream into payloads; empty ones are left out.

    Raises:
        InputError: A record is larger than a payload may be, or is broken.
    """
    async for chunk in chunks:
        for payload in split.feed(chunk):
            if payload:
                yield payload
    for payload in split.finish():
        if payload:
            yield payload


async def gunzip(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Decompress a gzip stream, of several members too.

    Raises:
        InputError: It is not gzip, or it is cut off.
    """
    inflate = zlib.decompressobj(wbits=31)
    fed = False
    try:
        async for chunk in chunks:
            while chunk:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                fed = True
                # At most a megabyte at a time: a small chunk may hold a very large text.
                out = inflate.decompress(chunk, 1 << 20)
                chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
                if out:
                    yield out
    except zlib.error as error:
        raise InputError(f"The object is not gzip, as CompressionType says: {error}") from error
    if fed and not inflate.eof:
        raise InputError("The object's gzip stream is cut off")


def _too_large(limit: int) -> InputError:
    return InputError(
        f"Too much data for max payload size: a record has more than {limit} bytes. Raise "
        "MaxPayloadInMB or choose a SplitType."
    )


class _Whole:
    """The object as one payload."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size > self._limit:
            raise _too_large(self._limit)
        return iter(())

    def finish(self) -> Iterator[bytes]:
        yield b"".join(self._parts)


# Where the records of a buffer end, from a place on: the end of the last whole record that fits
# (or of the first one, when only one is wanted), or -1 when no record is whole.
_Take = Callable[[bytearray, int, int, bool, bool], int]


class _Records:
    """Payloads of whole records."""

    def __init__(self, take: _Take, *, multi: bool, limit: int) -> None:
        self._take = take
        self._multi = multi
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._buffer += chunk
        # A payload of many records is cut when more than one payload is there.
        if self._multi and len(self._buffer) <= self._limit:
            return
        yield from self._cut(final=False)

    def finish(self) -> Iterator[bytes]:
        yield from self._cut(final=True)

    def _cut(self, *, final: bool) -> Iterator[bytes]:
        buffer, start = self._buffer, 0
        try:
            while start < len(buffer):
                if self._multi and not final and len(buffer) - start <= self._limit:
                    return
                end = self._take(buffer, start, self._limit, self._multi, final)
                if end < 0:
                    if len(buffer) - start > self._limit + 2:
                        raise _too_large(self._limit)
                    return
                payload = bytes(memoryview(buffer)[start:end])
                start = end
                if self._take is _take_lines:
                    payload = payload.rstrip(b"\r\n")
                if len(payload) > self._limit:
                    raise _too_large(self._limit)
                yield payload
        finally:
            del buffer[:start]


def _take_lines(buffer: bytearray, start: int, limit: int, multi: bool, final: bool) -> int:
    if multi:
        if final and len(buffer) - start <= limit:
            return len(buffer)
        end = buffer.rfind(b"\n", start, start + limit + 1)
    else:
        end = buffer.find(b"\n", start)
    if end >= 0:
        return end + 1
    return len(buffer) if final and len(buffer) - start <= limit else -1


def _take_frames(buffer: bytearray, start: int, limit: int, multi: bool, final: bool) -> int:
    end = start
    while True:
        if len(buffer) - end < 8:
            whole = False
        else:
            if buffer[end : end + 4] != MAGIC:
                raise InputError("The object is not RecordIO, as SplitType says: no magic number")
            length = int.from_bytes(buffer[end + 4 : end + 8], "little") & LENGTH_BITS
            following = end + 8 + (length + 3) // 4 * 4
            whole = following <= len(buffer)
        if not whole:
            if final and end == start:
                raise InputError("The object's last RecordIO frame is cut off")
            break
        if following - start > limit and end > start:
            break
        end = following
        if not multi or end - start >= limit or end == len(buffer):
            break
    return end if end > start else -1
