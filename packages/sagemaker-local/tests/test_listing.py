"""Filters, order and pages of the List operations."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_local import listing
from sagemaker_local.api_errors import ValidationException

BODIES = [
    {
        "Name": f"job-{number:02d}",
        "Status": "Failed" if number % 5 == 0 else "Completed",
        # Several of one moment, so that the name has to decide.
        "CreationTime": float(number // 3),
        "LastModifiedTime": 100.0 + number,
    }
    for number in range(25)
]


def page(**request: Any) -> tuple[list[str], str | None]:
    found, token = listing.page(BODIES, request, name="Name", status="Status")
    return [body["Name"] for body in found], token


def test_the_newest_first_ten_at_a_time() -> None:
    names, token = page()
    assert names == [f"job-{number:02d}" for number in range(24, 14, -1)]
    assert token


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("by", ["Name", "CreationTime", "Status", "LastModifiedTime"])
@pytest.mark.parametrize("size", [1, 7, 25, 100])
def test_pages_show_everything_once(order: str, by: str, size: int) -> None:
    seen: list[str] = []
    request: dict[str, Any] = {"SortBy": by, "SortOrder": order, "MaxResults": size}
    while True:
        names, token = page(**request)
        assert len(names) <= size
        seen += names
        if token is None:
            break
        request["NextToken"] = token
    assert sorted(seen) == [body["Name"] for body in BODIES]
    member = {"Name": "Name", "Status": "Status"}.get(by, by)
    values = [next(b for b in BODIES if b["Name"] == name)[member] for name in seen]
    assert values == sorted(values, reverse=order == "Descending")


def test_filters() -> None:
    assert page(NameContains="B-07")[0] == ["job-07"]
    assert len(page(StatusEquals="Failed", MaxResults=100)[0]) == 5
    assert page(CreationTimeAfter=7.0)[0] == ["job-24"]
    assert page(CreationTimeBefore=1.0)[0] == ["job-02", "job-01", "job-00"]
    assert page(LastModifiedTimeAfter=122.5)[0] == ["job-24", "job-23"]
    assert page(LastModifiedTimeBefore=101.0)[0] == ["job-00"]


@pytest.mark.parametrize("token", ["nonsense", "e30=", "WzEsMl0=", "\u00e4"])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(ValidationException, match="is not valid"):
        page(NextToken=token)
