"""One attempt to publish in a table of MySQL: lock, check, load, count, commit."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import contextlib
import hashlib
import math
import time
from typing import TYPE_CHECKING

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import target_option
from tradewind.move.receipt import Stored
from tradewind.move.tables.names import refuse_new_names
from tradewind.move.tables.staging import (
    SqlTable,
    TableColumn,
    matched,
    refuse_cascade,
    refuse_names,
    slice_condition,
    without_generated,
)
from tradewind.systems.mysql.catalog import (
    comment_of,
    deleting,
    find_columns,
    has_table,
    merge,
    references,
    unique_keys,
)
from tradewind.systems.mysql.connection import MySQLConnection, quoted
from tradewind.systems.mysql.ledger import Ledger
from tradewind.systems.mysql.locks import Locks
from tradewind.systems.mysql.marks import Key, find_key
from tradewind.systems.mysql.rows import column_types, wrong_name
from tradewind.systems.mysql.session import Session, bound
from tradewind.systems.mysql.slices import TEXTS, exactly
from tradewind.systems.mysql.writer import Writer

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.flow import Flow
    from tradewind.owner import Owner

__all__ = ["Load"]

_RESOLVE = 120.0
"""Seconds to wait for a server that went away while it committed."""
_TRANSIENT = "`tradewind_rows`"
_MODE = (
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,"
    "NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
)


def open_session(connection: MySQLConnection) -> Session:
    """Open a session that changes nothing silently."""
    session = Session(connection, local_infile=True)
    try:
        session.execute(f"SET SESSION sql_mode = '{_MODE}', autocommit = 0")
        session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    except BaseException:
        session.close()
        raise
    return session


class Load:
    """One attempt to publish.

    Args:
        target: What is asked for; `tradewind.systems.mysql.table.MySQLTable` explains it.
        session: On the server.
        owner: Whose rows they are.
        schema: The database that the table is in.
        how: ``auto``, ``infile`` or ``insert``.
    """

    def __init__(
        self, target: SqlTable, session: Session, owner: Owner, *, schema: str, how: str
    ) -> None:
        self._target = target
        self._schema = schema
        self._session = session
        self._owner = owner
        self._system = session.system
        self._name = f"{schema}.{target.table}"
        self._sql = quoted(schema, target.table)
        # While a table is being made, it has a name of its owner's.
        # Names that begin alike are told apart by a digest; the version before had none.
        refuse_names(self._system, [schema, target.table], 64, "characters")
        told = hashlib.sha256(target.table.encode()).hexdigest()[:8]
        self._staging = f"{target.table[:40]}__{told}_{owner.digest}"
        self._former_staging = f"{target.table[:40]}__{owner.digest}"
        self._ledger = Ledger(session, schema, target, owner)
        self._locks = Locks(self._name, owner.digest, target.lock_timeout)
        self._writer = Writer(session, schema, target.table, how)
        self._mark = f"tradewind attempt {self._ledger.attempt}"
        self._columns: tuple[TableColumn, ...] = ()
        self._exists = False
        self._slice: bytes | None = None
        self._keys = target.keys
        self._made = False
        self._key: Key | None = None

    # ----------------------------------------------------------------------------- before reading

    def begin(self) -> Stored | None:
        """Take the table's lock and refuse what cannot work.

        Returns:
            What an earlier attempt of the owner has published, where that is all there is to do.
        """
        self._look()
        if not self._exists and not self._target.create:
            self._ledger.refuse_gone()
            raise self._missing()
        self._ledger.make()
        # LOCK TABLES, ALTER TABLE or an open transaction of others: the server waits for a day.
        patience = max(1, math.ceil(self._target.lock_timeout))
        self._session.execute(f"SET SESSION lock_wait_timeout = {patience}")
        self._locks.take(self._session)
        self._session.execute("COMMIT")
        published = self._ledger.find(self._session)
        if (
            has_table(self._session, self._schema, self._former_staging)
            and comment_of(self._session, self._schema, self._former_staging) == ""
            and not has_table(self._session, self._schema, self._staging)
        ):
            self._staging = self._former_staging
        if has_table(self._session, self._schema, self._staging):
            if published is not None and published[3] == "staged":
                # All was committed, but for the table's own name.
                self._rename()
                return self._target.stored(published[0], published[1], published[4], self._owner)
            self._session.execute(f"DROP TABLE {self._staging_sql}")
        self._look()
        if self._target.mode == "append" and published is not None:
            unchecked = self._ledger.check(published, exists=self._exists)
            count, size, *_, at, _ = published
            return self._target.stored(count, size, at, self._owner, unchecked)
        if self._exists:
            self._check()
        elif not self._target.create:
            raise self._missing()
        self._session.execute("START TRANSACTION")
        return None

    @property
    def _staging_sql(self) -> str:
        return quoted(self._schema, self._staging)

    def _missing(self) -> SetupError:
        return SetupError(
            f"{self._system}: there is no table {self._name}. Create it, name it with its "
            f"database, or give {target_option('create', True)}."
        )

    def _look(self) -> None:
        """Learn what the table is."""
        columns = find_columns(self._session, self._schema, self._target.table)
        self._exists = columns is not None
        self._columns = columns or self._columns

    def _check(self) -> None:
        target, session = self._target, self._session
        self._choose_slice(self._sql)
        if target.mode == "upsert":
            self._keys = unique_keys(session, self._schema, target.table, target.keys)
        if target.mode == "replace" and not target.cascade:
            whole = target.slice is None
            found = references(session, self._schema, target.table, whole=whole)
            refuse_cascade(self._system, self._name, found)
        for name in target.columns or ():
            if name.lower() not in {c.name.lower() for c in self._columns if not c.generated}:
                raise InputError(
                    f"{self._system}: {self._name} has no column {name!r} to write to. Choose "
                    f"from: {', '.join(c.name for c in self._columns if not c.generated)}."
                )
        # Rights, before anything is read: a statement that inserts nothing.
        # It names all columns: one without a default may not be left out.
        names = [quoted(column.name) for column in self._columns if not column.generated]
        if names:
            session.execute(
                f"INSERT INTO {self._sql} ({', '.join(names)}) "
                f"SELECT {', '.join(['NULL'] * len(names))} FROM DUAL WHERE 1 = 0"
            )
        if target.mode == "replace":
            session.execute(f"DELETE FROM {self._sql} WHERE 1 = 0")
        session.execute("ROLLBACK")

    def _choose_slice(self, table: str) -> None:
        """Learn which rows of the table, which is there by now, are to be replaced."""
        if self._target.slice is None:
            return
        condition, parameters = slice_condition(
            self._target.slice,
            self._columns,
            quote=quoted,
            mark="%s",
            system=self._system,
            equal=exactly(self._session),
        )
        self._slice = bound(self._session, condition, parameters)
        self._session.fetch(f"EXPLAIN SELECT 1 FROM {table} WHERE ".encode() + self._slice)

    # ------------------------------------------------------------------------------ while reading

    def read(self, flow: Flow) -> tuple[int, int]:
        """Write all rows, and the ledger's line; see that none is missing.

        Returns:
            Rows and bytes.
        """
        with flow.batches() as batches:
            into = self._sql
            if not self._exists:
                self._make(batches.schema)
                into = self._staging_sql
            if self._target.skip_generated:
                generated = [c.name for c in self._columns if c.generated]
                batches = without_generated(batches, generated, fold=True)
            columns = matched(
                self._system,
                self._name,
                self._columns,
                batches.schema.names,
                asked=self._target.columns,
                keys=self._keys,
            )
            self._begin_writing(columns)
            if self._target.mode == "append" and self._exists and self._ledger.marks:
                self._key = find_key(self._session, self._schema, self._target.table)
            if self._key is not None:
                self._writer.numbered = self._key.numbered
                batches = self._key.watched(batches, columns)
            if self._target.mode == "upsert" and self._exists:
                into = _TRANSIENT
            rows, size = self._writer.write(into, batches, columns)
        if flow.rows is not None and flow.rows != rows:
            raise RetryError(
                f"{self._system}: {flow.rows} rows were read and {rows} arrived in {self._name}. "
                "Nothing of it is visible. Try again."
            )
        if into == _TRANSIENT:
            names = [column.name for column in columns]
            keys = {key.lower() for key in self._keys}
            texts = [c.name for c in columns if c.type in TEXTS and c.name.lower() in keys]
            merge(self._session, _TRANSIENT, self._sql, self._name, names, self._keys, texts, rows)
        if self._slice is not None:
            self._check_slice(into, rows)
        if self._ledger.kept:
            keyed = None
            if self._key is not None and rows:
                names = [column.name for column in self._columns]
                first = self._writer.first
                keyed = self._key.mark(self._session, self._sql, rows, first, names)
            state = f"visible@{self._ledger.mark_of_table()}" if self._exists else "staged"
            self._ledger.write(rows, size, state, keyed)
        return rows, size

    def _make(self, schema: pa.Schema) -> None:
        for key in self._keys:
            if key not in schema.names:
                raise InputError(f"{self._system}: the data have no column {key!r}, a key.")
        if self._target.columns is not None:
            raise InputError(
                f"{self._system}: {self._name} is to be created, so columns cannot be chosen. "
                "Leave columns out, or create the table before."
            )
        refuse_new_names(self._system, schema.names, fold=str.lower, wrong=wrong_name)
        refuse_names(self._system, schema.names, 64, "characters")
        parts = column_types(schema, self._keys)
        if self._keys:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, self._keys))})")
        self._made = True
        if self._ledger.kept:
            self._ledger.forget()
        self._session.execute(
            f"CREATE TABLE {self._staging_sql} ({', '.join(parts)}) ENGINE=InnoDB "
            f"DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='{self._mark}'"
        )
        found = find_columns(self._session, self._schema, self._staging)
        self._columns = found or ()
        self._choose_slice(self._staging_sql)
        self._session.execute("START TRANSACTION")

    def _begin_writing(self, columns: tuple[TableColumn, ...]) -> None:
        if not self._exists:
            return
        if self._target.mode == "replace":
            where = b"" if self._slice is None else b" WHERE " + self._slice
            with deleting(self._name):
                self._session.execute(f"DELETE FROM {self._sql}".encode() + where)
        elif self._target.mode == "upsert":
            listed = ", ".join(quoted(column.name) for column in columns)
            self._session.execute(
                f"CREATE TEMPORARY TABLE {_TRANSIENT} ENGINE=InnoDB "
                f"SELECT {listed} FROM {self._sql} LIMIT 0"
            )

    def _check_slice(self, table: str, rows: int) -> None:
        """See that the next replacement of this slice will find all of these rows."""
        counted = f"SELECT COUNT(*) FROM {table} WHERE ".encode() + (self._slice or b"1")
        inside = int(self._session.fetch(counted)[0][0])
        if inside != rows:
            raise InputError(
                f"{self._system}: {rows} rows were written to {self._name}, but the slice "
                f"{(self._slice or b'').decode('utf-8', 'replace')} has {inside} now. Correct the "
                "query or the slice."
            )

    # ------------------------------------------------------------------------------ after reading

    def commit(self) -> None:
        """Make it visible. A connection lost meanwhile leaves it open whether that has happened."""
        try:
            self._session.execute("COMMIT")
        except RetryError as error:
            if not self._ledger.kept or not self._is_committed():
                raise RetryError(
                    f"{error}\nNothing of it is visible in {self._name}."
                    if self._ledger.kept
                    else f"{error}\nWhether {self._name} has changed is unknown; a retry is safe."
                ) from error
            if not self._exists:
                raise RetryError(
                    f"{error}\nThe next attempt makes {self._name} visible."
                ) from error
            return
        if not self._exists:
            self._rename()

    def _rename(self) -> None:
        """Give a new table its name: at once, and only if nobody else has made one."""
        if comment_of(self._session, self._schema, self._staging):
            self._session.execute(f"ALTER TABLE {self._staging_sql} COMMENT = ''")
        self._session.execute(f"RENAME TABLE {self._staging_sql} TO {self._sql}")
        self._made = False
        self._ledger.make_visible()

    def discard(self) -> None:
        """Remove what this attempt has begun; the server itself rolls the rows back."""
        if self._made:
            with contextlib.suppress(TradewindError):
                session = open_session(self._session.connection)
                try:
                    # As long as the dead session lives, it locks the table.
                    session.execute("SET SESSION lock_wait_timeout = 10")
                    if not self._is_own_staging(session):
                        return
                    # A retry that holds this lock removes what is here, and makes its own.
                    if session.fetch("SELECT GET_LOCK(%s, 10)", self._locks.mine)[0][0] != "1":
                        return
                    published = self._ledger.find(session)
                    session.execute("COMMIT")
                    staged = published is not None and published[3] == "staged"
                    if not staged and self._is_own_staging(session):
                        session.execute(f"DROP TABLE IF EXISTS {self._staging_sql}")
                finally:
                    session.close()

    def _is_own_staging(self, session: Session) -> bool:
        """Tell whether the staging table is this attempt's, not that of a retry."""
        return comment_of(session, self._schema, self._staging) == self._mark

    def _is_committed(self) -> bool:
        """Ask the ledger, on a new connection, once the old one's transaction has ended."""
        self._session.abort()
        end = time.monotonic() + _RESOLVE
        backoff, failures = Backoff(first=0.2, longest=5.0), 0
        while True:
            try:
                session = open_session(self._session.connection)
                try:
                    self._locks.await_others(session)
                    session.execute("COMMIT")
                    found = self._ledger.find(session)
                    return found is not None and found[2] == self._ledger.attempt
                finally:
                    session.close()
            except TradewindError as error:
                if time.monotonic() > end:
                    raise RetryError(
                        f"{self._system}: the connection was lost while {self._name} was being "
                        "committed, and the server has not come back. A retry is safe: it looks "
                        "first whether these rows are there."
                    ) from error
                failures += 1
                backoff.rest(failures)
