"""A table of MySQL as its catalogue describes it, and the statements that concern it whole."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import target_option
from tradewind.move.tables.staging import TableColumn
from tradewind.systems.mysql.connection import quoted
from tradewind.systems.mysql.session import Session

__all__ = [
    "GEOMETRIES",
    "comment_of",
    "constraint_of",
    "deleting",
    "find_columns",
    "has_table",
    "is_marked",
    "mark_of",
    "merge",
    "references",
    "unique_keys",
]

GEOMETRIES = (
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection",
)  # fmt: skip
_UNKNOWN = "----"


def has_table(session: Session, schema: str, table: str) -> bool:
    """Tell whether there is a table or view of a name."""
    return bool(
        session.fetch(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            schema,
            table,
        )
    )


def find_columns(session: Session, schema: str, table: str) -> tuple[TableColumn, ...] | None:
    """Look a table up.

    Args:
        session: To ask.
        schema: The database.
        table: Its name.

    Returns:
        Its columns; None where it does not exist.

    Raises:
        SetupError: Its engine knows no transactions.
    """
    kinds = session.fetch(
        "SELECT t.table_type, t.engine, e.transactions FROM information_schema.tables t "
        "LEFT JOIN information_schema.engines e ON e.engine = t.engine "
        "WHERE t.table_schema = %s AND t.table_name = %s",
        schema,
        table,
    )
    if not kinds:
        return None
    kind, engine, transactions = kinds[0]
    if kind == "BASE TABLE" and transactions != "YES":
        raise SetupError(
            f"{session.system}: the table {schema}.{table} has the engine {engine}, which knows no "
            "transactions: what fails halfway would stay. ALTER TABLE ... ENGINE=InnoDB, or "
            "load into another table."
        )
    rows = session.fetch(
        "SELECT column_name, data_type, is_nullable, column_default, extra, "
        "datetime_precision, numeric_scale, character_maximum_length, column_type "
        "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "ORDER BY ordinal_position",
        schema,
        table,
    )
    return tuple(
        TableColumn(
            name,
            type_.lower(),
            filled=nullable == "YES" or default is not None or "auto_increment" in extra,
            generated="GENERATED" in extra.upper() and "DEFAULT_GENERATED" not in extra.upper(),
            precision=None if precision is None else int(precision),
            scale=None if scale is None else int(scale),
            length=None if length is None else int(length),
            members=_members(type_, spelled),
            spelled=spelled.upper() if type_.lower() not in ("enum", "set") else type_.upper(),
        )
        for name, type_, nullable, default, extra, precision, scale, length, spelled in rows
    )


def _members(type_: str, spelled: str) -> tuple[str, ...]:
    """Read the values of ``enum('a','b')``."""
    if type_.lower() not in ("enum", "set"):
        return ()
    return tuple(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", spelled))


def unique_keys(session: Session, schema: str, table: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Choose the columns by which rows are found again.

    Args:
        session: To ask.
        schema: The database.
        table: Its name.
        keys: Those asked for; none for the primary key.

    Returns:
        Columns that are unique in the table.

    Raises:
        InputError: They are not, or there is no primary key.
    """
    found: dict[str, list[str]] = {}
    for index, column in session.fetch(
        "SELECT index_name, column_name FROM information_schema.statistics "
        "WHERE table_schema = %s AND table_name = %s AND non_unique = 0 "
        "ORDER BY index_name, seq_in_index",
        schema,
        table,
    ):
        found.setdefault(index, []).append(column)
    chosen = tuple(keys) or tuple(found.get("PRIMARY", ()))
    if not chosen:
        raise InputError(f"{session.system}: {schema}.{table} has no primary key. Give keys.")
    asked = {key.lower() for key in chosen}
    if asked not in [{name.lower() for name in names} for names in found.values()]:
        raise InputError(
            f"{session.system}: {', '.join(chosen)} is not unique in {schema}.{table}. Make a "
            "unique index over exactly these columns, or give other keys."
        )
    return chosen


def references(session: Session, schema: str, table: str, *, whole: bool) -> list[tuple[str, str]]:
    """Find the foreign keys by which deleting rows of a table changes rows of others.

    The server shows those of tables that the user may see.

    Args:
        session: To ask.
        schema: The table's database.
        table: Its name.
        whole: Whether all rows are deleted, so that its references to itself go anyway.

    Returns:
        Each table that refers to it, and its rule.
    """
    rows = session.fetch(
        "SELECT DISTINCT constraint_schema, table_name, delete_rule "
        "FROM information_schema.referential_constraints WHERE unique_constraint_schema = %s "
        "AND referenced_table_name = %s AND delete_rule NOT IN ('NO ACTION', 'RESTRICT') "
        "ORDER BY 1, 2",
        schema,
        table,
    )
    return [
        (f"{where}.{name}", rule)
        for where, name, rule in rows
        if not (whole and (where, name) == (schema, table))
    ]


@contextlib.contextmanager
def deleting(table: str) -> Iterator[None]:
    """Tell a refusal to delete rows that others refer to, with what to do instead."""
    try:
        yield
    except InputError as error:
        if "(error 1451)" not in str(error):
            raise
        raise InputError(
            f"{str(error).partition(' Correct the')[0]} Rows of other tables refer to rows of "
            f"{table}, which a replace deletes. {target_option('mode', 'upsert')} writes over rows "
            "and deletes none. (error 1451)"
        ) from error


@contextlib.contextmanager
def _spelling(session: Session, name: str, texts: Sequence[str], differing: str) -> Iterator[None]:
    """Tell a refusal to spell a key anew that others refer to, with what to do instead.

    Args:
        session: In its transaction.
        name: What the table is called in messages.
        texts: The keys that are spelled anew.
        differing: What finds the rows that are, as ``old`` and ``new``, in SQL.
    """
    try:
        yield
    except InputError as error:
        if "(error 1451)" not in str(error):
            raise
        pair = ", ".join(f"old.{quoted(text)}, new.{quoted(text)}" for text in texts)
        row = session.fetch(f"SELECT {pair} {differing} LIMIT 1")
        spelled = [
            f"{text} {row[0][2 * at + 1]!r} where the table has {row[0][2 * at]!r}"
            for at, text in enumerate(texts)
            if row and row[0][2 * at] != row[0][2 * at + 1]
        ]
        raise InputError(
            f"{str(error).partition(' Correct the')[0]} A row for {name} spells its key otherwise "
            f"than the row that is there ({', '.join(spelled) or ', '.join(texts)}), and rows of "
            "other tables refer to that one. Spell it as the table does, or let their foreign key "
            "follow (ON UPDATE CASCADE). (error 1451)"
        ) from error


def comment_of(session: Session, schema: str, table: str) -> str | None:
    """Read a table's comment; None where there is no such table."""
    rows = session.fetch(
        "SELECT table_comment FROM information_schema.tables "
        "WHERE table_schema = %s AND table_name = %s",
        schema,
        table,
    )
    return str(rows[0][0]) if rows else None


def mark_of(session: Session, schema: str, table: str) -> str:
    """Tell a table from another one that has its name after it, in eight characters.

    Four are of its creation, as the server tells it by the second, and four of InnoDB's number of
    it, where the user may see that (PROCESS): ``----`` where not. Altering a table changes the
    first, and where the server copies it the second too; emptying it by TRUNCATE changes both.

    Args:
        session: Where it stands.
        schema: Its database.
        table: Its name.
    """
    rows = session.fetch(
        "SELECT create_time FROM information_schema.tables "
        "WHERE table_schema = %s AND table_name = %s",
        schema,
        table,
    )
    created = _four(rows[0][0] if rows else None)
    number: Any = None
    if re.fullmatch(r"\w+/\w+", f"{schema}/{table}", re.ASCII):
        for view in ("innodb_sys_tables", "innodb_tables"):  # MariaDB, MySQL
            with contextlib.suppress(TradewindError):
                found = session.fetch(
                    f"SELECT table_id FROM information_schema.{view} WHERE name = %s",
                    f"{schema}/{table}",
                )
                number = found[0][0] if found else None
                break
    return created + _four(number)


def is_marked(mark: str, found: str) -> bool:
    """Say whether two marks can be of one table; see `mark_of`."""
    if _UNKNOWN not in (mark[4:], found[4:]):
        return mark[4:] == found[4:]
    return _UNKNOWN in (mark[:4], found[:4]) or mark[:4] == found[:4]


def _four(told: Any) -> str:
    if told is None:
        return _UNKNOWN
    return base64.b64encode(hashlib.sha256(str(told).encode()).digest()[:3]).decode()


def constraint_of(session: Session, schema: str, table: str, name: str) -> str | None:
    """Give what a CHECK of a table demands, in SQL; None where the server does not tell."""
    with contextlib.suppress(TradewindError):
        found = session.fetch(
            "SELECT check_clause FROM information_schema.check_constraints "
            "WHERE constraint_schema = %s AND table_name = %s AND constraint_name = %s",
            schema,
            table,
            name,
        )
        return str(found[0][0]) if found else None
    return None


def merge(
    session: Session,
    new: str,
    old: str,
    name: str,
    columns: Sequence[str],
    keys: Sequence[str],
    texts: Sequence[str],
    rows: int,
) -> None:
    """Write the rows of a transient table over those with the same keys, and drop it.

    Args:
        session: In its transaction.
        new: The transient table, in SQL.
        old: The table, in SQL.
        name: What it is called in messages.
        columns: Names of those that are written.
        keys: Names of those by which rows are found.
        texts: Those of the keys that a collation compares: a row is found by ``a`` that has ``A``.
        rows: How many there are.

    Raises:
        InputError: A key is empty, or stands twice.
        RetryError: Not all rows have arrived.
    """
    quoted_keys = [quoted(key) for key in keys]
    listed_keys = ", ".join(quoted_keys)
    empty = " OR ".join(f"{key} IS NULL" for key in quoted_keys)
    if session.fetch(f"SELECT 1 FROM {new} WHERE {empty} LIMIT 1"):
        raise InputError(
            f"{session.system}: rows for {name} have NULL in a key ({', '.join(keys)}), so they "
            "cannot be found again. Leave them out."
        )
    twice = session.fetch(
        f"SELECT CONCAT_WS(', ', {listed_keys}) FROM {new} GROUP BY {listed_keys} "
        "HAVING COUNT(*) > 1 LIMIT 1"
    )
    if twice:
        raise InputError(
            f"{session.system}: several rows for {name} have the same {', '.join(keys)}: "
            f"{twice[0][0]}. Give each key once."
        )
    session.execute(f"ALTER TABLE {new} ADD UNIQUE tradewind_key ({listed_keys})")
    same = " AND ".join(f"old.{key} = new.{key}" for key in quoted_keys)
    asked = {key.lower() for key in keys}
    others = [quoted(column) for column in columns if column.lower() not in asked]
    if others:
        then = ", ".join(f"old.{column} = new.{column}" for column in others)
        session.execute(f"UPDATE {old} old JOIN {new} new ON {same} SET {then}")
    if texts:
        # What came is what is kept, the key too. Few rows differ: it is no part of the above.
        then = ", ".join(f"old.{quoted(text)} = new.{quoted(text)}" for text in texts)
        unlike = " OR ".join(
            f"CAST(old.{quoted(text)} AS BINARY) <> CAST(new.{quoted(text)} AS BINARY)"
            for text in texts
        )
        with _spelling(
            session, name, texts, f"FROM {old} old JOIN {new} new ON {same} WHERE {unlike}"
        ):
            session.execute(f"UPDATE {old} old JOIN {new} new ON {same} SET {then} WHERE {unlike}")
    # Not ON DUPLICATE KEY UPDATE, which writes over rows that clash in any other unique key.
    listed = ", ".join(map(quoted, columns))
    chosen = ", ".join(f"new.{quoted(column)}" for column in columns)
    session.execute(
        f"INSERT INTO {old} ({listed}) SELECT {chosen} FROM {new} new "
        f"LEFT JOIN {old} old ON {same} WHERE old.{quoted_keys[0]} IS NULL"
    )
    found = session.fetch(f"SELECT COUNT(*) FROM {old} old JOIN {new} new ON {same}")[0][0]
    session.execute(f"DROP TEMPORARY TABLE {new}")
    if int(found) != rows:
        raise RetryError(
            f"{session.system}: {rows} rows were to be written over {name}, {found} were. "
            "Look for triggers on the table."
        )
