"""Copy one object: by its server where one server has both ends, in a stream otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.former_names import former_attribute
from tradewind.move.flow import CancelledError, Progress
from tradewind.move.interface import not_replacing
from tradewind.move.receipt import StoredObject
from tradewind.move.store import OWNER, Described, ObjectInfo, ServerCopy, Store
from tradewind.owner import Owner

__all__ = ["OWNER", "CopyRequest", "ProgressReporter", "check_acl", "copy", "refuse_foreign"]

ORIGIN = "tradewind-copy-of"
"""Metadata of a copy: the ETag of what it is a copy of."""

_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class CopyRequest:
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
    progress: ProgressReporter = field(repr=False)
    gzip: bool = False
    content_type: str | None = None

    @property
    def changes(self) -> bool:
        """Whether a copy is to differ from its source, which no server does by itself."""
        return self.gzip or self.content_type is not None


class ProgressReporter:
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
                self.report()

    def report(self) -> None:
        """Report how far the copy is."""
        self._last = time.monotonic()
        if self._progress:
            self._progress(Progress(None, self._bytes, self._last - self.began))


def copy(
    request: CopyRequest,
    source_key: str,
    target_key: str,
    found: ObjectInfo | None,
    *,
    version: str | None = None,
) -> StoredObject | None:
    """Copy one object; None where it was equal already."""
    uri, target_uri = request.source.uri(source_key), request.target.uri(target_key)
    described = _describe(request, source_key, version)
    info = described.info
    if request.skip_equal and found is not None and _equal(request, info, target_key, found):
        request.progress.add(info.size)
        return None
    metadata = dict(info.metadata if request.metadata is None else request.metadata)
    metadata[OWNER] = request.owner.digest
    if info.etag:
        metadata[ORIGIN] = _origin(request, info)
    ours = found is not None and not request.replace  # a foreign one was refused before
    create_only = not request.replace and not ours
    etag = None
    if not request.changes:
        order = ServerCopy(
            source=request.source,
            described=described,
            version=version,
            key=target_key,
            metadata=metadata,
            create_only=create_only,
            acl=request.acl,
            threshold=request.threshold,
            part_size=request.part_size,
            connections=request.connections,
            copied=request.progress.add,
            stop=request.stop,
        )
        etag = request.target.copy_within(order)
    checksum, size = None, info.size
    if etag is None:
        if version is not None or request.acl is not None:
            raise InputError(
                f"{uri} cannot be copied to {target_uri} by its server, and a stream keeps neither "
                "version nor ACL. Give the target's credentials the right to read it."
            )
        etag, checksum, size = _stream(request, info, target_key, metadata, create_only)
    after = request.target.described(target_key)
    if after is None or after.info.size != size or (etag and after.info.etag != etag):
        raise RetryError(
            f"{target_uri} is not what was copied: {size} bytes, ETag {etag}; it has "
            f"{after.info.size if after else 'no'} bytes, ETag {after.info.etag if after else '-'}."
            " Another write came between, or the store is broken. Copy again."
        )
    sums = described.checksum, after.checksum
    if not request.gzip and sums[0] and sums[1] and sums[0][0] == sums[1][0]:
        if sums[0] != sums[1]:
            raise RetryError(f"{target_uri} has another checksum than {uri}. Copy again.")
        checksum = ":".join(sums[0])
    return StoredObject(target_uri, bytes=size, etag=after.info.etag, checksum=checksum)


def _describe(request: CopyRequest, key: str, version: str | None) -> Described:
    described = request.source.described(key, version)
    if described is None:
        request.source.check()
        named = f" in version {version}" if version else ""
        uri = request.source.uri(key)
        raise InputError(f"There is no object {uri}{named}. Correct bucket, key or version.")
    return described


def _origin(request: CopyRequest, info: ObjectInfo) -> str:
    return f"gzip:{info.etag}" if request.gzip else str(info.etag)


def _equal(request: CopyRequest, info: ObjectInfo, key: str, found: ObjectInfo) -> bool:
    if info.etag is None or (found.size != info.size and not request.gzip):
        return False
    if found.etag == info.etag and not request.changes:
        return True
    # Copies in ranges and from other stores have other ETags; they remember their source's.
    whole = request.target.head(key)
    return whole is not None and whole.metadata.get(ORIGIN) == _origin(request, info)


def _stream(
    request: CopyRequest,
    info: ObjectInfo,
    target_key: str,
    metadata: Mapping[str, str],
    create_only: bool,
) -> tuple[str | None, str | None, int]:
    uri, target_uri = request.source.uri(info.key), request.target.uri(target_key)
    if request.gzip and info.content_encoding:
        raise InputError(
            f"{uri} has the content encoding {info.content_encoding!r} already. Copy it without "
            "gzip."
        )
    both = request.source.keeps_tags and request.target.keeps_tags
    tags = request.source.tags(info.key) if both else {}
    algorithm, _, expected = (info.checksum or "").partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm in _HASHES else None
    upload = request.target.upload(
        target_key,
        content_type=request.content_type or (None if request.gzip else info.content_type),
        content_encoding=info.content_encoding,
        metadata=metadata,
        create_only=create_only,
    )
    # With no time in its header, so that a retry writes the same.
    packer = zlib.compressobj(wbits=31) if request.gzip else None
    size = sent = 0

    def send(data: bytes) -> None:
        nonlocal sent
        if data:
            sent += len(data)
            upload.write(data)

    try:
        for piece in request.source.read(info.key, etag=info.etag):
            request.progress.add(len(piece))
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
        request.target.put_tags(target_key, tags)
    return stored.etag, stored.checksum, sent


def check_acl(request: CopyRequest) -> None:
    """Refuse an ACL where the store cannot set one."""
    if request.acl is not None and not request.target.takes_acl(request.source):
        raise InputError(
            f"{request.target.uri()}: an ACL can be set only within one S3 server. Remove it."
        )


def refuse_foreign(request: CopyRequest, key: str, found: ObjectInfo | None) -> None:
    """Refuse to replace an object that another owner has written."""
    if found is not None and found.metadata.get(OWNER) != request.owner.digest:
        raise InputError(
            f"{request.target.uri(key)} exists and {not_replacing()}. Choose another key, or "
            "allow it to be replaced."
        )


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
