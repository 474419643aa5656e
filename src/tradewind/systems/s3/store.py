"""S3, and servers that speak its API: AWS, MinIO, Ceph, Swift, rclone."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from random import uniform
from typing import Any, Self

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import ObjectInfo, Store, Unfinished
from tradewind.redaction import refuse_signed, shown_host, shown_uri
from tradewind.systems.s3.connecting import connected
from tradewind.systems.s3.errors import (
    ConditionError,
    GoneError,
    code_of,
    told,
    translated,
)
from tradewind.systems.s3.records import Record, owned
from tradewind.systems.s3.upload import S3Upload

__all__ = ["S3Store"]

MIB = 1 << 20
_LEAST_PART = 5 * MIB
_PIECE = 4 * MIB
_READ_ATTEMPTS = 6
_LONGEST_PAUSE = 8.0
_DELETED_AT_ONCE = 1_000
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML cannot hold, so that no listing and no request to delete tells it."""
_ENCRYPTION = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")


class S3Store(Store):
    """One bucket of S3.

    It needs the permissions s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject,
    s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts.

    Memory: (`connections` + uploads at once) x `part_bytes`: 40 MiB by default. Parts grow once
    an object passes 1,000 of them, because S3 takes 10,000: beyond 8 GB with the default they have
    16 MiB, beyond 25 GB 32 MiB, and so on to 8 TiB (see `_s3_upload.part_size`); larger
    `part_bytes` put that off. Reading holds one piece of 4 MiB.

    Bodies are not hashed for the signature over TLS or loopback, where the CRC32 that each carries
    protects them from accidents and the way from people; set ``payload_signing_enabled`` in the
    configuration to have it anyway.

    Args:
        bucket: Its name.
        session: A `boto3.Session`, whose credentials may renew themselves; boto3's own chain of
            environment, profile and role when not given.
        client_options: Arguments of ``session.client``: ``endpoint_url``, ``region_name``,
            ``verify``, ``config`` (`botocore.config.Config`; it overrules what is set here).
        part_bytes: Bytes of a part of an upload; 5 MiB or more.
        connections: Parts that are on their way at once.
        extra_args: What boto3 calls so: options of new objects, like ``ServerSideEncryption``,
            ``SSEKMSKeyId``, ``ACL``, ``Tagging``, ``StorageClass``, ``CacheControl``.

    Raises:
        InputError: An argument is wrong.
    """

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
        self._lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(connections)
        """One for each part on its way, over all uploads: what bounds the memory."""
        self._buffers: deque[bytearray] = deque()
        self._buffers_made = 0
        self._client: Any = None

    def __repr__(self) -> str:
        return f"S3Store({self.bucket!r})"

    @classmethod
    def from_uri(
        cls, uri: str, *, endpoint_url: str | None = None, region_name: str | None = None
    ) -> tuple[Self, str]:
        """Make the store of ``s3://bucket/key``; credentials come from boto3's own chain.

        Args:
            uri: Bucket and key, which is taken as it is.
            endpoint_url: Where the server is, when it is not AWS; also ``AWS_ENDPOINT_URL_S3``.
            region_name: The bucket's region; also ``AWS_DEFAULT_REGION``.

        Returns:
            The store, and the key; empty where the URI names the bucket alone.

        Raises:
            InputError: The URI is wrong.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        arn = bucket.startswith("arn:")
        if (
            scheme not in ("s3", "s3a", "s3n")
            or not bucket
            or (set(bucket) & set("@:") and not arn)
        ):
            raise InputError(f"{shown_uri(uri)!r} names no object of S3. Write s3://bucket/key.")
        refuse_signed(uri)
        given = {"endpoint_url": endpoint_url, "region_name": region_name}
        options = {name: value for name, value in given.items() if value is not None}
        return cls(bucket, client_options=options), key

    # -------------------------------------------------------------------------------- what S3 needs

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

    # ---------------------------------------------------------------------------- the store's verbs

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

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Describe all objects whose keys begin with `prefix`, in the order of their keys."""
        self.check_key(prefix)
        for page in self._pages("list_objects_v2", prefix, "list objects"):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(
                    key=entry["Key"],
                    size=entry["Size"],
                    etag=entry.get("ETag", "").strip('"') or None,
                    modified=entry.get("LastModified"),
                )

    def _pages(self, operation: str, prefix: str, doing: str) -> Iterator[dict[str, Any]]:
        pages = iter(
            self.client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=prefix)
        )
        while True:
            with translated(self.describe(prefix), doing):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def read(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """Read one object in pieces of 4 MiB; see `Store.read`."""
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        self.check_key(key)
        where = self.describe(key)
        done, size, failures = 0, None, 0
        while size is None or done < size:
            arguments: dict[str, Any] = {"Bucket": self.bucket, "Key": key, **self.part_arguments}
            if done:
                arguments["Range"] = f"bytes={done}-"
            if etag is not None:
                arguments["IfMatch"] = f'"{etag}"'
            body = None
            try:
                answer = self.client.get_object(**arguments)
                body = answer["Body"]
                found = answer.get("ETag", "").strip('"') or None
                if etag is not None and found != etag:
                    raise _replaced(where)
                etag = found
                if size is None:
                    size = int(answer["ContentLength"])
                elif answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                    raise RetryError(f"{where}: the server sends the whole where a part is wanted.")
                while piece := body.read(_PIECE):
                    done += len(piece)
                    failures = 0
                    yield piece
                if done < size:
                    raise ConnectionError(f"{size - done} bytes are missing")
            except ClientError as error:
                failed = told(error, where, "read")
                if isinstance(failed, ConditionError):
                    raise _replaced(where) from error
                # What botocore itself gives up after its retries stays given up.
                raise failed from error
            except (BotoCoreError, HTTPError, OSError) as error:
                failures += 1
                failed = told(error, where, "read")
                # Without an answer botocore has tried again already.
                given_up = body is None or failures >= _READ_ATTEMPTS
                if given_up or not isinstance(failed, RetryError):
                    raise failed from error
                time.sleep(uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**failures)))  # noqa: S311
            finally:
                if body is not None:
                    body.close()

    def upload(
        self,
        key: str,
        *,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        create_only: bool = False,
        replaces: str | None = None,
    ) -> S3Upload:
        """Begin to write an object; see `Store.upload`."""
        if not key:
            raise InputError(f"{self.uri()}: the object has no key. Write s3://bucket/key.")
        self.check_key(key, writing=True)
        arguments = dict(self._extra_args)
        arguments["Metadata"] = {**arguments.get("Metadata", {}), **(metadata or {})}
        if content_type is not None:
            arguments["ContentType"] = content_type
        if content_encoding is not None:
            arguments["ContentEncoding"] = content_encoding
        return S3Upload(self, key, arguments=arguments, create_only=create_only, replaces=replaces)

    def keeps_conditions(self, key: str, data: bytes, there: ObjectInfo) -> bool:
        """Write an object again with an ``If-Match`` that cannot hold; see `Store`."""
        from botocore.exceptions import BotoCoreError, ClientError

        arguments: dict[str, Any] = dict(self._extra_args)
        arguments["Metadata"] = {**arguments.get("Metadata", {}), **there.metadata}
        if there.content_type is not None:
            arguments["ContentType"] = there.content_type
        try:
            self.client.put_object(
                Bucket=self.bucket, Key=key, Body=data, IfMatch='"tradewind-none"', **arguments
            )
        except ClientError as error:
            return code_of(error) in ("PreconditionFailed", "412")
        except BotoCoreError:
            return False
        return False

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List multipart uploads to keys that begin with `prefix`."""
        return owned(self._uploads(prefix))

    def _uploads(self, prefix: str) -> Iterator[Unfinished]:
        # rclone says so of a bucket that never had one.
        with contextlib.suppress(GoneError):
            for page in self._pages("list_multipart_uploads", prefix, "list multipart uploads"):
                for entry in page.get("Uploads") or ():
                    # Not every server minds the prefix.
                    if entry["Key"].startswith(prefix):
                        yield Unfinished(entry["Key"], entry["UploadId"], entry.get("Initiated"))

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

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, a thousand a request."""
        rest = iter(keys)
        while some := list(islice(rest, _DELETED_AT_ONCE)):
            with translated(self.describe(), "delete objects"):
                answer = self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            for failed in answer.get("Errors", ()):
                if failed.get("Code") in ("NoSuchKey", "404"):
                    continue
                kind = SetupError if failed.get("Code") == "AccessDenied" else RetryError
                raise kind(
                    f"{self.describe(failed.get('Key', ''))}: cannot delete the object: S3 answers "
                    f"{failed.get('Code')} ({failed.get('Message')}). Allow s3:DeleteObject there, "
                    "or try again."
                )


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


def _replaced(where: str) -> RetryError:
    return RetryError(f"{where}: the object was replaced while it was read. Try again.")
