"""An object store in memory."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tradewind.errors import InputError, RetryError
from tradewind.move.store import OWNER, ObjectInfo, Store, Unfinished, Upload

__all__ = ["MemoryStore"]

_PIECE = 1 << 20


@dataclass
class _Object:
    info: ObjectInfo
    data: bytes


@dataclass
class _Begun:
    unfinished: Unfinished
    pieces: list[bytes] = field(default_factory=list)


class MemoryStore(Store):
    """A bucket in memory, with conditions and unfinished uploads as a real store has them.

    It is safe to use from several threads.

    Args:
        name: What the bucket is called, for messages and URIs (``memory://name/key``).
    """

    def __init__(self, name: str = "bucket") -> None:
        self.name = name
        self._objects: dict[str, _Object] = {}
        self._begun: dict[str, _Begun] = {}
        self._lock = threading.Lock()
        self._ids = itertools.count(1)

    def uri(self, key: str = "") -> str:
        """Name an object."""
        return f"memory://{self.name}/{key}"

    def check(self) -> None:
        """Do nothing: it is there."""

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one object; None where there is none."""
        with self._lock:
            found = self._objects.get(key)
        return None if found is None else found.info

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all objects whose keys begin with `prefix`, in the order of their keys."""
        with self._lock:
            found = sorted((key, one) for key, one in self._objects.items())
        for key, one in sorted(found, key=lambda item: item[0].encode()):
            if key.startswith(prefix):
                yield replace(one.info, content_type=None, content_encoding=None, metadata={})

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one object in pieces."""
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise InputError(f"{self.uri(key)} is not there. Correct its name, or write it first.")
        if etag is not None and found.info.etag != etag:
            raise RetryError(f"{self.uri(key)} was replaced meanwhile.")
        for start in range(0, len(found.data), _PIECE):
            yield found.data[start : start + _PIECE]

    def upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        replaces: str | None = None,
    ) -> Upload:
        """Begin to write an object."""
        if not key:
            raise InputError(f"{self.uri()}: an object needs a key. Name one.")
        info = ObjectInfo(
            key,
            0,
            content_type=content_type or "application/octet-stream",
            content_encoding=content_encoding,
            metadata={name.lower(): value for name, value in (metadata or {}).items()},
        )
        with self._lock:
            number = str(next(self._ids))
            owner = info.metadata.get(OWNER)
            begun = _Begun(Unfinished(key, number, datetime.now(UTC), owner))
            self._begun[number] = begun
        return _MemoryUpload(self, begun, info, create_only=create_only, replaces=replaces)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List what uploads have left unfinished."""
        with self._lock:
            found = [begun.unfinished for begun in self._begun.values()]
        yield from (left for left in found if left.key.startswith(prefix))

    def discard(self, left: Unfinished) -> None:
        """Remove what an upload has left."""
        with self._lock:
            self._begun.pop(left.id, None)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)

    def _put(self, begun: _Begun, info: ObjectInfo, create_only: bool, replaces: str | None) -> Any:
        data = b"".join(begun.pieces)
        with self._lock:
            if self._begun.pop(begun.unfinished.id, None) is None:
                raise RetryError(f"{self.uri(info.key)}: the upload was taken over or discarded.")
            there = self._objects.get(info.key)
            if create_only and there is not None:
                raise InputError(f"{self.uri(info.key)} exists already. Remove it, or allow that.")
            if replaces is not None and (there is None or there.info.etag != replaces):
                raise InputError(f"{self.uri(info.key)} was changed by somebody else meanwhile.")
            digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            stored = replace(
                info,
                size=len(data),
                etag=f"{digest}-{next(self._ids)}",
                modified=datetime.now(UTC),
                checksum=f"md5:{digest}",
            )
            self._objects[info.key] = _Object(stored, data)
        return stored


class _MemoryUpload(Upload):
    def __init__(
        self,
        store: MemoryStore,
        begun: _Begun,
        info: ObjectInfo,
        *,
        create_only: bool,
        replaces: str | None,
    ) -> None:
        self._store, self._begun, self._info = store, begun, info
        self._create_only, self._replaces = create_only, replaces

    def write(self, data: bytes) -> None:
        self._begun.pieces.append(bytes(data))

    def complete(self) -> ObjectInfo:
        found: ObjectInfo = self._store._put(
            self._begun, self._info, self._create_only, self._replaces
        )
        return found

    def abort(self) -> None:
        self._store.discard(self._begun.unfinished)
