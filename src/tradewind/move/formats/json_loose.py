"""JSON lines read for a format without one type a column: each value by its own type."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tradewind.move import types
from tradewind.move.batches import Batches, in_cells
from tradewind.move.formats import json_values
from tradewind.move.formats.json_read import JsonLinesReader, keeps
from tradewind.move.formats.json_values import Digits
from tradewind.move.formats.jsonl_dialect import JsonLinesDialect

if TYPE_CHECKING:
    from tradewind.move.format import Format

__all__ = ["read_loose"]


def read_loose(
    format: JsonLinesDialect,
    chunks: Iterable[bytes],
    into: Format,
    schema: pa.Schema | None,
    late: Sequence[str],
) -> Batches:
    """Read records; see `JsonLinesFormat.decode_loose`."""

    def close() -> None:
        if isinstance(chunks, Generator):
            chunks.close()

    try:
        reader = _LooseReader(format, chunks, into, schema, late)
    except BaseException:
        close()
        raise
    return Batches(reader.schema, reader.batches(), on_close=close)


class _LooseReader(JsonLinesReader):
    def __init__(
        self,
        format: JsonLinesDialect,
        chunks: Iterable[bytes],
        into: Format,
        schema: pa.Schema | None,
        late: Sequence[str],
    ) -> None:
        super().__init__(format, chunks, pa.schema([]))
        self._into = into
        self._known = dict.fromkeys(schema.names if schema is not None else ())
        for line in self._objects(self._first, frozenset()):
            self._known.update(dict.fromkeys(line))
        self._known.update(dict.fromkeys([*self._declared, *late]))
        self.schema = pa.schema([self._field(name) for name in self._known])
        self._write: Callable[[Any], str] = _csv_text
        if isinstance(into, JsonLinesDialect):
            self._write = _long_as_strings if into.decimals == "string" else json_values.dump

    def _field(self, name: str) -> pa.Field:
        if name in self._declared:
            return self._declared[name]
        return types.field(name, pa.string(), self._into.spelling)

    def _batches_of(self, block: bytes) -> Iterator[pa.RecordBatch]:
        objects = self._objects(block, frozenset())
        for begin, end in in_cells(objects, self._known):
            yield self._made(objects[begin:end])
        self._pass(block)

    def _made(self, objects: Sequence[dict[str, Any]]) -> pa.RecordBatch:
        if len(self.schema) < len(self._known):
            self.schema = pa.schema([self._field(name) for name in self._known])
        if not len(self.schema):
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(objects), pa.struct([])))
        write = self._write
        where = f"JSON lines, from line {self._lines + 1} on"
        columns = []
        for name in self._known:
            values = [line.get(name) for line in objects]
            if name in self._declared:
                if self._exact:
                    json_values.keep_floats(values, self._declared[name], where)
                columns.append(json_values.column(values, self._declared[name], where))
                continue
            if write is not _csv_text or not set(map(type, values)) <= {str, type(None)}:
                values = [None if value is None else write(value) for value in values]
            columns.append(json_values.texts(values, pa.field(name, pa.string()), where))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read all blocks; further members become columns behind the others."""
        return super().batches()


def _csv_text(value: Any) -> str:
    """Write a value as it stands in a record of CSV: text as it is, numbers digit by digit."""
    if value is True:
        return "t"
    if value is False:
        return "f"
    if isinstance(value, dict | list):
        return json_values.dump(value)
    return str(value)


def _long_as_strings(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{json_values.dump(key)}:{_long_as_strings(one)}" for key, one in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_long_as_strings, value)) + "]"
    if isinstance(value, Digits) and not keeps(value):
        return json.dumps(str(value))
    return json_values.dump(value)
