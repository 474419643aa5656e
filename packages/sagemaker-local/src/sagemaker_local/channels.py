"""The input data of a training job: which objects each channel and each instance reads.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html and
API_Channel.html.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker_local.errors import InputError
from sagemaker_local.objects import ObjectInfo, Objects, S3Uri

__all__ = ["CSV", "RECORDIO", "Channel", "read_manifest", "resolve_channels", "shard"]

RECORDIO = "application/x-recordio-protobuf"
CSV = "text/csv"

_MANIFEST_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Channel:
    """One input channel, with the objects it consists of.

    Args:
        name: ``train``, ``test``, ...
        content_type: Media type without parameters, e.g. ``text/csv``.
        label_columns: Columns of a CSV row, from the left, that are no features.
        streams: Whether its objects are streamed from S3 (Pipe and FastFile mode) or downloaded
            before training (File mode).
        gzipped: Whether each object is compressed with gzip.
        sharded: Whether each instance gets a part of the objects or all of them.
        shuffle_seed: Seed of a new order of the objects in each epoch; None keeps one order.
        objects: All objects, in the order of their keys or of the manifest.
    """

    name: str
    content_type: str
    label_columns: int
    streams: bool
    gzipped: bool
    sharded: bool
    shuffle_seed: int | None
    objects: tuple[ObjectInfo, ...]

    def of_host(self, host: int, hosts: int) -> tuple[ObjectInfo, ...]:
        """Return the objects that an instance reads.

        Args:
            host: Number of the instance, from 0.
            hosts: How many instances there are.
        """
        return shard(self.objects, host, hosts) if self.sharded else self.objects

    def in_epoch(self, objects: Sequence[ObjectInfo], epoch: int) -> list[ObjectInfo]:
        """Return an instance's objects in the order in which an epoch reads them."""
        ordered = list(objects)
        if self.shuffle_seed is not None:
            random.Random(self.shuffle_seed + epoch).shuffle(ordered)  # noqa: S311
        return ordered


def shard(objects: Sequence[ObjectInfo], host: int, hosts: int) -> tuple[ObjectInfo, ...]:
    """Return every ``hosts``-th object: with all instances together, each object exactly once.

    AWS promises about 1/n of the objects to each of n instances, and not which.

    Args:
        objects: All objects of the channel.
        host: Number of the instance, from 0.
        hosts: How many instances there are.
    """
    return tuple(objects[host::hosts])


def resolve_channels(
    request: Mapping[str, Any],
    objects: Objects,
    *,
    required: Sequence[str],
    optional: Sequence[str],
    content_types: Sequence[str],
) -> dict[str, Channel]:
    """Find the objects of every channel of a training job.

    Args:
        request: The CreateTrainingJob request.
        objects: The S3 server.
        required: Channels that the algorithm needs.
        optional: Channels that it takes as well.
        content_types: Media types that it reads; no ContentType means the first.

    Returns:
        Channels by name.

    Raises:
        InputError: A channel is missing, unknown, empty or described wrongly; names it.
        RetryError, SetupError: The S3 server fails or refuses access.
    """
    described = {channel["ChannelName"]: channel for channel in request.get("InputDataConfig", [])}
    missing = [name for name in required if name not in described]
    unknown = [name for name in described if name not in (*required, *optional)]
    if missing or unknown:
        cause = (
            f"{missing[0]!r} is a required property"
            if missing
            else f"Additional properties are not allowed ({', '.join(map(repr, unknown))} "
            f"{'was' if len(unknown) == 1 else 'were'} unexpected)"
        )
        raise InputError(
            "Unable to initialize the algorithm. Failed to validate input data configuration. "
            f"(caused by ValidationError) Caused by: {cause}"
        )
    mode = request.get("AlgorithmSpecification", {}).get("TrainingInputMode", "File")
    return {
        name: _channel(channel, mode, objects, content_types) for name, channel in described.items()
    }


def _channel(
    described: Mapping[str, Any], mode: str, objects: Objects, content_types: Sequence[str]
) -> Channel:
    name = described["ChannelName"]
    source = described.get("DataSource", {}).get("S3DataSource")
    if source is None:
        raise InputError(
            f"Channel {name!r} has no S3DataSource: file systems cannot be read here. "
            "Put the data into S3."
        )
    if described.get("RecordWrapperType", "None") != "None":
        raise InputError(
            f"Channel {name!r}: RecordWrapperType {described['RecordWrapperType']} is not "
            "supported. Leave it out: RecordIO-protobuf data need no wrapper."
        )
    content_type, label_columns = _content_type(name, described.get("ContentType"), content_types)
    return Channel(
        name=name,
        content_type=content_type,
        label_columns=label_columns,
        streams=described.get("InputMode", mode) != "File",
        gzipped=described.get("CompressionType", "None") == "Gzip",
        sharded=source.get("S3DataDistributionType", "FullyReplicated") == "ShardedByS3Key",
        shuffle_seed=described.get("ShuffleConfig", {}).get("Seed"),
        objects=tuple(_find(name, source, objects)),
    )


def _content_type(channel: str, given: str | None, content_types: Sequence[str]) -> tuple[str, int]:
    kind, *rest = (given or content_types[0]).lower().split(";")
    kind = kind.strip()
    if kind not in content_types:
        raise InputError(
            f"Unable to read data channel {channel!r}. Requested content-type is {given!r}. "
            f"Supported content-types are {', '.join(content_types)}."
        )
    parameters = {
        key.strip(): value.strip(' "') for key, _, value in (part.partition("=") for part in rest)
    }
    # "The target variable is in the first column. To run unsupervised learning algorithms that
    # don't have a target, specify the number of label columns in the content type":
    # https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
    size = parameters.get("label_size", "1" if kind == CSV else "0")
    if not (size.isascii() and size.isdigit()):
        raise InputError(
            f"Channel {channel!r}: label_size in the content type {given!r} is no number of "
            "columns. Write, for example, text/csv;label_size=0."
        )
    return kind, int(size)


def _find(channel: str, source: Mapping[str, Any], objects: Objects) -> list[ObjectInfo]:
    kind, address = source["S3DataType"], source["S3Uri"]
    uri = S3Uri.parse(address)
    if kind == "ManifestFile":
        return read_manifest(channel, uri, objects)
    if kind != "S3Prefix":
        raise InputError(
            f"Channel {channel!r}: S3DataType {kind} is not supported. "
            "Use S3Prefix or ManifestFile."
        )
    # What consoles and file systems show as folders are objects without content.
    found = [info for info in objects.list(uri) if info.size]
    if not found:
        raise InputError(
            f'No S3 objects found under S3 URL "{address}" given in input data source of channel '
            f"{channel!r}. Please ensure that the bucket exists in the selected region and that "
            "objects exist under that S3 prefix."
        )
    return found


def read_manifest(channel: str, uri: S3Uri, objects: Objects) -> list[ObjectInfo]:
    """Return the objects that a manifest names.

    A manifest is JSON: ``[{"prefix": "s3://bucket/some/"}, "part-1", "more/part-2", ...]``; every
    name goes right behind the prefix.

    Args:
        channel: Whose manifest it is, for errors.
        uri: Where the manifest is.
        objects: The S3 server.

    Returns:
        The objects in the order of the manifest; their sizes are not looked up and are 0.

    Raises:
        InputError: There is no such manifest, or it has another form or names nothing.
    """
    try:
        content = json.loads(objects.read(uri, limit=_MANIFEST_LIMIT))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Channel {channel!r}: the manifest {uri} is not JSON ({error})."
        ) from None
    match content:
        case [{"prefix": str(prefix)}, *names] if all(isinstance(name, str) for name in names):
            pass
        case _:
            raise InputError(
                f"Channel {channel!r}: the manifest {uri} has not the form "
                '[{"prefix": "s3://bucket/folder/"}, "name", ...].'
            )
    if not names:
        raise InputError(f"Channel {channel!r}: the manifest {uri} names no object.")
    return [ObjectInfo(S3Uri.parse(prefix + name), 0) for name in names]
