"""One attempt to publish in a table of SQLite: look, check, write, count, commit."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.errors import InputError, SetupError
from tradewind.move.interface import target_option
from tradewind.move.tables.staging import (
    GONE,
    LEDGER,
    SqlTable,
    TableColumn,
    check_claim,
    matched,
    refuse_cascade,
    refused_by_triggers,
    slice_condition,
    without_generated,
)
from tradewind.systems.sqlite.conflicts import insert_of
from tradewind.systems.sqlite.marks import Given, count_marked, greatest, is_marked, mark_of
from tradewind.systems.sqlite.values import check_new_names, column_values, plain, quoted, type_of
from tradewind.systems.sqlite.waiting import told

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["Load"]

_TRANSIENT = "temp.tradewind_rows"


class Load:
    """One attempt to publish.

    Args:
        target: What is asked for; `tradewind.systems.sqlite.table.SQLiteTable` explains it.
        connection: To the file, in a transaction that may write (`tradewind.systems.sqlite.place`).
        owner: Whose rows they are.
        system: The file, for messages.
    """

    def __init__(
        self, target: SqlTable, connection: sqlite3.Connection, owner: Owner, *, system: str
    ) -> None:
        self._target = target
        self._connection = connection
        self._owner = owner
        self._system = system
        self._sql = quoted(target.table)
        self._columns: tuple[TableColumn, ...] = ()
        self._keys = target.keys
        self._given: Given | None = None

    def run(self, flow: Flow) -> Stored:
        """Do all of it in the transaction, and end it; closing the connection before undoes it."""
        target, execute = self._target, self._connection.execute
        execute(
            f"CREATE TABLE IF NOT EXISTS {LEDGER} (owner TEXT NOT NULL, target TEXT NOT NULL, "
            "rows INTEGER NOT NULL, at TEXT NOT NULL DEFAULT (datetime('now')), "
            "PRIMARY KEY (owner, target))"
        )
        kept = [row[0] for row in execute("SELECT name FROM pragma_table_info(?)", (LEDGER,))]
        if "mark" not in kept:
            execute(f"ALTER TABLE {LEDGER} ADD COLUMN mark TEXT")
        self._look()
        who = (self._owner.digest, target.table)
        if target.mode == "append":
            found = execute(
                f"SELECT rows, at, mark FROM {LEDGER} WHERE owner = ? AND target = ?", who
            ).fetchone()
            if found is not None:
                claimed, at = int(found[0]), f"{found[1].replace(' ', 'T')}Z"
                unchecked = self._check_claim(claimed, at, found[2])
                execute("ROLLBACK")
                return target.stored(claimed, None, at, self._owner, unchecked)
        if not self._columns and not target.create:
            raise SetupError(
                f"{self._system}: there is no table {target.table}. Create it, or give "
                f"{target_option('create', True)}."
            )
        where, values = self._check()
        rows, size = self._write(flow, where, values)
        last = execute("SELECT last_insert_rowid()").fetchone()[0] if rows else None
        mark = None
        if target.mode == "append":
            mark = mark_of(self._connection, target.table, last, rows, self._given)
        execute(
            f"INSERT OR REPLACE INTO {LEDGER} (owner, target, rows, mark) VALUES (?, ?, ?, ?)",
            (*who, rows, mark),
        )
        with self._told():
            execute("COMMIT")
        return target.stored(rows, size)

    def _told(self) -> contextlib.AbstractContextManager[None]:
        """Say when a step takes long that waits until nobody reads the file."""
        why = "writing takes long; if somebody reads from it, it waits for them"
        return told(self._system, self._target.lock_timeout, why)

    def _check_claim(self, claimed: int, at: str, mark: str | None) -> str | None:
        """See that what the ledger says is so: rows may have gone, and the table with them.

        Returns:
            What could not be seen; None where all was.
        """
        there, gone, unchecked = None, GONE, None
        table = self._target.table
        if self._columns and not is_marked(self._connection, table, mark):
            gone = (
                "another one has its name, or its rows have changed with it, or VACUUM numbered "
                "them anew"
            )
        elif self._columns:
            found = count_marked(self._connection, table, mark, claimed)
            if found is None:
                counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM {self._sql} LIMIT {claimed})"
                there = int(self._connection.execute(counted).fetchone()[0])
                unchecked = f"whether {claimed} of the rows there are these"
            else:
                there = claimed if found >= claimed else None
                gone = (
                    f"at most {found} of these rows are there; the others were deleted, or the "
                    "last one was updated"
                )
        check_claim(self._system, table, claimed=claimed, there=there, at=at, gone=gone)
        return unchecked

    def _look(self) -> None:
        rows = self._connection.execute(
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)',
            (self._target.table,),
        ).fetchall()
        # The one INTEGER PRIMARY KEY numbers itself.
        keys = sum(bool(row[4]) for row in rows)
        self._columns = tuple(
            TableColumn(
                name,
                type_.lower(),
                filled=not required
                or default is not None
                or (bool(key) and keys == 1 and type_.upper() == "INTEGER"),
                generated=hidden != 0,
            )
            for name, type_, required, default, key, hidden in rows
        )

    def _check(self) -> tuple[str, Any]:
        if not self._columns:
            return "", None
        if self._target.mode == "upsert":
            self._keys = self._unique()
        elif self._target.mode == "replace" and not self._target.cascade:
            self._check_references()
        return self._slice()

    def _check_references(self) -> None:
        """Refuse what foreign keys would delete or change; most builds do not enforce them."""
        if not self._connection.execute("PRAGMA foreign_keys").fetchone()[0]:
            return
        found = self._connection.execute(
            "SELECT DISTINCT m.name, f.on_delete FROM sqlite_master m, "
            "pragma_foreign_key_list(m.name) f WHERE m.type = 'table' "
            "AND lower(f.\"table\") = lower(?) AND f.on_delete NOT IN ('NO ACTION', 'RESTRICT')",
            (self._target.table,),
        ).fetchall()
        whole = self._target.slice is None
        others = [row for row in found if not (whole and row[0] == self._target.table)]
        refuse_cascade(self._system, self._target.table, others)

    def _slice(self) -> tuple[str, Any]:
        """Write the condition of the rows that are replaced, with its values."""
        target, execute = self._target, self._connection.execute
        if target.slice is None:
            return "", None
        where, values = slice_condition(
            target.slice,
            self._columns,
            quote=quoted,
            mark="?",
            system=self._system,
            # The first finds rows by the column's collation, as its index does: 'A' for 'a'.
            equal=lambda _, name, value: (
                f"({name} = ? AND {name} = ? COLLATE BINARY)",
                [value, value],
            ),
        )
        values = [plain(value) for value in values] if isinstance(values, list) else values
        execute(f"EXPLAIN SELECT 1 FROM {self._sql} WHERE {where}", values or ())
        return where, values

    def _unique(self) -> tuple[str, ...]:
        execute, table = self._connection.execute, self._target.table
        primary = tuple(
            row[0]
            for row in execute(
                "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
            )
        )
        keys = self._target.keys or primary
        if not keys:
            raise InputError(f"{self._system}: {table} has no primary key. Give keys.")
        found = [set(map(str.lower, primary))]
        for (index,) in execute(
            'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table,)
        ).fetchall():
            names = execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
            found.append({str(name).lower() for (name,) in names})
        if set(map(str.lower, keys)) not in found:
            raise InputError(
                f"{self._system}: {', '.join(keys)} is not unique in {table}. Make a unique index "
                "over exactly these columns, or give other keys."
            )
        return keys

    def _write(self, flow: Flow, where: str, values: Any) -> tuple[int, int]:
        target, execute = self._target, self._connection.execute
        with flow.batches() as batches:
            if not self._columns:
                self._make(batches.schema)
                where, values = self._slice()
            if target.skip_generated:
                generated = [c.name for c in self._columns if c.generated]
                batches = without_generated(batches, generated, fold=True)
            columns = matched(
                self._system,
                target.table,
                self._columns,
                batches.schema.names,
                asked=target.columns,
                keys=self._keys,
            )
            listed = ", ".join(quoted(column.name) for column in columns)
            into = self._sql
            key = self._watch(columns)
            if target.mode == "replace":
                execute(
                    f"DELETE FROM {self._sql}" + (f" WHERE {where}" if where else ""), values or ()
                )
            elif target.mode == "upsert":
                into = _TRANSIENT
                execute(f"CREATE TABLE {_TRANSIENT} AS SELECT {listed} FROM {self._sql} LIMIT 0")
            marks = ", ".join("?" * len(columns))
            insert = insert_of(self._connection, target.table)
            insert = f"{insert} INTO {into} ({listed}) VALUES ({marks})"
            rows = size = 0
            for batch in batches:
                arrays = [
                    column_values(array, field, column)
                    for array, field, column in zip(
                        batch.columns, batch.schema, columns, strict=True
                    )
                ]
                with self._told():
                    done = self._connection.executemany(insert, zip(*arrays, strict=True))
                if done.rowcount != batch.num_rows:
                    raise refused_by_triggers(
                        self._system,
                        target.table,
                        self._triggers(),
                        batch.num_rows - done.rowcount,
                        batch.num_rows,
                    )
                if key is not None:
                    self._see(arrays[key])
                rows += batch.num_rows
                size += batch.nbytes
        if target.mode == "upsert":
            self._merge([column.name for column in columns], listed, rows)
        if where:
            counted = execute(f"SELECT COUNT(*) FROM {self._sql} WHERE {where}", values or ())
            inside = counted.fetchone()[0]
            if inside != rows:
                raise InputError(
                    f"{self._system}: {rows} rows were written to {target.table}, but the slice "
                    f"{where} has {inside} now. Correct the query or the slice."
                )
        return rows, size

    def _watch(self, columns: Sequence[TableColumn]) -> int | None:
        """Learn where appended rows will stand; which of the data's columns says so, if one."""
        if self._target.mode != "append":
            return None
        keys = self._connection.execute(
            "SELECT name, type FROM pragma_table_info(?) WHERE pk > 0", (self._target.table,)
        ).fetchall()
        if len(keys) == 1 and keys[0][1].upper() == "INTEGER":
            for number, column in enumerate(columns):
                if column.name == keys[0][0]:
                    return number
        before = greatest(self._connection, self._target.table)
        if before is None:
            self._given = Given(-(2**63))
        elif before < 2**63 - 1:  # After the last number SQLite draws them by chance.
            self._given = Given(before + 1)
        return None

    def _see(self, keys: Sequence[Any]) -> None:
        whole = [key for key in keys if isinstance(key, int)]
        if whole:
            low, high, _ = self._given or (whole[0], whole[0], True)
            self._given = Given(min(low, *whole), max(high or low, *whole), by_data=True)

    def _triggers(self) -> list[str]:
        found = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?)",
            (self._target.table,),
        )
        return [name for (name,) in found]

    def _make(self, schema: pa.Schema) -> None:
        target = self._target
        for key in self._keys:
            if key not in schema.names:
                raise InputError(f"{self._system}: the data have no column {key!r}, a key.")
        if target.columns is not None:
            raise InputError(
                f"{self._system}: {target.table} is to be created, so columns cannot be chosen. "
                "Leave columns out, or create the table before."
            )
        check_new_names(self._system, schema.names)
        parts = [
            f"{quoted(field.name)} {type_of(field)}" + " NOT NULL" * (field.name in self._keys)
            for field in schema
        ]
        if self._keys:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, self._keys))})")
        self._connection.execute(f"CREATE TABLE {self._sql} ({', '.join(parts)})")
        self._look()
        if target.mode == "upsert":
            self._keys = self._unique()

    def _collations(self) -> list[dict[str, str]]:
        """Learn by which collations the unique indexes over the keys compare them."""
        execute, asked = self._connection.execute, {key.lower() for key in self._keys}
        found = []
        for (index,) in execute(
            'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial',
            (self._target.table,),
        ).fetchall():
            columns = execute(
                "SELECT lower(name), coll FROM pragma_index_xinfo(?) WHERE key", (index,)
            )
            collations = dict(columns.fetchall())
            if collations.keys() == asked:
                found.append(collations)
        return found

    def _merge(self, names: list[str], listed: str, rows: int) -> None:
        execute, table = self._connection.execute, self._target.table
        keys = ", ".join(map(quoted, self._keys))
        collations = self._collations()
        empty = " OR ".join(f"{quoted(key)} IS NULL" for key in self._keys)
        if execute(f"SELECT 1 FROM {_TRANSIENT} WHERE {empty} LIMIT 1").fetchone():
            raise InputError(
                f"{self._system}: rows for {table} have NULL in a key ({', '.join(self._keys)}), "
                "so they cannot be found again. Leave them out."
            )
        # The transient table has no collations of its own.
        for collation in collations or [{}]:
            grouped = ", ".join(
                f"{quoted(key)} COLLATE {quoted(collation.get(key.lower(), 'BINARY'))}"
                for key in self._keys
            )
            twice = execute(
                f"SELECT {keys} FROM {_TRANSIENT} GROUP BY {grouped} HAVING COUNT(*) > 1 LIMIT 1"
            ).fetchone()
            if twice:
                raise InputError(
                    f"{self._system}: several rows for {table} have the same "
                    f"{', '.join(self._keys)}: {', '.join(map(str, twice))}. Give each key once."
                )
        # A row that has 'A' is found by 'a', and is to have 'a' then: such keys are set, too.
        asked = {key.lower() for key in self._keys}
        for collation in collations:
            asked -= {key for key, name in collation.items() if name.upper() != "BINARY"}
        then = ", ".join(
            f"{quoted(name)} = excluded.{quoted(name)}"
            for name in names
            if name.lower() not in asked
        )
        done = execute(
            f"{insert_of(self._connection, table)} INTO {self._sql} ({listed}) "
            f"SELECT {listed} FROM {_TRANSIENT} WHERE true "
            f"ON CONFLICT ({keys}) DO {f'UPDATE SET {then}' if then else 'NOTHING'}"
        )
        if then and done.rowcount != rows:
            raise refused_by_triggers(
                self._system, table, self._triggers(), rows - done.rowcount, rows
            )
