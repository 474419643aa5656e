"""Which sources, formats, targets and stores there are: one line each.

Modules are imported when they are used, so that listing them costs nothing and needs no client
library.
"""

from __future__ import annotations

import importlib
from typing import Any

from tradewind.errors import InputError

__all__ = [
    "ALIASES",
    "FORMATS",
    "SOURCES",
    "STORES",
    "TARGETS",
    "canonical_uri",
    "load",
    "plain_scheme",
]

ALIASES: dict[str, str] = {
    "postgres": "postgresql",
    "mariadb": "mysql",
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "wasb": "az",
    "wasbs": "az",
    "abfs": "az",
    "abfss": "az",
}
"""Other names of schemes, and what they stand for."""

_AZURE_HOSTS = (".blob.core.", ".dfs.core.")

SOURCES: dict[str, str] = {
    "postgresql": "tradewind.systems.postgres.source:PostgresSource",
    "mysql": "tradewind.systems.mysql.source:MySQLSource",
    "sqlite": "tradewind.systems.sqlite.source:SQLiteSource",
    "mongodb": "tradewind.systems.mongodb.source:MongoSource",
    "mongodb+srv": "tradewind.systems.mongodb.source:MongoSource",
    "http": "tradewind.systems.http.source:RestSource",
    "https": "tradewind.systems.http.source:RestSource",
    "s3": "tradewind.move.objects.source:ObjectSource",
    "gs": "tradewind.move.objects.source:ObjectSource",
    "az": "tradewind.move.objects.source:ObjectSource",
    "file": "tradewind.move.objects.source:ObjectSource",
}
"""Sources by the scheme of their URIs."""

FORMATS: dict[str, str] = {
    "csv": "tradewind.move.formats.csv:CsvFormat",
    "jsonl": "tradewind.move.formats.jsonl:JsonLinesFormat",
    "parquet": "tradewind.move.formats.parquet:ParquetFormat",
    "recordio": "tradewind.systems.sagemaker.recordio_format:RecordIOFormat",
}
"""Formats by name."""

TARGETS: dict[str, str] = {
    "postgresql": "tradewind.systems.postgres.table:PostgresTable",
    "mysql": "tradewind.systems.mysql.table:MySQLTable",
    "sqlite": "tradewind.systems.sqlite.table:SQLiteTable",
    "s3": "tradewind.move.objects.target:ObjectTarget",
    "gs": "tradewind.move.objects.target:ObjectTarget",
    "az": "tradewind.move.objects.target:ObjectTarget",
    "file": "tradewind.move.objects.target:ObjectTarget",
}
"""Targets by the scheme of their URIs."""

STORES: dict[str, str] = {
    "s3": "tradewind.systems.s3.store:S3Store",
    "gs": "tradewind.systems.gcs.store:GCSStore",
    "az": "tradewind.systems.azure.store:AzureStore",
    "file": "tradewind.systems.files.store:FileStore",
}
"""Object stores by the scheme of their URIs."""


def plain_scheme(scheme: str) -> str:
    """Tell the name that the tables here have for a scheme.

    Args:
        scheme: It may be another name, or have a driver: ``postgres+psycopg``.
    """
    bare = scheme if scheme == "mongodb+srv" else scheme.partition("+")[0]
    return ALIASES.get(bare, bare)


def canonical_uri(uri: str) -> tuple[str, dict[str, str]]:
    """Write the URI of an object store with its scheme's usual name.

    Args:
        uri: Like ``gcs://bucket/key`` or, as Hadoop writes Azure's,
            ``abfss://container@account.dfs.core.windows.net/key``.

    Returns:
        Like ``gs://bucket/key``, and the options that the URI tells beside it (``account``).
    """
    written, separator, rest = uri.partition("://")
    scheme = plain_scheme(written.lower())
    if not separator or scheme not in STORES:
        return uri, {}
    place, slash, key = rest.partition("/")
    container, at, host = place.partition("@")
    if scheme == "az" and at and any(part in host for part in _AZURE_HOSTS):
        return f"az://{container}{slash}{key}", {"account": host.partition(".")[0]}
    return f"{scheme}://{rest}", {}


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
        others = sorted(alias for alias, meant in ALIASES.items() if meant in registry)
        also = f" (also written {', '.join(others)})" if others else ""
        raise InputError(
            f"There is no {what} {name!r}. Choose from: {', '.join(sorted(registry))}{also}."
        )
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
