"""The ledger of a schema: which owner has published what, and whether that still stands there."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, NamedTuple

from tradewind.errors import SetupError
from tradewind.move.tables.staging import GONE, check_claim
from tradewind.systems.postgres.catalog import LEDGER, Table, lock_keys
from tradewind.systems.postgres.marks import Mark, count_marked
from tradewind.systems.postgres.session import Session
from tradewind.systems.postgres.sql import quoted

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["Ledger", "Published"]

_AT = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'


class Published(NamedTuple):
    """A line of the ledger."""

    rows: int
    bytes: int
    attempt: str
    table: int | None
    file: int | None
    mark: Mark | None
    at: str


class Ledger:
    """The line of one owner about one table.

    Args:
        session: On the server.
        table: The target.
        owner: Whose rows they are.
    """

    def __init__(self, session: Session, table: Table, owner: Owner) -> None:
        self._session = session
        self._name = str(table)
        self._schema = table.schema
        self._sql = quoted(table.schema, LEDGER)
        self._owner = owner
        self.attempt = uuid.uuid4().hex
        """Tells this attempt from all others."""
        self.kept = True
        """Whether there is one: who may not create it can replace and upsert without."""

    def make(self, *, needed: bool) -> None:
        """Make it where there is none, in a transaction of its own, so that nobody waits for it.

        Args:
            needed: Whether nothing can be published without.

        Raises:
            SetupError: It is needed, and the user may not.
        """
        if self._session.fetch("SELECT to_regclass($1) IS NOT NULL", self._sql)[0][0]:
            return
        statement = (
            f"CREATE TABLE IF NOT EXISTS {self._sql} (owner text, target text, "
            "attempt text NOT NULL, rows bigint NOT NULL, bytes bigint NOT NULL, "
            "at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (owner, target))"
        )
        lock = "SELECT pg_advisory_xact_lock({}, {})".format(
            *lock_keys(Table(self._schema, LEDGER))
        )
        try:
            self._session.begin()
            self._session.execute(f"{lock}; {statement}; COMMIT")
        except SetupError as error:
            self._session.execute("ROLLBACK")
            self.kept = False
            if needed:
                raise SetupError(
                    f"{error}\nTo append once, Tradewind keeps the table {LEDGER}. Let somebody "
                    f"who may create it: {statement}; and grant SELECT, INSERT, UPDATE on it."
                ) from error

    def find(self, session: Session | None = None) -> Published | None:
        """Read the line, perhaps by another session; None without one."""
        rows = (session or self._session).fetch(
            f"SELECT rows, bytes, attempt, to_char(at AT TIME ZONE 'UTC', '{_AT}')"
            f" FROM {self._sql} WHERE owner = $1 AND target = $2",
            self._owner.digest,
            self._name,
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
        return Published(count, size, attempt, table, int(file) if file else None, told, at)

    def check(self, found: Published, table: Table) -> str | None:
        """See that what the ledger says is so: rows may have gone, and the table with them.

        Args:
            found: The line.
            table: The table as it is now.

        Returns:
            What could not be seen; None where all was.

        Raises:
            InputError: They are gone.
        """
        there, gone, unchecked = None, GONE, None
        may_look = "SELECT has_table_privilege($1::text, 'SELECT')"
        if not table.exists or found.table not in (None, table.oid):
            pass
        elif not self._session.fetch(may_look, table.sql)[0][0]:
            there = found.rows
            unchecked = (
                f"whether its rows are still there (GRANT SELECT ON {table.sql} lets it look)"
            )
        elif found.mark is not None and (
            (marked := count_marked(self._session, table, found.mark, found.rows)) is not None
        ):
            there = marked if marked == found.rows else None
            gone = (
                f"{marked} of these rows stand as they were written; the others were updated, "
                "deleted, or written anew by ALTER TABLE"
            )
        elif found.file not in (None, table.file):
            # Whoever emptied it may have put as many rows of others in.
            gone = "it was emptied by TRUNCATE, or written anew (VACUUM FULL, CLUSTER, ALTER TABLE)"
        else:
            counted = f"SELECT count(*) FROM (SELECT FROM {table.sql} LIMIT {found.rows}) r"
            there = self._session.fetch(counted)[0][0]
            unchecked = f"whether {found.rows} of the rows there are these"
        check_claim(
            self._session.system,
            str(table),
            claimed=found.rows,
            there=there,
            at=found.at,
            gone=gone,
        )
        return unchecked

    def refuse_gone(self, table: Table) -> None:
        """Say so where this owner has appended to a table that is not there any more.

        To make that table is no way out then.

        Raises:
            InputError: It has.
        """
        with contextlib.suppress(SetupError):  # it may not look
            there = "SELECT to_regclass($1) IS NOT NULL"
            if self._session.fetch(there, self._sql)[0][0] and (found := self.find()) is not None:
                self.check(found, table)

    def write(self, table: Table, rows: int, size: int, told: Mark | None) -> None:
        """Write the line, in the transaction that writes the rows.

        Args:
            table: The table as it is now.
            rows: How many were published.
            size: Their bytes.
            told: What tells the rows of an append.
        """
        mark = f"~{told}" if told is not None else ""
        # The file is asked for now: from the first row on, nobody can truncate the table.
        file = f"(SELECT relfilenode FROM pg_catalog.pg_class WHERE oid = {table.oid})"
        self._session.fetch(
            f"INSERT INTO {self._sql} AS old"
            " (owner, target, attempt, rows, bytes)"
            f" VALUES ($1, $2, $3::text || '.' || {file} || '@{table.oid}', $4, $5)"
            " ON CONFLICT (owner, target) DO UPDATE SET attempt = excluded.attempt,"
            " rows = excluded.rows, bytes = excluded.bytes, at = now()",
            self._owner.digest,
            self._name,
            self.attempt + mark,
            rows,
            size,
        )
