"""Splitting a query into ranges that several connections read at once."""

# ruff: noqa: S608 - all names are quoted, all values literals
from __future__ import annotations

import itertools
import json
import os
from typing import Any

from tradewind.errors import InputError, TradewindError
from tradewind.move.interface import option
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.sql import Token, quoted, tokens

__all__ = ["fair_connections", "key_conditions", "page_queries", "pages_where_possible"]

_PAGES = 1024
"""Pages in a range: 8 MB of the table, whatever the number of connections, so that the order of the
rows does not depend on that number."""
_KEY_RANGES = 64
_FAIR = 4
_SCANS = {
    "Append",
    "Bitmap Heap Scan",
    "Bitmap Index Scan",
    "BitmapAnd",
    "BitmapOr",
    "Gather",
    "Index Only Scan",
    "Index Scan",
    "ProjectSet",
    "Result",
    "Sample Scan",
    "Seq Scan",
    "Tid Range Scan",
    "Tid Scan",
}
_NOT_ONE_TABLE = {
    "GROUP",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "HAVING",
    "WINDOW",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "FOR",
    "INTO",
}


def page_queries(session: Session, query: str) -> list[str]:
    """Split a query over one table into ranges of the table's pages (``ctid``).

    Args:
        session: In the transaction that will read.
        query: ``SELECT ... FROM table [WHERE ...]``.

    Returns:
        Queries that together give the rows of `query`, each once, in the order of the pages.

    Raises:
        InputError: The query is not of that form, or the server is older than 14.
    """
    if session.version < 140_000:
        raise InputError(
            f"{session.system}: {option('split', 'ctid')} needs PostgreSQL 14 or newer. "
            "Split by a column."
        )
    head, table, name, condition = _parts(query)
    pages = session.fetch(
        "WITH RECURSIVE part(oid) AS (SELECT $1::text::regclass::oid UNION ALL"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid)"
        " SELECT coalesce(max(pg_relation_size(oid)), 0) / current_setting('block_size')::int"
        " FROM part",
        table,
    )[0][0]
    ends = list(range(_PAGES, pages, _PAGES))
    queries = []
    for begin, end in zip([0, *ends], [*ends, None], strict=True):
        limits = f"{name}.ctid >= '({begin},0)'::tid"
        if end is not None:
            limits += f" AND {name}.ctid < '({end},0)'::tid"
        extra = f" AND ({condition}\n)" if condition else ""
        queries.append(f"{head} WHERE {limits}{extra}")
    plan = json.loads(session.fetch(f"EXPLAIN (FORMAT JSON) {queries[0]}")[0][0])[0]["Plan"]
    other = _other_node(plan)
    if other:
        raise _not_one_table(f"it takes a step of its own over all rows ({other})")
    return queries


def pages_where_possible(session: Session, query: str) -> list[str] | None:
    """Split a query by pages where that goes; see `page_queries`.

    Args:
        session: In the transaction that will read.
        query: Any query.

    Returns:
        The queries; None where there would be only one, or it takes another form of query.
    """
    session.execute("SAVEPOINT tradewind_split")
    try:
        queries = page_queries(session, query)
    except TradewindError:  # a view has no pages, say: the transaction shall not end by that
        session.execute("ROLLBACK TO SAVEPOINT tradewind_split")
        return None
    session.execute("RELEASE SAVEPOINT tradewind_split")
    return queries if len(queries) > 1 else None


def fair_connections(session: Session) -> int:
    """Tell how many connections a reading may take by itself.

    Args:
        session: To ask the server.

    Returns:
        Four at most, and no more than this machine has processors, than a tenth of the server's
        ``max_connections``, and than half of those that are free now; one at least.
    """
    most, used = session.fetch(
        "SELECT current_setting('max_connections')::int,"
        " (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')"
    )[0]
    fair = min(_FAIR, os.cpu_count() or 1, int(most) // 10, int(most - used) // 2)
    return max(1, fair)


def _other_node(plan: dict[str, Any]) -> str | None:
    if plan["Node Type"] not in _SCANS:
        return str(plan["Node Type"])
    for below in plan.get("Plans", ()):
        if below.get("Parent Relationship") in ("InitPlan", "SubPlan"):
            continue
        if other := _other_node(below):
            return other
    return None


def _not_one_table(why: str) -> InputError:
    return InputError(
        f"{option('split', 'ctid')} does not go with this query: {why}. It takes a plain SELECT "
        "over one table, with or without WHERE; split by a column of the result instead, or not "
        "at all."
    )


def _parts(query: str) -> tuple[str, str, str, str]:
    """Take apart: all up to the table, the table, what it is called, the condition."""
    parts = [part for part in tokens(query) if part.kind not in ("space", "comment")]
    if not parts or parts[0].text.upper() != "SELECT":
        raise _not_one_table("it does not begin with SELECT")
    top = [part for part in parts if part.depth == 0]
    at = next(
        (
            number
            for number, part in enumerate(top)
            if _is(part, "FROM") and not _is(top[number - 1], "DISTINCT")
        ),
        None,
    )
    if at is None:
        raise _not_one_table("it has no FROM")
    for part in top:
        if part.kind == "word" and part.text.upper() in _NOT_ONE_TABLE:
            raise _not_one_table(f"it has {part.text.upper()}")
    rest = top[at + 1 :]
    if rest and _is(rest[0], "ONLY"):
        rest = rest[1:]
    names: list[Token] = []
    while rest and rest[0].kind in ("word", "name"):
        names.append(rest.pop(0))
        if not rest or rest[0].text != ".":
            break
        rest.pop(0)
    if not names:
        raise _not_one_table("after FROM stands no table")
    table = ".".join(name.text for name in names)
    called, last = names[-1].text, names[-1]
    if rest and _is(rest[0], "AS"):
        rest.pop(0)
    if rest and (rest[0].kind == "name" or (rest[0].kind == "word" and not _is(rest[0], "WHERE"))):
        last = rest.pop(0)
        called = last.text
    if rest and not _is(rest[0], "WHERE"):
        raise _not_one_table(f"after the table stands {rest[0].text!r}")
    condition = query[rest[0].start + len("WHERE") :] if rest else ""
    return query[: last.start + len(last.text)], table, called, condition


def _is(part: Token, word: str) -> bool:
    return part.kind == "word" and part.text.upper() == word


def key_conditions(
    session: Session,
    query: str,
    names: tuple[str, ...],
    key: str,
    oid: int,
    *,
    ranges: int = _KEY_RANGES,
) -> list[str]:
    """Split a query by ranges of one of its columns.

    Args:
        session: In the transaction that will read.
        query: Any query.
        names: What its columns are called here, not quoted, each once.
        key: One of them: a number, date or timestamp.
        oid: Its type.
        ranges: How many there are at most.

    Returns:
        Conditions of which each row fulfils exactly one, in the order of the key.

    Raises:
        InputError: The key's type has no middle.
    """
    column = quoted(key)
    source = f"(\n{query}\n) AS source({', '.join(map(quoted, names))})"
    kind = session.fetch("SELECT format_type($1::oid, NULL)", oid)[0][0]
    part = f"step / {ranges}.0"
    middles = {
        "smallint": f"round(low + (high::numeric - low) * {part})::bigint",
        "date": f"low + ((high - low) * {part})::int",
        "numeric": f"low + (high - low) * {part}",
        "real": f"low + (high::float8 - low) * ({part})",
        "timestamp without time zone": f"low + (high - low) * ({part})",
    }
    middles["integer"] = middles["bigint"] = middles["smallint"]
    middles["double precision"] = middles["real"]
    middles["timestamp with time zone"] = middles["timestamp without time zone"]
    middle = middles.get(kind)
    if middle is None:
        raise InputError(
            f"{session.system}: a query cannot be split by a column that is of the type "
            f"{kind}. Name a column of numbers, dates or timestamps."
        )
    rows = session.fetch(
        f"SELECT DISTINCT quote_literal(({middle})::text) || '::{kind}', {middle}"
        f" FROM (SELECT min({column}) AS low, max({column}) AS high FROM {source}) AS ends,"
        f" generate_series(1, {ranges - 1}) AS step"
        f" WHERE low < high ORDER BY 2"
    )
    limits = [row[0] for row in rows]
    if not limits:
        return ["true"]
    return [
        f"{column} < {limits[0]}",
        *(f"{column} >= {low} AND {column} < {high}" for low, high in itertools.pairwise(limits)),
        f"({column} >= {limits[-1]} OR {column} IS NULL)",
    ]
