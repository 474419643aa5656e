"""What HTTP says of a body, taken at its word: compressed whole, and all of it.

Libraries take the begin of a compressed body for a whole one, and the first of several gzip members
for all. What is read here ends where its compression says that it ends, or it is an error.

Sources: RFC 9110, sections 8.4 (Content-Encoding), 14.4 (Content-Range) and 15.3.7 (206); RFC 1952
(gzip: several members follow each other), RFC 1950 (what HTTP calls deflate).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.compression import decompress
from tradewind.redaction import shown_uri

if TYPE_CHECKING:
    import httpx

__all__ = ["ACCEPTED", "check_content", "part_of"]

ACCEPTED = "gzip, deflate"
"""For Accept-Encoding: what is checked to its end."""

_PIECE = 4 << 20
_GZIP, _DEFLATE, _ZSTD = {"gzip", "x-gzip"}, {"deflate"}, {"zstd"}
#: What servers write there that changes nothing in the bytes.
_PLAIN = {"", "identity", "none", "utf-8", "utf8", "binary", "8bit", "aws-chunked"}
_RANGE = re.compile(r"bytes\s+0-(\d+)/(\d+)")


def check_content(library: Any) -> Callable[[httpx.Response], None]:
    """Make a hook for responses that has their bodies decompressed with a check of their ends.

    Args:
        library: The module httpx.

    Returns:
        The hook. What is read of a response then raises `httpx.DecodingError` where it is cut off
        or damaged, and `InputError` where it is compressed in a way that is not known.
    """

    class Body(library.SyncByteStream):  # type: ignore[misc]
        """The body without its compression."""

        def __init__(self, response: httpx.Response, named: list[str]) -> None:
            self._sent: Any = response.stream
            self._may_be_empty = _may_be_empty(response)
            self._named = named
            self._url = str(response.url)

        def __iter__(self) -> Iterator[bytes]:
            pieces = (piece for piece in self._sent if piece)
            first = next(pieces, b"")
            if not first and self._may_be_empty:
                return
            plain: Iterable[bytes] = _begun(first, pieces)
            for name in reversed(self._named):
                plain = _plain(plain, name, self._url)
            try:
                yield from plain
            except CorruptDataError as error:
                raise library.DecodingError(str(error)) from None

        def close(self) -> None:
            self._sent.close()

    def check(response: httpx.Response) -> None:
        told = response.headers.get_list("content-encoding", split_commas=True)
        named = [name for one in told if (name := one.strip().lower()) not in _PLAIN]
        if named:
            response.stream = Body(response, named)
        if told:
            # So that the library does not decompress it again.
            del response.headers["content-encoding"]

    return check


def part_of(status: int, headers: Mapping[str, str]) -> str | None:
    """Tell the part that an answer says it is, where nobody has asked for one.

    Args:
        status: HTTP's. APIs that count in other units than bytes may page by 206.
        headers: Of the answer.

    Returns:
        Its Content-Range or media type; None where it is the whole, or does not say.
    """
    if status != 206:
        return None
    kind = headers.get("content-type", "").strip()
    if kind.lower().startswith("multipart/byteranges"):
        return kind.partition(";")[0]
    told = headers.get("content-range", "").strip().lower()
    if not re.match(r"bytes\s", told):
        return None
    whole = _RANGE.fullmatch(told)
    return None if whole and int(whole[1]) + 1 == int(whole[2]) else told


def _may_be_empty(response: httpx.Response) -> bool:
    """Whether no byte at all may be the whole body: HTTP told its end, or that there is none."""
    headers = response.headers
    return (
        response.status_code in (204, 304)
        or response.request.method == "HEAD"
        or headers.get("content-length", "").strip() == "0"
        or "chunked" in headers.get("transfer-encoding", "").lower()
        or response.http_version == "HTTP/2"
    )


def _begun(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces


def _plain(pieces: Iterable[bytes], name: str, url: str) -> Iterator[bytes]:
    if name in _GZIP:
        return decompress(pieces, "gzip")
    if name in _ZSTD:
        return decompress(pieces, "zstd")
    if name in _DEFLATE:
        return _inflate(pieces)
    raise InputError(
        f"HTTP API at {shown_uri(url)}: it sends Content-Encoding {name[:40]!r}, which is not read "
        f"here. Have it send {ACCEPTED} or none: correct a header Accept-Encoding of the request."
    )


def _inflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one stream, with zlib's frame, or without as some servers send it."""
    stream: Any = None
    head = b""
    at = 0
    for piece in pieces:
        data = head + piece
        head = b""
        if stream is None:
            if len(data) < 2:
                head = data
                continue
            framed = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            stream = zlib.decompressobj(15 if framed else -15)
        while data:
            if stream.eof:
                raise CorruptDataError("deflate: there is more behind its end", offset=at)
            try:
                plain = stream.decompress(data, _PIECE)
            except zlib.error as error:
                raise CorruptDataError(
                    f"deflate: the stream is damaged ({error})", offset=at
                ) from None
            rest = stream.unconsumed_tail or stream.unused_data
            at += len(data) - len(rest)
            data = rest
            if plain:
                yield plain
    # What zlib still holds back of a piece's last bytes.
    while stream is not None and not stream.eof and (plain := stream.decompress(b"", _PIECE)):
        yield plain
    if stream is None or not stream.eof:
        raise CorruptDataError("deflate: the stream ends too early; it was cut off", offset=at)
