"""The centroids are read from what a training job leaves, and from nothing else."""

import io
import struct

import numpy as np
import pytest

from digits.model import parse_centroids, read_artifact
from digits_helpers import archive, artifact
from sagemaker_local.algorithms.kmeans.model import encode_centres
from tradewind.errors import CorruptDataError, InputError

CENTROIDS = np.random.default_rng(0).random((3, 784), dtype=np.float32)


def test_centroids_are_read():
    got = read_artifact(io.BytesIO(artifact(CENTROIDS)))
    assert got.dtype == np.float32
    assert np.array_equal(got, CENTROIDS)


def test_the_format_is_mxnets():
    """Written here by hand, after `NDArray::Save` and `mx.nd.save` of MXNet."""
    content = struct.pack("<QQQ", 0x112, 0, 1)
    content += struct.pack("<Ii", 0xF993FAC9, 0)
    content += struct.pack("<Iqq", 2, 2, 3)
    content += struct.pack("<ii", 1, 0)
    content += struct.pack("<i", 0)
    content += np.arange(6, dtype="<f4").tobytes()
    content += struct.pack("<Q", 0)
    assert np.array_equal(parse_centroids(content), [[0, 1, 2], [3, 4, 5]])


def test_what_is_not_exactly_that_is_refused():
    good = encode_centres(CENTROIDS)
    for damaged in (
        b"",
        good[:20],
        good[:-1],
        good + b"\0",
        b"\0" + good[1:],
        good[:-8] + b"\1" + good[-7:],
        struct.pack("<QQQ", 0x112, 0, 2) + good[24:],
        good[:44] + struct.pack("<q", -784) + good[52:],
    ):
        with pytest.raises(CorruptDataError):
            parse_centroids(damaged)
    holes = encode_centres(np.full((2, 2), np.nan, np.float32))
    with pytest.raises(CorruptDataError, match="not finite"):
        parse_centroids(holes)


def test_archives_without_a_model_are_refused():
    good = artifact(CENTROIDS)
    for damaged, message in (
        (b"<html>", "not a whole tar.gz"),
        (good[: len(good) // 2], "not a whole tar.gz"),
        (archive(b"", "other"), "holds no model_algo-1"),
        (archive(encode_centres(CENTROIDS), "../model_algo-1"), "holds no model_algo-1"),
    ):
        with pytest.raises(InputError, match=message):
            read_artifact(io.BytesIO(damaged))


def test_too_large_an_archive_is_refused():
    packed = artifact(np.zeros((200, 784), np.float32))
    assert len(packed) < 10_000
    with pytest.raises(InputError, match="larger than 10000 bytes"):
        read_artifact(io.BytesIO(packed), max_bytes=10_000)
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_artifact(io.BytesIO(packed), max_bytes=10)
