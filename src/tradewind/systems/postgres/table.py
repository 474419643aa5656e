"""A table of PostgreSQL as a target: by COPY, in one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from tradewind.errors import InputError
from tradewind.move.tables.staging import Slice, SqlTable, table_options
from tradewind.move.target import Target
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.load import Load, open_session
from tradewind.systems.postgres.names import split_table
from tradewind.systems.postgres.shares import (
    Place,
    make_stage,
    publish_stages,
    remove_stages,
    share_owner,
)
from tradewind.systems.postgres.sql import quoted

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["PostgresTable"]


class PostgresTable(SqlTable):
    """Rows of a table, visible at once with the end of one transaction.

    All is copied into the table itself (upsert: into a temporary table first) and commits together
    with a line in the ledger ``tradewind_published`` of the same schema. Loads of one table take
    turns by an advisory lock; a session that a dead attempt of the same owner has left is ended.

    CSV that the source's system writes passes through as it is; anything else is written as CSV for
    COPY.

    Memory: about 4 pieces as the source gives them (4 MB), and one batch being written; whatever
    the number of rows.

    Args:
        connection: The server and database.
        table: Name of the table; ``schema.table`` where `schema` is left out. It may be quoted as
            in SQL; what is not is looked for as written, then in lower case, as SQL reads it.
        schema: Where it is; by the search path when not given.
        mode: ``append`` adds the rows, once for each owner; ``replace`` deletes the slice and puts
            the rows in its place; ``upsert`` writes each row over the one with the same keys.
        slice: What ``replace`` deletes: values by column, like ``{"day": date(2026, 1, 31)}``, or a
            condition in SQL, or a condition and its parameters. All new rows have to belong to it.
            Everything when not given.
        keys: Columns by which ``upsert`` finds rows: unique in the table; its primary key when not
            given.
        columns: The table's columns that the data's columns go to, one by one; by name when not
            given. The table's other columns get their defaults.
        create: Makes the table where it does not exist, with the types of the data.
        cascade: Lets ``replace`` delete rows that other tables' foreign keys refer to with ON
            DELETE CASCADE or SET NULL, so that rows of those go or change too; refused otherwise.
        skip_generated: Leaves out what the data have for columns that the table computes itself
            (GENERATED ALWAYS AS); such data are refused otherwise.
        lock_timeout: Seconds to wait for another load of the table.

    Raises:
        InputError: An argument is wrong.
    """

    system_name: ClassVar[str] = "PostgreSQL"
    writes: ClassVar[str] = "copy"

    shares_need_columns: ClassVar[bool] = True

    decides = ("connection", "schema", "table", "mode", "slice", "keys", "columns")

    def __init__(
        self,
        connection: PostgresConnection,
        table: str,
        *,
        schema: str | None = None,
        mode: str = "append",
        slice: Slice | None = None,
        keys: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        create: bool = False,
        lock_timeout: float = 600.0,
        cascade: bool = False,
        skip_generated: bool = False,
    ) -> None:
        super().__init__(
            table,
            mode=mode,
            slice=slice,
            keys=keys,
            columns=columns,
            create=create,
            cascade=cascade,
            skip_generated=skip_generated,
            lock_timeout=lock_timeout,
        )
        if schema is None:
            schema, table = split_table(table, connection.database)
        self.connection = connection
        self.table = table
        self.schema = schema

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``postgresql://user@host:port/database`` and options.

        Args:
            uri: See `PostgresConnection.from_uri`.
            options: ``table``, ``schema``, ``mode``, ``slice`` (a JSON object or a condition),
                ``keys`` and ``columns`` (with commas), ``create``, ``cascade`` and
                ``skip_generated`` (``true``),
                ``lock_timeout``.

        Raises:
            InputError: Something of it is wrong.
        """
        keywords = table_options("PostgreSQL", options, ("schema", "lock_timeout"))
        return cls(PostgresConnection.from_uri(uri), **keywords)

    @property
    def full_name(self) -> str:
        """The table's name, with its schema where one was given."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def uri(self) -> str:
        """Server, database and table."""
        return f"{self.connection.uri}/{self.full_name}"

    def describe(self) -> str:
        """Name server, database and table."""
        return f"{self.connection.uri}: table {self.full_name}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Copy all that flows into the table and commit; see `Target.publish`."""
        with open_session(self.connection, owner, self.lock_timeout) as session:
            load = Load(self, session, owner, schema=self.schema)
            if (published := load.begin()) is not None:
                return published
            rows, size = load.read(flow)
            load.commit()
        return load.stored(rows, size)

    # ------------------------------------------------------------------------ over several workers

    @property
    def _place(self) -> Place:
        return Place(self, self.connection, self.schema)

    def check_shares(self) -> None:
        """Refuse what needs the data before the table is there; see `Target.check_shares`."""
        for name in ("create", "skip_generated"):
            if getattr(self, name):
                raise InputError(
                    f"{self.describe()}: {name} does not go with a move over several workers. "
                    "Create the table before, and select the columns that it is to get."
                )

    def share(self, owner: Owner, number: int, columns: Sequence[str] = ()) -> Target:
        """Make the target of one share; see `Target.share`."""
        return _Stage(self, owner, number, columns)

    def publish_shares(self, owner: Owner, shares: int, columns: Sequence[str] = ()) -> Stored:
        """Publish all shares by one transaction; see `Target.publish_shares`."""
        return publish_stages(self._place, owner, shares, columns)

    def remove_shares(self, owner: Owner, shares: int) -> int:
        """Drop the shares' tables; see `Target.remove_shares`."""
        return remove_stages(self._place, owner, shares)


class _Stage(Target):
    """The table of one share."""

    def __init__(
        self, target: PostgresTable, owner: Owner, number: int, columns: Sequence[str]
    ) -> None:
        self._target = target
        self._owner = owner
        self._number = number
        self._columns = columns

    def describe(self) -> str:
        return f"{self._target.describe()}, part {self._number}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        schema, stage = make_stage(self._target._place, self._owner, self._number, self._columns)
        table = PostgresTable(
            self._target.connection,
            quoted(stage),
            schema=quoted(schema),
            mode="replace",
            columns=self._target.columns,
            lock_timeout=self._target.lock_timeout,
        )
        return table.publish(flow, share_owner(self._owner, self._number))
