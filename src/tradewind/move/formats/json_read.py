"""JSON lines read back: cut into blocks of whole lines, each value told exactly.

Where Arrow's own reader is exact for a schema it reads the block; whatever it refuses, and all
other schemas, are read line by line.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from tradewind.errors import CorruptDataError
from tradewind.move.batches import Batches, rows_of
from tradewind.move.formats import json_values
from tradewind.move.formats.encodings import not_utf8
from tradewind.move.formats.infer import GUESSED
from tradewind.move.formats.json_digits import has_rounded_numbers
from tradewind.move.formats.json_values import Digits
from tradewind.move.formats.parquet_read import EMPTY
from tradewind.move.formats.parse import parse, unfit
from tradewind.move.interface import format_option, option
from tradewind.move.types import UnfitValueError, logical_type
from tradewind.move.types import field as make_field

if TYPE_CHECKING:
    from tradewind.move.formats.jsonl_dialect import JsonLinesDialect

__all__ = ["JsonLinesReader", "keeps", "read"]

_BLOCK = 4 << 20
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_UTF8_BOM = b"\xef\xbb\xbf"


def read(format: JsonLinesDialect, chunks: Iterable[bytes], schema: pa.Schema | None) -> Batches:
    """Read records; see `JsonLinesFormat.decode`."""

    def close() -> None:
        if isinstance(chunks, Generator):
            chunks.close()

    try:
        reader = JsonLinesReader(format, chunks, schema)
    except BaseException:
        close()
        raise
    return Batches(reader.schema, reader.batches(), on_close=close)


class JsonLinesReader:
    """Reads one stream of JSON lines, block by block."""

    def __init__(
        self, format: JsonLinesDialect, chunks: Iterable[bytes], schema: pa.Schema | None
    ) -> None:
        self._format = format
        self._exact = format.floats == "exact"
        self._at = 0  # bytes of the stream before the block at hand
        self._lines = 0  # lines before it
        self._blocks = self._cut(iter(chunks))
        self._first = next(self._blocks, b"")
        self._guarded = schema is None or GUESSED in (schema.metadata or {})
        schema = schema and schema.remove_metadata()
        if self._first.startswith(_UTF8_BOM):
            self._first = self._first[3:]
            self._at = 3
        if self._first.lstrip()[:1] == b"[":
            raise CorruptDataError(
                "JSON lines: the file begins with an array; each line has to be one JSON object. "
                "Convert a file that is one array, as by: jq -c '.[]'",
                offset=self._at,
            )
        if schema is None:
            objects = self._objects(self._first, frozenset())
            schema = _inferred(objects)
            if not objects and not format.types:
                schema = schema.with_metadata({EMPTY: b"1"})
            for field in format.types:
                place = schema.get_field_index(field.name)
                schema = schema.append(field) if place < 0 else schema.set(place, field)
        self._declared = {one.name: one for one in format.types} if self._guarded else {}
        self.schema = schema
        raw = (field.name for field in schema if logical_type(field) == "json")
        self._raw = frozenset(raw if not self._guarded else ())
        self._quick = _quick_schema(schema, exact=self._guarded, keep=self._exact)
        self._floats = self._exact and any(pa.types.is_floating(one.type) for one in schema)

    def _cut(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        waiting: list[bytes] = []
        size = 0
        for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size < _BLOCK:
                continue
            data = b"".join(waiting)
            end = data.rfind(b"\n") + 1
            if end:
                for start, stop in _cuts(data, end):
                    yield data[start:stop]
            data = data[end:]
            waiting, size = [data], len(data)
            if size > self._format.max_record_bytes:
                raise CorruptDataError(
                    f"JSON lines: line {self._lines + 1} is over "
                    f"{self._format.max_record_bytes} bytes long. If that is right, give "
                    f"{format_option('max_record_bytes', str(4 * self._format.max_record_bytes))}",
                    offset=self._at,
                )
        data = b"".join(waiting)
        if data:
            yield data

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the first block and all others."""
        block: bytes | None = self._first
        self._first = b""
        while block is not None:
            for batch in self._batches_of(block):
                if batch.num_rows:
                    yield batch
            block = next(self._blocks, None)

    def _batches_of(self, block: bytes) -> Iterator[pa.RecordBatch]:
        """Read a block: in parts where short lines would make too many cells of many columns."""
        for piece in _lines(block, rows_of(len(self.schema))):
            yield self._batch(piece)
            self._pass(piece)

    def _pass(self, block: bytes) -> None:
        self._at += len(block)
        self._lines += block.count(b"\n")

    def _batch(self, block: bytes) -> pa.RecordBatch:
        if self._quick is not None and block.strip():
            batch = self._read_quickly(block, self._quick)
            if batch is not None:
                return batch
        objects = self._objects(block, self._raw)
        where = f"JSON lines, from line {self._lines + 1} on"
        if self._guarded:
            self._check_members(objects)
        columns = []
        for field in self.schema:
            values = [line.get(field.name) for line in objects]
            if self._guarded and field.name not in self._declared:
                _guard(values, field, where)
            elif self._exact:
                json_values.keep_floats(values, field, where)
            columns.append(json_values.column(values, field, where))
        if not columns:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(objects), pa.struct([])))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _objects(self, block: bytes, raw: frozenset[str]) -> list[dict[str, Any]]:
        objects = []
        at = self._at
        for number, line in enumerate(block.split(b"\n"), self._lines + 1):
            if line.strip():
                objects.append(self._object(line, raw, number, at))
            at += len(line) + 1
        return objects

    def _object(self, line: bytes, raw: frozenset[str], number: int, at: int) -> dict[str, Any]:
        try:
            word = line.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(
                line[error.start], f"line {number}", "JSON lines", at + error.start
            ) from None
        try:
            found = json_values.members(word, raw) if raw else json_values.loads(word)
        except (ValueError, RecursionError) as error:
            raise CorruptDataError(
                f"JSON lines: line {number} is not JSON ({error}). Correct it, or fetch the file "
                "again if it was cut off",
                offset=at,
            ) from None
        if isinstance(found, dict) and _SURROGATE.search(line):
            _look_for_surrogates(found, number, at)
        if not isinstance(found, dict):
            raise CorruptDataError(
                f"JSON lines: line {number} is not an object but {type(found).__name__}. Each line "
                "has to be one JSON object",
                offset=at,
            )
        return found

    def _check_members(self, objects: list[dict[str, Any]]) -> None:
        known = set(self.schema.names)
        for line in objects:
            if not line.keys() <= known:
                new = next(name for name in line if name not in known)
                raise UnfitValueError(
                    new,
                    _plain(line[new]),
                    where=f"a column told by the first lines (JSON lines, from line "
                    f"{self._lines + 1} on)",
                    remedy="They do not have this member. Declare it, as with "
                    f"{option('schema', {new: 'json'})}.",
                )

    def _read_quickly(self, block: bytes, quick: pa.Schema) -> pa.RecordBatch | None:
        """Let Arrow read a block; None where it refuses anything, for the exact way to say what."""
        try:
            block.decode()  # Arrow does not look
            if self._floats and has_rounded_numbers(block):
                return None  # Arrow takes the nearest float
            table = pajson.read_json(
                pa.BufferReader(block),
                read_options=pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
                parse_options=pajson.ParseOptions(
                    explicit_schema=quick,
                    unexpected_field_behavior="error" if self._guarded else "ignore",
                ),
            )
            if table.num_rows != sum(1 for line in block.split(b"\n") if line.strip()):
                return None
            arrays = []
            for field in self.schema:
                array = table.column(field.name).combine_chunks()
                if isinstance(array, pa.ChunkedArray):
                    array = array.chunk(0)
                if pa.types.is_floating(field.type):
                    if pc.any(pc.is_inf(array)).as_py():
                        return None
                elif array.type != field.type:
                    array = parse(array, field, "JSON lines")
                arrays.append(array)
        except (pa.ArrowException, ValueError, UnfitValueError):
            return None
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _look_for_surrogates(found: dict[str, Any], number: int, at: int) -> None:
    """Refuse names that are no text: half of a character alone. Values are refused as such."""
    for name in found:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise CorruptDataError(
                f"JSON lines: line {number} has a member {name!r}, whose name is no text: half of "
                "a character stands alone in it. Correct it",
                offset=at,
            ) from None


def _cuts(data: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Cut whole lines into blocks: a chunk may have been far larger than one."""
    start = 0
    while start < end:
        stop = end
        if end - start > _BLOCK:
            stop = data.rfind(b"\n", start, start + _BLOCK) + 1
            if stop <= start:
                stop = data.find(b"\n", start) + 1
        yield start, stop
        start = stop


def _lines(block: bytes, most: int) -> Iterator[bytes]:
    """Cut a block of whole lines into pieces of so many at most."""
    if block.count(b"\n") < most:
        yield block
        return
    start = stop = count = 0
    while (stop := block.find(b"\n", stop) + 1) > 0:
        count += 1
        if count == most:
            yield block[start:stop]
            start, count = stop, 0
    if start < len(block):
        yield block[start:]


def _quick_schema(schema: pa.Schema, *, exact: bool, keep: bool) -> pa.Schema | None:
    """Tell how Arrow's reader can read a schema; None where it cannot.

    Args:
        schema: The columns.
        exact: Whether a float has to be one that keeps all digits.
        keep: Whether it has to be one whose digits come back.
    """
    kinds = pa.types
    fields = []
    names = schema.names
    for field in schema:
        kind = field.type
        if kinds.is_floating(kind) and (exact or (keep and not kinds.is_float64(kind))):
            return None
        if logical_type(field) in ("json", "decimal") or names.count(field.name) > 1:
            return None
        if kinds.is_temporal(kind) and not kinds.is_duration(kind):
            kind = pa.string()
        elif not (
            kinds.is_integer(kind)
            or kinds.is_decimal(kind)
            or kinds.is_float32(kind)
            or kinds.is_float64(kind)
            or kinds.is_boolean(kind)
            or kinds.is_string(kind)
        ):
            return None
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields) if fields else None


# --------------------------------------------------------------------------------------- infer


def _inferred(objects: list[dict[str, Any]]) -> pa.Schema:
    """Tell columns and types by the first lines."""
    seen: dict[str, set[str]] = {}
    for line in objects:
        for name, value in line.items():
            seen.setdefault(name, set()).add(_kind(value))
    return pa.schema([_field(name, kinds) for name, kinds in seen.items()])


_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}


def _field(name: str, kinds: set[str]) -> pa.Field:
    kinds = kinds - {"null"}
    if all(kind.startswith("list:") for kind in kinds) and kinds:
        inner = {kind.removeprefix("list:") for kind in kinds}
        simple = _simple(inner - {"null", ""})
        if simple is not None:
            return pa.field(name, pa.list_(simple))
        return make_field(name, pa.string(), "json")
    simple = _simple(kinds)
    if simple is not None:
        return pa.field(name, simple)
    # Only nulls, objects, or a mixture: JSON holds whatever comes.
    logical = "decimal" if kinds and kinds <= {"int", "float", "digits"} else "json"
    return make_field(name, pa.string(), logical)


def _simple(kinds: set[str]) -> pa.DataType | None:
    if kinds == {"int", "float"}:
        return pa.float64()
    return _TYPES.get(next(iter(kinds))) if len(kinds) == 1 else None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(1 << 63) <= value < 1 << 63 else "digits"
    if isinstance(value, Digits):
        return "float" if keeps(value) else "digits"
    if isinstance(value, str):
        return "str"
    if isinstance(value, list):
        kinds = {_kind(item) for item in value} - {"null"}
        inner = "float" if kinds == {"int", "float"} else "".join(sorted(kinds)[:1])
        if len(kinds) > 1 and inner != "float":
            return "mixed"
        return f"list:{inner}" if ":" not in inner else "mixed"
    return "object"


def keeps(word: Digits | int) -> bool:
    """Tell whether a float holds a number exactly enough to write it again."""
    try:
        return decimal.Decimal(word) == decimal.Decimal(repr(float(word)))
    except OverflowError:
        return False


def _guard(values: list[Any], field: pa.Field, where: str) -> None:
    """Refuse numbers that a float would change, where it was not asked for."""
    kind = field.type
    if pa.types.is_list(kind):
        kind = kind.value_type
        values = [item for value in values if isinstance(value, list) for item in value]
    if not pa.types.is_floating(kind):
        return
    for value in values:
        number = isinstance(value, Digits) or type(value) is int
        if number and not keeps(value):
            raise unfit(field, _plain(value), where, "It has more digits than a float keeps.")


def _plain(value: Any) -> Any:
    return decimal.Decimal(value) if isinstance(value, Digits) else value
