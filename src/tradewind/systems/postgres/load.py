"""One attempt to publish in a table of PostgreSQL: lock, check, copy, count, commit."""

# ruff: noqa: S608 - all names are quoted, all values literals
from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import target_option
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.source import Encoded
from tradewind.move.tables.names import spellings
from tradewind.move.tables.staging import (
    SqlTable,
    refused_by_triggers,
    without_generated,
)
from tradewind.systems.postgres.catalog import (
    TableColumn,
    create_sql,
    find_table,
    lock_keys,
    named_table,
)
from tradewind.systems.postgres.checked_csv import CheckedCsv, begins_with_zones, columns_of_text
from tradewind.systems.postgres.checks import (
    check_lengths,
    check_new_names,
    check_references,
    deleting,
    row_triggers,
)
from tradewind.systems.postgres.copy import CopyIn
from tradewind.systems.postgres.ledger import Ledger
from tradewind.systems.postgres.marks import blocks_of, mark_of
from tradewind.systems.postgres.matching import closing, matched, names_and_chunks
from tradewind.systems.postgres.rows import COPY_OPTIONS, csv_rows
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.slices import slice_sql
from tradewind.systems.postgres.sql import copy_dialect, quoted
from tradewind.systems.postgres.upsert import TRANSIENT, keys_of, merge

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.formats.csv import CsvFormat
    from tradewind.owner import Owner
    from tradewind.systems.postgres.connection import PostgresConnection

__all__ = ["Load", "open_session"]

_RESOLVE = 120.0
"""Seconds to wait for a server that went away while it committed."""


def open_session(connection: PostgresConnection, owner: Owner, lock_timeout: float) -> Session:
    """Open a session in the name of an owner.

    Args:
        connection: Where to.
        owner: Whose; a later attempt finds the session by it.
        lock_timeout: Seconds that a statement waits for a lock.
    """
    return Session(
        connection,
        name=f"tradewind:{owner.digest}",
        settings={"lock_timeout": f"{round(lock_timeout * 1000)}ms"},
    )


class Load:
    """One attempt to publish.

    Args:
        target: What is asked for; `tradewind.systems.postgres.table.PostgresTable` explains it.
        session: On the server.
        owner: Whose rows they are.
        schema: Where the table is; by the search path when None.
    """

    def __init__(
        self,
        target: SqlTable,
        session: Session,
        owner: Owner,
        *,
        schema: str | None,
    ) -> None:
        self._target = target
        self._connection = session.connection
        self._session = session
        self._owner = owner
        self._system = session.system
        names = [*spellings(schema or ""), *spellings(target.table)]
        check_lengths(session, names)
        self._table = named_table(session, schema, target.table)
        self._slice: str | None = None
        self._keys: tuple[str, ...] = target.keys
        self._ledger = Ledger(session, self._table, owner)
        self._triggers: list[str] = []
        self._before: dict[int, int] | None = None

    # ----------------------------------------------------------------------------- before reading

    def begin(self) -> Stored | None:
        """Take the table's lock and refuse what cannot work.

        Returns:
            What an earlier attempt of the owner has published, where that is all there is to do.
        """
        if not self._table.exists and not self._target.create:
            if self._target.mode == "append":
                self._ledger.refuse_gone(self._table)
            raise self._missing()
        self._ledger.make(needed=self._target.mode == "append")
        self._session.begin()
        self._lock(self._session)
        # Another load may have made or changed it while this one waited.
        self._table = find_table(self._session, self._table.schema, self._table.name)
        if self._target.mode == "append" and (found := self._ledger.find()) is not None:
            unchecked = self._ledger.check(found, self._table)
            self._session.execute("ROLLBACK")
            return self.stored(found.rows, found.bytes, found.at, unchecked)
        if self._table.exists:
            self._check()
        elif not self._target.create:
            raise self._missing()
        if self._table.exists:
            self._triggers = row_triggers(self._session, self._table)
        return None

    def _missing(self) -> SetupError:
        return SetupError(
            f"{self._system}, database {self._connection.database}: there is no table "
            f"{self._table}. Create it, name it with its schema, or give "
            f"{target_option('create', True)}."
        )

    def _lock(self, session: Session) -> None:
        """End what dead attempts of this owner have left, and wait for other loads."""
        first, second = lock_keys(self._table)
        with contextlib.suppress(SetupError):  # of another user's session
            # Only older ones: of two attempts that begin at once, the later one goes on.
            session.fetch(
                "SELECT pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l"
                " JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid,"
                " (SELECT backend_start AS begun FROM pg_catalog.pg_stat_activity"
                "  WHERE pid = pg_backend_pid()) AS own"
                " WHERE l.locktype = 'advisory' AND l.objsubid = 2"
                " AND l.classid::bigint = $1 AND l.objid::bigint = $2"
                " AND a.datname = current_database() AND a.usename = current_user"
                " AND a.application_name = $3"
                " AND a.pid <> pg_backend_pid() AND a.backend_start < own.begun",
                first & 0xFFFFFFFF,
                second & 0xFFFFFFFF,
                f"tradewind:{self._owner.digest}",
            )
        try:
            session.fetch("SELECT pg_advisory_xact_lock($1, $2)", first, second)
        except RetryError as error:
            if "55P03" not in str(error):
                raise
            raise RetryError(
                f"{self._system}: another load of {self._table} has not ended within "
                f"{self._target.lock_timeout:.0f} s. Try again when it has."
            ) from error

    def _check(self) -> None:
        target, table = self._target, self._table
        rights = {"append": "INSERT", "replace": "INSERT DELETE", "upsert": "INSERT UPDATE SELECT"}
        for right in rights[target.mode].split():
            # Rights on single columns do: the server looks closer.
            asked = "has_table_privilege" if right == "DELETE" else "has_any_column_privilege"
            if not self._session.fetch(f"SELECT {asked}($1::text, '{right}')", table.sql)[0][0]:
                raise SetupError(
                    f"{self._system}: the user {self._connection.user} has no permission to "
                    f"{right} on {table}. GRANT {right} ON {table.sql} to it."
                )
        if target.slice is not None:
            self._slice = slice_sql(table, target.slice, self._system)
            self._session.execute(f"EXPLAIN DELETE FROM {table.sql} WHERE {self._slice}")
        if target.mode == "replace":
            whole = target.slice is None
            check_references(self._session, table, whole=whole, cascade=target.cascade)
        for name in target.columns or ():
            column = table.column(name)
            if column is None or column.generated:
                raise InputError(
                    f"{self._system}: {table} has no column {name!r} to write to. Choose from: "
                    f"{', '.join(c.name for c in table.columns if not c.generated)}."
                )
        if target.mode == "upsert":
            self._keys = keys_of(self._system, table, target.keys)

    # ------------------------------------------------------------------------------ while reading

    def read(self, flow: Flow) -> tuple[int, int]:
        """Write all rows, and the ledger's line; see that none is missing.

        Returns:
            Rows and bytes.
        """
        shortest = self._shortest(flow)
        if shortest is not None:
            encoded, format, options = shortest
            with closing(encoded.chunks):
                names, chunks = names_and_chunks(encoded, format)
                columns = self._matched(names)
                limits = [(c.name, c.limits) for c in columns]
                chunks, zoned = begins_with_zones(chunks, format, limits)
                if zoned:
                    # The server would drop them: as texts they become UTC.
                    texts = columns_of_text(chunks, format, len(columns))
                    schema = pa.schema([pa.field(c.name, pa.string()) for c in columns])
                    with texts:
                        written = csv_rows(texts, schema, columns)
                        rows, size = self._write(columns, written, COPY_OPTIONS)
                else:
                    checked = CheckedCsv(chunks, format, limits)
                    rows, size = self._write(columns, iter(checked), options)
                    if checked.failure is not None:
                        raise checked.failure
        else:
            with flow.batches() as batches:
                if not self._table.exists:
                    self._make(batches.schema)
                if self._target.skip_generated:
                    generated = [c.name for c in self._table.columns if c.generated]
                    batches = without_generated(batches, generated, fold=False)
                columns = self._matched(tuple(batches.schema.names))
                chunks = csv_rows(batches, batches.schema, columns)
                rows, size = self._write(columns, chunks, COPY_OPTIONS)
        self._note(flow.rows, rows, size)
        return rows, size

    def _note(self, sent: int | None, rows: int, size: int) -> None:
        """See that no row is missing, and write the ledger's line."""
        if sent is not None and sent != rows:
            if self._triggers:
                raise refused_by_triggers(
                    self._system, str(self._table), self._triggers, sent - rows, sent
                )
            raise RetryError(
                f"{self._system}: {sent} rows were read and {rows} arrived in {self._table}. "
                "Nothing of it is visible. Try again."
            )
        if self._ledger.kept:
            told = None
            if self._before is not None:
                told = mark_of(self._session, self._table, self._before, rows)
            self._ledger.write(self._table, rows, size, told)

    def _shortest(self, flow: Flow) -> tuple[Encoded, CsvFormat, dict[str, str]] | None:
        """Ask for CSV that passes through; arrays have another text there than here."""
        if not self._table.exists or any(c.category == "A" for c in self._table.columns):
            return None
        if self._target.skip_generated and any(c.generated for c in self._table.columns):
            return None
        if self._triggers:
            # Rows that they leave out are missed only where the data's rows are counted.
            return None
        from tradewind.move.formats.csv import CsvFormat

        asked = [CsvFormat()]
        own = flow.own_format
        if isinstance(own, CsvFormat) and own not in asked:
            asked.append(own)
        for format in asked:
            options = copy_dialect(format)
            if options is not None and (encoded := flow.passed_through(format)) is not None:
                return encoded, format, options
        return None

    def _make(self, schema: pa.Schema) -> None:
        keys = self._keys
        if missing := [key for key in keys if key not in schema.names]:
            raise InputError(f"{self._system}: the data have no column {missing[0]!r}, a key.")
        if self._target.columns is not None:
            raise InputError(
                f"{self._system}: {self._table} is to be created, so columns cannot be chosen. "
                "Leave columns out, or create the table before."
            )
        check_new_names(self._session, schema.names)
        self._session.execute(create_sql(self._table, schema, keys))
        self._table = find_table(self._session, self._table.schema, self._table.name)
        self._check()

    def _matched(self, names: tuple[str, ...] | None) -> tuple[TableColumn, ...]:
        return matched(self._system, self._table, self._target, names, self._keys)

    def _write(
        self, columns: tuple[TableColumn, ...], chunks: Iterator[bytes], options: Mapping[str, str]
    ) -> tuple[int, int]:
        names = tuple(column.name for column in columns)
        return self._put(
            columns,
            lambda into: self._copy(CopyIn(self._session, into, names, dict(options)), chunks),
        )

    def _put(
        self, columns: tuple[TableColumn, ...], fill: Callable[[str], tuple[int, int]]
    ) -> tuple[int, int]:
        """Replace, add or merge what `fill` writes into the table that it is told."""
        table, session = self._table.sql, self._session
        if self._target.mode == "replace":
            with deleting(self._table):
                session.execute(f"DELETE FROM {table} WHERE {self._slice or 'true'}")
        elif self._target.mode == "append":
            self._before = blocks_of(session, self._table)
        if self._target.mode != "upsert":
            copied = fill(table)
            if self._slice is not None:
                self._check_slice(copied[0])
            return copied
        listed = ", ".join(quoted(column.name) for column in columns)
        session.execute(
            f"CREATE TEMPORARY TABLE {TRANSIENT} ON COMMIT DROP AS "
            f"SELECT {listed} FROM {table} WITH NO DATA"
        )
        rows, size = fill(TRANSIENT)
        merge(session, self._table, columns, self._keys, rows, self._triggers)
        return rows, size

    def _copy(self, copy: CopyIn, chunks: Iterator[bytes]) -> tuple[int, int]:
        try:
            with closing(chunks):
                for chunk in chunks:
                    copy.write(chunk)
            return copy.finish(), copy.size
        finally:
            copy.abort()

    def _check_slice(self, rows: int) -> None:
        """See that the next replacement of this slice will find all of these rows."""
        inside = self._session.fetch(
            f"SELECT count(*) FROM {self._table.sql} WHERE ({self._slice})"
            " AND xmin::text::bigint = txid_current() & 4294967295"
        )[0][0]
        if inside < rows:
            raise InputError(
                f"{self._system}: {rows - inside} of {rows} rows for {self._table} do not belong "
                f"to the slice {self._slice}. Correct the query or the slice."
            )

    # ------------------------------------------------------------------------------ after reading

    def commit(self) -> None:
        """Make it visible. A connection lost meanwhile leaves it open whether that has happened."""
        try:
            with deleting(self._table):
                tag = self._session.execute("COMMIT")
        except RetryError as error:
            if not self._ledger.kept or not self._is_committed():
                raise RetryError(
                    f"{error}\nNothing of it is visible in {self._table}."
                    if self._ledger.kept
                    else f"{error}\nWhether {self._table} has changed is unknown; a retry is safe."
                ) from error
            return
        if tag != "COMMIT":
            raise RetryError(f"{self._system}: {self._table} was rolled back. Try again.")

    def _is_committed(self) -> bool:
        """Ask the ledger, on a new connection, once the old one's transaction has ended."""
        self._session.close()
        end = time.monotonic() + _RESOLVE
        backoff, failures = Backoff(first=0.2, longest=5.0), 0
        while True:
            try:
                with open_session(
                    self._connection, self._owner, self._target.lock_timeout
                ) as session:
                    session.begin()
                    first, second = lock_keys(self._table)
                    session.fetch("SELECT pg_advisory_xact_lock($1, $2)", first, second)
                    found = self._ledger.find(session)
                    return found is not None and found.attempt == self._ledger.attempt
            except TradewindError as error:
                if time.monotonic() > end:
                    raise RetryError(
                        f"{self._system}: the connection was lost while {self._table} was being "
                        "committed, and the server has not come back. A retry is safe: it looks "
                        "first whether these rows are there."
                    ) from error
                failures += 1
                backoff.rest(failures)

    def stored(
        self, rows: int, size: int, at: str | None = None, unchecked: str | None = None
    ) -> Stored:
        """Say what stands there now."""
        uri = f"{self._connection.uri}/{self._table}"
        by = None if at is None else str(self._owner)
        objects = (StoredObject(uri, bytes=size, rows=rows),)
        return Stored(objects, rows=rows, at=at, by=by, unchecked=unchecked)
