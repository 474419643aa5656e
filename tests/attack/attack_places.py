"""Places that versions of rows are published at, and what a reader finds there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from attack_moves import store_of

from ssh_server import SSHServer
from tradewind.move.objects.source import ObjectSource
from tradewind.move.store import Store

#: Stores by a short name, as the table calls them.
STORES = {
    "files": "files",
    "gcs": "Google Cloud Storage (emulator)",
    "azure": "Azure Blob (Azurite)",
    "s3": "S3 (Swift)",
    "versity": "S3 (Versity)",
}

#: Not among them: its names are paths, and its fencing is one of whole seconds.
SFTP = {"sftp": "SFTP (OpenSSH)"}

Seen = dict[int, int]
"""Rows by their version."""


def sftp_place(server: SSHServer, folder: str) -> dict[str, Any]:
    """A folder behind an sshd, as `attack_moves.store_of` takes it."""
    return {
        "store": "sftp",
        "folder": folder,
        "port": server.port,
        "username": server.username,
        "key_file": str(server.key_file),
        "known_hosts": str(server.known_hosts),
    }


@cache
def _store(spelled: str) -> Store:
    return store_of(json.loads(spelled))


def in_store(place: dict[str, Any]) -> Seen:
    """Read objects by Tradewind's own reader, on one connection for all that are in a place."""
    seen: Counter[int] = Counter()
    where = {name: value for name, value in place.items() if name not in ("key", "parts")}
    store = _store(json.dumps(where, sort_keys=True))
    for batch in ObjectSource(store, place["key"], format="csv").batches():
        seen.update(batch.column("version").to_pylist())
    return dict(seen)


def in_table(ask: Callable[[str], list[Any]]) -> Callable[[dict[str, Any]], Seen]:
    def seen(place: dict[str, Any]) -> Seen:
        query = f"SELECT version, count(*) FROM {place['table']} GROUP BY version"
        return {int(version): int(count) for version, count in ask(query)}

    return seen


class Spot:
    """Where versions are published one over the other, and what a reader sees there.

    Args:
        on: What it is called in the table.
        made: Makes a place of its own by a name.
        seen: Reads it.
        lanes: How many may be worked on side by side.
    """

    def __init__(
        self,
        on: str,
        made: Callable[[str], dict[str, Any]],
        seen: Callable[[dict[str, Any]], Seen],
        lanes: int = 1,
    ) -> None:
        self.on, self.made, self.seen, self.lanes = on, made, seen, lanes


def objects(
    place: tuple[str, dict[str, Any]], shape: str, name: str, parts: dict[str, Any] | None
) -> Spot:
    """A spot in a store: an object of this name, or parts."""
    system, where = place

    def made(folder: str) -> dict[str, Any]:
        return {**where, "key": f"attacked/{folder}/{name}", "parts": parts}

    return Spot(f"{system}, {shape}", made, in_store, lanes=3)


class Tables:
    """A database as a place for spots.

    Args:
        name: What it is called in the table of attacks.
        system: As `attack_moves.table_of` knows it.
        do: Carries out a statement.
        ask: Answers a query.
    """

    def __init__(
        self,
        name: str,
        system: str,
        do: Callable[[str], Any],
        ask: Callable[[str], list[Any]],
    ) -> None:
        self.name, self.system, self.do, self.ask = name, system, do, ask

    def spot(self, mode: str) -> Spot:
        """A table of its own that rows are published into in this way."""
        options = {"mode": mode, **({"keys": ["id"]} if mode == "upsert" else {})}

        def made(table: str) -> dict[str, Any]:
            columns = "id bigint primary key, version bigint, text text"
            self.do(f"CREATE TABLE {table} ({columns})")
            return {"system": self.system, "table": table, **options}

        return Spot(f"{self.name}, {mode}", made, in_table(self.ask))
