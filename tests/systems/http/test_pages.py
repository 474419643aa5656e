"""REST: pages of any lengths, empty and short ones among them, in each way of naming the next."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from rest_server import Asked, Reply, serving
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.systems.http.connection import HttpConnection
from tradewind.systems.http.source import Cursor, NextLink, Offset, Page, RestSource

WAYS: dict[str, Any] = {
    "link in the body": NextLink("$.next_link"),
    "link in a header": NextLink(),
    "token in the body": Cursor("$.next"),
    "token in a header": Cursor(header="X-Next"),
    "page": Page(),
    "offset": Offset(limit=5),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_records_of_all_pages_come_once_and_in_order(way: str) -> None:
    chance = random.Random(way)
    lengths: list[int] = []

    def answer(asked: Asked) -> Reply:
        begins = [0, *itertools.accumulate(lengths)]
        if way == "offset":
            begin = int(asked.query["offset"])
            number = begins.index(begin) if begin < begins[-1] else len(lengths)
        else:
            number = int(asked.query.get("page") or asked.query.get("cursor", "0"))
            number -= way == "page"  # which counts from 1
        begin = begins[min(number, len(lengths))]
        count = lengths[number] if number < len(lengths) else 0
        body: dict[str, Any] = {"items": [{"id": begin + at} for at in range(count)]}
        headers = {}
        if number + 1 < len(lengths):
            body |= {"next_link": f"/items?page={number + 1}", "next": str(number + 1)}
            headers = {"Link": f'</items?page={number + 1}>; rel="next"', "X-Next": str(number + 1)}
        if way.endswith("a header"):
            body = {"items": body["items"]}
        elif not way.startswith(("link", "token")):
            body, headers = {"items": body["items"]}, {}
        return Reply(body, headers=headers)

    with serving(answer) as server:
        for _ in range(4):
            # A page without records ends those that are counted, and no others.
            least = 1 if way in ("page", "offset") else 0
            lengths[:] = [chance.randint(least, 5) for _ in range(chance.randint(1, 6))]
            server.asked.clear()
            source = RestSource(
                HttpConnection(server.url), "/items", records="$.items", pagination=WAYS[way]
            )
            encoded = source.encoded(JsonLinesFormat())
            assert encoded is not None
            found = [json.loads(line)["id"] for line in b"".join(encoded.chunks).splitlines()]
            assert found == list(range(sum(lengths))), lengths
            assert encoded.rows() == sum(lengths)
