"""Reads the artefact of the built-in k-means: the centroids.

SageMaker's ``model.tar.gz`` holds ``model_algo-1``, a list of one unnamed array in MXNet's format
(apache/mxnet, ``src/ndarray/ndarray.cc``, ``NDArray::Save``; little-endian)::

    u64 0x112, u64 0           magic of a list, reserved
    u64 1                      arrays in it
    u32 0xF993FAC9, i32 0      magic of an array, dense storage
    u32 2, i64 k, i64 d        dimensions
    i32 1, i32 0               kept on CPU 0
    i32 0                      float32
    k * d float32              the centroids, row by row
    u64 0                      names in the list
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib

import numpy as np
from numpy.typing import NDArray

from digits.dataset import Readable
from tradewind.errors import CorruptDataError, InputError

__all__ = ["MAX_BYTES", "parse_centroids", "read_artifact"]

MEMBER = "model_algo-1"
MAX_BYTES = 256 << 20
"""Most bytes an artefact may have, packed or unpacked; 256 centroids have 0.8 million."""

_HEADER = struct.Struct("<QQQIiIqqiii")
_EXPECTED = (0x112, 0, 1, 0xF993FAC9, 0, 2, None, None, 1, 0, 0)


def read_artifact(stream: Readable, *, max_bytes: int = MAX_BYTES) -> NDArray[np.float32]:
    """Reads the centroids from a ``model.tar.gz``.

    Args:
        stream: The artefact.
        max_bytes: Most bytes it may have, packed or unpacked.

    Returns:
        float32 of shape (k, d), centroid 0 first: the endpoint's ``closest_cluster`` is the row.

    Raises:
        InputError: It is not an artefact of the built-in k-means, or is damaged or too large.
    """
    packed = stream.read(max_bytes + 1)
    if len(packed) > max_bytes:
        raise InputError(f"The model's artefact is larger than {max_bytes} bytes.")
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for member in archive:
                if member.name.removeprefix("./") != MEMBER or not member.isfile():
                    continue
                if member.size > max_bytes:
                    raise InputError(f"The model's artefact is larger than {max_bytes} bytes.")
                content = archive.extractfile(member)
                assert content is not None  # noqa: S101 - it is a file
                return parse_centroids(content.read())
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InputError(f"The model's artefact is not a whole tar.gz: {error}") from error
    raise InputError(
        f"The model's artefact holds no {MEMBER}: it is not one of the built-in algorithm k-means."
    )


def parse_centroids(content: bytes) -> NDArray[np.float32]:
    """Reads the centroids from the bytes of ``model_algo-1``.

    Args:
        content: The whole file.

    Returns:
        float32 of shape (k, d).

    Raises:
        CorruptDataError: The bytes are not exactly one float32 matrix in MXNet's format.
    """
    if len(content) < _HEADER.size:
        raise CorruptDataError(f"{MEMBER} ends within its header", offset=len(content))
    header = _HEADER.unpack_from(content)
    for index, (got, expected) in enumerate(zip(header, _EXPECTED, strict=True)):
        if expected is not None and got != expected:
            raise CorruptDataError(
                f"{MEMBER} is not one float32 matrix in MXNet's format: "
                f"field {index} of its header is {got:#x}, not {expected:#x}",
                offset=0,
            )
    rows, columns = header[6], header[7]
    if rows < 1 or columns < 1:
        raise CorruptDataError(f"{MEMBER} has the shape ({rows}, {columns})", offset=0)
    end = _HEADER.size + 4 * rows * columns
    if content[end:] != bytes(8):
        raise CorruptDataError(
            f"{MEMBER} has {len(content)} bytes, {rows} centroids of {columns} numbers need "
            f"{end + 8} with zeros at the end",
            offset=min(end, len(content)),
        )
    centroids = np.frombuffer(content, "<f4", rows * columns, _HEADER.size)
    if not np.isfinite(centroids).all():
        raise CorruptDataError(f"{MEMBER} has centroids that are not finite", offset=_HEADER.size)
    return centroids.reshape(rows, columns).astype(np.float32)
