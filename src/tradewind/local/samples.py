"""Sample data for the first minute: a bucket, and a table of listings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from tradewind.local.up import Systems

__all__ = ["SAMPLE_BUCKET", "make_samples", "sample_rows"]

SAMPLE_BUCKET = "sample"
_ROWS = 1000
_NAMES = ("Café au Canal", 'The "Old" Mill', "Loft, bright", "Boat 🚤 on the Amstel", "Attic")
_PLACES = ("Centrum", "Noord", "West", "Zuid", "Oost")


def make_samples(systems: Systems) -> list[str]:
    """Make the samples that the running systems can hold; what is there already stays.

    Args:
        systems: What runs.

    Returns:
        Commands to try, one a line.
    """
    from tradewind.local.system import find_systems

    environment = systems.environment
    tried: list[str] = []
    for name in systems:
        find_systems()[name].sample(environment)
    if "postgres" in systems and "s3" in systems:
        read = f"--from {_address(environment)} --set-from table=listings"
        tried += [
            f"tradewind move {read} --to s3://{SAMPLE_BUCKET}/listings.parquet",
            f"tradewind show s3://{SAMPLE_BUCKET}/listings.parquet",
            f"tradewind move --from s3://{SAMPLE_BUCKET}/listings.parquet "
            f"--to {_address(environment)} --set-to table=listings_copy --set-to create=true",
        ]
    elif "postgres" in systems:
        tried.append(f"tradewind show {_address(environment)} --set-from table=listings")
    elif "s3" in systems:
        tried.append(f"tradewind move --from README.md --to s3://{SAMPLE_BUCKET}/README.txt")
    return tried


def _address(environment: Mapping[str, str]) -> str:
    user, database = quote(environment["PGUSER"]), quote(environment["PGDATABASE"])
    return f"postgresql://{user}@{environment['PGHOST']}:{environment['PGPORT']}/{database}"


def sample_rows() -> Iterator[tuple[Any, ...]]:
    """Make the rows of the table ``listings``: the same each time."""
    chance = random.Random(2015)  # noqa: S311  not for secrets
    first = date(2015, 4, 1)
    for number in range(1, _ROWS + 1):
        price = None if chance.random() < 0.05 else Decimal(chance.randrange(4000, 40000)) / 100
        day = first + timedelta(days=chance.randrange(90))
        yield number, chance.choice(_NAMES), chance.choice(_PLACES), price, day
