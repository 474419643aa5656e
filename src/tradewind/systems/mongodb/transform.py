"""A user's function between the documents that are read and those that are moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tradewind.move.documents import Block, Document

__all__ = ["transformed"]


def transformed(
    blocks: Iterator[Block],
    transform: Callable[[Iterator[dict[str, Any]]], Iterable[Any]],
    *,
    block: int,
) -> Iterator[Block]:
    """Let a user's function change documents; the size of those it gives is guessed.

    Args:
        blocks: The documents that are read.
        transform: Is handed an iterator of them, and gives what takes their place.
        block: Bytes in a block of what it gives, about.
    """
    read = [0, 0]

    def documents() -> Iterator[Any]:
        for one in blocks:
            read[0] += len(one.documents)
            read[1] += one.size
            yield from one.documents

    gathered: list[Document] = []
    size = 0.0
    for document in transform(documents()):
        gathered.append(document)
        size += read[1] / max(1, read[0])
        if size >= block:
            yield Block(gathered, int(size))
            gathered, size = [], 0.0
    if gathered:
        yield Block(gathered, int(size))
