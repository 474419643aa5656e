"""Records with few of many fields: a batch is bounded by its cells, and says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tradewind.errors import InputError
from tradewind.move import batches
from tradewind.move.batches import in_cells
from tradewind.move.documents import Block
from tradewind.move.formats.csv import CsvFormat
from tradewind.move.formats.jsonl import JsonLinesFormat
from tradewind.move.loose_documents import loose_batches
from tradewind.systems.http.json_records import JsonValues

_LINES = [{f"f{number % 50}": number, "all": str(number)} for number in range(600)]
_GROWING = [{f"f{number}": number} for number in range(120)]


def _text(lines: list[dict]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _cells(found: list[pa.RecordBatch]) -> int:
    return max(batch.num_rows * batch.num_columns for batch in found)


def _said(found: list[pa.RecordBatch]) -> list[dict]:
    rows = [row for batch in found for row in batch.to_pylist()]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_batches_have_few_cells_and_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CELLS", 1000)
    quick = pa.schema([*((f"f{n}", pa.int64()) for n in range(50)), ("all", pa.string())])
    slow = quick.append(pa.field("more", pa.list_(pa.int64())))
    for schema in (None, quick, slow):
        found = list(JsonLinesFormat().decode([_text(_LINES)], schema=schema))
        assert (_cells(found) <= 1000, _said(found)) == (True, _LINES), schema
    for into in (CsvFormat(), JsonLinesFormat()):
        for lines in (_LINES, _GROWING):
            found = list(JsonLinesFormat().decode_loose([_text(lines)], into))
            assert _cells(found) <= 1000
            assert [row.keys() for row in _said(found)] == [row.keys() for row in lines]
    # Documents of which each has a field of its own, none of them seen before.
    blocks = [Block([{}] * 9, 1), *(Block(_GROWING[at : at + 50], 1) for at in range(0, 120, 50))]
    made = loose_batches(
        iter(blocks), JsonValues(), JsonLinesFormat(), where="", late=[], declared={}, sample=1
    )
    found = list(made)
    assert _cells(found) <= 1000
    assert _said(found) == [{}] * 9 + _GROWING
    # One record may have more cells than that; it is alone then.
    known: dict[str, None] = {}
    wide = dict.fromkeys(map(str, range(2000)))
    assert list(in_cells([{"a": 1}, wide, {"a": 1}], known)) == [(0, 1), (1, 2), (2, 3)]


def test_the_line_of_an_error_is_right_in_a_part_of_a_block(monkeypatch) -> None:
    monkeypatch.setattr(batches, "CELLS", 1000)
    schema = pa.schema([(f"f{n}", pa.int64()) for n in range(50)])
    text = _text([*_GROWING, {"f1": 1}])[:-2] + b"!\n"
    with pytest.raises(InputError, match=r"line 121 is not JSON"):
        list(JsonLinesFormat().decode([text], schema=schema))


@pytest.mark.long
def test_memory_is_bounded_by_cells(tmp_path: Path) -> None:
    """20,000 records of 3,000 fields, of which each has one: half a megabyte."""
    lines = [{f"f{number % 3000}": number} for number in range(20_000)]
    (tmp_path / "wide.jsonl").write_bytes(_text(lines))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tradewind.cli",
            "move",
            "--from",
            "wide.jsonl",
            "--to",
            "t.parquet",
            "--json",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    receipt = json.loads(done.stdout)
    assert receipt["rows"] == len(lines)
    assert receipt["peak_memory"] < 400 << 20
