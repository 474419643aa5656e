"""Refuse, by column and value, what PostgreSQL would round, cut or guess in silence.

``numeric(10,2)`` rounds 1.255, ``timestamp(0)`` half a second, ``real`` the ninth digit;
``varchar(2)`` cuts blanks, ``name`` and ``"char"`` cut anything; ``today`` becomes a date. Which
types do so: https://www.postgresql.org/docs/current/datatype.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.move.tables.exact import any_of, is_rounded_float, more_digits, more_seconds
from tradewind.move.tables.shapes import moments
from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.composed import parts, pieces
from tradewind.systems.postgres.naive_times import is_naive, refuse_lossy

__all__ = ["is_limited", "refuse_inexact", "refuse_pieces"]

_TYPE = re.compile(
    r'("?[a-z ]+?"?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?((?:\[\])*)'
)
_Check = tuple[str | Callable[[pa.Array], pa.Array], str]
"""A regular expression, or what makes a mask; and the way out."""

_WORDS = r"^\s*(?i:now|today|tomorrow|yesterday)\s*$"
_SHORT_YEAR = r"^\s*(?:\d{1,2}[-/.]\d|\d{6}(?:\d{6})?(?:[Tt ]|$))"
_LEAP = r":\d\d:60"
_DATED = r"\d-\d+-\d|\d/\d|^\s*[A-Za-z]{3}\s+\d"
_MONTHS = r"(?i)\.\d*[1-9]\d*\s*(?:mon|y|dec|cent|mille)|^[^T]*\.\d*[1-9]\d*M(?:\d|T|$)"
_SHAPES = ("point", "line", "lseg", "box", "path", "polygon", "circle")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WIDER = "Make the column wider"
_ROUND = "or round the values before (in the query, or where the file is made)"


def is_limited(type_: str) -> bool:
    """Whether a column of this type, as SQL writes it, may change a text without a word."""
    kinds = parts(type_)
    if kinds:
        return any(map(is_limited, kinds))
    return bool(_checks(type_)) or is_naive(type_)


def refuse_pieces(texts: pa.Array, name: str, type_: str) -> None:
    """See that what texts of arrays, ranges or composite types hold arrives as it is.

    Args:
        texts: Strings, as they are sent to the server.
        name: The column's name, for messages.
        type_: As `tradewind.systems.postgres.composed.limits` writes it.

    Raises:
        UnfitValueError: The server would change a piece of one.
    """
    if any(map(is_limited, parts(type_))):
        for kind, values in pieces(texts, type_):
            refuse_pieces(values, name, kind)
    elif not parts(type_):
        if is_naive(type_):
            refuse_lossy(texts, name, type_)
        refuse_inexact(texts, name, type_)


def refuse_inexact(texts: pa.Array, name: str, type_: str) -> None:
    """See that a column's texts arrive in a table as they are.

    Args:
        texts: Strings, as they are sent to the server; texts of arrays for an array.
        name: The column's name, for messages.
        type_: Its type as SQL writes it, of a domain the type that it stands for.

    Raises:
        UnfitValueError: The server would change one.
    """
    if parts(type_):
        try:
            refuse_pieces(texts, name, type_)
        except UnfitValueError as error:
            raise _of_whole(texts, name, type_, error) from error
        return
    if _is_plain(texts, type_):
        return
    checks = _checks(type_)
    patterns = [wrong for wrong, _ in checks if isinstance(wrong, str)]
    if len(patterns) > 1 and not any_of(pc.match_substring_regex(texts, "|".join(patterns))):
        # Nearly always so, and one look is cheaper than several.
        checks = [check for check in checks if not isinstance(check[0], str)]
    for wrong, remedy in checks:
        mask = pc.match_substring_regex(texts, wrong) if isinstance(wrong, str) else wrong(texts)
        if any_of(mask):
            value = texts.filter(pc.fill_null(mask, False))[0].as_py()
            raise UnfitValueError(name, value, where=f"{type_} of PostgreSQL", remedy=remedy)


def _is_plain(texts: pa.Array, type_: str) -> bool:
    """Whether all texts are dates and times that are written in full, and a column keeps those."""
    found = _TYPE.fullmatch(type_)
    if found is None or found[1] not in ("date", "timestamp"):
        return False
    written = moments(texts)
    if written is None:
        return False
    return found[1] == "date" or written.fraction <= (6 if found[2] is None else int(found[2]))


def _of_whole(texts: pa.Array, name: str, type_: str, error: UnfitValueError) -> UnfitValueError:
    """Name the whole value whose piece does not fit."""
    for at in range(len(texts)):
        try:
            refuse_pieces(texts.slice(at, 1), name, type_)
        except UnfitValueError as found:
            where = f"{found.where}, within it,"
            return UnfitValueError(name, texts[at].as_py(), where=where, remedy=found.remedy)
    return error


def _checks(type_: str) -> list[_Check]:
    """Tell what makes a text unfit for a type, and what to do then."""
    found = _TYPE.fullmatch(type_)
    if found is None:
        return []
    kind, first, second, zone, _ = found.groups()
    if kind == "numeric":
        return [] if first is None else _digits(int(second or 0))
    if kind == "money":
        return _digits(2)
    if kind in ("real", "double precision"):
        bits = 32 if kind == "real" else 64
        remedy = f"{_WIDER} (numeric keeps all digits), {_ROUND}."
        return [(lambda texts: is_rounded_float(texts, bits), remedy)]
    if kind in ("date", "timestamp"):
        clear = "Write the date itself, with a year of four digits."
        return [
            *([] if kind == "date" else _seconds(first)),
            (_WORDS, clear),
            (_SHORT_YEAR, clear),
            (_LEAP, "The server would make it the next minute: write the second that is meant."),
        ]
    if kind == "time":
        now = "Write the time itself."
        dated = "Its date would be lost: make the column a timestamp, or give times alone."
        return [
            *_seconds(first),
            (_WORDS, now),
            (_LEAP, now),
            *([(_DATED, dated)] if zone == " with time zone" else []),
        ]
    if kind.startswith("interval"):
        whole = "The server would guess its days: write whole months, or days."
        return [*_seconds(first), (_MONTHS, whole), *_fields(kind.rpartition(" ")[2])]
    if kind in ("oid", "xid", "cid"):
        return [(r"^\s*-", "Its numbers are 0 to 4294967295: make the column a bigint.")]
    if kind in _SHAPES:
        return [(_rounded_shapes, f"Make the column a text, {_ROUND}.")]
    if kind == "character varying" and first is not None:
        return _length(int(first), pc.utf8_length)
    if kind == "name":
        return _length(63, pc.binary_length)
    return _length(1, pc.binary_length) if kind == '"char"' else []


def _digits(scale: int) -> list[_Check]:
    return [(lambda texts: more_digits(texts, scale), f"{_WIDER} (numeric), {_ROUND}.")]


def _seconds(precision: str | None) -> list[_Check]:
    kept = 6 if precision is None else int(precision)
    wider = f"{_WIDER} (it may keep six digits of a second), {_ROUND}"
    remedy = f"{wider}." if kept < 6 else f"Make the column a text, {_ROUND}."
    return [(more_seconds(kept), remedy)]


def _rounded_shapes(texts: pa.Array) -> pa.Array:
    """Tell which shapes have a coordinate that a float cannot give back."""
    numbers = [_NUMBER.findall(text or "") for text in texts.to_pylist()]
    return pa.array(
        [any_of(is_rounded_float(pa.array(one, pa.string()), 64)) for one in numbers], pa.bool_()
    )


_BELOW = {
    "minute": r"[1-9]\d*(?:\.\d+)?\s*s|:\d+:\d*[1-9]|\.\d*[1-9]",
    "hour": r"[1-9]\d*\s*min|T.*[1-9]\d*M|:\d*[1-9]",
    "day": r"[1-9]\d*\s*h|[1-9]\d*:",
    "month": r"[1-9]\d*\s*[dw]",
    "year": r"[1-9]\d*\s*mon|^[^T]*[1-9]\d*M(?:\d|T|$)",
}


def _fields(last: str) -> list[_Check]:
    """Tell what an interval loses that has fields like ``year to month`` only."""
    if last not in _BELOW:
        return []
    lost = "|".join(list(_BELOW.values())[: list(_BELOW).index(last) + 1])
    remedy = f"Make the column an interval of all fields, {_ROUND}."
    return [(f"(?i:{lost})", remedy)]


def _length(most: int, size: Callable[[pa.Array], pa.Array]) -> list[_Check]:
    def too_long(texts: pa.Array) -> pa.Array:
        # Most columns are done with by their bytes, which are never fewer than characters.
        if (pc.max(pc.binary_length(texts)).as_py() or 0) <= most:
            return pa.array([], pa.bool_())
        return pc.greater(size(texts), most)

    return [(too_long, f"{_WIDER}, or shorten the values before.")]
