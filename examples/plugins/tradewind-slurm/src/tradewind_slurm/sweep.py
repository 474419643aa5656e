"""What is left of Slurm jobs whose task cannot come back."""

from __future__ import annotations

from collections.abc import Iterator

from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened
from tradewind_slurm.backend import SlurmBackend
from tradewind_slurm.connection import root_of

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the jobs below a shared folder.

    Args:
        place: The folder, or ``connection:ID``.
    """
    name = f"slurm {place}"
    yield name, leftovers_of_opened(name, lambda: SlurmBackend(root_of(place)))
