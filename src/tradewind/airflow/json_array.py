"""One JSON array of records: what ``DataFrame.to_json(orient="records")`` writes, in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tradewind.errors import InputError
from tradewind.move.format import Format
from tradewind.move.formats.jsonl import JsonLinesFormat

if TYPE_CHECKING:
    import pyarrow as pa

    from tradewind.move.batches import Batches

__all__ = ["JsonArrayFormat"]


@dataclass(frozen=True)
class JsonArrayFormat(Format):
    """Records as one JSON array. Written only: nobody reads one in a stream."""

    name: ClassVar[str] = "json"
    extensions: ClassVar[tuple[str, ...]] = (".json",)
    content_type: ClassVar[str] = "application/json"

    def encode(self, batches: Batches) -> Iterator[bytes]:
        """Write records: JSON lines, whose line ends become commas.

        No line end stands within a record: JSON escapes it in strings, and between values the
        format of JSON lines writes none.
        """
        opening = b"["
        held = False
        for chunk in JsonLinesFormat().encode(batches):
            if not chunk:
                continue
            body = chunk[:-1] if chunk.endswith(b"\n") else chunk
            yield opening + (b"," if held else b"") + body.replace(b"\n", b",")
            opening, held = b"", chunk.endswith(b"\n")
        yield opening + b"]\n"

    def decode(self, chunks: Iterable[bytes], *, schema: pa.Schema | None = None) -> Batches:
        """Refuse: a JSON array has no records before its end is read."""
        raise InputError("A JSON array cannot be read in a stream. Use JSON lines (jsonl).")
