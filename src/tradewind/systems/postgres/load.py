"""One attempt to publish in a table of PostgreSQL: lock, check, copy, count, commit.

Over 400 lines: one transaction from its lock to its commit, whose steps share what they have
learned.
"""

# ruff: noqa: S608 - all names are quoted, all values literals
from __future__ import annotations

import contextlib
import csv
import io
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import names_option, target_option
from tradewind.move.receipt import Stored, StoredObject
from tradewind.move.source import Encoded
from tradewind.move.tables.names import spellings
from tradewind.move.tables.staging import (
    SqlTable,
    check_claim,
    refuse_generated,
    refused_by_triggers,
    without_generated,
)
from tradewind.systems.postgres.catalog import (
    LEDGER,
    Table,
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
from tradewind.systems.postgres.marks import Mark, blocks_of, count_marked, mark_of
from tradewind.systems.postgres.rows import COPY_OPTIONS, csv_rows
from tradewind.systems.postgres.session import CopyIn, Session
from tradewind.systems.postgres.slices import loose_keys, slice_sql
from tradewind.systems.postgres.sql import copy_dialect, quoted

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.formats.csv import CsvFormat
    from tradewind.owner import Owner
    from tradewind.systems.postgres.connection import PostgresConnection

__all__ = ["Load", "open_session"]

_RESOLVE = 120.0
"""Seconds to wait for a server that went away while it committed."""


_AT = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'


class _Published(NamedTuple):
    """A line of the ledger."""

    rows: int
    bytes: int
    attempt: str
    table: int | None
    file: int | None
    mark: Mark | None
    at: str


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
        self._attempt = uuid.uuid4().hex
        self._system = session.system
        names = [*spellings(schema or ""), *spellings(target.table)]
        check_lengths(session, names)
        self._table = named_table(session, schema, target.table)
        self._slice: str | None = None
        self._keys: tuple[str, ...] = target.keys
        self._ledger = True
        self._triggers: list[str] = []
        self._before: dict[int, int] | None = None

    # ----------------------------------------------------------------------------- before reading

    def begin(self) -> Stored | None:
        """Take the table's lock and refuse what cannot work.

        Returns:
            What an earlier attempt of the owner has published, where that is all there is to do.
        """
        if not self._table.exists and not self._target.create:
            raise self._missing()
        self._make_ledger()
        self._session.begin()
        self._lock(self._session)
        # Another load may have made or changed it while this one waited.
        self._table = find_table(self._session, self._table.schema, self._table.name)
        if self._target.mode == "append" and (found := self._published()) is not None:
            unchecked = self._check_claim(found)
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

    def _make_ledger(self) -> None:
        """Make the ledger in a transaction of its own, so that nobody waits for it."""
        name = quoted(self._table.schema, LEDGER)
        if self._session.fetch("SELECT to_regclass($1) IS NOT NULL", name)[0][0]:
            return
        statement = (
            f"CREATE TABLE IF NOT EXISTS {name} (owner text, target text, attempt text NOT NULL, "
            "rows bigint NOT NULL, bytes bigint NOT NULL, "
            "at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, target))"
        )
        lock = "SELECT pg_advisory_xact_lock({}, {})".format(
            *lock_keys(Table(self._table.schema, LEDGER))
        )
        try:
            self._session.begin()
            self._session.execute(f"{lock}; {statement}; COMMIT")
        except SetupError as error:
            self._session.execute("ROLLBACK")
            self._ledger = False
            if self._target.mode == "append":
                raise SetupError(
                    f"{error}\nTo append once, Tradewind keeps the table {LEDGER}. Let somebody "
                    f"who may create it: {statement}; and grant SELECT, INSERT, UPDATE on it."
                ) from error

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

    def _published(self, session: Session | None = None) -> _Published | None:
        rows = (session or self._session).fetch(
            f"SELECT rows, bytes, attempt, to_char(at AT TIME ZONE 'UTC', '{_AT}')"
            f" FROM {quoted(self._table.schema, LEDGER)} WHERE owner = $1 AND target = $2",
            self._owner.digest,
            str(self._table),
        )
        if not rows:
            return None
        count, size, attempt, at = rows[0]
        # Former versions did not keep which table it was, or which file, or which rows.
        attempt, _, oid = attempt.partition("@")
        attempt, _, file = attempt.partition(".")
        attempt, _, mark = attempt.partition("~")
        table = int(oid) if oid else None
        told = Mark.read(mark)
        return _Published(count, size, attempt, table, int(file) if file else None, told, at)

    def _check_claim(self, found: _Published) -> str | None:
        """See that what the ledger says is so: rows may have gone, and the table with them.

        Returns:
            What could not be seen; None where all was.
        """
        there, gone, unchecked = None, "that table is gone", None
        if not self._table.exists or found.table not in (None, self._table.oid):
            pass
        elif not self._session.fetch(
            "SELECT has_table_privilege($1::text, 'SELECT')", self._table.sql
        )[0][0]:
            there = found.rows
            unchecked = (
                f"whether its rows are still there (GRANT SELECT ON {self._table.sql} lets it look)"
            )
        elif found.mark is not None and (
            (marked := count_marked(self._session, self._table, found.mark, found.rows)) is not None
        ):
            there = marked if marked == found.rows else None
            gone = (
                f"{marked} of these rows stand as they were written; the others were updated, "
                "deleted, or written anew by ALTER TABLE"
            )
        elif found.file not in (None, self._table.file):
            # Whoever emptied it may have put as many rows of others in.
            gone = "it was emptied by TRUNCATE, or written anew (VACUUM FULL, CLUSTER, ALTER TABLE)"
        else:
            counted = f"SELECT count(*) FROM (SELECT FROM {self._table.sql} LIMIT {found.rows}) r"
            there = self._session.fetch(counted)[0][0]
            unchecked = f"whether {found.rows} of the rows there are these"
        check_claim(
            self._system,
            str(self._table),
            claimed=found.rows,
            there=there,
            at=found.at,
            gone=gone,
        )
        return unchecked

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
            self._keys = target.keys or table.primary
            if not self._keys:
                raise InputError(
                    f"{self._system}: {table} has no primary key. Give keys to upsert by."
                )
            if frozenset(self._keys) in table.deferrable:
                raise InputError(
                    f"{self._system}: the unique key of {table} over {', '.join(self._keys)} is "
                    "DEFERRABLE, and PostgreSQL upserts by no such key. Make it anew without "
                    "DEFERRABLE, or give other keys."
                )
            if frozenset(self._keys) not in table.unique:
                raise InputError(
                    f"{self._system}: {', '.join(self._keys)} is not unique in {table}. "
                    "Make a unique index over exactly these columns, or give other keys."
                )

    # ------------------------------------------------------------------------------ while reading

    def read(self, flow: Flow) -> tuple[int, int]:
        """Write all rows, and the ledger's line; see that none is missing.

        Returns:
            Rows and bytes.
        """
        shortest = self._shortest(flow)
        if shortest is not None:
            encoded, format, options = shortest
            with _closing(encoded.chunks):
                names, chunks = _columns(encoded, format)
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
        if flow.rows is not None and flow.rows != rows:
            if self._triggers:
                raise refused_by_triggers(
                    self._system, str(self._table), self._triggers, flow.rows - rows, flow.rows
                )
            raise RetryError(
                f"{self._system}: {flow.rows} rows were read and {rows} arrived in {self._table}. "
                "Nothing of it is visible. Try again."
            )
        if self._ledger:
            mark = ""
            if self._before is not None:
                told = mark_of(self._session, self._table, self._before, rows)
                mark = f"~{told}" if told is not None else ""
            # The file is asked for now: from the first row on, nobody can truncate the table.
            file = f"(SELECT relfilenode FROM pg_catalog.pg_class WHERE oid = {self._table.oid})"
            self._session.fetch(
                f"INSERT INTO {quoted(self._table.schema, LEDGER)} AS old"
                " (owner, target, attempt, rows, bytes)"
                f" VALUES ($1, $2, $3::text || '.' || {file} || '@{self._table.oid}', $4, $5)"
                " ON CONFLICT (owner, target) DO UPDATE SET attempt = excluded.attempt,"
                " rows = excluded.rows, bytes = excluded.bytes, at = now()",
                self._owner.digest,
                str(self._table),
                self._attempt + mark,
                rows,
                size,
            )
        return rows, size

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
        """Find the table's column for each of the data's; without names they go by order."""
        table, asked = self._table, self._target.columns
        if names is None:
            names = asked or tuple(c.name for c in table.columns if not c.generated)
        if asked is not None:
            if len(asked) != len(names):
                raise InputError(
                    f"{self._system}: columns names {len(asked)} columns of {table}, the data "
                    f"have {len(names)}: {', '.join(names)}. Name one for each."
                )
            names = asked
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{self._system}: the data have the column {twice!r} twice. Name one.")
        writable = {column.name: column for column in table.columns if not column.generated}
        computed = {column.name for column in table.columns if column.generated}
        refuse_generated(
            self._system,
            str(table),
            [name for name in names if name in computed],
            [name for name in names if name not in computed],
        )
        surplus = [name for name in names if name not in writable]
        lacking = [c.name for c in table.columns if c.name not in names and not c.filled]
        if surplus or (lacking and asked is None):
            wrong = []
            if surplus:
                wrong.append(f"the data have {', '.join(map(repr, surplus))}, which it has not")
            if lacking:
                wrong.append(f"it has {', '.join(map(repr, lacking))}, which the data have not")
            raise InputError(
                f"{self._system}: the columns of {table} and of the data differ: "
                f"{'; '.join(wrong)}. Select the same names, or give "
                f"{names_option('columns')}."
            )
        if lacking := [key for key in self._keys if key not in names]:
            raise InputError(f"{self._system}: the data have no column {lacking[0]!r}, a key.")
        counted = [name for name in names if writable[name].identity and name not in self._keys]
        if self._target.mode == "upsert" and counted:
            raise InputError(
                f"{self._system}: {counted[0]!r} of {table} is GENERATED ALWAYS AS IDENTITY, which "
                "cannot be written over in rows that are there. Leave it out of the data (a query "
                "that selects the other columns), or upsert by it."
            )
        return tuple(writable[name] for name in names)

    def _write(
        self, columns: tuple[TableColumn, ...], chunks: Iterator[bytes], options: Mapping[str, str]
    ) -> tuple[int, int]:
        names = tuple(column.name for column in columns)
        table = self._table.sql
        session = self._session
        if self._target.mode == "replace":
            with deleting(self._table):
                session.execute(f"DELETE FROM {table} WHERE {self._slice or 'true'}")
        elif self._target.mode == "append":
            self._before = blocks_of(session, self._table)
        if self._target.mode != "upsert":
            copied = self._copy(session.copy_in(table, names, dict(options)), chunks)
            if self._slice is not None:
                self._check_slice(copied[0])
            return copied
        listed = ", ".join(map(quoted, names))
        session.execute(
            "CREATE TEMPORARY TABLE tradewind_rows ON COMMIT DROP AS "
            f"SELECT {listed} FROM {table} WITH NO DATA"
        )
        rows, size = self._copy(session.copy_in("tradewind_rows", names, dict(options)), chunks)
        self._merge(columns, listed, rows)
        return rows, size

    def _copy(self, copy: CopyIn, chunks: Iterator[bytes]) -> tuple[int, int]:
        try:
            with _closing(chunks):
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

    def _merge(self, columns: tuple[TableColumn, ...], listed: str, rows: int) -> None:
        names = [column.name for column in columns]
        override = " OVERRIDING SYSTEM VALUE" * any(column.identity for column in columns)
        keys = ", ".join(map(quoted, self._keys))
        # A row that has 'A' is found by 'a', and is to have 'a' then.
        loose = loose_keys(self._session, self._table, self._keys)
        others = [name for name in names if name not in self._keys or name in loose]
        then = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        empty = " OR ".join(f"{quoted(key)} IS NULL" for key in self._keys)
        if self._session.fetch(f"SELECT 1 FROM tradewind_rows WHERE {empty} LIMIT 1"):
            raise InputError(
                f"{self._system}: rows for {self._table} have NULL in a key "
                f"({', '.join(self._keys)}), so they cannot be found again. Leave them out."
            )
        twice = self._session.fetch(
            f"SELECT concat_ws(', ', {keys}) FROM tradewind_rows GROUP BY {keys}"
            " HAVING count(*) > 1 LIMIT 1"
        )
        if twice:
            raise InputError(
                f"{self._system}: several rows for {self._table} have the same "
                f"{', '.join(self._keys)}: {twice[0][0]}. Give each key once."
            )
        tag = self._session.execute(
            f"INSERT INTO {self._table.sql} ({listed}){override} "
            f"SELECT {listed} FROM tradewind_rows "
            f"ON CONFLICT ({keys}) DO {f'UPDATE SET {then}' if then else 'NOTHING'}"
        )
        written = int(tag.rpartition(" ")[2])
        if then and written != rows:
            if self._triggers:
                raise refused_by_triggers(
                    self._system, str(self._table), self._triggers, rows - written, rows
                )
            raise RetryError(
                f"{self._system}: {rows} rows were to be written over {self._table}, {tag} were. "
                "Look for rules and triggers on the table."
            )

    # ------------------------------------------------------------------------------ after reading

    def commit(self) -> None:
        """Make it visible. A connection lost meanwhile leaves it open whether that has happened."""
        try:
            with deleting(self._table):
                tag = self._session.execute("COMMIT")
        except RetryError as error:
            if not self._ledger or not self._is_committed():
                raise RetryError(
                    f"{error}\nNothing of it is visible in {self._table}."
                    if self._ledger
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
                    found = self._published(session)
                    return found is not None and found.attempt == self._attempt
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


def _columns(encoded: Encoded, format: CsvFormat) -> tuple[tuple[str, ...] | None, Iterator[bytes]]:
    """Tell the names of the columns, by the header where the source does not know."""
    if encoded.columns is not None or not format.header:
        return encoded.columns, encoded.chunks
    chunks = iter(encoded.chunks)
    first = b""
    for chunk in chunks:
        first += chunk
        if b"\n" in first:
            break
    try:
        text = first.decode("utf-8-sig", errors="strict" if len(first) < 1 << 16 else "ignore")
    except UnicodeDecodeError:
        text = first.decode("utf-8-sig", errors="ignore")
    lines = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=format.delimiter,
        quotechar=format.quote,
        escapechar=format.escape,
        doublequote=format.escape is None,
    )
    row = next(lines, [])

    def again() -> Generator[bytes, None, None]:
        with _closing(chunks):
            if first:
                yield first
            yield from chunks

    return tuple(row), again()


@contextlib.contextmanager
def _closing(chunks: Iterator[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if isinstance(chunks, Generator):
            chunks.close()
