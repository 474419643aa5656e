"""COPY's text format, parsed into record batches.

https://www.postgresql.org/docs/current/sql-copy.html: a line a row, tabs between values, and line
ends, tabs and backslashes within values escaped, so that each line end ends a row. Arrow's reader
of CSV takes that without any quoting, which is its fastest way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tradewind.move.types import UnfitValueError
from tradewind.systems.postgres.types import Reading, unescaped

__all__ = ["OPTIONS", "Parser", "blocks", "not_utf8"]

_NULL = "\b"
"""What stands for NULL: a value's own backspace is written as an escape."""
OPTIONS = {"FORMAT": "text", "NULL": "E'\\b'"}
"""How COPY has to write."""


def blocks(pieces: Iterable[list[bytes]], size: int) -> Iterator[memoryview]:
    """Cut a stream of lines at the last line's end within `size` bytes, wherever pieces end.

    Args:
        pieces: The stream, in lists of its bytes.
        size: Bytes of a block. A longer line is a block of its own.

    Yields:
        Whole lines.
    """
    waiting: list[bytes] = []
    have, enough = 0, size
    for piece in pieces:
        waiting += piece
        have += sum(map(len, piece))
        if have >= enough:
            data = b"".join(waiting)
            end = 0
            for begin, end in _cuts(data, size):
                yield memoryview(data)[begin:end]
            waiting = [data[end:]]
            have -= end
            # A line longer than all of that is looked for again when there is twice as much.
            enough = size if end else 2 * have
            del data
    data = b"".join(waiting)
    end = 0
    for begin, end in _cuts(data, size):
        yield memoryview(data)[begin:end]
    if end < len(data):
        yield memoryview(data)[end:]


def _cuts(data: bytes, size: int) -> Iterator[tuple[int, int]]:
    begin = 0
    while len(data) - begin >= size:
        end = data.rfind(b"\n", begin, begin + size) + 1 or data.find(b"\n", begin + size) + 1
        if not end:
            return
        yield begin, end
        begin = end


class Parser:
    """Turns lines of COPY's text format into record batches."""

    def __init__(self, columns: tuple[Reading, ...], schema: pa.Schema) -> None:
        self._columns = columns
        self._schema = schema
        names = [str(number) for number in range(len(columns))]
        self._names = names
        self._parse = pa.csv.ParseOptions(
            delimiter="\t",
            quote_char=False,
            double_quote=False,
            escape_char=False,
            newlines_in_values=False,
            ignore_empty_lines=False,
        )
        self._convert = pa.csv.ConvertOptions(
            column_types={name: column.parse for name, column in zip(names, columns, strict=True)},
            null_values=[_NULL],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
        )

    def parse(self, block: memoryview) -> pa.RecordBatch:
        """Parse whole lines.

        Args:
            block: The lines.

        Raises:
            UnfitValueError: A value has no room in its column's type.
        """
        try:
            table = pa.csv.read_csv(
                pa.py_buffer(block),
                read_options=pa.csv.ReadOptions(
                    column_names=self._names, block_size=len(block) + 1, use_threads=False
                ),
                parse_options=self._parse,
                convert_options=self._convert,
            )
        except pa.ArrowInvalid as error:
            raise self._unfit(error) from error
        escapes = bool((np.frombuffer(block, np.uint8) == 0x5C).any())
        arrays = []
        for column, chunked in zip(self._columns, table.columns, strict=True):
            array = chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
            if escapes and pa.types.is_string(column.parse):
                array = unescaped(array)
            if column.convert is not None:
                try:
                    array = column.convert(array)
                except pa.ArrowInvalid as error:
                    raise column.unfit(_value(str(error))) from error
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _unfit(self, error: pa.ArrowInvalid) -> UnfitValueError:
        text = str(error)
        found = re.match(r"In CSV column #(\d+): (?:Row #\d+: )?", text)
        if found is None:
            raise error
        column = self._columns[int(found[1])]
        if "invalid UTF8" in text:
            return not_utf8(column)
        return column.unfit(_value(text))


def not_utf8(column: Reading) -> UnfitValueError:
    """Make the error for text of a database that does not know its encoding."""
    return UnfitValueError(
        column.field.name,
        "(bytes)",
        where="text in UTF-8",
        remedy="The database does not know its encoding (SQL_ASCII): "
        f"convert it in the query, convert_from({column.field.name}::bytea, 'LATIN1').",
    )


def _value(message: str) -> str:
    """Find the value in a message of Arrow."""
    found = re.search(r"(?:invalid value |string:? ?)'(.*?)'(?: |$|\n)", message, re.DOTALL)
    return found[1] if found else message
