"""Check several systems in parallel, so that one that hangs does not delay the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tradewind.doctor import Check
from tradewind.errors import TradewindError
from tradewind.redaction import environment_secrets, redacted

__all__ = ["Subject", "looked_at", "shown"]

_READING = 30.0
"""Seconds that reading a connection may take: imports, and backends of secrets."""
_GRACE = 1.0
"""Seconds more than a request may take: its own error says more than ours."""


def shown(check: Check, *, uris: Sequence[str] = (), secrets: Iterable[str] = ()) -> Check:
    """Give a check in one line and without secrets.

    Args:
        check: The check.
        uris: Addresses that are not to be shown whole.
        secrets: What else is not to be shown, beside what the environment holds.
    """
    hidden = {*secrets, *environment_secrets()}

    def plain(text: str) -> str:
        return " ".join(redacted(text, uris=uris, secrets=hidden).split())

    return replace(check, said=plain(check.said), remedy=plain(check.remedy))


@dataclass
class Subject:
    """A system to look at.

    Args:
        title: What it is called in the answer.
        begin: Reads its settings, and returns its title and what is found as it is found.
        uris: Addresses that are not to be shown whole.
        secrets: What is not to be shown; `begin` may add to it.
    """

    title: str
    begin: Callable[[], tuple[str, Iterator[Check]]]
    uris: Sequence[str] = ()
    secrets: set[str] = field(default_factory=set)

    def shown(self, check: Check) -> Check:
        """Give a check without secrets."""
        return shown(check, uris=self.uris, secrets=self.secrets)


class _Look(threading.Thread):
    """One subject, in a thread that nothing waits for at the end."""

    def __init__(self, subject: Subject, timeout: float) -> None:
        super().__init__(name=f"tradewind doctor {subject.title}", daemon=True)
        self.subject = subject
        self.timeout = timeout
        self.title = subject.title
        self.found: list[Check] = []
        self.ended = threading.Event()
        self.until = time.monotonic() + _READING

    def run(self) -> None:
        try:
            system, checks = self.subject.begin()
            self.title = f"{self.subject.title}: {system}"
            self._more()
            for check in checks:
                self.found.append(check)
                self._more()
        except TradewindError as error:
            self.found.append(Check("fail", "settings", str(error)))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            remedy = "This is a fault of Tradewind or of the system's plugin: please report it."
            self.found.append(Check("fail", "doctor", said, remedy))
        finally:
            self.ended.set()

    def _more(self) -> None:
        self.until = time.monotonic() + self.timeout + _GRACE

    def result(self) -> tuple[str, list[Check]]:
        """Wait until it has ended or hangs."""
        while not self.ended.is_set():
            left = self.until - time.monotonic()
            if left <= 0:
                return self.title, [*map(self.subject.shown, self.found), self._hangs()]
            self.ended.wait(left)
        return self.title, list(map(self.subject.shown, self.found))

    def _hangs(self) -> Check:
        if self.title == self.subject.title:
            said, remedy = (
                f"its settings could not be read in {_READING:g} s",
                "Look at the backend",
            )
            return Check("fail", "settings", said, f"{remedy} of secrets that keeps it.")
        after = f" after {self.found[-1].what}" if self.found else ""
        return Check(
            "fail",
            "answer",
            f"none in {self.timeout:g} s{after}",
            "Look whether the right server listens there, or give it more with --timeout.",
        )


def looked_at(subjects: Sequence[Subject], timeout: float) -> Iterator[tuple[str, list[Check]]]:
    """Look at several systems at once.

    Args:
        subjects: The systems.
        timeout: Seconds that one answer of a system may take.

    Yields:
        The title of each in their order, and what was found.
    """
    looks = [_Look(subject, timeout) for subject in subjects]
    for look in looks:
        look.start()
    for look in looks:
        yield look.result()
