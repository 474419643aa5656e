"""Makes listings, reviews and exchange rates as a city has them: the same each time.

A listing appears, vanishes for a season, returns, changes its price, has none for a while. Names
hold what people write: quotes, commas, line breaks, emoji. A month depends on the seed and on
itself alone: so three months are the first three of fifty-seven.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["CURRENCIES", "FIRST", "LAST", "NEIGHBOURHOODS", "City", "rates"]

FIRST = "2015-04"
LAST = "2019-12"
NEIGHBOURHOODS = (
    "Bos en Lommer",
    "Buitenveldert - Zuidas",
    "Centrum-Oost",
    "Centrum-West",
    "De Baarsjes - Oud-West",
    "De Pijp - Rivierenbuurt",
    "IJburg - Zeeburgereiland",
    "Noord-Oost",
    "Oostelijk Havengebied",
    "Oud-Oost",
    "Westerpark",
    "Zuid",
)
ROOMS = ("Entire home/apt", "Entire home/apt", "Entire home/apt", "Private room", "Shared room")
HOSTS = ("Anna", "Bram", "Chloé", "Daan", "Eva", "Søren", "Fatima", "Gijs", "李娜", "O'Neill")
NAMES = (
    "Sunny apartment near the park",
    'The "Penthouse", with a view',
    "Canal house, 2 bedrooms",
    "Cosy houseboat 🚤 & terrace",
    "Studio\nquiet street",
    "Room; breakfast included",
    "L'appartement d'Amélie",
    "Modern loft 😍😍",
    "Family home, garden\r\n(no parties)",
    "100% central \\ old town",
)
CURRENCIES = ("CHF", "GBP", "JPY", "SEK", "USD")
_SPAN = (-36, 60)


class City:
    """All listings there ever are.

    Args:
        rows: About how many there are in a month.
        seed: Another one makes another city.
    """

    def __init__(self, rows: int = 20_000, seed: int = 11) -> None:
        self.rows = rows
        self.seed = seed

    @cached_property
    def _population(self) -> dict[str, np.ndarray[Any, Any]]:
        # About 22 of 96 months: what a listing lives on average, less what it is away.
        size = max(20, round(self.rows * 4.5))
        chance = np.random.default_rng([self.seed, 0])
        hood = chance.integers(0, len(NEIGHBOURHOODS), size)
        return {
            "id": 2_000 + np.cumsum(chance.integers(1, 900, size)),
            "host": chance.integers(1_000, 40_000_000, size),
            "name": chance.integers(0, len(NAMES), size),
            "hood": hood,
            "room": chance.integers(0, len(ROOMS), size),
            "nights": chance.integers(1, 6, size),
            "latitude": 52.30 + 0.01 * hood + chance.random(size) / 50,
            "longitude": 4.80 + 0.015 * hood + chance.random(size) / 50,
            "from": chance.integers(*_SPAN, size),
            "life": chance.geometric(1 / 28, size),
            "price": chance.lognormal(4.6, 0.45, size),
            "drift": chance.normal(0.002, 0.012, size),
            "reviews": chance.geometric(0.4, size),
        }

    def month(self, month: str) -> Iterator[tuple[Any, ...]]:
        """Make a month's listings, as the columns of `schema.sql` have them.

        Args:
            month: Like ``2015-04``.
        """
        number = _number(month) - _number(FIRST)
        every = self._population
        chance = np.random.default_rng([self.seed, 1, number + 1_000])
        season = np.random.default_rng([self.seed, 2, number // 3 + 1_000])
        size = len(every["id"])
        age = number - every["from"]
        there = (age >= 0) & (age < every["life"]) & (season.random(size) > 0.12)
        wave = 1 + 0.08 * np.sin((number + 3) * np.pi / 6)
        growth = np.exp(every["drift"] * number + 0.003 * number * (every["hood"] % 4))
        price = np.round(every["price"] * growth * wave * chance.normal(1, 0.03, size), 0)
        priced = chance.random(size) > 0.02
        # Asked for over two days, as a crawl of a city takes.
        first = date(int(month[:4]), int(month[5:]), 3 + number * 7 % 20)
        days = (first, first + timedelta(days=1))
        for row in np.flatnonzero(there).tolist():
            id_, room = int(every["id"][row]), int(every["room"][row])
            reviews = int(every["reviews"][row]) * int(age[row])
            yield (
                id_,
                f"{NAMES[every['name'][row]]} {id_ % 97}",
                int(every["host"][row]),
                HOSTS[id_ % len(HOSTS)] if id_ % 50 else None,
                NEIGHBOURHOODS[every["hood"][row]],
                round(float(every["latitude"][row]), 5),
                round(float(every["longitude"][row]), 5),
                ROOMS[room],
                f"{max(9.0, price[row] / (1 + 0.6 * (room > 2))):.2f}" if priced[row] else None,
                int(every["nights"][row]),
                reviews,
                (first - timedelta(days=id_ % 60)).isoformat() if reviews else None,
                days[id_ % 2].isoformat(),
            )

    def csv(self, month: str) -> bytes:
        """Make a month's listings as CSV without a header, as PostgreSQL's COPY reads it."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(self.month(month))
        return out.getvalue().encode()

    def reviews(self, month: str) -> list[dict[str, Any]]:
        """Make a month's reviews: one for each twenty listings, dated within the month."""
        number = _number(month)
        chance = np.random.default_rng([self.seed, 3, number])
        first = date(int(month[:4]), int(month[5:]), 1)
        found = []
        for one in range(max(1, self.rows // 20)):
            stars = int(chance.choice([1, 2, 3, 4, 5], p=[0.03, 0.04, 0.1, 0.33, 0.5]))
            found.append(
                {
                    "_id": number * 1_000_000 + one,
                    "listing_id": int(chance.choice(self._population["id"])),
                    "date": (first + timedelta(days=int(chance.integers(0, 28)))).isoformat(),
                    "stars": stars,
                    "comments": f'{"★" * stars} "{NAMES[one % len(NAMES)]}"',
                }
            )
        return found


def rates(start: date, end: date) -> list[dict[str, Any]]:
    """Make the rates of a euro, a record a day and currency.

    Args:
        start: The first day.
        end: The day after the last.
    """
    found = []
    for day in range((end - start).days):
        now = start + timedelta(days=day)
        for place, currency in enumerate(CURRENCIES):
            middle = (1.08, 0.85, 125.0, 9.9, 1.13)[place]
            swing = np.sin(now.toordinal() / (90 + 11 * place)) * 0.04
            found.append(
                {
                    "date": now.isoformat(),
                    "currency": currency,
                    "rate": round(float(middle * (1 + swing)), 4),
                }
            )
    return found


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1
