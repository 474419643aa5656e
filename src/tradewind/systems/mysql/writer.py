"""Rows on their way to the server: by LOAD DATA where it lets us, else by INSERT."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TYPE_CHECKING

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.move.interface import target_option
from tradewind.systems.mysql.catalog import GEOMETRIES, constraint_of
from tradewind.systems.mysql.errors import remedy_of_data, said_by_server
from tradewind.systems.mysql.fits import Suspects
from tradewind.systems.mysql.insert import counted_on, insert_statements
from tradewind.systems.mysql.pipe import Loading, Pipe
from tradewind.systems.mysql.rows import DIALECT, assignments, load_rows
from tradewind.systems.mysql.session import Session

if TYPE_CHECKING:
    from tradewind.move.batches import Batches
    from tradewind.move.tables.staging import TableColumn

__all__ = ["Writer"]

_COUNTS = re.compile(r"Records: (\d+)\s+Deleted: (\d+)\s+Skipped: (\d+)\s+Warnings: (\d+)")


class Writer:
    """Writes rows in the transaction of a session.

    Args:
        session: On the server.
        schema: The database that the table is in.
        table: The table.
        how: ``auto``, ``infile`` or ``insert``.
    """

    def __init__(self, session: Session, schema: str, table: str, how: str) -> None:
        self._session = session
        self._system = session.system
        self._schema = schema
        self._table = table
        self._name = f"{schema}.{table}"
        self._how = how
        self._suspects = Suspects()
        self._columns: tuple[TableColumn, ...] = ()
        self.numbered = False
        """Whether the server numbers the rows, so that the first number is to be kept."""
        self.first = 0
        """The first number that the server gave."""

    def write(
        self, into: str, batches: Batches, columns: tuple[TableColumn, ...]
    ) -> tuple[int, int]:
        """Write all rows.

        Args:
            into: The table, in SQL.
            batches: The rows.
            columns: Where each of their columns goes.

        Returns:
            Rows and bytes.

        Raises:
            InputError: One does not fit.
        """
        self._columns = columns
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
                text = self._said(loading)
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

    def _said(self, loading: Loading) -> str | None:
        try:
            return loading.result()
        except InputError as error:
            number, text = said_by_server(error)
            if not number:
                raise
            raise self._refusal(number, text) from error

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
                number, text = said_by_server(error)
                if not number:
                    raise
                raise self._refusal(number, text, rows) from error
            if self._session.warning_count:
                self._refuse_warnings(rows)
            if not rows:
                self._keep_first_number()
            rows += count
            size += len(statement)
        return rows, size

    def _keep_first_number(self) -> None:
        if self.numbered:
            self.first = int(self._session.fetch("SELECT LAST_INSERT_ID()")[0][0])

    def _refuse_warnings(self, before: int = 0) -> None:
        said = self._session.warnings()
        # One may only explain another one that names the column.
        named = [row for row in said if "column" in row[2].lower() or "CONSTRAINT" in row[2]]
        number, text = (named or said)[0][1:3] if said else ("", "a value was changed")
        raise self._refusal(number, text, before)

    def _refusal(self, number: str, text: str, before: int = 0) -> InputError:
        """Say which value does not fit: the server names a column, a row or a constraint."""
        if (told := self._suspects.told(text)) is not None and number != "1062":
            return told
        return InputError(
            f"{self._system}: a row for {self._name} does not fit: {counted_on(text, before)}. "
            f"Nothing of it is visible. {self._remedy(number, text)} (error {number})"
        )

    def _remedy(self, number: str, text: str) -> str:
        if number == "1062":
            return f"{target_option('mode', 'upsert')} writes over rows with the same key."
        if number == "1416":
            kept = ", ".join(repr(c.name) for c in self._columns if c.type in GEOMETRIES)
            return f"{remedy_of_data(number)} It is in one of the columns {kept}."
        if (failed := re.search(r"CONSTRAINT `(?:[^`]*\.)?([^`.]+)` failed", text)) is None:
            return remedy_of_data(number)
        # MariaDB keeps JSON as a text with a constraint, which is called like the column.
        demanded = constraint_of(self._session, self._schema, self._table, failed[1])
        what = f"It demands {demanded}" if demanded else "It demands something else, like JSON"
        return f"{what}. Correct the data of the column {failed[1]!r}, or the constraint."
