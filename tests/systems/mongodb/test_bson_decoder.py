"""BSON by the decoder in Rust: what the way for any document makes of it, for any bytes.

That all types are written alike is held in tests/systems/mongodb/test_bson_json.py; here are
columns, and bytes that are wrong.
"""

from __future__ import annotations

import datetime
import random
import struct
import uuid
from typing import Any

import bson
import numpy as np
import pyarrow as pa
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.move.documents import Block, typed_batches
from tradewind.systems.mongodb.bson_lines import BsonLines, split
from tradewind.systems.mongodb.extended_json import BsonValues
from tradewind.systems.mongodb.raw_documents import RawDocuments, decode, native_arrays

pytest.importorskip(
    "tradewind_native", reason="tradewind-native is not built: install Rust, then make test"
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KINDS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Int64),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False) | st.integers(-(1 << 54), 1 << 54).map(Int64),
    TEXTS,
    st.binary(max_size=8),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(10**14), 10**15).map(DatetimeMS),
    st.decimals(allow_nan=False, places=3, min_value=-(10**9), max_value=10**9).map(Decimal128),
    st.integers(-6176, 6111).map(lambda power: Decimal128(f"-12E{power}")),
    st.uuids().map(Binary.from_uuid),
    st.lists(st.none() | st.integers(-5, 5), max_size=3),
    st.lists(TEXTS, max_size=3),
    st.lists(st.uuids().map(Binary.from_uuid), max_size=2),
    st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.floats(), "c": st.lists(TEXTS)}),
    st.sampled_from([MaxKey(), Regex("a"), Code("x"), Timestamp(1, 2), Binary(b"a", 9), None]),
    st.sampled_from([1, "a", None, 2.5, [1], {"$a": 1}, {"a": None}]),
]


def raw(encoded: list[bytes]) -> RawDocuments:
    sizes = np.array([0, *map(len, encoded)], np.int64)
    return RawDocuments(b"".join(encoded), np.cumsum(sizes)[:-1], "MongoDB")


def table(documents: Any, **options: Any) -> Any:
    """What becomes of documents: columns, or the error's words."""
    values = BsonValues(canonical=options.pop("canonical", False))
    blocks = iter([Block(documents, 100), Block(documents, 100)])
    try:
        batches = typed_batches(blocks, values, sample=1, **options)
        made = [*batches]
    except InputError as error:
        return str(error)
    for batch in made:
        batch.validate(full=True)
    return str(batches.schema), [[str(array) for array in one.columns] for one in made]


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    fields = {f"f{at}": kind for at, kind in enumerate(kinds)}
    rows = draw(st.lists(st.fixed_dictionaries({}, optional=fields), min_size=1, max_size=5))
    return [dict(sorted(row.items(), reverse=draw(st.booleans()))) for row in rows]


@pytest.mark.parametrize("canonical", [False, True])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_columns_are_those_of_the_way_for_any_document(canonical, documents):
    encoded = [bson.encode(document) for document in documents]
    plain = decode(b"".join(encoded), "MongoDB")
    assert table(raw(encoded), canonical=canonical) == table(plain, canonical=canonical)


def test_what_is_plain_is_made_in_rust():
    moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 5000)
    key = uuid.UUID(int=7)
    documents = [
        {
            "_id": ObjectId(b"0" * 12),
            "whole": 5,
            "double": 5,
            "text": "é",
            "seen": moment,
            "fee": Decimal128("1.50"),
            "key": Binary.from_uuid(key),
            "tags": ["a", None],
            "inner": {"a": [1, 2.5]},
            "flag": True,
            "bytes": b"\0",
        },
        {"double": 0.5},
    ]
    encoded = raw([bson.encode(one) for one in documents])
    with_schema = table(encoded)
    assert isinstance(with_schema, tuple)
    schema = typed_batches(iter([Block(encoded, 1)]), BsonValues()).schema
    arrays = native_arrays(schema, [encoded], canonical=False)
    assert arrays is not None
    columns = dict(zip(schema.names, (array.to_pylist() for array in arrays), strict=True))
    assert columns == {
        "_id": ["30" * 12, None],
        "whole": [5, None],
        "double": [5.0, 0.5],
        "text": ["é", None],
        "seen": [moment.replace(tzinfo=datetime.UTC), None],
        "fee": ["1.50", None],
        "key": [str(key), None],
        "tags": [["a", None], None],
        "inner": ['{"a":[1,2.5]}', None],
        "flag": [True, None],
        "bytes": [b"\0", None],
    }
    longer = raw([bson.encode({"other": 1})])
    assert native_arrays(schema, [longer], canonical=False) is None, "a field without a column"
    assert native_arrays(schema, [encoded[1:], encoded[:1]], canonical=False) is not None
    assert encoded[1:][0] == documents[1]


def test_a_later_value_that_does_not_fit_is_told_as_ever():
    schema = pa.schema([pa.field("a", pa.int64())])
    documents = raw([bson.encode({"a": 1}), bson.encode({"a": "x"})])
    assert "hold the value 'x'" in table(documents, schema=schema)


EVERY = bson.encode(
    {
        "d": 1.5,
        "s": "text é",
        "o": {"a": {"b": [1, "x", None]}},
        "b": b"bytes",
        "i": ObjectId(b"1" * 12),
        "t": datetime.datetime(2024, 1, 1),
        "n": Int64(7),
        "m": Decimal128("1.25"),
        "z": Timestamp(3, 4),
    }
)


def mutated(seed: int) -> bytes:
    """Documents with some bytes changed; the outer lengths stay, as the reader checks those."""
    chance = random.Random(seed)
    data = bytearray(EVERY)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(4, len(data))
        match chance.randint(0, 3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 16)]
            case 3:
                data[at : at + 4] = chance.choice([b"\x7f\xff\xff\xff", b"\xff" * 4, bytes(4)])
    data[:4] = struct.pack("<i", len(data))
    return bytes(data)


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(3000)])]
)
def test_mutated_documents_are_alike_or_refused_alike(count):
    refused = 0
    schema = typed_batches(iter([Block(raw([EVERY]), 1)]), BsonValues()).schema
    for seed in range(count):
        document = mutated(seed)
        canonical = bool(seed % 2)
        ((part, starts),) = split(document, 1 << 20)
        lines, plain = BsonLines(canonical=canonical), BsonLines(canonical=canonical)
        plain._decoders, plain._rest = None, 1
        try:
            expected: bytes | None = plain.encode(part, starts)
        except Exception:
            expected = None
        try:
            found: bytes | None = lines.encode(part, starts)
        except Exception:
            found = None
        assert found == expected, seed
        refused += expected is None
        arrays = native_arrays(schema, [raw([document])], canonical=canonical)
        if arrays is not None:
            (batch,) = typed_batches(
                iter([Block(decode(document, ""), 1)]),
                BsonValues(canonical=canonical),
                schema=schema,
            )
            rows = [str(array) for array in arrays]
            assert [str(one) for one in batch.columns] == rows, seed
    assert refused > count / 4
