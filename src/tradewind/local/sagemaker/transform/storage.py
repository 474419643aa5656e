"""The objects of a transform job: which they are, read and written in a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import obstore
from obstore.store import S3Store

from tradewind.errors import InputError

__all__ = ["Item", "items", "read", "store_of", "write"]

_BLOCK = 1 << 20
# Objects up to this size are written by one request, larger ones in parts of it.
_PART = 8 << 20
_MANIFEST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One input object.

    Args:
        bucket: Its bucket.
        key: Its key.
        relative: The key's part that the output's key repeats.
    """

    bucket: str
    key: str
    relative: str


def store_of(endpoint: str, bucket: str) -> S3Store:
    """A bucket of the S3 service; credentials come from the environment."""
    return S3Store(
        bucket,
        endpoint=endpoint,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def parse(url: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URL.

    Raises:
        InputError: It is none.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InputError(f"{url!r} is no S3 URL: s3://bucket/key is expected")
    return bucket, key


async def items(endpoint: str, source: dict[str, Any]) -> AsyncIterator[Item]:
    """The input objects of a job.

    Args:
        endpoint: URL of the S3 service.
        source: The job's S3DataSource.

    Raises:
        InputError: The manifest cannot be read.
        obstore.exceptions.BaseError: S3 refused.
    """
    bucket, key = parse(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        for item in await _manifest(endpoint, bucket, key):
            yield item
        return
    async for item in _prefixed(endpoint, bucket, key):
        yield item


async def _prefixed(endpoint: str, bucket: str, prefix: str) -> AsyncIterator[Item]:
    # A store lists whole path segments only; S3 prefixes are plain beginnings of keys.
    folder = prefix.rpartition("/")[0]
    listing = obstore.list(store_of(endpoint, bucket), prefix=folder or None)
    async for batch in listing:
        for meta in batch:
            key = meta["path"]
            if not key.startswith(prefix) or key.endswith("/"):
                continue
            yield Item(bucket, key, _relative(key, prefix))


def _relative(key: str, prefix: str) -> str:
    if prefix and key.startswith(prefix.rstrip("/") + "/"):
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


async def _manifest(endpoint: str, bucket: str, key: str) -> list[Item]:
    url = f"s3://{bucket}/{key}"
    result = await obstore.get_async(store_of(endpoint, bucket), key)
    if result.meta["size"] > _MANIFEST_BYTES:
        raise InputError(f"The manifest {url} is larger than {_MANIFEST_BYTES} bytes")
    try:
        entries = json.loads(bytes(await result.bytes_async()))
        start_bucket, start = parse(entries[0]["prefix"])
        names = [str(name) for name in entries[1:]]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"The manifest {url} cannot be read ({error}): expected is a JSON list of "
            '{"prefix": "s3://..."} and names relative to it'
        ) from error
    return [Item(start_bucket, start + name, name.lstrip("/")) for name in names]


async def read(endpoint: str, item: Item) -> AsyncIterator[bytes]:
    """An object's bytes, in a stream."""
    result = await obstore.get_async(store_of(endpoint, item.bucket), item.key)
    async for chunk in result.stream(min_chunk_size=_BLOCK):
        yield bytes(chunk)


async def write(endpoint: str, bucket: str, key: str, chunks: AsyncIterator[bytes]) -> None:
    """Write an object whole or not at all, in a stream.

    Args:
        endpoint: URL of the S3 service.
        bucket: The bucket.
        key: The key.
        chunks: The object's bytes; when it raises, nothing is written.
    """
    store = store_of(endpoint, bucket)
    await obstore.put_async(store, key, _blocks(chunks), chunk_size=_PART, max_concurrency=2)


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks that are worth handing on."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= _BLOCK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
