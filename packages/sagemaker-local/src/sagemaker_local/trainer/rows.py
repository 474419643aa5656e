"""Reads the rows of a channel's objects: in a stream, a few megabytes at a time."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from sagemaker_local import recordio
from sagemaker_local.algorithms.csv_rows import WidthError, parse_rows
from sagemaker_local.channels import CSV, Channel
from sagemaker_local.errors import InputError
from sagemaker_local.objects import ObjectInfo

__all__ = ["prefetch", "read_rows"]

Rows = npt.NDArray[Any]
T = TypeVar("T")

# Rows are handed on in batches of about so many bytes, and at most so many rows.
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 4096
_CSV_BYTES = 1024 * 1024


def read_rows(
    channel: Channel,
    objects: Iterable[ObjectInfo],
    features: int,
    chunks: Callable[[ObjectInfo], Iterator[bytes]],
) -> Iterator[Rows]:
    """Yield the features of all rows of some objects, in order, labels left away.

    Args:
        channel: Whose objects they are: says how their bytes are to be read.
        objects: Which objects.
        features: How many features every row must have.
        chunks: Opens an object's stream of bytes.

    Yields:
        Arrays of shape (rows, features), at least one row, float32, float64 or int32, every
        number finite and within the range of float32.

    Raises:
        InputError: An object's data are wrong; names channel and object, and the place in it.
        RetryError, SetupError: The S3 server fails or refuses access.
    """
    decode = _csv if channel.content_type == CSV else _recordio
    for info in objects:
        row = 0
        try:
            stream = _gunzip(chunks(info)) if channel.gzipped else chunks(info)
            for batch in decode(stream, channel, features):
                if batch.shape[1] != features:
                    _refuse(
                        f"row {row + 1} has {batch.shape[1]} features, but the hyperparameter "
                        f"feature_dim is {features}"
                    )
                _check_finite(batch, row)
                row += len(batch)
                yield batch
        except _BadDataError as error:
            raise InputError(
                f"Unable to read data channel {channel.name!r}. Requested content-type is "
                f"{channel.content_type!r}. Please verify the data matches the requested "
                f"content-type: in {info.uri} {error}."
            ) from error


class _BadDataError(Exception):
    """An object's content is wrong; the text says what."""


def _refuse(text: str) -> NoReturn:
    raise _BadDataError(text)


def _check_finite(batch: Rows, before: int) -> None:
    with np.errstate(over="ignore"):
        finite = np.isfinite(batch.astype(np.float32, copy=False))
    if not finite.all():
        row, column = np.unravel_index(int(np.argmin(finite)), finite.shape)
        _refuse(
            f"row {before + int(row) + 1} holds a value that is no finite float32 number "
            f"(feature {int(column) + 1})"
        )


def _recordio(stream: Iterator[bytes], channel: Channel, features: int) -> Iterator[Rows]:
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * features)))
    try:
        yield from recordio.decode(stream, batch_size=size)
    except recordio.RecordIOError as error:
        _refuse(str(error))


def _csv(stream: Iterator[bytes], channel: Channel, features: int) -> Iterator[Rows]:
    columns = channel.label_columns + features
    before = 0
    for lines in _lines(stream):
        try:
            rows = parse_rows(lines, columns)
        except WidthError as error:
            _refuse(
                f"row {before + error.row + 1} has {error.columns} columns, but feature_dim="
                f"{features} and label_size={channel.label_columns} need {columns} (a ContentType "
                "without label_size means that the first column is a label; say "
                "text/csv;label_size=0 where there is none)"
            )
        except ValueError as error:
            _refuse(f"a row from row {before + 1} on holds something that is no number ({error})")
        before += len(rows)
        yield rows[:, channel.label_columns :]


def _lines(stream: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines that are not empty, about a megabyte at a time."""
    rest = b""
    first = True
    for chunk in stream:
        if first:
            chunk, first = chunk.removeprefix(b"\xef\xbb\xbf"), False
        for start in range(0, len(chunk), _CSV_BYTES):
            text = rest + chunk[start : start + _CSV_BYTES]
            whole, newline, rest = text.rpartition(b"\n")
            if newline and (lines := _filled(whole)):
                yield lines
    if lines := _filled(rest):
        yield lines


def _filled(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if line and not line.isspace()]


def _gunzip(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip members, a megabyte at a time."""
    unzip = zlib.decompressobj(wbits=31)
    begun = False
    for chunk in stream:
        while chunk:
            if unzip.eof:  # another member follows
                unzip = zlib.decompressobj(wbits=31)
            begun = True
            try:
                data = unzip.decompress(chunk, _CSV_BYTES)
            except zlib.error as error:
                raise _BadDataError(f"the gzip compression is damaged ({error})") from error
            chunk = unzip.unused_data or unzip.unconsumed_tail
            if data:
                yield data
    if begun and not unzip.eof:
        _refuse("the gzip compression is cut off")


def prefetch(items: Iterator[T], depth: int = 2) -> Iterator[T]:
    """Yield the same items, read ahead by a thread: one waits for S3 while another computes.

    Args:
        items: Where they come from; run in the thread.
        depth: How many are held ready.

    Raises:
        Whatever ``items`` raises, in its place.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    closed = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not closed.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # raised again where the items are used
            put((False, error))

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            more, item = ready.get()
            if more:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        closed.set()
