"""Values within values: what arrays, ranges and composite types hold, looked at piece by piece.

``tsrange`` drops a zone as ``timestamp`` does, a composite type's ``numeric(6,2)`` rounds as a
column would. The server's spelling of each kind:
https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX, .../rangetypes.html,
.../arrays.html#ARRAYS-IO.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tradewind.systems.postgres.session import Session

__all__ = ["limits", "parts", "pieces"]

_DEPTH = 8


def limits(session: Session, oid: int, modifier: int, depth: int = 0) -> str:
    """Write a type with what it is made of, as far as that limits its values.

    Args:
        session: To ask.
        oid: The type.
        modifier: Its modifier, as ``atttypmod``; -1 for none.
        depth: How deep it stands in another one.

    Returns:
        As SQL writes it, with a domain's own type in its place; ``range(T)`` of a range or
        multirange, ``row(T;U)`` of a composite type, each with ``[]`` for an array of them.
    """
    found = session.fetch(
        "SELECT t.typtype::text, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END::oid,"
        " t.typrelid, t.typbasetype, t.typtypmod, format_type($1::oid, $2::int),"
        " (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid"
        # Since PostgreSQL 14 there are multiranges.
        "   OR (to_jsonb(r)->>'rngmultitypid')::oid = t.oid)"
        " FROM pg_catalog.pg_type t WHERE t.oid = $1::oid",
        oid,
        modifier,
    )
    if not found or depth > _DEPTH:
        return ""
    kind, element, relation, base, base_modifier, spelled, bound = found[0]
    if kind == "d":
        return limits(session, base, base_modifier, depth + 1)
    if kind == "c":
        rows = session.fetch(
            "SELECT atttypid, atttypmod FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            relation,
        )
        inner = (limits(session, type_, given, depth + 1) for type_, given in rows)
        return f"row({';'.join(inner)})"
    if bound:
        return f"range({limits(session, bound, -1, depth + 1)})"
    return f"{limits(session, element, modifier, depth + 1)}[]" if element else str(spelled)


def parts(type_: str) -> tuple[str, ...]:
    """Tell the types of the pieces that a value of a type has; none where it is one piece."""
    if type_.endswith("[]"):
        return (type_.removesuffix("[]"),)
    word, bracket, inner = type_.partition("(")
    if not bracket or word not in ("range", "row"):
        return ()
    return (inner[:-1],) if word == "range" else tuple(_split(inner[:-1]))


def _split(text: str) -> Iterator[str]:
    depth, begin = 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ";" and not depth:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def pieces(texts: pa.Array, type_: str) -> list[tuple[str, pa.Array]]:
    """Take texts of a type apart.

    Args:
        texts: Values of one column.
        type_: For which `parts` gives some.

    Returns:
        For each part its type and its texts. What cannot be read gives none: the server refuses it.
    """
    kinds = parts(type_)
    gathered: list[list[str | None]] = [[] for _ in kinds]
    for text in texts.to_pylist():
        if text is None:
            continue
        if type_.endswith("[]"):
            gathered[0] += _items(text)
        elif type_.startswith("range("):
            gathered[0] += _bounds(text)
        else:
            fields = _fields(text)
            if len(fields) == len(kinds):
                for place, one in enumerate(fields):
                    gathered[place].append(one)
    return [
        (kind, pa.array(values, pa.string()))
        for kind, values in zip(kinds, gathered, strict=True)
        if values
    ]


_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"\s][^,{}"]*)', re.DOTALL)
_DIMENSIONS = re.compile(r"\s*(?:\[[-\d:]+\])+\s*=")
_BOUND = re.compile(r'"((?:[^"\\]|\\.|"")*)"|([^,{}"\[\]()]+)', re.DOTALL)
_FIELD = re.compile(r'((?:"(?:[^"\\]|\\.|"")*"|\\.|[^",\\])*)(?:,|$)', re.DOTALL)
_QUOTED = re.compile(r'\\(.)|"("?)', re.DOTALL)


def _items(text: str) -> Iterator[str]:
    """Give the elements of ``{1,"a b"}``, and of our own JSON lists."""
    if text.lstrip().startswith("[") and not _DIMENSIONS.match(text):
        try:
            yield from _flat(json.loads(text, parse_float=str, parse_int=str))
        except ValueError:
            return
        return
    for quoted, plain in _ITEM.findall(_DIMENSIONS.sub("", text, count=1)):
        if plain.strip().upper() != "NULL":
            yield plain.strip() if plain else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)


def _bounds(text: str) -> Iterator[str]:
    for quoted, plain in _BOUND.findall(text):
        if plain.strip() and plain.strip() != "empty":
            yield plain
        elif quoted:
            yield _unquoted(quoted)


def _fields(text: str) -> list[str | None]:
    """Give the fields of ``(1,"a b",)``."""
    inner = text.strip()
    if not (inner.startswith("(") and inner.endswith(")")):
        return []
    found = [match[1] for match in _FIELD.finditer(inner[1:-1])]
    if found and not inner[1:-1].endswith(",") and found[-1] == "":
        found.pop()  # the nothing at the end
    return [_unquoted(one) if one else None for one in found]


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda found: found[1] or found[2] or "", text)
