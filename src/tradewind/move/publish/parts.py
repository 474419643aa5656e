"""Publishing a set of objects by a manifest."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.publish.beside import (
    UnlikeColumnsError,
    adds,
    check_alike,
    merged,
    retyped,
    standing_types,
    stays,
)
from tradewind.move.publish.loose_parts import readable, settled
from tradewind.move.publish.manifest import (
    MANIFEST,
    PART_NAME,
    Manifest,
    Part,
    folder_of,
    read_manifest,
)
from tradewind.move.publish.partitions import MissingColumnError
from tradewind.move.publish.writing import Writing
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.store import OWNER, ObjectInfo
from tradewind.move.types import UnfitValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradewind.move.batches import Batches
    from tradewind.move.flow import Flow
    from tradewind.move.format import Format
    from tradewind.move.publish.destination import Destination, Parts
    from tradewind.owner import Owner

__all__ = ["publish_parts"]

_PART = re.compile(r"(?:[^/]+=[^/]*/)*" + PART_NAME.pattern)
_REBASES = 20
"""How often partitions are published beside those of other runs that publish at the same time."""


def publish_parts(target: Destination, parts: Parts, flow: Flow, owner: Owner) -> Stored:
    """Write parts, publish them by the manifest, remove what it replaces.

    Removed is only what the manifest that was replaced named, and what attempts of the same owner
    have left. So another owner's parts stay, also those below this prefix that a manifest of their
    own publishes; and of two attempts that publish at once on a store that knows no conditions,
    the manifest that stands in the end names parts that are there.

    Args:
        target: Where to, and how to write.
        parts: How to cut.
        flow: The data.
        owner: Whose effect it is.

    Returns:
        What is published now.
    """
    store, prefix = target.store, folder_of(target.key)
    seen = read_manifest(store, prefix)
    if not target.replace and seen is not None and seen[0].owner != owner.digest:
        raise target.exists(prefix + MANIFEST)
    # After the manifest: what a sibling publishes from now on makes the condition fail.
    before, nested = _unnamed(target, prefix, seen, owner.digest)
    for left in store.unfinished(prefix):
        if left.key.startswith(nested):
            continue
        # Only what is certainly this owner's: other runs may be writing here at this moment.
        part = _PART.fullmatch(left.key, len(prefix))
        mine = part["owner"] if part else left.owner
        if mine == owner.digest and (part or left.key == prefix + MANIFEST):
            store.discard(left)

    beside = seen[0] if adds(parts) and seen is not None else None
    others = beside is not None and stays(beside, owner.run_digest)
    writing = Writing(target, parts, prefix, owner, beside=others)
    try:
        told = pa.schema([])
        try:
            with contextlib.closing(flow.batches()) as batches:
                told = batches.schema
                read: Iterator[pa.RecordBatch] = iter(batches)
                if beside is not None:
                    ahead = next((batch for batch in read if batch.num_rows), None)
                    read = itertools.chain(() if ahead is None else (ahead,), read)
                    refuse = partial(check_alike, target, parts, beside, told, prefix)
                    told = standing_types(beside, told, ahead)
                    if told != batches.schema:
                        read = retyped(read, told, refuse)
                    check_alike(target, parts, beside, told, prefix)
                written = writing.write(told, read)
        except (UnfitValueError, UnlikeColumnsError, MissingColumnError) as error:
            # A late value is of another type than the first ones: the format may hold it.
            if beside is not None and beside.schema.names == told.names:
                told = beside.schema
            loose = _loose(flow, target.format, told, parts, error)
            with contextlib.closing(loose):
                schema = readable(loose.schema, target.format, () if parts.keep else parts.by)
                if beside is not None:
                    check_alike(target, parts, beside, schema, prefix)
                writing.remove()
                writing = Writing(target, parts, prefix, owner, beside=others)
                written = writing.write(loose.schema, iter(loose))
            written = dataclasses.replace(written, schema=schema)
        if flow.rows != written.rows:
            raise RetryError(
                f"{target.describe()}: {written.rows} rows were written of {flow.rows}. Try again."
            )
    except BaseException:
        writing.remove()
        raise
    for _ in range(_REBASES):
        manifest = merged(written, seen, parts, owner.run_digest)
        if not manifest.parts:
            # Partitions stood here, so no file was written that tells the columns; they are gone.
            raise overtaken_error(target, prefix)
        try:
            published = _write_manifest(target, manifest, seen, prefix, writing)
            break
        except _OvertakenError as overtaken:
            seen = overtaken.found
            if not adds(parts) or seen is None:
                writing.remove()
                raise overtaken.told from overtaken
            # Another run has published other partitions: they stay, and these come beside them.
            try:
                check_alike(target, parts, seen[0], written.schema, prefix)
            except InputError:
                writing.remove()
                raise
    else:
        writing.remove()
        raise overtaken_error(target, prefix)
    if published is not manifest:
        return _stored(target, published.parts, published, prefix, ())
    named = {prefix + part.key for part in manifest.parts}
    replaced = [] if seen is None else [prefix + part.key for part in seen[0].parts]
    if before and not _stands(target, manifest, prefix):
        # Without conditions the sibling that left these may have published them by now.
        before = []
    surplus = list(dict.fromkeys(key for key in (*replaced, *before) if key not in named))
    # Without rows, beside partitions that another run has published meanwhile.
    idle = [prefix + part.key for part in written.parts if part not in manifest.parts]
    store.delete((*surplus, *idle))
    own = tuple(part for part in written.parts if part in manifest.parts)
    return _stored(target, own, manifest, prefix, tuple(map(store.uri, surplus)))


def _loose(flow: Flow, format: Format, told: pa.Schema, parts: Parts, error: InputError) -> Batches:
    """Read again, each value by its own type, if source and format let.

    Raises:
        InputError: They do not: the error that was there.
    """

    def read() -> Batches:
        found = flow.loose_batches(format)
        if found is None:
            raise error
        return found

    return settled(read, told, format, parts.by)


class _OvertakenError(RetryError):
    """The manifest is another one by now."""

    def __init__(self, told: RetryError, found: tuple[Manifest, ObjectInfo] | None) -> None:
        super().__init__(str(told))
        self.told = told
        self.found = found


def overtaken_error(target: Destination, prefix: str) -> RetryError:
    """Make the error of who was overtaken by another run."""
    return RetryError(
        f"{target.store.uri(prefix + MANIFEST)}: another run has published here meanwhile. Look at "
        "what writes to this prefix before trying again."
    )


def _unnamed(
    target: Destination, prefix: str, seen: tuple[Manifest, ObjectInfo] | None, owner: str
) -> tuple[list[str], tuple[str, ...]]:
    """List what earlier attempts of this owner have left below the prefix.

    Returns:
        Keys, and the prefixes below that are published by manifests of their own.

    Raises:
        InputError: Something else is there, and nothing may be replaced.
    """
    store = target.store
    named = set() if seen is None else {prefix + part.key for part in seen[0].parts}
    found, nested = [], []
    for info in store.list(prefix):
        folder_, _, name = info.key.rpartition("/")
        if name == MANIFEST and f"{folder_}/" != prefix and info.key != MANIFEST:
            nested.append(f"{folder_}/")
        elif info.key not in named:
            found.append(info.key)
    before = []
    for key in found:
        ours = (
            _PART.fullmatch(key, len(prefix)) is not None
            and not key.startswith(tuple(nested))
            and _owned(target, key, owner)
        )
        if ours:
            before.append(key)
        elif not target.replace and seen is None:
            raise target.exists(key)
    return before, tuple(nested)


def _stands(target: Destination, manifest: Manifest, prefix: str) -> bool:
    """Whether a manifest is still the one that is published, and cannot be replaced unseen.

    A server that knows no conditions lets an attempt that was overtaken publish all the same. It is
    found out by writing the same manifest again under a condition that cannot hold.
    """
    store = target.store
    found = read_manifest(store, prefix)
    if found is None or found[0] != manifest:
        return False
    return store.keeps_conditions(prefix + MANIFEST, manifest.encode(), found[1])


def _owned(target: Destination, key: str, owner: str) -> bool:
    info = target.store.head(key)
    return info is not None and info.metadata.get(OWNER) == owner


def _stored(
    target: Destination,
    written: tuple[Part, ...],
    manifest: Manifest,
    prefix: str,
    removed: tuple[str, ...],
) -> Stored:
    uri = target.store.uri
    return Stored(
        objects=tuple(
            StoredObject(uri(prefix + part.key), part.size, part.rows, part.etag, part.checksum)
            for part in written
        ),
        rows=sum(part.rows for part in written),
        removed=removed,
        manifest=uri(prefix + MANIFEST),
        kept=len(set(manifest.parts) - set(written)),
    )


def _write_manifest(
    target: Destination,
    manifest: Manifest,
    seen: tuple[Manifest, ObjectInfo] | None,
    prefix: str,
    writing: Writing,
) -> Manifest:
    """Publish.

    Returns:
        What is published: this manifest, or the one of a sibling that was quicker.

    Raises:
        _OvertakenError: Another owner has published meanwhile.
    """
    store = target.store
    upload = store.upload(
        prefix + MANIFEST,
        content_type="application/json",
        metadata={**target.metadata, OWNER: manifest.owner},
        create_only=seen is None,
        replaces=None if seen is None else seen[1].etag,
    )
    try:
        upload.write(manifest.encode())
        upload.complete()
    except InputError as refused:
        # Somebody else has published meanwhile, or this is the second answer to one request.
        with contextlib.suppress(TradewindError):
            upload.abort()
        found = read_manifest(store, prefix)
        if found is not None and found[0] == manifest:
            return manifest
        if found is not None and found[0].owner == manifest.owner:
            writing.remove()
            return found[0]
        raise _OvertakenError(overtaken_error(target, prefix), found) from refused
    except TradewindError:
        # Whether it was written is not known, unless it is there. So the parts stay: a manifest
        # that names what is gone would be worse. The next attempt removes them.
        with contextlib.suppress(TradewindError):
            found = read_manifest(store, prefix)
            if found is not None and found[0] == manifest:
                return manifest
        with contextlib.suppress(TradewindError):
            upload.abort()
        raise
    return manifest
