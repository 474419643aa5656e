"""How a move is divided among several workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Division"]


@dataclass(frozen=True)
class Division:
    """What a source has, in shares that several workers read.

    Args:
        shares: What `tradewind.move.source.Source.share` takes, one for each, in the order of the
            data; in JSON's types and bounded in size. At least one, also where there are no rows.
        consistent: Whether all shares together are the data of one moment, or the move fails.
        why: What consistency there is, in a sentence.
    """

    shares: tuple[Mapping[str, Any], ...]
    consistent: bool
    why: str
