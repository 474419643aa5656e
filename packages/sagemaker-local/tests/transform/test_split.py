"""Payloads of batch transform, from streams cut at any place."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_local.errors import InputError
from sagemaker_local.transform.split import gunzip, payloads, splitter
from tradewind.systems.sagemaker import recordio

LIMIT = 64


async def pieces(data: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def cut(
    data: bytes, split: str, *, multi: bool, sizes: list[int] | None = None, limit: int = LIMIT
) -> list[bytes]:
    async def main() -> list[bytes]:
        chunks = pieces(data, sizes or [])
        return [p async for p in payloads(chunks, splitter(split, multi=multi, limit=limit))]

    return asyncio.run(main())


sizes = st.lists(st.integers(0, 40), max_size=20)
lines = st.lists(st.text("ab,1", max_size=LIMIT), max_size=30)


@given(lines, sizes, st.booleans())
def test_single_lines(rows: list[str], sizes: list[int], closed: bool) -> None:
    data = ("\n".join(rows) + ("\n" if closed else "")).encode()
    expected = [row.encode() for row in rows if row]
    assert cut(data, "Line", multi=False, sizes=sizes) == expected


@given(lines, sizes, st.booleans())
def test_many_lines_fill_payloads(rows: list[str], sizes: list[int], closed: bool) -> None:
    data = ("\n".join(rows) + ("\n" if closed else "")).encode()
    found = cut(data, "Line", multi=True, sizes=sizes)
    assert all(len(payload) <= LIMIT for payload in found)
    kept = [line for payload in found for line in payload.split(b"\n") if line]
    assert kept == [row.encode() for row in rows if row]
    # Nothing that would have fitted into the payload before it begins a new one.
    for before, after in itertools.pairwise(found):
        assert len(before) + 1 + len(after.split(b"\n")[0]) >= LIMIT - 1


@given(st.integers(0, 12), sizes, st.booleans())
def test_recordio_frames(rows: int, sizes: list[int], multi: bool) -> None:
    features = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    data = b"".join(bytes(chunk) for chunk in recordio.encode([features]))
    found = cut(data, "RecordIO", multi=multi, sizes=sizes, limit=150)
    assert b"".join(found) == data
    read = [len(batch.features) for p in found for batch in recordio.decode([p])]
    if multi:
        assert len(found) <= max(1, rows // 2 + 1)
    else:
        assert read == [1] * rows


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize("split", ["None", "Line"])
def test_a_record_beyond_the_limit_is_refused(split: str, multi: bool) -> None:
    with pytest.raises(InputError, match="Too much data for max payload size"):
        cut(b"a\n" + b"x" * (LIMIT + 10) + b"\nb\n", split, multi=multi)


def test_what_is_no_recordio_is_refused() -> None:
    with pytest.raises(InputError, match="magic"):
        cut(b"1,2,3\n4,5,6\n", "RecordIO", multi=True)
    frame = bytes(recordio.encode_batch(np.zeros((1, 3), np.float32)))
    with pytest.raises(InputError, match="cut off"):
        cut(frame + frame[:20], "RecordIO", multi=False)


def test_an_object_as_a_whole() -> None:
    assert cut(b"1,2\n3,4\n", "None", multi=True, sizes=[3, 1]) == [b"1,2\n3,4\n"]
    assert cut(b"", "None", multi=True) == []


@given(st.lists(st.binary(max_size=200), max_size=4), sizes)
def test_gzip_of_several_members(texts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(gzip.compress(text, mtime=0) for text in texts)

    async def main() -> bytes:
        return b"".join([part async for part in gunzip(pieces(data, sizes))])

    assert asyncio.run(main()) == b"".join(texts)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-5]])
def test_broken_gzip_is_refused(data: bytes) -> None:
    async def main() -> None:
        async for _ in gunzip(pieces(data, [5])):
            pass

    with pytest.raises(InputError, match="gzip"):
        asyncio.run(main())
