"""Reads pictures and labels in the IDX format, in which MNIST is published.

The format (from the database's page by Y. LeCun, C. Cortes and C. Burges): two zero bytes, a byte
for the type (8 is unsigned byte), a byte for the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values, the last dimension running fastest.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.dataset import PIXELS, Split
from tradewind.errors import CorruptDataError, InputError

__all__ = ["find_pairs", "read_idx", "read_pair"]

_UNSIGNED_BYTE = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Reads one IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file; whether it is gzipped is told by its content, not by its name.

    Raises:
        CorruptDataError: The file is truncated, damaged or no IDX file.
        InputError: The file cannot be read, or its values are not unsigned bytes.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataError(f"{path} is not a whole gzip file: {error}", offset=0) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) < 4 or content[:2] != b"\0\0":
        raise CorruptDataError(f"{path} is not an IDX file: it must begin with 00 00", offset=0)
    kind, dimensions = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise InputError(
            f"{path} holds values of IDX type {kind:#x}; pictures and labels are type 0x8 (bytes)."
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise CorruptDataError(f"{path} is truncated in its header", offset=len(content))
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise CorruptDataError(
            f"{path} says it has {math.prod(shape)} values and has {len(content) - start}",
            offset=min(len(content), start + math.prod(shape)),
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_pair(images: Path, labels: Path) -> Split:
    """Reads pictures and their labels.

    Args:
        images: IDX file of shape (n, 28, 28), 0 the background and 255 full ink.
        labels: IDX file of shape (n,).

    Returns:
        The pictures scaled to [0, 1]; their digits are taken to be placed as MNIST places them.
    """
    pixels, digits = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or math.prod(pixels.shape[1:]) != PIXELS:
        raise InputError(f"{images} must hold pictures of 28x28 pixels, it has {pixels.shape}.")
    if digits.shape != pixels.shape[:1]:
        raise InputError(
            f"{labels} must hold one label for each of the {len(pixels)} pictures "
            f"of {images.name}, it has shape {digits.shape}."
        )
    flat: NDArray[Any] = pixels.reshape(-1, PIXELS)
    return Split(flat.astype(np.float32) / np.float32(255), digits.astype(np.int64))


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Finds the pairs of picture and label files of a folder, those to train with first.

    The names of MNIST and its kin are known: ``train-images-idx3-ubyte``,
    ``t10k-images.idx3-ubyte``, ``images-idx3-ubyte``, each also with ``.gz``.

    Args:
        folder: Where the files lie.

    Raises:
        InputError: There is no pair, or a file of pictures without its labels.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the one that holds the IDX files.")
    pairs = []
    for images in sorted(folder.glob("*images[-.]idx3-ubyte*")):
        name = images.name.replace("images", "labels").replace("idx3", "idx1")
        candidates = [name, name.removesuffix(".gz"), name + ".gz"]
        labels = next((folder / each for each in candidates if (folder / each).is_file()), None)
        if labels is None:
            raise InputError(f"{images} has no labels beside it: {folder / name} is missing.")
        pairs.append((images, labels))
    if not pairs:
        raise InputError(
            f"{folder} has no pair of files like images-idx3-ubyte, labels-idx1-ubyte."
        )
    return sorted(pairs, key=lambda pair: not pair[0].name.startswith("train"))
