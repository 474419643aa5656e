"""gzip and zstd, in a stream: the same bytes each time, and no truncated end taken for a whole one.

Sources: RFC 1952 (gzip), RFC 8878 (zstd).

Memory: a window of the compression (gzip 32 KB, zstd at most 8 MB for what is written here) and one
piece of output.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.registry import FORMATS, load

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["COMPRESSIONS", "compress", "decompress", "format_of", "sniff"]

COMPRESSIONS: dict[str, tuple[str, ...]] = {"gzip": (".gz", ".gzip"), "zstd": (".zst", ".zstd")}
"""Compressions by name, and how names of their files end, the usual end first."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # a frame of metadata; its first byte is 0x50 to 0x5f
_PIECE = 4 << 20
_SLICE = _BLOCK = 1 << 20
# zlib's levels trade much time for little size: on tables as CSV, 6 takes three times as long as 1
# for files a fifth smaller. A stream that is to keep up with a database takes the quick one.
_GZIP_LEVEL = 1


def compress(
    chunks: Iterable[bytes], compression: str | None, level: int | None = None
) -> Iterator[bytes]:
    """Compress a stream. The same bytes in, however cut, give the same bytes out.

    Args:
        chunks: The bytes. Closed when the result is closed, if it is a generator.
        compression: ``gzip``, ``zstd``, or None to hand them on as they are.
        level: 0 to 9 for gzip, 1 to 22 for zstd. The default is 1 for both, the quick one: a
            compression that is slower than the source slows the whole move down.

    Returns:
        The compressed bytes, in pieces of some megabytes.

    Raises:
        InputError: There is no such compression or level.
    """
    if compression is None or compression == "none":
        return iter(chunks)
    _known(compression)
    least, most = (0, 9) if compression == "gzip" else (1, 22)
    if level is not None and not least <= level <= most:
        raise InputError(f"{compression} has levels from {least} to {most}, not {level}.")
    if compression == "gzip":
        return _compress(chunks, _Gzip(_GZIP_LEVEL if level is None else level))
    return _compress(chunks, _Zstd() if level is None else _ZstdFrames(level))


def _known(compression: str) -> None:
    if compression not in COMPRESSIONS:
        raise InputError(
            f"There is no compression {compression!r} here. Choose from: "
            f"{', '.join(COMPRESSIONS)}, none."
        )


def _compress(chunks: Iterable[bytes], codec: _Codec) -> Iterator[bytes]:
    try:
        waiting: list[bytes] = []
        size = 0
        for block in _blocks(chunks):
            piece = codec.add(block)
            waiting.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield b"".join(waiting)
                waiting, size = [], 0
        waiting.append(codec.end())
        yield b"".join(waiting)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut anew, into blocks of one size: what zstd writes may depend on the cuts."""
    rest = bytearray()
    for chunk in chunks:
        at = 0
        if rest:
            at = _BLOCK - len(rest)
            rest += chunk[:at]
            if len(rest) < _BLOCK:
                continue
            yield bytes(rest)
            rest.clear()
        while len(chunk) - at >= _BLOCK:
            yield chunk[at : at + _BLOCK]
            at += _BLOCK
        rest += chunk[at:]
    if rest:
        yield bytes(rest)


class _Codec(Protocol):
    def add(self, data: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class _Gzip:
    def __init__(self, level: int) -> None:
        # 31: a gzip header of zlib's own, which says no time and no name.
        self._stream = zlib.compressobj(level, zlib.DEFLATED, 31, 9)

    def add(self, data: bytes) -> bytes:
        return self._stream.compress(data)

    def end(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    """One frame, at zstd's level 1."""

    def __init__(self) -> None:
        import pyarrow as pa

        self._sink = _Drain()
        self._file = pa.PythonFile(self._sink, mode="w")
        self._stream = pa.CompressedOutputStream(self._file, "zstd")

    def add(self, data: bytes) -> bytes:
        self._stream.write(data)
        return self._sink.drain()

    def end(self) -> bytes:
        self._stream.close()
        return self._sink.drain()


class _ZstdFrames:
    """A frame a block: Arrow's stream takes no level."""

    def __init__(self, level: int) -> None:
        import pyarrow as pa

        self._codec = pa.Codec("zstd", compression_level=level)
        self._any = False

    def add(self, data: bytes) -> bytes:
        self._any = True
        return bytes(self._codec.compress(data, asbytes=True))

    def end(self) -> bytes:
        return b"" if self._any else self.add(b"")


class _Drain:
    """What a stream writes to: kept until it is drained."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def drain(self) -> bytes:
        whole = b"".join(self._waiting)
        self._waiting = []
        return whole


# --------------------------------------------------------------------------------- decompress


def decompress(chunks: Iterable[bytes], compression: str | None = "infer") -> Iterator[bytes]:
    """Decompress a stream, of several gzip members or zstd frames too.

    Args:
        chunks: The bytes, cut anywhere. Closed when the result is closed, if it is a generator.
        compression: ``gzip``, ``zstd``, None for none, or ``infer`` to look at the first bytes.

    Returns:
        The plain bytes, in pieces of at most some megabytes.

    Raises:
        InputError: There is no such compression.
        CorruptDataError: The stream is truncated or damaged; raised while it is read.
    """
    if compression is None or compression == "none":
        return iter(chunks)
    if compression != "infer":
        _known(compression)
    return _decompress(chunks, compression)


def sniff(first_bytes: bytes) -> str | None:
    """Tell the compression of a stream by its first four bytes or more; None for none."""
    if first_bytes[:2] == _GZIP:
        return "gzip"
    if first_bytes[:4] == _ZSTD or (
        first_bytes[1:4] == _SKIPPABLE and first_bytes[0] & 0xF0 == 0x50
    ):
        return "zstd"
    return None


def _decompress(chunks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    try:
        pieces = iter(chunks)
        if compression == "infer":
            first = b""
            while len(first) < 4 and (more := next(pieces, None)) is not None:
                first += more
            pieces = itertools.chain((first,), pieces)
            compression = sniff(first) or "none"
        if compression == "gzip":
            yield from _gunzip(pieces)
        elif compression == "zstd":
            yield from _unzstd(pieces)
        else:
            yield from (piece for piece in pieces if piece)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(31)
    at = 0  # bytes of the stream before `data`
    begun = False
    for piece in pieces:
        data = piece
        while data:
            if stream.eof:
                if not data.strip(b"\0"):
                    data = b""  # zeros after the last member are padding, as of tapes
                    break
                stream = zlib.decompressobj(31)
            try:
                plain = stream.decompress(data, _PIECE)
            except zlib.error as error:
                raise CorruptDataError(
                    f"gzip: the stream is damaged ({error}). Fetch or write it again", offset=at
                ) from None
            begun = True
            rest = stream.unconsumed_tail or stream.unused_data
            at += len(data) - len(rest)
            data = rest
            if plain:
                yield plain
    # What zlib still holds back of a piece's last bytes.
    while begun and not stream.eof and (plain := stream.decompress(b"", _PIECE)):
        yield plain
    if not begun or not stream.eof:
        raise CorruptDataError(
            "gzip: the stream ends too early; it was cut off. Fetch or write it again", offset=at
        )


class _Pull:
    """A file of what an iterator gives, for Arrow."""

    closed = False

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.at = 0
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        if not self._rest:
            try:
                self._rest = next((piece for piece in self._pieces if piece), b"")
            except BaseException as error:
                self.error = error
                raise
        taken, self._rest = self._rest[:size], self._rest[size:]
        self.at += len(taken)
        return taken

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        pass


def _unzstd(pieces: Iterator[bytes]) -> Iterator[bytes]:
    import pyarrow as pa

    source = _Pull(pieces)
    stream = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    begun = False
    while True:
        try:
            plain = stream.read(_SLICE)
        except (OSError, pa.ArrowException) as error:
            if source.error is not None:
                raise source.error from None
            cut = "runcated" in str(error)
            raise CorruptDataError(
                "zstd: the stream ends too early; it was cut off. Fetch or write it again"
                if cut
                else f"zstd: the stream is damaged ({error}). Fetch or write it again",
                offset=source.at,
            ) from None
        if not plain:
            break
        begun = True
        yield plain
    if not begun and not source.at:
        raise CorruptDataError(
            "zstd: the stream is empty; even no data has a frame. Fetch or write it again",
            offset=0,
        )


# --------------------------------------------------------------------------------------- names


def format_of(name: str) -> tuple[Format | None, str | None]:
    """Tell format and compression by the name of a file, like ``orders.csv.gz``.

    Args:
        name: A key or path.

    Returns:
        The format with its default options, None where the name says none; and the compression,
        None for none.
    """
    rest = name.rsplit("/", 1)[-1].lower()
    compression = None
    for candidate, ends in COMPRESSIONS.items():
        for end in ends:
            if rest.endswith(end):
                compression, rest = candidate, rest[: -len(end)]
                break
        if compression is not None:
            break
    for end, format_name in _ENDS.items():
        if rest.endswith(end):
            return load(FORMATS, format_name, what="format")(), compression
    return None, compression


# Here too, so that a name can be looked at without importing every format. A test compares them.
_ENDS = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".recordio": "recordio",
    ".rec": "recordio",
}
