"""Which sources, formats, targets and stores there are, by the names that users write.

They come from the descriptions of systems, see `tradewind.registry`. Modules are imported when they
are used, so that listing them costs nothing and needs no client library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.registry import (
    FORMATS_GROUP,
    Offered,
    all_systems,
    imported,
    nobody_offers,
    system_of_scheme,
)
from tradewind.system import System

__all__ = [
    "FORMATS",
    "SOURCES",
    "STORES",
    "TARGETS",
    "aliases",
    "canonical_uri",
    "load",
    "plain_scheme",
]

_AZURE_HOSTS = (".blob.core.", ".dfs.core.")

_OWN_FORMATS = {
    "csv": "tradewind.move.formats.csv:CsvFormat",
    "jsonl": "tradewind.move.formats.jsonl:JsonLinesFormat",
    "parquet": "tradewind.move.formats.parquet:ParquetFormat",
}


def _by_scheme(of_objects: str | None, attribute: str) -> Any:
    def read(system: System) -> Mapping[str, str]:
        found = getattr(system, attribute) or (of_objects if system.store else None)
        return dict.fromkeys(system.schemes, found) if found else {}

    return read


SOURCES = Offered(_by_scheme("tradewind.move.objects.source:ObjectSource", "source"))
"""Sources by the scheme of their URIs."""

TARGETS = Offered(_by_scheme("tradewind.move.objects.target:ObjectTarget", "target"))
"""Targets by the scheme of their URIs."""

STORES = Offered(_by_scheme(None, "store"))
"""Object stores by the scheme of their URIs."""

FORMATS = Offered(lambda system: system.formats, first=_OWN_FORMATS, group=FORMATS_GROUP)
"""Formats by name."""


def aliases() -> Mapping[str, str]:
    """Tell the other names of schemes, and what they stand for."""
    return {
        alias: scheme
        for system in all_systems().values()
        for alias, scheme in system.aliases.items()
    }


def plain_scheme(scheme: str) -> str:
    """Tell the name that the tables here have for a scheme.

    Args:
        scheme: It may be another name, or have a driver: ``postgres+psycopg``.
    """
    bare = scheme if scheme == "mongodb+srv" else scheme.partition("+")[0]
    system = system_of_scheme(bare)
    return bare if system is None else system.aliases.get(bare, bare)


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


def load(registry: Mapping[str, str], name: str, *, what: str) -> Any:
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
        raise nobody_offers(what, name, registry)
    return imported(path)
