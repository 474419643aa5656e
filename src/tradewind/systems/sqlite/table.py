"""A table of SQLite as a target: in one transaction, once."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tradewind.errors import InputError, SetupError
from tradewind.move.interface import target_option
from tradewind.move.tables.names import QUOTES, split_name, unquoted
from tradewind.move.tables.staging import Slice, SqlTable, table_options
from tradewind.systems.sqlite.errors import sqlite_error
from tradewind.systems.sqlite.load import Load
from tradewind.systems.sqlite.place import begin, clear, refuse_special, sqlite_path
from tradewind.systems.sqlite.waiting import told

if TYPE_CHECKING:
    from tradewind.move.flow import Flow
    from tradewind.move.receipt import Stored
    from tradewind.owner import Owner

__all__ = ["SQLiteTable"]


class SQLiteTable(SqlTable):
    """Rows of a table in a file of SQLite, visible at once with the end of one transaction.

    The transaction is the only writer of the file while it lasts (``BEGIN IMMEDIATE``); one that a
    dead process has left is rolled back by SQLite itself. It commits together with a line in the
    ledger ``tradewind_published``.

    Memory: one batch as the source gives it and as Python's values, and SQLite's cache; whatever
    the number of rows.

    Args:
        path: The file. It has to exist unless `create` is true.
        table: Name of the table, perhaps quoted as in SQL.
        schema: Has to be None or ``main``.
        mode: ``append`` adds the rows, once for each owner; ``replace`` deletes the slice and puts
            the rows in its place; ``upsert`` writes each row over the one with the same keys.
        slice: What ``replace`` deletes: values by column, or a condition, or a condition with
            ``?`` and its parameters. All new rows have to belong to it. Everything when not given.
        keys: Columns by which ``upsert`` finds rows: unique in the table; its primary key when not
            given.
        columns: The table's columns that the data's columns go to, one by one; by name when not
            given. The table's other columns get their defaults.
        create: Makes the table where it does not exist, with the types of the data. Decimals
            become ``DECIMAL_TEXT(p,s)``, which keeps all digits.
        cascade: Lets ``replace`` delete rows that other tables' foreign keys refer to with ON
            DELETE CASCADE or SET NULL, so that rows of those go or change too; refused otherwise.
        skip_generated: Leaves out what the data have for columns that the table computes itself
            (GENERATED ALWAYS AS); such data are refused otherwise.
        lock_timeout: Seconds to wait for somebody else who writes.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("path", "table", "mode", "slice", "keys", "columns")

    system_name: ClassVar[str] = "SQLite"

    def __init__(
        self,
        path: str | Path,
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
        parts = split_name(table, QUOTES)
        if parts is not None and len(parts) == 2 and schema is None:
            schema, table = parts
        if schema is not None and unquoted(schema, QUOTES).lower() != "main":
            raise InputError("SQLite: a file has one schema, main. Leave schema out.")
        self.table = unquoted(table, QUOTES)
        self.path = Path(path)

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` and options.

        Args:
            uri: As SQLAlchemy writes it.
            options: ``table``, ``mode``, ``slice`` (a JSON object or a condition), ``keys`` and
                ``columns`` (with commas), ``create``, ``cascade`` and
                ``skip_generated`` (``true``), ``lock_timeout``.

        Raises:
            InputError: Something of it is wrong.
        """
        return cls(sqlite_path(uri), **table_options("SQLite", options, ("lock_timeout",)))

    @property
    def uri(self) -> str:
        """File and table."""
        return f"sqlite:///{self.path}#{self.table}"

    def describe(self) -> str:
        """Name file and table."""
        return f"sqlite:///{self.path}: table {self.table}"

    def publish(self, flow: Flow, owner: Owner) -> Stored:
        """Write all that flows into the table and commit; see `Target.publish`."""
        refuse_special(self.path)
        if not self.path.is_file() and not self.create:
            raise SetupError(
                f"SQLite file {self.path}: there is no such file. Check the path, or give "
                f"{target_option('create', True)}."
            )
        made = not self.path.exists()
        system = f"SQLite file {self.path}"
        with self._translating():
            connection = sqlite3.connect(
                self.path,
                timeout=self.lock_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with contextlib.closing(connection), self._translating():
                try:
                    with told(system, self.lock_timeout, "somebody else writes to it"):
                        begin(connection, self.path, system)
                    return Load(self, connection, owner, system=system).run(flow)
                except BaseException:
                    # SQLite keeps a closed connection, and its lock, while somebody refers to one
                    # of its statements, as a traceback may do.
                    with contextlib.suppress(sqlite3.Error):
                        connection.rollback()
                    raise
        except BaseException:
            clear(self.path, made=made)
            raise

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise sqlite_error(error, f"SQLite file {self.path}, table {self.table}") from error
