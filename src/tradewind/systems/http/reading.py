"""One reading of all pages of an API, with none lost and none repeated.

Over 400 lines: one reading, whose checks share what its pages have been so far.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradewind.errors import InputError, RetryError
from tradewind.json_path import MISSING, JsonPath
from tradewind.move.documents import Block
from tradewind.move.interface import further_option, option
from tradewind.systems.http.calls import Answer, Call, Streamed
from tradewind.systems.http.connection import masked
from tradewind.systems.http.error_objects import is_error_object, is_foreign, reported
from tradewind.systems.http.json_records import (
    JsonValues,
    kind,
    parsed,
    record_blocks,
    records_advice,
    shape,
)
from tradewind.systems.http.paging import (
    NextLink,
    Pagination,
    Step,
    Turn,
    links,
    next_address,
)
from tradewind.systems.http.session import HttpSession

if TYPE_CHECKING:
    import httpx

__all__ = ["Reading", "Request"]

_log = logging.getLogger(__name__)
_ACCEPTED = "application/json, application/x-ndjson;q=0.9, */*;q=0.5"
_LINES_TYPES = ("ndjson", "jsonl", "json-lines", "jsonlines", "json-seq", "stream+json")


@dataclass(frozen=True)
class Request:
    """What to read; see `tradewind.systems.http.source.RestSource`."""

    describe: str
    url: str
    method: str
    params: Mapping[str, Any]
    body: Any
    headers: Mapping[str, str]
    records: JsonPath
    pagination: Pagination | None
    total: JsonPath | None
    total_header: str | None
    lines: bool | None
    max_pages: int
    page_bytes: int
    allow_repeats: bool
    error_objects: str = "error"
    takes_null: bool = True


@dataclass
class _Page:
    """A page that was read whole."""

    answer: Answer
    document: Any
    records: list[Any]
    total: int | None


class Reading:
    """One reading of all pages.

    Args:
        request: What to read.
        http: Makes the requests.
        values: Reads JSON.
    """

    def __init__(self, request: Request, http: HttpSession, values: JsonValues) -> None:
        self._request = request
        self._http = http
        self._values = values
        self._pagination = request.pagination
        self._members: set[str] = set()
        self._tokens: set[bytes] = set()
        self._pages: dict[bytes, int] = {}
        self._seen = 0
        self._lists = False  # whether a page had a list of records
        self._total: int | None = None

    def blocks(self) -> Iterator[Block]:
        """Read all records.

        Yields:
            A page, or a part of one that is newline-delimited JSON.

        Raises:
            InputError: A page is not what was said; pages go in circles; there are too many.
            RetryError: The API is in trouble; it hands out fewer or more records than it declares.
            SetupError: Credentials are refused.
        """
        request = self._request
        pagination = self._pagination
        step = pagination.first() if pagination is not None else Step()
        number = 0
        while True:
            number += 1
            if number > request.max_pages:
                raise InputError(
                    f"{request.describe}: there are more than {request.max_pages:,} pages. Correct "
                    "the pagination, or give "
                    f"{further_option('max_pages', 10 * request.max_pages)}."
                )
            turn = yield from self._page(self._call(step), number)
            if turn is not None and number == 1:
                self._look_for_more(turn)
                pagination = self._pagination
            following = None if turn is None or pagination is None else pagination.after(turn)
            if following is None:
                break
            if following.url is not None and turn is not None:
                self._new(turn.url)  # so that a page that links to itself is a circle at once
            if following.token is not None and not self._new(following.token):
                raise InputError(
                    f"{request.describe}: page {number} hands out as the next page "
                    f"{self._shown(following)}, which was handed out before: the pages go in a "
                    "circle. Correct the pagination."
                )
            step = following
        if self._total is not None and self._seen != self._total:
            raise RetryError(
                f"{request.describe}: it declares {self._total:,} records and handed out "
                f"{self._seen:,} in {number:,} pages. Perhaps they changed while they were read: "
                "try again, or correct the pagination."
            )

    def _look_for_more(self, turn: Turn) -> None:
        """See that the first page does not tell of a next one that nobody would ask for."""
        named = links(turn.headers.get("link", "")).get("next")
        if self._pagination is None and named:
            _log.info(
                "%s: the header Link names a next page: it is followed.", self._request.describe
            )
            self._pagination = NextLink()
            return
        path = getattr(self._pagination, "path", None)
        in_header = _header_of(self._pagination)
        if not turn.records or (self._pagination is not None and not path and not in_header):
            return
        if path is not None and JsonPath(path).find(turn.document) is not MISSING:
            return
        if in_header and (named or turn.headers.get(in_header)):
            return
        where = self._where(turn.url, 1)
        found = next_address(turn.document)
        if self._pagination is None:
            if found:
                _log.warning(
                    "%s: %s names a next page, and no pagination was given: only this page is "
                    "read. Give %s for all.",
                    where,
                    found,
                    option("pagination", f"link:{found}"),
                )
            return
        if found or named:
            sought = f"at {path} there is nothing" if path else f"there is no header {in_header}"
            raise InputError(
                f"{where}: {sought}, and {found or 'the header Link'} names a next page. Give "
                f"{option('pagination', f'link:{found}' if found else 'link')}."
            )
        if path is None:
            return
        _log.warning(
            "%s: it has records, and nothing stands at %s: it is taken for the only page. If "
            "there are more, correct the path of the pagination.",
            where,
            path,
        )

    def _call(self, step: Step) -> Call:
        request = self._request
        return Call(
            request.method,
            step.url or request.url,
            # An address that the API hands out is complete.
            params=step.params if step.url else {**request.params, **step.params},
            body={**(request.body or {}), **step.body} if step.body else request.body,
            headers={"Accept": _ACCEPTED, **request.headers},
            ends=frozenset() if self._pagination is None else self._pagination.ends,
        )

    def _page(self, call: Call, number: int) -> Generator[Block, None, Turn | None]:
        request = self._request

        def in_lines(response: httpx.Response) -> bool:
            if request.lines is not None:
                return request.lines
            kind = response.headers.get("content-type", "").split(";")[0]
            return kind.rpartition("/")[2].removeprefix("x-").lower() in _LINES_TYPES

        page = self._http.read(
            call,
            limit=request.page_bytes,
            check=lambda answer: self._parsed(answer, call, number),
            streams=in_lines,
        )
        if isinstance(page, Streamed):
            return (yield from self._streamed(page, number))
        if page is None:
            return None
        self._declare(page.total, number)
        self._look_for_repeat(page.records, number)
        self._seen += len(page.records)
        yield Block(page.records, len(page.answer.body), f"page {number}")
        return self._turn(page.answer, page.document, len(page.records), number)

    def _parsed(self, answer: Answer, call: Call, number: int) -> _Page | None:
        request = self._request
        if answer.status in call.ends:
            return None
        where = self._where(answer.url, number)
        if answer.status == 204 or (answer.status == 200 and not answer.body and number > 1):
            return _Page(answer, None, [], None)
        document = parsed(answer, self._values, where, self._http.excerpt)
        records = request.records.records(document)
        if document is None and number == 1 and not request.takes_null:
            raise InputError(
                f"{where}: the answer is null, and no list. If that is how the API writes an empty "
                f"list, give {option('records', '$')}; else correct the request."
            )
        if number == 1 and records == [] and request.records.find(document) is None:
            _log.warning("%s: null stands at %s: no records.", where, request.records.text)
        if records is None and number > 1 and self._is_an_end(document):
            records = []
        if records is None:
            raise InputError(
                f"{where}: there are no records at {request.records.text} of the page, which "
                f"{shape(document)}. It begins with: {self._http.excerpt(answer.body)}. "
                f"{records_advice(document)}"
            )
        if request.error_objects == "error":
            self._look_for_errors(document, records, where)
        if isinstance(document, dict):
            self._members |= document.keys()
        for record in records:
            if not isinstance(record, dict):
                raise InputError(
                    f"{where}: at {request.records.text} there is {kind(record)} where an object "
                    f"should be. {records_advice(document)}"
                )
        total: Any = _MISSING_TOTAL
        if request.total is not None:
            total = request.total.find(document)
        elif request.total_header is not None:
            total = answer.headers.get(request.total_header.lower(), MISSING)
        return _Page(answer, document, records, self._number(total, where))

    def _look_for_errors(self, document: Any, records: list[Any], where: str) -> None:
        """Refuse a page that says by its content, not by its status, that something went wrong."""
        found = self._request.records.find(document)
        lists = isinstance(found, list)
        if self._lists and isinstance(found, dict):
            raise InputError(
                f"{where}: at {self._request.records.text} there is one object where the pages "
                f"before had a list. It begins with: {self._values.dumps(document)[:200].decode()}."
            )
        self._lists = self._lists or lists
        if found is document and isinstance(document, dict):
            if is_error_object(document):
                raise self._error(where, document, "it answers with an error and no record")
            return
        if (said := reported(document, records=bool(records))) is not None:
            beside = "beside its records" if records else "and has no records"
            raise self._error(where, said, f"it reports an error {beside}")
        for record in records[1:]:
            if is_foreign(record, records[0]):
                raise self._error(where, record, "behind its records it reports an error")

    def _error(self, where: str, said: Any, what: str) -> InputError:
        shown = self._http.excerpt(self._values.dumps(said))
        return InputError(
            f"{where}: {what}: {shown}. Correct the request; if that is what should be read, give "
            f"{further_option('error_objects', 'record')}."
        )

    def _is_an_end(self, document: Any) -> bool:
        """Whether a later page just leaves its records out, and says nothing else than others."""
        missing = self._request.records.find(document) is MISSING
        return missing and isinstance(document, dict) and document.keys() <= self._members

    def _streamed(self, page: Streamed, number: int) -> Generator[Block, None, Turn]:
        request = self._request
        where = self._where(page.answer.url, number)
        if request.total_header is not None:
            found = page.answer.headers.get(request.total_header.lower(), MISSING)
            self._declare(self._number(found, where), number)
        digest = hashlib.blake2b(digest_size=16)
        watched = self._pagination is not None and not request.allow_repeats
        count = 0
        first: Any = None
        strict = request.error_objects == "error"
        chunks = page.chunks
        try:
            for block in record_blocks(
                chunks,
                self._values,
                where,
                charset=page.answer.encoding,
                limit=request.page_bytes,
                excerpt=self._http.excerpt,
            ):
                count += len(block.documents)
                first = first or block.documents[0]
                for record in block.documents if strict else ():
                    if is_foreign(record, first):
                        raise self._error(where, record, "behind its records it reports an error")
                if watched:
                    digest.update(self._values.dumps(block.documents))
                yield Block(block.documents, block.size, f"page {number}")
        finally:
            if isinstance(chunks, Generator):
                chunks.close()
        if watched:
            self._compare(digest.digest(), count, number)
        self._seen += count
        return self._turn(page.answer, None, count, number)

    def _turn(self, answer: Answer, document: Any, records: int, number: int) -> Turn:
        return Turn(number, answer.url, answer.headers, document, records, self._seen, self._total)

    def _look_for_repeat(self, records: list[Any], number: int) -> None:
        if self._pagination is None or self._request.allow_repeats:
            return
        digest = hashlib.blake2b(self._values.dumps(records), digest_size=16).digest()
        self._compare(digest, len(records), number)

    def _compare(self, digest: bytes, records: int, number: int) -> None:
        if not records:
            return
        before = self._pages.setdefault(digest, number)
        if before != number:
            raise InputError(
                f"{self._request.describe}: page {number} has the same {records:,} records as page "
                f"{before}. Perhaps the pages go in a circle, or the API does not know the "
                "parameter: correct the pagination, or give "
                f"{further_option('allow_repeats', True)} if that is right."
            )

    def _declare(self, total: int | None, number: int) -> None:
        if total is None:
            return
        if self._total is not None and total != self._total:
            raise RetryError(
                f"{self._request.describe}: it declared {self._total:,} records, and on page "
                f"{number} {total:,}: they change while they are read. Try again, or leave "
                "total= out if the API cannot tell."
            )
        self._total = total

    def _number(self, found: Any, where: str) -> int | None:
        if found is _MISSING_TOTAL:
            return None
        if isinstance(found, str) and found.strip().isdecimal():
            return int(found)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        place = self._request.total.text if self._request.total else self._request.total_header
        raise InputError(
            f"{where}: at {place} the number of all records should stand, and there is "
            f"{found!r}. Correct total= or total_header=, or leave it out."
        )

    def _new(self, token: str) -> bool:
        digest = hashlib.blake2b(token.encode(), digest_size=16).digest()
        if digest in self._tokens:
            return False
        self._tokens.add(digest)
        return True

    def _where(self, url: str, number: int) -> str:
        paged = f", page {number}" if self._pagination is not None else ""
        return f"HTTP API at {masked(url)}{paged}"

    def _shown(self, step: Step) -> str:
        return masked(step.url) if step.url else f"a token of {len(step.token or '')} characters"


_MISSING_TOTAL = object()


def _header_of(pagination: Pagination | None) -> str | None:
    """Tell the header in which a next page would be named; None where it would not."""
    if isinstance(pagination, NextLink) and pagination.path is None:
        return "link"
    header = getattr(pagination, "header", None)
    return None if header is None else header.lower()
