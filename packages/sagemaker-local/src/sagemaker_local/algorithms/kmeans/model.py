"""The artefact of a k-means training job: ``model.tar.gz`` holding ``model_algo-1``.

``model_algo-1`` is a list of one unnamed array in MXNet's NDArray file format
(``mxnet.nd.load`` reads it; https://github.com/apache/mxnet, ``src/ndarray/ndarray.cc``,
``NDArray::Save``). All numbers are little-endian::

    u64  0x112       magic of a list of arrays
    u64  0           reserved
    u64  1           number of arrays
    u32  0xF993FAC9  magic of an array, version 2
    i32  0           storage type: dense
    u32  2           number of dimensions
    i64  k, d        shape
    i32  1, 0        device type CPU, device id
    i32  0           element type float32
    k*d  float32     the centres, row by row
    u64  0           number of names
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt

from sagemaker_local.errors import InputError
from sagemaker_local.unpacked import BoundedReader, most_bytes

__all__ = ["MEMBER", "decode_centres", "encode_centres", "read_archive", "write_archive"]

MEMBER = "model_algo-1"

_HEADER = struct.Struct("<QQQIiIqqiii")
_NAMES = struct.Struct("<Q")
_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9

Centres = npt.NDArray[np.float32]


def encode_centres(centres: Centres) -> bytes:
    """Return the bytes of ``model_algo-1``.

    Args:
        centres: Shape (k, d), one centre a row.
    """
    k, d = centres.shape
    header = _HEADER.pack(_LIST_MAGIC, 0, 1, _ARRAY_MAGIC, 0, 2, k, d, 1, 0, 0)
    return header + np.ascontiguousarray(centres, "<f4").tobytes() + _NAMES.pack(0)


def decode_centres(data: bytes) -> Centres:
    """Return the centres that ``model_algo-1`` holds, shape (k, d).

    Args:
        data: The whole file.

    Raises:
        InputError: The bytes are not one two-dimensional float32 array of that format.
    """
    return _read_centres(io.BytesIO(data), len(data))


def _read_centres(file: IO[bytes], size: int) -> Centres:
    """Read the centres out of a file of so many bytes: into their own array, and nothing else.

    Memory is taken when the header has said how much and the file is as long as that.
    """
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise InputError(f"{MEMBER} is cut off: {len(head)} bytes are no MXNet NDArray file.")
    magic, _, arrays, array_magic, storage, dims, k, d, _, _, kind = _HEADER.unpack(head)
    if (magic, arrays, array_magic) != (_LIST_MAGIC, 1, _ARRAY_MAGIC):
        raise InputError(f"{MEMBER} is not an MXNet NDArray file that holds one array.")
    if (storage, dims, kind) != (0, 2, 0) or k < 1 or d < 1:
        raise InputError(f"{MEMBER} does not hold a dense two-dimensional float32 array.")
    end = _HEADER.size + 4 * k * d
    if size < end:
        raise InputError(f"{MEMBER} is cut off: {k} x {d} centres need {end} bytes.")
    centres = np.empty((k, d), "<f4")
    numbers = centres.reshape(-1)
    for begin in range(0, numbers.size, _PIECE):
        part = numbers[begin : begin + _PIECE]
        piece = file.read(part.nbytes)
        if len(piece) < part.nbytes:
            raise InputError(f"{MEMBER} is cut off: {k} x {d} centres need {end} bytes.")
        part[:] = np.frombuffer(piece, "<f4")
        if not np.isfinite(part).all():
            raise InputError(f"{MEMBER} holds centres that are not finite numbers.")
    return centres


_PIECE = 1 << 18
"""Numbers that are read at once."""


def write_archive(centres: Centres, target: BinaryIO) -> None:
    """Write ``model.tar.gz``; the same centres always give the same bytes.

    Args:
        centres: Shape (k, d).
        target: Where the archive goes, written once from start to end.
    """
    data = encode_centres(centres)
    member = tarfile.TarInfo(MEMBER)  # owner, group and time stay 0
    member.size = len(data)
    member.mode = 0o644
    # Level 1: floats hardly compress, and the higher levels cost seconds for a large model.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=target, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        archive.addfile(member, io.BytesIO(data))


def read_archive(source: Path | BinaryIO, *, limit: int | None = None) -> Centres:
    """Return the centres of a ``model.tar.gz``, shape (k, d).

    Memory: the centres, and some megabytes: other members are passed over, and one that is longer
    than its own header says is not kept.

    Args:
        source: Path of the archive, or the open file.
        limit: The most bytes that the archive may have unpacked; what the service was started
            with (`unpacked.most_bytes`) when None.

    Raises:
        InputError: It is not such an archive, or larger unpacked than `limit`.
    """
    name = str(source) if isinstance(source, Path) else "the model archive"
    limit = most_bytes() if limit is None else limit
    found = None
    try:
        with gzip.open(source) as zipped:
            unzipped = BoundedReader(zipped, limit, name)
            for archive, member in unzipped.members():
                if member.isfile() and member.name.removeprefix("./") == MEMBER:
                    opened = archive.extractfile(member)
                    if opened is not None:
                        found = _read_centres(opened, member.size)
            while unzipped.read(1024 * 1024):  # to its end, where gzip has its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"{name} is not a readable model.tar.gz ({error}). Train the model again, or point "
            "ModelDataUrl at the artefact of a kmeans training job."
        ) from error
    if found is not None:
        return found
    raise InputError(
        f"{name} holds no {MEMBER}: it is not the artefact of a kmeans training job. Check "
        "ModelDataUrl and the image of the model."
    )
