"""MySQL and MariaDB as a source: one stream of rows in one snapshot, as typed record batches."""

from __future__ import annotations

import contextlib
import json as json_
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.row_limit import MAX_ROW_BYTES, check_limit, too_long
from tradewind.move.source import Encoded, Source
from tradewind.move.tables.names import split_name, unquoted
from tradewind.systems.mysql.binary import BinaryRows
from tradewind.systems.mysql.connection import MySQLConnection, Session, bound, quoted
from tradewind.systems.mysql.packets import PreparedRows
from tradewind.systems.mysql.sql import statement, wrapped
from tradewind.systems.mysql.types import MySQLReading, mysql_reading, refuse_choice

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["MySQLSource"]

_BATCH = 2 << 20
_ROWS = 8192
_BATCHES_AHEAD = 8
"""So that reading goes on while a row group is being written."""
_FETCH = 512
_PART = 512
_ROOM = 1 << 20
_SMALL = 1024
"""Values of columns that are declared shorter are not measured one by one."""


class MySQLSource(Source):
    """What a query gives, read in one snapshot (``WITH CONSISTENT SNAPSHOT, READ ONLY``).

    The server sends row after row (nothing is buffered on either side), of which whole columns are
    made: in its binary protocol, as a prepared statement; as text through mysqlclient where the
    connection is encrypted or compressed, or the statement cannot be prepared. The values are the
    same. The session's time zone is UTC: ``TIMESTAMP`` columns come with it.

    One connection reads. Neither MySQL nor MariaDB can hand a snapshot from one session to another
    (only Percona's server can), and locking all tables for it (``FLUSH TABLES WITH READ LOCK``)
    would stop everybody who writes: not something a reader should do by itself.

    Memory: twice `block` bytes as they come (as text instead 512 rows as Python's own), and ten
    batches of at most `block` bytes and 8192 rows in Arrow's form, one and a half times as large:
    at most some 35 MB; a few of the longest rows on top. Whatever the number of rows.

    Args:
        connection: The server and database.
        query: One statement that gives rows.
        parameters: Values for the query's ``%s`` (a sequence) or ``%(name)s`` (a mapping), as in
            Airflow's hooks: with parameters, a ``%`` of its own is written ``%%``.
        statement_timeout: Seconds that the query may take, with the time to read it.
        split: Not possible here, see above: has to be None.
        connections: Has to be 1.
        zero_dates: ``error`` for dates like ``0000-00-00`` and ``2020-00-00``, or ``null``.
        times: ``time`` reads ``TIME`` as the time of a day and refuses others; ``interval`` reads
            it as a duration in ISO 8601, which may be negative and longer than a day.
        json: Names of columns that hold JSON. MariaDB keeps them as text and does not say.
        block: Bytes in one batch; a longer row is a batch of its own.
        max_row_bytes: Longest row that is read, in bytes as the server sends it. A longer one is
            refused when the server has said its length, before it is read; over TLS or with
            compression, when the client library has read it.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("connection", "query", "parameters")

    def __init__(
        self,
        connection: MySQLConnection,
        query: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        statement_timeout: float | None = None,
        split: str | None = None,
        connections: int = 1,
        zero_dates: str = "error",
        times: str = "time",
        json: Sequence[str] = (),
        block: int = _BATCH,
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        if split is not None or connections != 1:
            raise InputError(
                "MySQL: several connections cannot share a snapshot, so a query is not split. "
                "Leave split out and connections at 1, or move ranges one by one."
            )
        if statement_timeout is not None and statement_timeout <= 0:
            raise InputError("MySQL: statement_timeout is a number of seconds above 0.")
        refuse_choice("zero_dates", zero_dates, ("error", "null"))
        refuse_choice("times", times, ("time", "interval"))
        if isinstance(json, str):
            raise InputError("MySQL: json is a list of names, not one string.")
        if block < 1:
            raise InputError("MySQL: block is a number of bytes above 0.")
        self.connection = connection
        self.query = query
        self.parameters = parameters
        self.statement_timeout = statement_timeout
        self._choices: dict[str, Any] = {
            "zero_dates": zero_dates,
            "times": times,
            "json": frozenset(json),
        }
        self.block = block
        self.max_row_bytes = check_limit("MySQL", max_row_bytes)

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``mysql://user@host:port/database`` and options.

        Args:
            uri: See `MySQLConnection.from_uri`.
            options: ``query`` (or ``table``), ``parameters`` as JSON, ``statement_timeout``,
                ``zero_dates``, ``times``, ``json`` (names with commas), ``max_row_bytes``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        query, table = given.pop("query", None), given.pop("table", None)
        if (query is None) == (table is None):
            raise InputError("MySQL: give either a query or a table.")
        if table is not None:
            parts = split_name(table, "`") or table.split(".")
            named = quoted(*(unquoted(part, "`") for part in parts))
            query = f"SELECT * FROM {named}"  # noqa: S608
        keywords: dict[str, Any] = {
            name: given.pop(name) for name in ("zero_dates", "times", "split") if name in given
        }
        try:
            if "parameters" in given:
                keywords["parameters"] = json_.loads(given.pop("parameters"))
            if "statement_timeout" in given:
                keywords["statement_timeout"] = float(given.pop("statement_timeout"))
            if "connections" in given:
                keywords["connections"] = int(given.pop("connections"))
            if "max_row_bytes" in given:
                keywords["max_row_bytes"] = int(given.pop("max_row_bytes"))
        except ValueError as error:
            raise InputError(f"MySQL: an option cannot be read: {error}.") from error
        if "json" in given:
            keywords["json"] = [name.strip() for name in given.pop("json").split(",")]
        if given:
            raise InputError(
                f"MySQL: there is no option {', '.join(sorted(given))}. Choose from: query, "
                "table, parameters, statement_timeout, zero_dates, times, json, max_row_bytes."
            )
        return cls(MySQLConnection.from_uri(uri), query or "", **keywords)

    def describe(self) -> str:
        """Name server, database and query."""
        words = " ".join(self.query.split())
        return f"{self.connection.uri}: {words if len(words) <= 200 else f'{words[:197]}...'}"

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        reading = _Reading(self)
        return reading.batches(reading.columns)

    def encoded(self, format: Format) -> Encoded | None:
        """Read CSV: what the server prints just so is not parsed and printed again."""
        if format.name != "csv" or not _takes_text(format):
            return None
        reading = _Reading(self)
        columns = tuple(
            replace(column, field=pa.field(column.field.name, pa.string()), convert=None)
            if reading.is_printed_alike(column)
            else column
            for column in reading.columns
        )
        batches = reading.batches(columns)
        return Encoded(
            format.encode(batches),
            columns=tuple(batches.schema.names),
            rows=lambda: reading.rows if reading.complete else None,
        )


def _takes_text(format: Format) -> bool:
    """Whether numbers are the same whether they come as numbers or as their text."""
    from tradewind.move.formats.csv import CsvFormat

    plain = isinstance(format, CsvFormat) and format.quoting == "minimal" and not format.null
    return plain and getattr(format, "delimiter", "") in (",", ";", "\t", "|")


def _raw(rows: list[tuple[bytes | None, ...]]) -> list[pa.Array]:
    return [pa.array(values, pa.binary()) for values in zip(*rows, strict=True)]


def _joined(parts: list[list[pa.Array]]) -> list[pa.Array]:
    return [pa.concat_arrays(column) for column in zip(*parts, strict=True)]


class _Reading:
    """One reading: its session, which ends with it."""

    def __init__(self, source: MySQLSource) -> None:
        self._source = source
        self._finished = False
        self._prepared: PreparedRows | None = None
        self._result: Any = None
        self.rows = 0
        self.complete = False
        self._session = Session(source.connection)
        try:
            # Values of bytes are no UTF-8; they come back as they were when it is sent.
            sent = bound(self._session, source.query, source.parameters)
            query = statement(sent.decode("utf-8", "surrogateescape"))
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
        session, timeout = self._session, self._source.statement_timeout
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
        self._session = Session(self._source.connection)
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
            mysql_reading(described, flags, is_text=is_text, **self._source._choices)
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
        limit = self._source.max_row_bytes
        for block in prepared.blocks(self._source.block, _ROWS, longest=limit):
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
        block = self._source.block
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
                if measured > self._source.max_row_bytes:
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
        limit = self._source.max_row_bytes
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
