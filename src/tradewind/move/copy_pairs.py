"""Copy objects by a list of pairs: of each key, which key its copy has."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from tradewind.errors import InputError
from tradewind.move.copy import LARGEST, MB, CopyReceipt, copy_all, receipt_of
from tradewind.move.copying import OWNER, CopyRequest, ProgressReporter, refuse_foreign
from tradewind.move.flow import Progress
from tradewind.move.store import ObjectInfo, Store, Unfinished
from tradewind.move.surplus import Surplus, check_folders
from tradewind.owner import Owner

__all__ = ["Existing", "beginning", "copy_pairs"]

Existing = Literal["replace", "skip", "refuse"]
"""What happens where a target exists that is not the owner's own."""


def copy_pairs(
    source_store: Store,
    target_store: Store,
    pairs: Sequence[tuple[str, str]],
    *,
    owner: Owner,
    existing: Existing = "replace",
    resume: bool = True,
    gzip: bool = False,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    skip_equal: bool = False,
    surplus: tuple[str, str] | None = None,
    objects: int = 8,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> CopyReceipt:
    """Copy objects, several at once, each as `tradewind.move.copy.copy_object` does.

    Each object becomes visible whole. What an earlier attempt of the same owner has copied already,
    and is still equal to its source, is not copied again. With ``skip`` it counts as copied, so
    that a retry tells the same as an attempt that nothing disturbed.

    Memory: as `copy_object` for each of `objects`, and some hundred bytes a pair.

    Args:
        source_store: Where from.
        target_store: Where to.
        pairs: Key of the source and key of the target, each target once.
        owner: Whose effect this is.
        existing: What happens to targets that exist and are not this owner's.
        resume: Whether earlier attempts of the owner may have copied some.
        gzip: Compress on the way; the key stays as it is, and no content encoding is set.
        content_type: Media type of the copies; the sources' when not given, and with `gzip` the
            store's usual one.
        metadata: User metadata instead of the sources'.
        skip_equal: With ``replace``: leave alone also what others have written, where it is equal
            by size and ETag, or is the copy of the same version of the source.
        surplus: Folder of the sources and folder of the copies, each ending in a slash or empty:
            delete, when all are copied, what stood in the latter at the beginning and is the copy
            of nothing, as `tradewind.move.copy.copy_prefix` does. The pairs are then all of the
            one folder.
        objects: Objects on their way at once.
        progress: Is told about once a second, in any thread, how many bytes are copied.
        stop: Ends the copy with `CancelledError` soon after it is set.

    Returns:
        What was copied; ``skipped`` has what the owner had copied before, ``removed`` what was
        deleted.

    Raises:
        InputError: A source is missing, two sources have one target, or a target exists
            (``refuse``); there is no source at all, and surplus.
        SetupError: A bucket or a permission is missing.
        RetryError: A source has changed meanwhile, another attempt took over, or a store is in
            trouble. The first error ends it; objects copied by then remain.
    """
    _refuse_clashes(source_store, target_store, pairs)
    stop = stop or threading.Event()
    read, written = (beginning([pair[end] for pair in pairs]) for end in (0, 1))
    uris = source_store.uri(read), target_store.uri(written)
    request = CopyRequest(
        source=source_store,
        target=target_store,
        owner=owner,
        replace=existing == "replace",
        metadata=metadata,
        acl=None,
        skip_equal=True,
        threshold=LARGEST,
        part_size=256 * MB,
        connections=8,
        stop=stop,
        progress=ProgressReporter(progress, stop, uris[0]),
        gzip=gzip,
        content_type=content_type,
    )
    extra = None
    if surplus is not None:
        check_folders(source_store, surplus[0], target_store, surplus[1])
    target_store.check()
    if surplus is not None:
        extra = Surplus(source_store, surplus[0], target_store, surplus[1])
    if not pairs:
        if extra is not None:
            extra.refuse_all()
        return receipt_of(request, *uris, [], [])
    wanted = {target for _, target in pairs}
    there: dict[str, ObjectInfo] = {}
    # A store without metadata does not tell whose an object is: a replacement need not look.
    if existing != "replace" or skip_equal or (resume and target_store.keeps_metadata):
        there = {info.key: info for info in target_store.list(written) if info.key in wanted}
    known = existing == "replace" and skip_equal
    own = _own(request, there) if not known and (resume or existing == "refuse") else {}
    if existing == "refuse":
        for key in there.keys() - own.keys():
            refuse_foreign(request, key, there[key])
    left: dict[str, list[Unfinished]] = defaultdict(list)
    for unfinished in target_store.unfinished(written):
        if unfinished.owner == owner.digest:
            left[unfinished.key].append(unfinished)

    def cleared() -> Iterator[tuple[str, str, ObjectInfo | None]]:
        for source, target in pairs:
            if existing == "skip" and target in there and target not in own:
                continue
            for unfinished in left.pop(target, ()):
                target_store.discard(unfinished)
            yield source, target, own.get(target) or (there.get(target) if known else None)

    done = copy_all(request, cleared(), objects)
    if extra is None:
        return receipt_of(request, *uris, *done)
    for target in wanted:
        extra.has_source(target)
    return receipt_of(request, *uris, *done, extra.delete(lambda: request.progress.add(0)))


def beginning(keys: Sequence[str]) -> str:
    """Tell what all keys begin with, letter by letter, since prefixes of stores know no folders."""
    first, last = min(keys, default=""), max(keys, default="")
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in alike)]


def _own(request: CopyRequest, there: Mapping[str, ObjectInfo]) -> dict[str, ObjectInfo]:
    """Tell which of the objects that are there the owner has written."""

    def look(key: str) -> tuple[str, ObjectInfo | None]:
        request.progress.add(0)
        return key, request.target.head(key)

    with ThreadPoolExecutor(8, "look-at-object") as pool:
        return {
            key: found
            for key, found in pool.map(look, there)
            if found is not None and found.metadata.get(OWNER) == request.owner.digest
        }


def _refuse_clashes(
    source_store: Store, target_store: Store, pairs: Sequence[tuple[str, str]]
) -> None:
    sources: dict[str, str] = {}
    for source, target in pairs:
        if (source_store.uri(source)) == target_store.uri(target):
            raise InputError(
                f"{source_store.uri(source)} cannot be copied onto itself. Choose another target."
            )
        if target in sources:
            raise InputError(
                f"{source_store.uri(sources[target])} and {source_store.uri(source)} would both "
                f"become {target_store.uri(target)}. Keep the folders in their names, or copy them "
                "one by one."
            )
        sources[target] = source
