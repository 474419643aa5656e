"""Any database with a Python driver (DB-API 2.0) or an ADBC driver as a source.

PEP 249 says what a driver does: https://peps.python.org/pep-0249/; ADBC's Python interface:
https://arrow.apache.org/adbc/current/python/api/adbc_driver_manager.html.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError, RetryError, SetupError, TradewindError
from tradewind.move.batches import Batches
from tradewind.move.format import Format
from tradewind.move.row_limit import MAX_ROW_BYTES, check_batch, check_limit, too_long
from tradewind.move.source import Source
from tradewind.move.values import column, guessed, loose_column

__all__ = ["DbApiSource"]

_BLOCK = 4 << 20
_MOST = 4096
_REMEDY = (
    "Declare the column's type with schema=, for example pa.schema([pa.field({name!r}, "
    "pa.string())]), or cast it in the query."
)
_RETRY = ("OperationalError", "InterfaceError", "InternalError")


class DbApiSource(Source):
    """What a query gives on any connection that Python has a driver for.

    A server-side cursor is used where the driver has one: psycopg's and psycopg2's named cursors,
    MySQLdb's and PyMySQL's ``SSCursor``; others fetch by ``arraysize``, and whether they keep the
    whole result in memory is up to them. Drivers that give Arrow data (ADBC, DuckDB) hand their
    batches through as they are.

    Types come from the `schema` given, or from the first rows and what the driver declares of
    decimals. A later value that does not fit is an `UnfitValueError`, never a change: the schema
    cannot change once the first batch is written.

    The query runs in one transaction, of which nothing is committed. How consistent that is, and
    any time limit, is set by whoever makes the connection.

    Memory: one batch of `block` bytes as Python's values (three times that or more) and in Arrow's
    form, and what the driver itself holds. Rows are fetched as many at a time as make a batch by
    the mean length of those before, 4,096 at most, and measured once they have come: a few copies
    of the longest row, or of rows that come together and are longer than those before.

    Args:
        connect: Makes a connection; called for each reading, and the connection closed after it.
        query: One statement that gives rows.
        parameters: Values for it, in the driver's own style.
        name: Names the database in messages and receipts.
        schema: Types of some or all columns, by name.
        block: Bytes in one batch, about.
        first: Rows that the types are guessed from, where they are not given; fewer where these
            are longer than `block` and `max_row_bytes`.
        max_row_bytes: Longest row that is read: bytes of its bytes, characters of its texts. A
            longer one is refused with its size, when the driver has it.

    Raises:
        InputError: An argument is wrong.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        query: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        name: str = "database",
        schema: pa.Schema | None = None,
        block: int = _BLOCK,
        first: int = 2048,
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        if not callable(connect):
            raise InputError(f"{name}: connect is a function that makes a connection, not one.")
        if not query.strip():
            raise InputError(f"{name}: the query is empty. Give a statement that gives rows.")
        if block < 1 or first < 1:
            raise InputError(f"{name}: block and first are numbers above 0.")
        self.connect = connect
        self.query = query
        self.parameters = parameters
        self.name = name
        self.schema = schema
        self.block = block
        self.first = first
        self.max_row_bytes = check_limit(name, max_row_bytes)

    def describe(self) -> str:
        """Name the database and the query."""
        words = " ".join(self.query.split())
        return f"{self.name}: {words if len(words) <= 200 else f'{words[:197]}...'}"

    def batches(self) -> Batches:
        """Read typed record batches; see `Source.batches`."""
        return self._read(None)

    def loose_batches(self, format: Format) -> Batches | None:
        """Read each value by its own type where its column's is told by the first rows."""
        return self._read(format)

    def _read(self, into: Format | None) -> Batches:
        with self._translating():
            connection = self.connect()
        closing = contextlib.ExitStack()
        closing.callback(_quietly, connection, "close")
        try:
            with self._translating():
                cursor = _cursor(connection)
                closing.callback(_quietly, cursor, "close")
                if self.parameters is None:
                    cursor.execute(self.query)
                else:
                    cursor.execute(self.query, self.parameters)
                arrow = _arrow_reader(cursor)
            if arrow is not None:
                return self._arrow_batches(arrow, closing)
            return self._row_batches(cursor, closing, into)
        except BaseException:
            closing.close()
            raise

    def _arrow_batches(
        self, reader: pa.RecordBatchReader, closing: contextlib.ExitStack
    ) -> Batches:
        schema = reader.schema
        _check_names(self.name, schema.names)
        if self.schema is not None:
            self._check_schema(schema.names)
            schema = pa.schema(
                [
                    self.schema.field(field.name) if field.name in self.schema.names else field
                    for field in schema
                ]
            )

        def generate() -> Iterator[pa.RecordBatch]:
            before = 0
            with closing:
                while True:
                    try:
                        with self._translating():
                            batch = reader.read_next_batch()
                    except StopIteration:
                        return
                    check_batch(self.name, batch, self.max_row_bytes, before=before)
                    before += batch.num_rows
                    if self.schema is not None:
                        batch = self._cast(batch, schema)
                    yield batch

        return Batches(schema, generate(), on_close=closing.close)

    def _cast(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        arrays = []
        for field, array in zip(schema, batch.columns, strict=True):
            try:
                arrays.append(array.cast(field.type))
            except pa.ArrowException as error:
                raise InputError(
                    f"{self.name}: column {field.name!r}: {error}. Declare another type in schema, "
                    "or cast it in the query."
                ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _row_batches(
        self, cursor: Any, closing: contextlib.ExitStack, into: Format | None
    ) -> Batches:
        with self._translating():
            rows = _fetch(cursor, 1)
            if cursor.description is None:
                raise InputError(f"{self.name}: the query gives no columns. Select some.")
            described = [tuple(item) for item in cursor.description]
            measured = self._measured(rows, described, 0)
            most = max(self.block, self.max_row_bytes)
            while rows and len(rows) < self.first and measured < most:
                room = (most - measured) * len(rows) // max(1, measured)
                more = _fetch(cursor, max(1, min(self.first - len(rows), 7 * len(rows), room)))
                if not more:
                    break
                measured += self._measured(more, described, len(rows))
                rows += more
        names = [str(item[0]) for item in described]
        _check_names(self.name, names)
        self._check_schema(names)
        columns = [[row[at] for row in rows] for at in range(len(names))]
        schema = pa.schema(
            [
                self.schema.field(name)
                if self.schema is not None and name in self.schema.names
                else guessed(name, values, declared=item[4:6])
                for name, values, item in zip(names, columns, described, strict=True)
            ]
        )
        del columns

        def generate() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            before = 0
            with closing:
                while rows:
                    batch = self._batch(rows, schema, into)
                    count = batch.num_rows
                    before += count
                    rows = []
                    yield batch
                    mean = max(1, batch.nbytes // count)
                    del batch
                    with self._translating():
                        rows = _fetch(cursor, max(1, min(_MOST, self.block // mean)))
                        self._measured(rows, described, before)
                with self._translating():
                    self._finish(cursor)

        return Batches(schema, generate(), on_close=closing.close)

    def _measured(self, rows: list[Any], described: Sequence[Any], before: int) -> int:
        """Refuse a row that is too long; give the bytes of all."""
        total = 0
        for number, row in enumerate(rows, before + 1):
            sizes = list(map(_length, row))
            size = sum(sizes)
            total += size
            if size > self.max_row_bytes:
                longest = max(sizes)
                name = str(described[sizes.index(longest)][0])
                alone = longest > self.max_row_bytes
                raise too_long(
                    self.name,
                    longest if alone else size,
                    self.max_row_bytes,
                    column=name if alone else None,
                    among=() if alone else (name,),
                    row=number,
                )
        return total

    def _finish(self, cursor: Any) -> None:
        """Hear what a procedure's call says behind its first result: an error, another result."""
        nextset = getattr(cursor, "nextset", None)
        if nextset is None:
            return
        try:
            while nextset():
                if cursor.description is not None:
                    raise InputError(
                        f"{self.name}: the query gives several results, and a move has one table. "
                        "Call a procedure that selects once, or move the queries one by one."
                    )
        except Exception as error:
            # PEP 249 lets a driver of a database that has no such thing say so.
            if type(error).__name__ not in ("NotSupportedError", "NotImplementedError"):
                raise

    def _batch(self, rows: list[Any], schema: pa.Schema, into: Format | None) -> pa.RecordBatch:
        arrays, fields = [], []
        for at, field in enumerate(schema):
            values = [row[at] for row in rows]
            remedy = _REMEDY.format(name=field.name)
            declared = self.schema is not None and field.name in self.schema.names
            if into is None or declared:
                array = column(values, field, remedy=remedy)
            else:
                array, field = loose_column(values, field, into, remedy=remedy)
            arrays.append(array)
            fields.append(field)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _check_schema(self, names: list[str]) -> None:
        for name in self.schema.names if self.schema is not None else ():
            if name not in names:
                raise InputError(
                    f"{self.name}: schema names the column {name!r}, which the query does not "
                    f"give. Choose from: {', '.join(names)}."
                )

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        """Tell a driver's errors in our own terms: by the names that PEP 249 gives them."""
        try:
            yield
        except (TradewindError, StopIteration, GeneratorExit):
            raise
        except ImportError as error:
            raise SetupError(f"{self.name}: {error}. Install the driver.") from error
        except OSError as error:
            raise RetryError(f"{self.name}: {error}. Try again.") from error
        except Exception as error:
            kinds = [kind.__name__ for kind in type(error).__mro__]
            text = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            if any(kind in _RETRY for kind in kinds):
                raise RetryError(
                    f"{self.name}: {text}. Check connection and query, then try again."
                ) from error
            if "Error" in kinds or "Warning" in kinds or "ArrowException" in kinds:
                raise InputError(f"{self.name}: {text}. Correct the query.") from error
            raise


def _check_names(system: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{system}: the query gives {names.count(name)} columns of the name {name!r}. "
                "Name them apart with AS."
            )


def _cursor(connection: Any) -> Any:
    """Open a cursor that leaves the rows on the server, where the driver has one."""
    module = type(connection).__module__.partition(".")[0]
    if module in ("psycopg", "psycopg2") and not getattr(connection, "autocommit", False):
        return connection.cursor("tradewind")
    if module in ("MySQLdb", "pymysql"):
        import importlib

        return connection.cursor(importlib.import_module(f"{module}.cursors").SSCursor)
    return connection.cursor()


def _arrow_reader(cursor: Any) -> pa.RecordBatchReader | None:
    """Ask for Arrow data: ADBC says ``fetch_record_batch``, and so does DuckDB."""
    for name in ("fetch_record_batch", "fetch_arrow_reader"):
        fetch = getattr(cursor, name, None)
        if fetch is not None:
            reader = fetch()
            return (
                reader
                if isinstance(reader, pa.RecordBatchReader)
                else pa.RecordBatchReader.from_stream(reader)
            )
    return None


def _length(value: Any) -> int:
    """Give the characters of a text, the bytes of bytes, and of what is nested the sum."""
    if isinstance(value, str | bytes | bytearray | memoryview):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_length, value))
    if isinstance(value, dict):
        return sum(map(_length, value)) + sum(map(_length, value.values()))
    return 0


def _fetch(cursor: Any, count: int) -> list[Any]:
    with contextlib.suppress(AttributeError, TypeError):
        cursor.arraysize = count
    return list(cursor.fetchmany(count))


def _quietly(thing: Any, method: str) -> None:
    with contextlib.suppress(Exception):
        getattr(thing, method)()
