"""A bucket of Google Cloud Storage: settings, addresses, and what it says of an object."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tradewind.errors import InputError
from tradewind.move.store import ObjectInfo, Store
from tradewind.systems.gcs.http import Http

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["FIELDS", "Bucket", "info_of"]

ENDPOINT = "https://storage.googleapis.com"
FIELDS = "name,size,generation,updated,contentType,contentEncoding,metadata,md5Hash,crc32c"
# A chunk's length has to be a multiple of this, the last one's excepted.
_CHUNK_UNIT = 256 << 10


class Bucket(Store):
    """What the store shares with uploads and copies; see `tradewind.systems.gcs.store.GCSStore`."""

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
        self.part_bytes = part_bytes
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
        if endpoint is None and emulator:
            endpoint = emulator if "//" in emulator else f"http://{emulator}"
        self._endpoint = (endpoint or ENDPOINT).rstrip("/")
        self.http = Http(
            f"Google Cloud Storage, bucket {bucket}",
            credentials,
            anonymous=bool(emulator) and credentials is None,
            attempts=attempts,
            timeout=timeout,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bucket!r})"

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
        self.http.ask("GET", self.objects, query).expect(200)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one object; None where there is none."""
        self.check_key(key)
        answer = self.http.ask("GET", self.object(key), {"fields": FIELDS})
        if answer.status == 404:
            # Nothing tells a missing object from a missing bucket but a question for the latter.
            self.check()
            return None
        return info_of(answer.expect(200).json())

    @property
    def objects(self) -> str:
        """Address of all objects."""
        return f"{self._endpoint}/storage/v1/b/{quote(self.bucket, safe='')}/o"

    @property
    def uploads(self) -> str:
        """Address that uploads begin at."""
        return f"{self._endpoint}/upload/storage/v1/b/{quote(self.bucket, safe='')}/o"

    def object(self, key: str) -> str:
        """Address of one object."""
        return f"{self.objects}/{quote(key, safe='')}"


def info_of(described: Mapping[str, Any]) -> ObjectInfo:
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
