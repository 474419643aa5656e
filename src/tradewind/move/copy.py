"""Copy objects: within S3 by the server itself, between any two stores in a stream."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from dataclasses import replace as changed

from tradewind.errors import InputError
from tradewind.move.copying import CopyRequest, ProgressReporter, check_acl, copy, refuse_foreign
from tradewind.move.flow import Progress
from tradewind.move.receipt import Receipt, Stored, StoredObject
from tradewind.move.store import ObjectInfo, Store, Unfinished
from tradewind.move.surplus import Removed, Surplus, check_folders
from tradewind.move.transfer import peak_memory
from tradewind.owner import Owner

__all__ = ["CopyReceipt", "copy_object", "copy_prefix", "plan_copy"]

MB = 1 << 20
LARGEST = 5 << 30
_LAST = ("_manifest.json", "_SUCCESS")


@dataclass(frozen=True)
class CopyReceipt(Receipt):
    """What a copy did.

    Args:
        skipped: URIs of targets that were equal already.
    """

    skipped: tuple[str, ...] = ()


def copy_object(
    source_store: Store,
    source_key: str,
    target_store: Store,
    target_key: str,
    *,
    owner: Owner,
    replace: bool = True,
    source_version: str | None = None,
    metadata: Mapping[str, str] | None = None,
    acl: str | None = None,
    skip_equal: bool = False,
    threshold: int = LARGEST,
    part_size: int = 256 * MB,
    connections: int = 8,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> CopyReceipt:
    """Copy one object, whole or not at all.

    Where both stores are on one S3 server the data never leave it: CopyObject up to `threshold`,
    above it ranges in parallel by UploadPartCopy, with content type and the other headers, user
    metadata and tags. Within Google Cloud Storage they do not leave it either. Between two stores,
    or where the target's credentials cannot read the source, the data are streamed, which keeps
    content type, content encoding, user metadata and, from S3 to S3, tags. To the metadata
    are added the owner's digest and the source's ETag.

    Memory: within S3 none for the data; in a stream what `Store.read` and `Store.upload` hold, some
    pieces of some megabytes.

    Args:
        source_store: Where from.
        source_key: What.
        target_store: Where to.
        target_key: As what.
        owner: Whose effect this is. What its earlier attempts left unfinished is removed.
        replace: Whether a target that is there and not by this owner may be replaced.
        source_version: Which version of the source, in S3; the newest when not given.
        metadata: User metadata instead of the source's.
        acl: Canned ACL of the copy, in S3; by default none, so the bucket's rules hold.
        skip_equal: Leave the target alone where it is equal by size and ETag already.
        threshold: Most bytes to copy by one request; S3 allows 5 GiB.
        part_size: Bytes a range, 5 MiB to 5 GiB.
        connections: Ranges on their way at once.
        progress: Is told about once a second, in any thread, how many bytes are copied.
        stop: Ends the copy with `CancelledError` soon after it is set.

    Returns:
        What was done.

    Raises:
        InputError: The source is missing or archived, or the target exists (``replace=False``).
        SetupError: A bucket or a permission is missing.
        RetryError: The source has changed meanwhile, another attempt took over, or a store is in
            trouble.
    """
    stop = stop or threading.Event()
    uris = source_store.uri(source_key), target_store.uri(target_key)
    request = CopyRequest(
        source=source_store,
        target=target_store,
        owner=owner,
        replace=replace,
        metadata=metadata,
        acl=acl,
        skip_equal=skip_equal,
        threshold=threshold,
        part_size=part_size,
        connections=connections,
        stop=stop,
        progress=ProgressReporter(progress, stop, uris[0]),
    )
    if uris[0] == uris[1] and metadata is None and source_version is None:
        raise InputError(f"{uris[0]} cannot be copied onto itself. Choose another target key.")
    check_acl(request)
    target_store.check()
    found = target_store.head(target_key)
    if not replace:
        refuse_foreign(request, target_key, found)
    for left in target_store.unfinished(target_key):
        if left.key == target_key and left.owner == owner.digest:
            target_store.discard(left)
    stored = copy(request, source_key, target_key, found, version=source_version)
    return receipt_of(request, *uris, [stored] if stored else [], [] if stored else [uris[1]])


def copy_prefix(
    source_store: Store,
    source_prefix: str,
    target_store: Store,
    target_prefix: str,
    *,
    owner: Owner,
    replace: bool = True,
    metadata: Mapping[str, str] | None = None,
    acl: str | None = None,
    skip_equal: bool = False,
    delete_surplus: bool = False,
    threshold: int = LARGEST,
    part_size: int = 256 * MB,
    connections: int = 8,
    objects: int = 8,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> CopyReceipt:
    """Copy all objects whose keys begin with a prefix, several at once.

    Each object becomes visible whole; the objects that publish a set (``_manifest.json``,
    ``_SUCCESS``) come after all others. A retry with ``skip_equal`` copies what is missing.

    Memory: as `copy_object` for each of `objects`, and a receipt of some hundred bytes an object.

    Args:
        source_store: Where from.
        source_prefix: What: ``data/2026/`` and the like.
        target_store: Where to.
        target_prefix: What stands there instead of `source_prefix`.
        owner: Whose effect this is.
        replace: Whether targets not by this owner may be replaced; looked at before copying.
        metadata: User metadata instead of the sources'.
        acl: Canned ACL of the copies, in S3.
        skip_equal: Leave targets alone that are equal by size and ETag already.
        delete_surplus: Delete, when all are copied, what stood under `target_prefix` at the
            beginning and has no source, neither then nor now. What somebody has replaced since
            then is let be, which the receipt's notes say; what was deleted stands in ``removed``.
        threshold: As for `copy_object`.
        part_size: As for `copy_object`.
        connections: Ranges of one large object on their way at once.
        objects: Objects on their way at once.
        progress: As for `copy_object`.
        stop: As for `copy_object`.

    Returns:
        What was copied and what was skipped.

    Raises:
        InputError: Nothing is there, the prefixes overlap, or as `copy_object`.
        SetupError: As `copy_object`.
        RetryError: As `copy_object`. The first error ends it; objects copied by then remain.
    """
    stop = stop or threading.Event()
    uris = source_store.uri(source_prefix), target_store.uri(target_prefix)
    request = CopyRequest(
        source=source_store,
        target=target_store,
        owner=owner,
        replace=replace,
        metadata=metadata,
        acl=acl,
        skip_equal=skip_equal,
        threshold=threshold,
        part_size=part_size,
        connections=connections,
        stop=stop,
        progress=ProgressReporter(progress, stop, uris[0]),
    )
    prefixes = source_prefix, target_prefix
    if source_store.uri() == target_store.uri() and (
        prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])
    ):
        raise InputError(f"{uris[0]} and {uris[1]} overlap. Choose a prefix beside the other.")
    if delete_surplus:
        check_folders(source_store, source_prefix, target_store, target_prefix)
    check_acl(request)
    source_store.check()
    target_store.check()

    def pairs() -> Iterator[tuple[str, str, ObjectInfo | None]]:
        existing = _Ahead(target_store.list(target_prefix))
        for info in source_store.list(source_prefix):
            key = target_prefix + info.key[len(source_prefix) :]
            yield info.key, key, existing.find(key)

    if not replace:
        for _, key, found in pairs():
            if found is not None:
                refuse_foreign(request, key, target_store.head(key))
    surplus = None
    if delete_surplus:
        surplus = Surplus(source_store, source_prefix, target_store, target_prefix)
    left: dict[str, list[Unfinished]] = defaultdict(list)
    for unfinished in target_store.unfinished(target_prefix):
        left[unfinished.key].append(unfinished)

    def cleared() -> Iterator[tuple[str, str, ObjectInfo | None]]:
        for pair in pairs():
            if surplus is not None:
                surplus.has_source(pair[1])
            for unfinished in left.pop(pair[1], ()):
                if unfinished.owner == owner.digest:
                    target_store.discard(unfinished)
            yield pair

    copied, skipped = copy_all(request, cleared(), objects)
    if not copied and not skipped:
        raise InputError(f"There is no object {uris[0]}*. Correct the prefix.")
    removed = surplus.delete(lambda: request.progress.add(0)) if surplus is not None else None
    return receipt_of(request, *uris, copied, skipped, removed)


def plan_copy(
    source_store: Store,
    source_prefix: str,
    target_store: Store,
    target_prefix: str,
    *,
    delete_surplus: bool = False,
) -> tuple[list[str], list[str]]:
    """Tell what `copy_prefix` would do, and do nothing.

    Args:
        source_store: Where from.
        source_prefix: As for `copy_prefix`.
        target_store: Where to.
        target_prefix: As for `copy_prefix`.
        delete_surplus: As for `copy_prefix`.

    Returns:
        The keys of the sources, also of those whose copies are equal already, and the keys of the
        target that would be deleted.

    Raises:
        InputError: Nothing is there, or the folders overlap.
    """
    keys = [info.key for info in source_store.list(source_prefix)]
    if not keys:
        raise InputError(f"There is no object {source_store.uri(source_prefix)}*. Correct it.")
    if not delete_surplus:
        return keys, []
    check_folders(source_store, source_prefix, target_store, target_prefix)
    surplus = Surplus(source_store, source_prefix, target_store, target_prefix)
    for key in keys:
        surplus.has_source(target_prefix + key[len(source_prefix) :])
    return keys, [info.key for info in surplus.objects()]


def copy_all(
    request: CopyRequest, pairs: Iterable[tuple[str, str, ObjectInfo | None]], objects: int
) -> tuple[list[StoredObject], list[str]]:
    """Copy pairs of keys, `objects` at once, those that publish a set last."""
    copied: dict[str, StoredObject] = {}
    skipped: list[str] = []
    under_way: dict[Future[StoredObject | None], str] = {}
    stopping = changed(request, stop=_Either(request.stop))

    def collect(most: int) -> None:
        while len(under_way) > most:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                key = under_way.pop(future)
                stored = future.result()
                if stored is None:
                    skipped.append(request.target.uri(key))
                else:
                    copied[key] = stored

    with ThreadPoolExecutor(objects, "copy-object") as pool:

        def begin(source: str, key: str, found: ObjectInfo | None) -> None:
            request.progress.add(0)
            under_way[pool.submit(copy, stopping, source, key, found)] = key
            collect(2 * objects)

        try:
            last = []
            for pair in pairs:
                if pair[0].endswith(_LAST):
                    last.append(pair)
                else:
                    begin(*pair)
            collect(0)
            for pair in last:
                begin(*pair)
            collect(0)
        except BaseException:
            stopping.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [copied[key] for key in sorted(copied)], sorted(skipped)


class _Either(threading.Event):
    """Set when it is, or when another event is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


class _Ahead:
    """Looks keys up in a listing, both in ascending order, holding one entry of it."""

    def __init__(self, listing: Iterator[ObjectInfo]) -> None:
        self._listing = listing
        self._next = next(listing, None)

    def find(self, key: str) -> ObjectInfo | None:
        while self._next is not None and self._next.key < key:
            self._next = next(self._listing, None)
        return self._next if self._next is not None and self._next.key == key else None


def receipt_of(
    request: CopyRequest,
    source: str,
    target: str,
    copied: list[StoredObject],
    skipped: list[str],
    removed: Removed | None = None,
) -> CopyReceipt:
    request.progress.report()
    return CopyReceipt(
        source=source,
        target=target,
        owner=str(request.owner),
        rows=None,
        bytes=sum(stored.bytes or 0 for stored in copied),
        seconds=round(time.monotonic() - request.progress.began, 3),
        peak_memory=peak_memory(),
        stored=Stored(
            tuple(copied),
            removed=removed.uris if removed else (),
            notes=removed.notes if removed else (),
        ),
        skipped=tuple(skipped),
    )
