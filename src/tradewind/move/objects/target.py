"""Objects as a target: one, or parts that a manifest publishes."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.compression import COMPRESSIONS, compress, format_of
from tradewind.move.formats.options import FORMAT_OPTIONS, taken, with_options
from tradewind.move.interface import not_replacing
from tradewind.move.objects.uris import options_of, store_of
from tradewind.move.publish.destination import Parts
from tradewind.move.publish.manifest import MANIFEST, folder_of
from tradewind.move.publish.parts import publish_parts
from tradewind.move.publish.shares import ShareTarget, publish_shares, remove_shares, shareable
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.registry import FORMATS, load
from tradewind.move.sizes import bytes_of
from tradewind.move.store import OWNER, ObjectInfo, Store
from tradewind.move.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.flow import Flow
    from tradewind.move.format import Format
    from tradewind.owner import Owner

__all__ = ["OWNER", "ObjectTarget", "Parts"]

_ATTEMPT = "tradewind-attempt"
"""Metadata of a single object: drawn anew by each attempt, which knows its own object by it."""

_OPTIONS = (
    "format",
    "compression",
    "replace",
    "part_rows",
    "part_bytes",
    "part_by",
    "part_open",
    "part_memory",
    "overwrite",
    "keep_columns",
    "content_type",
    "metadata",
)


class ObjectTarget(Target):
    """An object store: one object, or with `parts` a set of objects under a prefix.

    One object is uploaded under its own key and becomes visible when it is completed. Uploads of
    this key that earlier attempts of the same owner left unfinished are discarded first, so that
    one of them that still runs fails to complete; those of others are let be. What stood at the
    key before the rows are read is the condition of the completion: an attempt that was overtaken
    never puts its older rows over newer ones.

    Parts have keys of their own in each attempt (``PREFIX/part-00000-TOKEN.csv``), and count only
    by ``PREFIX/_manifest.json``, which is written last, under the condition that it is still the
    one that was there at the start. After that, what the former manifest named and this one does
    not is removed, and what attempts of the same owner have left; nothing else is.

    Memory: one object needs what its store's upload holds (see there) and the format's own. Parts:
    without partition columns one batch, what the format gathers (Parquet: one row group) and one
    part of an upload. With them about twice `Parts.memory` for all that are open (as rows and
    encoded), and beside them the parts on their way.

    Args:
        store: The bucket, container or folder.
        key: The object's key, or with `parts` the prefix.
        format: The format or its name; by the key when not given.
        compression: ``gzip``, ``zstd`` or ``none``; by the key when not given.
        replace: Whether to replace what is there already. If not, another owner's object is
            refused before anything is read; this owner's own earlier try is not.
        parts: How to cut the data into several objects.
        content_type: Media type; the format's or the compression's when not given.
        metadata: User metadata.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("store", "key", "format", "compression", "parts", "content_type", "metadata")

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        format: Format | str | None = None,
        compression: str | None = None,
        replace: bool = True,
        parts: Parts | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        named, named_compression = format_of(key.rstrip("/"))
        chosen: Format | None = named
        if isinstance(format, str):
            chosen = load(FORMATS, format, what="format")()
        elif format is not None:
            chosen = format
        if chosen is None:
            raise InputError(
                f"{store.uri(key)}: its name tells no format. Give the format: "
                f"{', '.join(FORMATS)}."
            )
        if parts is None and (not key or key.endswith("/")):
            raise InputError(
                f"{store.uri(key).rstrip('/')}/: this is no name of an object. Give one, or say "
                "how to cut the data into parts: part_rows, part_bytes, part_by."
            )
        if key.rstrip("/"):
            store.check_key(key.rstrip("/"), writing=True)
        if compression is None:
            compression = named_compression
        elif compression == "none":
            compression = None
        if compression is not None and compression not in COMPRESSIONS:
            raise InputError(
                f"There is no compression {compression!r}. Choose from: "
                f"{', '.join(COMPRESSIONS)}, none."
            )
        self.store = store
        self.key = key
        self.format = chosen
        self.compression = compression
        self.replace = replace
        self.parts = parts
        self.content_type = content_type or (
            f"application/{compression}" if compression else chosen.content_type
        )
        self.metadata = dict(metadata or {})

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``s3://bucket/key`` and its like.

        Args:
            uri: See `tradewind.move.objects.uris.store_of`.
            options: ``format``, ``compression``, ``replace`` (true, false), ``part_rows``,
                ``part_bytes``, ``part_by`` (columns with commas between), ``part_open``,
                ``part_memory``, ``overwrite`` (partitions, all), ``keep_columns``,
                ``content_type``, ``metadata`` as JSON, those of the format, and of the store.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        store, key = store_of(uri, given)
        return cls.from_options(store, key, given, more=options_of(uri))

    @classmethod
    def from_options(
        cls, store: Store, key: str, options: Mapping[str, str], *, more: Sequence[str] = ()
    ) -> Self:
        """Make one from options of the command line.

        Args:
            store: Where to.
            key: The object or prefix.
            options: As for `from_uri`, without those of the store.
            more: Names of options that the store takes, for messages.

        Raises:
            InputError: An option is wrong.
        """
        given = dict(options)
        keywords: dict[str, Any] = {
            name: given.pop(name)
            for name in ("format", "compression", "content_type")
            if name in given
        }
        if "replace" in given:
            keywords["replace"] = _flag("replace", given.pop("replace"))
        if "metadata" in given:
            keywords["metadata"] = _metadata(given.pop("metadata"))
        cut: dict[str, Any] = {}
        for name in ("rows", "bytes", "open", "memory"):
            if (text := given.pop(f"part_{name}", None)) is not None:
                if name in ("bytes", "memory"):
                    text = str(bytes_of(f"part_{name}", text))
                if not text.isdecimal():
                    raise InputError(f"part_{name}={text!r} is no number.")
                cut[name] = int(text)
        if "part_by" in given:
            cut["by"] = tuple(name.strip() for name in given.pop("part_by").split(","))
        if "overwrite" in given:
            if not cut.get("by"):
                raise InputError("overwrite goes with part_by: say which partitions there are.")
            cut["overwrite"] = given.pop("overwrite")
        if "keep_columns" in given:
            cut["keep"] = _flag("keep_columns", given.pop("keep_columns"))
        options = taken(given)
        if given:
            known = ", ".join((*_OPTIONS, *FORMAT_OPTIONS, *more))
            raise InputError(
                f"{store.uri(key)}: there is no option {', '.join(sorted(given))}. Choose from: "
                f"{known}."
            )
        target = cls(store, key, parts=Parts(**cut) if cut else None, **keywords)
        target.format = with_options(target.format, options)
        return target

    def describe(self) -> str:
        """Name the object or prefix."""
        return self.store.uri(self.key)

    def page(self, stored: Stored) -> str | None:
        """Name the page of the object, or of the manifest of parts, where the store has one."""
        key = self.key if stored.manifest is None else folder_of(self.key) + MANIFEST
        return self.store.page(key) if stored.objects else None

    @property
    def recognises_earlier(self) -> bool:
        """Whether it replaces nothing of others; see `Target.recognises_earlier`."""
        return not self.replace

    def plan(self, schema: pa.Schema | None) -> list[str]:
        """Say what would be written."""
        how = self.format.name + (f", {self.compression}" if self.compression else "")
        if self.parts is None:
            end = "" if self.replace else ", unless it exists"
            return [f"write {self.describe()} ({how}){end}"]
        parts = self.parts
        ends = [
            f"{number:,} {name}"
            for name, number in (("rows", parts.rows), ("bytes", parts.bytes))
            if number is not None
        ]
        if parts.by:
            ends.append(f"partition by {', '.join(parts.by)}")
        folder = self.store.uri(folder_of(self.key))
        return [
            f"write parts ({how}; {', '.join(ends)}) under {folder}",
            f"publish them by {self.store.uri(folder_of(self.key) + MANIFEST)}",
            "replace the partitions that the data contain; all others stay published"
            if parts.by and parts.overwrite == "partitions"
            else "remove the parts of an earlier publication, all partitions"
            if parts.by
            else "remove the parts of an earlier publication",
        ]

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Publish all that flows; see `Target.publish`."""
        self.store.check()
        if self.parts is not None:
            return publish_parts(self, self.parts, flow, owner)
        return self._publish_one(flow, owner.digest)

    def check_shares(self) -> None:
        """Refuse one object, and partitions; see `Target.check_shares`."""
        shareable(self, self.parts)

    def share(self, owner: Owner, number: int, columns: Sequence[str] = ()) -> Target:
        """Make the target of one share; see `Target.share`."""
        return ShareTarget(self, shareable(self, self.parts), owner, number)

    def publish_shares(self, owner: Owner, shares: int, columns: Sequence[str] = ()) -> Stored:
        """Publish all shares by one manifest; see `Target.publish_shares`."""
        return publish_shares(self, owner, shares)

    def remove_shares(self, owner: Owner, shares: int) -> int:
        """Remove parts and lists that no manifest publishes; see `Target.remove_shares`."""
        return remove_shares(self, owner)

    def _publish_one(self, flow: Flow, owner: str) -> Stored:
        there = self.store.head(self.key)
        if not self.replace and there is not None and there.metadata.get(OWNER) != owner:
            raise self.exists(self.key)
        attempt = secrets.token_hex(16)
        for left in self.store.unfinished(self.key):
            if left.key == self.key and left.owner == owner:
                self.store.discard(left)
        upload = self.store.upload(
            self.key,
            content_type=self.content_type,
            metadata={**self.metadata, OWNER: owner, _ATTEMPT: attempt},
            create_only=there is None,
            replaces=there.etag if there is not None else None,
        )
        sent = False
        try:
            with _closing(compress(flow.encoded(self.format).chunks, self.compression)) as chunks:
                for chunk in chunks:
                    upload.write(chunk)
            sent = True
            self._check_unchanged(there)
            info = upload.complete()
        except BaseException as error:
            with contextlib.suppress(TradewindError):
                upload.abort()
            # What is wrong with the data is no matter of who was quicker.
            if sent and isinstance(error, InputError) and not self.replace:
                adopted = self._published_by_sibling(owner)
                if adopted is not None:
                    return adopted
            if sent and isinstance(error, TradewindError) and self.replace:
                return self._judged(error, there, owner, attempt, flow)
            raise
        return Stored((self.stored(info, flow.rows),))

    def _check_unchanged(self, before: ObjectInfo | None) -> None:
        """See that nobody has written the same bytes anew since this attempt began.

        Where an ETag tells the content, the store's own condition takes such an object for the
        former one. What is left is the time from this answer to the next request.
        """
        if before is None or not self.store.etag_tells_content:
            return
        now = self.store.head(self.key)
        if now is None or (now.modified, now.metadata.get(_ATTEMPT)) != (
            before.modified,
            before.metadata.get(_ATTEMPT),
        ):
            raise RetryError(
                f"{self.describe()}: a newer attempt of this task run, or another writer, has "
                "published or removed the object since this attempt began. Nothing of this attempt "
                "was published; try again if it is still wanted."
            )

    def _judged(
        self, error: TradewindError, before: ObjectInfo | None, owner: str, attempt: str, flow: Flow
    ) -> Stored:
        """Tell a completion whose answer was lost from one that another writer has overtaken."""
        now = None
        with contextlib.suppress(TradewindError):
            now = self.store.head(self.key)
        if now is not None and now.metadata.get(_ATTEMPT) == attempt:
            return Stored((self.stored(now, flow.rows),))
        same = (now and now.etag) == (before and before.etag)
        if not isinstance(error, InputError) or same:
            raise error
        who = "another writer"
        if now is not None and now.metadata.get(OWNER) == owner:
            who = "a newer attempt of this task run"
        raise RetryError(
            f"{self.describe()}: {who} has published or removed the object since this attempt "
            "began. Nothing of this attempt was published; try again if it is still wanted."
        ) from error

    def _published_by_sibling(self, owner: str) -> Stored | None:
        """Find what another attempt of the same owner has published meanwhile."""
        with contextlib.suppress(TradewindError):
            there = self.store.head(self.key)
            if there is not None and there.metadata.get(OWNER) == owner:
                return Stored((self.stored(there, None),))
        return None

    def stored(self, info: ObjectInfo, rows: int | None) -> StoredObject:
        """Describe a published object."""
        return StoredObject(
            uri=self.store.uri(info.key),
            bytes=info.size,
            rows=rows,
            etag=info.etag,
            checksum=info.checksum,
        )

    def exists(self, key: str) -> InputError:
        """Make the error of what may not be replaced."""
        return InputError(
            f"{self.store.uri(key)}: the object exists already, and {not_replacing()}. Nothing was "
            "read or written; remove it, choose another key or allow to replace it."
        )


@contextlib.contextmanager
def _closing(chunks: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    try:
        yield chunks
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InputError(f"{name}={text!r} is neither true nor false.")
    return text.lower() == "true"


def _metadata(text: str) -> dict[str, str]:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict) or not all(isinstance(value, str) for value in read.values()):
        raise InputError(f'metadata={text!r}: give a JSON object of texts, like {{"a": "b"}}.')
    return read
