"""S3, and servers that speak its API: AWS, MinIO, Ceph, Swift, rclone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Self

from tradewind.backoff import Backoff
from tradewind.concealing import concealing
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.store import Described, ObjectInfo, ServerCopy, Store, Unfinished
from tradewind.redaction import refuse_signed, shown_uri
from tradewind.systems.s3.begin import is_empty, settled
from tradewind.systems.s3.bucket import Bucket
from tradewind.systems.s3.copy import copy_from, reaches
from tradewind.systems.s3.errors import (
    ConditionError,
    GoneError,
    code_of,
    told,
    translated,
)
from tradewind.systems.s3.objects import describe, put_tags, tags_of
from tradewind.systems.s3.records import listing_of
from tradewind.systems.s3.steps import check_steps
from tradewind.systems.s3.upload import S3Upload

__all__ = ["S3Store"]

_PIECE = 4 << 20
_READ_ATTEMPTS = 6
_DELETED_AT_ONCE = 1_000


class S3Store(Bucket):
    """One bucket of S3.

    It needs the permissions s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject,
    s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts.

    Memory: (`connections` + uploads at once) x `part_bytes`: 40 MiB by default. Parts grow once
    an object passes 1,000 of them, because S3 takes 10,000: beyond 8 GB with the default they have
    16 MiB, beyond 25 GB 32 MiB, and so on to 8 TiB (see `part_size` in ``upload.py``); larger
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

    keeps_tags = True

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
        with concealing():
            yield from self._read(key, etag)

    def _read(self, key: str, etag: str | None) -> Iterator[bytes]:
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        self.check_key(key)
        where = self.describe(key)
        done, size, failures = 0, None, 0
        backoff = Backoff(first=0.2)
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
                backoff.rest(failures)
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
        check_steps(self.client, self.bucket, key, self.describe(key))
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

    def described(self, key: str, version: str | None = None) -> Described | None:
        """Describe one version of an object, with all that a copy keeps; see `Store.described`."""
        return describe(self, key, version)

    def takes_acl(self, source: Store) -> bool:
        """Whether one server has both; see `Store.takes_acl`."""
        return reaches(source, self)

    def copy_within(self, order: ServerCopy) -> str | None:
        """Copy by CopyObject or UploadPartCopy; see `Store.copy_within`."""
        return copy_from(self, order)

    def tags(self, key: str) -> dict[str, str]:
        """Read an object's tags; none where the server knows no tags."""
        return tags_of(self, key)

    def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Give an object its tags."""
        put_tags(self, key, tags)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """List multipart uploads to keys that begin with `prefix`."""
        where = self.describe(prefix)

        def empty(key: str, upload: str) -> bool:
            with translated(where, "list the parts of an upload"):
                return is_empty(self.client, self.bucket, key, upload)

        # rclone says so of a bucket that never had one.
        with contextlib.suppress(GoneError):
            yield from settled(
                lambda: listing_of(
                    self._pages("list_multipart_uploads", prefix, "list multipart uploads"), prefix
                ),
                empty,
            )

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

    def delete_version(self, key: str, etag: str) -> bool:
        """Delete an object if it is this version of it; see `Store.delete_version`.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
        """
        from botocore.exceptions import ClientError

        # Looked up besides: not every server knows the condition of a deletion.
        found = self.head(key)
        if found is None or found.etag != etag:
            return found is None
        with translated(self.describe(key), "delete the object"):
            try:
                self.client.delete_object(Bucket=self.bucket, Key=key, IfMatch=f'"{etag}"')
            except ClientError as error:
                code = code_of(error)
                if code in ("PreconditionFailed", "412"):
                    return False
                if code == "NotImplemented":
                    self.client.delete_object(Bucket=self.bucket, Key=key)
                elif code not in ("NoSuchKey", "404"):
                    raise
        return True


def _replaced(where: str) -> RetryError:
    return RetryError(f"{where}: the object was replaced while it was read. Try again.")
