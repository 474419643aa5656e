"""The movers of the listings by a second calculation, which shares nothing with crunch.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from listings.seed import City

COLUMNS = (
    "id,name,host_id,host_name,neighbourhood,latitude,longitude,room_type,price,"
    "minimum_nights,number_of_reviews,last_review,download_date"
)

Rows = list[dict[str, Any]]


def as_dicts(city: City, month: str) -> Rows:
    """A month's listings by their columns."""
    return [dict(zip(COLUMNS.split(","), row, strict=True)) for row in city.month(month)]


def expected(months: Mapping[str, Rows]) -> dict[str, list[tuple[Any, ...]]]:
    """Movers by plain Python and exact fractions: speed, id, name, neighbourhood, both days."""
    seen: dict[int, list[tuple[date, Decimal, dict[str, Any]]]] = {}
    for rows in months.values():
        for row in rows:
            if row["price"] is not None:
                at = (date.fromisoformat(row["download_date"]), Decimal(row["price"]), row)
                seen.setdefault(row["id"], []).append(at)
    moved = []
    for listing, sights in seen.items():
        sights.sort(key=lambda sight: sight[0])
        (first, before, _), (last, after, row) = sights[0], sights[-1]
        if last > first:
            speed = Fraction(after - before) / (last - first).days
            moved.append((speed, listing, row["name"], row["neighbourhood"], first, last))
    rises = sorted((m for m in moved if m[0] > 0), key=lambda m: (-m[0], m[1]))[:5]
    falls = sorted((m for m in moved if m[0] < 0), key=lambda m: (m[0], m[1]))[:5]
    return {"rises": rises, "falls": falls}
