"""The part of JSONPath that says where records stand."""

from __future__ import annotations

from typing import Any

import pytest

from tradewind.errors import InputError
from tradewind.json_path import MISSING, JsonPath
from tradewind.systems.http.paging import links

DOCUMENT = {
    "data": {"items": [{"n": 1}, {"n": 2}], "a.b c": 5},
    "groups": [{"items": [{"n": 1}]}, {"items": []}, {"items": [{"n": 3}]}],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DOCUMENT),
        ("$.data.items", [{"n": 1}, {"n": 2}]),
        ("$.data.items[*]", [{"n": 1}, {"n": 2}]),
        ("$.data.items[-1].n", 2),
        ("$['data']['a.b c']", 5),
        ('$["data"].items[0]', {"n": 1}),
        ("$.groups[*].items", [{"n": 1}, {"n": 3}]),
        ("$.groups[*].items[*].n", [1, 3]),
        ("$.data.nothing", MISSING),
        ("$.data.items[2]", MISSING),
        ("$.data[0]", MISSING),
        ("$.groups[*].n", MISSING),
    ],
)
def test_finds(path: str, expected: Any) -> None:
    assert JsonPath(path).find(DOCUMENT) == expected


@pytest.mark.parametrize(
    "path", ["", "data", "$data", "$..n", "$.a[?(@.b)]", "$.a[1:2]", "$.", "$.a["]
)
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(InputError, match="not a JSON path"):
        JsonPath(path)


def test_records() -> None:
    assert JsonPath("$.data.items").records(DOCUMENT) == [{"n": 1}, {"n": 2}]
    assert JsonPath("$.data.items[0]").records(DOCUMENT) == [{"n": 1}]
    assert JsonPath("$.data['a.b c']").records(DOCUMENT) is None
    assert JsonPath("$.nothing").records(DOCUMENT) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("<a>; rel=next", {"next": "a"}),
        ('<a>; rel="prev", <b>; rel="next last"', {"prev": "a", "next": "b", "last": "b"}),
        ('<a,b;c>; title="x, <y>; rel=no"; REL="Next"', {"next": "a,b;c"}),
        ('<a> ; rel = "next" , <b>; rel="next"', {"next": "a"}),
        ("garbage", {}),
    ],
)
def test_link_headers(header: str, expected: dict[str, str]) -> None:
    assert links(header) == expected


def test_a_member_is_set_in_a_copy():
    document = {"a": {"b": 1}, "c": 2}
    assert JsonPath("$.a.d").put(document, 3) == {"a": {"b": 1, "d": 3}, "c": 2}
    assert JsonPath("$.x['y z']").put(document, 3)["x"] == {"y z": 3}
    assert JsonPath("$").put(document, 3) == 3
    assert document == {"a": {"b": 1}, "c": 2}


@pytest.mark.parametrize("path", ["$.c.d", "$.a[0]", "$[*]"])
def test_only_members_of_objects_are_set(path: str):
    with pytest.raises(InputError, match="names no member that can be set"):
        JsonPath(path).put({"a": [1], "c": 2}, 3)
