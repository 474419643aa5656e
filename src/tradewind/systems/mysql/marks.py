"""Which rows of a table an append has written, by their keys.

InnoDB shows no mark of its own of who wrote a row. What it has is a unique key in order: where the
keys of an append stand together, with nobody else's among them, the ledger keeps the first and the
last one, how many there are, and a sum over them. A row whose other columns were updated has still
its key, and so has one that was deleted and written anew with the same key: both count as there.
Where the table itself was made anew since (TRUNCATE, or OPTIMIZE, which keeps all rows), the first
and the last row have to have all their values, too: the server may have given the keys once more.

There is no mark of rows without such a key (none that is unique and NOT NULL, none that begins with
a whole number, a date or a datetime), nor where other rows stand between theirs.
"""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tradewind.errors import InputError, SetupError
from tradewind.move.batches import Batches
from tradewind.move.tables.staging import TableColumn
from tradewind.systems.mysql.connection import quoted
from tradewind.systems.mysql.session import Session

__all__ = ["Key", "count_keyed", "find_key", "has_ends"]

_WHOLE = ("tinyint", "smallint", "mediumint", "int", "bigint")


@dataclass
class Key:
    """A unique key by which the rows of one append are found again.

    Args:
        columns: Its columns, in order.
        numbered: Whether the server numbers the first one (AUTO_INCREMENT).
        kind: The type of the first one, in lower case.
    """

    columns: tuple[str, ...]
    numbered: bool
    kind: str
    low: Any = None
    high: Any = None
    given: bool = False

    def watched(self, batches: Batches, columns: Sequence[TableColumn]) -> Batches:
        """Learn the least and the greatest value of the key's first column on the way.

        Args:
            batches: The data.
            columns: Where each of their columns goes.
        """
        lead = self.columns[0].lower()
        at = next((n for n, column in enumerate(columns) if column.name.lower() == lead), None)
        if at is None or not self._fits(batches.schema.field(at).type):
            self.given = at is not None
            return batches
        self.given = True

        def looked() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                ends = _ends(batch.column(at))
                if ends["min"] is not None:
                    self.low = ends["min"] if self.low is None else min(self.low, ends["min"])
                    self.high = ends["max"] if self.high is None else max(self.high, ends["max"])
                yield batch

        return Batches(batches.schema, looked(), on_close=batches.close)

    def _fits(self, type_: pa.DataType) -> bool:
        is_ = pa.types
        if self.kind in _WHOLE:
            return bool(is_.is_integer(type_))
        if self.kind == "date":
            return bool(is_.is_date(type_))
        return bool(is_.is_timestamp(type_)) and type_.tz is None and type_.unit != "ns"

    def mark(
        self, session: Session, table: str, rows: int, first: int, columns: Sequence[str] = ()
    ) -> str | None:
        """Describe the rows that this transaction has written.

        Args:
            session: In its transaction.
            table: Where they are, in SQL.
            rows: How many.
            first: The first number that the server gave to one of them; 0 where it gave none.
            columns: Names of all of the table's columns.

        Returns:
            The mark; None where the key does not tell them from others, or the user may not look.
        """
        try:
            if self.numbered and not self.given and first:
                self._find_numbered(session, table, rows, first)
            if self.low is None or self.count(session, table, rows) != rows:
                return None
            total = None
            whole = len(self.columns) == 1 and self.kind in _WHOLE
            if not whole or self.high - self.low + 1 != rows:
                total = self.total(session, table)
        except (SetupError, InputError):
            return None
        told = {
            "key": self.columns,
            "low": str(self.low),
            "high": str(self.high),
            "sum": total,
            "ends": self.ends(session, table, columns),
        }
        return json.dumps(told, ensure_ascii=False)

    def _find_numbered(self, session: Session, table: str, rows: int, first: int) -> None:
        """Find the last number; those of one statement may follow each other without a gap."""
        lead = _named(self.columns[0])
        last, step = session.fetch(
            f"SELECT MAX({lead}), @@auto_increment_increment FROM {_formatted(table)} "
            f"WHERE {lead} >= %s",
            first,
        )[0]
        self.low, self.high = first, int(last)
        if self.count(session, table, rows) > rows:
            self.high = first + (rows - 1) * int(step)

    def count(self, session: Session, table: str, rows: int) -> int:
        """Count the rows from the first key to the last one; at most one more than `rows`."""
        lead = _named(self.columns[0])
        counted = session.fetch(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {_formatted(table)} "
            f"WHERE {lead} BETWEEN %s AND %s LIMIT {rows + 1}) r",
            str(self.low),
            str(self.high),
        )
        return int(counted[0][0])

    def total(self, session: Session, table: str) -> str:
        """Sum up the keys from the first to the last one."""
        keys = ", ".join(map(_named, self.columns))
        summed = session.fetch(
            f"SELECT SUM(CRC32(CONCAT_WS('|', {keys}))) FROM {_formatted(table)} "
            f"WHERE {_named(self.columns[0])} BETWEEN %s AND %s",
            str(self.low),
            str(self.high),
        )
        return str(summed[0][0])

    def ends(self, session: Session, table: str, columns: Sequence[str]) -> list[str] | None:
        """Digest the first and the last row; None where the server cannot."""
        parts = ", ".join(
            f"{name} IS NULL, CAST({name} AS BINARY)" for name in map(_named, columns)
        )
        found = []
        if not columns:
            return None
        try:
            for way in ("ASC", "DESC"):
                order = ", ".join(f"{_named(key)} {way}" for key in self.columns)
                row = session.fetch(
                    f"SELECT SHA2(CONCAT_WS('|', {parts}), 256) FROM {_formatted(table)} "
                    f"WHERE {_named(self.columns[0])} BETWEEN %s AND %s ORDER BY {order} LIMIT 1",
                    str(self.low),
                    str(self.high),
                )
                found.append(row[0][0] if row else None)
        except (SetupError, InputError):
            return None
        return None if None in found else [str(one)[:32] for one in found]


def _ends(array: pa.Array) -> dict[str, Any]:
    try:
        ends: dict[str, Any] = pc.min_max(array).as_py()
    except OverflowError:  # a year past 9999: the server will refuse it, and the load names it
        return {"min": None, "max": None}
    return ends


def _formatted(name: str) -> str:
    """Tell a percent sign of a name's own from the marks of values."""
    return name.replace("%", "%%")


def _named(column: str) -> str:
    return _formatted(quoted(column))


def find_key(session: Session, schema: str, table: str) -> Key | None:
    """Choose the unique key by which rows can be found again: the primary one, if it will do.

    Args:
        session: To ask.
        schema: The table's database.
        table: Its name.
    """
    found: dict[str, list[tuple[Any, ...]]] = {}
    for index, *column in session.fetch(
        "SELECT s.index_name, s.column_name, s.nullable, s.sub_part, c.data_type, c.extra "
        "FROM information_schema.statistics s LEFT JOIN information_schema.columns c "
        "ON c.table_schema = s.table_schema AND c.table_name = s.table_name "
        "AND c.column_name = s.column_name "
        "WHERE s.table_schema = %s AND s.table_name = %s AND s.non_unique = 0 "
        "ORDER BY s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index",
        schema,
        table,
    ):
        found.setdefault(index, []).append(tuple(column))
    for columns in found.values():
        plain = all(name and nulls != "YES" and not cut for name, nulls, cut, *_ in columns)
        kind, extra = columns[0][3:]
        if plain and kind.lower() in (*_WHOLE, "date", "datetime"):
            names = tuple(column[0] for column in columns)
            return Key(names, "auto_increment" in extra.lower(), kind.lower())
    return None


def count_keyed(session: Session, table: str, mark: str, rows: int) -> int | None:
    """Count the rows of a table that have the keys of an append.

    Args:
        session: To ask.
        table: Where they are, in SQL.
        mark: As the ledger keeps it.
        rows: How many there were.

    Returns:
        How many there are, or one less than there were where that many are there and some of them
        have other keys; None where others stand between them, so that it cannot be told.
    """
    told = json.loads(mark)
    key = Key(tuple(told["key"]), False, "", told["low"], told["high"])
    count = key.count(session, table, rows)
    if count > rows:
        return None
    if count == rows and told["sum"] is not None and key.total(session, table) != told["sum"]:
        return rows - 1
    return count


def has_ends(session: Session, table: str, mark: str, columns: Sequence[str]) -> bool:
    """Say whether the first and the last row of an append are as they were, all their values.

    Args:
        session: To ask.
        table: Where they are, in SQL.
        mark: As the ledger keeps it; former versions kept nothing of this.
        columns: Names of all of the table's columns.
    """
    told = json.loads(mark)
    key = Key(tuple(told["key"]), False, "", told["low"], told["high"])
    return bool(told.get("ends")) and key.ends(session, table, columns) == told["ends"]
