"""What the attacks carry out in children: the moves of the fault tests, and moves with a gate."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import moves
import pyarrow as pa
from attack_loud import loudly
from moves import ACTIONS

from tradewind.move.batches import Batches
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.publish.manifest import MANIFEST
from tradewind.move.source import Source
from tradewind.move.store import Store, Upload
from tradewind.move.transfer import transfer
from tradewind.owner import Owner
from tradewind.systems.files.store import FileStore
from tradewind.systems.s3 import conditions

__all__ = ["ACTIONS", "Versioned", "store_of", "warm"]

SCHEMA = pa.schema([("id", pa.int64()), ("version", pa.int64()), ("text", pa.string())])
FILLING = "x" * 1000
LOADER = botocore.loaders.create_loader()
BATCH = 500
SECONDS = 100


def warm() -> None:
    """Import what the moves need, and parse botocore's models."""
    moves.warm()
    where = {"bucket": "b", "endpoint": "http://127.0.0.1:1", "account": "a", "secret": "s"}
    # A client opens no connection before its first request.
    assert store_of({"store": "s3", **where}).client  # type: ignore[attr-defined]


def learn(place: dict[str, Any]) -> bool:
    """Ask an S3 server once whether it keeps conditions, as each process does of its own."""
    if place.get("store") != "s3":
        return True
    store: Any = store_of(place)
    kept = conditions.keeps_conditions(store, "learn/key")
    store.client.close()
    return kept


class Versioned(Source):
    """Rows of about a kilobyte that all name one version; it can wait at a gate on its way."""

    def __init__(self, rows: int, version: int, gate: dict[str, str] | None = None) -> None:
        self.rows, self.version, self.gate = rows, version, gate or {"at": ""}

    def describe(self) -> str:
        return "rows of one version"

    def batches(self) -> Batches:
        def generate() -> Iterator[pa.RecordBatch]:
            self._pass("begin")
            for begin in range(0, self.rows, BATCH):
                if begin >= self.rows // 2:
                    self._pass("middle")
                numbers = range(begin, min(begin + BATCH, self.rows))
                columns = [pa.array(numbers), pa.array([self.version] * len(numbers), pa.int64())]
                yield pa.record_batch([*columns, pa.array([FILLING] * len(numbers))], schema=SCHEMA)
            self._pass("end")

        return Batches(SCHEMA, generate())

    def _pass(self, at: str) -> None:
        if self.gate["at"] == at:
            pass_gate(self.gate)


def pass_gate(gate: dict[str, str]) -> None:
    folder = Path(gate["folder"])
    (folder / "reached").touch()
    deadline = time.monotonic() + SECONDS
    while not (folder / "go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody has opened the gate")
        time.sleep(0.001)


def store_of(place: dict[str, Any]) -> Store:
    """The store that a place names."""
    kind = place["store"]
    if kind == "files":
        return FileStore(place["folder"])
    if kind == "gcs":
        return moves.gcs(place["bucket"], place["endpoint"])
    if kind == "azure":
        names = ("container", "endpoint", "account", "secret")
        return moves.azure(**{name: place[name] for name in names})
    if kind == "sftp":
        from tradewind.systems.sftp.store import SFTPStore
        from tradewind.systems.ssh.connection import SSHConnection

        login = (place["username"], place["port"])
        keys = {name: place[name] for name in ("key_file", "known_hosts")}
        return SFTPStore(SSHConnection("127.0.0.1", *login, **keys), place["folder"])
    if "endpoint" not in place:
        return moves.s3(place["bucket"])
    from tradewind.systems.s3.store import S3Store

    # With what has been parsed of botocore's models already.
    core = botocore.session.get_session()
    core.register_component("data_loader", LOADER)
    session = boto3.Session(
        place["account"], place["secret"], region_name="eu-west-1", botocore_session=core
    )
    options = {"endpoint_url": place["endpoint"]}
    return S3Store(place["bucket"], session=session, client_options=options, part_bytes=5 << 20)


@moves.move
def copy_sides(
    who: str, source: dict[str, Any], target: dict[str, Any], read: str, written: str, **how: Any
) -> Any:
    """Copy an object, or with ``sync`` make a folder like another, from store to store."""
    from tradewind.move import copy

    one, other, owner = store_of(source), store_of(target), moves.owner(who)
    if how.get("sync"):
        options = {"delete_surplus": True, "objects": 2}
        return copy.copy_prefix(one, read, other, written, owner=owner, **options)
    return copy.copy_object(one, read, other, written, owner=owner)


def target_of(place: dict[str, Any], gate: dict[str, str]) -> Any:
    """The target that a place names, with a gate before what makes it visible."""
    if "table" in place:
        return table_of(place)
    store = store_of(place)
    parts = Parts(**place["parts"]) if place.get("parts") else None
    target = ObjectTarget(store, place["key"], format=place.get("format", "csv"), parts=parts)
    if gate.get("at") == "publish":
        last = place["key"] if parts is None else place["key"] + MANIFEST
        begin = store.upload

        def upload(key: str, **options: Any) -> Upload:
            begun = begin(key, **options)
            if key == last:
                complete = begun.complete

                def gated() -> Any:
                    pass_gate(gate)
                    return complete()

                begun.complete = gated  # type: ignore[method-assign]
            return begun

        store.upload = upload  # type: ignore[method-assign]
    return target


def table_of(place: dict[str, Any]) -> Any:
    options = {name: place[name] for name in ("mode", "slice", "keys", "create") if name in place}
    if place["system"] == "postgres":
        from tradewind.systems.postgres.table import PostgresTable

        return PostgresTable(moves.postgres(), place["table"], **options)
    if place["system"] == "mysql":
        from tradewind.systems.mysql.table import MySQLTable

        return MySQLTable(moves.mysql(), place["table"], **options)
    from tradewind.systems.sqlite.table import SQLiteTable

    return SQLiteTable(place["path"], place["table"], **options)


def publish(
    place: dict[str, Any], who: str, rows: int, version: int, gate: dict[str, str] | None = None
) -> dict[str, Any]:
    """Publish rows of one version."""
    gate = gate or {"at": ""}
    source = Versioned(rows, version, gate)
    owner = Owner("attack", who, "publish")
    return transfer(source, target_of(place, gate), owner).as_dict()


def replace_until(place: dict[str, Any], rows: int, stop: str, pause: float = 0.0) -> int:
    """Publish one version after the other, each by an owner of its own, until a file is there.

    Args:
        place: Where.
        rows: Of each version.
        stop: The file. How many there were so far is written beside it, into ``.count``.
        pause: The longest pause between two, in seconds; its length is up to chance.

    Returns:
        How many there were.
    """
    count = 0
    chance = random.Random(stop)
    while not Path(stop).exists():
        publish(place, f"version{count}", rows, count)
        count += 1
        Path(stop + ".new").write_text(str(count))
        Path(stop + ".new").replace(stop + ".count")
        time.sleep(chance.uniform(0, pause))
    return count


ACTIONS |= {"learn": learn, "publish": publish, "replace_until": replace_until}
ACTIONS["loudly"] = loudly(ACTIONS)
