"""The objects of a transform job: which they are, read and written in a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import obstore

from sagemaker_local.errors import InputError, RetryError
from sagemaker_local.objects import Objects, S3Uri

__all__ = ["Item", "TransformObjects"]

_BLOCK = 1 << 20
# Objects up to this size are written by one request, larger ones in parts of it.
_PART = 8 << 20
_MANIFEST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One input object.

    Args:
        uri: Where it is.
        relative: The key's part that the output's key repeats.
    """

    uri: S3Uri
    relative: str


class TransformObjects(Objects):
    """S3 for a transform job: on the event loop, because requests to a model are made there."""

    async def items(self, source: dict[str, Any]) -> list[Item]:
        """The input objects of a job.

        Args:
            source: The job's S3DataSource.

        Raises:
            InputError: There is no such bucket, or the manifest cannot be read.
            RetryError, SetupError: As in `Objects.list`.
        """
        uri = S3Uri.parse(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            return await asyncio.to_thread(self._manifest, uri)
        found = await asyncio.to_thread(self.list, uri)
        # A key that ends at a slash is a folder's mark, as some tools make it.
        return [
            Item(info.uri, _relative(info.uri.key, uri.key))
            for info in found
            if not info.uri.key.endswith("/")
        ]

    def _manifest(self, uri: S3Uri) -> list[Item]:
        text = self.read(uri, limit=_MANIFEST_BYTES)
        try:
            entries = json.loads(text)
            start = S3Uri.parse(entries[0]["prefix"])
            names = [str(name) for name in entries[1:]]
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"The manifest {uri} cannot be read ({error}): expected is a JSON list of "
                '{"prefix": "s3://..."} and names relative to it.'
            ) from error
        return [Item(S3Uri(start.bucket, start.key + name), name.lstrip("/")) for name in names]

    async def chunks(self, uri: S3Uri) -> AsyncIterator[bytes]:
        """An object's bytes, in a stream.

        Raises:
            InputError: There is no such object.
            RetryError, SetupError: As in `Objects.list`.
        """
        with self._speaking_of(uri):
            result = await obstore.get_async(self._store(uri.bucket), uri.key)
            expected, seen = result.meta["size"], 0
            async for chunk in result.stream(min_chunk_size=_BLOCK):
                seen += len(chunk)
                yield bytes(chunk)
        if seen != expected:
            raise RetryError(f"S3 sent {seen} of the {expected} bytes of {uri}. Try again.")

    async def write(self, uri: S3Uri, chunks: AsyncIterator[bytes]) -> None:
        """Write an object whole or not at all, in a stream.

        Args:
            uri: Which object; an older one is replaced.
            chunks: Its bytes; when it raises, nothing is written.

        Raises:
            InputError: There is no such bucket.
            RetryError, SetupError: As in `Objects.list`.
        """
        with self._speaking_of(uri):
            await obstore.put_async(
                self._store(uri.bucket),
                uri.key,
                _blocks(chunks),
                chunk_size=_PART,
                max_concurrency=2,
            )


def _relative(key: str, prefix: str) -> str:
    folder = prefix.rstrip("/") + "/"
    if prefix and key.startswith(folder):
        return key[len(folder) :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in blocks that are worth handing on."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        if len(gathered) >= _BLOCK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)
