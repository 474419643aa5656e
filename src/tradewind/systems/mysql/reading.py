"""One reading of a query of MySQL: its session and transaction, and its rows as columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.row_limit import too_long
from tradewind.systems.mysql.binary import BinaryRows
from tradewind.systems.mysql.connection import MySQLConnection
from tradewind.systems.mysql.packets import PreparedRows
from tradewind.systems.mysql.ranges import shared
from tradewind.systems.mysql.session import Session, bound
from tradewind.systems.mysql.sql import statement, wrapped
from tradewind.systems.mysql.types import MySQLReading, mysql_reading

__all__ = ["Reading"]

_ROWS = 8192
_BATCHES_AHEAD = 8
"""So that reading goes on while a row group is being written."""
_FETCH = 512
_PART = 512
_ROOM = 1 << 20
_SMALL = 1024
"""Values of columns that are declared shorter are not measured one by one."""


def _raw(rows: list[tuple[bytes | None, ...]]) -> list[pa.Array]:
    return [pa.array(values, pa.binary()) for values in zip(*rows, strict=True)]


def _joined(parts: list[list[pa.Array]]) -> list[pa.Array]:
    return [pa.concat_arrays(column) for column in zip(*parts, strict=True)]


class Reading:
    """One reading: its session, which ends with it.

    Args:
        connection: The server and database.
        query: One statement that gives rows.
        parameters: Values for it; see `MySQLSource`.
        statement_timeout: Seconds that it may take.
        choices: How values are read, as `mysql_reading` takes them.
        block: Bytes in one batch.
        max_row_bytes: Longest row that is read.
        share: Which rows of it; see `tradewind.systems.mysql.ranges.shared`. All when None.
    """

    def __init__(
        self,
        connection: MySQLConnection,
        query: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None,
        *,
        statement_timeout: float | None,
        choices: Mapping[str, Any],
        block: int,
        max_row_bytes: int,
        share: Mapping[str, Any] | None = None,
    ) -> None:
        self._connection = connection
        self._statement_timeout = statement_timeout
        self._choices = choices
        self._block = block
        self._max_row_bytes = max_row_bytes
        self._finished = False
        self._prepared: PreparedRows | None = None
        self._result: Any = None
        self.rows = 0
        self.complete = False
        self._session = Session(connection)
        try:
            # Values of bytes are no UTF-8; they come back as they were when it is sent.
            sent = bound(self._session, query, parameters)
            query = statement(sent.decode("utf-8", "surrogateescape"))
            if share is not None:
                query = shared(query, share)
            self._begin()
            self._prepared = PreparedRows.open(self._session, query)
            self.columns = self._described() if self._prepared else self._as_text(query)
        except BaseException:
            self.close()
            raise

    def is_printed_alike(self, column: MySQLReading) -> bool:
        """Whether a column comes as text that is just what CSV wants."""
        return column.is_number_as_text if self._prepared else column.is_printed_alike

    def _begin(self) -> None:
        """Open the transaction, with its limits."""
        session, timeout = self._session, self._statement_timeout
        if timeout is not None:
            session.execute(
                f"SET SESSION max_statement_time = {timeout:f}"
                if session.is_mariadb
                else f"SET SESSION max_execution_time = {max(1, round(timeout * 1000))}"
            )
        # For the session too: a statement that creates something would end the transaction first.
        session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _as_text(self, query: str) -> tuple[MySQLReading, ...]:
        """Run the query through mysqlclient."""
        columns = self._run(query)
        if not any(column.is_float for column in columns):
            return columns
        # The server prints them with six digits, but doubles with all: ask again.
        selects = [
            (column.field.name, "{} * 1e0" if column.is_float else "{}") for column in columns
        ]
        asked = wrapped(query, selects, self._session.system)
        self.close()
        self._finished = False
        self._session = Session(self._connection)
        self._begin()
        floats = {column.field.name: column for column in columns if column.is_float}
        return tuple(floats.get(column.field.name, column) for column in self._run(asked))

    def _run(self, query: str) -> tuple[MySQLReading, ...]:
        self._session.query(query)
        self._result = self._session.stream()
        if self._result is None:
            raise InputError(
                f"{self._session.system}: the query gives no result: it has no columns. Give "
                "a SELECT, or a CALL of a procedure that selects."
            )
        return self._described()

    def _described(self) -> tuple[MySQLReading, ...]:
        """Choose how each column is read."""
        session = self._session
        if self._prepared is not None:
            found = [(each.described, each.flags, each.is_text) for each in self._prepared.columns]
        else:
            found = [
                (described, flags, converter is not bytes)
                for described, flags, converter in zip(
                    self._result.describe(),
                    self._result.field_flags(),
                    self._result.converter,
                    strict=True,
                )
            ]
        names = [described[0] for described, _, _ in found]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"{session.system}: the query gives {names.count(name)} columns of the name "
                    f"{name!r}. Name them apart with AS."
                )
        return tuple(
            mysql_reading(described, flags, is_text=is_text, **self._choices)
            for described, flags, is_text in found
        )

    def batches(self, columns: tuple[MySQLReading, ...]) -> Batches:
        """Turn the rows into batches of these columns."""
        schema = pa.schema([column.field for column in columns])

        def generate() -> Iterator[pa.RecordBatch]:
            prepared = self._prepared
            pieces = self._blocks(columns, prepared) if prepared else self._texts(columns)
            try:
                for arrays in pieces:
                    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
                    del arrays
                    self.rows += batch.num_rows
                    yield batch
                self.complete = True
            finally:
                self.close()

        # One thread reads, the caller's writes.
        stream = ahead(generate(), name="MySQL", depth=_BATCHES_AHEAD)

        def close() -> None:
            self._abort()  # first: it wakes who waits for the server
            with contextlib.suppress(ValueError):  # another thread is in it, and leaves now
                stream.close()
            self.close()

        return Batches(schema, iter(stream.__next__, None), on_close=close)

    def _blocks(
        self, columns: tuple[MySQLReading, ...], prepared: PreparedRows
    ) -> Iterator[list[pa.Array]]:
        """Read rows of the binary protocol."""
        parser = BinaryRows(columns)
        limit = self._max_row_bytes
        for block in prepared.blocks(self._block, _ROWS, longest=limit):
            yield parser.arrays(block)
        if prepared.has_more:
            raise self._several()
        self._finished = True

    def _several(self) -> InputError:
        return InputError(
            f"{self._session.system}: the query gives several results, and a move has one table. "
            "Call a procedure that selects once, or move the queries one by one."
        )

    def _texts(self, columns: tuple[MySQLReading, ...]) -> Iterator[list[pa.Array]]:
        """Read rows of text."""
        for piece in self._pieces():
            yield [column.array(values) for column, values in zip(columns, piece, strict=True)]

    def _pieces(self) -> Iterator[list[pa.Array]]:
        """Read rows until they are about a batch; where it ends depends on the data alone."""
        block = self._block
        room = sum(column.room for column in self.columns if column.room <= _SMALL)
        long = [at for at, column in enumerate(self.columns) if column.room > _SMALL]
        most = max(1, min(_FETCH, _ROOM // (room or 1)))
        # A few rows at a time where one of them may be of any length.
        count = min(most, 16) if long else most
        rows: list[tuple[bytes | None, ...]] = []
        parts: list[list[pa.Array]] = []
        total = size = 0
        while fetched := self._session.fetched(self._result, count):
            rows.extend(fetched)
            size += min(room, 400) * len(fetched)
            if long:
                measured = sum([len(row[at] or b"") for row in fetched for at in long])
                if measured > self._max_row_bytes:
                    self._refuse_long(fetched, long)
                size += measured
                mean = measured // len(fetched)
                most_long = 16 if mean > 1 << 14 else 128
                count = max(1, min(most, 2 * count, most_long, _ROOM // (mean or 1)))
            del fetched
            full = size >= block or total + len(rows) >= _ROWS
            if full or len(rows) >= _PART:
                # Small parts stay in the processor's cache: a quarter of the time.
                total += len(rows)
                parts.append(_raw(rows))
                rows = []
            if full:
                yield _joined(parts)
                parts, total, size = [], 0, 0
        if rows:
            parts.append(_raw(rows))
        if parts:
            yield _joined(parts)
        if self._session.finish():
            raise self._several()
        self._finished = True

    def _refuse_long(self, rows: Sequence[tuple[bytes | None, ...]], long: list[int]) -> None:
        limit = self._max_row_bytes
        for row in rows:
            sizes = {self.columns[at].field.name: len(row[at] or b"") for at in long}
            if sum(sizes.values()) > limit:
                name = max(sizes, key=lambda each: sizes[each])
                if sizes[name] > limit:
                    raise too_long(self._session.system, sizes[name], limit, column=name)
                raise too_long(self._session.system, sum(sizes.values()), limit, among=[*sizes])

    def _abort(self) -> None:
        """End what runs, on the server too."""
        if not self._finished:
            self._finished = True
            self._session.abort()

    def close(self) -> None:
        """End the reading on the server too. May be called again, and from another thread."""
        self._abort()
        if self._prepared is not None:
            self._prepared.close()
        self._result = None
        with contextlib.suppress(Exception):
            self._session.close()
