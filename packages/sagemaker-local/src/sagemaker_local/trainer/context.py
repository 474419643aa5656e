"""What an algorithm has to do with while it trains: its job's data, log, metrics and artefact."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sagemaker_local.channels import Channel, resolve_channels
from sagemaker_local.errors import InputError
from sagemaker_local.objects import ObjectInfo, Objects, S3Uri
from sagemaker_local.trainer.events import Events
from sagemaker_local.trainer.rows import Rows, prefetch, read_rows

__all__ = ["TrainingContext"]

_FILE_CHUNK = 1024 * 1024


class TrainingContext:
    """One training job, as its algorithm sees it.

    Args:
        request: The CreateTrainingJob request.
        folder: The job's own folder.
        objects: The S3 server.
        events: Where status, log and metrics go.
        stopping: Set when the job is to finish early with the model it has.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        folder: Path,
        objects: Objects,
        events: Events,
        stopping: threading.Event,
    ) -> None:
        self._request = request
        self._folder = folder
        self._objects = objects
        self._files: dict[S3Uri, Path] = {}
        self.events = events
        self.stopping = stopping
        self.artifacts: str | None = None

    @property
    def hyperparameters(self) -> Mapping[str, str]:
        """HyperParameters of the request."""
        given: dict[str, str] = self._request.get("HyperParameters", {})
        return given

    @property
    def hosts(self) -> list[str]:
        """Names of the instances: algo-1 and so on."""
        resources = self._request.get("ResourceConfig", {})
        groups = resources.get("InstanceGroups", [])
        count = resources.get("InstanceCount") or sum(g["InstanceCount"] for g in groups) or 1
        return [f"algo-{number}" for number in range(1, count + 1)]

    @property
    def folder(self) -> Path:
        """The folder of the job; what is written there is the job's own."""
        return self._folder

    def open_channels(
        self, *, required: Sequence[str], optional: Sequence[str], content_types: Sequence[str]
    ) -> dict[str, Channel]:
        """Find the objects of every channel, and download those of channels in File mode.

        Args:
            required: Channels that the algorithm needs.
            optional: Channels that it takes as well.
            content_types: Media types that it reads; no ContentType means the first.

        Returns:
            Channels by name. When ``stopping`` is set, downloads may be incomplete.

        Raises:
            InputError: A channel is missing, unknown, empty or described wrongly.
            RetryError, SetupError: The S3 server fails or refuses access.
        """
        channels = resolve_channels(
            self._request,
            self._objects,
            required=required,
            optional=optional,
            content_types=content_types,
        )
        downloads = [channel for channel in channels.values() if not channel.streams]
        if downloads:
            self.events.status("Downloading", "Downloading input data")
        for channel in downloads:
            for info in channel.objects:
                self._download(channel, info)
        return channels

    def _download(self, channel: Channel, info: ObjectInfo) -> None:
        if info.uri in self._files or self.stopping.is_set():
            return
        # Numbered: a key may be no possible file name, or lead out of the folder.
        path = self._folder / "input" / f"{len(self._files):08d}"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            try:
                for chunk in self._objects.stream(info.uri):
                    file.write(chunk)
                    if self.stopping.is_set():
                        return
            except InputError as error:
                raise InputError(f"Channel {channel.name!r}: {error}") from error
        self._files[info.uri] = path

    def rows(self, channel: Channel, host: int, *, features: int, epoch: int = 0) -> Iterator[Rows]:
        """Yield the rows that an instance reads in an epoch; see ``read_rows``.

        Args:
            channel: Which channel.
            host: Number of the instance, from 0.
            features: How many features every row must have.
            epoch: Number of the pass over the data, from 0.
        """
        objects = channel.in_epoch(channel.of_host(host, len(self.hosts)), epoch)
        return prefetch(read_rows(channel, objects, features, self._chunks))

    def _chunks(self, info: ObjectInfo) -> Iterator[bytes]:
        path = self._files.get(info.uri)
        if path is None:
            yield from self._objects.stream(info.uri)
            return
        with path.open("rb") as file:
            while chunk := file.read(_FILE_CHUNK):
                yield chunk

    def save_model(self, write: Callable[[BinaryIO], None]) -> None:
        """Upload the artefact to ``<S3OutputPath>/<job name>/output/model.tar.gz``.

        Args:
            write: Writes ``model.tar.gz`` into the file it is given.

        Raises:
            InputError: There is no such bucket.
            RetryError, SetupError: The S3 server fails or refuses access.
        """
        self.events.status("Uploading", "Uploading generated training model")
        path = self._folder / "model.tar.gz"
        with path.open("wb") as file:
            write(file)
        output = S3Uri.parse(self._request["OutputDataConfig"]["S3OutputPath"])
        parts = [output.key.strip("/"), self._request["TrainingJobName"], "output/model.tar.gz"]
        uri = S3Uri(output.bucket, "/".join(part for part in parts if part))
        try:
            self._objects.put(uri, path)
        except InputError as error:
            raise InputError(f"Unable to upload the model to S3OutputPath. {error}") from error
        path.unlink()
        self.artifacts = str(uri)
