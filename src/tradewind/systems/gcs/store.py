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

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tradewind.errors import InputError, RetryError
from tradewind.move.objects.parted_upload import PartedUpload
from tradewind.move.store import ObjectInfo, Store, Unfinished, Upload
from tradewind.redaction import refuse_signed, shown_uri
from tradewind.systems.gcs.http import Answer, Http

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["GCSStore"]

_ENDPOINT = "https://storage.googleapis.com"
_FIELDS = "name,size,generation,updated,contentType,contentEncoding,metadata,md5Hash,crc32c"
_READ_BYTES = 4 << 20
_DELETERS = 8
# A chunk's length has to be a multiple of this, the last one's excepted.
_CHUNK_UNIT = 256 << 10


class GCSStore(Store):
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

    decides = ("bucket", "_endpoint")

    def __init__(
        self,
        bucket: str,
        *,
        credentials: Credentials | Callable[[], Credentials] | None = None,
        endpoint: str | None = None,
        part_bytes: int = 8 << 20,
        attempts: int = 5,
        timeout: float = 60,
    ) -> None:
        if not bucket or "/" in bucket:
            raise InputError(f"{bucket!r} is not the name of a bucket of Google Cloud Storage.")
        if part_bytes <= 0 or part_bytes % _CHUNK_UNIT:
            raise InputError(
                f"part_bytes is {part_bytes}; Google Cloud Storage wants a multiple of 262144."
            )
        self.bucket = bucket
        self._part_bytes = part_bytes
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        if endpoint is None and emulator:
            endpoint = emulator if "//" in emulator else f"http://{emulator}"
        self._endpoint = (endpoint or _ENDPOINT).rstrip("/")
        self._http = Http(
            f"Google Cloud Storage, bucket {bucket}",
            credentials,
            anonymous=bool(emulator) and credentials is None,
            attempts=attempts,
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"GCSStore({self.bucket!r})"

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

    def uri(self, key: str = "") -> str:
        """Name an object, or the bucket itself."""
        return f"gs://{self.bucket}/{key}" if key else f"gs://{self.bucket}"

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse names that Google refuses or clients resolve; see `Store.check_key`."""
        super().check_key(key, writing=writing)
        if key in (".", ".."):
            raise InputError(
                f"{self.uri(key)}: no object is called . or .. there. Correct the name."
            )
        if writing and ("\r" in key or "\n" in key):
            raise InputError(
                f"{self.uri(key)!a}: Google Cloud Storage takes no line ends in a name. Choose "
                "another one."
            )

    def check(self) -> None:
        """Look whether the bucket is there and may be used."""
        query = {"maxResults": "1", "fields": "kind"}
        self._http.ask("GET", self._objects, query).expect(200)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one object; None where there is none."""
        self.check_key(key)
        answer = self._http.ask("GET", self._object(key), {"fields": _FIELDS})
        if answer.status == 404:
            # Nothing tells a missing object from a missing bucket but a question for the latter.
            self.check()
            return None
        return _info(answer.expect(200).json())

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all objects whose keys begin with `prefix`, in the order of their keys."""
        self.check_key(prefix)
        query = {"prefix": prefix, "fields": f"items({_FIELDS}),nextPageToken"}
        while True:
            page = self._http.ask("GET", self._objects, query).expect(200).json()
            yield from map(_info, page.get("items", ()))
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
        for piece in self._http.stream(self._object(key), query, found.size, _READ_BYTES):
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
        return _GCSUpload(self, described, generation, expected)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List nothing: an upload that was left is invisible, free, and forgotten by the store."""
        return iter(())

    def discard(self, left: Unfinished) -> None:
        """Do nothing: there is nothing to remove."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there count as deleted."""

        def one(key: str) -> None:
            self.check_key(key)
            self._http.ask("DELETE", self._object(key)).expect(204, 200, 404)

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
        answer = self._http.ask("DELETE", self._object(key), query)
        return answer.expect(204, 200, 404, 412).status != 412

    def copy_from(self, source: Store, info: ObjectInfo, key: str, **how: Any) -> str | None:
        """Have the store copy an object of it; see `tradewind.systems.gcs.rewrite.rewrite`.

        Returns:
            The copy's generation; None where the source is elsewhere or not to be read.
        """
        from tradewind.systems.gcs.rewrite import rewrite

        if not isinstance(source, GCSStore) or source._endpoint != self._endpoint:
            return None
        return rewrite(source, info, self, key, **how)

    @property
    def _objects(self) -> str:
        return f"{self._endpoint}/storage/v1/b/{quote(self.bucket, safe='')}/o"

    @property
    def _uploads(self) -> str:
        return f"{self._endpoint}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o"

    def _object(self, key: str) -> str:
        return f"{self._objects}/{quote(key, safe='')}"


class _GCSUpload(PartedUpload):
    """One object of one request, or of a resumable upload whose pieces go one after the other."""

    def __init__(
        self, store: GCSStore, described: dict[str, Any], generation: str, expected: bool
    ) -> None:
        super().__init__(store._part_bytes, senders=1)
        self._store = store
        self._http = store._http
        self._described = described
        self._key: str = described["name"]
        self._generation = generation
        self._expected = expected
        self._session = ""

    @property
    def _condition(self) -> dict[str, str]:
        return {"ifGenerationMatch": self._generation}

    def _put(self, data: bytes, md5: bytes) -> ObjectInfo:
        # The store compares the MD5 before the object becomes visible.
        described = {**self._described, "md5Hash": base64.b64encode(md5).decode()}
        boundary = f"tradewind-{os.urandom(16).hex()}"
        kind = self._described.get("contentType", "application/octet-stream")
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.dumps(described).encode(),
                f"\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        query = {"uploadType": "multipart", "name": self._key, **self._condition}
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        answer = self._http.ask("POST", self._store._uploads, query, body, headers)
        return self._stored(answer, len(data), md5)

    def _begin(self) -> None:
        query = {"uploadType": "resumable", "name": self._key, **self._condition}
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        body = json.dumps(self._described).encode()
        answer = self._http.ask("POST", self._store._uploads, query, body, headers)
        if answer.status == 412:
            raise self._lost()
        self._session = answer.expect(200, 201).headers["Location"]

    def _send(self, number: int, offset: int, data: bytes) -> None:
        answer = self._http.resume(self._session, data, offset, total=None)
        if answer.status != 308:
            self._check_session(answer).expect(308)

    def _finish(self, number: int, offset: int, data: bytes, md5: bytes) -> ObjectInfo:
        size = offset + len(data)
        answer = self._http.resume(self._session, data, offset, total=size)
        return self._stored(self._check_session(answer), size, md5)

    def _cancel(self) -> None:
        # Answered with 499. Whatever comes of it: the session is no object and will be forgotten.
        self._http.try_once("DELETE", self._session)

    def _check_session(self, answer: Answer) -> Answer:
        if answer.status in (404, 410):
            raise RetryError(
                f"{self._store.uri(self._key)}: the store has given up the upload. Try again."
            )
        return answer

    def _stored(self, answer: Answer, size: int, md5: bytes) -> ObjectInfo:
        """Compare what the store says it has with what was sent."""
        if answer.status == 412:
            # Also the answer to a request that was repeated because its first answer got lost.
            found = self._store.head(self._key) if answer.repeated else None
            if found is None or found.checksum != f"md5:{md5.hex()}":
                raise self._lost()
            return found
        stored = answer.expect(200, 201).json()
        info = _info(stored)
        if info.size != size or info.checksum != f"md5:{md5.hex()}":
            query = {"ifGenerationMatch": str(info.etag)}
            self._http.try_once("DELETE", self._store._object(self._key), query)
            raise RetryError(
                f"{self._store.uri(self._key)}: the store has {info.size} bytes with "
                f"{info.checksum} and not the {size} with md5:{md5.hex()} that were sent. The "
                "object was removed. Try again."
            )
        return info

    def _lost(self) -> Exception:
        if not self._expected:
            return RetryError(
                f"{self._store.uri(self._key)} was replaced by another writer meanwhile, and this "
                "upload was given up. Try again."
            )
        if self._generation == "0":
            return InputError(
                f"{self._store.uri(self._key)} exists already. Choose another name, or allow that "
                "it is replaced."
            )
        return InputError(
            f"{self._store.uri(self._key)} is not generation {self._generation} any more: somebody "
            "has replaced it."
        )


def _info(described: Mapping[str, Any]) -> ObjectInfo:
    """Read what the API calls an Object resource."""
    checksum = None
    for name, algorithm in (("md5Hash", "md5"), ("crc32c", "crc32c")):
        if described.get(name):
            checksum = f"{algorithm}:{base64.b64decode(described[name]).hex()}"
            break
    return ObjectInfo(
        key=described["name"],
        size=int(described.get("size", 0)),
        etag=str(described["generation"]),
        modified=datetime.fromisoformat(described["updated"]) if "updated" in described else None,
        content_type=described.get("contentType"),
        content_encoding=described.get("contentEncoding"),
        metadata={name.lower(): text for name, text in (described.get("metadata") or {}).items()},
        checksum=checksum,
    )
