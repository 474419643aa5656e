"""Text in other encodings than UTF-8, read as UTF-8 and written from it.

Source: the Unicode Standard, section 23.8 (byte order marks); Python's `codecs`.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import CorruptDataError, InputError
from tradewind.move.interface import format_option
from tradewind.move.types import UnfitValueError

__all__ = ["as_utf8", "checked_encoding", "is_utf8", "not_utf8", "written_in"]

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST = 4


def checked_encoding(encoding: str | None) -> str | None:
    """Find an encoding by any of its names.

    Args:
        encoding: Its name; None for UTF-8, or what a byte order mark says.

    Returns:
        Its usual name.

    Raises:
        InputError: There is no such encoding of text.
    """
    if encoding is None:
        return None
    try:
        found = codecs.lookup(encoding)
        "".encode(encoding)  # refuses what is a codec and no encoding of text
    except LookupError:
        raise InputError(
            f"There is no encoding {encoding!r}. Choose utf-8, utf-16, cp1252, latin-1 or another "
            "one that Python knows."
        ) from None
    return found.name


def is_utf8(encoding: str | None) -> bool:
    """Whether text in an encoding is read as it is."""
    return encoding in (None, "utf-8", "utf-8-sig", "ascii")


def not_utf8(octet: int, place: str, what: str, offset: int) -> CorruptDataError:
    """Say that a byte is no UTF-8.

    Args:
        octet: The byte.
        place: Where it stands, like ``line 7``.
        what: The format.
        offset: Where in the stream.
    """
    return CorruptDataError(
        f"{what}: the byte 0x{octet:02x} in {place} is not UTF-8. Give the encoding that the file "
        f"has, like {format_option('encoding', 'cp1252')}",
        offset=offset,
    )


def as_utf8(chunks: Iterable[bytes], encoding: str | None, what: str) -> Iterator[bytes]:
    """Read text as UTF-8.

    Args:
        chunks: The text, in pieces of any length.
        encoding: As `checked_encoding` gives it. None is UTF-8, but for text that begins with the
            mark of UTF-16 or UTF-32.
        what: The format, for messages.

    Yields:
        The text in UTF-8; UTF-8 itself as it comes, unchecked.

    Raises:
        CorruptDataError: A byte does not belong to the encoding.
    """
    source = iter(chunks)
    try:
        begin = b""
        if encoding is None:
            for chunk in source:
                begin += chunk
                if len(begin) >= _LONGEST:
                    break
            encoding = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
            if encoding is None:
                _look_for_nulls(begin, what)
        if is_utf8(encoding):
            if begin:
                yield begin
            yield from source
            return
        yield from _decoded(begin, source, encoding or "", what)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _look_for_nulls(begin: bytes, what: str) -> None:
    """Refuse UTF-16 without a mark, whose every second byte is 0 in most languages' letters."""
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if begin[place:4:2] == b"\0\0" and 0 not in begin[1 - place : 4 : 2]:
            raise CorruptDataError(
                f"{what}: the file looks like UTF-16 without its mark. Give "
                f"{format_option('encoding', name)}",
                offset=0,
            )


def _decoded(begin: bytes, source: Iterator[bytes], encoding: str, what: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    at = 0
    line = 1

    def decode(chunk: bytes, *, final: bool = False) -> str:
        nonlocal at, line
        kept = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            octet = error.object[error.start]
            before = error.object[: error.start].decode(encoding, errors="ignore").count("\n")
            raise CorruptDataError(
                f"{what}: the byte 0x{octet:02x} in line {line + before} is not {encoding}. "
                "Correct it, or give the encoding that the file has, like "
                f"{format_option('encoding', 'cp1252')}",
                offset=at - kept + error.start,
            ) from None
        at += len(chunk)
        line += text.count("\n")
        return text

    if begin and (text := decode(begin)):
        yield text.encode()
    for chunk in source:
        if text := decode(chunk):
            yield text.encode()
    if text := decode(b"", final=True):
        yield text.encode()


def written_in(
    encoding: str | None, pieces: Iterable[tuple[bytes, pa.RecordBatch | None]], what: str
) -> Iterator[bytes]:
    """Write text in an encoding.

    Args:
        encoding: As `checked_encoding` gives it.
        pieces: The text in UTF-8, and the records that it holds, for messages.
        what: The format, for messages.

    Raises:
        UnfitValueError: The encoding has no such character.
    """
    if encoding in (None, "utf-8"):
        yield from (piece for piece, _ in pieces)
        return
    encoder = codecs.getincrementalencoder(encoding or "")()
    for piece, batch in pieces:
        try:
            yield encoder.encode(piece.decode())
        except UnicodeEncodeError as error:
            letter = error.object[error.start]
            column, value = _holder(batch, letter)
            raise UnfitValueError(
                column,
                value,
                where=f"{what} in {encoding}",
                remedy=f"It has no {letter!r}. Write another encoding, like utf-8.",
            ) from None


def _holder(batch: pa.RecordBatch | None, letter: str) -> tuple[str, str]:
    """Find the column and the value with a letter."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True) if batch else ():
        if pa.types.is_string(column.type):
            found = column.filter(pc.match_substring(column, letter))
            if len(found):
                return name, found[0].as_py()
    names = [name for name in (batch.schema.names if batch else ()) if letter in name]
    return (names[0] if names else "?"), letter
