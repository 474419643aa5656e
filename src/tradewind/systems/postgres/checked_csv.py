"""CSV that passes through to the server, while its values are looked at."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from tradewind.errors import TradewindError
from tradewind.move.formats.csv_checks import QuoteCheck
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.exact import is_limited, refuse_inexact
from tradewind.systems.postgres.naive_times import has_zones, is_naive, is_timestamp, refuse_lossy

if TYPE_CHECKING:
    from tradewind.move.batches import Batches
    from tradewind.move.formats.csv import CsvFormat

__all__ = ["CheckedCsv", "begins_with_zones", "columns_of_text"]


def begins_with_zones(
    chunks: Iterable[bytes], format: CsvFormat, columns: Sequence[tuple[str, str]]
) -> tuple[Iterator[bytes], bool]:
    """Look whether the first records have zones where the table has timestamps without.

    Args:
        chunks: The bytes.
        format: Their dialect.
        columns: Name and type of each column of the table, in the order of the data.

    Returns:
        All of the bytes again, and whether it is so.
    """
    places = [place for place, (_, type_) in enumerate(columns) if is_timestamp(type_)]
    if not places:
        return iter(chunks), False
    rest = iter(chunks)
    taken: list[bytes] = []
    asked = False  # whether the source is being asked: what is raised then is its own

    def feed() -> Generator[bytes, None, None]:
        nonlocal asked
        while True:
            asked = True
            chunk = next(rest, None)
            asked = False
            if chunk is None:
                return
            taken.append(chunk)
            yield chunk

    def again() -> Generator[bytes, None, None]:
        try:
            yield from itertools.chain(taken, rest)
        finally:
            if isinstance(rest, Generator):
                rest.close()

    first = None
    try:
        with _texts(feed(), format, places, len(columns)) as batches:
            first = next(iter(batches), None)
    except TradewindError:
        if asked:
            raise
        # Told again, and by its place, when all is read.
    zoned = first is not None and any(map(has_zones, first.columns))
    return again(), zoned


def _texts(
    chunks: Iterator[bytes],
    format: CsvFormat,
    places: Sequence[int],
    width: int,
    *,
    looked_at: bool = False,
) -> Batches:
    """Read some columns as texts, the header as a record among others."""
    from tradewind.move.formats.csv_read import read

    # By their places: what the header calls them, the table may call otherwise.
    schema = pa.schema([pa.field(f"c{place}", pa.string()) for place in places])
    plain = replace(format, header=False)
    return read(plain, chunks, schema, places=list(places), width=width, looked_at=looked_at)


def columns_of_text(chunks: Iterator[bytes], format: CsvFormat, width: int) -> Batches:
    """Read all columns as texts, which lose nothing on their way to the server.

    Args:
        chunks: The bytes.
        format: Their dialect.
        width: How many columns they have.
    """
    from tradewind.move.batches import Batches

    batches = _texts(chunks, format, range(width), width)

    def records() -> Iterator[pa.RecordBatch]:
        skip = 1 if format.header else 0
        for batch in batches:
            yield batch.slice(skip)
            skip = 0

    return Batches(batches.schema, records(), on_close=batches.close)


class CheckedCsv:
    """CSV that passes through to the server, while its values are looked at.

    Args:
        chunks: The bytes.
        format: Their dialect.
        columns: Name and type of each column of the table, in the order of the data.
    """

    def __init__(
        self, chunks: Iterable[bytes], format: CsvFormat, columns: Sequence[tuple[str, str]]
    ) -> None:
        self._chunks = QuoteCheck(format).pieces(chunks)
        self._format = format
        self._columns = columns
        self._watched = [
            place
            for place, (_, type_) in enumerate(columns)
            if is_naive(type_) or is_limited(type_)
        ]
        self.failure: TradewindError | None = None
        """Why the rest could not be looked at: for when the server has found no fault with it."""

    def __iter__(self) -> Iterator[bytes]:
        if not self._watched:
            yield from self._chunks
            return
        passed: list[bytes] = []
        lost = False

        def feed() -> Generator[bytes, None, None]:
            nonlocal lost
            broken = True
            try:
                for chunk in self._chunks:
                    passed.append(chunk)
                    yield chunk
                broken = False
            except GeneratorExit:
                broken = False
                raise
            finally:
                lost = broken

        try:
            for _ in self._looked_at(feed()):
                yield from passed
                passed.clear()
        except UnfitValueError:
            raise
        except TradewindError as error:
            if lost:  # by the source
                raise
            self.failure = error
        yield from passed
        yield from self._chunks

    def _looked_at(self, chunks: Generator[bytes, None, None]) -> Iterator[None]:
        watched = [self._columns[place] for place in self._watched]
        skip = 1 if self._format.header else 0
        width = len(self._columns)
        with _texts(chunks, self._format, self._watched, width, looked_at=True) as batches:
            for batch in batches:
                rows = batch.slice(skip)
                skip = 0
                for array, (name, type_) in zip(rows.columns, watched, strict=True):
                    if is_naive(type_):
                        refuse_lossy(array, name, type_)
                    refuse_inexact(array, name, type_)
                yield

    def close(self) -> None:
        """End the reading."""
        if isinstance(self._chunks, Generator):
            self._chunks.close()
