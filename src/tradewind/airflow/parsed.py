"""Rows that a function of the user's makes of an object's file, as typed batches."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from tradewind.errors import InputError
from tradewind.move.batches import Batches
from tradewind.move.source import Source
from tradewind.move.store import Store
from tradewind.move.types import UnfitValueError

__all__ = ["ParsedSource"]

_ROWS = 10_000


class ParsedSource(Source):
    """An object, downloaded to a temporary file and read by a parser.

    The types of the columns are those of the first 10,000 rows; text stays text, and the database
    turns it into what its column holds.

    Memory: pieces of the download, then 10,000 rows as Python objects and as a batch; the file is
    on disk, in the folder that ``TMPDIR`` names.

    Args:
        store: Where the object is.
        key: Its key.
        parser: Is handed the path of the file and gives its rows, one by one.
        columns: Tells the names of the columns; asked when the first row is there.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        parser: Callable[[str], Iterable[Iterable[Any]]],
        columns: Callable[[], list[str]],
    ) -> None:
        self._store = store
        self._key = key
        self._parser = parser
        self._columns = columns

    def describe(self) -> str:
        """Name the object and the parser."""
        name = getattr(self._parser, "__name__", type(self._parser).__name__)
        return f"{self._store.uri(self._key)} by parser {name}"

    def batches(self) -> Batches:
        """Download, parse, and give typed batches; see `Source.batches`."""
        file = tempfile.NamedTemporaryFile(prefix="tradewind-")  # noqa: SIM115  closed by on_close
        try:
            for chunk in self._store.read(self._key):
                file.write(chunk)
            file.flush()
            chunks = self._chunks(file.name)
            first = next(chunks, [])
            names = self._columns()
            schema = self._schema(names, first)
        except BaseException:
            file.close()
            raise

        def generate() -> Iterator[pa.RecordBatch]:
            done = 0
            for rows in itertools.chain([first], chunks):
                yield self._batch(schema, rows, done)
                done += len(rows)

        return Batches(schema, generate(), on_close=file.close)

    def _chunks(self, path: str) -> Iterator[list[tuple[Any, ...]]]:
        rows = iter(self._parser(path))
        while chunk := [tuple(row) for row in itertools.islice(rows, _ROWS)]:
            yield chunk

    def _schema(self, names: list[str], rows: list[tuple[Any, ...]]) -> pa.Schema:
        self._check_widths(names, rows, 0)
        fields = []
        for number, name in enumerate(names):
            try:
                type_ = pa.array([row[number] for row in rows]).type
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                type_ = pa.string()  # Of several kinds: the database reads them as text.
            fields.append(pa.field(name, pa.string() if pa.types.is_null(type_) else type_))
        return pa.schema(fields)

    def _batch(self, schema: pa.Schema, rows: list[tuple[Any, ...]], done: int) -> pa.RecordBatch:
        self._check_widths(schema.names, rows, done)
        arrays = []
        for number, field in enumerate(schema):
            values = [row[number] for row in rows]
            if pa.types.is_string(field.type):
                values = [value if value is None else str(value) for value in values]
            try:
                arrays.append(pa.array(values, type=field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise _unfit(field, values, done) from error
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _check_widths(self, names: list[str], rows: list[tuple[Any, ...]], done: int) -> None:
        for number, row in enumerate(rows):
            if len(row) != len(names):
                raise InputError(
                    f"{self.describe()}: row {done + number + 1} has {len(row)} values, there are "
                    f"{len(names)} columns ({', '.join(names)}). Correct the parser or column_list."
                )


def _unfit(field: pa.Field, values: list[Any], done: int) -> UnfitValueError:
    for number, value in enumerate(values):
        try:
            pa.array([value], type=field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return UnfitValueError(
                field.name,
                value,
                where=f"the column's type {field.type}, which the first rows have,",
                remedy=f"It is in row {done + number + 1}. Let the parser give one type a column.",
            )
    raise AssertionError("no value is unfit")
