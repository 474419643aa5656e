"""Rows that several workers load, each into a table of its own, published by one transaction.

A worker makes the table ``tradewind_spread_OWNER_SSSSS`` beside the target, with the types that the
target has for the data's columns, and loads its share into it, as `PostgresTable` loads any table:
at once, with a line in the ledger. It is ``UNLOGGED``: a crash of the server empties it, which the
ledger's line tells. The last transaction moves the rows on the server, drops these tables and
writes the ledger's line of the whole.
"""

# ruff: noqa: S608 - all names are quoted
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.receipt import Stored
from tradewind.move.tables.staging import refused_by_triggers
from tradewind.systems.postgres.catalog import LEDGER, Table, TableColumn, find_table, named_table
from tradewind.systems.postgres.load import Load, open_session
from tradewind.systems.postgres.sql import quoted

if TYPE_CHECKING:
    from tradewind.move.tables.staging import SqlTable
    from tradewind.owner import Owner
    from tradewind.systems.postgres.connection import PostgresConnection
    from tradewind.systems.postgres.session import Session

__all__ = ["Place", "make_stage", "publish_stages", "remove_stages", "share_owner", "stage_name"]


def stage_name(owner: Owner, number: int) -> str:
    """Name the table of a share.

    Args:
        owner: Whose the whole is.
        number: Which share.
    """
    return f"tradewind_spread_{owner.digest}_{number:05d}"


def share_owner(owner: Owner, number: int) -> Owner:
    """Tell who loads a share: the same for all attempts, another one for each share."""
    return replace(owner, map_index=number)


class Place(NamedTuple):
    """Where the whole is going to be published.

    Args:
        table: What is asked for.
        connection: The server and database.
        schema: Where the table is; by the search path when None.
    """

    table: SqlTable
    connection: PostgresConnection
    schema: str | None

    def open(self, owner: Owner) -> Session:
        """Open a session."""
        return open_session(self.connection, owner, self.table.lock_timeout)

    def found(self, session: Session) -> Table:
        """Look the table up."""
        return named_table(session, self.schema, self.table.table)


def make_stage(target: Place, owner: Owner, number: int, columns: Sequence[str]) -> tuple[str, str]:
    """Make the table of a share where there is none yet.

    Args:
        target: Where the whole is going to be published.
        owner: Whose the whole is.
        number: Which share.
        columns: Names of the data's columns.

    Returns:
        Its schema and name.
    """
    with target.open(owner) as session:
        table = target.found(session)
        if not table.exists:
            raise SetupError(
                f"{session.system}: there is no table {table}. Create it: a move over several "
                "workers needs it before."
            )
        names = target.table.columns or tuple(columns)
        for name in names:
            column = table.column(name)
            if column is None or column.generated:
                raise InputError(
                    f"{session.system}: {table} has no column {name!r} to write to. Choose from: "
                    f"{', '.join(c.name for c in table.columns if not c.generated)}."
                )
        stage = stage_name(owner, number)
        session.execute(
            f"CREATE UNLOGGED TABLE IF NOT EXISTS {quoted(table.schema, stage)} AS "
            f"SELECT {', '.join(map(quoted, names))} FROM {table.sql} WITH NO DATA"
        )
        return table.schema, stage


def publish_stages(target: Place, owner: Owner, shares: int, columns: Sequence[str]) -> Stored:
    """Move all shares' rows into the table, in one transaction.

    Args:
        target: The table.
        owner: Whose the whole is.
        shares: How many there are.
        columns: Names of the data's columns.

    Returns:
        What was published.

    Raises:
        InputError: A share is missing, or the rows do not fit into the table.
        RetryError: Another attempt has changed the shares meanwhile.
    """
    with target.open(owner) as session:
        load = _Gathering(target.table, session, owner, schema=target.schema)
        counts = load.counts(shares)
        if not counts and (earlier := load.earlier()) is not None:
            return earlier
        if (missing := [number for number in range(shares) if number not in counts]) != []:
            raise InputError(
                f"{session.system}: of {shares} parts for {target.table.full_name} "
                f"{', '.join(map(str, missing[:5]))} {'are' if len(missing) > 1 else 'is'} not "
                "there: a clean-up has removed what was loaded, or the whole was published "
                "before. Clear the whole task group, the plan too."
            )
        begun = load.begin() is None
        # By now nobody else publishes; until now another attempt may have.
        if not (found := load.counts(shares)) and (earlier := load.earlier()) is not None:
            return earlier
        if not begun:
            raise InputError(
                f"{session.system}: parts for {target.table.full_name} were loaded again after the "
                "whole was published. Clear the whole task group, the plan too, to publish it anew."
            )
        if found != counts:
            raise RetryError(
                f"{session.system}: parts for {target.table.full_name} were loaded again or "
                "removed meanwhile. Try again."
            )
        rows = load.gather(target.table.columns or tuple(columns), counts)
        load.commit()
        return load.stored(rows, 0)


def remove_stages(target: Place, owner: Owner, shares: int) -> int:
    """Drop what is there of the shares' tables, and their lines in the ledger.

    Args:
        target: The table.
        owner: Whose the whole is.
        shares: How many there were.

    Returns:
        How many tables there were.
    """
    with target.open(owner) as session:
        schema = target.found(session).schema
        stages = [find_table(session, schema, stage_name(owner, n)) for n in range(shares)]
        found = [stage for stage in stages if stage.exists]
        session.begin()
        for stage in found:
            session.execute(f"DROP TABLE IF EXISTS {stage.sql}")
        _forget(session, schema, [str(stage) for stage in stages])
        session.execute("COMMIT")
        return len(found)


def _forget(session: Session, schema: str, stages: Sequence[str]) -> None:
    """Remove the stages' lines from the ledger."""
    ledger = quoted(schema, LEDGER)
    if session.fetch("SELECT to_regclass($1) IS NOT NULL", ledger)[0][0]:
        session.fetch(f"DELETE FROM {ledger} WHERE target = ANY($1::text[])", list(stages))


class _Gathering(Load):
    """A load whose rows are on the server already."""

    def _stage(self, number: int) -> Table:
        return Table(self._table.schema, stage_name(self._owner, number))

    def earlier(self) -> Stored | None:
        """Tell what an attempt before has published; None where none has."""
        ledger = quoted(self._table.schema, LEDGER)
        if not self._session.fetch("SELECT to_regclass($1) IS NOT NULL", ledger)[0][0]:
            return None
        found = self._ledger.find()
        return None if found is None else self.stored(found.rows, found.bytes, found.at)

    def counts(self, shares: int) -> dict[int, int]:
        """Tell how many rows each share has, by the ledger's lines."""
        ledger = quoted(self._table.schema, LEDGER)
        if not self._session.fetch("SELECT to_regclass($1) IS NOT NULL", ledger)[0][0]:
            return {}
        names = {str(self._stage(number)): number for number in range(shares)}
        rows = self._session.fetch(
            f"SELECT target, rows FROM {ledger} WHERE target = ANY($1::text[])", list(names)
        )
        return {names[target]: count for target, count in rows}

    def gather(self, names: Sequence[str], counts: dict[int, int]) -> int:
        """Move the rows of all shares, note it, and drop their tables.

        Args:
            names: The table's columns to fill.
            counts: Rows of each share.

        Returns:
            Rows.
        """
        session = self._session
        columns = self._matched(tuple(names))
        stages = [self._stage(number) for number in sorted(counts)]

        def fill(into: str, columns: tuple[TableColumn, ...]) -> tuple[int, int]:
            listed = ", ".join(quoted(column.name) for column in columns)
            override = " OVERRIDING SYSTEM VALUE" * any(column.identity for column in columns)
            if into != self._table.sql:
                override = ""  # a temporary table
            for number, stage in zip(sorted(counts), stages, strict=True):
                tag = session.execute(
                    f"INSERT INTO {into} ({listed}){override} SELECT {listed} FROM {stage.sql}"
                )
                if (moved := int(tag.rpartition(" ")[2])) != counts[number]:
                    raise self._miscounted(stage, counts[number], moved)
            return sum(counts.values()), 0

        rows, size = self._put(columns, lambda into: fill(into, columns))
        self._note(rows, rows, size)
        for stage in stages:
            session.execute(f"DROP TABLE {stage.sql}")
        _forget(session, self._table.schema, [str(stage) for stage in stages])
        return rows

    def _miscounted(self, stage: Table, expected: int, moved: int) -> Exception:
        if self._triggers:
            return refused_by_triggers(
                self._system, str(self._table), self._triggers, expected - moved, expected
            )
        return InputError(
            f"{self._system}: {stage} has {moved} of the {expected} rows that were loaded into it: "
            "the server has crashed since, or somebody has changed it. Nothing of it is visible. "
            "Clear the whole task group, the plan too."
        )
