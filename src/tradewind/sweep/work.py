"""Work on systems that run it: containers, processes, jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tradewind.run.backend import Backend, Piece
from tradewind.sweep.leftover import Leftover

__all__ = ["leftovers_of_work"]


def leftovers_of_work(
    system: str,
    backend: Backend[Any],
    *,
    confirm: Callable[[Piece], Piece | None] = lambda piece: piece,
) -> Iterator[Leftover]:
    """List all work that Tradewind has on a system, whoever it belongs to.

    And what was prepared to become work and has never claimed a name: its environment is readable.

    Args:
        system: What the system is called.
        backend: The system.
        confirm: Makes sure whose a piece of work is, where `Backend.list` tells by its name alone;
            None where Tradewind has not made it.

    Raises:
        TradewindError: As `Backend.list` and `Backend.unclaimed`.
    """
    # All of it first: what is removed meanwhile would confuse a listing in pages.
    for listed in list(backend.list()):
        piece = confirm(listed)
        if piece is None:
            continue
        yield Leftover(
            system=system,
            what=f"{piece.sight.status.value} work {piece.name}",
            owner=piece.owner,
            title=piece.title,
            since=piece.started,
            remove=partial(backend.remove, piece.name),
            task_run=piece.task_run,
        )
    for piece in list(backend.unclaimed()):
        yield Leftover(
            system=system,
            what=f"prepared work {piece.name}",
            owner=piece.owner,
            title=piece.title,
            since=piece.started,
            remove=partial(backend.remove_unclaimed, piece.name),
        )
