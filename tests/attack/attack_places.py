"""Places that versions of rows are published at, and what a reader finds there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from attack_moves import store_of

from tradewind.move.objects.source import ObjectSource

#: Stores by a short name, as the table calls them.
STORES = {
    "files": "files",
    "gcs": "Google Cloud Storage (emulator)",
    "azure": "Azure Blob (Azurite)",
    "s3": "S3 (Swift)",
    "versity": "S3 (Versity)",
}

Seen = dict[int, int]
"""Rows by their version."""


def in_store(place: dict[str, Any]) -> Seen:
    """Read objects by Tradewind's own reader."""
    seen: Counter[int] = Counter()
    for batch in ObjectSource(store_of(place), place["key"], format="csv").batches():
        seen.update(batch.column("version").to_pylist())
    return dict(seen)


def in_table(ask: Callable[[str], list[Any]]) -> Callable[[dict[str, Any]], Seen]:
    def seen(place: dict[str, Any]) -> Seen:
        query = f"SELECT version, count(*) FROM {place['table']} GROUP BY version"
        return {int(version): int(count) for version, count in ask(query)}

    return seen
