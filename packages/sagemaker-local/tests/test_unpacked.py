"""Archives of models that become too large: refused by their headers, in little memory."""

import gzip
import io
import struct
import tarfile
import tracemalloc

import numpy as np
import pytest

from sagemaker_local import unpacked
from sagemaker_local.algorithms.kmeans import model
from sagemaker_local.errors import InputError

MB = 1 << 20


class _Zeros(io.RawIOBase):
    def read(self, size=-1):
        return bytes(max(size, 0))


def archive(path, *members):
    """Write members of zeros: name, size, type and the bytes that they begin with."""
    with gzip.open(path, "wb", 1) as zipped, tarfile.open(fileobj=zipped, mode="w|") as made:
        for name, size, kind, head in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = size, kind

            class Begun(_Zeros):
                left = head

                def read(self, size=-1):
                    part, self.left = self.left[:size], self.left[size:]
                    return part + bytes(size - len(part))

            made.addfile(member, Begun())
    return path


def peak(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(path, limit):
    for load in (model.read_archive, unpacked.check):
        with pytest.raises(InputError) as raised:
            load(path, limit=limit)
        yield str(raised.value)


def test_a_large_member_is_refused_by_its_size_with_the_option_that_allows_it(tmp_path):
    file = tarfile.REGTYPE
    huge = archive(tmp_path / "huge.tar.gz", ("model_algo-1", 20 * MB, file, b""))
    many = archive(tmp_path / "many.tar.gz", *((f"part-{i}", 3 * MB, file, b"") for i in range(4)))
    header = archive(tmp_path / "header.tar.gz", ("x", 9 * MB, tarfile.XHDTYPE, b""))
    assert huge.stat().st_size < MB  # twenty in a tenth
    said = []
    taken = peak(lambda: said.extend([*refused(huge, 8 * MB), *refused(many, 8 * MB)]))
    assert taken < 2 * MB, taken
    for text in said:
        assert f"where {8 * MB} are allowed" in text
        assert f"--max-model-bytes {32 * MB}" in text
    assert "'model_algo-1' of 20971520 bytes" in said[0]
    assert "'part-2' of 3145728" in said[3]
    assert all("a header of 9437184 bytes" in text for text in refused(header, 20 * MB))
    unpacked.check(many, limit=12 * MB)


def test_holes_and_what_stands_behind_the_members_count_too(tmp_path):
    hole = tmp_path / "hole.tar"
    member = tarfile.TarInfo("weights")
    member.size = 0
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"00000000000\0" * 2  # nothing at 0
    header[483:495] = b"%011o\0" % (20 * MB)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    hole.write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(InputError, match="'weights' of 20971520 bytes"):
        unpacked.check(hole, limit=8 * MB)

    padded = tmp_path / "padded.tar.gz"
    good = io.BytesIO()
    model.write_archive(np.ones((2, 2), np.float32), good)
    padded.write_bytes(gzip.compress(gzip.decompress(good.getvalue()) + bytes(20 * MB), 1))
    with pytest.raises(InputError, match="is too large unpacked: over"):
        model.read_archive(padded, limit=8 * MB)


def test_a_model_takes_the_memory_of_its_centres_once_and_a_wrong_one_none(tmp_path):
    file = tarfile.REGTYPE

    def head(k, d):
        return struct.pack("<QQQIiIqqiii", 0x112, 0, 1, 0xF993FAC9, 0, 2, k, d, 1, 0, 0)

    size = 10 * MB
    right = archive(
        tmp_path / "right.tar.gz", ("model_algo-1", size + 72, file, head(size // 4096, 1024))
    )
    taken = peak(lambda: model.read_archive(right, limit=16 * MB))
    assert size < taken < size + 6 * MB, taken
    for name, begin, words in [
        ("no", b"PK", "not an MXNet"),
        ("short", head(MB, MB), f"need {4 * MB * MB + 64} bytes"),
    ]:
        wrong = archive(tmp_path / name, ("model_algo-1", size, file, begin))

        def load(wrong=wrong, words=words):
            with pytest.raises(InputError, match=words):
                model.read_archive(wrong, limit=16 * MB)

        assert peak(load) < 2 * MB
