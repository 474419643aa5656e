"""Copy one object: by its server where one server has both ends, in a stream otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.flow import CancelledError, Progress
from tradewind.move.receipt import StoredObject
from tradewind.move.store import ObjectInfo, Store
from tradewind.owner import Owner
from tradewind.systems.s3 import copy as s3

__all__ = ["Told", "Wish", "check_acl", "copy", "refuse_foreign"]

OWNER = "tradewind-owner"
ORIGIN = "tradewind-copy-of"
"""Metadata of a copy: its owner's digest, and the ETag of what it is a copy of."""

_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class Wish:
    """How all objects of one call are copied."""

    source: Store
    target: Store
    owner: Owner
    replace: bool
    metadata: Mapping[str, str] | None
    acl: str | None
    skip_equal: bool
    threshold: int
    part_size: int
    connections: int
    stop: threading.Event
    told: Told = field(repr=False)
    gzip: bool = False
    content_type: str | None = None

    @property
    def changes(self) -> bool:
        """Whether a copy is to differ from its source, which no server does by itself."""
        return self.gzip or self.content_type is not None


class Told:
    """Counts bytes of all threads, tells of them about once a second, and stops when asked."""

    def __init__(
        self, progress: Callable[[Progress], None] | None, stop: threading.Event, source: str
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._source = source
        self._lock = threading.Lock()
        self.began = self._last = time.monotonic()
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count bytes that were copied, and stop where that was asked for."""
        if self._stop.is_set():
            raise CancelledError(f"The copy of {self._source} was asked to stop.")
        with self._lock:
            self._bytes += size
            if self._progress and time.monotonic() - self._last >= 1:
                self.tell()

    def tell(self) -> None:
        """Report how far the copy is."""
        self._last = time.monotonic()
        if self._progress:
            self._progress(Progress(None, self._bytes, self._last - self.began))


def copy(
    wish: Wish,
    source_key: str,
    target_key: str,
    found: ObjectInfo | None,
    *,
    version: str | None = None,
) -> StoredObject | None:
    """Copy one object; None where it was equal already."""
    uri, target_uri = wish.source.uri(source_key), wish.target.uri(target_key)
    described = _describe(wish, source_key, version)
    info = described.info
    if wish.skip_equal and found is not None and _equal(wish, info, target_key, found):
        wish.told.add(info.size)
        return None
    metadata = dict(info.metadata if wish.metadata is None else wish.metadata)
    metadata[OWNER] = wish.owner.digest
    if info.etag:
        metadata[ORIGIN] = _origin(wish, info)
    ours = found is not None and not wish.replace  # a foreign one was refused before
    create_only = not wish.replace and not ours
    etag = None
    if not wish.changes:
        etag = _copy_within(wish, described, target_key, metadata, create_only, version=version)
    checksum, size = None, info.size
    if etag is None:
        if version is not None or wish.acl is not None:
            raise InputError(
                f"{uri} cannot be copied to {target_uri} by its server, and a stream keeps neither "
                "version nor ACL. Give the target's credentials the right to read it."
            )
        etag, checksum, size = _stream(wish, info, target_key, metadata, create_only)
    after = _describe_target(wish, target_key)
    if after is None or after.info.size != size or (etag and after.info.etag != etag):
        raise RetryError(
            f"{target_uri} is not what was copied: {size} bytes, ETag {etag}; it has "
            f"{after.info.size if after else 'no'} bytes, ETag {after.info.etag if after else '-'}."
            " Another write came between, or the store is broken. Copy again."
        )
    sums = described.checksum, after.checksum
    if not wish.gzip and sums[0] and sums[1] and sums[0][0] == sums[1][0]:
        if sums[0] != sums[1]:
            raise RetryError(f"{target_uri} has another checksum than {uri}. Copy again.")
        checksum = ":".join(sums[0])
    return StoredObject(target_uri, bytes=size, etag=after.info.etag, checksum=checksum)


def _describe(wish: Wish, key: str, version: str | None) -> s3.Description:
    uri = wish.source.uri(key)
    if hasattr(getattr(wish.source, "client", None), "upload_part_copy"):
        described = s3.describe(wish.source, key, version)
    elif version is not None:
        raise InputError(f"{uri} has no versions to choose from: only S3 does.")
    else:
        described = _plain(wish.source, key)
    if described is None:
        wish.source.check()
        named = f" in version {version}" if version else ""
        raise InputError(f"There is no object {uri}{named}. Correct bucket, key or version.")
    return described


def _describe_target(wish: Wish, key: str) -> s3.Description | None:
    if hasattr(getattr(wish.target, "client", None), "upload_part_copy"):
        return s3.describe(wish.target, key)
    return _plain(wish.target, key)


def _plain(store: Store, key: str) -> s3.Description | None:
    info = store.head(key)
    return s3.Description(info, {}, None) if info else None


def _origin(wish: Wish, info: ObjectInfo) -> str:
    return f"gzip:{info.etag}" if wish.gzip else str(info.etag)


def _equal(wish: Wish, info: ObjectInfo, key: str, found: ObjectInfo) -> bool:
    if info.etag is None or (found.size != info.size and not wish.gzip):
        return False
    if found.etag == info.etag and not wish.changes:
        return True
    # Copies in ranges and from other stores have other ETags; they remember their source's.
    whole = wish.target.head(key)
    return whole is not None and whole.metadata.get(ORIGIN) == _origin(wish, info)


def _copy_within(
    wish: Wish,
    described: s3.Description,
    target_key: str,
    metadata: Mapping[str, str],
    create_only: bool,
    *,
    version: str | None,
) -> str | None:
    """Let the server copy; None where it cannot."""
    copy_from = getattr(wish.target, "copy_from", None)
    if copy_from is not None and wish.acl is None and version is None:
        etag: str | None = copy_from(
            wish.source,
            described.info,
            target_key,
            metadata=metadata,
            create_only=create_only,
            copied=wish.told.add,
        )
        return etag
    if not s3.reaches(wish.source, wish.target):
        return None
    if create_only and not described.info.size and version is None and wish.acl is None:
        return None  # nothing can be copied in ranges; an empty put knows the condition
    source, target = wish.source, wish.target
    key = described.info.key
    large = described.info.size > wish.threshold
    order = s3.Order(
        bucket=source.bucket,  # type: ignore[attr-defined]
        key=key,
        version=version,
        target_bucket=target.bucket,  # type: ignore[attr-defined]
        target_key=target_key,
        metadata=metadata,
        tags=s3.tags_of(source, key, version) if large or create_only else None,
        acl=wish.acl,
        options=s3.options_of(target),
        create_only=create_only,
        threshold=wish.threshold,
        part_size=wish.part_size,
        connections=wish.connections,
    )
    try:
        return s3.copy_within(target, order, described, copied=wish.told.add, stop=wish.stop)
    except CancelledError:
        raise
    except TradewindError:
        # Other credentials may not see the source, or see another bucket of this name.
        if source.client is target.client or _readable(target, order, described):  # type: ignore[attr-defined]
            raise
        return None


def _readable(target: Store, order: s3.Order, described: s3.Description) -> bool:
    """Tell whether the target's credentials see the very source."""
    seen = s3.Seen(target, order.bucket)
    try:
        found = s3.describe(seen, order.key, order.version)
    except TradewindError:
        return False
    return found is not None and found.info.etag == described.info.etag


def _stream(
    wish: Wish,
    info: ObjectInfo,
    target_key: str,
    metadata: Mapping[str, str],
    create_only: bool,
) -> tuple[str | None, str | None, int]:
    uri, target_uri = wish.source.uri(info.key), wish.target.uri(target_key)
    if wish.gzip and info.content_encoding:
        raise InputError(
            f"{uri} has the content encoding {info.content_encoding!r} already. Copy it without "
            "gzip."
        )
    both = all(
        hasattr(getattr(store, "client", None), "put_object_tagging")
        for store in (wish.source, wish.target)
    )
    tags = s3.tags_of(wish.source, info.key) if both else {}
    algorithm, _, expected = (info.checksum or "").partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm in _HASHES else None
    upload = wish.target.upload(
        target_key,
        content_type=wish.content_type or (None if wish.gzip else info.content_type),
        content_encoding=info.content_encoding,
        metadata=metadata,
        create_only=create_only,
    )
    # With no time in its header, so that a retry writes the same.
    packer = zlib.compressobj(wbits=31) if wish.gzip else None
    size = sent = 0

    def send(data: bytes) -> None:
        nonlocal sent
        if data:
            sent += len(data)
            upload.write(data)

    try:
        for piece in wish.source.read(info.key, etag=info.etag):
            wish.told.add(len(piece))
            size += len(piece)
            if digest is not None:
                digest.update(piece)
            send(packer.compress(piece) if packer else piece)
        if packer:
            send(packer.flush())
        if size != info.size:
            raise RetryError(f"{uri} gave {size} bytes of {info.size}. Copy again.")
        if digest is not None and digest.hexdigest() != expected:
            raise RetryError(f"{uri} gave other bytes than its checksum says. Copy again.")
        stored = upload.complete()
    except BaseException:
        with contextlib.suppress(TradewindError):
            upload.abort()
        raise
    if stored.size != sent:
        raise RetryError(f"{target_uri} has {stored.size} bytes of {sent}. Copy again.")
    if tags:
        s3.put_tags(wish.target, target_key, tags)
    return stored.etag, stored.checksum, sent


def check_acl(wish: Wish) -> None:
    """Refuse an ACL where the store cannot set one."""
    if wish.acl is not None and not s3.reaches(wish.source, wish.target):
        raise InputError(
            f"{wish.target.uri()}: an ACL can be set only within one S3 server. Leave it away."
        )


def refuse_foreign(wish: Wish, key: str, found: ObjectInfo | None) -> None:
    """Refuse to replace an object that another owner has written."""
    if found is not None and found.metadata.get(OWNER) != wish.owner.digest:
        raise InputError(
            f"{wish.target.uri(key)} exists and replace=False. Choose another key, or allow it "
            "to be replaced."
        )
