"""SQLite as a source: one read of the file, in the types that its columns declare.

Source: https://www.sqlite.org/datatype3.html. A column's declared type is a wish; each value has a
type of its own. Values that do not fit what their column declares are errors here.

Over 400 lines: columns, their declared types and the read that they decide belong together.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

import pyarrow as pa

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.interface import option
from tradewind.move.objects.schemas import declared, declared_fields, named
from tradewind.move.row_limit import MAX_ROW_BYTES, check_limit
from tradewind.move.source import Source
from tradewind.move.tables.names import QUOTES, split_name, unquoted
from tradewind.move.types import UnfitValueError, field, logical_type
from tradewind.move.values import column, guessed, loose_column
from tradewind.systems.sqlite.long_rows import limit_rows, refused, some_rows
from tradewind.systems.sqlite.place import refuse_special

__all__ = ["SQLiteSource", "sqlite_error", "sqlite_path"]

_BLOCK = 4 << 20
_FIRST = 2048
_MOST = 4096
_PARAMETER = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/"
    r"|(\?\d*|[:@$][A-Za-z_]\w*)",
    re.DOTALL,
)
_FINER = re.compile(r"[.,]\d{6}\d*[1-9]", re.ASCII)
_SIZE = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")

Convert = Callable[[Any], Any]


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
                keywords["max_row_bytes"] = int(given.pop("max_row_bytes"))
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
            return _array(values, field, convert), field
        make = None
        if reading.declared:

            def make(some: list[Any], one: pa.Field) -> pa.Array:
                return _array(some, one, convert)

        return loose_column(values, field, into, remedy=_remedy(field.name, values), make=make)

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
            if into is not None and _is_text(into):
                convert = _text  # whoever reads has asked for the text of whatever stands there
            elif into is None and len(declared) == len(names):
                into = _declared_field(name, declared[at])
            told = into is not None
            if into is None:
                values = [row[at] for row in rows]
                into = guessed(name, values)
                several = len(set(map(type, values)) - {type(None)}) > 1
                convert = _text if several and _is_text(into) else None
            readings.append(_Reading(into, convert or _converter(into.type), told))
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


def sqlite_path(uri: str) -> Path:
    """Read the path of a file from a URI as SQLAlchemy writes it.

    Args:
        uri: ``sqlite:///relative.db``, ``sqlite:////absolute.db``.

    Raises:
        InputError: It is not such a URI.
    """
    scheme, found, rest = uri.partition(":///")
    if not found or scheme.partition("+")[0] != "sqlite" or not rest:
        raise InputError(
            "SQLite: the URI names no file. Write sqlite:///relative.db or sqlite:////absolute.db."
        )
    return Path(unquote(rest.partition("?")[0]))


def sqlite_error(error: Exception, system: str) -> TradewindError:
    """Tell an error of SQLite in our own terms."""
    text = str(error).rstrip(".")
    code = getattr(error, "sqlite_errorname", None) or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return RetryError(f"{system}: {text}. Somebody else writes: try again.")
    if code.startswith("SQLITE_INTERRUPT"):
        return RetryError(f"{system}: the query took too long. Raise statement_timeout.")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_NOMEM")):
        return RetryError(f"{system}: {text}. Free space or look at the disk, then try again.")
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return SetupError(f"{system}: {text}. Check the path and its permissions.")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return SetupError(f"{system}: {text}. It is no whole database of SQLite: replace it.")
    if "no such table" in text:
        return SetupError(f"{system}: {text}. Create the table, or name another one.")
    if "decode to UTF-8" in text:
        return InputError(f"{system}: {text}. CAST(... AS BLOB) in the query gives its bytes.")
    return InputError(f"{system}: {text}. Correct the query or the data.")


def _declared_field(name: str, declared: str) -> pa.Field | None:
    """Turn a declared type into a field; None where it says nothing."""
    words = declared.upper()
    sized = _SIZE.search(words)
    bare = _SIZE.sub("", words).strip()
    if not bare:
        return None
    if bare in ("BOOLEAN", "BOOL"):
        return field(name, pa.bool_())
    if bare == "DATE":
        return field(name, pa.date32())
    if bare in ("DATETIME", "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE"):
        return field(name, pa.timestamp("us"))
    if bare in ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"):
        return field(name, pa.timestamp("us", "UTC"))
    if bare == "TIME":
        return field(name, pa.time64("us"))
    if bare in ("JSON", "JSON_TEXT", "UUID", "UUID_TEXT"):
        return field(name, pa.string(), bare.removesuffix("_TEXT").lower())
    if bare in ("DECIMAL", "NUMERIC", "DECIMAL_TEXT"):
        precision = int(sized[1]) if sized else 0
        scale = int(sized[2] or 0) if sized else 0
        if 0 < precision <= 76 and scale <= precision:
            wide = pa.decimal128 if precision <= 38 else pa.decimal256
            return field(name, wide(precision, scale))
        return field(name, pa.string(), "decimal") if bare == "DECIMAL_TEXT" else None
    # The rules of affinity, in SQLite's own order.
    if "INT" in bare:
        return field(name, pa.int64())
    if any(part in bare for part in ("CHAR", "CLOB", "TEXT")):
        return field(name, pa.string())
    if "BLOB" in bare:
        return field(name, pa.binary())
    if any(part in bare for part in ("REAL", "FLOA", "DOUB")):
        return field(name, pa.float64())
    return None


def _remedy(name: str, values: list[Any]) -> str:
    if any(isinstance(value, bytes) for value in values):
        alone = all(isinstance(value, bytes | None) for value in values)
        read = f", or read them with {option('schema', {name: 'binary'})}" if alone else ""
        return (
            "SQLite keeps any value in any column, and bytes are no text. Write them as text in "
            f"the query, as with hex(){read}."
        )
    return (
        "SQLite keeps any value in any column. Correct it, CAST it in the query, or declare "
        f"another type with {option('schema', {name: 'string'})}."
    )


def _array(values: list[Any], into: pa.Field, convert: Convert | None) -> pa.Array:
    if convert is not None:
        converted = []
        for value in values:
            try:
                converted.append(value if value is None else convert(value))
            except (ValueError, ArithmeticError, TypeError) as error:
                raise UnfitValueError(
                    into.name, value, where=str(into.type), remedy=_remedy(into.name, values)
                ) from error
        values = converted
    return column(values, into, remedy=_remedy(into.name, values))


def _converter(type_: pa.DataType) -> Convert | None:
    is_ = pa.types
    if is_.is_boolean(type_):
        return _boolean
    if is_.is_date(type_):
        return lambda value: value if not isinstance(value, str) else _date(value)
    if is_.is_timestamp(type_):
        return lambda value: _moment(value, zoned=type_.tz is not None)
    if is_.is_time(type_):
        return _time
    if is_.is_decimal(type_):
        return _decimal
    return None


def _is_text(into: pa.Field) -> bool:
    return bool(pa.types.is_string(into.type)) and logical_type(into) is None


def _text(value: Any) -> Any:
    """Write a number as SQLite does: a float with the digits that tell it."""
    return str(value) if isinstance(value, int | float) else value


def _date(text: str) -> datetime.date:
    if len(text) != 10:
        raise ValueError(text)
    return datetime.date.fromisoformat(text)


def _boolean(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _moment(value: Any, *, zoned: bool) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.datetime.fromisoformat(_kept(value))
    if (moment.tzinfo is not None) != zoned:
        raise ValueError(value)
    return moment


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    time = datetime.time.fromisoformat(_kept(value))
    if time.tzinfo is not None:
        raise ValueError(value)
    return time


def _kept(text: str) -> str:
    """Refuse a time of more digits of a second than Python's own have, which it would cut off."""
    if _FINER.search(text):
        raise ValueError(text)
    return text


def _decimal(value: Any) -> decimal.Decimal:
    if isinstance(value, str) and not (value.isascii() and "_" not in value):
        raise ValueError(value)  # Python reads digits of other scripts, and underscores, too.
    # A float is what SQLite makes of a decimal: its shortest spelling is what was meant.
    return decimal.Decimal(repr(value) if isinstance(value, float) else value)
