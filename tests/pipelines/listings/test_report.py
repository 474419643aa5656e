"""The page: what people wrote stays text, and a history without prices is told."""

from __future__ import annotations

import json

import pytest

from listings.report import Results, write
from listings.seed import FIRST, City

MOVER = {
    "listing_id": 1,
    "name": '<script>alert("x")</script>\nsecond line 🚤',
    "neighbourhood": "A & B",
    "first_date": "2015-04-03",
    "first_price": 10.0,
    "last_date": "2015-05-10",
    "last_price": 1234.5,
    "days": 37,
    "change_per_day": 33.094595,
}
TREND = [
    {"month": "2015-04", "neighbourhood": "A & B", "listings": 1, "median_price": 10.0},
    {"month": "2015-05", "neighbourhood": "A & B", "listings": 1, "median_price": 1234.5},
]


def test_names_are_text_whatever_they_hold():
    page = write(Results("2015-05", TREND, {"rises": [MOVER], "falls": []}, [], []))
    assert "<script" not in page
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\nsecond line 🚤" in page
    assert "A &amp; B" in page
    assert "€ 1,234.50" in page
    assert "No price has changed in this direction yet." in page


def test_a_history_without_a_price_is_told():
    page = write(Results("2015-04", [], {"rises": [], "falls": []}, [], []))
    assert "No listing has had a price yet." in page
    assert "0</b><span>listings with a price" in page


def test_results_are_read_by_month():
    objects = {
        "results/2015-05/trend.json": json.dumps(TREND),
        "results/2015-05/rises.json": json.dumps([MOVER]),
        "results/2015-05/falls.json": "[]",
        "reviews/2015-05.jsonl": '{"stars": 4}\n{"stars": 5}\n',
        "rates/2015-05.jsonl": '{"currency": "USD", "rate": 1.1}\n',
    }
    page = write(Results.read("2015-05", lambda key: objects[key].encode()))
    assert "4.50 ★" in page
    assert "$ 1,358" in page


@pytest.mark.parametrize("month", [FIRST, "2017-01"])
def test_the_same_city_each_time_with_what_people_write(month: str):
    rows = list(City(rows=400).month(month))
    assert rows == list(City(rows=400).month(month))
    assert rows != list(City(rows=400, seed=12).month(month))
    assert 200 < len(rows) < 600
    names = "".join(row[1] for row in rows)
    assert all(each in names for each in ('"', "\n", "🚤", "\\", ","))
    assert any(row[8] is None for row in rows)
    assert {row[12][:7] for row in rows} == {month}
    assert len({(row[0], row[12]) for row in rows}) == len(rows)


def test_listings_vanish_and_return():
    months = [{row[0] for row in City(rows=400).month(f"2016-{each:02}")} for each in range(1, 13)]
    assert any(
        one not in months[middle] and any(one in later for later in months[middle + 1 :])
        for middle in range(1, 11)
        for one in months[middle - 1]
    )
