"""What an object store is."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from tradewind.errors import InputError

__all__ = [
    "OWNER",
    "Described",
    "ObjectInfo",
    "ServerCopy",
    "Store",
    "Unfinished",
    "Upload",
]

OWNER = "tradewind-owner"
"""Metadata of each object: the digest of the owner whose effect it is."""


@dataclass(frozen=True)
class ObjectInfo:
    """One object, as its store describes it.

    Args:
        key: Its name within the bucket, container or folder.
        size: Bytes.
        etag: What the store calls this version of it, without quotes; None where it has none.
        modified: When it was written, with a zone.
        content_type: Its media type; listings leave it out.
        content_encoding: Like ``gzip``; listings leave it out.
        metadata: User metadata with lower-case keys; listings leave it out.
        checksum: ``algorithm:hex`` where the store tells one.
    """

    key: str
    size: int
    etag: str | None = None
    modified: datetime | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksum: str | None = None


@dataclass(frozen=True)
class Unfinished:
    """Something invisible that an upload has left on the store: a multipart upload, a staged file.

    Args:
        key: The object that it would have become.
        id: What the store calls it.
        started: When it was begun, with a zone; None where the store does not say.
        owner: The digest of the owner whose attempt has certainly begun it; None where that is not
            known: uploads of others, of the former version, and of a moment between have none.
    """

    key: str
    id: str
    started: datetime | None = None
    owner: str | None = None


@dataclass(frozen=True)
class Described:
    """One object, with what only its own kind of store understands of it.

    Args:
        info: The object.
        headers: What a client sees with it besides, as its store calls it.
        checksum: Algorithm and value over the whole object; None where the store keeps none.
    """

    info: ObjectInfo
    headers: Mapping[str, Any] = field(default_factory=dict)
    checksum: tuple[str, str] | None = None


@dataclass(frozen=True)
class ServerCopy:
    """A copy that a store's server is asked to make by itself.

    Args:
        source: Where from.
        described: The object, as `Store.described` gave it; another version of it is not copied.
        version: Which version of it; None for the newest.
        key: The copy's.
        metadata: Its user metadata.
        create_only: Fail where it exists.
        acl: Canned ACL; None for the bucket's default.
        threshold: Most bytes to copy in one request.
        part_size: Bytes of a range above that.
        connections: Ranges on their way at once.
        copied: Is told the bytes of each step that is done; may raise.
        stop: Ends it between two steps.
    """

    source: Store
    described: Described
    version: str | None
    key: str
    metadata: Mapping[str, str]
    create_only: bool
    acl: str | None
    threshold: int
    part_size: int
    connections: int
    copied: Callable[[int], None]
    stop: threading.Event


class Upload(ABC):
    """An object being written. Nothing of it is visible before `complete`."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Hand over the next bytes, of any length; waits while enough is on its way."""

    @abstractmethod
    def complete(self) -> ObjectInfo:
        """Make the object visible, whole, and check what the store says it has.

        Returns:
            The object, with the checksum of its bytes.

        Raises:
            InputError: The object exists, or another version of it than was expected.
            RetryError: The upload was taken over (aborted by another attempt), or what is stored
                is not what was sent.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove all that was sent. May be called again, and after `complete` does nothing."""


class Store(ABC):
    """One bucket, container or folder of an object store."""

    decides: ClassVar[tuple[str, ...]] = ()
    """Attributes that decide which one it is; see `tradewind.move.identity`."""

    etag_tells_content = False
    """Whether two writes of the same bytes have the same ETag, so that a condition on it does not
    tell them apart."""

    keeps_metadata: ClassVar[bool] = True
    """Whether it keeps what `ObjectInfo` says of an object's media type, encoding and metadata."""

    @abstractmethod
    def uri(self, key: str = "") -> str:
        """Name an object, or the bucket itself, without any secret."""

    def page(self, key: str) -> str | None:
        """Tell where a person sees an object in a browser; None where there is no page.

        Args:
            key: Of the object. Nothing is asked of the store.
        """
        return None

    def places(self, key: str = "") -> tuple[str, ...]:
        """Name where an object or folder is, however the store and the key are spelled.

        Two keys mean the same where they share a name; no secret is in any of them.

        Args:
            key: The object, the folder with ``/`` at its end, or nothing for the store itself.

        Returns:
            Names, the one that all links lead to last.
        """
        from tradewind.move.identity import described

        own = described(self)
        return (f"{self.uri() if own is None else json.dumps(own)}/{key}",)

    def parent(self) -> tuple[Store, str] | None:
        """Tell the store one folder further up, and what this one is called in it.

        None where there is none, or where nobody looks: a bucket is in no other.
        """
        return None

    def within(self, key: str) -> tuple[Store, str]:
        """Narrow the store to the folder that a key is in, where folders are made and removed.

        Returns:
            The store of the folder, and the key in it; here this one, as a bucket has no folders.
        """
        return self, key

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse a key or prefix that the store cannot have, or would take for another one.

        Keys are taken as they are: nothing is decoded, composed or put together.

        Args:
            key: Key, prefix or glob.
            writing: Whether an object of that name is to be made.

        Raises:
            InputError: It is such a key.
        """
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.uri()}: the key {key!a} is no text that UTF-8 can hold. Correct it."
            ) from error

    @abstractmethod
    def check(self) -> None:
        """Look whether the bucket is there and may be used.

        Raises:
            SetupError: It is missing, or the credentials are refused.
            RetryError: The store does not answer.
        """

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """Describe one object; None where there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all objects whose keys begin with `prefix`, in the order of their keys."""

    @abstractmethod
    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one object in pieces of some megabytes, going on after a broken connection.

        Args:
            key: The object.
            etag: The version that is wanted; another one is a `RetryError`. The one that the first
                answer shows, when not given: an object replaced meanwhile is never mixed.
        """

    @abstractmethod
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
        """Begin to write an object.

        Args:
            key: The object.
            content_type: Its media type.
            content_encoding: Like ``gzip``.
            metadata: User metadata; `OWNER` in it is told by `unfinished`, where the store can.
            create_only: `Upload.complete` fails where the object exists by then.
            replaces: `Upload.complete` fails where the object has another ETag by then; where the
                store has no such condition it is looked up just before.
        """

    def keeps_conditions(self, key: str, data: bytes, there: ObjectInfo) -> bool:
        """Find out whether the server refuses a write whose condition does not hold.

        Args:
            key: An object.
            data: Its bytes. They are written again under a condition that cannot hold, so that
                nothing is changed by a server that does not mind.
            there: The object, as `head` describes it.
        """
        return True

    # ------------------------------------------------------------------------- copies by the server

    keeps_tags: ClassVar[bool] = False
    """Whether objects have tags, which `tags` reads and `put_tags` writes."""

    def described(self, key: str, version: str | None = None) -> Described | None:
        """Describe an object for a copy; None where there is none.

        Raises:
            InputError: A version is asked for, and the store has none.
        """
        if version is not None:
            raise InputError(f"{self.uri(key)} has no versions to choose from: only S3 does.")
        info = self.head(key)
        return None if info is None else Described(info)

    def takes_acl(self, source: Store) -> bool:
        """Whether a copy that its server makes of an object of that store can be given an ACL."""
        return False

    def copy_within(self, order: ServerCopy) -> str | None:
        """Have the server copy an object, so that the data never leave it.

        Returns:
            The copy's ETag; None where it cannot, so that the data have to be streamed.

        Raises:
            InputError: The copy exists (`create_only`), or the source is missing.
            RetryError: The source has changed, or another attempt took over.
            SetupError: A bucket or a permission is missing.
        """
        return None

    def tags(self, key: str) -> dict[str, str]:
        """Read an object's tags."""
        return {}

    def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Give an object its tags; asked only of stores with `keeps_tags`."""
        raise NotImplementedError(f"{self.uri()} has no tags.")

    # ------------------------------------------------------------------------------ what is left

    @abstractmethod
    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List what uploads to keys that begin with `prefix` have left unfinished."""

    @abstractmethod
    def discard(self, left: Unfinished) -> None:
        """Remove what an upload has left. An upload still going on then fails to complete."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there count as deleted."""

    def remove_made_folders(self) -> None:  # noqa: B027 - most stores have none
        """Remove the folders that this object has made to upload into, those that are empty.

        For a publication that has failed. Nothing where a store has no folders.
        """

    def delete_version(self, key: str, etag: str) -> bool:
        """Delete an object if it is this version of it.

        A store whose deletions have conditions makes it one; here it is looked up just before.

        Args:
            key: The object.
            etag: The version, as `head` tells it.

        Returns:
            False where it is another one by now; one that is not there counts as deleted.
        """
        found = self.head(key)
        if found is None or found.etag != etag:
            return found is None
        self.delete([key])
        return True
