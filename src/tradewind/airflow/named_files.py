"""Several files with the names that the official operators give: ``key_0.csv``, ``key_red.csv``."""

from __future__ import annotations

import hashlib
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tradewind.errors import InputError
from tradewind.move.copy import copy_object
from tradewind.move.objects.target import ObjectTarget, Parts
from tradewind.move.publish.manifest import Part, read_manifest
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.target import Target

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.format import Format
    from tradewind.move.store import ObjectInfo, Store
    from tradewind.owner import Owner

__all__ = ["NamedFiles"]

_MARK = "tradewind-files"
_GROUPS = 256


class NamedFiles(Target):
    """Files ``stem + separator + group + suffix``: a group is a number, or a value of a column.

    All are written beside their place first, ``stem.tradewind-OWNER/``, and when all are there, put
    in their places by copies within the store. So a failed attempt leaves nothing visible at these
    names, and between the first and the last there are moments only. Files of an earlier run whose
    group is no more are deleted: those that carry this target's mark.

    Memory: as `ObjectTarget` with parts; with `by`, for each group that is open (all of the query's
    rows that are not sorted by it) one batch, what the format gathers and one part of an upload.

    Args:
        store: Where.
        stem: How the keys begin.
        suffix: How they end.
        separator: Between stem and group.
        rows: Begins a new file after so many rows.
        bytes: Begins a new file after about so many bytes.
        by: Columns; a file a value, where several are joined by ``_``. They stay in the files.
        replace: Whether to replace files that are there already.
        format: How to write.
        compression: ``gzip``, ``zstd`` or ``none``.
    """

    def __init__(
        self,
        store: Store,
        stem: str,
        suffix: str,
        *,
        format: Format,
        separator: str = "_",
        rows: int | None = None,
        bytes: int | None = None,
        by: tuple[str, ...] = (),
        replace: bool = True,
        compression: str | None = None,
    ) -> None:
        self._store = store
        self._begin = f"{stem}{separator}"
        self._stem = stem
        self._suffix = suffix
        self._by = by
        self._replace = replace
        # Data that are not sorted have many groups open, and none may end before its time: a group
        # is one file.
        options: dict[str, Any] = {"keep": True, "open": _GROUPS, "memory": None} if by else {}
        self._parts = Parts(rows=rows, bytes=bytes, by=by, **options)
        self._format = format
        self._compression = compression

    def describe(self) -> str:
        """Name the store and what the files are called."""
        return self._store.uri(f"{self._begin}*{self._suffix}")

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Write all beside, then put them in their places; see `Target.publish`."""
        folder = f"{self._stem}.tradewind-{owner.digest}/"
        if not self._replace and not self._by:
            self._store.check()
            self._refuse_foreign([self._key("0")], owner)
        staged = ObjectTarget(
            self._store,
            folder,
            format=self._format,
            compression=self._compression,
            parts=self._parts,
        )
        stored = staged.publish(flow, owner)
        try:
            objects, removed = self._place(folder, owner)
        finally:
            self._store.delete([info.key for info in self._store.list(folder)])
        return Stored(objects=objects, rows=stored.rows, removed=removed)

    def _place(self, folder: str, owner: Owner) -> tuple[tuple[StoredObject, ...], tuple[str, ...]]:
        found = read_manifest(self._store, folder)
        if found is None:
            raise InputError(f"{self._store.uri(folder)}: somebody removed what was written there.")
        parts = self._named(found[0].parts)
        if not self._replace:
            self._refuse_foreign(list(parts), owner)
        before = [info.key for info in self._store.list(self._begin)]
        objects = []
        for key, part in parts.items():
            receipt = copy_object(
                self._store,
                folder + part.key,
                self._store,
                key,
                owner=owner,
                metadata={_MARK: self._mark},
            )
            (placed,) = receipt.stored.objects
            objects.append(changed(placed, rows=part.rows))
        stale = [key for key in before if key not in parts and self._is_ours(key)]
        if self._replace:
            self._store.delete(stale)
        return tuple(objects), tuple(map(self._store.uri, stale if self._replace else ()))

    def _named(self, parts: tuple[Part, ...]) -> dict[str, Part]:
        named: dict[str, Part] = {}
        for number, part in enumerate(parts):
            texts = ["NULL" if value is None else value for value in part.partition]
            # A slash within a value would make a folder of it.
            group = "_".join(quote(text, safe=" :+,@()") for text in texts) if texts else number
            key = self._key(str(group))
            if key in named:
                raise InputError(
                    f"{self._store.uri(key)}: two groups, or two pieces of one, have this name. "
                    f"Sort the query by {', '.join(self._by)}, or use TransferOperator with "
                    "Objects(parts={'by': ...})."
                )
            named[key] = part
        return named

    def _key(self, group: str) -> str:
        return f"{self._begin}{group}{self._suffix}"

    @property
    def _mark(self) -> str:
        return hashlib.sha256(f"{self._begin}\0{self._suffix}".encode()).hexdigest()[:12]

    def _is_ours(self, key: str) -> bool:
        if not key.endswith(self._suffix):
            return False
        info = self._store.head(key)
        return info is not None and info.metadata.get(_MARK) == self._mark

    def _refuse_foreign(self, keys: list[str], owner: Owner) -> None:
        for key in keys:
            info: ObjectInfo | None = self._store.head(key)
            if info is not None and info.metadata.get("tradewind-owner") != owner.digest:
                raise InputError(
                    f"{self._store.uri(key)} exists already. Pass replace=True, or choose another "
                    "key."
                )
