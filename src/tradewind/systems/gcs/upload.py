"""Writing one object to Google Cloud Storage."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from tradewind.errors import InputError, RetryError
from tradewind.move.objects.parted_upload import PartedUpload
from tradewind.move.store import ObjectInfo
from tradewind.systems.gcs.bucket import Bucket, info_of
from tradewind.systems.gcs.http import Answer

__all__ = ["GCSUpload"]


class GCSUpload(PartedUpload):
    """One object of one request, or of a resumable upload whose pieces go one after the other."""

    def __init__(
        self, store: Bucket, described: dict[str, Any], generation: str, expected: bool
    ) -> None:
        super().__init__(store.part_bytes, senders=1)
        self._store = store
        self._http = store.http
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
        answer = self._http.ask("POST", self._store.uploads, query, body, headers)
        return self._stored(answer, len(data), md5)

    def _begin(self) -> None:
        query = {"uploadType": "resumable", "name": self._key, **self._condition}
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        body = json.dumps(self._described).encode()
        answer = self._http.ask("POST", self._store.uploads, query, body, headers)
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
        info = info_of(stored)
        if info.size != size or info.checksum != f"md5:{md5.hex()}":
            query = {"ifGenerationMatch": str(info.etag)}
            self._http.try_once("DELETE", self._store.object(self._key), query)
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
