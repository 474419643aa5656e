"""The pump: what flows is counted, can be stopped, and its ends are closed whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from tradewind.errors import InputError, RetryError
from tradewind.move.batches import Batches
from tradewind.move.flow import CancelledError, Flow, Progress
from tradewind.move.format import Format
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.source import Encoded, Source
from tradewind.move.target import Target
from tradewind.move.transfer import transfer
from tradewind.owner import Owner

OWNER = Owner("dag", "run", "task")
SCHEMA = pa.schema([("a", pa.int64())])


@dataclass
class Numbers(Source):
    """Batches of two rows; remembers whether it was opened and closed."""

    count: int = 3
    native: bool = False
    opened: int = 0
    closed: int = 0

    def describe(self) -> str:
        return "numbers"

    def batches(self) -> Batches:
        self.opened += 1

        def generate() -> Iterator[pa.RecordBatch]:
            for number in range(self.count):
                yield pa.record_batch([pa.array([number, number])], schema=SCHEMA)

        return Batches(SCHEMA, generate(), on_close=self.close)

    def encoded(self, format: Format) -> Encoded | None:
        if not self.native:
            return None

        def generate() -> Iterator[bytes]:
            try:
                for _ in range(self.count):
                    yield b"native\n"
            finally:
                self.close()

        return Encoded(generate(), ("a",), lambda: 2 * self.count)

    def close(self) -> None:
        self.closed += 1


class Lines(Format):
    name = "lines"
    extensions = (".lines",)
    content_type = "text/plain"

    def encode(self, batches: Batches) -> Iterator[bytes]:
        with batches:
            for batch in batches:
                yield b"".join(b"%d\n" % value.as_py() for value in batch.column(0))

    def decode(self, chunks, *, schema=None):
        raise NotImplementedError


@dataclass
class Memory(Target):
    """Publishes into a list; may refuse, fail, or count wrong."""

    refuse: bool = False
    miscount: int = 0
    content: list[bytes] = field(default_factory=list)

    def describe(self) -> str:
        return "memory"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        if self.refuse:
            raise InputError("memory: it is full")
        encoded = flow.encoded(Lines())
        content = list(encoded.chunks)
        self.content = content
        size = sum(map(len, content))
        return Stored(
            (StoredObject("memory:", bytes=size),), rows=(encoded.rows() or 0) + self.miscount
        )


def most_memory() -> int:
    """The most memory this process has ever held in bytes, as the kernel says it."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) * 1024


@pytest.mark.parametrize("native", [False, True])
def test_everything_arrives_and_the_receipt_says_so(native: bool):
    source, target, told = Numbers(native=native), Memory(), []
    before = most_memory()
    receipt = transfer(source, target, OWNER, progress=told.append)
    line = b"native\n" if native else None
    assert target.content == [line or b"%d\n%d\n" % (n, n) for n in range(3)]
    assert (receipt.rows, receipt.bytes) == (6, sum(map(len, target.content)))
    assert (receipt.source, receipt.target, receipt.owner) == ("numbers", "memory", "dag/run/task")
    # The kernel gathers both in steps. Of a process that a larger one has started it may be that
    # one's, but in bytes.
    assert 0.9 * before <= receipt.peak_memory < psutil.virtual_memory().total
    assert source.closed == 1
    assert isinstance(told[-1], Progress)
    assert told[-1].bytes > 0


def test_an_empty_source_is_a_whole_result():
    receipt = transfer(Numbers(count=0), Memory(), OWNER)
    assert receipt.rows == 0


def test_a_target_that_refuses_has_not_touched_the_source():
    source = Numbers()
    with pytest.raises(InputError, match="full"):
        transfer(source, Memory(refuse=True), OWNER)
    assert source.opened == 0


def test_rows_that_differ_at_the_two_ends_are_an_error():
    with pytest.raises(RetryError, match="7 rows, numbers gave 6"):
        transfer(Numbers(), Memory(miscount=1), OWNER)


@pytest.mark.parametrize("native", [False, True])
def test_a_move_that_is_asked_to_stop_stops_and_closes_its_source(native: bool):
    source, target, stop = Numbers(count=1000, native=native), Memory(), threading.Event()
    stop.set()
    with pytest.raises(CancelledError, match="numbers was asked to stop"):
        transfer(source, target, OWNER, stop=stop)
    assert target.content == []
    assert source.closed == 1


def test_a_transform_changes_rows_and_schema_and_takes_the_long_way():
    def halve(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.record_batch([batch.column(0)[:1]], names=["b"])

    target = Memory()
    receipt = transfer(Numbers(native=True), target, OWNER, transform=halve)
    assert target.content == [b"0\n", b"1\n", b"2\n"]
    assert receipt.rows == 3


def test_a_transform_that_is_not_the_same_for_all_is_told():
    def odd(batch: pa.RecordBatch) -> pa.RecordBatch:
        kind = pa.string() if batch.num_rows else pa.int64()
        return pa.record_batch([batch.column(0).cast(kind)], names=["b"])

    source = Numbers()
    with pytest.raises(InputError, match=r"'b' of type int64 where.*'b' of type string"):
        transfer(source, Memory(), OWNER, transform=odd)
    assert source.closed >= 1


def test_a_transform_that_fails_at_once_closes_the_source():
    def fails(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise InputError("no such column")

    source = Numbers()
    with pytest.raises(InputError, match="no such column"):
        transfer(source, Memory(), OWNER, transform=fails)
    assert source.closed == 1


def test_batches_close_their_source_even_when_never_begun():
    source = Numbers()
    Flow(source).batches().close()
    assert source.closed == 1


def test_an_error_passes_through_arrow_s_reader_as_it_is():
    def generate() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array([1])], schema=SCHEMA)
        raise InputError("column 'a': wrong")

    with pytest.raises(InputError, match="column 'a'"):
        Batches(SCHEMA, generate()).reader().read_all()
