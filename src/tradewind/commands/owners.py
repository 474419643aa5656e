"""Whose effect a move of the command line is."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tradewind.owner import Owner

if TYPE_CHECKING:
    from tradewind.move.source import Source
    from tradewind.move.target import Target

__all__ = ["owner_of"]


@dataclass(frozen=True)
class _Unnamed(Owner):
    """A line without ``--run``. Typed again it removes what a killed one has left, and no more.

    What it has published is of another date (`run_digest`): with ``part_by`` the line of a cron
    table would else remove the partitions of the day before.
    """

    time: str = field(default_factory=lambda: uuid.uuid4().hex[:12], kw_only=True)

    @property
    def run_digest(self) -> str:
        """Never that of another time."""
        return self.time


def owner_of(source: Source, target: Target, run: str) -> Owner:
    """Tell whose effect a move is: by all that decides its rows and its place.

    The same line typed again is the same owner, so that it removes what a killed one has left. Not
    so where it would be done twice (an append), unless it has a name; and never where it cannot
    be told what it is.

    Args:
        source: What is read.
        target: What is written.
        run: What ``--run`` says; empty where it was not given.

    Returns:
        The owner.
    """
    from tradewind.move.identity import digest

    places = [os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
    what = digest(source.identity(), target.identity(), list(map(str, places)))
    if what is None or (target.adds and not run):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Owner("tradewind move", run or f"at {now}", f"{what or 'line'} {uuid.uuid4().hex}")
    if not run:
        return _Unnamed("tradewind move", "line", what)
    return Owner("tradewind move", run, what)
