"""The data set is read without trusting it."""

import gzip
import io
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest

from digits.dataset import PIXELS, Split, batches, load_arrays, read_dataset
from digits.sample import write_dataset
from tradewind.errors import CorruptDataError, InputError


def split(rows, seed=0, images=None):
    random = np.random.default_rng(seed)
    if images is None:
        images = random.random((rows, PIXELS), dtype=np.float32)
    return Split(images, random.integers(0, 10, rows).astype(np.int64))


def packed(content, protocol=4):
    return io.BytesIO(gzip.compress(pickle.dumps(content, protocol)))


@pytest.fixture(scope="module")
def parts():
    return split(20, 1), split(3, 2), split(5, 3)


@pytest.fixture(scope="module")
def python2(parts):
    """A data set as Python 2 wrote it."""
    stream = io.BytesIO()
    write_dataset(stream, parts)
    return stream.getvalue()


def same(got, wanted):
    assert got.images.dtype == np.float32
    assert got.labels.dtype == np.int64
    assert np.array_equal(got.images, wanted.images)
    assert np.array_equal(got.labels, wanted.labels)


def test_python_2_pickle_is_read(python2, parts):
    for got, wanted in zip(read_dataset(io.BytesIO(python2)), parts, strict=True):
        same(got, wanted)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_python_3_pickles_of_arrays_are_read(parts, protocol):
    content = tuple((part.images, part.labels) for part in parts)
    for got, wanted in zip(read_dataset(packed(content, protocol)), parts, strict=True):
        same(got, wanted)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_both_spellings_of_numpy_are_read(module):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    raw = pickle.dumps(array, 2).replace(b"numpy._core.multiarray", module.encode())
    assert np.array_equal(load_arrays(io.BytesIO(raw)), array)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12, dtype=np.float64).reshape(3, 4)),
        np.arange(5, dtype=">i4"),
        np.array([True, False]),
        np.zeros((0, 7), np.float32),
        np.array(3.5),
        np.arange(4, dtype=np.uint8),
    ],
)
def test_arrays_of_all_numbers_come_back_as_they_were(array):
    got = load_arrays(io.BytesIO(pickle.dumps(array, 4)))
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert np.array_equal(got, array)


def test_the_whole_stream_is_read_in_pieces_of_any_size(python2, parts):
    class Dripping(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7) if size > 0 else 7)

    for got, wanted in zip(read_dataset(Dripping(python2)), parts, strict=True):
        same(got, wanted)


# --- hostile


class Calls:
    """Pickles itself as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def called(module, name, arguments=b"(tR."):
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n" + arguments


HOSTILE = {
    "os.system": pickle.dumps(Calls(os.system, "exit 1"), 2),
    "eval": pickle.dumps(Calls(eval, "1/0"), 2),
    "Popen": pickle.dumps(Calls(subprocess.Popen, ["false"]), 4),
    "python 2 builtins": called("__builtin__", "eval", b"U\x031/0\x85R."),
    "protocol 0": b"cposix\nsystem\n(S'exit 1'\ntR.",
    "numpy.testing": called("numpy.testing._private.utils", "runstring", b"U\x031/0}\x86R."),
    "another name of an admitted module": called("numpy.core.multiarray", "scalar"),
    "the same in numpy 2": called("numpy._core.multiarray", "fromfile", b"U\x01x\x85R."),
    "numpy.load": called("numpy", "load", b"U\x01x\x85R."),
    "memmap": called("numpy", "memmap", b"U\x01x\x85R."),
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
    "dotted out of it": b"\x80\x04\x8c\x05numpy\x8c\x13ndarray.tofile.call\x93.",
    "getattr": pickle.dumps(getattr, 2),
    "a class": pickle.dumps(np.random.default_rng(0), 4),
    "an array's bytes encoded otherwise": called(
        "_codecs", "encode", b"X\x01\0\0\0xU\x03rot\x86R."
    ),
    "a persistent reference": b"\x80\x02U\x01xQ.",
    "extension registry": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_and_not_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for function in ("system", "popen"):
        monkeypatch.setattr(os, function, lambda *_: pytest.fail("the pickle was run"))
    with pytest.raises(InputError):
        read_dataset(io.BytesIO(gzip.compress(HOSTILE[name])))
    assert not list(tmp_path.iterdir())


def test_a_refusal_names_what_was_asked_for_and_what_to_do():
    with pytest.raises(InputError, match=r"asks for posix\.system.*[Dd]o not use this file"):
        load_arrays(io.BytesIO(HOSTILE["os.system"]))


def test_a_hostile_pickle_hidden_in_a_good_one_is_refused(python2):
    good = gzip.decompress(python2)
    hidden = good[:2] + called("os", "system", b"U\x04true\x85R0")[2:] + good[2:]
    with pytest.raises(InputError, match=r"os\.system"):
        read_dataset(io.BytesIO(gzip.compress(hidden)))


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}, []], dtype=object),
        np.array(["a"], dtype="U1"),
        np.array([b"a"], dtype="S1"),
        np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
        np.array(["2026-01-01"], dtype="M8[D]"),
        np.array([1j]),
        np.zeros(2, dtype="V8"),
    ],
    ids=lambda array: array.dtype.kind,
)
def test_arrays_of_anything_but_numbers_are_refused(array):
    with pytest.raises(InputError):
        load_arrays(io.BytesIO(pickle.dumps(array, 2)))


class Own(np.ndarray):
    pass


def test_arrays_of_own_classes_are_refused():
    with pytest.raises(InputError, match="Own"):
        load_arrays(io.BytesIO(pickle.dumps(np.zeros(3).view(Own), 2)))


@pytest.mark.parametrize("value", [{"a": 1}, {1, 2}, "text", 3, None, b"raw", (np.zeros(2), 1)])
def test_other_objects_are_refused(value):
    with pytest.raises(InputError):
        load_arrays(io.BytesIO(pickle.dumps(value, 4)))


def array_pickle(shape=(2,), code=b"f4", order=b"<", raw=b"\0" * 8, reconstruct=True):
    """An array's pickle with any content, as Python 2 wrote it."""
    out = b"\x80\x02"
    if reconstruct:
        out += b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    else:
        out += b"cnumpy\nndarray\n" + b"J" + struct.pack("<i", 2**31 - 1) + b"\x85R"
    out += b"(K\x01(" + b"".join(b"J" + struct.pack("<i", n) for n in shape) + b"t"
    out += b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\0K\1\x87R"
    out += b"(K\x03U" + bytes([len(order)]) + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    return out + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb."


def test_the_forger_of_these_tests_makes_true_pickles():
    assert np.array_equal(pickle.loads(array_pickle(), encoding="latin1"), np.zeros(2, np.float32))
    assert np.array_equal(load_arrays(io.BytesIO(array_pickle())), np.zeros(2, np.float32))


@pytest.mark.parametrize(
    "forged",
    [
        array_pickle(shape=(3,)),
        array_pickle(shape=(-2,)),
        array_pickle(shape=(2**31 - 1, 2**31 - 1)),
        array_pickle(code=b"O8"),
        array_pickle(code=b"O"),
        array_pickle(code=b"f4,O"),
        array_pickle(order=b"?"),
        array_pickle(reconstruct=False),
    ],
    ids=["more", "negative", "huge", "O8", "O", "two", "order", "made by size"],
)
def test_forged_descriptions_are_refused(forged):
    with pytest.raises(InputError):
        load_arrays(io.BytesIO(forged))


# --- damaged


def test_a_small_file_cannot_fill_the_memory():
    bomb = array_pickle(shape=(1 << 24,), raw=bytes(1 << 26))
    squeezed = gzip.compress(bomb)
    assert len(squeezed) < 1 << 17
    with pytest.raises(CorruptDataError, match="larger than 1048576 bytes"):
        read_dataset(io.BytesIO(squeezed), max_bytes=1 << 20)


def test_every_truncation_is_noticed(python2):
    for length in [0, 1, 9, 10, 50, len(python2) // 2, len(python2) - 9, len(python2) - 1]:
        with pytest.raises(InputError):
            read_dataset(io.BytesIO(python2[:length]))


def test_a_flipped_bit_is_noticed(python2):
    damaged = bytearray(python2)
    damaged[-6] ^= 1  # in the checksum
    with pytest.raises(CorruptDataError, match="not a whole gzip stream"):
        read_dataset(io.BytesIO(bytes(damaged)))


def test_bytes_after_the_pickle_are_refused(python2):
    longer = gzip.compress(gzip.decompress(python2) + b"more")
    with pytest.raises(CorruptDataError, match="follow the pickle"):
        read_dataset(io.BytesIO(longer))


def test_what_is_no_gzip_or_no_pickle_is_named():
    with pytest.raises(CorruptDataError, match="not a whole gzip stream"):
        read_dataset(io.BytesIO(b"<html>not found</html>"))
    with pytest.raises(InputError, match="not a readable pickle"):
        read_dataset(io.BytesIO(gzip.compress(b"<html>not found</html>")))


def test_trouble_of_the_stream_is_not_blamed_on_the_file(python2):
    class ConnectionLost(Exception):
        """As urllib3's errors, no OSError."""

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100:
                raise ConnectionLost
            return super().read(min(size, 64))

    with pytest.raises(ConnectionLost):
        read_dataset(Failing(python2))


# --- not what was agreed


def part(images=None, labels=None):
    images = np.zeros((2, PIXELS), np.float32) if images is None else images
    return (images, np.zeros(2, np.int64) if labels is None else labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((part(), part()), "three"),
        (np.zeros(3), "three"),
        ((part(), part(), (np.zeros(2),)), "test part"),
        ((part(), part(np.zeros((2, 28, 28), np.float32)), part()), "valid part.*784"),
        ((part(np.zeros((2, PIXELS))), part(), part()), "float64"),
        ((part(labels=np.zeros(3, np.int64)), part(), part()), "labels of the train"),
        ((part(labels=np.zeros(2, np.int32)), part(), part()), "int32"),
        ((part(np.full((2, PIXELS), 2, np.float32)), part(), part()), r"\[0, 1\]"),
        ((part(np.full((2, PIXELS), np.nan, np.float32)), part(), part()), r"\[0, 1\]"),
        ((part(labels=np.array([0, 10])), part(), part()), "digits"),
        (
            (part(np.zeros((0, PIXELS), np.float32), np.zeros(0, np.int64)), part(), part()),
            "no pictures to train",
        ),
    ],
)
def test_what_is_not_as_agreed_is_named(content, message):
    with pytest.raises(InputError, match=message):
        read_dataset(packed(content))


def test_batches_are_float32_and_lose_no_row():
    whole = split(2500)
    cut = list(batches(whole, rows=1000))
    assert [len(labels) for _, labels in cut] == [1000, 1000, 500]
    assert all(x.dtype == y.dtype == np.float32 for x, y in cut)
    assert np.array_equal(np.concatenate([x for x, _ in cut]), whole.images)
    assert np.array_equal(np.concatenate([y for _, y in cut]), whole.labels)


def test_what_is_written_is_a_pickle_of_python_2(python2):
    raw = gzip.decompress(python2)
    instructions = list(pickletools.genops(raw))
    names = [op.name for op, _, _ in instructions]
    assert instructions[0][:2] == (instructions[0][0], 2)
    assert names[0] == "PROTO"
    assert max(op.proto for op, _, _ in instructions) == 2
    # Python 2 has no unicode in it, and Python 3 could not spell the strings in any other way.
    assert not {name for name in names if "UNICODE" in name or "BYTES" in name}
    assert {"SHORT_BINSTRING", "BINSTRING"} <= set(names)
    found = {argument for op, argument, _ in instructions if op.name == "GLOBAL"}
    assert found == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    pickletools.dis(raw, out=io.StringIO())  # checks the stack and the memo


def test_what_is_written_is_read_by_plain_pickle_too(python2, parts):
    with warnings.catch_warnings():
        # numpy 2 warns that numpy.core is where it was in numpy 1, which is what is wanted here.
        warnings.simplefilter("ignore", DeprecationWarning)
        content = pickle.loads(gzip.decompress(python2), encoding="latin1")
    assert isinstance(content, tuple)
    for (images, labels), wanted in zip(content, parts, strict=True):
        same(Split(images, labels), wanted)


def test_reading_imports_nothing_that_the_file_names():
    assert "this" not in sys.modules
    with pytest.raises(InputError):
        load_arrays(io.BytesIO(called("this", "d")))
    assert "this" not in sys.modules
