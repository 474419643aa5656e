"""The RecordIO-protobuf codec: what it writes, what it reads, what it refuses."""

from __future__ import annotations

import io
import struct
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clients import clients_python
from tradewind.errors import CorruptDataError, InputError
from tradewind.systems.sagemaker import protobuf as _protobuf
from tradewind.systems.sagemaker import recordio

FLOATS = np.random.default_rng(7).random((5, 784), dtype=np.float32)


def encoded(*batches):
    return b"".join(bytes(chunk) for chunk in recordio.encode(batches))


def decoded(data, size=4096, step=None):
    step = step or max(1, len(data))
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return list(recordio.decode(pieces, batch_size=size))


def test_a_labelled_float32_row_is_the_published_layout():
    label = np.array([5], dtype=np.float32)
    data = encoded((FLOATS[:1], label))
    assert len(data) == 3184
    assert data[:8] == bytes.fromhex("0a23d7ce680c0000")
    assert data[8:24] == bytes.fromhex("0ad1180a06") + b"values" + bytes.fromhex(
        "12c618 12c3".replace(" ", "")
    )
    assert data[24:29] == bytes.fromhex("180ac01800")[:4] + FLOATS[:1].tobytes()[:1]
    assert data.endswith(
        bytes.fromhex("12120a06") + b"values" + bytes.fromhex("120812060a04") + label.tobytes()
    )


def test_an_unlabelled_float32_row_is_the_published_layout():
    data = encoded(FLOATS[:1])
    assert len(data) == 3164
    assert data[4:8] == bytes.fromhex("540c0000")
    assert FLOATS[:1].tobytes() in data


SDK_SCRIPT = """
import io, sys, pathlib
import numpy as np
from sagemaker.amazon.common import write_numpy_to_dense_tensor
out = pathlib.Path(sys.argv[1])
for source in sorted(out.glob("*.npz")):
    arrays = np.load(source)
    labels = arrays["labels"] if "labels" in arrays else None
    with open(source.with_suffix(".sdk"), "wb") as file:
        write_numpy_to_dense_tensor(file, arrays["features"], labels)
"""


@pytest.mark.clients
def test_writes_byte_for_byte_what_the_sagemaker_sdk_writes(tmp_path: Path):
    random = np.random.default_rng(1)
    features = {
        "f4": random.random((9, 784), dtype=np.float32),
        "f8": random.standard_normal((9, 5)),
        "i8": random.integers(-(2**31), 2**31, (9, 33)),
        "small": random.integers(0, 256, (9, 784)),
        "one": random.random((1, 1), dtype=np.float32),
        "extreme": np.array([[-(2**31), 2**31 - 1, 0, -1, 127, 128, 16383, 16384]] * 9),
        "special": np.array([[np.nan, np.inf, -np.inf, -0.0]] * 9, dtype=np.float32),
    }
    labels = {
        "none": None,
        "f4": random.random(9, dtype=np.float32),
        "f8": random.random(9),
        "i8": np.array([0, 1, 127, 128, -1, 2**31 - 1, -(2**31), 9, 300]),
    }
    cases = {}
    for what, array in features.items():
        for kind, label in labels.items():
            marks = None if label is None else label[: len(array)]
            arrays = {"features": array} if marks is None else {"features": array, "labels": marks}
            np.savez(tmp_path / f"{what}-{kind}.npz", **arrays)
            cases[f"{what}-{kind}"] = (array, marks)
    subprocess.run([clients_python(), "-c", SDK_SCRIPT, tmp_path], check=True, capture_output=True)
    for name, (array, marks) in cases.items():
        assert encoded((array, marks)) == (tmp_path / f"{name}.sdk").read_bytes(), name


shapes = st.tuples(st.integers(1, 12), st.integers(1, 40))
arrays = st.sampled_from([np.float32, np.float64, np.int32]).flatmap(
    lambda dtype: shapes.flatmap(lambda shape: hnp.arrays(dtype, shape))
)


@settings(deadline=None)
@given(
    features=arrays,
    label=st.sampled_from([None, np.float32, np.float64, np.int32]),
    step=st.integers(1, 400),
    size=st.integers(1, 15),
    data=st.data(),
)
def test_reads_back_what_it_wrote_however_the_stream_is_cut(features, label, step, size, data):
    labels = None if label is None else data.draw(hnp.arrays(label, len(features)))
    stream = encoded((features, labels))
    batches = decoded(stream, size=size, step=step)
    assert [len(batch.features) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    back = np.concatenate([batch.features for batch in batches])
    assert back.dtype == features.dtype
    assert back.tobytes() == features.tobytes()
    if labels is None:
        assert all(batch.labels is None for batch in batches)
    else:
        marks = np.concatenate([batch.labels for batch in batches])
        assert marks.dtype == labels.dtype
        assert marks.tobytes() == labels.tobytes()


def test_takes_arrays_in_any_memory_order_and_batches_in_any_number():
    wide = np.asfortranarray(FLOATS)
    big_endian = FLOATS.astype(">f4").astype(np.float32)
    assert encoded(wide[:2], wide[2:2], wide[2:]) == encoded(FLOATS) == encoded(big_endian)
    assert encoded() == b""
    assert decoded(b"") == []
    assert decoded(encoded(FLOATS[::2]))[0].features.tobytes() == FLOATS[::2].tobytes()


def test_a_batch_of_its_own_is_writable_and_does_not_hold_the_stream():
    (batch,) = decoded(encoded((FLOATS, np.arange(5, dtype=np.float32))))
    batch.features[0, 0] = 9
    assert batch.features.flags.owndata or batch.features.base.nbytes == batch.features.nbytes


def test_reads_from_a_file():
    file = io.BytesIO(encoded(FLOATS))
    sizes = [len(batch.features) for batch in recordio.read(file, batch_size=2)]
    assert sizes == [2, 2, 1]


def test_output_comes_in_bounded_chunks_of_whole_frames():
    many = np.zeros((9000, 784), dtype=np.float32)
    chunks = [bytes(chunk) for chunk in recordio.encode([many])]
    assert len(chunks) > 3
    assert max(map(len, chunks)) <= recordio.CHUNK_BYTES
    assert all(chunk[:4] == bytes.fromhex("0a23d7ce") for chunk in chunks)


def test_memory_is_that_of_a_batch_however_long_the_stream():
    rows = np.ones((2000, 784), dtype=np.float32)

    def peak(batches: int) -> int:
        tracemalloc.start()
        count = 0
        for batch in recordio.decode(recordio.encode(rows for _ in range(batches))):
            count += len(batch.features)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == batches * len(rows)
        return most

    assert peak(24) < 1.1 * peak(6)


@pytest.mark.parametrize("cut", [1, 4, 7, 8, 9, 100, 3183])
def test_a_stream_that_was_cut_off_names_where_its_last_record_begins(cut):
    data = encoded((FLOATS[:3], np.zeros(3, dtype=np.float32)))
    with pytest.raises(CorruptDataError, match="offset 6368") as caught:
        decoded(data[: 2 * 3184 + cut], step=1000)
    assert caught.value.offset == 6368


@pytest.mark.parametrize(
    ("at", "byte", "message"),
    [
        (0, 0x0B, "no record begins here"),
        (7, 0x20, "several parts"),
        (7, 0x1F, "over the limit"),
        (8, 0x0F, "not sound"),
        (9, 0xFF, "not sound"),
        (19, 0x7A, "has no value"),
    ],
)
def test_a_damaged_frame_is_refused_naming_its_offset(at, byte, message):
    data = bytearray(encoded(FLOATS))
    data[3164 + at] = byte
    with pytest.raises(CorruptDataError, match=message) as caught:
        decoded(bytes(data), step=911)
    assert caught.value.offset == 3164


def test_padding_that_is_not_zero_is_refused():
    data = bytearray(encoded(np.array([[1]], dtype=np.int32)))
    assert data[-1] == 0
    data[-1] = 1
    with pytest.raises(CorruptDataError, match="padding"):
        decoded(bytes(data))


def test_a_damaged_length_does_not_make_it_wait_for_gigabytes():
    data = struct.pack("<II", 0xCED7230A, 0x1FFFFFFF)

    def endless():
        yield data
        raise AssertionError("it asked for more")

    with pytest.raises(CorruptDataError, match="over the limit"):
        list(recordio.decode(endless()))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((FLOATS[:1, :10], None), "10 float32 values and no label follows records of 784 float32"),
        ((FLOATS[:1].astype(np.float64), None), "float64"),
        ((FLOATS[:1], np.zeros(1, dtype=np.float32)), "a float32 label follows"),
    ],
)
def test_rows_of_another_kind_in_one_stream_are_refused(second, message):
    with pytest.raises(CorruptDataError, match=message) as caught:
        decoded(encoded(FLOATS, second))
    assert caught.value.offset == 5 * 3164


def tensor_record(where: int, key: bytes, body: bytes, tag: int = 2) -> bytes:
    def field(number: int, content: bytes) -> bytes:
        return _protobuf.varint(number << 3 | 2) + _protobuf.varint(len(content)) + content

    return field(where, field(1, key) + field(2, field(tag, body)))


ONE = b"\x0a\x04" + struct.pack("<f", 1.0)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (tensor_record(1, b"values", ONE + b"\x12\x01\x05"), "sparse"),
        (tensor_record(1, b"values", b"\x0a\x03abc", tag=9), "bytes"),
        (tensor_record(1, b"pixels", ONE), "'pixels'"),
        (tensor_record(1, b"values", b""), "empty tensor"),
        (b"", "features none"),
        (
            tensor_record(1, b"values", ONE) + tensor_record(2, b"values", b"\x0a\x08" + bytes(8)),
            "label of 2 values",
        ),
    ],
)
def test_sound_records_of_other_kinds_get_a_clear_error(payload, message):
    with pytest.raises(InputError, match=message):
        decoded(recordio.frame(payload))


def test_other_valid_spellings_of_the_same_record_are_read():
    unpacked = b"".join(b"\x0d" + struct.pack("<f", value) for value in (1.0, 2.0))
    split = b"\x0a\x04" + struct.pack("<f", 1.0) + b"\x0a\x04" + struct.pack("<f", 2.0)
    shaped = b"\x0a\x08" + struct.pack("<ff", 1.0, 2.0) + b"\x1a\x01\x02"
    uid = b"\x1a\x03abc"
    for body in (unpacked, split, shaped):
        data = recordio.frame(tensor_record(1, b"values", body) + uid)
        (batch,) = decoded(data * 3)
        assert batch.features.tolist() == [[1.0, 2.0]] * 3


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros(3, dtype=np.float32), None, r"shape \(3,\)"),
        (np.zeros((3, 0), dtype=np.float32), None, r"shape \(3, 0\)"),
        (np.zeros((3, 2), dtype=np.uint8), None, "type uint8; convert"),
        (np.zeros((3, 2), dtype=object), None, "type object"),
        (np.full((3, 2), 2**31), None, "2147483648, which does not fit"),
        (FLOATS, np.zeros(4, dtype=np.float32), r"labels have shape \(4,\)"),
        (FLOATS, np.full(5, -(2**31) - 1), "-2147483649"),
        (FLOATS, np.array(["a"] * 5), "labels are of type"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(features, labels, message):
    with pytest.raises(InputError, match=message):
        recordio.encode_batch(features, labels)
    with pytest.raises(InputError, match=message):
        encoded((features, labels))


def test_all_public_names_are_listed():
    public = {
        name
        for name, value in vars(recordio).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == recordio.__name__
    }
    constants = {name for name in vars(recordio) if name.isupper() and not name.startswith("_")}
    assert set(recordio.__all__) == public | constants
