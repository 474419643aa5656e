"""REST: pages, retries, secrets and all that a server may do wrong.

Over 400 lines: one case a thing that a server may do, each with that server beside it.
"""

from __future__ import annotations

import datetime
import email.utils
import gzip
import json
import threading
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from rest_server import Asked, Reply, Server, serving
from tradewind.errors import CancelledError, InputError, RetryError, SetupError, TradewindError
from tradewind.move.flow import Flow
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.types import UnfitValueError
from tradewind.systems.http.connection import (
    BearerAuth,
    HeaderAuth,
    HttpConnection,
    Retries,
    masked,
)
from tradewind.systems.http.source import (
    Cursor,
    HttpBodySource,
    NextLink,
    Offset,
    Page,
    RestSource,
)

QUICK = Retries(attempts=3, backoff=0.001)
RECORDS = [{"id": number, "name": f"name {number}"} for number in range(25)]


def source(server: Server, path: str = "/items", **arguments: Any) -> RestSource:
    settings = arguments.pop("settings", {})
    connection = HttpConnection(server.url, **{"retries": QUICK, **settings})
    return RestSource(connection, path, **arguments)


def lines(rest: RestSource) -> list[dict[str, Any]]:
    encoded = rest.encoded(JsonLinesFormat())
    assert encoded is not None
    data = b"".join(encoded.chunks)
    records = [json.loads(line, parse_float=Decimal) for line in data.splitlines()]
    assert encoded.rows() == len(records)
    return records


def rows(rest: RestSource) -> list[dict[str, Any]]:
    with rest.batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema).to_pylist()


def page(asked: Asked, size: int = 10) -> list[dict[str, Any]]:
    number = int(asked.query.get("page", 1))
    return RECORDS[(number - 1) * size : number * size]


def failing(rest: RestSource, kind: type[TradewindError]) -> str:
    with pytest.raises(kind) as caught:
        lines(rest)
    assert type(caught.value) is kind
    return str(caught.value)


# Pagings


def test_single_page_as_lines_and_as_rows() -> None:
    with serving(lambda asked: Reply({"data": {"items": RECORDS}})) as server:
        rest = source(server, records="$.data.items")
        assert lines(rest) == RECORDS
        assert rows(rest) == RECORDS


def test_pages_by_number_end_at_an_empty_one() -> None:
    with serving(lambda asked: Reply({"items": page(asked)})) as server:
        assert lines(source(server, records="$.items", pagination=Page())) == RECORDS
        assert [asked.query["page"] for asked in server.asked] == ["1", "2", "3", "4"]


def test_pages_end_at_the_declared_total() -> None:
    with serving(lambda asked: Reply({"items": page(asked), "total": 25})) as server:
        rest = source(server, records="$.items", pagination=Page(), total="$.total")
        assert lines(rest) == RECORDS
        assert len(server.asked) == 3


def test_pages_end_at_the_status_that_says_so() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(page(asked)) if page(asked) else Reply({"no": "page"}, status=404)

    with serving(answer) as server:
        assert lines(source(server, pagination=Page(ends=frozenset({404})))) == RECORDS
        assert "404" in failing(source(server, pagination=Page()), InputError)


def test_offset_counts_what_was_handed_out() -> None:
    def answer(asked: Asked) -> Reply:
        offset = int(asked.query["offset"])
        return Reply(RECORDS[offset : offset + min(7, int(asked.query["limit"]))])

    with serving(answer) as server:
        assert lines(source(server, pagination=Offset(limit=100))) == RECORDS
        offsets = [asked.query["offset"] for asked in server.asked]
        assert offsets == ["0", "7", "14", "21", "25"]


def test_next_link_in_the_header() -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        after = f'</items?page={number + 1}&q=a%2Cb>; title="a, b"; rel="next"'
        link = f'<http://x/>; rel="prev", {after}' if number < 3 else '<http://x/>; rel="prev"'
        return Reply(page(asked), headers={"Link": link})

    with serving(answer) as server:
        assert lines(source(server, params={"first": "yes"}, pagination=NextLink())) == RECORDS
        assert server.asked[1].query == {"page": "2", "q": "a,b"}


def test_next_link_in_the_body() -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        after = f"?page={number + 1}" if number < 3 else None
        return Reply({"items": page(asked), "links": {"next": after}})

    with serving(answer) as server:
        pagination = NextLink("$.links.next")
        assert lines(source(server, records="$.items", pagination=pagination)) == RECORDS


@pytest.mark.parametrize(
    "pagination",
    [
        Cursor("$.next"),
        Cursor(header="X-Next"),
        Cursor("$.next", more="$.more"),
        Cursor("$.next", body="cursor"),
    ],
)
def test_cursor(pagination: Cursor) -> None:
    def answer(asked: Asked) -> Reply:
        sent = asked.body if pagination.body else asked.query
        begin = int(sent.get("cursor", "at-0")[3:])
        end = begin + 10
        token = f"at-{end}" if end < len(RECORDS) else ""
        body = {"items": RECORDS[begin:end], "next": token, "more": bool(token)}
        return Reply(body, headers={"X-Next": token})

    with serving(answer) as server:
        arguments: dict[str, Any] = {"method": "POST", "body": {"q": 1}} if pagination.body else {}
        rest = source(server, records="$.items", pagination=pagination, **arguments)
        assert lines(rest) == RECORDS
        if pagination.body:
            assert server.asked[1].body == {"q": 1, "cursor": "at-10"}


def test_lines_of_newline_delimited_json() -> None:
    text = b"\xef\xbb\xbf" + b"\n\r\n".join(json.dumps(one).encode() for one in RECORDS)
    with serving(lambda asked: Reply(raw=text, kind="application/x-ndjson; a=b")) as server:
        assert lines(source(server)) == RECORDS
        assert rows(source(server)) == RECORDS
    with serving(lambda asked: Reply(raw=text)) as server:
        assert lines(source(server, lines=True)) == RECORDS


# Pages lost or repeated


def test_pages_that_go_in_a_circle() -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        return Reply(page(asked), headers={"Link": f"</items?page={number % 2 + 1}>; rel=next"})

    with serving(answer) as server:
        assert "circle" in failing(source(server, pagination=NextLink()), InputError)


def test_a_token_twice() -> None:
    with serving(lambda asked: Reply([{"n": len(asked.query)}], headers={"next": "x"})) as server:
        assert "circle" in failing(source(server, pagination=Cursor(header="next")), InputError)


def test_a_server_that_does_not_know_the_parameter() -> None:
    with serving(lambda asked: Reply(RECORDS)) as server:
        assert "same 25 records" in failing(source(server, pagination=Page()), InputError)


def test_a_page_comes_again_later() -> None:
    def answer(asked: Asked) -> Reply:
        # After the third page it begins anew.
        number = (int(asked.query["page"]) - 1) % 3 + 1
        return Reply({"items": [{"id": number}]})

    with serving(answer) as server:
        rest = source(server, records="$.items", pagination=Page())
        assert "page 4 has the same 1 records as page 1" in failing(rest, InputError)
        again = source(
            server, records="$.items", pagination=Page(), allow_repeats=True, max_pages=5
        )
        assert "more than 5 pages" in failing(again, InputError)


@pytest.mark.parametrize("by", ["body", "header"])
def test_a_page_is_lost(by: str) -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("page", 1))
        lost = [] if number == 3 else page(asked)
        return Reply({"items": lost, "total": 25}, headers={"X-Total": "25"})

    total = {"total": "$.total"} if by == "body" else {"total_header": "X-Total"}
    with serving(answer) as server:
        rest = source(server, records="$.items", pagination=Page(), **total)
        message = failing(rest, RetryError)
        assert "declares 25" in message
        assert "handed out 20" in message


def test_a_total_that_changes() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply({"items": page(asked), "total": 25 + int(asked.query["page"])})

    with serving(answer) as server:
        rest = source(server, records="$.items", pagination=Page(), total="$.total")
        assert "on page 2 27" in failing(rest, RetryError)


def test_too_many_pages() -> None:
    with serving(lambda asked: Reply([{"page": asked.query["page"]}])) as server:
        rest = source(server, pagination=Page(), max_pages=5)
        assert "more than 5 pages" in failing(rest, InputError)
        assert len(server.asked) == 5


# Bad content


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(raw=b"<html><p>Log\x00 in", kind="text/html"), "HTML instead of JSON"),
        (Reply(raw=b"", kind="text/plain"), "an empty body instead of JSON"),
        (Reply(raw=b'{"a": nope}'), "broken JSON"),
        (Reply(raw=b"surprise"), "begins with: surprise"),
        (Reply({"data": []}), "has the members 'data'"),
        (Reply(["text"]), "which is a list"),
        (Reply({"items": [1]}), "a number where an object should be"),
        (Reply(raw='{"items": "ü"}'.encode("latin-1")), "the text is not UTF-8"),
        (
            Reply(raw=b'{"items": "\xfc"}', kind="application/json; charset=utf-8"),
            "not utf-8, as the server says",
        ),
        (Reply(raw=b"{}", kind="application/json; charset=klingon"), "charset 'klingon'"),
    ],
)
def test_a_page_that_is_none(reply: Reply, expected: str) -> None:
    with serving(lambda asked: reply) as server:
        rest = source(server, "/items?api_key=hidden&q=1", records="$.items")
        message = failing(rest, InputError)
        assert expected in message
        assert "/items?api_key=***&q=***" in message


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-8-sig"])
def test_other_charsets(charset: str) -> None:
    raw = json.dumps([{"name": "Zoë"}], ensure_ascii=False).encode(charset)
    named = "application/json; charset=latin-1" if charset == "latin-1" else "application/json"
    with serving(lambda asked: Reply(raw=raw, kind=named)) as server:
        assert lines(source(server)) == [{"name": "Zoë"}]


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    raw = compress(json.dumps(RECORDS).encode())
    with serving(lambda asked: Reply(raw=raw, headers={"content-encoding": encoding})) as server:
        assert lines(source(server)) == RECORDS


def test_a_page_too_large_once_uncompressed() -> None:
    raw = gzip.compress(b"[" + b" " * 1_000_000 + b"]")
    with serving(lambda asked: Reply(raw=raw, headers={"content-encoding": "gzip"})) as server:
        message = failing(source(server, page_bytes=100_000), InputError)
        assert "longer than 100,000 bytes" in message


def test_a_line_too_long() -> None:
    raw = b'{"a": "' + b"x" * 300_000 + b'"}\n'
    with serving(lambda asked: Reply(raw=raw, kind="application/x-ndjson")) as server:
        assert "longer than 1,000" in failing(source(server, page_bytes=1000), InputError)


def test_numbers_keep_their_digits() -> None:
    texts = ["0.1", "12345678901234567890123", "1.23456789012345678901", "1E-400", "1e500", "-0.0"]
    raw = f'[{{"n": [{", ".join(texts)}]}}]'.encode()
    with serving(lambda asked: Reply(raw=raw)) as server:
        found = lines(source(server))[0]["n"]
        assert [Decimal(one) for one in found] == [Decimal(text) for text in texts]


def test_declared_decimals_keep_their_digits() -> None:
    raw = b'[{"price": 0.10, "exact": 123456789012345678901234567890.12, "near": 0.10}]'
    schema = pa.schema(
        {"price": pa.decimal128(9, 2), "exact": pa.decimal128(38, 2), "near": pa.float64()}
    )
    with serving(lambda asked: Reply(raw=raw)) as server:
        exact = Decimal("123456789012345678901234567890.12")
        expected = [{"price": Decimal("0.10"), "exact": exact, "near": 0.1}]
        assert rows(source(server, schema=schema)) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"id": "x"}, "Column 'id': int64 of the document with id 'x' of page 2"),
        ({"id": 1.5}, "Column 'id'"),
        ({"id": 1, "more": 1}, "Field 'more' of the document with id 1 of page 2 is not in"),
    ],
)
@pytest.mark.parametrize("declared", [True, False])
def test_schema_changes_between_pages(
    changed: dict[str, Any], expected: str, declared: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query["page"])
        pages = [[{"id": 1}], [changed], []]
        return Reply(pages[number - 1])

    schema = pa.schema({"id": pa.int64()}) if declared else None
    with serving(answer) as server:
        rest = source(server, pagination=Page(), schema=schema, sample=1)
        with pytest.raises(InputError) as caught:
            rows(rest)
        assert expected in str(caught.value)
        if "more" in changed:
            kept = rows(source(server, pagination=Page(), schema=schema, sample=1, unknown="extra"))
            assert kept[1] == {"id": 1, "_extra": '{"more":1}'}
        else:
            assert isinstance(caught.value, UnfitValueError)


# Trouble that passes


@pytest.mark.parametrize(
    "trouble",
    [
        Reply({}, status=429, headers={"Retry-After": "0"}),
        Reply({}, status=503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        Reply({}, status=500),
        Reply(RECORDS, cut=20),
        Reply(raw=b'[{"id": 1}, {"id"', headers={"connection": "close"}),
    ],
)
def test_trouble_that_passes(trouble: Reply) -> None:
    with serving(lambda asked: Reply(RECORDS) if len(server.asked) > 2 else trouble) as server:
        assert lines(source(server)) == RECORDS
        assert len(server.asked) == 3


def test_trouble_that_stays() -> None:
    with serving(lambda asked: Reply({"error": "down"}, status=503)) as server:
        message = failing(source(server, "/x?token=hidden"), RetryError)
        assert "503" in message
        assert "down" in message
        assert "after 3 attempts" in message
        assert "hidden" not in message


@pytest.mark.parametrize("as_date", [True, False])
def test_a_server_that_asks_for_too_long(as_date: bool) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    wait = email.utils.format_datetime(later, usegmt=True) if as_date else "3600"
    with serving(lambda asked: Reply({}, status=429, headers={"Retry-After": wait})) as server:
        assert "asks to wait 3" in failing(source(server), RetryError)
        assert len(server.asked) == 1


@pytest.mark.parametrize("rate", [None, 0.01], ids=["Retry-After", "rate"])
def test_a_wait_hears_a_stop(rate: float | None) -> None:
    stop = threading.Event()

    def reply(asked: Asked) -> Reply:
        stop.set()
        return Reply({}, status=429, headers={} if rate else {"Retry-After": "100"})

    with serving(reply) as server:
        flow = Flow(source(server, settings={"rate": rate}), stop=stop)
        with pytest.raises(CancelledError, match="asked to stop"):
            list(flow.encoded(JsonLinesFormat()).chunks)
        assert len(server.asked) == 1


def test_post_is_made_again_only_if_told() -> None:
    with serving(lambda asked: Reply({}, status=503)) as server:
        assert "any_method" in failing(source(server, method="POST", body={}), RetryError)
        assert len(server.asked) == 1
        told = {"retries": Retries(attempts=2, backoff=0.001, any_method=True)}
        failing(source(server, method="POST", body={}, settings=told), RetryError)
        assert len(server.asked) == 3


def test_lines_cut_in_the_middle() -> None:
    raw = b"".join(json.dumps(one).encode() + b"\n" for one in RECORDS * 10_000)
    kind = "application/x-ndjson"
    with serving(lambda asked: Reply(raw=raw, kind=kind, cut=3_000_000)) as server:
        assert "broke after" in failing(source(server), RetryError)


def test_nobody_listens() -> None:
    with serving(lambda asked: Reply([])) as server:
        pass
    message = failing(source(server), RetryError)
    assert "cannot be reached" in message


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, SetupError), (403, SetupError), (404, InputError), (400, InputError), (501, InputError)],
)
def test_refusals(status: int, kind: type[TradewindError]) -> None:
    auth = BearerAuth("very-secret")
    refused = Reply({"message": "no very-secret for you"}, status=status)
    with serving(lambda asked: refused) as server:
        message = failing(source(server, settings={"auth": auth}), kind)
        assert f"it answered {status}" in message
        assert "no *** for you" in message
        assert len(server.asked) == 1


# Secrets


class Signed(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["X-Signed"] = "yes"
        yield request


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"auth": ("user", "word")}, "authorization", "Basic dXNlcjp3b3Jk"),
        ({"auth": BearerAuth("t0ken")}, "authorization", "Bearer t0ken"),
        ({"auth": HeaderAuth("X-Api-Key", "k3y")}, "x-api-key", "k3y"),
        ({"auth": Signed()}, "x-signed", "yes"),
        ({"headers": {"X-Own": "own"}}, "x-own", "own"),
    ],
)
@pytest.mark.parametrize("by", ["redirect", "link"])
def test_secrets_go_to_one_host_alone(
    settings: dict[str, Any], name: str, value: str, by: str
) -> None:
    settings = {**settings, "params": {"api_key": "hidden"}}

    def answer(asked: Asked) -> Reply:
        if by == "redirect":
            return Reply({}, status=307, headers={"Location": f"{other.url}/there"})
        return Reply([{"id": 0}], headers={"Link": f"<{other.url}/there>; rel=next"})

    with serving(lambda asked: Reply([{"id": 1}])) as other, serving(answer) as server:
        assert lines(source(server, pagination=NextLink(), settings=settings))[-1] == {"id": 1}
        assert server.asked[0].headers[name] == value
        assert server.asked[0].query == {"api_key": "hidden"}
        assert name not in other.asked[0].headers
        assert other.asked[0].query == {}


def test_redirect_within_the_host_keeps_credentials() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/there":
            return Reply(RECORDS)
        return Reply({}, status=301, headers={"Location": "/there"})

    with serving(answer) as server:
        assert lines(source(server, settings={"auth": ("user", "word")})) == RECORDS
        assert "authorization" in server.asked[1].headers


def test_redirects_without_end() -> None:
    redirect = Reply({}, status=302, headers={"Location": "/items"})
    with serving(lambda asked: redirect) as server:
        assert "more than 5 redirects" in failing(source(server), InputError)


def test_where_a_redirect_leads_to_is_told() -> None:
    with serving(lambda asked: Reply({})) as gone:
        nobody = gone.url
    for location, error, says in (
        ("file:///etc/passwd", InputError, "it redirects to an address of 'file', and only http"),
        ("ftp://host/t", InputError, "it redirects to an address of 'ftp', and only http"),
        ("http://host:99999/", InputError, "it redirects to something that is no address"),
        (
            f"{nobody}/there",
            RetryError,
            f"{nobody}/there, to which it redirects, cannot be reached",
        ),
    ):
        redirect = Reply({}, status=302, headers={"Location": location})
        with serving(lambda asked, redirect=redirect: redirect) as server:
            said = failing(source(server), error)
        assert says in said, said
        assert server.url in said, said
    # What has reached a server is not sent again.
    redirect = Reply({}, status=303, headers={"Location": f"{nobody}/there"})
    with serving(lambda asked: redirect) as server:
        failing(source(server, method="POST", body={"a": 1}), RetryError)
        assert len(server.asked) == 1


def test_a_body_is_not_redirected_to_another_host() -> None:
    redirect = Reply({}, status=307, headers={"Location": "http://localhost:9/"})
    with serving(lambda asked: redirect) as server:
        assert "meant for one host" in failing(
            source(server, method="POST", body={"secret": 1}), SetupError
        )


def test_nothing_secret_is_shown() -> None:
    connection = HttpConnection(
        "https://user:word@host/v1?token=abc&q=1",
        headers={"X-Api-Key": "abcdef"},
        auth=("user", "w0rd"),
        proxy="http://user:word@proxy",
    )
    shown = f"{connection!r} {RestSource(connection, 'x').describe()}"
    for secret in ("word", "abc", "w0rd"):
        assert secret not in shown
    assert masked("http://a/b?X-Amz-Signature=1&page=2") == "http://a/b?X-Amz-Signature=***&page=2"


def test_params_given_twice_and_lists() -> None:
    with serving(lambda asked: Reply([asked.query])) as server:
        seen = lines(source(server, "/items?a=1&b=2", params={"b": [3, 4], "c": True}))
        assert seen == [{"a": "1", "b": "4", "c": "true"}]


class Clock:
    """A clock that goes on only while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def test_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    # That module's alone: threads of other tests go by the real one.
    monkeypatch.setattr("tradewind.systems.http.session.time", clock)
    monkeypatch.setattr("tradewind.backoff.time", clock)
    with serving(lambda asked: Reply({"items": page(asked)})) as server:
        rest = source(server, records="$.items", pagination=Page(), settings={"rate": 0.5})
        assert lines(rest) == RECORDS
        assert len(server.asked) == 4
    assert clock.waits == [2.0, 2.0, 2.0]


# From the command line


def test_from_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_HTTP_PASSWORD", "word")
    with serving(lambda asked: Reply({"items": page(asked)})) as server:
        uri = server.url.replace("//", "//user@") + "/items?size=10"
        rest = RestSource.from_uri(uri, {"records": "$.items", "pagination": "page:page"})
        assert lines(rest) == RECORDS
        assert server.asked[0].headers["authorization"] == "Basic dXNlcjp3b3Jk"
        assert server.asked[0].query["size"] == "10"


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("ftp://host/", {}),
        ("http://host/", {"pagination": "pages"}),
        ("http://host/", {"records": "items"}),
        ("http://host/", {"max_pages": "many"}),
    ],
)
def test_from_wrong_uri(uri: str, options: dict[str, str]) -> None:
    with pytest.raises(InputError):
        RestSource.from_uri(uri, options)


# One answer as it is


def test_body_passes_through() -> None:
    data = bytes(range(256)) * 40_000
    with serving(lambda asked: Reply(raw=data, kind="application/octet-stream")) as server:
        body = HttpBodySource(HttpConnection(server.url), "/file")
        chunks = list(body.encoded(JsonLinesFormat()).chunks)
        assert b"".join(chunks) == data
        assert len(chunks) == 3


@pytest.mark.parametrize("right", [True, False])
def test_body_is_checked(right: bool) -> None:
    with serving(lambda asked: Reply({"status": "ok" if right else "failed"})) as server:
        body = HttpBodySource(
            HttpConnection(server.url),
            "/x",
            check=lambda response: response.json()["status"] == "ok",
        )
        chunks = body.encoded(JsonLinesFormat()).chunks
        if right:
            assert b"".join(chunks) == b'{"status": "ok"}'
        else:
            with pytest.raises(InputError, match="check of the response"):
                next(chunks)


def test_body_cut_in_the_middle() -> None:
    data = b"x" * 10_000_000
    with serving(lambda asked: Reply(raw=data, cut=9_000_000)) as server:
        body = HttpBodySource(HttpConnection(server.url, retries=QUICK), "/file")
        with pytest.raises(RetryError, match="broke after"):
            list(body.encoded(JsonLinesFormat()).chunks)


def test_body_cut_at_once_is_asked_for_again() -> None:
    with serving(
        lambda asked: Reply(raw=b"whole", cut=None if len(server.asked) > 1 else 0)
    ) as server:
        body = HttpBodySource(HttpConnection(server.url, retries=QUICK), "/file")
        assert list(body.encoded(JsonLinesFormat()).chunks) == [b"whole"]
