"""JSON as APIs send it: any charset, numbers to the last digit, HTML where JSON was promised."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from tradewind.errors import InputError
from tradewind.move.document_columns import Kind, Values
from tradewind.move.documents import Block, load_orjson
from tradewind.move.formats.json_values import object_of
from tradewind.move.interface import further_option, option
from tradewind.systems.http.calls import Answer, TryAgainError
from tradewind.systems.http.paging import list_of_objects

__all__ = ["JsonValues", "kind", "parsed", "record_blocks", "records_advice", "shape"]

_BLOCK = 1 << 20

# What orjson would change on its way through a double: more than 15 digits, large exponents; -0,
# for which Python has no whole number; and an escaped colon: members are counted by their colons.
_RISKY = re.compile(rb"[\d.]{16}|\d[eE][+-]?\d{3}|-0(?![\d.eE])|\\u003[aA]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_RECORDS = re.compile(rb"[^\n]*\}\s*\n\s*\{")
_UTF8 = {None, "utf-8", "utf8", "us-ascii", "ascii"}


class _Number(Decimal):
    """A number of a JSON text that no double holds exactly."""

    of_text = True


class JsonValues(Values):
    """What the values of an API's records are.

    Args:
        decimals: Whether every number with a fraction is kept as a decimal: where a schema has
            decimal columns.
    """

    def __init__(self, *, decimals: bool = False) -> None:
        orjson = load_orjson("http")
        self._orjson = orjson
        self._decimals = decimals
        self._fragment = orjson.Fragment

    def loads(self, text: bytes) -> Any:
        """Read JSON in UTF-8, numbers to the last digit.

        Raises:
            ValueError: It is none, or an object has a member twice.
        """
        if not self._decimals and _RISKY.search(text) is None:
            value = self._orjson.loads(text)
            # orjson keeps the last of equal members; each that is lost takes a colon with it.
            with contextlib.suppress(TypeError):  # deeper than orjson writes
                if text.count(b":") == self._orjson.dumps(value).count(b":"):
                    return value
        number: Callable[[str], Any] = _Number if self._decimals else _exact
        if _SURROGATE.search(text):
            self._orjson.loads(text)  # refuses lone ones, which the standard library lets pass
        try:
            return json.loads(
                text,
                parse_float=number,
                parse_int=_whole,
                parse_constant=_refuse,
                object_pairs_hook=object_of,
            )
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def is_cut(self, text: bytes) -> bool:
        """Whether text is JSON as far as it goes, and ends before its end."""
        try:
            self._orjson.loads(text)
        except ValueError as error:
            return "unexpected end of data" in str(error)
        return False

    def dumps(self, value: Any) -> bytes:
        """Write JSON.

        Raises:
            InputError: It is nested too deeply.
        """
        try:
            text: bytes = self._orjson.dumps(value, self._foreign)
        except TypeError:
            # Integers of more than 64 bits: orjson has no way, the standard library no Decimal.
            try:
                text = self._orjson.dumps(self._large(value), self._foreign)
            except (TypeError, RecursionError) as error:
                raise InputError(
                    "HTTP: JSON that is nested more than 250 deep is not moved "
                    f"({error}). Ask the API for other fields."
                ) from None
        return text

    def scalar_kind(self, value: Any) -> Kind:
        """Tell the column that a scalar wants."""
        return super().scalar_kind(Decimal(value) if isinstance(value, Decimal) else value)

    def _foreign(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return self._fragment(str(value).encode())
        raise TypeError(f"A {type(value).__name__} is no JSON")

    def _large(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._large(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._large(one) for one in value]
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            return self._fragment(str(value).encode())
        return value


def _exact(text: str) -> float | Decimal:
    """Give a double where it tells the number, or else all digits."""
    number = float(text)
    exact = _Number(text)
    return number if Decimal(repr(number)) == exact else exact


def _whole(text: str) -> int | Decimal:
    return _Number(text) if text == "-0" else int(text)


def _refuse(text: str) -> Any:
    raise json.JSONDecodeError(f"{text} is no JSON", text, 0)


def _utf8(answer: Answer, where: str) -> bytes:
    """Give the text of an answer in UTF-8 without byte order mark.

    Raises:
        InputError: It is not in the charset that the server names; or nobody knows that one.
    """
    body = answer.body
    charset = answer.encoding and answer.encoding.lower()
    if body[:3] == b"\xef\xbb\xbf":
        body, charset = body[3:], None
    elif charset in _UTF8 and (body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in body[:4]):
        charset = json.detect_encoding(body)
    try:
        text = body.decode(charset or "utf-8")
    except LookupError:
        raise InputError(
            f"{where}: nobody here knows the charset {charset!r} that it names. Ask for JSON in "
            "UTF-8."
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: the text is not {charset or 'UTF-8'}, as "
            f"{'the server says' if answer.encoding else 'JSON has to be'}: byte {error.start} is "
            f"{body[error.start]:#04x}. Have the server send JSON in UTF-8."
        ) from None
    if charset in _UTF8:
        return body
    return text.encode()


def parsed(answer: Answer, values: JsonValues, where: str, excerpt: Callable[[bytes], str]) -> Any:
    """Read the JSON of an answer.

    Args:
        answer: The answer.
        values: Reads JSON.
        where: System and request, for messages.
        excerpt: Gives the first characters of a body, fit to be shown.

    Raises:
        InputError: It is none.
        TryAgainError: It ends in the middle.
    """
    text = _utf8(answer, where)
    try:
        return values.loads(text)
    except ValueError as error:
        kind = answer.headers.get("content-type", "none named")
        start = text.lstrip()[:1]
        if start in (b"{", b"[") and values.is_cut(text):
            raise TryAgainError(f"the JSON ends in the middle, after {len(text):,} bytes") from None
        what = "something else"
        advice = "Correct the path, or the credentials if it is a page to log in."
        if start == b"<":
            what = "XML" if text.lstrip().startswith(b"<?xml") else "HTML"
        elif start == b"{" and _RECORDS.match(text):
            what = "several JSON values"
            advice = f"If it is an object a line, give {further_option('lines', True)}."
        elif start in (b"{", b"["):
            what = f"broken JSON ({error})"
            advice = "Have the server send JSON (RFC 8259)."
        elif not text.strip():
            what = "an empty body"
        raise InputError(
            f"{where}: status {answer.status} with {what} instead of JSON (content type {kind}). "
            f"It begins with: {excerpt(text) or 'nothing'}. {advice}"
        ) from None


def record_blocks(
    chunks: Iterable[bytes],
    values: JsonValues,
    where: str,
    *,
    charset: str | None,
    limit: int,
    excerpt: Callable[[bytes], str],
) -> Iterator[Block]:
    """Read newline-delimited JSON (https://github.com/ndjson/ndjson-spec), a record a line.

    Args:
        chunks: The text, in pieces of any length.
        values: Reads JSON.
        where: System and request, for messages.
        charset: What the server says it is in; it must be UTF-8.
        limit: The most bytes of a line.
        excerpt: Gives the first characters of a text, fit to be shown.

    Yields:
        Blocks of about a megabyte, whose borders depend on the lines alone.

    Raises:
        InputError: A line is no object, or too long; another charset.
    """
    if charset and charset.lower() not in _UTF8:
        raise InputError(
            f"{where}: newline-delimited JSON in {charset} is not read. Have the server send UTF-8."
        )
    records: list[Any] = []
    size = number = 0
    for line in _lines(chunks, limit, where):
        number += 1
        text = line.strip(b"\x1e\r\t ")
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if not text:
            continue
        try:
            record = values.loads(text)
        except ValueError as error:
            what = "HTML" if text[:1] == b"<" else "broken JSON"
            raise InputError(
                f"{where}: line {number} is {what} ({error}). It begins with: {excerpt(text)}. "
                "Have the server send an object a line."
            ) from None
        if not isinstance(record, dict):
            raise InputError(
                f"{where}: line {number} is a {type(record).__name__} where an object should be. "
                "Have the server send an object a line, or give "
                f"{further_option('lines', False)}."
            )
        records.append(record)
        size += len(line)
        if size >= _BLOCK:
            yield Block(records, size)
            records, size = [], 0
    if records:
        yield Block(records, size)


def _lines(chunks: Iterable[bytes], limit: int, where: str) -> Iterator[bytes]:
    rest: list[bytes] = []
    length = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        length += len(first)
        if length > limit:
            raise InputError(
                f"{where}: a line is longer than {limit:,} bytes. Give "
                f"{further_option('page_bytes', 4 * limit)}, or "
                f"{further_option('lines', False)} if these are no lines."
            )
        if others:
            yield b"".join(rest)
            yield from others[:-1]
            rest, length = [others[-1]], len(others[-1])
    if length:
        yield b"".join(rest)


_KINDS = {str: "a string", bool: "a boolean", list: "a list", dict: "an object"}


def kind(value: Any) -> str:
    """Name the kind of a JSON value."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def shape(document: Any) -> str:
    """Tell what a page is, for messages: its members, or its kind."""
    if isinstance(document, dict):
        return f"has the members {', '.join(map(repr, list(document)[:10])) or 'none'}"
    return f"is {kind(document)}"


def records_advice(document: Any) -> str:
    """Say where in a page the records may stand."""
    found = list_of_objects(document)
    return f"Give {option('records', found)}." if found else "Correct the path, or records=."
