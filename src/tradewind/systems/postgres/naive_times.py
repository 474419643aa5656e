"""Texts on their way into a date, or a time without a zone: nothing of them gets lost.

PostgreSQL reads ``2026-01-31T12:00:00+05:00`` into a ``timestamp`` as 12:00 and does not say that
the zone is gone; a ``date`` drops the time of day of what it is given, a ``time`` the date. Which
texts it takes: https://www.postgresql.org/docs/current/datetime-input-rules.html.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import TradewindError
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.exact import is_limited, refuse_inexact

if TYPE_CHECKING:
    from tradewind.move.formats.csv import CsvFormat

__all__ = ["CheckedCsv", "is_naive", "unchanged"]

_CLOCK = r"(?:\d:\d\d(?:[.,]\d*)?|[Tt]\d{2,6}(?:[.,]\d*)?)\s*(?:[AaPp][Mm]\s*)?"
_OFFSET = _CLOCK + r"[+-][0:]*[1-9]"
_WORD = r"\d:\d\d(?:[.,]\d*)?\s*[A-Za-z][A-Za-z]"
_ZONE = re.compile(r"\d:\d\d(?:[.,]\d*)?\s*(?:[ap]m\b\s*)?([a-z][a-z_/+-]*[\d:]*)", re.IGNORECASE)
_HARMLESS = re.compile(
    r"z|zulu|utc|gmt|uct|ut|am|pm|bc|ad|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*-?\d*",
    re.IGNORECASE,
)
_TIME = r"[Tt\s]\d{1,2}:\d\d|[Tt]\d{4,6}"
_MIDNIGHT = r"[Tt\s]0{1,2}:?00(?::?00(?:[.,]0*)?)?\s*(?:Z|z|UTC|GMT|[+-][0:]+)?\s*$"
_DATE = r"\d-\d|\d/\d|[A-Za-z]{3}\s"


def is_naive(type_: str) -> bool:
    """Whether a column of this type, as SQL writes it, is a date or a time without a zone."""
    return type_ in ("date", "datetime", "timestamp", "time") or type_.endswith("without time zone")


def _kind(type_: str) -> str:
    return type_.partition("(")[0].partition(" ")[0]


def unchanged(array: pa.Array, name: str, type_: str) -> pa.Array:
    """See that a column loses nothing; turn times with an offset into UTC.

    Args:
        array: Texts or timestamps.
        name: The column's name.
        type_: The type of the table's column, for which `is_naive` holds.

    Returns:
        The same, texts with an offset in UTC.

    Raises:
        UnfitValueError: A value would lose its zone, its time of day or its date.
    """
    kind = _kind(type_)
    if pa.types.is_timestamp(array.type):
        if kind == "time":
            _refuse(array, pc.is_valid(array), name, type_)
        elif kind == "date":
            days = array.cast(pa.timestamp(array.type.unit))
            _refuse(array, pc.not_equal(days, pc.floor_temporal(days, unit="day")), name, type_)
        return array
    if not pa.types.is_string(array.type):
        return array
    zoned = _zoned(array)
    if kind != "timestamp":
        _refuse(array, zoned, name, type_)
        _refuse(array, _lossy(array, kind), name, type_)
        return array
    if not pc.any(zoned).as_py():
        return array
    texts = array.filter(zoned)
    try:
        moments = texts.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        _refuse(array, zoned, name, type_)
    return pc.replace_with_mask(array, pc.fill_null(zoned, False), moments.cast(pa.string()))


def _zoned(array: pa.Array) -> pa.Array:
    """Tell which texts have a zone other than UTC."""
    zoned = pc.match_substring_regex(array, f"{_OFFSET}|{_WORD}")
    if not pc.any(zoned).as_py():
        return zoned
    zoned = pc.match_substring_regex(array, _OFFSET)
    words = pc.match_substring_regex(array, _WORD)
    if pc.any(words).as_py():
        named = [text is not None and _names_zone(text) for text in array.to_pylist()]
        zoned = pc.or_(zoned, pa.array(named))
    return zoned


def _names_zone(text: str) -> bool:
    found = _ZONE.search(text)
    return found is not None and _HARMLESS.fullmatch(found[1]) is None


def _lossy(array: pa.Array, kind: str) -> pa.Array:
    if kind == "time":
        return pc.match_substring_regex(array, _DATE)
    timed = pc.match_substring_regex(array, _TIME)
    return pc.and_not(timed, pc.match_substring_regex(array, _MIDNIGHT))


def _refuse(array: pa.Array, wrong: pa.Array, name: str, type_: str) -> None:
    if not pc.any(wrong).as_py():
        return
    value = array.filter(wrong)[0].as_py()
    what = {
        "date": "The time of day would be lost: make the column a timestamp, or give dates",
        "time": "Its date or zone would be lost: make the column a timestamp, or give times alone",
    }.get(
        _kind(type_),
        "Its zone would be lost: make the column a timestamp with time zone, or declare the "
        "column's type at the source, as by schema={'" + name + "': 'timestamp[us, UTC]'} "
        "(--set-from schema='{\"" + name + '": "timestamp[us, UTC]"}\'), which gives UTC',
    )
    raise UnfitValueError(name, value, where=f"{type_} of PostgreSQL", remedy=f"{what}.")


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
        self._chunks = iter(chunks)
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
        from dataclasses import replace

        from tradewind.move.formats.csv_read import read

        # By their places: what the header calls them, the table may call otherwise.
        schema = pa.schema([pa.field(f"c{place}", pa.string()) for place in self._watched])
        watched = [self._columns[place] for place in self._watched]
        plain = replace(self._format, header=False)
        skip = 1 if self._format.header else 0
        with read(plain, chunks, schema, places=self._watched, width=len(self._columns)) as batches:
            for batch in batches:
                rows = batch.slice(skip)
                skip = 0
                for array, (name, type_) in zip(rows.columns, watched, strict=True):
                    if is_naive(type_):
                        kind = _kind(type_)
                        _refuse(array, _zoned(array), name, type_)
                        if kind != "timestamp":
                            _refuse(array, _lossy(array, kind), name, type_)
                    refuse_inexact(array, name, type_)
                yield

    def close(self) -> None:
        """End the reading."""
        if isinstance(self._chunks, Generator):
            self._chunks.close()
