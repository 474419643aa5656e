"""The reader of RecordIO, held against Tradewind's codec, which shares no line with it."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sagemaker_local.recordio import RecordIOError, decode
from tradewind.errors import InputError as CodecError
from tradewind.systems.sagemaker import recordio

KINDS = st.sampled_from([np.float32, np.float64, np.int32])
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def encoded(rows: Any, labels: Any = None) -> bytes:
    return b"".join(bytes(chunk) for chunk in recordio.encode([(rows, labels)]))


def entry(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, of fewer than 128."""
    return bytes([number << 3 | 2, len(content)]) + content


def record(tensor: bytes, kind: int = 2, key: bytes = b"values", where: int = 1) -> bytes:
    return entry(where, entry(1, key) + entry(2, entry(kind, tensor)))


def read(*records: bytes) -> np.ndarray:
    return np.concatenate(list(decode([b"".join(map(recordio.frame, records))])))


@given(st.data(), KINDS, st.integers(1, 9), st.integers(1, 7), st.integers(1, 400))
def test_what_the_codec_writes_is_read(
    data: st.DataObject, kind: Any, columns: int, batch: int, step: int
) -> None:
    rows = data.draw(hnp.arrays(kind, st.tuples(st.integers(1, 40), st.just(columns))))
    labels = data.draw(st.none() | hnp.arrays(data.draw(KINDS), len(rows)))
    batches = list(decode(cut(encoded(rows, labels), step), batch_size=batch))
    assert [len(found) for found in batches[:-1]] == [batch] * (len(batches) - 1)
    assert {found.dtype for found in batches} == {rows.dtype}
    assert np.concatenate(batches).tobytes() == rows.tobytes()


@settings(max_examples=300)
@given(st.data(), KINDS)
def test_damage_is_an_error_or_is_read_as_the_codec_reads_it(
    data: st.DataObject, kind: Any
) -> None:
    body = bytearray(encoded(ROWS.astype(kind), np.ones(4, np.float32)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(len(body) // 2, len(body)))]
    try:
        expected = b"".join(found.features.tobytes() for found in recordio.decode([bytes(body)]))
    except CodecError:
        expected = None
    found = None
    with contextlib.suppress(RecordIOError):
        found = b"".join(rows.tobytes() for rows in decode([bytes(body)]))
    # Labels are read more strictly there.
    assert None in (found, expected) or found == expected


def test_values_in_several_pieces_and_not_packed() -> None:
    whole = np.arange(4, dtype="<f4")
    first, last = whole[:1].tobytes(), whole[1:].tobytes()
    packed = entry(1, whole.tobytes())
    assert (read(record(packed), record(entry(1, first) + entry(1, last))) == [whole] * 2).all()
    single = b"".join(b"\x0d" + struct.pack("<f", value) for value in whole)
    assert (read(record(single), record(packed), record(packed)) == [whole] * 3).all()
    integers = b"\x08\x05" + b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    assert (read(record(integers, 7), record(entry(1, b"\x05\x07"), 7)) == [[5, -1], [5, 7]]).all()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "no features"),
        (record(entry(1, bytes(8)), key=b"other"), "the entry 'other'"),
        (record(entry(1, bytes(8))) * 2, "the entry 'values'"),
        (record(entry(1, bytes(8)), where=2), "no features"),
        (record(entry(1, bytes(8)) + entry(2, b"\0\1")), "sparse"),
        (record(entry(1, bytes(8)) + entry(3, b"\3")), "do not fill"),
        (record(entry(1, b"jpeg"), kind=9), "bytes"),
        (record(b""), "empty tensor"),
        (record(entry(1, bytes(7))), "no whole number of float32"),
        (record(entry(1, b"\xff"), 7), "cut off"),
        (record(entry(1, b"\x80" * 10 + b"\1"), 7), "longer than 10 bytes"),
        (b"\x0a\x7f", "not sound"),
        (b"\x0b", "wire type 3"),
        (record(entry(1, bytes(8)))[:-1], "not sound"),
    ],
)
def test_what_is_no_dense_row_is_refused(payload: bytes, words: str) -> None:
    with pytest.raises(RecordIOError, match=words):
        read(record(entry(1, bytes(12))), payload)


def test_rows_of_another_kind_are_refused() -> None:
    for other in (record(entry(1, bytes(4))), record(entry(1, bytes(8)), 3)):
        with pytest.raises(RecordIOError, match=r"follows records of 2 float32 .* offset 32"):
            read(record(entry(1, bytes(8))), other)


def test_a_broken_frame_names_its_place() -> None:
    data = encoded(ROWS)
    size = len(data) // 4
    for body, words in (
        (data[:-1], f"cut off .at byte offset {3 * size}"),
        (data[:size] + b"1,2,3", f"found 312c322c.*offset {size}"),
        (data[:4] + b"\xff\xff\xff\xff" + data[8:], "several parts"),
        (data[:4] + b"\xff\xff\xff\x0f" + data[8:], "a record says it has"),
        (recordio.frame(b"x")[:-1] + b"\1", "padding"),
    ):
        with pytest.raises(RecordIOError, match=words):
            list(decode(cut(body, 10)))
