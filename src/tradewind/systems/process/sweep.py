"""What is left of processes whose task cannot come back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tradewind.errors import SetupError
from tradewind.run.backend import Backend
from tradewind.sweep.leftover import Leftover
from tradewind.sweep.work import leftovers_of_opened

__all__ = ["leftovers"]


def leftovers(place: str) -> Iterator[tuple[str, Iterator[Leftover]]]:
    """List the jobs of this machine below a folder.

    Args:
        place: The folder of the job folders.
    """
    yield place, leftovers_of_opened(f"process {place}", lambda: _opened(place))


def _opened(folder: str) -> Backend[Any]:
    from tradewind.systems.process.backend import ProcessBackend

    if not os.path.isdir(folder):
        raise SetupError(f"There is no folder {folder}. Name the one that holds the job folders.")
    return ProcessBackend(folder)
