"""Streams of PostgreSQL's binary COPY, made here to try decoders with."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def stream(rows: Sequence[Sequence[bytes | None]]) -> bytes:
    parts = [HEADER]
    for row in rows:
        parts.append(struct.pack(">h", len(row)))
        parts += [field(value) for value in row]
    return b"".join([*parts, b"\xff\xff"])


def field(value: bytes | None) -> bytes:
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def array(items: Sequence[bytes | None], lower: int = 1) -> bytes:
    if not items:
        return struct.pack(">iii", 0, 0, 25)
    nulls = any(item is None for item in items)
    return struct.pack(">iiiii", 1, nulls, 25, len(items), lower) + b"".join(map(field, items))


def numeric(digits: Sequence[int], weight: int, sign: int, scale: int) -> bytes:
    return struct.pack(f">hhHH{len(digits)}H", len(digits), weight, sign, scale, *digits)


def _packed(form: str, numbers: st.SearchStrategy) -> st.SearchStrategy[bytes]:
    return numbers.map(lambda number: struct.pack(form, number))


def _integers(form: str, bits: int) -> st.SearchStrategy[bytes]:
    return _packed(form, st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))


_DIGITS = st.one_of(st.integers(0, 9999), st.sampled_from([0, 1, 10, 1000, 9999]))
_NUMERICS = st.builds(
    numeric,
    st.lists(_DIGITS, max_size=6),
    st.integers(-3, 4),
    st.sampled_from([0, 0, 0x4000, 0xC000, 0xD000, 0xF000]),
    st.integers(0, 12),
)
_TEXT = st.one_of(st.text(max_size=12).map(str.encode), st.binary(max_size=4))
_DAY = 86_400_000_000

VALUES: dict[str, st.SearchStrategy[bytes]] = {
    "bool": st.sampled_from([b"\0", b"\1"]),
    "int2": _integers(">h", 16),
    "int4": _integers(">i", 32),
    "int8": _integers(">q", 64),
    "oid": _packed(">I", st.integers(0, (1 << 32) - 1)),
    "float4": st.binary(min_size=4, max_size=4),
    "float8": st.one_of(_packed(">d", st.floats()), st.binary(min_size=8, max_size=8)),
    "date": st.one_of(_packed(">i", st.integers(-800_000, 3_000_000)), _integers(">i", 32)),
    "time": _packed(">q", st.integers(0, _DAY)),
    "timestamp": st.one_of(
        _packed(">q", st.integers(-700_000 * _DAY, 2_900_000 * _DAY)), _integers(">q", 64)
    ),
    "bytea": st.binary(max_size=12),
    "text": _TEXT,
    "jsonb": _TEXT.map(lambda text: b"\1" + text),
    "numeric": _NUMERICS,
    "decimal:12:2": _NUMERICS,
    "decimal:38:9": _NUMERICS,
    "decimal:60:20": _NUMERICS,
    "uuid": st.binary(min_size=16, max_size=16),
    "interval": st.builds(
        lambda micros, days, months: struct.pack(">qii", micros, days, months),
        st.one_of(
            st.just(0), st.integers(-(10**13), 10**13), st.integers(-(1 << 63), (1 << 63) - 1)
        ),
        st.one_of(st.just(0), st.integers(-(1 << 31), (1 << 31) - 1)),
        st.one_of(st.just(0), st.integers(-30, 30), st.integers(-(1 << 31), (1 << 31) - 1)),
    ),
    "timetz": st.builds(
        lambda micros, west: struct.pack(">qi", micros, west),
        st.integers(0, _DAY),
        st.integers(-57_599, 57_599),
    ),
}
VALUES["timestamptz"] = VALUES["timestamp"]
for _word in ("int4", "text", "decimal:12:2", "numeric", "date", "bytea", "uuid"):
    VALUES[f"list:{_word}"] = st.builds(
        array,
        st.lists(st.one_of(st.none(), VALUES[_word]), max_size=4),
        st.sampled_from([1, 1, 1, 1, 0]),
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[bytes | None]]]:
    words = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    row = st.tuples(*(st.one_of(st.none(), VALUES[word]) for word in words)).map(list)
    return words, draw(st.lists(row, max_size=6))
