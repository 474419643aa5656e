"""PostgreSQL as a source: CSV that the server writes itself, or typed record batches.

Over 400 lines: the options, which are documented in full, and the roads of one source.
"""

# ruff: noqa: S608 - all names are quoted, all values literals
from __future__ import annotations

import contextlib
import copy
import json
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa

from tradewind.errors import InputError, RetryError, TradewindError
from tradewind.move.ahead import ahead
from tradewind.move.batches import Batches
from tradewind.move.division import Division
from tradewind.move.interface import option
from tradewind.move.native import core, decoders
from tradewind.move.row_limit import MAX_ROW_BYTES, check_limit
from tradewind.move.source import Encoded, Source
from tradewind.systems.postgres import binary
from tradewind.systems.postgres.connection import PostgresConnection
from tradewind.systems.postgres.copy import CopyOut
from tradewind.systems.postgres.long_rows import LongRows
from tradewind.systems.postgres.names import identifiers
from tradewind.systems.postgres.session import Column, Session
from tradewind.systems.postgres.split import (
    fair_connections,
    key_conditions,
    page_queries,
    pages_where_possible,
)
from tradewind.systems.postgres.sql import bind, copy_dialect, quoted, statement
from tradewind.systems.postgres.text import OPTIONS, Parser, blocks
from tradewind.systems.postgres.types import readings

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["PostgresSource"]

_PIECE = 1 << 20
_AHEAD = 6
_RANGE_AHEAD = 8
_PARSED_RANGE_AHEAD = 3
"""Fewer where batches are made of them, which are read ahead too."""
_BATCHES_AHEAD = 6
"""So that reading goes on while a row group is being written."""


class PostgresSource(Source):
    r"""What a query gives, read in one snapshot (``REPEATABLE READ READ ONLY``).

    CSV is written by the server (``COPY ... TO STDOUT``). Anything else comes as record batches in
    the types of `tradewind.move.types`, decoded from COPY's binary format where the package
    ``tradewind-native`` is installed, and parsed from its text format where it is not. (All are the
    same values; PostgreSQL prints some floats beyond 2^53 with one digit more than they need.)

    A retry gives the same bytes where the query gives its rows in the same order: scans start at
    the table's beginning and no parallel workers race, unless `settings` allow them.

    Memory: 8 pieces of 1 MB; for batches beside them two blocks of `block` bytes and eight in
    Arrow's form; with a split 9 MB (for batches 4) for each of 2 x `connections` ranges. The
    longest row comes on top, some copies of it: see `max_row_bytes`. Whatever the number of rows.

    Args:
        connection: The server and database.
        query: One statement that gives rows.
        parameters: Values for the query's ``%(name)s`` (a mapping), ``%s`` or ``$1`` (a sequence);
            see `tradewind.systems.postgres.sql.bind`.
        statement_timeout: Seconds that the query may take, with the time to read it.
        split: Reads ranges one by one, by several connections at once: ``ctid`` splits one table
            into ranges of its pages (``SELECT ... FROM table [WHERE ...]``); the name of a column
            of the result (number, date, timestamp) splits any query by that, and orders by it.
        connections: How many connections read the ranges, all in the same snapshot. ``auto`` takes
            as many as are fair to the server (four at most, a tenth of its ``max_connections``,
            fewer where it grants fewer: `fair_connections` in ``split.py``), and where no `split`
            is given it splits by ``ctid`` what can be: one table of more than 8 MB. The order is
            the same for any number.
        settings: Further settings of the session, like
            ``{"max_parallel_workers_per_gather": "4"}``.
        block: Bytes of text in one batch; a longer row is a batch of its own.
        max_row_bytes: Longest row that is read, in bytes as the server sends it (where that is
            text, bytes are two digits each). A longer one is refused when the client library has
            received it, and goes no further.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("connection", "query", "parameters", "_settings")

    def __init__(
        self,
        connection: PostgresConnection,
        query: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        statement_timeout: float | None = None,
        split: str | None = None,
        connections: int | Literal["auto"] = 1,
        settings: Mapping[str, str] | None = None,
        block: int = _PIECE,
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        automatic = connections == "auto"
        if not automatic and (not isinstance(connections, int) or connections < 1):
            raise InputError(
                f"PostgreSQL: {connections} connections cannot read. Give 1 or more, or 'auto'."
            )
        if not automatic and connections != 1 and split is None:
            raise InputError(
                "PostgreSQL: several connections need a split. Give "
                f"{option('split', 'ctid')} or a column."
            )
        if statement_timeout is not None and statement_timeout <= 0:
            raise InputError("PostgreSQL: statement_timeout is a number of seconds above 0.")
        if block < 1:
            raise InputError("PostgreSQL: block is a number of bytes above 0.")
        self.connection = connection
        self.query = query
        self.parameters = parameters
        self.split = split
        self.connections = connections
        self._block = block
        self.max_row_bytes = check_limit("PostgreSQL", max_row_bytes)
        self._share: Mapping[str, Any] | None = None
        self._names: tuple[str, ...] = ()  # what the table may be called, where one was named
        self._settings = dict(settings or {})
        if statement_timeout is not None:
            self._settings["statement_timeout"] = f"{max(1, round(statement_timeout * 1000))}ms"

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``postgresql://user@host:port/database`` and options.

        Args:
            uri: See `PostgresConnection.from_uri`.
            options: ``query`` (or ``table``), ``parameters`` as JSON, ``statement_timeout``,
                ``split``, ``connections``, ``max_row_bytes``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        query, table = given.pop("query", None), given.pop("table", None)
        if (query is None) == (table is None):
            raise InputError("PostgreSQL: give either a query or a table.")
        connection = PostgresConnection.from_uri(uri)
        names = () if table is None else identifiers(table, connection.database)
        if names:
            query = f"SELECT * FROM {names[0]}"
        keywords: dict[str, Any] = {}
        try:
            if "max_row_bytes" in given:
                keywords["max_row_bytes"] = given.pop("max_row_bytes")
            if "parameters" in given:
                keywords["parameters"] = json.loads(given.pop("parameters"))
            if "statement_timeout" in given:
                keywords["statement_timeout"] = float(given.pop("statement_timeout"))
            if "connections" in given:
                number = given.pop("connections")
                keywords["connections"] = number if number == "auto" else int(number)
        except ValueError as error:
            raise InputError(f"PostgreSQL: an option cannot be read: {error}.") from error
        if "split" in given:
            keywords["split"] = given.pop("split")
        if given:
            raise InputError(
                f"PostgreSQL: there is no option {', '.join(sorted(given))}. Choose from: "
                "query, table, parameters, statement_timeout, split, connections, max_row_bytes."
            )
        made = cls(connection, query or "", **keywords)
        made._names = names
        return made

    def describe(self) -> str:
        """Name server, database and query."""
        words = " ".join(self.query.split())
        part = "" if self._share is None else f" [{self._share['where']}]"
        return f"{self.connection.uri}: {words if len(words) <= 200 else f'{words[:197]}...'}{part}"

    def divide(self, number: int, by: str | None = None) -> Division:
        """Divide by ranges of a column, of equal width; see `Source.divide`.

        A snapshot is shared with other sessions only while the session lives that exports it
        (``pg_export_snapshot``), and the task that divides has ended when the shares are read.
        """
        with contextlib.closing(_Reading(self)) as reading:
            names = tuple(column.name for column in reading.columns)
            if by is None or names.count(by) != 1:
                raise InputError(
                    f"{reading.session.system}: to spread a query over workers, name the column "
                    f"that it is divided by: by={by!r} is none. Choose from: {', '.join(names)}."
                )
            oid = reading.columns[names.index(by)].oid
            conditions = key_conditions(
                reading.session, reading.query, names, by, oid, ranges=number
            )
        shares = tuple({"by": by, "where": condition} for condition in conditions)
        return Division(
            shares,
            consistent=len(shares) == 1,
            why=f"each share is a snapshot of its own, taken when it is read; a row whose {by} "
            "does not change is read once, as it is then",
        )

    def share(self, told: Mapping[str, Any]) -> PostgresSource:
        """Make the source of one range; see `Source.share`."""
        made = copy.copy(self)
        made._share = told
        return made

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        reading = _Reading(self)
        try:
            columns = readings(reading.session, reading.columns)
            if reading.session.server_encoding == "SQL_ASCII" and self.query.isascii():
                # The server does not know what its bytes mean. Nor do we, but we know the column.
                reading.session.execute("SET LOCAL client_encoding TO 'SQL_ASCII'")
            names = [column.field.name for column in columns]
            for name in names:
                if names.count(name) > 1:
                    raise InputError(
                        f"{self.connection.system}: the query gives {names.count(name)} columns "
                        f"of the name {name!r}. Name them apart with AS."
                    )
            native = decoders()
            words = binary.words(columns) if native else None
            if native and words:
                statements = reading.statements(
                    [column.binary for column in columns], dict(binary.OPTIONS)
                )
                decoder = native.CopyDecoder(words, self._block)
            else:
                statements = reading.statements(
                    [column.select for column in columns], dict(OPTIONS)
                )
                decoder = None
            reading.look_at("text" if decoder is None else "binary")
            self.core = "python" if decoder is None else core()
        except BaseException:
            reading.close()
            raise
        schema = pa.schema([column.field for column in columns])

        def made(pieces: Iterator[list[bytes]]) -> Iterator[pa.RecordBatch]:
            if decoder is None:
                return map(Parser(columns, schema).parse, blocks(pieces, self._block))
            return binary.batches(decoder, pieces, columns, schema, system=self.connection.system)

        def generate() -> Iterator[pa.RecordBatch]:
            rows = 0
            with contextlib.closing(reading):
                for batch in made(reading.pieces(statements, _PARSED_RANGE_AHEAD)):
                    rows += batch.num_rows
                    yield batch
                if rows != reading.rows:
                    raise RetryError(
                        f"{self.connection.system}: the server counted {reading.rows} rows, and "
                        f"{rows} arrived. Try again."
                    )

        # One thread receives, one parses, the caller's writes.
        stream = ahead(generate(), name="PostgreSQL", depth=_BATCHES_AHEAD)

        def close() -> None:
            reading.close()  # first: it wakes who waits for the server
            with contextlib.suppress(ValueError):  # another thread is in it, and leaves now
                stream.close()

        return Batches(schema, iter(stream.__next__, None), on_close=close)

    def encoded(self, format: Format) -> Encoded | None:
        """Read CSV that the server writes, in each dialect that its COPY knows."""
        from tradewind.move.formats.csv import CsvFormat

        options = copy_dialect(format)
        if not isinstance(format, CsvFormat) or options is None or format.line_end != "\n":
            return None
        if format.escape is not None or (format.quoting == "all" and format.header):
            return None  # COPY quotes fewer values, and no names
        if format.quoting == "all":
            options["FORCE_QUOTE"] = "*"
        reading = _Reading(self)
        try:
            if reading.session.server_encoding == "SQL_ASCII":
                # The server does not know what its bytes mean; batches check that it is UTF-8.
                reading.close()
                return None
            natives = [column.native for column in readings(reading.session, reading.columns)]
            selects = [native for native in natives if native is not None]
            nested = selects != ["{}"] * len(natives)
            if len(selects) < len(natives) or (nested and format.nested != "json"):
                reading.close()
                return None
            statements = reading.statements(selects, options)
            reading.look_at("csv", format.quote)
        except BaseException:
            reading.close()
            raise
        return Encoded(
            _Chunks(reading, statements),
            columns=tuple(column.name for column in reading.columns),
            rows=lambda: reading.rows,
        )


class _Reading:
    """One reading of a source: its sessions, all in one snapshot."""

    def __init__(self, source: PostgresSource) -> None:
        self._source = source
        self._sessions: list[Session] = []
        self._copies: deque[CopyOut] = deque()
        self.rows = 0
        self._complete = False
        self._long_rows: LongRows | None = None
        try:
            self.session = self._open()
            self.query = statement(bind(self._asked(), source.parameters))
            if (share := source._share) is not None:
                self.query = (
                    f"SELECT * FROM (\n{self.query}\n) AS tradewind_share WHERE {share['where']}"
                    f" ORDER BY {quoted(share['by'])}"
                )
            self.columns: tuple[Column, ...] = self.session.describe(self.query)
            if not self.columns:
                raise InputError(f"{self.session.system}: the query gives no columns. Select some.")
        except BaseException:
            self.close()
            raise

    def _asked(self) -> str:
        """Give the query; of a table that was named, by the name that it has."""
        source = self._source
        for name in source._names[1:] and source._names:
            if self.session.fetch("SELECT to_regclass($1) IS NOT NULL", name)[0][0]:
                return f"SELECT * FROM {name}"
        return source.query

    def _open(self, snapshot: str | None = None) -> Session:
        source = self._source
        session = Session(source.connection, name="tradewind:source", settings=source._settings)
        self._sessions.append(session)
        session.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", snapshot=snapshot)
        return session

    def statements(self, selects: list[str], options: dict[str, str]) -> list[str]:
        """Write the COPY statements that read all, in order."""
        split = self._source.split
        # Whatever the columns are called, twice the same or not at all: within they are c0, c1, ...
        inner = tuple(f"c{number}" for number in range(len(self.columns)))
        listed = ", ".join(map(quoted, inner))
        chosen = ", ".join(
            f"{select.format(quoted(name))} AS {quoted(column.name)}"
            for select, name, column in zip(selects, inner, self.columns, strict=True)
        )
        plain = all(select == "{}" for select in selects)

        def wrapped(query: str, rest: str = "") -> str:
            return f"SELECT {chosen} FROM (\n{query}\n) AS source({listed}){rest}"

        if split is None:
            pages = None
            if self._source.connections == "auto":
                pages = pages_where_possible(self.session, self.query)
            queries = pages or [self.query]
            queries = queries if plain else [wrapped(query) for query in queries]
        elif split == "ctid":
            queries = page_queries(self.session, self.query)
            queries = queries if plain else [wrapped(query) for query in queries]
        else:
            names = [column.name for column in self.columns]
            if names.count(split) != 1:
                raise InputError(
                    f"{self.session.system}: {option('split', split)} is not a column of the "
                    f"query's result. Choose from: {', '.join(names)}."
                )
            at = names.index(split)
            conditions = key_conditions(
                self.session, self.query, inner, inner[at], self.columns[at].oid
            )
            queries = [
                wrapped(self.query, f" WHERE {condition} ORDER BY {quoted(inner[at])}")
                for condition in conditions
            ]
        written = ", ".join(f"{name} {value}" for name, value in options.items())
        others = written.replace("HEADER true", "HEADER false")
        return [
            f"COPY (\n{query}\n) TO STDOUT ({others if number else written})"
            for number, query in enumerate(queries)
        ]

    def look_at(self, kind: Literal["binary", "text", "csv"], quote: str = '"') -> None:
        """Refuse rows that are too long, of this format of COPY."""
        names = [column.name for column in self.columns]
        limit = self._source.max_row_bytes
        self._long_rows = LongRows(self.session.system, limit, kind, names, quote)

    def pieces(self, statements: list[str], range_ahead: int) -> Iterator[list[bytes]]:
        """Run the statements, several at once; give their bytes in order, as they came."""
        ahead = _AHEAD if len(statements) == 1 else range_ahead
        wanted = self._several(len(statements))
        # Each session has a range being read and the next one in line: so it rests only when
        # enough is waiting for whoever writes.
        todo = deque(enumerate(statements))
        while todo or self._copies:
            while todo and len(self._copies) < 2 * wanted:
                number, sql = todo.popleft()
                session = self._sessions[number % wanted]
                check = None if self._long_rows is None else self._long_rows.check
                copy = CopyOut(session, sql, piece=_PIECE, ahead=ahead, check=check)
                self._copies.append(copy)
            copy = self._copies[0]
            yield from copy
            self.rows += copy.rows or 0
            self._copies.popleft()
        for session in self._sessions:
            session.execute("COMMIT")

    def _several(self, ranges: int) -> int:
        """Open the sessions that read so many ranges; tell how many there are."""
        asked = self._source.connections
        if ranges > 1 and asked == "auto":
            number = fair_connections(self.session)
        else:
            number = 1 if asked == "auto" else asked
        number = min(number, ranges)
        if number > 1:
            snapshot = self.session.fetch("SELECT pg_export_snapshot()")[0][0]
            while len(self._sessions) < number:
                before = len(self._sessions)
                try:
                    self._open(snapshot)
                except TradewindError:
                    if asked != "auto":
                        raise
                    # The server grants no more: so it is read by those that there are.
                    while len(self._sessions) > before:
                        self._sessions.pop().close()
                    break
        return min(number, len(self._sessions))

    def close(self) -> None:
        """End all of it on the server."""
        while self._copies:
            self._copies.pop().close()
        while self._sessions:
            self._sessions.pop().close()


class _Chunks(Generator[bytes, None, None]):
    """The bytes of a reading. Unlike a generator, it ends the reading also if it never began."""

    def __init__(self, reading: _Reading, statements: list[str]) -> None:
        self._reading = reading
        self._pieces = reading.pieces(statements, _RANGE_AHEAD)
        self._waiting: deque[bytes] = deque()

    def send(self, value: None) -> bytes:
        try:
            while not self._waiting:
                piece = next(self._pieces, None)
                if piece is None:
                    raise StopIteration
                self._waiting.extend(piece)
            return self._waiting.popleft()
        except BaseException:
            self._reading.close()
            raise

    def throw(self, *error: Any) -> bytes:
        self.close()
        raise error[0]

    def close(self) -> None:
        self._reading.close()

    def __del__(self) -> None:
        self._reading.close()
