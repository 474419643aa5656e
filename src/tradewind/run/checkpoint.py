"""What an attempt at a job tells the next one of the same task run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tradewind.former_names import former_attribute, former_field
from tradewind.owner import Owner
from tradewind.run.backend import Backend

__all__ = [
    "Checkpoint",
    "Outcome",
    "StateStore",
    "recall_begun",
    "recall_cursor",
    "remember_cursor",
]

WorkT = TypeVar("WorkT")


class StateStore(Protocol):
    """What an attempt tells the next one of the same task run.

    Where it is lost, log lines are repeated, and work that was collected and removed while the
    task was not told yet is run again.
    """

    def get(self, key: str) -> str | None:
        """Read what was set, None where nothing was."""

    def set(self, key: str, value: str) -> None:
        """Remember, durably when this returns."""


@dataclass(frozen=True)
class Outcome:
    """How work has ended that has succeeded.

    Args:
        name: What it was called on its system.
        result: What it handed back; None where it handed back nothing.
        reattached: Whether it had been started by an earlier attempt.
        from_log: Whether the result is what it wrote into its log, not the file for results.
    """

    name: str
    result: str | None
    reattached: bool
    from_log: bool = False

    if not TYPE_CHECKING:
        attended = former_field("attended", "reattached")


def remember_cursor(state_store: StateStore, owner: Owner, name: str, cursor: str) -> None:
    """Tell the next attempt up to where the log of a job is known.

    Args:
        state_store: Is handed from an attempt to the next.
        owner: Whose work it is.
        name: What it is called on its system.
        cursor: Of the last line that was logged.
    """
    Checkpoint(state_store, owner).set("cursor", f"{name}\n{cursor}")


def recall_cursor(state_store: StateStore, owner: Owner, name: str) -> str | None:
    """Read what `remember_cursor` has told of this job; None where nothing."""
    known, _, cursor = (Checkpoint(state_store, owner).get("cursor") or "").partition("\n")
    return cursor or None if known == name else None


def recall_begun(backend: Backend[WorkT], owner: Owner, state_store: StateStore) -> None:
    """Let a backend find what earlier attempts have begun, whatever they called it.

    Args:
        backend: The system that runs it.
        owner: Whose work it is.
        state_store: Is handed from an attempt to the next.
    """
    Checkpoint(state_store, owner).recall_begun(backend)


class Checkpoint:
    """What is remembered of one owner: another life of the same task reads none of it."""

    def __init__(self, state_store: StateStore, owner: Owner) -> None:
        self._state_store = state_store
        self._prefix = f"tradewind.{owner.digest}."

    def get(self, key: str) -> str | None:
        """Read what was set for this owner, None where nothing was."""
        return self._state_store.get(self._prefix + key)

    def set(self, key: str, value: str) -> None:
        """Remember it for this owner."""
        self._state_store.set(self._prefix + key, value)

    def recall_begun(self, backend: Backend[WorkT]) -> None:
        """Hand a backend with a history what an earlier attempt has recorded before it began."""
        if backend.history is not None and (begun := self.get("begun")) is not None:
            backend.history.recall(json.loads(begun))

    def begin(self, backend: Backend[WorkT]) -> None:
        """Record, for a backend with a history, that this attempt is about to start work."""
        if backend.history is not None:
            self.set("begun", json.dumps(backend.history.note()))

    def outcome(self) -> Outcome | None:
        """Give what an earlier attempt has collected."""
        done = self.get("done")
        if done is None:
            return None
        name, result, from_log = json.loads(done)
        return Outcome(name, result, reattached=True, from_log=from_log)


def __getattr__(name: str) -> Any:
    """Give what had another name in version 0.1."""
    return former_attribute(__name__, name)
