"""Reads the data set, a gzipped pickle, without trusting it.

A pickle is a program: an ordinary unpickler calls whatever the file names. This one knows numpy
arrays of plain numbers and nothing else. Even numpy itself is not called with what the file says:
each name an array's pickle needs stands for a small recorder here, and arrays are built from what
was recorded once it has been checked.

The format is that of ``mnist.pkl.gz`` from deeplearning.net, of which AWS keeps a copy in its
sample buckets: a tuple of three (images, labels) tuples, to train, to validate and to test; images
float32 of shape (n, 784) in [0, 1], labels int64 of shape (n,), pickled by Python 2.
"""

from __future__ import annotations

import gzip
import math
import pickle
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import CorruptDataError, InputError, TradewindError

__all__ = ["MAX_BYTES", "PIXELS", "Readable", "Split", "batches", "load_arrays", "read_dataset"]

PIXELS = 784
"""Numbers in a picture: 28 rows of 28."""
MAX_BYTES = 1 << 30
"""Most bytes a data set may have when decompressed; MNIST has 224 million."""
SPLITS = ("train", "valid", "test")


class Readable(Protocol):
    """What can be read from: a file or the body of an S3 object."""

    def read(self, size: int = -1, /) -> bytes:
        """Reads up to that many bytes."""


@dataclass(frozen=True)
class Split:
    """Pictures and what they show.

    Args:
        images: float32 of shape (n, 784), in [0, 1].
        labels: int64 of shape (n,), 0 to 9.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def read_dataset(stream: Readable, *, max_bytes: int = MAX_BYTES) -> tuple[Split, Split, Split]:
    """Reads a data set.

    All of it is held in memory, once: a pickle cannot be read in part.

    Args:
        stream: The gzipped pickle; read to its end.
        max_bytes: Most bytes it may have when decompressed, so that a small file cannot fill the
            memory of a worker.

    Returns:
        The pictures to train, to validate and to test with.

    Raises:
        InputError: The pickle holds anything but arrays of numbers, or they are not as described.
        CorruptDataError: The compressed stream is damaged, truncated or too large.
    """
    source = _Source(stream)
    try:
        with gzip.GzipFile(fileobj=cast("IO[bytes]", source), mode="rb") as plain:
            limited = _Limited(cast("IO[bytes]", plain), max_bytes)
            content = load_arrays(limited)
            # The checksum stands at the end of the stream and is compared only on reaching it.
            if limited.read(1):
                raise CorruptDataError("Bytes follow the pickle", offset=limited.taken - 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise CorruptDataError(
            f"The data set is not a whole gzip stream: {error}. Copy it again", offset=source.taken
        ) from error
    return _validated(content)


def batches(split: Split, rows: int = 1024) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Cuts a split into batches of features and labels, both float32 as RecordIO wants them.

    Args:
        split: Pictures and labels.
        rows: Rows of a batch.
    """
    for start in range(0, len(split), rows):
        end = start + rows
        yield split.images[start:end], split.labels[start:end].astype(np.float32)


# --- a pickle of arrays


def load_arrays(stream: Any) -> Any:
    """Unpickles tuples and lists of numpy arrays of plain numbers, and refuses anything else.

    Python 2 pickles and protocols 0 to 4 of Python 3 are understood, with the module names of
    numpy 1 (``numpy.core``) and of numpy 2 (``numpy._core``).

    Args:
        stream: Has ``read`` and ``readline``.

    Returns:
        Tuples, lists and numpy arrays; arrays are read-only.

    Raises:
        InputError: The pickle names anything that an array of numbers does not need, or is damaged.
    """
    # An array's bytes are a `str` of Python 2. As "bytes" they stay what they are, where "latin1"
    # would make text of them and bytes of that again: two more copies of the largest thing there.
    unpickler = _ArrayUnpickler(stream, encoding="bytes")
    try:
        return _arrays(unpickler.load())
    except (TradewindError, OSError, EOFError, zlib.error):
        raise
    except Exception as error:  # a damaged pickle makes the unpickler raise nearly anything
        if isinstance(stream, _Limited) and stream.failure is not None:
            raise stream.failure from None
        raise InputError(
            f"This is not a readable pickle of numpy arrays: {type(error).__name__}: {error}. "
            "Compare the file with its source and copy it again."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Finds the recorders below, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        found = _ADMITTED.get((module, name))
        if found is None:
            raise InputError(
                f"The pickle asks for {module}.{name}, and only arrays of numbers are admitted "
                "here: it was refused and nothing of it was run. Do not use this file. "
                "(Own arrays can be written with pickle.dump(..., protocol=2).)"
            )
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise InputError("The pickle refers to objects outside itself: it was refused.")


class _NdarrayName:
    """Stands for the class numpy.ndarray, which is only ever named, as an argument."""


class _Dtype:
    """Records a numpy.dtype: a kind and a width, then a byte order."""

    def __init__(self, code: Any, *flags: Any) -> None:
        text = _text(code)
        if len(flags) > 2 or text not in _NUMBERS:
            raise InputError(
                f"The pickle has an array of numpy type {text!r}; only plain numbers are admitted "
                f"({', '.join(sorted(_NUMBERS))})."
            )
        self.code = text
        self.order: Literal["<", ">", "|"] = "<"

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, item size, alignment, flags[, metadata])
        order = _ORDERS.get(_text(state[1]))
        if order is None or any(part is not None for part in state[2:5]):
            raise InputError("The pickle has an array of a structured type: only plain numbers.")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """Records an array: its shape, its type and its bytes."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        # (version, shape, dtype, Fortran order, bytes), or without the version in the oldest files
        shape, dtype, fortran, raw = state[-4:]
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise InputError("The pickle has an array whose content is not plain numbers.")
        shape = tuple(shape)
        kind = dtype.numpy()
        if any(type(length) is not int or length < 0 for length in shape):
            raise InputError(f"The pickle has an array of the impossible shape {shape!r}.")
        if math.prod(shape) * kind.itemsize != len(raw):
            raise InputError(
                f"The pickle has an array of shape {shape} and type {kind} "
                f"with {len(raw)} bytes: its content and its description disagree."
            )
        flat = np.frombuffer(raw, kind)
        self.array = flat.reshape(shape, order="F" if fortran else "C")


def _reconstruct(subtype: Any, shape: Any, dtype: Any) -> _Array:
    """Stands for numpy's own: makes the empty array that a later instruction fills."""
    if subtype is not _NdarrayName:
        raise InputError("The pickle makes an array of a class of its own: only plain arrays.")
    return _Array()


def _encode(text: Any, encoding: Any) -> bytes:
    """Stands for _codecs.encode, by which Python 3 spells bytes in protocol 2."""
    if not isinstance(text, str) or _text(encoding) != "latin1":
        raise InputError("The pickle encodes something other than the bytes of an array.")
    return text.encode("latin1")


_NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
# Pickles spell the byte order of the machine that wrote them out; "=" is not written by numpy.
_ORDERS: dict[str, Literal["<", ">", "|"]] = {"<": "<", ">": ">", "|": "|"}
_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _NdarrayName,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, str):
        return value
    raise InputError("The pickle describes an array in a way that numpy does not.")


def _arrays(content: Any, depth: int = 0) -> Any:
    """Replaces the recorders by the arrays they recorded."""
    if isinstance(content, _Array) and content.array is not None:
        return content.array
    if type(content) in (tuple, list) and depth < 4:
        return type(content)(_arrays(part, depth + 1) for part in content)
    raise InputError(
        f"The pickle holds a {type(content).__name__.lstrip('_')} where only tuples, lists and "
        "arrays of numbers are admitted."
    )


# --- reading with a limit


class _Source:
    """Counts what is taken from a stream, for messages."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.taken += len(chunk)
        return chunk


class _Limited:
    """Ends with an error where a decompressed stream goes on for too long.

    Args:
        stream: The decompressed stream.
        limit: Bytes.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.taken = 0
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        left = self._limit - self.taken
        if size < 0 or size > left + 1:
            size = left + 1
        return self._counted(self._stream.read, size)

    def readline(self) -> bytes:
        return self._counted(self._stream.readline, self._limit - self.taken + 1)

    def _counted(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            chunk = read(size)
        except Exception as error:
            # Trouble of the stream is not the pickle's fault: load_arrays passes it on as it is.
            self.failure = error
            raise
        self.taken += len(chunk)
        if self.taken > self._limit:
            self.failure = CorruptDataError(
                f"The data set is larger than {self._limit} bytes when decompressed: "
                "it is not the one expected here, or the limit is too low",
                offset=self._limit,
            )
            raise self.failure
        return chunk


# --- what the arrays must be


def _validated(content: Any) -> tuple[Split, Split, Split]:
    if not isinstance(content, tuple | list) or len(content) != len(SPLITS):
        raise InputError(
            "The data set must be a tuple of three (images, labels) tuples: train, valid, test."
        )
    train, valid, test = (_split(name, part) for name, part in zip(SPLITS, content, strict=True))
    for name, split in (("train", train), ("test", test)):
        if not len(split):
            raise InputError(f"The data set has no pictures to {name} with.")
    return train, valid, test


def _split(name: str, part: Any) -> Split:
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise InputError(f"The {name} part of the data set must be a tuple (images, labels).")
    images, labels = part
    for what, value in (("images", images), ("labels", labels)):
        if not isinstance(value, np.ndarray):
            raise InputError(f"The {what} of the {name} part must be a numpy array.")
    if images.dtype != np.float32 or images.ndim != 2 or images.shape[1] != PIXELS:
        raise InputError(
            f"The images of the {name} part must be float32 of shape (n, {PIXELS}), "
            f"these are {images.dtype} of shape {images.shape}."
        )
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"The labels of the {name} part must be int64 of shape ({len(images)},), "
            f"these are {labels.dtype} of shape {labels.shape}."
        )
    if len(images):
        low, high = images.min(), images.max()
        # NaN is passed on by min and max and fails this comparison as well.
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"The pixels of the {name} part range from {low} to {high}: they must be in [0, 1]."
            )
        if labels.min() < 0 or labels.max() > 9:
            raise InputError(
                f"The labels of the {name} part range from {labels.min()} to {labels.max()}: "
                "they must be digits."
            )
    return Split(images, labels)
