"""Objects that several workers write, each a share, and that one manifest publishes in the end.

A worker writes its parts below the prefix under names that tell the group and the share
(``part-SSSSSNNNNN-OWNERTOKEN.csv``), and then one small object that lists them, at
``PREFIX/_spread.tradewind-OWNER/SSSSS.json``. Neither is published: only ``PREFIX/_manifest.json``
says what counts, and it is written once, of all shares' lists.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.publish.manifest import (
    MANIFEST,
    PART_NAME,
    Manifest,
    folder_of,
    read_manifest,
    read_manifest_at,
)
from tradewind.move.publish.writing import Writing
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.store import OWNER, ObjectInfo
from tradewind.move.target import Target

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.publish.destination import Destination, Parts
    from tradewind.move.store import Store
    from tradewind.owner import Owner

__all__ = ["ShareTarget", "publish_shares", "remove_shares", "shareable", "write_share"]

_FORMER = "former.json"
"""The manifest that a publication replaces, among the lists of its shares."""

_Seen = tuple[Manifest, ObjectInfo] | None


def _lists(prefix: str, owner: Owner) -> str:
    # What a sweep knows as got ready by an owner, and readers of a prefix leave out.
    return f"{prefix}_spread.tradewind-{owner.digest}/"


def shareable(target: Destination, parts: Parts | None) -> Parts:
    """Refuse one object, and partitions, which several workers cannot write.

    Args:
        target: Where the whole is going to be published.
        parts: How to cut.

    Returns:
        How to cut.
    """
    if parts is None:
        raise InputError(
            f"{target.describe()}: several workers cannot write one object. Name a prefix, and "
            "say how to cut the data into parts: parts={'rows': 1000000}."
        )
    if parts.by:
        raise InputError(
            f"{target.describe()}: a move over several workers writes no partitions. Leave out "
            "by, or move it with TransferOperator."
        )
    return parts


class ShareTarget(Target):
    """The parts of one share, which no manifest publishes yet; see `write_share`."""

    def __init__(self, target: Destination, parts: Parts, owner: Owner, number: int) -> None:
        self._target = target
        self._parts = parts
        self._owner = owner
        self._number = number

    def describe(self) -> str:
        """Name the prefix, and which share it is."""
        return f"{self._target.describe()}, part {self._number}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Write the share; see `Target.publish`."""
        self._target.store.check()
        return write_share(self._target, self._parts, flow, self._owner, self._number)


def write_share(target: Destination, parts: Parts, flow: Flow, owner: Owner, number: int) -> Stored:
    """Write the parts of one share, and its list; publish nothing.

    What earlier attempts at this share have left is removed. Where two attempts run at once, the
    list of the one that ends first stands, and the other one fails and takes its parts back.

    Args:
        target: Where the whole is going to be published.
        parts: How to cut. Without partition columns.
        flow: The share's data.
        owner: Whose the whole is: the same for all shares.
        number: Which share, from 0.

    Returns:
        What was written.
    """
    store, prefix = target.store, folder_of(target.key)
    key = f"{_lists(prefix, owner)}{number:05d}.json"
    seen = read_manifest_at(store, key)
    begin = f"{prefix}part-{number:05d}"
    before = [info.key for info in store.list(begin) if _is_of(info.key, prefix, owner)]
    for left in [*store.unfinished(begin), *store.unfinished(key)]:
        if _is_of(left.key, prefix, owner) or (left.key == key and left.owner == owner.digest):
            store.discard(left)
    writing = Writing(target, parts, prefix, owner, share=number)
    try:
        with contextlib.closing(flow.batches()) as batches:
            written = writing.write(batches.schema, iter(batches))
        if flow.rows != written.rows:
            raise RetryError(
                f"{target.describe()}: {written.rows} rows were written of {flow.rows}. Try again."
            )
    except BaseException:
        writing.remove()
        raise
    try:
        _put(target, key, written, seen)
    except InputError as error:
        writing.remove()
        raise RetryError(
            f"{store.uri(key)}: another attempt at this share has ended meanwhile. A retry writes "
            "the share anew."
        ) from error
    # A share that a person clears after the publication is written beside what is published.
    store.delete(_unpublished(store, prefix, before))
    return dataclasses.replace(_stored(target, written, prefix), manifest=store.uri(key))


def publish_shares(target: Destination, owner: Owner, shares: int) -> Stored:
    """Publish what all shares have written, by one manifest; remove what it replaces.

    Args:
        target: Where to.
        owner: Whose the whole is.
        shares: How many there are.

    Returns:
        What is published now.

    Raises:
        InputError: A share is missing, or its columns are others than those of the first one.
    """
    store, prefix = target.store, folder_of(target.key)
    store.check()
    for left in store.unfinished(prefix + MANIFEST):
        # An attempt before has died over it, or can complete it no more.
        if left.key == prefix + MANIFEST and left.owner == owner.digest:
            store.discard(left)
    seen = read_manifest(store, prefix)
    ours = seen is not None and seen[0].owner == owner.digest
    if seen is not None and not ours and not target.replace:
        raise target.exists(prefix + MANIFEST)
    lists = [
        read_manifest_at(store, f"{_lists(prefix, owner)}{number:05d}.json")
        for number in range(shares)
    ]
    found = [each[0] for each in lists if each is not None]
    if ours and seen is not None and all(set(one.parts) <= set(seen[0].parts) for one in found):
        # An attempt before has published it, and died or was cleared.
        remove_shares(target, owner)
        return _stored(target, seen[0], prefix)
    if len(found) < shares:
        missing = [str(number) for number, each in enumerate(lists) if each is None]
        raise InputError(
            f"{store.uri(prefix)}: of {shares} parts {', '.join(missing[:5])} "
            f"{'are' if len(missing) > 1 else 'is'} not there: a clean-up has removed what was "
            "written, or the whole was published before. Clear the whole task group, the plan too."
        )
    manifest = _joined(target, owner, found, prefix)
    there = {info.key: info.size for info in store.list(f"{prefix}part-")}
    for part in manifest.parts:
        if there.get(prefix + part.key) != part.size:
            raise InputError(
                f"{store.uri(prefix + part.key)}: this part is not there as it was written. Clear "
                "the whole task group, the plan too."
            )
    try:
        if seen is not None:
            # Whoever dies from here on leaves the former publication's parts to who comes next.
            _keep_former(target, owner, seen[0], prefix)
        _put(target, prefix + MANIFEST, manifest, seen)
    except InputError as error:
        raise RetryError(
            f"{store.uri(prefix + MANIFEST)}: another run has published here meanwhile. Look at "
            "what writes to this prefix before trying again."
        ) from error
    named = {prefix + part.key for part in manifest.parts}
    replaced = [] if seen is None else [prefix + part.key for part in seen[0].parts]
    surplus = [key for key in replaced if key not in named]
    remove_shares(target, owner)
    stored = _stored(target, manifest, prefix)
    return dataclasses.replace(stored, removed=tuple(map(store.uri, surplus)))


def remove_shares(target: Destination, owner: Owner) -> int:
    """Remove all that shares have left and no manifest publishes, and what they have replaced.

    Args:
        target: Where it is.
        owner: Whose it is.

    Returns:
        How many objects and uploads were removed.
    """
    store, prefix = target.store, folder_of(target.key)
    lists = _lists(prefix, owner)
    lefts = [
        left
        for left in store.unfinished(prefix)
        if _is_of(left.key, prefix, owner)
        or (
            left.owner == owner.digest
            and (left.key.startswith(lists) or left.key == prefix + MANIFEST)
        )
    ]
    for left in lefts:
        store.discard(left)
    keys = [info.key for info in store.list(f"{prefix}part-") if _is_of(info.key, prefix, owner)]
    former = read_manifest_at(store, lists + _FORMER)
    if former is not None:
        keys += [prefix + part.key for part in former[0].parts]
    keys = _unpublished(store, prefix, keys)
    store.delete(keys)
    # Last: they tell what else there is to remove.
    listed = [info.key for info in store.list(lists)]
    store.delete(listed)
    return len(keys) + len(listed) + len(lefts)


def _keep_former(target: Destination, owner: Owner, former: Manifest, prefix: str) -> None:
    """Note what is about to be replaced, and what an attempt before has noted and not removed."""
    key = _lists(prefix, owner) + _FORMER
    seen = read_manifest_at(target.store, key)
    before = () if seen is None else seen[0].parts
    parts = tuple(dict.fromkeys((*former.parts, *before)))
    _put(target, key, dataclasses.replace(former, owner=owner.digest, parts=parts), seen)


def _unpublished(store: Store, prefix: str, keys: list[str]) -> list[str]:
    """Leave out what the manifest names, which is read after these keys were listed."""
    seen = read_manifest(store, prefix) if keys else None
    named = set() if seen is None else {prefix + part.key for part in seen[0].parts}
    return [key for key in keys if key not in named]


def _is_of(key: str, prefix: str, owner: Owner) -> bool:
    """Whether a key is a part's that a share of this owner has written."""
    part = PART_NAME.fullmatch(key, len(prefix))
    return part is not None and part["owner"] == owner.digest


def _joined(target: Destination, owner: Owner, found: list[Manifest], prefix: str) -> Manifest:
    """Make one list of all; of shares without rows only one, where no share has any."""
    filled = [one for one in found if one.rows] or found[:1]
    first = filled[0]
    for one in filled[1:]:
        if not one.schema.equals(first.schema):
            odd = _unlike(one, first)
            raise InputError(
                f"{target.store.uri(prefix)}: the parts of this move have other columns, or "
                f"columns of other types, than one another: {odd}. Nothing was published. Declare "
                "the types (schema=), or select the same columns."
            )
    parts = tuple(part for one in filled for part in one.parts)
    return dataclasses.replace(first, owner=owner.digest, parts=parts)


def _unlike(one: Manifest, other: Manifest) -> str:
    mine = {field.name: str(field.type) for field in one.schema}
    theirs = {field.name: str(field.type) for field in other.schema}
    odd = [name for name in {**theirs, **mine} if mine.get(name) != theirs.get(name)]
    return (
        ", ".join(
            f"{name!r} is {theirs.get(name, 'missing')} and {mine.get(name, 'missing')}"
            for name in odd[:5]
        )
        or "their order, or whether they may be NULL"
    )


def _put(target: Destination, key: str, manifest: Manifest, seen: _Seen) -> None:
    """Write a list or the manifest, if what was seen is still there.

    Raises:
        InputError: Another one is there by now.
    """
    store = target.store
    upload = store.upload(
        key,
        content_type="application/json",
        metadata={**target.metadata, OWNER: manifest.owner},
        create_only=seen is None,
        replaces=None if seen is None else seen[1].etag,
    )
    try:
        upload.write(manifest.encode())
        upload.complete()
    except BaseException as error:
        with contextlib.suppress(TradewindError):
            upload.abort()
        if not isinstance(error, TradewindError):
            raise
        # The answer may have been lost, or it is the second one to the same request.
        with contextlib.suppress(TradewindError):
            found = read_manifest_at(store, key)
            if found is not None and found[0] == manifest:
                return
        raise


def _stored(target: Destination, manifest: Manifest, prefix: str) -> Stored:
    uri = target.store.uri
    return Stored(
        objects=tuple(
            StoredObject(uri(prefix + part.key), part.size, part.rows, part.etag, part.checksum)
            for part in manifest.parts
        ),
        rows=manifest.rows,
        manifest=uri(prefix + MANIFEST),
    )
