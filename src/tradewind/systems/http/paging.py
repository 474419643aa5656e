"""How an API hands out its records page by page."""

from __future__ import annotations

import re
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import InputError
from tradewind.json_path import MISSING, JsonPath

__all__ = [
    "Cursor",
    "NextLink",
    "Offset",
    "Page",
    "Pagination",
    "SinglePage",
    "Step",
    "Turn",
    "links",
    "list_of_objects",
    "next_address",
    "pagination_of",
]

_LINK = re.compile(
    r"""<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s;,]*))?)*)"""
)
_PARAMETER = re.compile(r""";\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;,]*)))?""")


@dataclass(frozen=True)
class Turn:
    """What one page has shown.

    Args:
        number: Which page it was, from 1 on.
        url: Where it came from.
        headers: With names in lower case.
        document: The parsed page; None where it was read as lines.
        records: How many records it had.
        seen: How many records all pages so far had.
        total: How many there are by what the API says; None where it does not.
    """

    number: int
    url: str
    headers: Mapping[str, str]
    document: Any
    records: int
    seen: int
    total: int | None


@dataclass(frozen=True)
class Step:
    """How to ask for a page.

    Args:
        url: The whole address, if that is what the API hands out.
        params: Query parameters.
        body: Members of the JSON body.
        token: What the server handed out for it, if it did: handed out twice it is a circle.
    """

    url: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None


class Pagination(ABC):
    """How an API hands out its records page by page."""

    ends: frozenset[int] = frozenset()
    """Statuses that say that there is no such page."""

    def first(self) -> Step:
        """How to ask for the first page."""
        return Step()

    @abstractmethod
    def after(self, turn: Turn) -> Step | None:
        """How to ask for the page after one; None where that was the last."""


@dataclass(frozen=True)
class SinglePage(Pagination):
    """The first page alone, whatever it says of others."""

    def after(self, turn: Turn) -> Step | None:
        """End."""
        return None


@dataclass(frozen=True)
class NextLink(Pagination):
    """The API hands out the address of the next page.

    Args:
        path: Where in the page's JSON it stands, like ``$.next``; in the header Link (RFC 8288)
            when not given.
        rel: The relation of the link in the header.
    """

    path: str | None = None
    rel: str = "next"

    def __post_init__(self) -> None:
        if self.path is not None:
            JsonPath(self.path)

    def after(self, turn: Turn) -> Step | None:
        """Follow the link."""
        if self.path is None:
            target = links(turn.headers.get("link", "")).get(self.rel.lower())
        else:
            target = _token(self.path, turn)
        if not target:
            return None
        url = urllib.parse.urljoin(turn.url, target)
        return Step(url=url, token=url)


@dataclass(frozen=True)
class Page(Pagination):
    """Pages have numbers. An empty page ends the reading, or the declared total of records.

    Args:
        param: Query parameter of the number.
        start: Number of the first page.
        size_param: Query parameter of how many records a page has.
        size: How many to ask for.
        pages: Where in the page's JSON the number of pages stands, if it does.
        ends: Statuses that say that there is no such page, like 404.
    """

    param: str = "page"
    start: int = 1
    size_param: str | None = None
    size: int | None = None
    pages: str | None = None
    ends: frozenset[int] = frozenset()

    def first(self) -> Step:
        """Ask for the first number."""
        return self._step(self.start)

    def after(self, turn: Turn) -> Step | None:
        """Ask for the next number."""
        if not turn.records or (turn.total is not None and turn.seen >= turn.total):
            return None
        if self.pages is not None:
            pages = _number(self.pages, turn.document)
            if pages is not None and turn.number >= pages:
                return None
        return self._step(self.start + turn.number)

    def _step(self, number: int) -> Step:
        sized = {self.size_param: self.size} if self.size_param and self.size else {}
        return Step(params={self.param: number, **sized})


@dataclass(frozen=True)
class Offset(Pagination):
    """Pages begin at a number of records, counted by what was really handed out.

    An empty page ends the reading, or the declared total of records.

    Args:
        param: Query parameter of the offset.
        limit_param: Query parameter of how many records a page has; None sends none.
        limit: How many to ask for.
        start: Offset of the first record.
        ends: Statuses that say that there is no such page, like 404.
    """

    param: str = "offset"
    limit_param: str | None = "limit"
    limit: int = 100
    start: int = 0
    ends: frozenset[int] = frozenset()

    def first(self) -> Step:
        """Ask for the first records."""
        return self._step(self.start)

    def after(self, turn: Turn) -> Step | None:
        """Ask for what follows the records so far."""
        if not turn.records or (turn.total is not None and turn.seen >= turn.total):
            return None
        return self._step(self.start + turn.seen)

    def _step(self, offset: int) -> Step:
        sized = {self.limit_param: self.limit} if self.limit_param else {}
        return Step(params={self.param: offset, **sized})


@dataclass(frozen=True)
class Cursor(Pagination):
    """The API hands out a token for the next page; none, null or an empty one ends the reading.

    Args:
        path: Where in the page's JSON the token stands, like ``$.next_cursor``.
        header: Name of the header with the token, instead of `path`.
        param: Query parameter that takes it.
        body: Member of the JSON body that takes it, instead of `param`.
        more: Where in the page's JSON it stands whether there are more, if the API tells it so.
    """

    path: str | None = None
    header: str | None = None
    param: str | None = "cursor"
    body: str | None = None
    more: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.header is None):
            raise InputError(
                "A cursor's token stands in the body or in a header: give path= or header=."
            )
        for path in (self.path, self.more):
            if path is not None:
                JsonPath(path)

    def after(self, turn: Turn) -> Step | None:
        """Send the token."""
        if self.more is not None and not _found(self.more, turn.document):
            return None
        if self.header is not None:
            token = turn.headers.get(self.header.lower())
        else:
            token = _token(self.path or "$", turn)
        if not token:
            return None
        if self.body is not None:
            return Step(body={self.body: token}, token=token)
        return Step(params={self.param or "cursor": token}, token=token)


def links(header: str) -> dict[str, str]:
    """Read a Link header (RFC 8288, section 3).

    Args:
        header: Its value; several are joined by commas.

    Returns:
        Targets by relation, in lower case; the first one of each.
    """
    found: dict[str, str] = {}
    for target, tail in _LINK.findall(header):
        for name, quoted, bare in _PARAMETER.findall(tail):
            if name.lower() == "rel":
                for rel in (quoted or bare).lower().split():
                    found.setdefault(rel, target)
    return found


_ADDRESS = re.compile(r"https?://|/|\?")


def next_address(document: Any) -> str | None:
    """Find the path of what looks like the address of a next page, whatever the API calls it.

    Args:
        document: A page: ``next``, ``@odata.nextLink``, ``links.next.href`` and their like.
    """

    def below(part: Any, path: str, is_next: bool, depth: int) -> str | None:
        if isinstance(part, str):
            return path if is_next and _ADDRESS.match(part) else None
        if not isinstance(part, dict) or depth > 3:
            return None
        for name, one in part.items():
            place = _place(path, name)
            if found := below(one, place, is_next or "next" in name.lower(), depth + 1):
                return found
        return None

    return below(document, "$", False, 0)


def list_of_objects(document: Any) -> str | None:
    """Find the path of the first list of objects, which may be the records.

    Args:
        document: A page.
    """

    def below(part: Any, path: str, depth: int) -> str | None:
        if isinstance(part, list):
            return path if part and all(isinstance(one, dict) for one in part) else None
        if not isinstance(part, dict) or depth > 3:
            return None
        found = (below(one, _place(path, name), depth + 1) for name, one in part.items())
        return next(filter(None, found), None)

    return below(document, "$", 0)


def _place(path: str, name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_]\w*", name)
    return f"{path}.{name}" if plain else f"{path}[{name!r}]"


def _found(path: str, document: Any) -> Any:
    found = JsonPath(path).find(document)
    return None if found is MISSING else found


def _token(path: str, turn: Turn) -> str | None:
    found = _found(path, turn.document)
    if found is None or found is False or found == "":
        return None
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)
    raise InputError(
        f"Page {turn.number} has at {path} a {type(found).__name__}, no address or token of the "
        "next page. Correct the path."
    )


def _number(path: str, document: Any) -> int | None:
    found = _found(path, document)
    if isinstance(found, str) and found.isdecimal():
        found = int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def pagination_of(text: str) -> Pagination:
    """Read a pagination as it is written in short.

    Args:
        text: Like ``page``, ``link:$.next`` or ``offset:PARAM:LIMIT_PARAM:LIMIT``.

    Raises:
        InputError: There is no such one.
    """
    kind, *rest = text.split(":")
    if kind == "none" and not rest:
        return SinglePage()
    if kind == "link" and len(rest) <= 1:
        return NextLink(*rest)
    if kind == "page" and len(rest) <= 1:
        return Page(rest[0]) if rest else Page()
    if kind == "offset" and (not rest or (len(rest) == 3 and rest[2].isdigit())):
        return Offset(rest[0], rest[1], int(rest[2])) if rest else Offset()
    if kind == "cursor" and 1 <= len(rest) <= 2:
        return Cursor(rest[0], param=rest[1] if len(rest) == 2 else "cursor")
    raise InputError(
        f"pagination={text!r} is not known. Choose none, link, link:$.next, page, page:PARAM, "
        "offset, offset:PARAM:LIMIT_PARAM:LIMIT or cursor:$.next_cursor:PARAM."
    )
