"""A table of DuckDB as a target: in one transaction, once."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa

from tradewind.errors import InputError, SetupError
from tradewind.move.tables.staging import (
    LEDGER,
    Slice,
    SqlTable,
    TableColumn,
    check_claim,
    matched,
    slice_condition,
    table_options,
)
from tradewind.move.types import UnfitValueError, logical_type
from tradewind_duckdb.session import opened, path_of, quoted, translated

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["DuckDBTable"]

_STAGED = "temp.main.tradewind_rows"
_LOGICAL = {"decimal": "VARCHAR", "json": "JSON", "uuid": "UUID"}


class DuckDBTable(SqlTable):
    """Rows of a table, visible at once with the end of one transaction.

    The rows are staged in a temporary table, held against what the table's columns make of them,
    and put in place; the transaction commits together with a line in the ledger
    ``tradewind_published``.

    Memory: one batch; DuckDB stages what does not fit on disk.

    Args:
        path: The file; made with `create`.
        table: Name of the table, in the schema ``main``.
        mode: ``append`` adds the rows, once for each owner; ``replace`` puts them in the place of
            the slice; ``upsert`` writes each row over the one with the same keys.
        slice: What ``replace`` deletes: values by column, or a condition.
        keys: Columns by which ``upsert`` finds rows: its primary key or unique.
        columns: The table's columns that the data's go to, one by one; by name when not given.
        create: Makes the table, and the file, where they do not exist.
        lock_timeout: How long to wait for another process that has the file, in seconds.
    """

    decides = ("path", "table", "mode", "slice", "keys", "columns")

    system_name: ClassVar[str] = "DuckDB"

    def __init__(
        self,
        path: str | Path,
        table: str,
        *,
        mode: str = "append",
        slice: Slice | None = None,
        keys: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        create: bool = False,
        lock_timeout: float = 60.0,
    ) -> None:
        super().__init__(table, mode=mode, slice=slice, keys=keys, columns=columns, create=create)
        self.path = Path(path)
        self.lock_timeout = lock_timeout

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``duckdb:///relative.db`` or ``duckdb:////absolute.db`` and options."""
        return cls(path_of(uri), **table_options("DuckDB", options, ("lock_timeout",)))

    @property
    def uri(self) -> str:
        """File and table."""
        return f"duckdb:///{self.path}#{self.table}"

    def describe(self) -> str:
        """Name file and table."""
        return f"duckdb:///{self.path}: table {self.table}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Write all that flows into the table and commit; see `Target.publish`."""
        where = f"DuckDB file {self.path}, table {self.table}"
        with (
            opened(self.path, create=self.create, lock_timeout=self.lock_timeout) as connection,
            translated(where),
        ):
            return _Load(self, connection, owner, where).run(flow)


class _Load:
    """One attempt to publish; closing the connection without a commit undoes it."""

    def __init__(self, target: DuckDBTable, connection: Any, owner: Owner, where: str) -> None:
        self._target, self._owner, self._where = target, owner, where
        self._execute = connection.execute
        self._connection = connection
        self._sql = quoted(target.table)
        self._columns: tuple[TableColumn, ...] = ()

    def run(self, flow: Flow) -> Stored:
        target, execute = self._target, self._execute
        execute("BEGIN")
        execute(
            f"CREATE TABLE IF NOT EXISTS {LEDGER} (owner VARCHAR, target VARCHAR, rows BIGINT, "
            '"at" TIMESTAMP DEFAULT current_timestamp, PRIMARY KEY (owner, target))'
        )
        self._look()
        who = [self._owner.digest, target.table]
        if target.mode == "append":
            found = execute(
                f"SELECT rows, strftime(\"at\", '%Y-%m-%dT%H:%M:%SZ') FROM {LEDGER} "
                "WHERE owner = ? AND target = ?",
                who,
            ).fetchone()
            if found is not None:
                self._check_claim(*found)
                execute("ROLLBACK")
                return target.stored(found[0], None, found[1], self._owner)
        if not self._columns and not target.create:
            raise SetupError(
                f"{self._where}: there is no such table. Create it, or give create=true."
            )
        rows, size = self._write(flow)
        execute(
            f"INSERT OR REPLACE INTO {LEDGER} (owner, target, rows) VALUES (?, ?, ?)", [*who, rows]
        )
        execute("COMMIT")
        return target.stored(rows, size)

    def _look(self) -> None:
        rows = self._execute(
            "SELECT column_name, data_type, is_nullable OR column_default IS NOT NULL "
            "FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main' "
            "AND database_name = current_database() ORDER BY column_index",
            [self._target.table],
        ).fetchall()
        self._columns = tuple(TableColumn(name, kind, filled) for name, kind, filled in rows)

    def _check_claim(self, claimed: int, at: str) -> None:
        there = None
        if self._columns:
            counted = f"SELECT count(*) FROM (SELECT 1 FROM {self._sql} LIMIT {claimed})"
            there = self._execute(counted).fetchone()[0]
        check_claim(self._where, self._target.table, claimed=claimed, there=there, at=at)

    def _write(self, flow: Flow) -> tuple[int, int]:
        target = self._target
        with flow.batches() as batches:
            schema = batches.schema
            if not self._columns:
                self._make(schema)
            keys = self._keys() if target.mode == "upsert" else ()
            columns = matched(
                self._where,
                target.table,
                self._columns,
                schema.names,
                asked=target.columns,
                keys=keys,
            )
            rows = size = 0
            self._connection.register("tradewind_batch", schema.empty_table())
            self._execute("CREATE TEMP TABLE tradewind_rows AS FROM tradewind_batch")
            for batch in batches:
                self._connection.register("tradewind_batch", pa.Table.from_batches([batch]))
                self._execute(f"INSERT INTO {_STAGED} FROM tradewind_batch")
                rows += batch.num_rows
                size += batch.nbytes
        for one, column in zip(schema, columns, strict=True):
            self._check_values(one, column)
        self._put(schema.names, columns, keys, rows)
        return rows, size

    def _make(self, schema: pa.Schema) -> None:
        target = self._target
        self._connection.register("tradewind_batch", schema.empty_table())
        kinds = {
            name: kind
            for name, kind, *_ in self._execute("DESCRIBE FROM tradewind_batch").fetchall()
        }
        parts = []
        for one in schema:
            kind = _LOGICAL.get(logical_type(one) or "", kinds[one.name])
            parts.append(f"{quoted(one.name)} {kind}")
        if target.keys:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, target.keys))})")
        self._execute(f"CREATE TABLE {self._sql} ({', '.join(parts)})")
        self._look()

    def _keys(self) -> tuple[str, ...]:
        found = self._execute(
            "SELECT constraint_type, constraint_column_names FROM duckdb_constraints() "
            "WHERE table_name = ? AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')",
            [self._target.table],
        ).fetchall()
        unique = [tuple(names) for _, names in found]
        primary = [tuple(names) for kind, names in found if kind == "PRIMARY KEY"]
        keys = self._target.keys or (primary[0] if primary else ())
        if sorted(keys) not in [sorted(names) for names in unique]:
            raise InputError(
                f"{self._where}: {', '.join(keys) or 'no column'} tells its rows apart. Make a "
                "unique index over exactly the columns that do, and give them as keys."
            )
        return keys

    def _check_values(self, one: pa.Field, column: TableColumn) -> None:
        """Refuse what the column would change: cast there and back, it has to be the same."""
        name, kind = quoted(one.name), column.type
        back = f"CAST(TRY_CAST({name} AS {kind}) AS {_kind_of(self._execute, name)})"
        if pa.types.is_string(one.type) and kind.startswith("DECIMAL("):
            # As text, a number keeps its zeros.
            scale = int(kind[8:-1].split(",")[1])
            same = (
                f"TRY_CAST({name} AS {kind}) IS NOT NULL AND NOT contains(lower({name}), 'e') "
                f"AND length(regexp_extract({name}, '[.](.*?)0*$', 1)) <= {scale}"
            )
        elif pa.types.is_string(one.type) and kind == "UUID":
            same = f"lower({name}) = CAST(TRY_CAST({name} AS UUID) AS VARCHAR)"
        else:
            same = f"{back} IS NOT DISTINCT FROM {name}"
        wrong = self._execute(
            f"SELECT {name} FROM {_STAGED} WHERE {name} IS NOT NULL AND NOT ({same}) LIMIT 1"
        ).fetchone()
        if wrong is not None:
            raise UnfitValueError(
                one.name,
                wrong[0],
                where=f"{self._where}: the type {kind} of its column {column.name}",
                remedy="Give the column a wider type, or cast the value in the query.",
            )

    def _put(
        self,
        names: Sequence[str],
        columns: Sequence[TableColumn],
        keys: Sequence[str],
        rows: int,
    ) -> None:
        target, execute = self._target, self._execute
        into = ", ".join(quoted(column.name) for column in columns)
        listed = ", ".join(map(quoted, names))
        insert = f"INSERT INTO {self._sql} ({into}) SELECT {listed} FROM {_STAGED}"
        if target.mode == "upsert":
            self._check_keys(names, columns, keys)
            others = [column.name for column in columns if column.name not in keys]
            then = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
            insert += f" ON CONFLICT ({', '.join(map(quoted, keys))}) DO "
            insert += f"UPDATE SET {then}" if then else "NOTHING"
        where, values = "", None
        if target.mode == "replace":
            if target.slice is not None:
                where, values = slice_condition(
                    target.slice, self._columns, quote=quoted, mark="?", system=self._where
                )
            execute(f"DELETE FROM {self._sql}" + (f" WHERE {where}" if where else ""), values or [])
        execute(insert)
        if where:
            counted = execute(f"SELECT count(*) FROM {self._sql} WHERE {where}", values or [])
            inside = counted.fetchone()[0]
            if inside != rows:
                raise InputError(
                    f"{self._where}: {rows} rows were written, but the slice {where} has {inside} "
                    "now. Correct the query or the slice."
                )

    def _check_keys(
        self, names: Sequence[str], columns: Sequence[TableColumn], keys: Sequence[str]
    ) -> None:
        own = {column.name: name for name, column in zip(names, columns, strict=True)}
        listed = ", ".join(quoted(own[key]) for key in keys)
        empty = " OR ".join(f"{quoted(own[key])} IS NULL" for key in keys)
        if self._execute(f"SELECT 1 FROM {_STAGED} WHERE {empty} LIMIT 1").fetchone():
            raise InputError(
                f"{self._where}: rows have NULL in a key ({', '.join(keys)}), so they cannot be "
                "found again. Leave them out."
            )
        twice = self._execute(
            f"SELECT {listed} FROM {_STAGED} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        if twice:
            raise InputError(
                f"{self._where}: several rows have the same {', '.join(keys)}: "
                f"{', '.join(map(str, twice))}. Give each key once."
            )


def _kind_of(execute: Any, name: str) -> str:
    return str(execute(f"SELECT {name} FROM {_STAGED} LIMIT 0").description[0][1])
