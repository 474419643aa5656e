"""REST: how real APIs end their pages, limit their callers, and name the next page.

Over 400 lines: one case an API's habit, each with a server of its own beside it.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import logging
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rest_server import Asked, Reply, Server, serving
from tradewind.cli import main
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.json_path import JsonPath
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.systems.http.connection import HttpConnection, Retries
from tradewind.systems.http.error_objects import is_error_object
from tradewind.systems.http.source import Cursor, NextLink, Page, RestSource, SinglePage

QUICK = Retries(attempts=3, backoff=0.001)


def ids(server: Server, path: str = "/users", **arguments: Any) -> list[int]:
    rest = RestSource(HttpConnection(server.url, retries=QUICK), path, **arguments)
    encoded = rest.encoded(JsonLinesFormat())
    assert encoded is not None
    return [json.loads(line)["id"] for line in b"".join(encoded.chunks).splitlines()]


LAST = [
    Reply({"users": None, "next_token": None}),
    Reply({"next_token": None}),
    Reply({"users": [], "next_token": ""}),
    Reply(raw=b"", status=204),
    Reply({}),
    Reply({"users": None}),
]


def tokens(last: Reply) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        return {
            None: Reply({"users": [{"id": 1}, {"id": 2}], "next_token": "t2"}),
            "t2": Reply({"users": [{"id": 3}], "next_token": "t3"}),
            "t3": last,
        }[asked.query.get("token")]

    return answer


@pytest.mark.parametrize("last", LAST)
def test_a_last_page_without_records(last: Reply) -> None:
    with serving(tokens(last)) as server:
        cursor = Cursor("$.next_token", param="token")
        assert ids(server, records="$.users", pagination=cursor) == [1, 2, 3]


@pytest.mark.parametrize("last", [{"error": "busy"}, {"users": 7}, {"next_token": None, "e": 1}])
def test_a_later_page_that_says_something_else_is_no_end(last: Any) -> None:
    with serving(tokens(Reply(last))) as server, pytest.raises(InputError, match="no records at"):
        ids(server, records="$.users", pagination=Cursor("$.next_token", param="token"))


def test_null_in_the_middle_and_on_the_first_page() -> None:
    pages = {"1": None, "2": [{"id": 2}], "3": None}

    def answer(asked: Asked) -> Reply:
        number = asked.query.get("n", "1")
        after = f"/users?n={int(number) + 1}" if number != "3" else None
        return Reply({"users": pages[number], "next": after})

    with serving(answer) as server:
        assert ids(server, records="$.users", pagination=NextLink("$.next")) == [2]
    with serving(lambda asked: Reply({"users": None})) as server:
        assert ids(server, records="$.users") == []
    with serving(lambda asked: Reply({"data": []})) as server, pytest.raises(InputError):
        ids(server, records="$.users")
    groups = [{"items": [{"id": 1}]}, {"items": None}]
    with serving(lambda asked: Reply({"groups": groups})) as server:
        assert ids(server, records="$.groups[*].items") == [1]


# Rate limits


def once(reply: Callable[[], Reply]) -> Callable[[Asked], Reply]:
    told: list[int] = []

    def answer(asked: Asked) -> Reply:
        number = int(asked.query["page"])
        if number == 2 and not told:
            told.append(1)
            return reply()
        return Reply([{"id": number}] if number < 3 else [])

    return answer


def ahead(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment, usegmt=True)


LIMITS: dict[str, Callable[[], Reply]] = {
    "Retry-After": lambda: Reply({"message": "slow"}, 403, {"Retry-After": "0"}),
    "a date": lambda: Reply({"message": "slow"}, 403, {"Retry-After": ahead(1)}),
    "429 and a date": lambda: Reply({"message": "slow"}, 429, {"Retry-After": ahead(1)}),
    "reset": lambda: Reply(
        {}, 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}
    ),
    "reset in seconds": lambda: Reply(
        {}, 403, {"RateLimit-Remaining": "0", "RateLimit-Reset": "0"}
    ),
    "words": lambda: Reply({"message": "You have exceeded a secondary rate limit."}, 403),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_rate_limit_is_waited_for(limit: str) -> None:
    with serving(once(LIMITS[limit])) as server:
        assert ids(server, "/items", pagination=Page()) == [1, 2]
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7200"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 7200)},
        {"Retry-After": "0"},
    ],
)
def test_a_rate_limit_that_lasts_is_for_a_later_try(headers: dict[str, str]) -> None:
    with serving(lambda asked: Reply({"message": "later"}, 403, headers)) as server:
        with pytest.raises(RetryError, match="rate limit") as told:
            ids(server, "/items", pagination=Page())
        assert type(told.value) is RetryError


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Remaining": "41"}])
def test_a_plain_403_is_about_permissions_and_at_once(headers: dict[str, str]) -> None:
    with serving(lambda asked: Reply({"message": "no"}, 403, headers)) as server:
        with pytest.raises(SetupError, match="credentials"):
            ids(server, "/items", pagination=Page())
        assert len(server.asked) == 1


# The next page


def odata(asked: Asked) -> Reply:
    number = int(asked.query.get("$skiptoken", 1))
    body: dict[str, Any] = {"value": [{"id": number}]}
    if number < 3:
        body["@odata.nextLink"] = f"/users?$skiptoken={number + 1}"
    return Reply(body)


def test_a_next_link_of_odata() -> None:
    with serving(odata) as server:
        link = NextLink("$['@odata.nextLink']")
        assert ids(server, records="$.value", pagination=link) == [1, 2, 3]


@pytest.mark.parametrize(
    "path", ["$.@odata.nextLink", "$.a.@b", "$.items[?(@.a)]", "$.a,b", "$.(a)", "$.a=b"]
)
def test_what_is_no_json_path_is_refused(path: str) -> None:
    for make in (JsonPath, NextLink, Cursor):
        with pytest.raises(InputError, match="not a JSON path"):
            make(path)


@pytest.mark.parametrize(
    "body",
    [
        {"@odata.nextLink": "/users?n=2"},
        {"odata.nextLink": "http://127.0.0.1/users?n=2"},
        {"links": {"next": "?n=2"}},
        {"_links": {"next": {"href": "/users?n=2"}}},
    ],
)
@pytest.mark.parametrize("pagination", [NextLink("$.next"), Cursor("$.odata.nextLink")])
def test_a_path_that_misses_the_next_page_is_an_error(body: Any, pagination: Any) -> None:
    with (
        serving(lambda asked: Reply({"value": [{"id": 1}], **body})) as server,
        pytest.raises(InputError, match=r"there is nothing, and .* names a next page"),
    ):
        ids(server, records="$.value", pagination=pagination)


def test_a_path_that_finds_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with (
        serving(lambda asked: Reply({"value": [{"id": 1}]})) as server,
        caplog.at_level(logging.WARNING),
    ):
        assert ids(server, records="$.value", pagination=NextLink("$.nxt")) == [1]
        assert "nothing stands at $.nxt" in caplog.text
        caplog.clear()
        assert ids(server, records="$.value") == [1]
        assert not caplog.text
    with serving(odata) as server, caplog.at_level(logging.WARNING):
        assert ids(server, records="$.value") == [1]
        assert "$['@odata.nextLink'] names a next page" in caplog.text


def test_a_link_header_is_followed_without_being_asked() -> None:
    def answer(asked: Asked) -> Reply:
        number = int(asked.query.get("n", 1))
        more = {"Link": f'</users?n={number + 1}>; rel="next"'} if number < 3 else {}
        return Reply([{"id": number}], headers=more)

    with serving(answer) as server:
        assert ids(server) == [1, 2, 3]
        with pytest.raises(InputError, match="the header Link names a next page"):
            ids(server, pagination=Cursor("$.next"))


@pytest.mark.parametrize("pagination", [None, NextLink()])
def test_a_page_that_links_to_itself(pagination: Any) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply([{"id": 1}], headers={"Link": "</users>; rel=next"})

    with serving(answer) as server:
        with pytest.raises(InputError, match="circle"):
            ids(server, pagination=pagination, allow_repeats=True)
        assert len(server.asked) == 1


def test_the_first_page_alone_when_asked() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply([{"id": 1}], headers={"Link": "</users?page=2>; rel=next"})

    with serving(answer) as server:
        assert ids(server, pagination=SinglePage()) == [1]
        assert len(server.asked) == 1
        made = RestSource.from_uri(f"{server.url}/users", {"pagination": "none"})
        assert isinstance(made.pagination, SinglePage)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'[{"id":1,}]', r"trailing comma.*column 9"),
        (b'[{"id":"a\nb"}]', "control character.*column 10"),
        (b'[{"id":NaN}]', "column 8"),
        (b'[{"id":"\\ud800"}]', "surrogate.*column 9"),
        (b'[{"id":"\\ud800","n":12345678901234567890.5}]', "surrogate.*column 9"),
        (b"[{'id':1}]", "column 3"),
        (b'[{"id":01}]', "column"),
        (b'[{"id":1,"id":2}]', "member 'id' twice"),
        (b'[{"id":1,"in":{"a" : 1, "a": 1}}]', "member 'a' twice"),
        (b'[{"id":1,"a:":1,"a\\u003a":2}]', "member 'a:' twice"),
        (b'[{"id":1,"id":0.12345678901234567890}]', "member 'id' twice"),
    ],
)
def test_broken_json_is_told_by_character_and_place_at_once(raw: bytes, says: str) -> None:
    with serving(lambda asked: Reply(raw=raw)) as server:
        with pytest.raises(InputError, match=rf"(?s)broken JSON.*{says}"):
            ids(server)
        assert len(server.asked) == 1


@pytest.mark.parametrize("inner", [b"1", b"1.12345678901234567890"])
@pytest.mark.parametrize("deep", [260, 900, 1020, 2000])
def test_json_that_is_nested_too_deeply_is_told(deep: int, inner: bytes) -> None:
    raw = b'[{"id":' + b"[" * deep + inner + b"]" * deep + b"}]"
    with serving(lambda asked: Reply(raw=raw)) as server:
        with pytest.raises(InputError, match=r"deep|depth"):
            ids(server)
        assert len(server.asked) == 1


def test_a_zero_keeps_its_sign_where_its_type_has_one() -> None:
    with serving(lambda asked: Reply(raw=b'[{"id":-0}]')) as server:

        def source(**given: Any) -> RestSource:
            return RestSource(HttpConnection(server.url), "/", pagination=SinglePage(), **given)

        encoded = source().encoded(JsonLinesFormat())
        assert encoded is not None
        assert b"".join(encoded.chunks).splitlines() == [b'{"id":-0}']
        for kind, wanted in ((pa.float64(), "-0.0"), (pa.int64(), "0")):
            with source(schema=pa.schema([("id", kind)])).batches() as read:
                [row] = [row for batch in read for row in batch.to_pylist()]
            assert str(row["id"]) == wanted


@pytest.mark.parametrize("raw", [b'[{"id":1', b'[{"id":"x', b'[{"id":tru', b'[{"id":1},'])
def test_json_that_is_cut_is_asked_for_again(raw: bytes) -> None:
    replies = [Reply(raw=raw), Reply([{"id": 1}])]
    with serving(lambda asked: replies.pop(0)) as server:
        assert ids(server) == [1]


def test_an_object_where_pages_before_were_lists() -> None:
    pages = {"1": Reply([{"id": 1}]), "2": Reply({"error": "quota"})}
    with (
        serving(lambda asked: pages[asked.query["page"]]) as server,
        pytest.raises(InputError, match=r"page 2.*one object.*quota"),
    ):
        ids(server, pagination=Page())


@pytest.mark.parametrize("items", [None, []])
def test_an_error_with_status_200(items: Any) -> None:
    body = {"data": {"items": items}, "errors": [{"message": "quota"}]}
    with (
        serving(lambda asked: Reply(body)) as server,
        pytest.raises(InputError, match=r"reports an error.*quota"),
    ):
        ids(server, records="$.data.items")


ERRORS = [
    {"error": "quota"},
    {"error": {"code": 5, "message": "quota"}, "data": None},
    {"errors": [{"message": "quota"}], "results": []},
    {"success": False, "message": "quota"},
    {"status": "error", "message": "quota"},
    {"code": 401, "msg": "quota"},
    {"status": 429, "title": "quota", "type": "about:blank", "detail": "wait"},
    {"fault": {"faultstring": "quota"}},
    {"Error Message": "quota"},
    {"odata.error": {"code": "", "message": {"value": "quota"}}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "quota"}},
]
RECORDS: list[dict[str, Any]] = [
    {"id": 1, "error": "timeout", "state": "failed"},
    {"id": 1, "error": None, "message": "quota"},
    {"id": 1, "success": False},
    {"code": 401, "name": "Unauthorized"},
    {"message": "hello"},
    {"error": None},
    {},
]


def test_an_error_object_is_no_record_and_a_record_is_no_error() -> None:
    assert [body for body in ERRORS if not is_error_object(body)] == []
    assert [body for body in RECORDS if is_error_object(body)] == []
    told: list[Any] = []
    with serving(lambda asked: Reply(told[-1])) as server:
        for body in ERRORS[:1], ERRORS[3:4]:
            told += body
            with pytest.raises(InputError, match=r"answers with an error.*quota.*error_objects"):
                records(server, pagination=Page())
            assert records(server, error_objects="record") == body
        logs = [{"time": 1, "error": "quota"}, {"time": 2, "error": "none"}]
        for kept in ([RECORDS[0]], logs):
            told.append(kept)
            assert records(server) == kept
        told.append([{"id": 1}, *ERRORS[:1]])
        with pytest.raises(InputError, match=r"behind its records.*quota"):
            records(server)
        for page in (
            {"data": [{"id": 1}], "errors": [{"message": "quota"}]},
            {"data": [], "success": False, "message": "quota"},
        ):
            told.append(page)
            with pytest.raises(InputError, match=r"reports an error.*quota"):
                records(server, records="$.data")
        told.append({"data": [{"id": 1, "error": "own"}], "errors": [], "error": None})
        assert ids(server, records="$.data") == [1]


def records(server: Server, **arguments: Any) -> list[Any]:
    rest = RestSource(HttpConnection(server.url, retries=QUICK), "/users", **arguments)
    encoded = rest.encoded(JsonLinesFormat())
    assert encoded is not None
    return [json.loads(line) for line in b"".join(encoded.chunks).splitlines()]


def test_lines_of_json_that_end_in_an_error_or_have_another_content_type() -> None:
    raw = b'{"id":1}\n{"id":2}\n'
    kind = "application/x-ndjson"
    broken = Reply(raw=raw + b'{"error":"shard failed"}\n', kind=kind)
    with serving(lambda asked: broken) as server, pytest.raises(InputError, match="shard failed"):
        ids(server)
    with serving(lambda asked: Reply(raw=raw)) as server:
        with pytest.raises(InputError, match=r"several JSON values.*lines=True"):
            ids(server)
        assert ids(server, lines=True) == [1, 2]
        made = RestSource.from_uri(f"{server.url}/users", {"lines": "true", "page_bytes": "9999"})
        assert (made.lines, made.page_bytes) == (True, 9999)
        with pytest.raises(InputError, match="neither true nor false"):
            RestSource.from_uri(f"{server.url}/users", {"lines": "maybe"})


@pytest.mark.parametrize("pagination", [NextLink(), Cursor(header="X-Next")])
def test_a_header_that_is_not_sent_while_the_page_names_a_next_one(pagination: Any) -> None:
    with serving(odata) as server, pytest.raises(InputError, match=r"no header .*odata.nextLink"):
        ids(server, records="$.value", pagination=pagination)


def test_an_empty_answer_is_a_file_without_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = {"/a": Reply(None), "/b": Reply([]), "/c": Reply(raw=b"", status=204)}
    with serving(lambda asked: replies[asked.path]) as server:
        for path, name in zip(replies, ("a.csv", "b.jsonl", "c.csv"), strict=True):
            line = ["move", "--from", server.url + path, "--to", str(tmp_path / name)]
            if path == "/a":
                assert main(line) == 2  # no list at all, unless it is said that it means one
                assert not (tmp_path / name).exists()
                advice = capsys.readouterr().err.partition(" give ")[2].partition(";")[0]
                line += shlex.split(advice)
            assert main(line) == 0
            assert (tmp_path / name).read_bytes() == b""


def test_null_for_records_is_never_taken_for_none_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pages: list[Any] = [[{"id": 1}], None]
    with serving(lambda asked: Reply(pages[int(asked.query["page"]) - 1])) as server:
        assert ids(server, pagination=Page()) == [1]
        assert not caplog.records
        pages.pop(0)
        with pytest.raises(InputError, match="answer is null, and no list"):
            ids(server, pagination=Page())
        assert ids(server, records="$", pagination=Page()) == []
        assert "null stands at $" in caplog.text
    with serving(lambda asked: Reply({"data": None})) as server:
        with pytest.raises(InputError, match=r"no records at \$.data.items"):
            ids(server, records="$.data.items")
        assert ids(server, records="$.data") == []
        assert "null stands at $.data" in caplog.text


def test_what_an_error_advises_can_be_typed_into_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(odata) as server:
        line = ["move", "--quiet", "--from", server.url, "--to", str(tmp_path / "a.jsonl")]
        line += ["--set-from", "records=$.value"]
        assert main([*line, "--set-from", "pagination=link:$.next"]) == 2
        advice = capsys.readouterr().err.rpartition("Give ")[2].strip().removesuffix(".")
        assert main([*line, *shlex.split(advice)]) == 0
    assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") == 3
