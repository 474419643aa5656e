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
from tradewind.move.store import OWNER, Described, ObjectInfo, ServerCopy, Store
from tradewind.owner import Owner

__all__ = ["OWNER", "Told", "Wish", "check_acl", "copy", "refuse_foreign"]

ORIGIN = "tradewind-copy-of"
"""Metadata of a copy: the ETag of what it is a copy of."""

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
        order = ServerCopy(
            source=wish.source,
            described=described,
            version=version,
            key=target_key,
            metadata=metadata,
            create_only=create_only,
            acl=wish.acl,
            threshold=wish.threshold,
            part_size=wish.part_size,
            connections=wish.connections,
            copied=wish.told.add,
            stop=wish.stop,
        )
        etag = wish.target.copy_within(order)
    checksum, size = None, info.size
    if etag is None:
        if version is not None or wish.acl is not None:
            raise InputError(
                f"{uri} cannot be copied to {target_uri} by its server, and a stream keeps neither "
                "version nor ACL. Give the target's credentials the right to read it."
            )
        etag, checksum, size = _stream(wish, info, target_key, metadata, create_only)
    after = wish.target.described(target_key)
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


def _describe(wish: Wish, key: str, version: str | None) -> Described:
    described = wish.source.described(key, version)
    if described is None:
        wish.source.check()
        named = f" in version {version}" if version else ""
        uri = wish.source.uri(key)
        raise InputError(f"There is no object {uri}{named}. Correct bucket, key or version.")
    return described


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
    both = wish.source.keeps_tags and wish.target.keeps_tags
    tags = wish.source.tags(info.key) if both else {}
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
        wish.target.put_tags(target_key, tags)
    return stored.etag, stored.checksum, sent


def check_acl(wish: Wish) -> None:
    """Refuse an ACL where the store cannot set one."""
    if wish.acl is not None and not wish.target.takes_acl(wish.source):
        raise InputError(
            f"{wish.target.uri()}: an ACL can be set only within one S3 server. Remove it."
        )


def refuse_foreign(wish: Wish, key: str, found: ObjectInfo | None) -> None:
    """Refuse to replace an object that another owner has written."""
    if found is not None and found.metadata.get(OWNER) != wish.owner.digest:
        raise InputError(
            f"{wish.target.uri(key)} exists and replace=False. Choose another key, or allow it "
            "to be replaced."
        )
