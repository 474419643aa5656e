"""Work on systems that run it: containers, processes, jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tradewind.run.backend import Backend, Job
from tradewind.sweep.leftover import Leftover

__all__ = ["leftovers_of_opened", "leftovers_of_work"]


def leftovers_of_opened(
    system: str, open_backend: Callable[[], Backend[Any]]
) -> Iterator[Leftover]:
    """Open a system when its turn comes, list all work on it, and close it.

    Args:
        system: What the system is called.
        open_backend: Connects to it.

    Raises:
        TradewindError: As `leftovers_of_work`, and as connecting does.
    """
    backend = open_backend()
    try:
        yield from leftovers_of_work(system, backend)
    finally:
        backend.close()


def leftovers_of_work(
    system: str,
    backend: Backend[Any],
    *,
    confirm: Callable[[Job], Job | None] = lambda job: job,
) -> Iterator[Leftover]:
    """List all work that Tradewind has on a system, whoever it belongs to.

    And what was prepared to become work and has never claimed a name: its environment is readable.

    Args:
        system: What the system is called.
        backend: The system.
        confirm: Makes sure whose a job is, where `Backend.list` tells by its name alone;
            None where Tradewind has not made it.

    Raises:
        TradewindError: As `Backend.list` and `Backend.unclaimed`.
    """
    # All of it first: what is removed meanwhile would confuse a listing in pages.
    for listed in list(backend.list()):
        job = confirm(listed)
        if job is None:
            continue
        yield Leftover(
            system=system,
            what=f"{job.status.state.value} work {job.name}",
            owner=job.owner,
            title=job.title,
            since=job.started,
            remove=partial(backend.delete, job.name),
            task_run=job.task_run,
        )
    for job in list(backend.unclaimed()):
        yield Leftover(
            system=system,
            what=f"prepared work {job.name}",
            owner=job.owner,
            title=job.title,
            since=job.started,
            remove=partial(backend.delete_unclaimed, job.name),
        )
