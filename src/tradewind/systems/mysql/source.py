"""MySQL and MariaDB as a source: one stream of rows in one snapshot, as typed record batches."""

from __future__ import annotations

import copy
import json as json_
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.division import Division
from tradewind.move.row_limit import MAX_ROW_BYTES, check_limit
from tradewind.move.source import Encoded, Source
from tradewind.move.tables.names import split_name, unquoted
from tradewind.systems.mysql.connection import MySQLConnection, quoted
from tradewind.systems.mysql.ranges import range_conditions
from tradewind.systems.mysql.reading import Reading
from tradewind.systems.mysql.types import refuse_choice

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["MySQLSource"]

_BATCH = 2 << 20


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
        self._share: Mapping[str, Any] | None = None
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
                keywords["max_row_bytes"] = given.pop("max_row_bytes")
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
        part = "" if self._share is None else f" [{self._share['where']}]"
        return f"{self.connection.uri}: {words if len(words) <= 200 else f'{words[:197]}...'}{part}"

    def divide(self, number: int, by: str | None = None) -> Division:
        """Divide by ranges of a column, of equal width; see `Source.divide`."""
        if by is None:
            raise InputError(
                f"{self.connection.system}: to spread a query over workers, name the column that "
                "it is divided by: by='id'."
            )
        ends = copy.copy(self)
        ends._share = {"by": by, "where": None}
        with ends.batches() as batches:
            kind = batches.schema.field("low").type
            low, high = next((batch.to_pylist()[0].values() for batch in batches), (None, None))
        conditions = range_conditions(self.connection.system, by, kind, low, high, number)
        shares = tuple({"by": by, "where": condition} for condition in conditions)
        return Division(
            shares,
            consistent=len(shares) == 1,
            why=f"each share is a snapshot of its own, taken when it is read; a row whose {by} "
            "does not change is read once, as it is then",
        )

    def share(self, told: Mapping[str, Any]) -> MySQLSource:
        """Make the source of one range; see `Source.share`."""
        made = copy.copy(self)
        made._share = told
        return made

    def _reading(self) -> Reading:
        return Reading(
            self.connection,
            self.query,
            self.parameters,
            statement_timeout=self.statement_timeout,
            choices=self._choices,
            block=self.block,
            max_row_bytes=self.max_row_bytes,
            share=self._share,
        )

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        reading = self._reading()
        return reading.batches(reading.columns)

    def encoded(self, format: Format) -> Encoded | None:
        """Read CSV: what the server prints just so is not parsed and printed again."""
        if format.name != "csv" or not _takes_text(format):
            return None
        reading = self._reading()
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
