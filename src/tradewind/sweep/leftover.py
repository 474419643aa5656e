"""What a leftover is, and when it may be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tradewind.former_names import former_attribute
from tradewind.owner import Owner

__all__ = ["Leftover", "OwnerLookup", "OwnerState", "judge", "owner_of_title"]


@dataclass(frozen=True)
class Leftover:
    """One thing that Tradewind has on an outside system.

    Args:
        system: Where it is, as it was named.
        what: What it is called there, with its kind.
        owner: `Owner.digest` of whose it is; None where it does not say.
        title: The owner in words; empty where it does not say.
        since: When it was made; None where the system does not say.
        remove: Takes it away; may be called again.
        reason: Why nobody needs it any more, or why that is not known.
        certain: Whether it is known that nobody needs it.
        others: Whether it is known to belong to another Airflow.
        task_run: `Owner.run_digest`, where it does not say its owner in words.
    """

    system: str
    what: str
    owner: str | None
    title: str
    since: datetime | None
    remove: Callable[[], None] = field(repr=False, compare=False)
    reason: str = "unknown"
    certain: bool = False
    others: bool = False
    task_run: str = ""


@dataclass(frozen=True)
class OwnerState:
    """What is known of an owner.

    Args:
        alive: Whether it may still come back for what it has; None where that is not known.
        reason: How that is known, in words.
        others: Whether it is known to be of another Airflow.
    """

    alive: bool | None
    reason: str
    others: bool = False


OwnerLookup = Callable[[str | None, str, str], OwnerState]
"""Asked with an owner's digest and title, and the digest of its task run."""


def judge(
    found: Iterable[Leftover],
    ask: OwnerLookup,
    *,
    older_than: timedelta | None = None,
    now: datetime,
) -> Iterator[Leftover]:
    """Tell leftovers from what is needed.

    Args:
        found: All that Tradewind has.
        ask: Knows owners. It is asked after a thing was found: so the owner of what is found was
            there before it is looked for.
        older_than: Passes over what is younger, and what has no age.
        now: The time, with a zone.

    Yields:
        Those whose owner is gone, or not known, with the reason.
    """
    for one in found:
        if older_than is not None and (one.since is None or now - one.since < older_than):
            continue
        verdict = ask(one.owner, one.title, one.task_run)
        if verdict.alive:
            continue
        certain = verdict.alive is False
        yield replace(one, reason=verdict.reason, certain=certain, others=verdict.others)


def owner_of_title(title: str, digest: str) -> Owner | None:
    """Read the owner out of its words.

    Args:
        title: ``str(owner)``, as a system has kept it.
        digest: What it must come to; a system may have cut or changed the words.

    Returns:
        The owner; None where the words do not say.
    """
    return Owner.of_title(title, digest)


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
