"""Refuse texts of which a date, or a time without a zone, would lose something.

PostgreSQL reads ``2026-01-31T12:00:00+05:00`` into a ``timestamp`` as 12:00 and does not say that
the zone is gone; a ``date`` drops the time of day of what it is given, a ``time`` the date. Which
texts it takes: https://www.postgresql.org/docs/current/datetime-input-rules.html.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.interface import option
from tradewind.move.tables.shapes import moments
from tradewind.move.types import UnfitValueError

__all__ = ["has_zones", "is_naive", "is_timestamp", "refuse_lossy", "unchanged"]

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


def is_timestamp(type_: str) -> bool:
    """Whether a column of this type holds dates with times without a zone."""
    return is_naive(type_) and _kind(type_) == "timestamp"


def has_zones(texts: pa.Array) -> bool:
    """Whether a text has a zone other than UTC."""
    return bool(pc.any(_zoned(texts)).as_py())


def refuse_lossy(texts: pa.Array, name: str, type_: str) -> None:
    """See that texts lose no zone, no time of day and no date, where nothing turns them into UTC.

    Args:
        texts: Strings.
        name: The column's name.
        type_: The type of the table's column, for which `is_naive` holds.

    Raises:
        UnfitValueError: One would.
    """
    kind = _kind(type_)
    _refuse(texts, _zoned(texts), name, type_)
    if kind != "timestamp":
        _refuse(texts, _lossy(texts, kind), name, type_)


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
    if kind != "timestamp":
        refuse_lossy(array, name, type_)
        return array
    zoned = _zoned(array)
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
    written = moments(array)
    if written is not None and not written.zone:
        return pa.array(np.zeros(len(array), bool))
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
    written = moments(array)
    if written is not None and not written.clock:
        return pa.array(np.zeros(len(array), bool))
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
        "Its zone would be lost: make the column a timestamp with time zone, write the time in UTC "
        "and without a zone, or declare the column's type at the source, as by "
        f"{option('schema', {name: 'timestamp[us, UTC]'})}, which gives UTC",
    )
    raise UnfitValueError(name, value, where=f"{type_} of PostgreSQL", remedy=f"{what}.")
