"""Builds the data set that AWS keeps in its sample buckets, for a bucket on this machine.

    python -m digits.sample --out mnist.pkl.gz
    python -m digits.sample --bucket sagemaker-sample-data-eu-west-1

The pictures are scikit-learn's bundled 1,797 handwritten digits, prepared as MNIST prepares them,
or real MNIST from IDX files (``--idx FOLDER``). The file is what ``mnist.pkl.gz`` is in every
respect: a gzipped pickle of Python 2, protocol 2, of three (images, labels) tuples. The same
pictures always give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import io
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from digits.dataset import Split
from digits.idx import find_pairs, read_pair
from digits.layout import SAMPLE_KEY
from tradewind.errors import InputError, MissingExtraError, TradewindError

__all__ = ["bundled_digits", "idx_digits", "main", "write_dataset"]

BUNDLED_SIZES = (1283, 257, 257)
"""Rows to train, to validate and to test with: MNIST's own proportion of 5 : 1 : 1."""


def bundled_digits() -> tuple[Split, Split, Split]:
    """The digits that scikit-learn brings along, scaled to 28x28 and centred as MNIST's are.

    They are E. Alpaydin's and C. Kaynak's "Optical recognition of handwritten digits" (UCI machine
    learning repository): 8x8 pixels, written by 13 people, in the order of their writers; they are
    shuffled, always alike, so that every part has digits of all of them.

    Returns:
        1,283 to train, 257 to validate and 257 to test with.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            "sklearn", extra="digits", purpose="Building the sample of handwritten digits"
        ) from None
    from digits.prepare import prepare_batch

    bundle = load_digits()
    # RandomState's streams are frozen for good (NEP 19), those of default_rng may change.
    order = np.random.RandomState(0).permutation(len(bundle.target))
    images = prepare_batch(bundle.images[order])
    labels = bundle.target[order].astype(np.int64)
    return _cut(Split(images, labels), BUNDLED_SIZES)


def idx_digits(
    paths: Sequence[Path], sizes: tuple[int, int, int] | None = None
) -> tuple[Split, Split, Split]:
    """Digits from IDX files, such as those of MNIST.

    Args:
        paths: A folder, or one or more pairs of files: pictures, labels, pictures, labels.
        sizes: Rows to train, to validate and to test with, taken in this order from all files after
            each other. Without it, two pairs are MNIST's own files: the second is to test with, and
            the last sixth of the first to validate; one pair is cut in the proportion 5 : 1 : 1.

    Raises:
        InputError: Files are missing, are not what they should be, or have fewer rows than asked.
    """
    if len(paths) == 1:
        pairs = find_pairs(paths[0])
    elif len(paths) % 2 == 0 and paths:
        pairs = list(zip(paths[::2], paths[1::2], strict=True))
    else:
        raise InputError("Name a folder with IDX files, or pairs of files: pictures, labels.")
    parts = [read_pair(images, labels) for images, labels in pairs]
    whole = Split(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
    if sizes is None and len(parts) == 2:
        valid = len(parts[0]) // 6
        sizes = (len(parts[0]) - valid, valid, len(parts[1]))
    elif sizes is None:
        seventh = len(whole) // 7
        sizes = (len(whole) - 2 * seventh, seventh, seventh)
    if sum(sizes) > len(whole):
        raise InputError(f"{sum(sizes)} pictures are asked for and the files have {len(whole)}.")
    return _cut(whole, sizes)


def _cut(whole: Split, sizes: tuple[int, int, int]) -> tuple[Split, Split, Split]:
    first, second, third = sizes
    ends = (first, first + second, first + second + third)
    starts = (0, *ends[:2])
    train, valid, test = (
        Split(whole.images[a:b], whole.labels[a:b]) for a, b in zip(starts, ends, strict=True)
    )
    return train, valid, test


# --- the pickle


def write_dataset(stream: IO[bytes], parts: tuple[Split, Split, Split]) -> None:
    """Writes a data set as ``mnist.pkl.gz`` is written.

    Args:
        stream: Where to; takes nothing but bytes in order.
        parts: To train, to validate and to test with.
    """
    # No name and no time in the header: the same pictures are the same bytes.
    with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as packed:
        writer = _Python2Pickle(packed)
        writer.dump(tuple((part.images, part.labels) for part in parts))


class _Python2Pickle:
    """Writes what ``cPickle.dump(..., protocol=2)`` of Python 2 with numpy 1 wrote for arrays.

    Python 3 cannot: its strings become unicode objects in a pickle, and its numpy another module.
    The instructions are those of pickletools; every object is put into the memo, as cPickle did.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: Any) -> None:
        self._write = stream.write
        self._memo: dict[str, int] = {}
        self._next = 0

    def dump(self, content: tuple[Any, ...]) -> None:
        self._write(b"\x80\x02")  # PROTO 2
        self._object(content)
        self._write(b".")  # STOP

    def _object(self, value: Any) -> None:
        if isinstance(value, tuple):
            for part in value:
                self._object(part)
            self._tuple(len(value))
        else:
            self._array(value)

    def _array(self, array: NDArray[Any]) -> None:
        array = np.ascontiguousarray(array)
        # _reconstruct(ndarray, (0,), "b") makes an empty array ...
        self._global("numpy.core.multiarray", "_reconstruct")
        self._global("numpy", "ndarray")
        self._integer(0)
        self._tuple(1)
        self._string(b"b")
        self._tuple(3)
        self._reduce()
        # ... that BUILD fills with (version, shape, dtype, Fortran order, bytes).
        self._write(b"(")  # MARK
        self._integer(1)
        for length in array.shape:
            self._integer(length)
        self._tuple(array.ndim)
        self._dtype(array.dtype)
        self._write(b"\x89")  # NEWFALSE
        self._string(array.data.cast("B") if array.size else b"")
        self._write(b"t")  # TUPLE
        self._put()
        self._write(b"b")  # BUILD

    def _dtype(self, dtype: np.dtype[Any]) -> None:
        code = dtype.str[1:]
        if code in self._memo:
            self._get(code)
            return
        self._global("numpy", "dtype")
        self._string(code.encode("ascii"))
        self._integer(0)
        self._integer(1)
        self._tuple(3)
        self._write(b"R")  # REDUCE
        self._put(code)
        self._write(b"(")
        self._integer(3)
        self._string(dtype.str[:1].encode("ascii"))
        self._write(b"NNN")
        self._integer(-1)
        self._integer(-1)
        self._integer(0)
        self._write(b"t")
        self._put()
        self._write(b"b")

    def _global(self, module: str, name: str) -> None:
        key = f"{module} {name}"
        if key in self._memo:
            self._get(key)
        else:
            self._write(f"c{module}\n{name}\n".encode("ascii"))
            self._put(key)

    def _integer(self, value: int) -> None:
        if 0 <= value < 1 << 8:
            self._write(b"K" + struct.pack("<B", value))  # BININT1
        elif 0 <= value < 1 << 16:
            self._write(b"M" + struct.pack("<H", value))  # BININT2
        else:
            self._write(b"J" + struct.pack("<i", value))  # BININT

    def _string(self, value: bytes | memoryview) -> None:
        if len(value) < 1 << 8:
            self._write(b"U" + struct.pack("<B", len(value)))  # SHORT_BINSTRING
        elif len(value) < 1 << 31:
            self._write(b"T" + struct.pack("<i", len(value)))  # BINSTRING
        else:
            raise InputError(
                "Python 2 cannot pickle an array of 2 GiB or more: use fewer pictures."
            )
        self._write(value)
        self._put()

    def _tuple(self, length: int) -> None:
        self._write({1: b"\x85", 2: b"\x86", 3: b"\x87"}[length])  # TUPLE1, TUPLE2, TUPLE3
        self._put()

    def _reduce(self) -> None:
        self._write(b"R")
        self._put()

    def _put(self, key: str | None = None) -> None:
        if key is not None:
            self._memo[key] = self._next
        if self._next < 1 << 8:
            self._write(b"q" + struct.pack("<B", self._next))  # BINPUT
        else:
            self._write(b"r" + struct.pack("<i", self._next))  # LONG_BINPUT
        self._next += 1

    def _get(self, key: str) -> None:
        self._write(b"h" + struct.pack("<B", self._memo[key]))  # BINGET


# --- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the data set and puts it into a file or a bucket.

    Args:
        arguments: Of the command line; those of this process when None.

    Returns:
        The exit status: 0, or 1 with a message when it could not be done.
    """
    parser = argparse.ArgumentParser(
        prog="python -m digits.sample",
        description="Builds mnist.pkl.gz, from scikit-learn's digits or from IDX files, and puts "
        "it where the digits pipeline looks for it.",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it to this file")
    parser.add_argument(
        "--bucket",
        help="upload it to this bucket, which is created when missing; credentials, region and "
        "endpoint come from the AWS environment variables",
    )
    parser.add_argument("--key", default=SAMPLE_KEY, help="its key (default: %(default)s)")
    parser.add_argument(
        "--create-bucket",
        action="append",
        default=[],
        metavar="NAME",
        help="create this bucket as well when it is missing, for the pipeline's own objects",
    )
    parser.add_argument(
        "--idx",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a folder with IDX files, or pairs of files: pictures, labels, ...",
    )
    parser.add_argument(
        "--split",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VALID", "TEST"),
        help="pictures of the IDX files to train, to validate and to test with",
    )
    options = parser.parse_args(arguments)
    if not (options.out or options.bucket):
        parser.error("say where to put it: --out FILE, --bucket NAME or both")
    if options.split and (not options.idx or min(options.split) < 0 or 0 in options.split[::2]):
        parser.error("--split goes with --idx and wants positive numbers; only VALID may be 0")
    try:
        parts = (
            idx_digits(options.idx, tuple(options.split) if options.split else None)
            if options.idx
            else bundled_digits()
        )
        with tempfile.TemporaryFile() as file:
            write_dataset(file, parts)
            size = file.tell()
            if options.out:
                _save(file, options.out)
            if options.bucket:
                _upload(file, options.bucket, options.key, options.create_bucket)
    except TradewindError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    counts = ", ".join(
        f"{len(part):,} to {purpose}"
        for part, purpose in zip(parts, ("train", "validate", "test"), strict=True)
    )
    where = [str(options.out)] if options.out else []
    where += [f"s3://{options.bucket}/{options.key}"] if options.bucket else []
    print(f"{' and '.join(where)}: {counts}; {size:,} bytes")
    return 0


def _save(file: IO[bytes], out: Path) -> None:
    file.seek(0)
    try:
        out.write_bytes(file.read())
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from error


def _upload(file: IO[bytes], bucket: str, key: str, buckets: Sequence[str]) -> None:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise MissingExtraError("boto3", extra="s3", purpose="Uploading to S3") from None

    try:
        client = boto3.client("s3")
        for name in dict.fromkeys((bucket, *buckets)):
            _create_bucket(client, name)
        file.seek(0, io.SEEK_SET)
        client.upload_fileobj(file, bucket, key)
    except (BotoCoreError, ClientError) as error:
        raise InputError(
            f"s3://{bucket}/{key} could not be uploaded: {error}. Look at AWS_ENDPOINT_URL_S3, "
            "AWS_DEFAULT_REGION and the credentials."
        ) from error


def _create_bucket(client: Any, bucket: str) -> None:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        region = client.meta.region_name
        # us-east-1 is the one region that may not be named.
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        client.create_bucket(
            Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {})
        )


if __name__ == "__main__":
    sys.exit(main())
