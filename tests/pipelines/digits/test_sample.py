"""The data set of the sample bucket, from bundled digits or from IDX files."""

import gzip
import hashlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from digits import sample
from digits.dataset import PIXELS, read_dataset
from digits.idx import find_pairs, read_idx, read_pair
from digits.sample import bundled_digits, idx_digits, main, write_dataset
from tradewind.errors import CorruptDataError, InputError


@pytest.fixture(scope="module")
def bundled():
    return bundled_digits()


def test_bundled_digits_are_as_mnist(bundled):
    assert [len(part) for part in bundled] == [1283, 257, 257]
    for part in bundled:
        assert part.images.shape == (len(part), PIXELS)
        assert part.images.dtype == np.float32
        assert part.labels.dtype == np.int64
        assert part.images.min() == 0
        assert part.images.max() == 1
        assert set(part.labels) == set(range(10))
    pictures = bundled[0].images.reshape(-1, 28, 28)
    rows = pictures.sum((1, 2)) ** -1 * (pictures.sum(2) @ np.arange(28))
    assert np.abs(rows - 14).max() < 0.75


def test_no_picture_is_in_two_parts(bundled):
    seen = [{row.tobytes() for row in part.images} for part in bundled]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_the_same_pictures_give_the_same_bytes(bundled, tmp_path, capsys):
    first, second = io.BytesIO(), tmp_path / "mnist.pkl.gz"
    write_dataset(first, bundled)
    assert main(["--out", str(second)]) == 0
    assert hashlib.sha256(first.getvalue()).digest() == hashlib.sha256(second.read_bytes()).digest()
    assert first.getvalue()[4:8] == b"\0\0\0\0"  # no time in the header
    assert "1,283 to train, 257 to validate, 257 to test" in capsys.readouterr().out
    for got, wanted in zip(read_dataset(io.BytesIO(second.read_bytes())), bundled, strict=True):
        assert np.array_equal(got.images, wanted.images)
        assert np.array_equal(got.labels, wanted.labels)


# --- IDX


def idx(array):
    return (
        struct.pack(">BBBB", 0, 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(np.uint8).tobytes()
    )


@pytest.fixture
def mnist_folder(tmp_path):
    """MNIST's own names and shapes with few rows; the test files gzipped."""
    random = np.random.default_rng(0)
    for name, rows in (("train", 12), ("t10k", 4)):
        images = random.integers(0, 256, (rows, 28, 28))
        labels = np.arange(rows) % 10
        packed = gzip.compress if name == "t10k" else bytes
        end = ".gz" if name == "t10k" else ""
        (tmp_path / f"{name}-images-idx3-ubyte{end}").write_bytes(packed(idx(images)))
        (tmp_path / f"{name}-labels-idx1-ubyte{end}").write_bytes(packed(idx(labels)))
    return tmp_path


def test_mnists_own_files_are_read(mnist_folder):
    train, valid, test = idx_digits([mnist_folder])
    assert [len(train), len(valid), len(test)] == [10, 2, 4]
    raw = read_idx(mnist_folder / "train-images-idx3-ubyte")
    assert np.array_equal(np.round(train.images * 255), raw[:10].reshape(10, PIXELS))
    assert list(valid.labels) == [0, 1]
    assert list(test.labels) == [0, 1, 2, 3]
    assert train.images.dtype == np.float32


def test_pairs_of_files_and_sizes_can_be_named(mnist_folder):
    names = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    pair = [mnist_folder / name for name in names]
    assert [len(part) for part in idx_digits(pair, (2, 0, 2))] == [2, 0, 2]
    with pytest.raises(InputError, match="5 pictures are asked for and the files have 4"):
        idx_digits(pair, (3, 0, 2))
    with pytest.raises(InputError, match="pairs of files"):
        idx_digits([*pair, pair[0]])


def test_a_split_without_pictures_to_validate_is_a_data_set(mnist_folder):
    stream = io.BytesIO()
    write_dataset(stream, idx_digits([mnist_folder], (12, 0, 4)))
    assert [len(part) for part in read_dataset(io.BytesIO(stream.getvalue()))] == [12, 0, 4]


def test_damaged_idx_files_are_named(tmp_path):
    good = idx(np.zeros((3, 28, 28)))
    path = tmp_path / "images-idx3-ubyte"
    for content, error, message in (
        (good[:-1], CorruptDataError, "says it has 2352 values and has 2351"),
        (good + b"x", CorruptDataError, "has 2353"),
        (good[:9], CorruptDataError, "truncated in its header"),
        (b"P5 28 28", CorruptDataError, "not an IDX file"),
        (gzip.compress(good)[:-3], CorruptDataError, "not a whole gzip"),
        (b"\0\0\x0d\x01" + bytes(8), InputError, "0xd"),
    ):
        path.write_bytes(content)
        with pytest.raises(error, match=message):
            read_idx(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(tmp_path / "absent")


def test_folders_without_pairs_are_named(tmp_path):
    with pytest.raises(InputError, match="has no pair"):
        find_pairs(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_pairs(tmp_path / "absent")
    (tmp_path / "images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"labels-idx1-ubyte\.gz is missing"):
        find_pairs(tmp_path)


def test_pairs_that_do_not_fit_are_named(tmp_path):
    images, labels, small = (tmp_path / name for name in ("images", "labels", "small"))
    images.write_bytes(idx(np.zeros((3, 28, 28))))
    small.write_bytes(idx(np.zeros((3, 8, 8))))
    labels.write_bytes(idx(np.zeros(2)))
    with pytest.raises(InputError, match="one label for each of the 3"):
        read_pair(images, labels)
    with pytest.raises(InputError, match="28x28"):
        read_pair(small, labels)


def test_real_mnist_is_read():
    checkout = Path(sample.__file__).parents[2]
    folder = Path(os.environ.get("TRADEWIND_MNIST", checkout / "../shared/data/mnist"))
    if not folder.is_dir():
        pytest.skip("no IDX files of MNIST: name their folder in TRADEWIND_MNIST")
    train, valid, test = idx_digits([folder], (4000, 0, 1000))
    assert [len(train), len(valid), len(test)] == [4000, 0, 1000]
    assert set(train.labels) == set(test.labels) == set(range(10))
    assert train.images.max() == 1


# --- command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say where to put it"),
        (["--out", "x", "--split", "1", "1", "1"], "--split goes with --idx"),
        (["--out", "x", "--idx", "y", "--split", "0", "1", "1"], "positive"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_done_is_one_line_and_status_1(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "o"), "--idx", str(tmp_path / "absent")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "absent is not a folder" in captured.err
