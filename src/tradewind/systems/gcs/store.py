"""Google Cloud Storage, by its JSON API (https://cloud.google.com/storage/docs/json_api).

Uploads are *resumable uploads*: a session that is no object and in no listing, costs nothing, and
is forgotten by the store after a week. So a killed attempt leaves nothing behind, and there is
nothing to discard. (The XML API's multipart uploads would be listed and paid for, know no
preconditions, and leave objects without MD5.)

What fences one attempt off from another is the *generation*, by which the store counts the versions
of an object: an upload notes it when it begins, and completes only where it is still the same. Of
two attempts at once the first to complete wins, and the other is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self
from urllib.parse import quote

from tradewind.errors import InputError, RetryError
from tradewind.move.store import ObjectInfo, ServerCopy, Store, Unfinished, Upload
from tradewind.redaction import refuse_signed, shown_uri
from tradewind.systems.gcs.bucket import ENDPOINT, FIELDS, Bucket, info_of
from tradewind.systems.gcs.rewrite import rewrite
from tradewind.systems.gcs.upload import GCSUpload

__all__ = ["GCSStore"]

_READ_BYTES = 4 << 20
_DELETERS = 8


class GCSStore(Bucket):
    """A bucket of Google Cloud Storage.

    `ObjectInfo.etag` is the object's generation here: what preconditions go by.

    Memory: an upload 3 `part_bytes`; a read 4 MB.

    Args:
        bucket: Its name.
        credentials: `google.auth.credentials.Credentials`, or what makes them when it is called;
            application default credentials when not given. They are renewed when they expire, also
            while data are moving.
        endpoint: Another address than Google's; ``STORAGE_EMULATOR_HOST`` of the environment when
            not given, which then needs no credentials.
        part_bytes: Size of the pieces that an object is sent in; a multiple of 256 KiB.
        attempts: How often a request is tried in all before a passing failure is raised.
        timeout: Seconds without an answer after which one attempt has failed.
    """

    @classmethod
    def from_uri(cls, uri: str, **options: Any) -> tuple[Self, str]:
        """Make the store of a URI ``gs://BUCKET/KEY``, with application default credentials.

        Returns:
            The store and the key.

        Raises:
            InputError: It is no such URI.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "gs" or not bucket or set(bucket) & set("@:?#"):
            raise InputError(f"{shown_uri(uri)!r} is not of the form gs://BUCKET/KEY.")
        refuse_signed(uri)
        return cls(bucket, **options), key

    def page(self, key: str) -> str | None:
        """Name the Google Cloud console's page of an object; an emulator has none."""
        if self._endpoint != ENDPOINT:
            return None
        return (
            "https://console.cloud.google.com/storage/browser/_details/"
            f"{quote(self.bucket, safe='')}/{quote(key)}"
        )

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all objects whose keys begin with `prefix`, in the order of their keys."""
        self.check_key(prefix)
        query = {"prefix": prefix, "fields": f"items({FIELDS}),nextPageToken"}
        while True:
            page = self.http.ask("GET", self.objects, query).expect(200).json()
            yield from map(info_of, page.get("items", ()))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one object in pieces of 4 MB, going on after a broken connection.

        Raises:
            InputError: There is no such object.
            RetryError: It was replaced meanwhile, or is not the version that is wanted.
        """
        found = self.head(key)
        if found is None:
            raise InputError(f"There is no object {self.uri(key)}. Correct its name, or make it.")
        if etag is not None and found.etag != etag:
            raise RetryError(
                f"{self.uri(key)} is generation {found.etag} by now and not {etag}. Try again."
            )
        query = {"alt": "media", "generation": str(found.etag)}
        at = 0
        for piece in self.http.stream(self.object(key), query, found.size, _READ_BYTES):
            at += len(piece)
            yield piece
        if at != found.size:
            raise RetryError(
                f"{self.uri(key)} was replaced or deleted while it was read. Try again."
            )

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
        """Begin to write an object; it completes only where nobody else has replaced it since."""
        if not key:
            raise InputError(f"{self.uri()}: the object has no key. Write gs://bucket/key.")
        self.check_key(key, writing=True)
        if create_only:
            generation, expected = "0", True
        elif replaces is not None:
            generation, expected = replaces, True
        else:
            found = self.head(key)
            generation, expected = (found and found.etag) or "0", False
        described: dict[str, Any] = {"name": key, "metadata": dict(metadata or {})}
        if content_type:
            described["contentType"] = content_type
        if content_encoding:
            described["contentEncoding"] = content_encoding
        return GCSUpload(self, described, generation, expected)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List nothing: an upload that was left is invisible, free, and forgotten by the store."""
        return iter(())

    def discard(self, left: Unfinished) -> None:
        """Do nothing: there is nothing to remove."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there count as deleted."""

        def one(key: str) -> None:
            self.check_key(key)
            self.http.ask("DELETE", self.object(key)).expect(204, 200, 404)

        with ThreadPoolExecutor(_DELETERS, thread_name_prefix="tradewind-delete") as pool:
            for _ in pool.map(one, keys):
                pass

    def delete_version(self, key: str, etag: str) -> bool:
        """Delete an object if it is this generation of it.

        Source: https://cloud.google.com/storage/docs/json_api/v1/objects/delete

        Returns:
            False where it is another one by now; one that is not there counts as deleted.
        """
        # Looked up besides: emulators do not know the condition of a deletion.
        found = self.head(key)
        if found is None or found.etag != etag:
            return found is None
        query = {"ifGenerationMatch": etag}
        answer = self.http.ask("DELETE", self.object(key), query)
        return answer.expect(204, 200, 404, 412).status != 412

    def copy_within(self, order: ServerCopy) -> str | None:
        """Copy by rewriting, where no ACL or version is asked for; see `Store.copy_within`."""
        if order.acl is not None or order.version is not None:
            return None
        return self.copy_from(
            order.source,
            order.described.info,
            order.key,
            metadata=order.metadata,
            create_only=order.create_only,
            copied=order.copied,
        )

    def copy_from(self, source: Store, info: ObjectInfo, key: str, **how: Any) -> str | None:
        """Have the store copy an object of it; see `tradewind.systems.gcs.rewrite.rewrite`.

        Returns:
            The copy's generation; None where the source is elsewhere or not to be read.
        """
        if not isinstance(source, GCSStore) or source._endpoint != self._endpoint:
            return None
        return rewrite(source, info, self, key, **how)
