"""SQLite as a source: one read of the file, in the types that its columns declare."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pyarrow as pa

from tradewind.errors import InputError, SetupError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.objects.schemas import declared, declared_fields, named
from tradewind.move.row_limit import MAX_ROW_BYTES, check_limit
from tradewind.move.source import Source
from tradewind.move.tables.names import QUOTES, split_name, unquoted
from tradewind.move.values import guessed, loose_column
from tradewind.systems.sqlite.errors import sqlite_error
from tradewind.systems.sqlite.long_rows import limit_rows, refused, some_rows
from tradewind.systems.sqlite.place import refuse_special, sqlite_path
from tradewind.systems.sqlite.types import (
    Convert,
    array_of,
    as_text,
    converter,
    declared_field,
    is_text,
    remedy,
)

__all__ = ["SQLiteSource"]

_BLOCK = 4 << 20
_FIRST = 2048
_MOST = 4096
_PARAMETER = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/"
    r"|(\?\d*|[:@$][A-Za-z_]\w*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class _Reading:
    """How a column is read: its type, and whether that is declared or told by the first rows."""

    field: pa.Field
    convert: Convert | None
    declared: bool


class SQLiteSource(Source):
    """What a query gives on a file of SQLite, read in one transaction.

    Types come from the `schema` given, else from what the query's columns declare, else (for
    expressions) from the first rows. ``BOOLEAN``, ``DATE``, ``DATETIME``, ``TIMESTAMP``,
    ``DECIMAL(p,s)``, ``UUID`` and ``JSON`` mean what they say; dates and times are text in ISO
    8601. A value that does not fit is an `UnfitValueError`.

    Memory: one batch of `block` bytes as Python's values (about three times that) and in Arrow's
    form, and SQLite's cache of 2 MB; whatever the number of rows. Rows are fetched as many at a
    time as make a batch, the first time `sample` of them, or fewer, of `max_row_bytes` together.
    The longest row comes on top, some copies of it.

    Args:
        path: The file.
        query: One statement that gives rows.
        parameters: Values for ``?`` (a sequence) or ``:name`` (a mapping).
        statement_timeout: Seconds that the query may take, with the time to read it.
        schema: Types of some or all columns, by name: Arrow's, or their names as docs/values.md
            has them.
        lock_timeout: Seconds to wait for somebody who writes.
        block: Bytes in one batch, about.
        sample: Rows that tell the types of columns that declare none.
        max_row_bytes: Longest value or row that is read, in bytes as SQLite keeps it. SQLite itself
            refuses a longer one, before it takes memory for it.

    Raises:
        InputError: An argument is wrong.
    """

    decides = ("path", "query", "parameters", "schema", "types", "sample")

    def __init__(
        self,
        path: str | Path,
        query: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        statement_timeout: float | None = None,
        schema: pa.Schema | Mapping[str, str] | str | None = None,
        lock_timeout: float = 60.0,
        block: int = _BLOCK,
        sample: int = _FIRST,
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        if statement_timeout is not None and statement_timeout <= 0:
            raise InputError("SQLite: statement_timeout is a number of seconds above 0.")
        if block < 1:
            raise InputError("SQLite: block is a number of bytes above 0.")
        if sample < 1:
            raise InputError("SQLite: sample is a number of rows above 0.")
        if not query.strip():
            raise InputError("SQLite: the query is empty. Give a statement that gives rows.")
        self.path = Path(path)
        self.query = query
        self.parameters = parameters
        self.statement_timeout = statement_timeout
        self.types = named(schema)
        self.schema = schema if isinstance(schema, pa.Schema) else None
        self.lock_timeout = lock_timeout
        self.block = block
        self.sample = sample
        self.max_row_bytes = check_limit("SQLite", max_row_bytes)
        self._fields = declared_fields(self.types)
        self._fields.update({one.name: one for one in self.schema or ()})

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` and options.

        Args:
            uri: As SQLAlchemy writes it.
            options: ``query`` (or ``table``), ``parameters`` as JSON, ``statement_timeout``,
                ``schema`` (types of some columns as JSON, or the file that holds it), ``sample``
                (rows), ``max_row_bytes``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        query, table = given.pop("query", None), given.pop("table", None)
        if (query is None) == (table is None):
            raise InputError("SQLite: give either a query or a table.")
        if table is not None:
            parts = split_name(table, QUOTES) or (table,)
            if len(parts) == 2 and unquoted(parts[0], QUOTES).lower() == "main":
                parts = parts[1:]
            name = unquoted(parts[0], QUOTES) if len(parts) == 1 else table
            query = 'SELECT * FROM "{}"'.format(name.replace('"', '""'))  # noqa: S608
        keywords: dict[str, Any] = {}
        try:
            if "parameters" in given:
                keywords["parameters"] = json.loads(given.pop("parameters"))
            if "statement_timeout" in given:
                keywords["statement_timeout"] = float(given.pop("statement_timeout"))
            if "sample" in given:
                keywords["sample"] = int(given.pop("sample"))
            if "max_row_bytes" in given:
                keywords["max_row_bytes"] = given.pop("max_row_bytes")
        except ValueError as error:
            raise InputError(f"SQLite: an option cannot be read: {error}.") from error
        keywords["schema"] = declared(given.pop("schema", ""))
        if given:
            raise InputError(
                f"SQLite: there is no option {', '.join(sorted(given))}. Choose from: query, "
                "table, parameters, statement_timeout, schema, sample, max_row_bytes."
            )
        return cls(sqlite_path(uri), query or "", **keywords)

    def describe(self) -> str:
        """Name the file and the query."""
        words = " ".join(self.query.split())
        return f"sqlite:///{self.path}: {words if len(words) <= 200 else f'{words[:197]}...'}"

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        return self._read(None)

    def loose_batches(self, format: Format) -> Batches | None:
        """Read each value by its own type where its column's does not fit; see `Source`."""
        return self._read(format)

    def _read(self, into: Format | None) -> Batches:
        with self._translating():
            connection = self._connect()
        try:
            with self._translating():
                connection.execute("BEGIN")
                declared = self._declared(connection)
                if self.statement_timeout is not None:
                    end = time.monotonic() + self.statement_timeout
                    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
                cursor = connection.execute(self.query, self.parameters or ())
                if cursor.description is None:
                    raise InputError(f"{self._system}: the query gives no columns. Select some.")
                rows = some_rows(cursor, self.sample, max(self.block, self.max_row_bytes))
        except BaseException:
            _end(connection)
            raise
        names = [item[0] for item in cursor.description]
        try:
            readings = self._readings(names, declared, rows)
        except BaseException:
            _end(connection)
            raise
        schema = pa.schema([reading.field for reading in readings])

        def generate() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            try:
                while rows:
                    columns = [
                        self._column([row[at] for row in rows], reading, into)
                        for at, reading in enumerate(readings)
                    ]
                    batch = pa.RecordBatch.from_arrays(
                        [array for array, _ in columns],
                        schema=schema if into is None else pa.schema([one for _, one in columns]),
                    )
                    mean = max(1, batch.nbytes // len(rows))
                    rows = []
                    yield batch
                    with self._translating():
                        most = max(1, min(_MOST, self.block // mean))
                        rows = some_rows(cursor, most, 2 * self.block)
            finally:
                _end(connection)

        return Batches(schema, generate(), on_close=lambda: _end(connection))

    def _column(
        self, values: list[Any], reading: _Reading, into: Format | None
    ) -> tuple[pa.Array, pa.Field]:
        field, convert = reading.field, reading.convert
        if into is None or field.name in self._fields:
            return array_of(values, field, convert), field
        make = None
        if reading.declared:

            def make(some: list[Any], one: pa.Field) -> pa.Array:
                return array_of(some, one, convert)

        return loose_column(values, field, into, remedy=remedy(field.name, values), make=make)

    @property
    def _system(self) -> str:
        return f"SQLite file {self.path}"

    def _connect(self, *, limited: bool = True) -> sqlite3.Connection:
        refuse_special(self.path)
        if not self.path.is_file():
            raise SetupError(f"{self._system}: there is no such file. Check the path.")
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=ro",
            uri=True,
            timeout=self.lock_timeout,
            isolation_level=None,
            # Whoever closes the batches may do it in another thread.
            check_same_thread=False,
        )
        if limited:
            limit_rows(connection, self.max_row_bytes)
        return connection

    def _declared(self, connection: sqlite3.Connection) -> list[str]:
        """Ask what types the query's columns declare, by way of a view that nobody else sees."""
        bare = _PARAMETER.sub(lambda found: "NULL" if found[1] else found[0], self.query)
        try:
            connection.execute(f"CREATE TEMP VIEW tradewind_query AS {bare.rstrip().rstrip(';')}")
            rows = connection.execute("PRAGMA temp.table_info(tradewind_query)").fetchall()
            connection.execute("DROP VIEW temp.tradewind_query")
        except sqlite3.Error:
            return []  # Not a SELECT, like PRAGMA: its values tell.
        return [str(row[2]) for row in rows]

    def _readings(self, names: list[str], declared: list[str], rows: list[Any]) -> list[_Reading]:
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"{self._system}: the query gives {names.count(name)} columns of the name "
                    f"{name!r}. Name them apart with AS."
                )
        for name in self._fields:
            if name not in names:
                raise InputError(
                    f"{self._system}: schema names the column {name!r}, which the query does not "
                    f"give. Choose from: {', '.join(names)}."
                )
        readings: list[_Reading] = []
        for at, name in enumerate(names):
            into = self._fields.get(name)
            convert = None
            if into is not None and is_text(into):
                convert = as_text  # whoever reads has asked for the text of whatever stands there
            elif into is None and len(declared) == len(names):
                into = declared_field(name, declared[at])
            told = into is not None
            if into is None:
                values = [row[at] for row in rows]
                into = guessed(name, values)
                several = len(set(map(type, values)) - {type(None)}) > 1
                convert = as_text if several and is_text(into) else None
            readings.append(_Reading(into, convert or converter(into.type), told))
        return readings

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            if getattr(error, "sqlite_errorname", None) == "SQLITE_TOOBIG":
                connection = self._connect(limited=False)
                raise refused(
                    connection, self.query, self.parameters, self.max_row_bytes, self._system
                ) from error
            raise sqlite_error(error, self._system) from error


def _end(connection: sqlite3.Connection) -> None:
    """End the reading: SQLite keeps a closed connection's lock while somebody has its cursor."""
    with contextlib.suppress(sqlite3.Error):
        connection.rollback()
    connection.close()
