"""Documents as JSON lines and as typed batches, sampled or declared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import InputError
from tradewind.move.documents import Block, json_lines, sample_schema, typed_batches
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.systems.http.json_records import JsonValues

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=6,
)
documents = st.lists(
    st.dictionaries(st.sampled_from("abcd"), values, max_size=4), min_size=1, max_size=12
)


def table(found: list[dict[str, Any]], **arguments: Any) -> pa.Table:
    with typed_batches(iter([Block(found, 100)]), JsonValues(), **arguments) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def told(value: Any, column: pa.Field) -> Any:
    """What a column says a value is."""
    if value is not None and logical_type(column) == "json":
        return json.loads(value)
    if value is not None and logical_type(column) == "decimal":
        return Decimal(value)
    return value


@settings(max_examples=150, deadline=None)
@given(documents)
def test_nothing_is_changed_or_lost(found: list[dict[str, Any]]) -> None:
    if not any(found):
        with pytest.raises(InputError, match="no fields"):
            table(found)
        return
    try:
        rows = table(found)
    except UnfitValueError as error:
        # A float64 column cannot tell a large whole number; it says so.
        assert "double" in str(error)  # noqa: PT017
        return
    for document, row in zip(found, rows.to_pylist(), strict=True):
        for column in rows.schema:
            assert told(row[column.name], column) == document.get(column.name)
        assert document.keys() <= row.keys()


def test_lines() -> None:
    pieces = list(json_lines([{"n": n} for n in range(10)], JsonValues().dumps, size=20))
    assert [count for _, count in pieces] == [3, 3, 3, 1]
    assert b"".join(piece for piece, _ in pieces) == b"".join(b'{"n":%d}\n' % n for n in range(10))


def test_kinds() -> None:
    schema = sample_schema(
        [
            {"a": 1, "b": [1, None], "c": [], "d": None, "e": {"x": 1}, "f": 1, "g": [1], "h": []},
            {
                "a": None,
                "b": [2.5],
                "c": [],
                "e": None,
                "f": "x",
                "g": ["x"],
                "h": ["x"],
                "i": [[]],
            },
        ],
        JsonValues(),
    )
    assert schema.field("a").type == pa.int64()
    assert schema.field("b").type == pa.list_(pa.float64())
    assert schema.field("h").type == pa.list_(pa.string())
    assert {one.name for one in schema if logical_type(one) == "json"} == set("cdefgi")


def test_borders_depend_on_the_data_alone() -> None:
    def blocks(size: int) -> Iterator[Block]:
        for begin in range(0, 100, 10):
            yield Block([{"n": n} for n in range(begin, begin + 10)], size)

    with typed_batches(blocks(1 << 20), JsonValues()) as batches:
        assert [batch.num_rows for batch in batches] == [40, 40, 20]
    with typed_batches(blocks(1 << 20), JsonValues(), sample=10_000) as batches:
        assert [batch.num_rows for batch in batches] == [40, 40, 20]


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("2024-02-29T01:02:03.123456Z", pa.timestamp("us", tz="UTC")),
        ("2024-02-29T01:02:03.123456", pa.timestamp("us")),
        ("0001-01-01", pa.date32()),
        ("23:59:59.999999", pa.time64("us")),
        ("AP8=", pa.binary()),
    ],
)
def test_texts_of_declared_types(text: str, type_: pa.DataType) -> None:
    (value,) = table([{"v": text}], schema=pa.schema({"v": type_}))["v"].to_pylist()
    shown = value.isoformat() if hasattr(value, "isoformat") else "AP8="
    assert shown.replace("+00:00", "Z") == text


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("2024-02-29T01:02:03", pa.timestamp("us", tz="UTC")),
        ("2024-02-29T01:02:03Z", pa.timestamp("us")),
        ("2024-02-29T01:02:03.1234567Z", pa.timestamp("us", tz="UTC")),
        ("2024-02-30", pa.date32()),
        ("2024-02-29T00:00", pa.date32()),
        ("24:00", pa.time64("us")),
        ("12:00:00.5", pa.time32("s")),
        ("12:00Z", pa.time64("us")),
        ("no base64", pa.binary()),
        ("\ud800", pa.string()),
        (1.5, pa.int64()),
        (1e300, pa.float32()),
        (1 << 63, pa.int64()),
        ("no", field("v", pa.string(), "uuid")),
        ("1", field("v", pa.string(), "decimal")),
    ],
)
def test_what_does_not_fit(value: Any, type_: Any) -> None:
    column = type_ if isinstance(type_, pa.Field) else field("v", type_)
    with pytest.raises(UnfitValueError, match=r"Column 'v': .* of document 2 cannot hold"):
        table([{}, {"v": value}], schema=pa.schema([column]))


def test_extra_column() -> None:
    schema = pa.schema({"a": pa.int64()})
    rows = table([{"a": 1}, {"a": 2, "b": [1], "c": None}], schema=schema, unknown="extra")
    assert rows["_extra"].to_pylist() == [None, '{"b":[1],"c":null}']
    with pytest.raises(InputError, match="has a field '_extra' itself"):
        table([{"a": 1, "_extra": 1}], schema=schema, unknown="extra")
    with pytest.raises(InputError, match="Field 'b' of document 1"):
        table([{"b": 1}], schema=schema)
    with pytest.raises(InputError, match="not known"):
        table([], unknown="drop")


def test_type_that_documents_do_not_have() -> None:
    with pytest.raises(InputError, match="Declare a type"):
        table([], schema=pa.schema({"a": pa.duration("s")}))
