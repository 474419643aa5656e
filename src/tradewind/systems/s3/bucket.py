"""A bucket of S3 and its server: settings, client, threads and buffers."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any
from urllib.parse import quote

from tradewind.errors import InputError
from tradewind.move.store import ObjectInfo, Store, Unfinished
from tradewind.redaction import shown_host
from tradewind.spellings import remember
from tradewind.systems.s3.connecting import connected
from tradewind.systems.s3.console import console_page
from tradewind.systems.s3.errors import code_of, translated
from tradewind.systems.s3.records import Record

__all__ = ["Bucket"]

MIB = 1 << 20
_LEAST_PART = 5 * MIB
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML cannot hold, so that no listing and no request to delete tells it."""
_KEYS = ("SSECustomerKey", "CopySourceSSECustomerKey")
_ENCRYPTION = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")


class Bucket(Store):
    """What the store shares with its uploads; see `tradewind.systems.s3.store.S3Store`."""

    decides = ("bucket", "_client_options")

    etag_tells_content = True

    def __init__(
        self,
        bucket: str,
        *,
        session: Any = None,
        client_options: Mapping[str, Any] | None = None,
        part_bytes: int = 8 * MIB,
        connections: int = 4,
        extra_args: Mapping[str, Any] | None = None,
    ) -> None:
        if not bucket or "/" in bucket:
            raise InputError(f"S3: {bucket!r} is no name of a bucket. Write s3://bucket/key.")
        if part_bytes < _LEAST_PART:
            raise InputError(f"S3: part_bytes is {part_bytes}; S3 takes {_LEAST_PART} or more.")
        if connections < 1:
            raise InputError(f"S3: {connections} connections cannot write. Give 1 or more.")
        self.bucket = bucket
        self.part_bytes = part_bytes
        self.connections = connections
        self._session = session
        self._client_options = dict(client_options or {})
        self._extra_args = dict(extra_args or {})
        if keys := [self._extra_args[name] for name in _KEYS if name in self._extra_args]:
            remember(lambda: keys)
        self._lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(connections)
        """One for each part on its way, over all uploads: what bounds the memory."""
        self._buffers: deque[bytearray] = deque()
        self._buffers_made = 0
        self._client: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bucket!r})"

    @property
    def client(self) -> Any:
        """The boto3 client, which threads share."""
        with self._lock:
            if self._client is None:
                self._client = connected(
                    self.bucket, self._session, self._client_options, self.connections
                )
            return self._client

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """The threads that send parts."""
        return ThreadPoolExecutor(self.connections, thread_name_prefix="tradewind writes to S3")

    def buffer(self, size: int) -> bytearray:
        """Give whoever holds a slot a buffer for its part.

        There are as many as slots, and all are used in turn: so the memory is at its most after a
        few parts, and does not grow at some later time when the server is slow.

        Args:
            size: Bytes it has to have.
        """
        with self._lock:
            if self._buffers_made < self.connections:
                self._buffers_made += 1
                found = bytearray()
            else:
                found = self._buffers.popleft()
        return found if len(found) == size else bytearray(size)

    def give_back(self, buffer: bytearray | None) -> None:
        """Take a slot and its buffer back; None where the buffer is lost."""
        with self._lock:
            if buffer is None:
                self._buffers_made -= 1
            else:
                self._buffers.append(buffer)
        self.slots.release()

    @property
    def part_arguments(self) -> dict[str, Any]:
        """Those of the extra arguments that each request to an object wants again."""
        return {name: self._extra_args[name] for name in _ENCRYPTION if name in self._extra_args}

    def describe(self, key: str = "") -> str:
        """Name an object and its server, for messages."""
        endpoint = str(self._client_options.get("endpoint_url") or "")
        if self._client is not None:
            endpoint = self._client.meta.endpoint_url
        return self.uri(key) + (f" at {shown_host(endpoint)}" if endpoint else "")

    def places(self, key: str = "") -> tuple[str, ...]:
        """Name an object by server and bucket, however they are reached; see `Store.places`."""
        server = shown_host(self.client.meta.endpoint_url)
        server = "aws" if server.endswith(".amazonaws.com") else server
        return (f"{server}/{self.bucket}/{key}",)

    def page(self, key: str) -> str | None:
        """Name the AWS console's page of an object; other servers have none."""
        path = f"s3/object/{quote(self.bucket, safe='')}?prefix={quote(key, safe='')}"
        return console_page(self.client.meta, path)

    def uri(self, key: str = "") -> str:
        """Name an object: ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}" if key else f"s3://{self.bucket}"

    def check_key(self, key: str, *, writing: bool = False) -> None:
        """Refuse keys of which listings, servers or clients make others; see `Store.check_key`."""
        super().check_key(key, writing=writing)
        if not writing:
            return
        if _CONTROLS.search(key):
            raise InputError(
                f"{self.uri(key)!a}: the key has control characters, which S3 can neither "
                "list nor delete by name. Choose another key."
            )
        if {".", ".."} & set(key.split("/")):
            raise InputError(
                f"{self.uri(key)}: the key has a step . or .., which some servers and clients "
                "take for a path, so that another object is meant. Write the key without it."
            )

    def check(self) -> None:
        """Look whether the bucket is there and may be listed."""
        with translated(self.describe(), "look at the bucket"):
            # Not HEAD, whose refusals come without a reason.
            self.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe one object; None where there is none."""
        from botocore.exceptions import ClientError

        self.check_key(key)
        with translated(self.describe(key), "look at the object"):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=key, **self.part_arguments)
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                if code_of(error) in ("403", "Forbidden"):
                    # A refusal of HEAD has no reason; that of another request may have one.
                    self.check()
                raise
        return _info(key, answer)

    def discard(self, left: Unfinished) -> None:
        """Abort a multipart upload; one that is not there is aborted already."""
        from botocore.exceptions import ClientError

        key = left.place if isinstance(left, Record) else left.key
        where = {"Bucket": self.bucket, "Key": key, "UploadId": left.id}
        with translated(self.describe(left.key), "abort an upload"):
            try:
                self.client.abort_multipart_upload(**where)
            except ClientError as error:
                if code_of(error) not in ("NoSuchUpload", "NoSuchKey", "404"):
                    raise


def _info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=int(answer["ContentLength"]),
        etag=answer.get("ETag", "").strip('"') or None,
        modified=answer.get("LastModified"),
        content_type=answer.get("ContentType"),
        content_encoding=answer.get("ContentEncoding") or None,
        metadata={name.lower(): text for name, text in answer.get("Metadata", {}).items()},
    )
