"""How fast each format writes and reads a table of 17 columns, on one core, in MB of CSV a second.

Run: python bench/bench_formats.py [ROWS]
"""

from __future__ import annotations

import functools
import io
import sys
import time
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tradewind.move.batches import Batches
from tradewind.move.compression import compress, decompress
from tradewind.move.format import Format
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.formats.parquet import ParquetFormat

_BATCH = 25_000


def table(rows: int) -> pa.Table:
    """Make listings: integers, floats, decimals, points in time, short and long text, nulls."""
    chance = np.random.default_rng(1)
    words = np.array([f"word {i}" for i in range(1000)], object)
    words[::10] = 'with "quotes", commas and more of text than the others have'
    prices = pa.array(chance.integers(0, 10**7, rows)).cast(pa.decimal128(19, 0))
    columns: list[pa.Array] = [pa.array(chance.integers(0, 10**9, rows)) for _ in range(5)]
    columns += [pa.array(chance.random(rows)) for _ in range(2)]
    columns += [pa.array(words[chance.integers(0, 1000, rows)]) for _ in range(5)]
    columns += [
        pa.compute.multiply(prices, pa.scalar(Decimal("0.01"), pa.decimal128(3, 2))),
        pa.array(chance.integers(0, 2 * 10**15, rows)).cast(pa.timestamp("us", tz="UTC")),
        pa.array(chance.integers(0, 20_000, rows).astype(np.int32)).cast(pa.date32()),
        pa.array(chance.random(rows) > 0.5),
        pa.array(chance.integers(0, 9, rows), mask=chance.random(rows) > 0.5),
    ]
    return pa.table(columns, names=[f"column_{i}" for i in range(len(columns))])


def timed(what: str, megabytes: float, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    print(f"{what:32} {seconds:6.2f} s {megabytes / seconds:7.0f} MB/s")


def squeeze(data: bytes, compression: str) -> None:
    for _ in compress([data], compression):
        pass


def undo(data: bytes) -> None:
    for _ in decompress([data]):
        pass


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    data = table(rows)

    def batches() -> Batches:
        return Batches(data.schema, data.to_batches(max_chunksize=_BATCH))

    def write(format: Format) -> None:
        for _ in format.encode(batches()):
            pass

    text = b"".join(CsvFormat().encode(batches()))
    megabytes = len(text) / 1e6
    print(f"{rows:,} rows, {megabytes:.0f} MB as CSV")
    timed("pyarrow.csv.write_csv", megabytes, lambda: pyarrow.csv.write_csv(data, io.BytesIO()))
    formats: list[Format] = [CsvFormat(), JsonLinesFormat(), ParquetFormat()]
    for format in formats:
        timed(f"write {format.name}", megabytes, functools.partial(write, format))
        written = b"".join(format.encode(batches()))
        chunks = [written[i : i + (1 << 20)] for i in range(0, len(written), 1 << 20)]

        def read(f: Format = format, c: list[bytes] = chunks) -> None:
            for _ in f.decode(c, schema=data.schema):
                pass

        timed(f"read {format.name}", megabytes, read)
    for compression in ("gzip", "zstd"):
        timed(f"{compression} of CSV", megabytes, functools.partial(squeeze, text, compression))
        packed = b"".join(compress([text], compression))
        print(f"  ({len(packed) / len(text):.2f} of the size)")
        timed(f"{compression} undone", megabytes, functools.partial(undo, packed))


if __name__ == "__main__":
    main()
