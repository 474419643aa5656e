"""One attempt to publish in a table of MySQL: lock, check, load, count, commit.

Over 400 lines: one transaction from its lock to its commit, whose steps share what they have
learned.
"""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import contextlib
import hashlib
import re
import time
import uuid
from collections.abc import Generator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tradewind.backoff import Backoff
from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.interface import target_option
from tradewind.move.receipt import Stored
from tradewind.move.tables.names import refuse_new_names
from tradewind.move.tables.staging import (
    LEDGER,
    SqlTable,
    TableColumn,
    check_claim,
    matched,
    refuse_cascade,
    refuse_names,
    slice_condition,
    without_generated,
)
from tradewind.systems.mysql.catalog import (
    add_ledger_mark,
    comment_of,
    constraint_of,
    deleting,
    find_columns,
    has_table,
    is_marked,
    ledger_sql,
    mark_of,
    merge,
    references,
    unique_keys,
)
from tradewind.systems.mysql.connection import MySQLConnection, Session, bound, quoted
from tradewind.systems.mysql.errors import remedy_of_data
from tradewind.systems.mysql.fits import Suspects
from tradewind.systems.mysql.insert import counted_on, insert_statements
from tradewind.systems.mysql.marks import Key, count_keyed, find_key
from tradewind.systems.mysql.pipe import Loading, Pipe
from tradewind.systems.mysql.rows import (
    DIALECT,
    assignments,
    column_types,
    load_rows,
    wrong_name,
)
from tradewind.systems.mysql.slices import TEXTS, exactly

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.batches import Batches
    from tradewind.move.flow import Flow
    from tradewind.owner import Owner

__all__ = ["Load"]

_RESOLVE = 120.0
"""Seconds to wait for a server that went away while it committed."""
_COUNTS = re.compile(r"Records: (\d+)\s+Deleted: (\d+)\s+Skipped: (\d+)\s+Warnings: (\d+)")
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


_Published = tuple[int, int, str, str, str, str | None]
"""A line of the ledger: rows, bytes, attempt, state, when, and what tells the rows."""


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
        self._how = how
        self._session = session
        self._owner = owner
        self._attempt = uuid.uuid4().hex
        self._system = session.system
        self._name = f"{schema}.{target.table}"
        self._sql = quoted(schema, target.table)
        # While a table is being made, it has a name of its owner's.
        # Names that begin alike are told apart by a digest; the version before had none.
        refuse_names(self._system, [schema, target.table], 64, "characters")
        told = hashlib.sha256(target.table.encode()).hexdigest()[:8]
        self._staging = f"{target.table[:40]}__{told}_{owner.digest}"
        self._former_staging = f"{target.table[:40]}__{owner.digest}"
        self._mark = f"tradewind attempt {self._attempt}"
        self._columns: tuple[TableColumn, ...] = ()
        self._exists = False
        self._slice: bytes | None = None
        self._keys = target.keys
        self._ledger = True
        self._made = False
        self._suspects = Suspects()
        self._marks = False
        self._key: Key | None = None
        self._first = 0

    # ----------------------------------------------------------------------------- before reading

    def begin(self) -> Stored | None:
        """Take the table's lock and refuse what cannot work.

        Returns:
            What an earlier attempt of the owner has published, where that is all there is to do.
        """
        self._look()
        if not self._exists and not self._target.create:
            raise self._missing()
        self._make_ledger()
        self._lock()
        self._session.execute("COMMIT")
        published = self._published(self._session)
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
            unchecked = self._check_claim(published)
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

    def _make_ledger(self) -> None:
        target = self._target
        if has_table(self._session, self._schema, LEDGER):
            self._marks = add_ledger_mark(self._session, self._schema)
            return
        statement = ledger_sql(self._schema)
        try:
            self._session.execute(statement)
            self._marks = True
        except SetupError as error:
            self._ledger = False
            if target.mode == "append" or target.create:
                raise SetupError(
                    f"{error}\nTo write once, Tradewind keeps the table {LEDGER}. Let somebody "
                    f"who may create it: {statement}; and grant SELECT, INSERT, UPDATE on it."
                ) from error

    def _lock_name(self, owner: str) -> str:
        digest = hashlib.sha256(f"{self._name}\n{owner}".lower().encode()).hexdigest()
        return f"tradewind:{digest[:40]}"

    def _lock(self) -> None:
        """End what dead attempts of this owner have left, and wait for other loads."""
        mine, whole = self._lock_name(self._owner.digest), self._lock_name("")
        for other in self._session.fetch("SELECT IS_USED_LOCK(%s)", mine)[0]:
            # Only older ones: of two attempts that begin at once, the later one goes on.
            if other is not None and int(other) < self._session.thread:
                with contextlib.suppress(TradewindError):
                    self._session.execute(f"KILL {int(other)}")
        self._take_lock(self._session, mine)
        self._take_lock(self._session, whole)

    def _take_lock(self, session: Session, name: str) -> None:
        timeout = self._target.lock_timeout
        if session.fetch("SELECT GET_LOCK(%s, %s)", name, timeout)[0][0] != "1":
            raise RetryError(
                f"{self._system}: another load of {self._name} has not ended within "
                f"{timeout:.0f} s. Try again when it has."
            )

    def _check_claim(self, published: _Published) -> str | None:
        """See that what the ledger says is so: rows may have gone, and the table with them.

        Returns:
            What could not be seen; None where all was.
        """
        claimed, _, _, state, at, keyed = published
        there, gone, unchecked = None, "that table is gone", None
        mark = state.partition("@")[2]  # Versions before kept none.
        if self._exists and mark and not is_marked(mark, self._mark_of_table()):
            gone = "another one has its name, or it was altered or emptied since"
        elif self._exists:
            there, gone, unchecked = self._count_claimed(claimed, keyed)
        check_claim(self._system, self._name, claimed=claimed, there=there, at=at, gone=gone)
        return unchecked

    def _count_claimed(self, claimed: int, keyed: str | None) -> tuple[int | None, str, str | None]:
        try:
            found = count_keyed(self._session, self._sql, keyed, claimed) if keyed else None
            if found is not None:
                gone = f"not all of its keys are there (at most {found} of its rows)"
                return claimed if found == claimed else None, gone, None
            counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM {self._sql} LIMIT {claimed}) r"
            there = int(self._session.fetch(counted)[0][0])
        except SetupError:
            grant = f"GRANT SELECT ON {self._sql} lets it look"
            return claimed, "", f"whether its rows are still there ({grant})"
        return there, "", f"whether {claimed} of the rows there are these"

    def _mark_of_table(self) -> str:
        return mark_of(self._session, self._schema, self._target.table)

    def _published(self, session: Session) -> _Published | None:
        if not self._ledger:
            return None
        rows = session.fetch(
            "SELECT `rows`, bytes, attempt, state, UNIX_TIMESTAMP(at), "
            f"{'mark' if self._marks else 'NULL'} FROM {quoted(self._schema, LEDGER)} "
            "WHERE owner = %s AND target = %s",
            self._owner.digest,
            self._target.table,
        )
        if not rows:
            return None
        at = datetime.fromtimestamp(float(rows[0][4]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return int(rows[0][0]), int(rows[0][1]), rows[0][2], rows[0][3], at, rows[0][5]

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
            if self._target.mode == "append" and self._exists and self._marks:
                self._key = find_key(self._session, self._schema, self._target.table)
            if self._key is not None:
                batches = self._key.watched(batches, columns)
            if self._target.mode == "upsert" and self._exists:
                into = _TRANSIENT
            rows, size = self._write(into, batches, columns)
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
        if self._ledger:
            keyed = None
            if self._key is not None and rows:
                keyed = self._key.mark(self._session, self._sql, rows, self._first)
            self._session.execute(
                f"REPLACE INTO {quoted(self._schema, LEDGER)} (owner, target, attempt, state, "
                f"`rows`, bytes{', mark' if keyed else ''}) "
                f"VALUES (%s, %s, %s, %s, %s, %s{', %s' if keyed else ''})",
                self._owner.digest,
                self._target.table,
                self._attempt,
                f"visible@{self._mark_of_table()}" if self._exists else "staged",
                rows,
                size,
                *([keyed] if keyed else []),
            )
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
        if self._ledger:
            # Of a table that somebody has dropped since: it would vouch for rows yet to come.
            self._session.execute(
                f"DELETE FROM {quoted(self._schema, LEDGER)} WHERE owner = %s AND target = %s",
                self._owner.digest,
                self._target.table,
            )
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

    def _write(
        self, into: str, batches: Batches, columns: tuple[TableColumn, ...]
    ) -> tuple[int, int]:
        if self._how == "insert" or not self._takes_infile():
            return self._insert(into, batches, columns)
        listed, assigned = assignments(batches.schema, columns)
        chunks = load_rows(batches, columns, self._suspects)
        size = 0
        with Pipe() as pipe:
            loading = Loading(
                self._session,
                f"LOAD DATA LOCAL INFILE '{pipe.path}' INTO TABLE {into} {DIALECT} "
                f"{listed}{assigned}",
            )
            try:
                for chunk in chunks:
                    size += len(chunk)
                    if not pipe.write(chunk, loading):
                        break
                pipe.end()
                text = loading.result()
            except InputError as error:
                raise self._suspects.told(str(error)) or error from error
            finally:
                if isinstance(chunks, Generator):
                    chunks.close()
                if loading.is_alive():
                    # Before the pipe ends: what came so far must not look complete.
                    self._session.abort()
                pipe.end()
                loading.join()
        counts = _COUNTS.search(text or "")
        if counts is None:
            raise RetryError(f"{self._system}: LOAD DATA said {text!r}. Try again.")
        records, _, skipped, warnings = (int(number) for number in counts.groups())
        if skipped or warnings:
            self._refuse_warnings()
        self._keep_first_number()
        return records, size

    def _takes_infile(self) -> bool:
        allowed = bool(self._session.fetch("SELECT @@local_infile")[0][0] == "1")
        if not allowed and self._how == "infile":
            raise SetupError(
                f"{self._system}: the server's local_infile is OFF. Set local_infile=ON there, or "
                f"give {target_option('load', 'insert')}."
            )
        return allowed

    def _insert(
        self, into: str, batches: Batches, columns: tuple[TableColumn, ...]
    ) -> tuple[int, int]:
        rows = size = 0
        for statement, count in insert_statements(
            self._session, into, batches, columns, self._suspects
        ):
            try:
                self._session.execute(statement)
            except InputError as error:
                told = self._suspects.told(str(error)) or InputError(counted_on(str(error), rows))
                raise told from error
            if self._session.warning_count:
                self._refuse_warnings(rows)
            if not rows:
                self._keep_first_number()
            rows += count
            size += len(statement)
        return rows, size

    def _keep_first_number(self) -> None:
        if self._key is not None and self._key.numbered:
            self._first = int(self._session.fetch("SELECT LAST_INSERT_ID()")[0][0])

    def _refuse_warnings(self, before: int = 0) -> None:
        said = self._session.warnings()
        # One may only explain another one that names the column.
        named = [row for row in said if "column" in row[2].lower() or "CONSTRAINT" in row[2]]
        number, text = (named or said)[0][1:3] if said else ("", "a value was changed")
        if (told := self._suspects.told(text)) is not None and number != "1062":
            raise told
        raise InputError(
            f"{self._system}: a row for {self._name} does not fit: {counted_on(text, before)}. "
            f"Nothing of it is visible. {self._remedy(number, text)} (error {number})"
        )

    def _remedy(self, number: str, text: str) -> str:
        if number == "1062":
            return f"{target_option('mode', 'upsert')} writes over rows with the same key."
        if (failed := re.search(r"CONSTRAINT `(?:[^`]*\.)?([^`.]+)` failed", text)) is None:
            return remedy_of_data(number)
        # MariaDB keeps JSON as a text with a constraint, which is called like the column.
        demanded = constraint_of(self._session, self._schema, self._target.table, failed[1])
        what = f"It demands {demanded}" if demanded else "It demands something else, like JSON"
        return f"{what}. Correct the data of the column {failed[1]!r}, or the constraint."

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
            if not self._ledger or not self._is_committed():
                raise RetryError(
                    f"{error}\nNothing of it is visible in {self._name}."
                    if self._ledger
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
        with contextlib.suppress(TradewindError):  # It stands there, whatever the ledger calls it.
            self._session.execute(
                f"UPDATE {quoted(self._schema, LEDGER)} SET state = %s "
                "WHERE owner = %s AND target = %s",
                f"visible@{self._mark_of_table()}",
                self._owner.digest,
                self._target.table,
            )
            self._session.execute("COMMIT")

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
                    mine = self._lock_name(self._owner.digest)
                    if session.fetch("SELECT GET_LOCK(%s, 10)", mine)[0][0] != "1":
                        return
                    published = self._published(session)
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
                    self._take_lock(session, self._lock_name(""))
                    session.execute("COMMIT")
                    found = self._published(session)
                    return found is not None and found[2] == self._attempt
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
