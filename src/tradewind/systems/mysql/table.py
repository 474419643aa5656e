"""A table of MySQL or MariaDB as a target: by LOAD DATA from a pipe, in one transaction, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tradewind.errors import InputError
from tradewind.move.tables.names import split_name, unquoted
from tradewind.move.tables.staging import Slice, SqlTable, table_options
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.load import Load, open_session

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["MySQLTable"]


class MySQLTable(SqlTable):
    """Rows of a table, visible at once with the end of one transaction.

    ``LOAD DATA LOCAL`` reads them from a pipe of this process into the table itself (upsert: into a
    temporary table first; a table to be created: under another name until all is committed), which
    commits together with a line in the ledger ``tradewind_published`` of the same database. Loads
    of one table take turns by ``GET_LOCK``; the session of a dead attempt of the same owner is
    known by the lock it holds, and ended. Any warning of the server is an error here.

    Where the server allows no ``local_infile``, or with ``load="insert"``, rows travel in INSERT
    statements of about a megabyte, several times slower.

    Memory: one batch as the source gives it, its text, and a megabyte in the pipe; whatever the
    number of rows.

    Args:
        connection: The server and database.
        table: Name of the table; ``database.table`` where `schema` is left out. Either may stand
            in backticks.
        schema: The database, if not the connection's.
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
        lock_timeout: Seconds to wait for another load of the table, or for its lock.
        load: ``auto``, ``infile`` or ``insert``.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("connection", "schema", "table", "mode", "slice", "keys", "columns")

    system_name: ClassVar[str] = "MySQL"

    def __init__(
        self,
        connection: MySQLConnection,
        table: str,
        *,
        schema: str | None = None,
        mode: str = "append",
        slice: Slice | None = None,
        keys: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        create: bool = False,
        lock_timeout: float = 600.0,
        load: str = "auto",
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
        if load not in ("auto", "infile", "insert"):
            raise InputError(f"MySQL: load is {load!r}. Choose from: auto, infile, insert.")
        parts = split_name(table, "`")
        if schema is None and parts is not None and len(parts) == 2:
            schema, self.table = parts
        elif schema is None and parts is None and table.count(".") == 1:
            schema, self.table = table.split(".")
        schema = None if schema is None else unquoted(schema, "`")
        self.table = unquoted(self.table, "`")
        if not (schema or connection.database):
            raise InputError(
                f"MySQL: the table {table} is in no database. Name one in the connection, or as "
                "schema."
            )
        self.connection = connection
        self.schema = schema or connection.database or ""
        self.load = load

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``mysql://user@host:port/database`` and options.

        Args:
            uri: See `MySQLConnection.from_uri`.
            options: ``table``, ``schema``, ``mode``, ``slice`` (a JSON object or a condition),
                ``keys`` and ``columns`` (with commas), ``create``, ``cascade`` and
                ``skip_generated`` (``true``),
                ``load``, ``lock_timeout``.

        Raises:
            InputError: Something of it is wrong.
        """
        keywords: dict[str, Any] = table_options(
            "MySQL", options, ("schema", "load", "lock_timeout")
        )
        return cls(MySQLConnection.from_uri(uri), **keywords)

    @property
    def uri(self) -> str:
        """Server, database and table."""
        return f"{self.connection.with_database(self.schema).uri}/{self.table}"

    def describe(self) -> str:
        """Name server, database and table."""
        return f"{self.connection.with_database(self.schema).uri}: table {self.table}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Load all that flows into the table and commit; see `Target.publish`."""
        session = open_session(self.connection)
        load = None
        try:
            load = Load(self, session, owner, schema=self.schema, how=self.load)
            published = load.begin()
            if published is None:
                rows, size = load.read(flow)
                load.commit()
                published = self.stored(rows, size)
        except BaseException:
            # The server rolls back with the end of its session.
            session.close()
            if load is not None:
                load.discard()
            raise
        finally:
            session.close()
        return published
