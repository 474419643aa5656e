"""What an attempt at a piece of work tells the next one of the same task run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tradewind.owner import Owner
from tradewind.run.backend import Backend

__all__ = ["Memory", "Notes", "Outcome", "recall_begun", "recall_cursor", "remember_cursor"]

WorkT = TypeVar("WorkT")


class Memory(Protocol):
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
        attended: Whether it had been started by an earlier attempt.
        from_log: Whether the result is what it wrote into its log, not the file for results.
    """

    name: str
    result: str | None
    attended: bool
    from_log: bool = False


def remember_cursor(memory: Memory, owner: Owner, name: str, cursor: str) -> None:
    """Tell the next attendant up to where the log of a piece of work is known.

    Args:
        memory: Is handed from an attempt to the next.
        owner: Whose work it is.
        name: What it is called on its system.
        cursor: Of the last line that was logged.
    """
    Notes(memory, owner).set("cursor", f"{name}\n{cursor}")


def recall_cursor(memory: Memory, owner: Owner, name: str) -> str | None:
    """Read what `remember_cursor` has told of this piece of work; None where nothing."""
    known, _, cursor = (Notes(memory, owner).get("cursor") or "").partition("\n")
    return cursor or None if known == name else None


def recall_begun(backend: Backend[WorkT], owner: Owner, memory: Memory) -> None:
    """Let a backend find what earlier attempts have begun, whatever they called it.

    Args:
        backend: The system that runs it.
        owner: Whose work it is.
        memory: Is handed from an attempt to the next.
    """
    Notes(memory, owner).recall_begun(backend)


class Notes:
    """What is remembered of one owner: another life of the same task reads none of it."""

    def __init__(self, memory: Memory, owner: Owner) -> None:
        self._memory = memory
        self._prefix = f"tradewind.{owner.digest}."

    def get(self, key: str) -> str | None:
        """Read what was set for this owner, None where nothing was."""
        return self._memory.get(self._prefix + key)

    def set(self, key: str, value: str) -> None:
        """Remember it for this owner."""
        self._memory.set(self._prefix + key, value)

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
        return Outcome(name, result, attended=True, from_log=from_log)
