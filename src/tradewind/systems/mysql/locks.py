"""The locks of a table: one of an owner, whose dead attempts it ends; one of all loads."""

from __future__ import annotations

import contextlib
import hashlib

from tradewind.errors import RetryError, TradewindError
from tradewind.systems.mysql.session import Session

__all__ = ["Locks"]


class Locks:
    """The locks of one attempt to publish; the server frees them with its session.

    Args:
        name: Database and table.
        owner: The owner's digest.
        timeout: Seconds to wait for another load.
    """

    def __init__(self, name: str, owner: str, timeout: float) -> None:
        self._name = name
        self._timeout = timeout
        self.mine = self._named(owner)
        """The name of the owner's lock: a retry that holds it cleans up."""
        self.whole = self._named("")
        """The name of the lock of whoever loads into the table."""

    def _named(self, owner: str) -> str:
        digest = hashlib.sha256(f"{self._name}\n{owner}".lower().encode()).hexdigest()
        return f"tradewind:{digest[:40]}"

    def take(self, session: Session) -> None:
        """End what dead attempts of this owner have left, and wait for other loads.

        Raises:
            RetryError: One has not ended in time.
        """
        for other in session.fetch("SELECT IS_USED_LOCK(%s)", self.mine)[0]:
            # Only older ones: of two attempts that begin at once, the later one goes on.
            if other is not None and int(other) < session.thread:
                with contextlib.suppress(TradewindError):
                    session.execute(f"KILL {int(other)}")
        self._take(session, self.mine)
        self._take(session, self.whole)

    def await_others(self, session: Session) -> None:
        """Wait for other loads only.

        Raises:
            RetryError: One has not ended in time.
        """
        self._take(session, self.whole)

    def _take(self, session: Session, name: str) -> None:
        timeout = self._timeout
        if session.fetch("SELECT GET_LOCK(%s, %s)", name, timeout)[0][0] != "1":
            raise RetryError(
                f"{session.system}: another load of {self._name} has not ended within "
                f"{timeout:.0f} s. Try again when it has."
            )
