"""How the bytes of a container's log become lines, wherever a read of them ends."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tradewind.run.backend import LogLine
from tradewind.run.log_messages import LogReader, just_before, seconds_of
from tradewind.systems.docker.tail import _dechunked

LOCAL = {"HostConfig": {"LogConfig": {"Type": "local"}}}
ENDED = {"State": {"Status": "exited"}}
PART = b"p" * 16 * 1024
HTTP_END = b"0\r\n\r\n"


def stamp(number: int) -> str:
    return f"2026-01-02T03:04:05.{number:09d}Z"


def message(number: int, text: bytes, channel: int = 1) -> bytes:
    body = f"{stamp(number)} ".encode() + text
    return bytes([channel, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


def http(bodies: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies) + HTTP_END


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def undone(data: bytes, size: int) -> list[bytes]:
    parts = pieces(data, size)
    return list(_dechunked(lambda: next(parts, b"")))


def lines(bodies: list[bytes], told: dict, size: int, after: str | None = None) -> list[LogLine]:
    chunks = undone(http(bodies), size)
    return [line for batch in LogReader(told, after).lines(chunks) for line in batch]


SIZES = [1, 2, 3, 7, 8, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 1000, 1 << 16]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "bodies",
    [
        [b"one\n", b"two\n", b"x" * 300],
        [b"what looks\r\n5\r\nlike a size", b"\r\n0\r\n\r\n", b"\r\n", b"\r"],
        [],
    ],
)
def test_chunks_are_undone_wherever_a_read_ends(bodies: list[bytes], size: int):
    assert b"".join(undone(http(bodies), size)) == b"".join(bodies)


def test_a_chunk_is_given_when_it_is_there():
    parts = iter([b"4\r\none\n\r\n", b"4;note=1\r\ntwo\n", b"\r\n" + HTTP_END])
    assert list(_dechunked(lambda: next(parts, b""))) == [b"one\n", b"two\n", b""]


def test_an_answer_that_ends_too_early_is_told():
    parts = iter([b"4\r\none\n\r\n5\r\nt"])
    undoing = _dechunked(lambda: next(parts, b""))
    assert next(undoing) == b"one\n"
    with pytest.raises(ConnectionError):
        next(undoing)


@pytest.mark.parametrize("size", SIZES)
def test_lines_are_the_same_wherever_a_read_ends(size: int):
    said = [b"one", b"", b" a  b ", b"caf\xc3\xa9", b"broken \xc3", b"\r", b"x" * 258, b"last"]
    found = lines([message(n, text + b"\n") for n, text in enumerate(said)], {}, size)
    assert [line.text for line in found] == [text.decode(errors="replace") for text in said]
    assert [line.cursor for line in found] == [f"{stamp(n)}/1" for n in range(len(said))]
    assert {line.time and line.time.year for line in found} == {2026}


@pytest.mark.parametrize("size", [5000, 1 << 20])
def test_parts_of_a_long_line_are_put_together(size: int):
    bodies = [message(1, b"before\n"), message(2, PART), message(3, b"beside\n", 2)]
    bodies += [message(2, b"end\n"), message(4, b"after\n")]
    found = lines(bodies, {}, size)
    assert [line.text for line in found] == ["before", "beside", f"{PART.decode()}end", "after"]
    # The driver `local` ends neither a long line's last part nor a long line of full parts.
    bodies = [message(1, b"before\n"), message(2, PART), message(2, b"end"), message(3, b"after\n")]
    found = lines(bodies, LOCAL, size)
    assert [line.text for line in found] == ["before", f"{PART.decode()}end", "after"]


@pytest.mark.parametrize("tty", [False, True])
def test_what_gets_no_end_is_a_line_when_the_work_has_ended(tty: bool):
    told = {"Config": {"Tty": tty}}
    bodies = [message(1, b"a\n"), message(2, b"b")]
    if tty:
        bodies = [f"{stamp(1)} a\r\n".encode(), f"{stamp(2)} b".encode()]
    assert [line.text for line in lines(bodies, told | ENDED, 99)] == ["a", "b"]
    # What has begun goes on while the work does.
    assert [line.text for line in lines(bodies, told, 99)] == ["a"]


def left_of(messages: list[tuple[int, bytes, int]], after: str) -> list[bytes]:
    """What an engine gives from a cursor on: what is not older than its timestamp."""
    return [message(*each) for each in messages if stamp(each[0]) >= after.partition("/")[0]]


def test_a_last_line_that_came_with_the_end_of_a_long_one_is_read_once():
    # podman: each part of a long line has another time, and all that was read at once the same.
    messages = [(1, PART, 1), (2, PART, 1), (3, b"end\n", 1), (3, b"last", 1), (4, b"\n", 1)]
    for there in (4, 5):
        # Its end may be written later.
        found = lines([message(*each) for each in messages[:there]], ENDED, 1 << 20)
        assert [len(line.text) for line in found] == [2 * len(PART) + 3, 4]
        for at, line in enumerate(found):
            left = lines(left_of(messages, line.cursor), ENDED, 1 << 20, line.cursor)
            assert left == found[at + 1 :]


@pytest.mark.parametrize("seed", range(40))
def test_whoever_comes_back_with_any_cursor_reads_the_rest_and_nothing_twice(seed: int):
    chance = random.Random(seed)
    messages, time = [], 1
    for number in range(60):
        # Both streams, whole lines and parts of some, several at once and one after the other.
        end = b"\n" if chance.random() < 0.6 else b""
        text = b"%d" % number + b"x" * chance.randrange(4) + end
        messages.append((time, text, chance.choice([1, 1, 2])))
        time += chance.choice([0, 0, 1])
    found = lines([message(*each) for each in messages], ENDED, chance.choice([7, 100, 5000]))
    assert len({line.cursor for line in found}) == len(found)
    for at, line in enumerate(found):
        left = left_of(messages, line.cursor)
        assert lines(left, ENDED, 1 << 16, line.cursor) == found[at + 1 :]


def test_whoever_comes_back_in_the_middle_of_a_long_line_reads_its_next_pieces():
    part = 600_000
    messages = [(at, b"%d" % at * part, 1) for at in range(1, 6)] + [(6, b"end\n", 1)]
    found = lines([message(*each) for each in messages], ENDED, 1 << 20)
    assert [line.goes_on for line in found] == [True, True, False]
    for at, line in enumerate(found):
        left = left_of(messages, line.cursor)
        assert lines(left, ENDED, 1 << 20, line.cursor) == found[at + 1 :]


def test_times_are_spelled_as_each_engine_takes_them():
    for text in ("2026-01-02T03:04:05.25Z", "2026-01-02T05:34:05.250+02:30"):
        assert seconds_of(text) == "1767323045.250000000"
        assert just_before(text) == "2026-01-02T03:04:05.249999999Z"
    assert just_before("2026-01-01T00:00:00Z") == "2025-12-31T23:59:59.999999999Z"


@pytest.mark.parametrize("size", [1, 1000])
def test_lines_of_the_same_time_are_counted_and_those_up_to_a_cursor_left_out(size: int):
    numbers = [1, 1, 1, 2, 2, 3]
    bodies = [message(number, b"%d\n" % at) for at, number in enumerate(numbers)]
    found = lines(bodies, {}, size)
    cursors = [
        f"{stamp(number)}/{count}"
        for number, count in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
    ]
    assert [line.cursor for line in found] == cursors
    for at, line in enumerate(found):
        # The engine gives what is not older than the cursor.
        rest = bodies[numbers.index(numbers[at]) :]
        assert lines(rest, {}, size, line.cursor) == found[at + 1 :]
