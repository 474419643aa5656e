"""Sparse documents with thousands of fields take memory by cells, not by bytes of documents."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tradewind.move.documents import Block, typed_batches
from tradewind.systems.mongodb.extended_json import BsonValues

PROGRAM = """
import resource, sys
from tradewind.move.documents import Block, typed_batches
from tradewind.move.formats.parquet import ParquetFormat
from tradewind.systems.mongodb.extended_json import BsonValues

def blocks(count, size=40_000):
    # As a source gives them: a block is about 1 MB of BSON, 25 bytes a document.
    for begin in range(0, count, size):
        yield Block(
            [{"_id": i, f"f{i % 3000}": i} for i in range(begin, min(count, begin + size))], 1 << 20
        )

batches = typed_batches(blocks(int(sys.argv[1])), BsonValues(canonical=False))
for _ in ParquetFormat().encode(batches):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_batches_have_a_bound_of_cells_and_all_documents():
    documents = [{"_id": i, f"f{i % 3000}": i} for i in range(7_000)]
    blocks = iter([Block(documents[:4_000], 5 << 20), Block(documents[4_000:], 1 << 20)])
    batches = list(typed_batches(blocks, BsonValues(canonical=False)))
    assert max(one.num_rows * one.num_columns for one in batches) <= 2 << 20
    ids = [number for one in batches for number in one.column("_id").to_pylist()]
    assert ids == list(range(7_000))


@pytest.mark.long
@pytest.mark.parametrize("count", [50_000, 250_000])
def test_three_thousand_sparse_fields_take_less_memory(count):
    """Before: 1.6 GB for 50,000 and 6.7 GB for 250,000."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(count)], capture_output=True, text=True, check=True
    )
    # MB; 230 and 293 were seen, of which the fullest row group and what Parquet's index keeps of
    # each of four; 311 and 840 while row groups were short.
    assert int(done.stdout) < 450
