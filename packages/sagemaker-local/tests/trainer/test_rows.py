import gzip
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local.channels import CSV, RECORDIO, Channel
from sagemaker_local.errors import InputError, RetryError
from sagemaker_local.objects import ObjectInfo, S3Uri
from sagemaker_local.trainer.rows import prefetch, read_rows
from training_jobs import csv_bytes, recordio_bytes

ROWS = np.arange(60, dtype=np.float32).reshape(12, 5) / 8


def read(content, *, kind=RECORDIO, labels=0, gzipped=False, features=5, size=7):
    """Read objects given as {key: bytes}, cut into chunks of some size."""
    found = Channel("train", kind, labels, False, gzipped, False, None, ())
    infos = [ObjectInfo(S3Uri("bucket", key), len(body)) for key, body in content.items()]

    def chunks(info):
        body = content[info.uri.key]
        return (body[at : at + size] for at in range(0, len(body), size))

    batches = list(read_rows(found, infos, features, chunks))
    assert all(len(batch) for batch in batches)
    return np.concatenate(batches) if batches else np.empty((0, features))


def test_rows_of_several_objects_in_recordio_of_any_type():
    for dtype in (np.float32, np.float64, np.int32):
        rows = (ROWS * 8).astype(dtype)
        content = {"a": recordio_bytes(rows[:5]), "b": b"", "c": recordio_bytes(rows[5:])}
        result = read(content)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, rows)


def test_labels_are_left_away():
    content = {"a": recordio_bytes(ROWS, np.ones(12, np.float32))}
    np.testing.assert_array_equal(read(content), ROWS)
    np.testing.assert_array_equal(
        read({"a": csv_bytes(ROWS)}, kind=CSV, labels=2, features=3), ROWS[:, 2:]
    )


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_csv_whatever_the_line_ends_and_chunks(ending, size):
    body = b"\xef\xbb\xbf" + csv_bytes(ROWS).replace(b"\n", ending) + ending
    for text in (body, body.rstrip()):
        size = max(size, 3)
        np.testing.assert_array_equal(read({"a": text}, kind=CSV, size=size), ROWS)


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3,
                      max_size=3), min_size=1, max_size=30),
    st.integers(3, 50),
)  # fmt: skip
def test_csv_keeps_every_digit(rows, size):
    expected = np.array(rows, np.float64)
    result = read({"a": csv_bytes(expected)}, kind=CSV, features=3, size=size)
    np.testing.assert_array_equal(result, expected)


def test_large_csv_comes_in_small_batches():
    rows = np.random.default_rng(0).random((40_000, 10))
    found = Channel("train", CSV, 0, False, False, False, None, ())
    body = csv_bytes(rows)
    info = ObjectInfo(S3Uri("bucket", "a"), len(body))
    batches = list(read_rows(found, [info], 10, lambda _: iter([body])))
    assert max(map(len, batches)) < 10_000
    np.testing.assert_array_equal(np.concatenate(batches), rows)


@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_gzip_of_one_and_of_several_members(size):
    data = csv_bytes(ROWS)
    for body in (gzip.compress(data, mtime=0), gzip.compress(data[:50]) + gzip.compress(data[50:])):
        np.testing.assert_array_equal(read({"a": body}, kind=CSV, gzipped=True, size=size), ROWS)


def test_a_gzip_bomb_is_read_piece_by_piece():
    rows = np.zeros((400_000, 5), np.float32)
    body = gzip.compress(recordio_bytes(rows), mtime=0)
    found = Channel("train", RECORDIO, 0, False, True, False, None, ())
    info = ObjectInfo(S3Uri("bucket", "a"), len(body))
    batches = read_rows(found, [info], 5, lambda _: iter([body]))
    assert sum(len(batch) for batch in batches) == 400_000


GOOD = recordio_bytes(ROWS)


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        (GOOD[:-1], {}, "cut off.*offset"),
        (GOOD[:100] + b"\0\0\0\0" + GOOD[104:], {}, "byte offset"),
        (b"1,2,3,4,5\n", {}, "no record begins here.*offset 0"),
        (recordio_bytes(ROWS[:, :4]), {}, "row 1 has 4 features, .* feature_dim is 5"),
        (csv_bytes(ROWS), {"kind": CSV, "labels": 1}, "row 1 has 5 columns.*label_size=1 need 6"),
        (csv_bytes(ROWS) + b"1,2\n", {"kind": CSV}, "row 13 has 2 columns"),
        (b"a,b,c,d,e\n" + csv_bytes(ROWS), {"kind": CSV}, "no number.*'a'"),
        (GOOD, {"kind": CSV}, "columns"),
        (b"1,2,3,4,nan\n", {"kind": CSV}, r"row 1 holds .* \(feature 5\)"),
        (b"1,2,3,4,5\n1,-inf,3,4,5\n", {"kind": CSV}, r"row 2 holds .* \(feature 2\)"),
        (b"1,2,3,4,1e39\n", {"kind": CSV}, "row 1 holds"),
        (recordio_bytes(np.where(ROWS == 1, np.nan, ROWS)), {}, r"row 2 holds .* \(feature 4\)"),
        (b"plain", {"gzipped": True}, "gzip compression is damaged"),
        (gzip.compress(GOOD, mtime=0)[:-9], {"gzipped": True}, "gzip compression is cut off"),
        (
            gzip.compress(GOOD, mtime=0)[:-5] + b"12345",
            {"gzipped": True},
            "gzip compression is damaged",
        ),
    ],
)
def test_wrong_data_name_channel_object_and_place(body, options, words):
    with pytest.raises(InputError, match=words) as raised:
        read({"folder/a": body}, **options)
    assert "data channel 'train'" in str(raised.value)
    assert "s3://bucket/folder/a" in str(raised.value)


def test_errors_of_the_store_stay_what_they_are():
    found = Channel("train", RECORDIO, 0, False, False, False, None, ())

    def broken(_):
        yield GOOD[:100]
        raise RetryError("S3 went away")

    with pytest.raises(RetryError, match="S3 went away"):
        list(read_rows(found, [ObjectInfo(S3Uri("bucket", "a"), 1)], 5, broken))


def test_prefetch_hands_on_items_and_errors_in_order():
    def items():
        yield from range(10)
        raise RetryError("late")

    taken = prefetch(items())
    assert [next(taken) for _ in range(10)] == list(range(10))
    with pytest.raises(RetryError, match="late"):
        next(taken)


def test_prefetch_reads_no_further_than_its_depth_and_ends_its_thread():
    made = []
    held = threading.Event()

    def items():
        for number in range(1000):
            made.append(number)
            if number == 4:
                held.set()
            yield number

    before = set(threading.enumerate())
    taken = prefetch(items(), depth=2)
    assert [next(taken), next(taken)] == [0, 1]
    assert held.wait(10)
    (thread,) = set(threading.enumerate()) - before
    taken.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(made) <= 6
