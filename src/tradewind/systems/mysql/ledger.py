"""The ledger of a database: which owner has published what, and whether that still stands there."""

# ruff: noqa: S608 - all names are quoted, all values bound
from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tradewind.errors import InputError, SetupError, TradewindError
from tradewind.move.tables.staging import GONE, LEDGER, SqlTable, check_claim
from tradewind.systems.mysql.catalog import find_columns, has_table, is_marked, mark_of
from tradewind.systems.mysql.connection import quoted
from tradewind.systems.mysql.marks import count_keyed, has_ends
from tradewind.systems.mysql.session import Session

if TYPE_CHECKING:
    from tradewind.owner import Owner

__all__ = ["Ledger", "Published"]

_MARK = "mark TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"
"""The column that ledgers of former versions have not."""

Published = tuple[int, int, str, str, str, str | None]
"""A line of the ledger: rows, bytes, attempt, state, when, and what tells the rows."""


class Ledger:
    """The line of one owner about one table.

    Args:
        session: On the server.
        schema: The database that the table is in.
        target: What is asked for.
        owner: Whose rows they are.
    """

    def __init__(self, session: Session, schema: str, target: SqlTable, owner: Owner) -> None:
        self._session = session
        self._schema = schema
        self._target = target
        self._owner = owner
        self._name = f"{schema}.{target.table}"
        self._sql = quoted(schema, LEDGER)
        self.attempt = uuid.uuid4().hex
        """Tells this attempt from all others."""
        self.kept = True
        """Whether there is one: who may not create it can replace and upsert without."""
        self.marks = False
        """Whether it has room for what tells the rows of an append."""

    def make(self) -> None:
        """Make it where there is none.

        Raises:
            SetupError: The user may not, and the task needs one.
        """
        target = self._target
        if has_table(self._session, self._schema, LEDGER):
            self.marks = _add_mark(self._session, self._schema)
            return
        statement = _made_by(self._schema)
        try:
            self._session.execute(statement)
            self.marks = True
        except SetupError as error:
            self.kept = False
            if target.mode == "append" or target.create:
                raise SetupError(
                    f"{error}\nTo write once, Tradewind keeps the table {LEDGER}. Let somebody "
                    f"who may create it: {statement}; and grant SELECT, INSERT, UPDATE on it."
                ) from error

    def find(self, session: Session) -> Published | None:
        """Read the line, by a session that may be another one; None without one."""
        if not self.kept:
            return None
        rows = session.fetch(
            "SELECT `rows`, bytes, attempt, state, UNIX_TIMESTAMP(at), "
            f"{'mark' if self.marks else 'NULL'} FROM {self._sql} "
            "WHERE owner = %s AND target = %s",
            self._owner.digest,
            self._target.table,
        )
        if not rows:
            return None
        at = datetime.fromtimestamp(float(rows[0][4]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return int(rows[0][0]), int(rows[0][1]), rows[0][2], rows[0][3], at, rows[0][5]

    def check(self, published: Published, *, exists: bool) -> str | None:
        """See that what the ledger says is so: rows may have gone, and the table with them.

        Args:
            published: The line.
            exists: Whether there is a table of the name.

        Returns:
            What could not be seen; None where all was.

        Raises:
            InputError: They are gone.
        """
        claimed, _, _, state, at, keyed = published
        there, gone, unchecked = None, GONE, None
        mark = state.partition("@")[2]  # Versions before kept none.
        if exists and mark and not is_marked(mark, self.mark_of_table()):
            gone = "another one has its name, or it was altered or emptied since"
            if keyed and self._is_rebuilt(keyed, claimed):
                # As by OPTIMIZE TABLE, which makes the table anew with the same rows.
                there = claimed
                unchecked = (
                    f"whether {claimed} rows are as they were but for their keys, the first and "
                    "the last one: the table was altered or made anew since"
                )
        elif exists:
            there, gone, unchecked = self._count_claimed(claimed, keyed)
        check_claim(
            self._session.system, self._name, claimed=claimed, there=there, at=at, gone=gone
        )
        return unchecked

    def refuse_gone(self) -> None:
        """Say so where this owner has appended to a table that is not there any more.

        To make that table is no way out then.

        Raises:
            InputError: It has.
        """
        if self._target.mode == "append" and has_table(self._session, self._schema, LEDGER):
            published = None
            with contextlib.suppress(SetupError):  # it may not look
                published = self.find(self._session)
            if published is not None and published[3] != "staged":
                self.check(published, exists=False)

    def _is_rebuilt(self, keyed: str, claimed: int) -> bool:
        table = quoted(self._schema, self._target.table)
        with contextlib.suppress(SetupError, InputError):
            columns = find_columns(self._session, self._schema, self._target.table) or ()
            names = [column.name for column in columns]
            found = count_keyed(self._session, table, keyed, claimed)
            return found == claimed and has_ends(self._session, table, keyed, names)
        return False

    def _count_claimed(self, claimed: int, keyed: str | None) -> tuple[int | None, str, str | None]:
        table = quoted(self._schema, self._target.table)
        try:
            found = count_keyed(self._session, table, keyed, claimed) if keyed else None
            if found is not None:
                gone = f"not all of its keys are there (at most {found} of its rows)"
                return claimed if found == claimed else None, gone, None
            counted = f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {claimed}) r"
            there = int(self._session.fetch(counted)[0][0])
        except SetupError:
            grant = f"GRANT SELECT ON {table} lets it look"
            return claimed, "", f"whether its rows are still there ({grant})"
        return there, "", f"whether {claimed} of the rows there are these"

    def mark_of_table(self) -> str:
        """Tell the table from another one that has its name later."""
        return mark_of(self._session, self._schema, self._target.table)

    def write(self, rows: int, size: int, state: str, keyed: str | None) -> None:
        """Write the line, in the transaction that writes the rows.

        Args:
            rows: How many were published.
            size: Their bytes.
            state: ``visible@`` and the table's mark, or ``staged``.
            keyed: What tells the rows of an append.
        """
        self._session.execute(
            f"REPLACE INTO {self._sql} (owner, target, attempt, state, "
            f"`rows`, bytes{', mark' if keyed else ''}) "
            f"VALUES (%s, %s, %s, %s, %s, %s{', %s' if keyed else ''})",
            self._owner.digest,
            self._target.table,
            self.attempt,
            state,
            rows,
            size,
            *([keyed] if keyed else []),
        )

    def make_visible(self) -> None:
        """Say that a staged table has its name now; that it has it counts, whatever is said."""
        with contextlib.suppress(TradewindError):
            self._session.execute(
                f"UPDATE {self._sql} SET state = %s WHERE owner = %s AND target = %s",
                f"visible@{self.mark_of_table()}",
                self._owner.digest,
                self._target.table,
            )
            self._session.execute("COMMIT")

    def forget(self) -> None:
        """Delete the line of a table that somebody has dropped: it would vouch for rows to come."""
        self._session.execute(
            f"DELETE FROM {self._sql} WHERE owner = %s AND target = %s",
            self._owner.digest,
            self._target.table,
        )


def _made_by(schema: str) -> str:
    """Write the statement that makes the ledger."""
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(schema, LEDGER)} (owner VARCHAR(64) "
        "CHARACTER SET ascii COLLATE ascii_bin NOT NULL, target VARCHAR(64) CHARACTER SET "
        "utf8mb4 COLLATE utf8mb4_bin NOT NULL, attempt CHAR(32) NOT NULL, state VARCHAR(16) "
        "NOT NULL, `rows` BIGINT NOT NULL, bytes BIGINT NOT NULL, at TIMESTAMP(6) NOT NULL "
        f"DEFAULT CURRENT_TIMESTAMP(6), {_MARK}, PRIMARY KEY (owner, target)) ENGINE=InnoDB"
    )


def _add_mark(session: Session, schema: str) -> bool:
    """Give a ledger of a former version its newest column, where the user may and nobody waits.

    Returns:
        Whether it has it.
    """
    name = quoted(schema, LEDGER)
    has = (
        "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "AND column_name = 'mark'"
    )
    if session.fetch(has, schema, LEDGER):
        return True
    # Adding it waits until nobody uses the ledger: the next load may do it as well.
    session.execute("SET SESSION lock_wait_timeout = 2")
    with contextlib.suppress(TradewindError):
        session.execute(f"ALTER TABLE {name} ADD COLUMN {_MARK}")
    session.execute("SET SESSION lock_wait_timeout = DEFAULT")
    return bool(session.fetch(has, schema, LEDGER))
