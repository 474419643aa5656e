"""Rows of a query of DuckDB."""

# ruff: noqa: S608 - names are quoted, values bound; the query is the user's own

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.source import Source
from tradewind.move.types import field
from tradewind_duckdb.session import opened, path_of, quoted, translated

__all__ = ["DuckDBSource"]

_ROWS = 20_000
_PLAIN = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BLOB": pa.binary(),
    "TIME": pa.time64("us"),
}
# Types that Arrow has no word for are handed on as text, with a note of what they are.
_AS_TEXT = {
    "HUGEINT": "decimal",
    "UHUGEINT": "decimal",
    "UUID": "uuid",
    "TIME WITH TIME ZONE": "timetz",
    "INTERVAL": "duckdb_interval",
    "BIT": "bit",
    "JSON": "json",
}
# Times are finite in Arrow: DuckDB would hand out the largest number for infinity.
_TIMES = {
    "DATE": ("DATE", pa.date32()),
    "TIMESTAMP": ("TIMESTAMP", pa.timestamp("us")),
    "TIMESTAMP_S": ("TIMESTAMP", pa.timestamp("us")),
    "TIMESTAMP_MS": ("TIMESTAMP", pa.timestamp("us")),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMPTZ", pa.timestamp("us", "UTC")),
}


class DuckDBSource(Source):
    """Rows of one query, read in one snapshot.

    Memory: two batches of 20,000 rows, and what DuckDB needs for the query.

    Args:
        path: The file.
        query: The SQL, one statement that gives rows.
        parameters: Bound to it: by position (``?``), or by name (``$name``).
        lock_timeout: How long to wait for another process that has the file, in seconds.
    """

    decides = ("path", "query", "parameters")

    def __init__(
        self,
        path: str | Path,
        query: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        lock_timeout: float = 60.0,
    ) -> None:
        self.path = Path(path)
        self.query = query.strip().rstrip(";")
        self.parameters = parameters
        self.lock_timeout = lock_timeout
        if not self.query:
            raise InputError("DuckDB: the source needs a query.")

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, str]) -> Self:
        """Make one from ``duckdb:///relative.db`` or ``duckdb:////absolute.db`` and options.

        Args:
            uri: The file.
            options: ``query`` or ``table``; ``parameters`` as JSON; ``lock_timeout``.

        Raises:
            InputError: Something of it is wrong.
        """
        given = dict(options)
        query, table = given.pop("query", None), given.pop("table", None)
        if (query is None) == (table is None):
            raise InputError("DuckDB: give either a query or a table.")
        keywords: dict[str, Any] = {}
        try:
            if "parameters" in given:
                keywords["parameters"] = json.loads(given.pop("parameters"))
            if "lock_timeout" in given:
                keywords["lock_timeout"] = float(given.pop("lock_timeout"))
        except ValueError as error:
            raise InputError(f"DuckDB: an option cannot be read: {error}.") from error
        if given:
            raise InputError(
                f"DuckDB: there is no option {', '.join(sorted(given))}. Choose from: query, "
                "table, parameters, lock_timeout."
            )
        return cls(path_of(uri), query or f"SELECT * FROM {quoted(table or '')}", **keywords)

    def describe(self) -> str:
        """Name the file."""
        return f"duckdb:///{self.path}"

    def batches(self) -> Batches:
        """Read the rows; see `Source.batches`."""
        where = f"DuckDB file {self.path}"
        stack = ExitStack()
        try:
            connection = stack.enter_context(
                opened(self.path, create=False, lock_timeout=self.lock_timeout)
            )
            with translated(where):
                # A relation runs when it is read; what is no query gives none.
                relation = connection.sql(self.query, params=self.parameters)
                if relation is None:
                    raise InputError(f"{where}: the query gives no rows. Give a SELECT.")
                _check_names(relation.columns)
                columns = [
                    _column(name, str(kind))
                    for name, kind in zip(relation.columns, relation.types, strict=True)
                ]
                selected = ", ".join(text for _, text in columns)
                reader = relation.project(selected).to_arrow_reader(_ROWS)
        except BaseException:
            stack.close()
            raise
        schema = pa.schema([one for one, _ in columns])

        def read() -> Iterator[pa.RecordBatch]:
            with stack, translated(where):
                for batch in reader:
                    arrays = [
                        array.cast(one.type)
                        for array, one in zip(batch.columns, schema, strict=True)
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)

        return Batches(schema, read(), on_close=stack.close)


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"DuckDB: the query gives the column {name!r} twice. Name one of them by AS."
            )


def _column(name: str, kind: str) -> tuple[pa.Field, str]:
    """Tell the Arrow field of a column, and the SQL that reads it."""
    sql = quoted(name)
    if kind in _PLAIN:
        return field(name, _PLAIN[kind]), sql
    if kind in _TIMES:
        plain, type_ = _TIMES[kind]
        message = (
            f"Column {name}: an infinite time has no place in Arrow. Select NULLIF or a bound."
        )
        text = message.replace("'", "''")
        checked = f"CASE WHEN isinf({sql}) THEN error('{text}') ELSE {sql}::{plain} END AS {sql}"
        return field(name, type_), checked
    if kind.startswith("DECIMAL("):
        precision, scale = map(int, kind[8:-1].split(","))
        return field(name, pa.decimal128(precision, scale)), sql
    if kind.startswith("ENUM("):
        return field(name, pa.string(), "enum"), f"{sql}::VARCHAR AS {sql}"
    if kind in _AS_TEXT:
        return field(name, pa.string(), _AS_TEXT[kind]), f"{sql}::VARCHAR AS {sql}"
    if kind == "TIMESTAMP_NS":
        # Cast to microseconds by Arrow, which refuses what has more digits.
        return field(name, pa.timestamp("us")), sql
    if kind.endswith("[]") and kind[:-2] in _PLAIN:
        return field(name, pa.list_(_PLAIN[kind[:-2]])), sql
    if kind.strip('"') == "NULL":
        return field(name, pa.string()), f"{sql}::VARCHAR AS {sql}"
    return field(name, pa.string(), "json"), f"to_json({sql})::VARCHAR AS {sql}"
