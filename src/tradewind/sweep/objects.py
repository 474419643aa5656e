"""Objects that nobody will publish: parts without a manifest that names them, begun uploads.

Only what has a name of Tradewind's own making is seen: parts (``part-00000-TOKEN.EXT``), uploads of
such parts, staged files of the file store (``.NAME.tradewind-TOKEN.part``), and folders in which
files with names of their own are got ready (``STEM.tradewind-OWNER/``). An upload of any
other object that was begun on S3 has a name of the user's; the next run to that key removes it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from tradewind.errors import InputError
from tradewind.move.publish.manifest import MANIFEST, PART_NAME, read_manifest
from tradewind.move.store import ObjectInfo, Store, Unfinished
from tradewind.sweep.leftover import Leftover

__all__ = ["leftovers_of_objects"]

_OWNER = "tradewind-owner"
_PART = re.compile(rf"(?P<folder>(?:.*/)?)(?P<part>{PART_NAME.pattern})", re.DOTALL)
_READY = re.compile(r"(?:.*/)?[^/]*\.tradewind-(?P<owner>[0-9a-f]{12})/.*", re.DOTALL)
_STAGED = re.compile(r"\..+\.tradewind-(?P<owner>[0-9a-f]{12})?[0-9a-f]{8}\.part", re.DOTALL)


def leftovers_of_objects(system: str, store: Store, prefix: str) -> Iterator[Leftover]:
    """List parts that no manifest names and uploads that were begun, below a prefix.

    A part may stand in folders of partitions below its manifest, so that is looked for in each
    folder above it. Memory: the names of parts.

    Args:
        system: What the store is called.
        store: The store.
        prefix: What keys begin with.

    Yields:
        Them, with the owner where the store knows.

    Raises:
        TradewindError: As the store's methods.
    """
    parts: list[ObjectInfo] = []
    manifests = _above(prefix)
    for info in store.list(prefix):
        if ready := _READY.fullmatch(info.key):
            # All of it is its owner's alone, the manifest too: it publishes nothing.
            yield Leftover(
                system=system,
                what=f"file that was got ready {store.uri(info.key)}",
                owner=ready["owner"],
                title="",
                since=info.modified,
                remove=partial(store.delete, [info.key]),
            )
        elif info.key.rpartition("/")[2] == MANIFEST:
            manifests.append(info.key.removesuffix(MANIFEST))
        elif _PART.fullmatch(info.key):
            parts.append(info)
    named = _Named(store, manifests)
    for info in parts:
        if named.has(info.key):
            continue
        described = store.head(info.key)
        owner = None if described is None else described.metadata.get(_OWNER)
        if owner is None:
            continue  # a name like ours, or gone by now
        yield Leftover(
            system=system,
            what=f"part that no manifest names {store.uri(info.key)}",
            owner=owner,
            title="",
            since=info.modified,
            remove=partial(_remove_part, store, info.key),
        )
    recorded: dict[tuple[str, str], list[Unfinished]] = defaultdict(list)
    for left in list(store.unfinished(prefix)):
        staged = _STAGED.fullmatch(left.id.rpartition("/")[2])
        known = staged or _PART.fullmatch(left.key)
        if known:
            yield Leftover(
                system=system,
                what=f"{'staged file' if staged else 'unfinished upload'} {store.uri(left.key)}",
                owner=known["owner"],
                title="",
                since=left.started,
                remove=partial(store.discard, left),
            )
        elif left.owner is not None:
            recorded[left.key, left.owner].append(left)
    for (key, owner), lefts in recorded.items():
        # Uploads to S3 under names of users', and what says whose they are.
        yield Leftover(
            system=system,
            what=f"unfinished upload {store.uri(key)}",
            owner=owner,
            title="",
            since=min((left.started for left in lefts if left.started), default=None),
            remove=partial(_discard, store, lefts),
        )


class _Named:
    """What some manifests name."""

    def __init__(self, store: Store, folders: list[str]) -> None:
        self._keys: set[str] = set()
        self._unread: list[str] = []
        for folder in folders:
            try:
                found = read_manifest(store, folder)
            except InputError:
                # Of another version, or another tool: nobody knows what it names.
                self._unread.append(folder)
                continue
            if found is not None:
                self._keys |= {folder + part.key for part in found[0].parts}

    def has(self, key: str) -> bool:
        return key in self._keys or key.startswith(tuple(self._unread))


def _above(key: str) -> list[str]:
    """List the folders that a key is in, the store's top among them."""
    steps = key.split("/")[:-1]
    return ["".join(f"{step}/" for step in steps[:depth]) for depth in range(len(steps) + 1)]


def _discard(store: Store, lefts: list[Unfinished]) -> None:
    for left in lefts:
        store.discard(left)


def _remove_part(store: Store, key: str) -> None:
    # A manifest that was written since may name it.
    if not _Named(store, _above(key)).has(key):
        store.delete([key])
