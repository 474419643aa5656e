"""Which sources, formats, targets and stores there are: one line each.

Modules are imported when they are used, so that listing them costs nothing and needs no client
library.
"""

from __future__ import annotations

import importlib
from typing import Any

from tradewind.errors import InputError

__all__ = ["FORMATS", "SOURCES", "STORES", "TARGETS", "load"]

SOURCES: dict[str, str] = {
    "postgresql": "tradewind.move.sources.postgres:PostgresSource",
    "mysql": "tradewind.move.sources.mysql:MySQLSource",
    "sqlite": "tradewind.move.sources.sqlite:SQLiteSource",
    "mongodb": "tradewind.move.sources.mongo:MongoSource",
    "mongodb+srv": "tradewind.move.sources.mongo:MongoSource",
    "http": "tradewind.move.sources.rest:RestSource",
    "https": "tradewind.move.sources.rest:RestSource",
    "s3": "tradewind.move.sources.objects:ObjectSource",
    "gs": "tradewind.move.sources.objects:ObjectSource",
    "az": "tradewind.move.sources.objects:ObjectSource",
    "file": "tradewind.move.sources.objects:ObjectSource",
}
"""Sources by the scheme of their URIs."""

FORMATS: dict[str, str] = {
    "csv": "tradewind.move.formats.csv:CsvFormat",
    "jsonl": "tradewind.move.formats.jsonl:JsonLinesFormat",
    "parquet": "tradewind.move.formats.parquet:ParquetFormat",
    "recordio": "tradewind.move.formats.recordio_format:RecordIOFormat",
}
"""Formats by name."""

TARGETS: dict[str, str] = {
    "postgresql": "tradewind.move.targets.postgres:PostgresTable",
    "mysql": "tradewind.move.targets.mysql:MySQLTable",
    "sqlite": "tradewind.move.targets.sqlite:SQLiteTable",
    "s3": "tradewind.move.targets.objects:ObjectTarget",
    "gs": "tradewind.move.targets.objects:ObjectTarget",
    "az": "tradewind.move.targets.objects:ObjectTarget",
    "file": "tradewind.move.targets.objects:ObjectTarget",
}
"""Targets by the scheme of their URIs."""

STORES: dict[str, str] = {
    "s3": "tradewind.move.stores.s3:S3Store",
    "gs": "tradewind.move.stores.gcs:GCSStore",
    "az": "tradewind.move.stores.azure:AzureStore",
    "file": "tradewind.move.stores.files:FileStore",
}
"""Object stores by the scheme of their URIs."""


def load(registry: dict[str, str], name: str, *, what: str) -> Any:
    """Import what a registry knows under a name.

    Args:
        registry: One of this module's.
        name: Scheme or name.
        what: What is looked for, for the message, like ``source``.

    Returns:
        The class.

    Raises:
        InputError: The registry does not know the name.
    """
    path = registry.get(name)
    if path is None:
        raise InputError(
            f"There is no {what} {name!r}. Choose from: {', '.join(sorted(registry))}."
        )
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
