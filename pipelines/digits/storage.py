"""Streams objects out of S3 and into it, through Airflow's own hook."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

__all__ = ["ChunkReader", "Hashed", "exists", "open_object", "put", "remove_prefix"]


class ChunkReader(io.RawIOBase):
    """Makes a readable file of chunks that are made one after the other.

    Wrap it in ``io.BufferedReader``, whose ``read(n)`` returns n bytes as long as there are any.

    Args:
        chunks: bytes, bytearray or memoryview; taken one at a time, as they are read.
    """

    def __init__(self, chunks: Iterable[bytes | bytearray | memoryview]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It can be read, and neither sought nor written."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer as far as the current chunk goes."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk).cast("B")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Body(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Hashed:
    """Passes on what is read from a stream, and takes its checksum on the way.

    Args:
        stream: What to read from.
    """

    def __init__(self, stream: _Body) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to that many bytes."""
        chunk = self._stream.read(size)
        self._hash.update(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        """Checksum of what was read so far, in hexadecimal."""
        return self._hash.hexdigest()


def open_object(hook: S3Hook, bucket: str, key: str, *, made_by: str) -> Any:
    """Opens an object as a stream.

    Args:
        hook: Where it is.
        bucket: Its bucket.
        key: Its key.
        made_by: The task that makes it, for the message when it is not there.

    Returns:
        botocore's StreamingBody.

    Raises:
        SetupError: It is not there.
    """
    try:
        return hook.get_conn().get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            raise SetupError(
                f"s3://{bucket}/{key} is not there: run the task {made_by} of this date first."
            ) from error
        raise


def exists(hook: S3Hook, bucket: str, key: str) -> bool:
    """Whether an object is there."""
    return bool(hook.check_for_key(key, bucket))


def put(
    hook: S3Hook, bucket: str, key: str, chunks: Iterable[bytes | bytearray | memoryview]
) -> None:
    """Puts chunks into an object, replacing it: whole at its end, or not at all.

    The upload is one of several parts when it is large; boto3 aborts it when the chunks or the
    upload fail. At most some 16 parts of 8 MB are in memory.

    Args:
        hook: Where to.
        bucket: Its bucket.
        key: Its key.
        chunks: The content.
    """
    reader = io.BufferedReader(ChunkReader(chunks), 1 << 20)
    hook.load_file_obj(reader, key, bucket, replace=True)


def remove_prefix(hook: S3Hook, bucket: str, prefix: str) -> list[str]:
    """Removes all objects whose keys begin so, and returns those keys."""
    keys: list[str] = list(_keys(hook, bucket, prefix))
    if keys:
        hook.delete_objects(bucket, keys)
    return keys


def _keys(hook: S3Hook, bucket: str, prefix: str) -> Iterator[str]:
    pages = hook.get_conn().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for item in page.get("Contents", []):
            yield item["Key"]
