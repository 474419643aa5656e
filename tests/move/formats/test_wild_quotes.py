"""Quotes as people write them: read as they stand, or told, and left out on no road."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tradewind.errors import InputError
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.csv_checks import QuoteCheck
from tradewind.move.formats.jsonl import JsonLinesFormat

RIGHT = {
    'a,"b"\n': ["a", "b"],
    '"a","b"': ["a", "b"],
    '"a""b","c\r\nd"\r\n': ['a"b', "c\r\nd"],
    '"",""""\n': ["", '"'],
    '"a,""b"",",c\n': ['a,"b",', "c"],
}
#: Values that another character begins: PostgreSQL would leave their quotes out, Arrow does not.
LITERAL = {
    '5" pipe,6" pipe\n': ['5" pipe', '6" pipe'],
    'x "y" z,1\n': ['x "y" z', "1"],
    'it\'s "so",b\n': ['it\'s "so"', "b"],
}
WRONG = ['"x" y,b\n', '""x"",b\n', '"x"y"z",b\n', 'a," b"c\n', '"a","b" \n']


def values(text: str) -> list[str]:
    with CsvFormat(header=False).decode([text.encode()]) as batches:
        return [
            str(value) for value in pa.Table.from_batches(list(batches)).to_pylist()[0].values()
        ]


def looked(text: str, size: int) -> None:
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert b"".join(QuoteCheck(CsvFormat()).pieces(iter(pieces))) == data


@pytest.mark.parametrize("text", [*RIGHT, *LITERAL, *WRONG])
def test_no_quote_is_left_out(text: str) -> None:
    if wanted := (RIGHT | LITERAL).get(text):
        assert values(text) == wanted
        lines = CsvFormat(header=False).decode_loose([text.encode()], JsonLinesFormat())
        assert [*json.loads(b"".join(JsonLinesFormat().encode(lines))).values()] in (
            wanted,
            [wanted[0], 1],
        )
    else:
        with pytest.raises(InputError, match="quote stands in the wrong place"):
            values(text)
    for before in ("", "k,v\n", "\ufeff"):
        for size in (1, 2, 3, 7, 100):
            if text in RIGHT:
                looked(before + text, size)
                continue
            with pytest.raises(InputError, match=rf"line {1 + before.count(chr(10))} a quote"):
                looked(before + text, size)


def test_an_escape_is_not_looked_at() -> None:
    data = b'1,"a\\"b"\n' * 3
    assert b"".join(QuoteCheck(CsvFormat(escape="\\")).pieces([data[:5], data[5:]])) == data


@pytest.mark.parametrize("line", ['{"a":1,"a":2}', '{"b":{"a":1,"a":2}}', '{"c":[{"a":1,"a":1}]}'])
def test_a_member_that_stands_twice_in_an_object_is_no_value_lost(line: str) -> None:
    text = ('{"a":1}\n' * 2 + line + "\n").encode()
    with (
        pytest.raises(InputError, match=r"line 3.*'a' twice"),
        JsonLinesFormat().decode([text]) as batches,
    ):
        list(batches)
    with pytest.raises(InputError, match="'a' twice"):
        list(JsonLinesFormat().decode_loose([text], CsvFormat()))


@pytest.mark.parametrize("format", [CsvFormat(), CsvFormat(delimiter=";")])
def test_excels_note_of_the_delimiter_is_no_header(format: CsvFormat) -> None:
    with pytest.raises(InputError, match="note for Excel"):
        format.decode([f"sep={format.delimiter}\na{format.delimiter}b\n".encode()])
