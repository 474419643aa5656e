"""The decoder of PostgreSQL's binary COPY in Rust: it gives what its plain form in Python gives."""

from __future__ import annotations

import random
import resource
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copy_streams import HEADER, VALUES, array, numeric, stream, tables
from tradewind.systems.postgres.fields import DecodeError, PlainCopyDecoder

native = pytest.importorskip(
    "tradewind_native", reason="tradewind-native is not built: install Rust, then make test"
)


def outcome(decoder: Any, pieces: list[bytes]) -> Any:
    """All batches; or what is wrong, and with which column."""
    batches: list[pa.RecordBatch] = []
    try:
        for piece in pieces:
            batches += map(pa.record_batch, decoder.decode([piece]))
        last = decoder.finish()
    except (DecodeError, native.DecodeError) as error:
        _, offset, *value = error.args
        return int(offset) >= 0, value, [batch.num_rows for batch in batches]
    batches += [pa.record_batch(last)] if last is not None else []
    for batch in batches:
        batch.validate(full=True)
    # NaN is NaN: compared as text.
    return [(str(batch.schema), str(batch.to_pydict())) for batch in batches]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.lists(st.integers(0, 10_000), max_size=4), st.sampled_from([1, 40, 1 << 20]))
def test_it_gives_what_the_plain_form_gives(table, places, size):
    words, rows = table
    pieces = cut(stream(rows), places)
    expected = outcome(PlainCopyDecoder(words, size), pieces)
    assert outcome(native.CopyDecoder(words, size), pieces) == expected


@pytest.mark.parametrize("word", sorted(VALUES))
def test_each_type_alone(word):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(VALUES[word], max_size=3))
    def alike(values):
        pieces = [stream([[value] for value in values])]
        expected = outcome(PlainCopyDecoder([word], 64), pieces)
        assert outcome(native.CopyDecoder([word], 64), pieces) == expected

    alike()


def mutated(seed: int) -> tuple[list[str], list[bytes]]:
    """A stream with some bytes changed, taken out, doubled or cut off."""
    chance = random.Random(seed)
    words = [chance.choice(sorted(VALUES)) for _ in range(chance.randint(1, 3))]
    rows: list[list[bytes | None]] = []
    for _ in range(chance.randint(0, 3)):
        rows.append([_value(word, chance) for word in words])
    data = bytearray(stream(rows))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randint(0, 4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 16)]
            case 3:
                del data[at:]
            case 4:
                data[at : at + 4] = chance.choice([b"\x7f\xff\xff\xff", b"\xff" * 4, b"\0\0\0\1"])
    return words, cut(bytes(data), [chance.randrange(1000) for _ in range(chance.randint(0, 2))])


def _value(word: str, chance: random.Random) -> bytes | None:
    """Some value; not always one of the type."""
    if chance.random() < 0.1:
        return None
    if word.startswith("list:"):
        return array([_value(word[5:], chance) for _ in range(chance.randint(0, 3))])
    if word.startswith(("decimal", "numeric")):
        digits = [chance.choice([0, 1, 10, 100, 1234, 9999]) for _ in range(chance.randint(0, 5))]
        return numeric(digits, chance.randint(-2, 3), chance.choice([0, 0x4000]), 4)
    size = {"bool": 1, "int2": 2, "int4": 4, "oid": 4, "float4": 4, "date": 4, "uuid": 16}
    size |= {"interval": 16, "timetz": 12, "text": 5, "bytea": 3, "jsonb": 4}
    made = bytes(chance.choice([0, 0, 1, 65, 255]) for _ in range(size.get(word, 8)))
    return b"\1" + made[1:] if word == "jsonb" else made


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(3000)])]
)
def test_mutated_streams_are_refused_by_both_or_by_none(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for seed in range(count):
        words, pieces = mutated(seed)
        found = outcome(native.CopyDecoder(words, 64), pieces)
        assert found == outcome(PlainCopyDecoder(words, 64), pieces), seed
        refused += isinstance(found, tuple)
    assert refused > count / 2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10, "bounded memory, whatever lengths the bytes claim"


@pytest.mark.parametrize(
    ("words", "data", "offset"),
    [
        (["int4"], b"PGCOPX", 0),
        (["int4"], HEADER + b"\0\2", 19),
        (["int4"], HEADER + b"\0\1\xff\xff\xff\xf0", 21),
        (["int4"], HEADER + b"\0\1\0\0\0\2ab\xff\xff", 25),
        (["bool"], HEADER + b"\0\1\0\0\0\1\2\xff\xff", 25),
        (["int4"], HEADER + b"\0\1\0\0", 23),
        (["list:int4"], HEADER + b"\0\1\0\0\0\x14" + array([None])[:12] + b"\x7f" * 8, 37),
    ],
)
def test_malformed_bytes_are_told_with_their_offset(words, data, offset):
    decoder = native.CopyDecoder(words, 1 << 20)
    with pytest.raises(native.DecodeError) as caught:
        (decoder.decode([data]), decoder.finish())
    assert caught.value.args[1] == offset
    with pytest.raises(ValueError, match="cannot go on"):
        decoder.decode([HEADER])


def test_a_number_of_few_bytes_and_many_digits_ends_a_batch():
    rows = [[numeric([1], 30_000, 0, 0)]] * 40
    decoder = native.CopyDecoder(["numeric"], 1 << 20)
    batches = decoder.decode([stream(rows)])
    assert len(batches) > 3
    assert sum(map(len, batches)) + len(decoder.finish() or ()) == 40


def test_several_streams_follow_each_other_and_a_column_has_to_be_known():
    decoder = native.CopyDecoder(["int4"], 1 << 20)
    one = stream([[b"\0\0\0\1"]])
    assert decoder.decode([bytearray(one), one]) == []
    assert pa.record_batch(decoder.finish()).to_pydict() == {"0": [1, 1]}
    with pytest.raises(ValueError, match="no column"):
        native.CopyDecoder(["complex"], 1)
