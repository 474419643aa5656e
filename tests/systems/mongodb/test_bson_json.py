"""BSON as extended JSON: what MongoDB's own json_util writes, by the fast way and the slow one."""

from __future__ import annotations

import datetime
import json
import re
import struct
import uuid
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    json_util,
)
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import CorruptDataError, InputError
from tradewind.systems.mongodb import bson_lines as _bson_lines
from tradewind.systems.mongodb.bson_lines import BsonLines, split
from tradewind.systems.mongodb.extended_json import BsonValues

DECODING: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
OPTIONS = {False: json_util.RELAXED_JSON_OPTIONS, True: json_util.CANONICAL_JSON_OPTIONS}
ENOUGH = 200

doubles = st.floats(allow_nan=True, allow_infinity=True)
dates = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-(10**11), 10**13)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 31), (1 << 31) - 1)
    | st.integers(-(1 << 63), (1 << 63) - 1).map(Int64)
    | doubles
    | texts
    | st.binary(max_size=60)
    | st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([3, 4, 5, 128]))
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | dates.map(DatetimeMS)
    | st.decimals(allow_nan=True, places=2, min_value=-(10**9), max_value=10**9).map(Decimal128)
    | st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1)).map(
        lambda pair: Decimal128.from_bid(struct.pack("<QQ", *pair))
    )
    | st.builds(Timestamp, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
    | st.sampled_from([MinKey(), MaxKey(), Regex("a/b", "imsx"), Code("x"), Code("x", {"a": 1.5})])
    | st.builds(DBRef, st.just("other"), st.integers(0, 9), st.none() | st.just("db"))
)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6
).filter(lambda name: not name.startswith("$"))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=8)


def written(encoded: list[bytes], *, canonical: bool, slow: bool = False) -> list[bytes]:
    """The lines of documents, in one part: alike in Python and, where it is built, in Rust."""
    lines, native = BsonLines(canonical=canonical), BsonLines(canonical=canonical)
    lines._decoders = None
    if slow:
        lines._rest = 1
    ((part, starts),) = split(b"".join(encoded), 1 << 30)
    try:
        text = lines.encode(part, starts)
    except bson.errors.InvalidBSON as error:
        with pytest.raises(type(error)):
            native.encode(part, starts)
        raise
    assert text.endswith(b"\n")
    assert native.encode(part, starts) == text
    return text[:-1].split(b"\n")


def meant(text: bytes | str) -> Any:
    """What a JSON text says, exactly: NaN is no JSON and equal to nothing."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse, parse_float=lambda one: repr(float(one)))


@pytest.fixture(autouse=True)
def always_by_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bson_lines, "_FEW", 1)


@pytest.mark.parametrize("canonical", [False, True])
@settings(max_examples=80, deadline=None)
@given(st.lists(documents, min_size=1, max_size=4))
def test_any_document_as_json_util_writes_it(canonical: bool, found: list[dict[str, Any]]) -> None:
    encoded = [bson.encode(document) for document in found]
    expected = [
        json_util.dumps(bson.decode(one, DECODING), json_options=OPTIONS[canonical])
        for one in encoded
    ]
    fast = written(encoded, canonical=canonical)
    assert [meant(line) for line in fast] == [meant(line) for line in expected]
    assert fast == written(encoded, canonical=canonical, slow=True)


@pytest.mark.parametrize("canonical", [False, True])
@settings(max_examples=50, deadline=None)
@given(documents)
def test_comes_back_from_json(canonical: bool, document: dict[str, Any]) -> None:
    encoded = bson.encode(document)
    ours = BsonValues(canonical=canonical).dumps(bson.decode(encoded, DECODING))
    options = json_util.JSONOptions(
        json_mode=OPTIONS[canonical].json_mode,
        datetime_conversion=DatetimeConversion.DATETIME_MS,
    )
    again = json_util.loads(ours.decode(), json_options=options)
    theirs = json_util.dumps(bson.decode(encoded, DECODING), json_options=OPTIONS[canonical])
    assert bson.encode(again) == bson.encode(json_util.loads(theirs, json_options=options))


row = st.fixed_dictionaries(
    {
        "_id": st.binary(min_size=12, max_size=12).map(ObjectId),
        "whole": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": st.integers(-(1 << 63), (1 << 63) - 1).map(Int64),
        "text": texts,
        "double": doubles,
        "seen": dates.map(DatetimeMS),
        "fee": st.decimals(allow_nan=True, places=2, max_value=10**15, min_value=-(10**15)).map(
            Decimal128
        )
        | st.integers(-(10**9), 10**9).map(lambda number: Decimal128(f"{number}E-6")),
        "active": st.booleans(),
        "inner": st.fixed_dictionaries({"uuid": st.uuids().map(Binary.from_uuid), "name": texts}),
        "tags": st.lists(texts, max_size=2),
        "none": st.none(),
    }
)


@pytest.mark.parametrize("canonical", [False, True])
@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=5, max_size=40))
def test_rows_of_few_shapes(canonical: bool, found: list[dict[str, Any]]) -> None:
    encoded = [bson.encode(document) for document in found]
    fast = written(encoded, canonical=canonical)
    assert fast == written(encoded, canonical=canonical, slow=True)
    expected = [
        json_util.dumps(bson.decode(one, DECODING), json_options=OPTIONS[canonical])
        for one in encoded
    ]
    assert [meant(line) for line in fast] == [meant(line) for line in expected]


MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 58, 120_000)
EVERY_TYPE = {
    "double": 1.5,
    "negative zero": -0.0,
    "tiny": 5e-324,
    "as near to two": 1.5000686645507812,
    "large": 1.7976931348623157e308,
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "string": 'a "quoted" \\ \x00 \x1f \n \x7f Zoë \N{PILE OF POO}',
    "empty": "",
    "document": {"a": {"b": {}}},
    "array": [1, [2, []]],
    "binary": b"\x00\xff",
    "binary with type": Binary(b"abc", 128),
    "uuid": Binary.from_uuid(uuid.UUID(int=5)),
    "old uuid": Binary(bytes(16), 3),
    "id": ObjectId("0123456789abcdef01234567"),
    "true": True,
    "date": MOMENT,
    "date without milliseconds": MOMENT.replace(microsecond=0),
    "date before 1970": datetime.datetime(1969, 12, 31),
    "date 9999": DatetimeMS(253402300799999),
    "date 10000": DatetimeMS(253402300800000),
    "first date": DatetimeMS(-(1 << 63)),
    "null": None,
    "regex": Regex("^a/b$", "imsx"),
    "code": Code("function () {}"),
    "code with scope": Code("x", {"n": float("nan")}),
    "int": -5,
    "timestamp": Timestamp(5, 6),
    "long": Int64(5),
    "longest": Int64((1 << 63) - 1),
    "decimal": Decimal128("-0.00120"),
    "whole decimal": Decimal128("-0"),
    "large decimal": Decimal128("1234567890123456789012345678901234E+100"),
    "decimal nan": Decimal128("NaN"),
    "reference": DBRef("other", ObjectId(), "db", extra=1),
    "lowest": MinKey(),
    "highest": MaxKey(),
}


@pytest.mark.parametrize("name", EVERY_TYPE)
@pytest.mark.parametrize("canonical", [False, True])
def test_every_type(name: str, canonical: bool) -> None:
    encoded = bson.encode({"value": EVERY_TYPE[name]})
    expected = json_util.dumps(bson.decode(encoded, DECODING), json_options=OPTIONS[canonical])
    for slow in (False, True):
        (line,) = written([encoded], canonical=canonical, slow=slow)
        assert meant(line) == meant(expected)


def element(kind: int, data: bytes) -> bytes:
    body = bytes([kind]) + b"v\0" + data + b"\0"
    return struct.pack("<i", len(body) + 4) + body


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (element(0x06, b""), b'{"v":null}'),  # undefined
        (element(0x0E, b"\x02\0\0\0a\0"), b'{"v":"a"}'),  # symbol
        (
            element(0x0C, b"\x02\0\0\0a\0" + bytes(12)),  # pointer
            b'{"v":{"$ref":"a","$id":{"$oid":"000000000000000000000000"}}}',
        ),
    ],
)
def test_deprecated_types(encoded: bytes, expected: bytes) -> None:
    assert written([encoded], canonical=False) == [expected]


def test_equal_names_in_one_document() -> None:
    body = b"\x10a\0\x01\0\0\0\x10a\0\x02\0\0\0\0"
    assert written([struct.pack("<i", len(body) + 4) + body], canonical=False) == [b'{"a":2}']


def test_text_that_is_not_utf8() -> None:
    good = element(0x02, b"\x03\0\0\0ab\0")
    bad = element(0x02, b"\x03\0\0\0\xc3\x28\0")
    with pytest.raises(bson.errors.InvalidBSON, match="utf-8"):
        written([good] * ENOUGH + [bad], canonical=False)


def test_a_character_cut_between_two_documents() -> None:
    halves = [element(0x02, b"\x02\0\0\0" + half + b"\0") for half in (b"\xc3", b"\xb6")]
    with pytest.raises(bson.errors.InvalidBSON, match="utf-8"):
        written(halves, canonical=False)


@pytest.mark.parametrize("cut", [1, 4, 10])
def test_documents_cut_off(cut: int) -> None:
    data = bson.encode({"a": "text"}) * 3
    with pytest.raises(CorruptDataError, match="offset"):
        list(split(data[:-cut], 1 << 20))


def test_order_is_kept_among_shapes() -> None:
    found = [{"n": n} if n % 3 else {"n": n, "more": str(n)} for n in range(1000)]
    found[500] = {"n": 500, "strange": Regex("x")}
    lines = written([bson.encode(one) for one in found], canonical=False)
    assert [json.loads(line)["n"] for line in lines] == list(range(1000))


def test_shapes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bson_lines, "_FEW", 64)
    monkeypatch.setattr(BsonLines, "_one_by_one", None)
    encoded = [bson.encode({"a": n, "b": [str(n)] * (n % 3)}) for n in range(3000)]
    lines = written(encoded, canonical=False)
    assert [json.loads(line)["a"] for line in lines] == list(range(3000))


def test_documents_without_a_common_shape() -> None:
    lines = BsonLines(canonical=False)
    for begin in range(0, 2000, 500):
        found = [{f"key {begin + n}": n} for n in range(500)]
        ((part, starts),) = split(b"".join(map(bson.encode, found)), 1 << 30)
        text = lines.encode(part, starts)
        assert [json.loads(line) for line in text.splitlines()] == found


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        MOMENT.replace(tzinfo=datetime.UTC),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        uuid.UUID(int=7),
        1 << 70,
        re.compile("a", re.IGNORECASE),
        (1, 2),
        float("nan"),
    ],
)
def test_what_a_transform_may_make(value: Any, canonical: bool) -> None:
    text = BsonValues(canonical=canonical).dumps_any({"value": value})
    options = OPTIONS[canonical].with_options(
        tz_aware=True, uuid_representation=bson.binary.UuidRepresentation.STANDARD
    )
    expected = json_util.dumps({"value": value}, json_options=options)
    ours = json_util.loads(text.decode(), json_options=options)
    theirs = json_util.loads(expected, json_options=options)
    assert repr(ours) == repr(theirs)


def test_what_has_no_json() -> None:
    with pytest.raises(InputError, match="set has no form"):
        BsonValues().dumps_any({"value": {1, 2}})
