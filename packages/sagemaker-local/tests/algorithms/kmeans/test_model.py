import gzip
import io
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sagemaker_local.algorithms.kmeans import model
from sagemaker_local.errors import InputError

matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
)


def test_the_file_is_what_mxnet_writes_for_a_list_of_one_array():
    data = model.encode_centres(np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    assert data.hex() == (
        "1201000000000000" "0000000000000000" "0100000000000000"  # list magic, reserved, count
        "c9fa93f9" "00000000" "02000000"  # array magic, dense, two dimensions
        "0200000000000000" "0300000000000000"  # shape
        "01000000" "00000000" "00000000"  # cpu, device 0, float32
        "0000803f" "00000040" "00004040" "00008040" "0000a040" "0000c040"
        "0000000000000000"  # no names
    )  # fmt: skip


@given(matrices)
def test_archive_returns_the_centres_it_was_given(centres):
    archive = io.BytesIO()
    model.write_archive(centres, archive)
    archive.seek(0)
    np.testing.assert_array_equal(model.read_archive(archive), centres)


def test_the_same_centres_give_the_same_bytes_and_a_plain_member():
    centres = np.arange(12, dtype=np.float32).reshape(3, 4)
    first, second = io.BytesIO(), io.BytesIO()
    model.write_archive(centres, first)
    model.write_archive(centres, second)
    assert first.getvalue() == second.getvalue()
    with tarfile.open(fileobj=io.BytesIO(first.getvalue()), mode="r:gz") as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.mtime, member.uid, member.isfile()) == ("model_algo-1", 0, 0, True)


def test_an_archive_made_by_the_tar_command_is_read(tmp_path):
    centres = np.ones((2, 3), np.float32)
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        other = tarfile.TarInfo("./state_1.json")
        other.size = 2
        archive.addfile(other, io.BytesIO(b"{}"))
        member = tarfile.TarInfo("./model_algo-1")
        member.size = len(model.encode_centres(centres))
        archive.addfile(member, io.BytesIO(model.encode_centres(centres)))
    np.testing.assert_array_equal(model.read_archive(path), centres)


def broken_archives():
    good = io.BytesIO()
    model.write_archive(np.ones((4, 4), np.float32), good)
    yield "empty", b"", "not a readable"
    yield "no gzip", b"PK\x03\x04 something else", "not a readable"
    yield "cut gzip", good.getvalue()[:-30], "not a readable"
    yield "no tar", gzip.compress(b"hello" * 300), "not a readable"
    for name, content, words in [
        ("other", b"{}", "holds no model_algo-1"),
        ("model_algo-1", b"PK\x03\x04" * 40, "not an MXNet NDArray"),
        ("model_algo-1", b"", "cut off"),
        ("model_algo-1", model.encode_centres(np.ones((9, 9), np.float32))[:-99], "cut off"),
        ("model_algo-1", model.encode_centres(np.full((1, 1), np.nan, np.float32)), "finite"),
        (
            "model_algo-1",
            struct.pack("<QQQIiIqqiii", 0x112, 0, 1, 0xF993FAC9, 0, 2, 1, 1, 1, 0, 1) + b"\0" * 16,
            "float32",
        ),
    ]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        yield f"{name}: {words}", file.getvalue(), words


@pytest.mark.parametrize(
    ("data", "words"), [pytest.param(*rest, id=name) for name, *rest in broken_archives()]
)
def test_what_is_no_model_is_refused(data, words):
    with pytest.raises(InputError, match=words):
        model.read_archive(io.BytesIO(data))
