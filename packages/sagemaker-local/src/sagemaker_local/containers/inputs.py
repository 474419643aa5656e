"""Input channels of a training container: files in folders, or pipes.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html.
One host trains, so FullyReplicated and ShardedByS3Key are the same here.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sagemaker_local.errors import InputError
from sagemaker_local.objects import Objects
from sagemaker_local.transform.storage import Item, TransformObjects

__all__ = ["Pipe", "check_channel", "download", "input_mode", "resolve"]


def input_mode(request: dict[str, Any], channel: dict[str, Any]) -> str:
    """How a channel comes: "File" or "Pipe" (FastFile is given as files)."""
    mode: str = channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"]
    return "Pipe" if mode == "Pipe" else "File"


def check_channel(channel: dict[str, Any]) -> dict[str, Any]:
    """The S3DataSource of a channel.

    Raises:
        InputError: The channel asks for something that is not offered.
    """
    name = channel["ChannelName"]
    source: dict[str, Any] | None = channel["DataSource"].get("S3DataSource")
    if source is None:
        raise InputError(f"Channel {name!r}: only S3DataSource is offered for containers here.")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise InputError(
            f"Channel {name!r}: S3DataType {source['S3DataType']} is not offered for containers "
            "here; use S3Prefix or ManifestFile."
        )
    if channel.get("RecordWrapperType", "None") != "None":
        raise InputError(
            f"Channel {name!r}: RecordWrapperType is not offered for containers here; store the "
            "objects as RecordIO."
        )
    return source


async def resolve(objects: TransformObjects, channel: dict[str, Any]) -> list[Item]:
    """The objects of a channel.

    Raises:
        InputError: There are none, or what they are in is not there.
    """
    source = check_channel(channel)
    found = await objects.items(source)
    if not found:
        raise InputError(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source '
            f"of channel {channel['ChannelName']!r}."
        )
    return found


def download(objects: Objects, channel: dict[str, Any], found: list[Item], folder: Path) -> None:
    """Bring a channel's objects into a folder.

    Args:
        objects: S3.
        channel: The channel.
        found: Its objects.
        folder: Where to; each object at its key's part beyond the prefix.

    Raises:
        InputError: An object is missing, or its key leads out of the folder.
    """
    for item in found:
        path = folder / item.relative
        if ".." in Path(item.relative).parts or not path.is_relative_to(folder):
            raise InputError(f"The key of {item.uri} leads out of the channel's folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in _chunks(objects, channel, item):
                file.write(chunk)


def _chunks(objects: Objects, channel: dict[str, Any], item: Item) -> Iterator[bytes]:
    chunks = objects.stream(item.uri)
    return _gunzip(chunks, item) if channel.get("CompressionType") == "Gzip" else chunks


def _gunzip(chunks: Iterator[bytes], item: Item) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            while chunk:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                yield inflate.decompress(chunk, 1 << 20)
                chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{item.uri} is not gzip, as CompressionType says: {error}") from error


class Pipe:
    """A channel in Pipe mode: a FIFO for each epoch, `<channel>_0`, `<channel>_1`, ...

    A thread writes the channel's objects one after the other into the FIFO that the container
    opens, and is done with it at their end. The FIFO of the next epoch is there before.

    Args:
        objects: S3.
        channel: The channel.
        found: Its objects.
        folder: The host's folder that is the container's /opt/ml/input/data.
    """

    def __init__(
        self, objects: Objects, channel: dict[str, Any], found: list[Item], folder: Path
    ) -> None:
        self._objects = objects
        self._channel = channel
        self._found = found
        self._folder = folder
        self._over = threading.Event()
        self.error: Exception | None = None
        self._make(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop writing; for when the container has ended."""
        self._over.set()
        self._thread.join(10.0)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{self._channel['ChannelName']}_{epoch}"

    def _make(self, epoch: int) -> None:
        os.mkfifo(self._path(epoch))
        self._path(epoch).chmod(0o666)

    def _run(self) -> None:
        epoch = 0
        try:
            while (pipe := self._open(epoch)) is not None:
                self._make(epoch + 1)
                try:
                    with suppress(BrokenPipeError), os.fdopen(pipe, "wb", buffering=0) as file:
                        self._write(file.fileno())
                finally:
                    self._path(epoch).unlink(missing_ok=True)
                epoch += 1
        except Exception as error:
            self.error = error

    def _open(self, epoch: int) -> int | None:
        """Open the epoch's FIFO once somebody reads it; None when the container has ended."""
        while not self._over.is_set():
            try:
                pipe = os.open(self._path(epoch), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # Nobody has it open for reading yet.
                    raise
                time.sleep(0.02)
                continue
            os.set_blocking(pipe, True)
            return pipe
        return None

    def _write(self, pipe: int) -> None:
        for item in self._found:
            for chunk in _chunks(self._objects, self._channel, item):
                view = memoryview(chunk)
                while view:
                    if self._over.is_set():
                        return
                    view = view[os.write(pipe, view) :]
