"""Reading from an HTTP API, page by page; or one answer as it is."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Literal, Self

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.json_path import JsonPath
from tradewind.move import types
from tradewind.move.document_source import DocumentSource
from tradewind.move.documents import Block, Unknown, json_lines
from tradewind.move.format import Format
from tradewind.move.objects.schemas import declared, declared_fields, named
from tradewind.move.sizes import bytes_of
from tradewind.move.source import Encoded
from tradewind.systems.http.body import HttpBodySource
from tradewind.systems.http.connection import HttpConnection, masked
from tradewind.systems.http.json_records import JsonValues
from tradewind.systems.http.paging import (
    Cursor,
    NextLink,
    Offset,
    Page,
    Pagination,
    SinglePage,
    pagination_of,
)
from tradewind.systems.http.reading import Reading, Request
from tradewind.systems.http.session import HttpSession

__all__ = [
    "Cursor",
    "HttpBodySource",
    "NextLink",
    "Offset",
    "Page",
    "Pagination",
    "RestSource",
    "SinglePage",
]

_LINES_TYPES = ("ndjson", "jsonl", "json-lines", "jsonlines", "json-seq")


class RestSource(DocumentSource):
    """Records of an HTTP API, as JSON or newline-delimited JSON, in one or many pages.

    A page lost or repeated is an error: an address or token that is handed out twice, two pages
    with the same records, a total that the API declares and does not hand out or changes while it
    is read, more than `max_pages` pages.

    Numbers keep all their digits; of equal names in one object the last one counts.

    Memory: one page as bytes and as Python objects, about ten times `page_bytes` at most (what a
    page really has counts); newline-delimited JSON in pieces of 1 MB. Beside that 4 MB of records
    as Python objects for typed batches.

    Args:
        connection: The API.
        path: Path below the connection's address, or a whole URL.
        method: ``GET``, or ``POST`` for APIs that search by it.
        params: Query parameters.
        body: What to send as JSON.
        headers: Beside those of the connection.
        records: Where in a page the records stand, as `tradewind.json_path` says; ``$``, as when
            not given, for a page that is a list itself. Null there is an empty list, as servers
            in Go write one; of a first page that is null itself only if ``$`` is given.
            Newline-delimited JSON has a record a line.
        pagination: `NextLink`, `Page`, `Offset`, `Cursor`, or an own `Pagination`; or in short as
            on the command line, like ``page`` or ``link:$.next`` (see `from_uri`); None for a
            single page, or pages that the header Link (``rel=next``) joins;
            `SinglePage` for the first page alone, whatever it says of others.
        total: Where in a page the number of all records stands, like ``$.total``.
        total_header: Name of the header with it, like ``X-Total-Count``.
        lines: Whether pages are newline-delimited JSON; by their content type when None.
        max_pages: The most pages; one more is an error.
        page_bytes: The most bytes of a page, uncompressed, or of a line.
        allow_repeats: Whether two pages may have the same records.
        schema: Columns and types of the batches, or names of types by member (see docs/values.md),
            of some members; what the first records have when not given. A format that is asked for
            JSON lines then gets them from the batches.
        sample: How many records to look at where no schema is given.
        unknown: What to do with fields that the schema does not have: ``error``, or ``extra`` keeps
            them as JSON in a column ``_extra``.
        error_objects: What to do with a page that reports an error with a status of success, like
            ``{"error": "quota"}``: ``error``, or ``record`` reads it as any other.
    """

    decides = (
        "connection",
        "path",
        "method",
        "params",
        "body",
        "headers",
        "records",
        "pagination",
        "total",
        "total_header",
        "lines",
        "max_pages",
        "allow_repeats",
        "schema",
        "types",
        "sample",
        "unknown",
        "error_objects",
    )

    def __init__(
        self,
        connection: HttpConnection,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        records: str | None = None,
        pagination: Pagination | str | None = None,
        total: str | None = None,
        total_header: str | None = None,
        lines: bool | None = None,
        max_pages: int = 10_000,
        page_bytes: int = 16 << 20,
        allow_repeats: bool = False,
        schema: pa.Schema | Mapping[str, str] | str | None = None,
        sample: int = 1000,
        unknown: Unknown = "error",
        error_objects: Literal["error", "record"] = "error",
    ) -> None:
        if error_objects not in ("error", "record"):
            raise InputError(f"error_objects={error_objects!r}: choose error or record.")
        self.connection = connection
        self.path = path
        self.method = method
        self.params = params
        self.body = body
        self.headers = headers
        self.records = "$" if records is None else records
        self.pagination = pagination_of(pagination) if isinstance(pagination, str) else pagination
        self.total = total
        self.total_header = total_header
        self.lines = lines
        self.max_pages = max_pages
        self.page_bytes = bytes_of("page_bytes", page_bytes)
        self.allow_repeats = allow_repeats
        self.types = named(schema)
        self.schema = schema if isinstance(schema, pa.Schema) else None
        self.sample = sample
        self.unknown = unknown
        self.error_objects = error_objects
        self._declared = declared_fields(self.types)
        self._late: list[str] = []  # members that a reading before has met behind the first ones
        self._records = JsonPath(self.records)
        self._takes_null = records is not None
        self._total = None if total is None else JsonPath(total)

    def describe(self) -> str:
        """Name the API and the path."""
        return f"HTTP API at {masked(self.connection.url(self.path))}"

    def _documents(self) -> tuple[Generator[Block, None, None], JsonValues]:
        values = self._values()
        return self._blocks(values), values

    def _values(self) -> JsonValues:
        known = self._declared.values() if self.schema is None else self.schema
        return JsonValues(decimals=_has_decimals(known))

    def encoded(self, format: Format) -> Encoded | None:
        """Read the records as JSON lines; any other format is written from typed batches."""
        if (
            self.schema is not None
            or self._declared
            or format.name != "jsonl"
            or format != type(format)()
        ):
            return None
        values = JsonValues()
        counted = [0]

        def chunks() -> Iterator[bytes]:
            blocks = self._blocks(values)
            try:
                documents = (one for block in blocks for one in block.documents)
                for piece, count in json_lines(documents, values.dumps):
                    counted[0] += count
                    yield piece
            finally:
                blocks.close()

        return Encoded(chunks(), rows=lambda: counted[0])

    def content(self) -> HttpBodySource:
        """Read the answer of the first request as it is."""
        return HttpBodySource(
            self.connection,
            self.path,
            method=self.method,
            params=self.params,
            body=self.body,
            headers=self.headers,
        )

    def _blocks(self, values: JsonValues) -> Generator[Block, None, None]:
        with HttpSession(self.connection, stop=self.stop) as http:
            yield from Reading(self._request(), http, values).blocks()

    def _request(self) -> Request:
        return Request(
            describe=self.describe(),
            url=self.connection.url(self.path),
            method=self.method,
            params=self.params or {},
            body=self.body,
            headers=self.headers or {},
            records=self._records,
            takes_null=self._takes_null,
            pagination=self.pagination,
            total=self._total,
            total_header=self.total_header,
            lines=self.lines,
            max_pages=self.max_pages,
            page_bytes=self.page_bytes,
            allow_repeats=self.allow_repeats,
            error_objects=self.error_objects,
        )

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make the source of an address; see `HttpConnection.from_uri` for secrets.

        Args:
            uri: The whole address of the first page.
            options: ``records``, ``total``, ``total_header``, ``max_pages``, ``page_bytes``,
                ``lines`` and ``allow_repeats`` (true or false), ``error_objects``; ``schema``
                (types of some members as JSON, or the file that holds it), ``sample`` (records),
                ``unknown``; and ``pagination``: ``none`` for the first page alone,
                ``link``, ``page``, ``offset``, or ``link:$.next``, ``page:PARAM``,
                ``offset:PARAM:LIMIT_PARAM:LIMIT``, ``cursor:$.next_cursor:PARAM``.

        Raises:
            InputError: An option is wrong.
        """
        numbers = ("max_pages", "sample")
        words = ("records", "total", "total_header", "unknown", "error_objects", "page_bytes")
        flags = ("lines", "allow_repeats")
        known = (*words, *numbers, *flags, "pagination", "schema")
        if unknown := sorted(options.keys() - set(known)):
            raise InputError(
                f"HTTP API at {masked(uri)}: there is no option {', '.join(unknown)}. Choose from: "
                f"{', '.join(known)}; what the API itself takes stands in the address."
            )
        arguments: dict[str, Any] = {name: options[name] for name in words if name in options}
        for name in numbers:
            if name in options:
                try:
                    arguments[name] = int(options[name])
                except ValueError:
                    raise InputError(f"{name}={options[name]!r} is no number.") from None
        for name in flags:
            if name in options:
                if (word := options[name].lower()) not in ("true", "false"):
                    raise InputError(f"{name}={options[name]!r} is neither true nor false.")
                arguments[name] = word == "true"
        arguments["schema"] = declared(options.get("schema", ""))
        if options.get("pagination"):
            arguments["pagination"] = pagination_of(options["pagination"])
        return cls(HttpConnection.from_uri(uri), "", **arguments)


def _has_decimals(schema: Iterable[pa.Field]) -> bool:
    return any(
        pa.types.is_decimal(field.type)
        or pa.types.is_nested(field.type)
        or types.logical_type(field) in ("decimal", "json")
        for field in schema
    )
