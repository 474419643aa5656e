"""What an attack counts, and where it tells it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attack_state
import pytest

#: The seed of all attacks: the same one gives the same moments, names and bytes.
SEED = int(os.environ.get("TRADEWIND_ATTACK_SEED", "20261130"))
#: The file with the counts so far; see `attack_state`. Without one each run begins at 0.
STATE = os.environ.get("TRADEWIND_ATTACK_STATE")
#: When attacks end, in seconds since 1970, and how many seconds one may take; they go on next time.
UNTIL = float(os.environ.get("TRADEWIND_ATTACK_UNTIL", "inf"))
SLICE = float(os.environ.get("TRADEWIND_ATTACK_SLICE", "inf"))
#: The code that is attacked: its commit; see `scripts/attack.py`.
COMMIT = os.environ.get("TRADEWIND_ATTACK_COMMIT", "")
#: How often the file is written, in seconds. What a killed run has not written is tried again.
KEEP_SECONDS = 2.0

LONG = [pytest.mark.long, pytest.mark.timeout(1800)]


def forms(short: Iterable[Any], some: Any, every: Iterable[Any], many: Any) -> list[Any]:
    """Give the parameters of a test with a short form, which takes few, and a long one.

    Args:
        short: What the short form attacks.
        some: How often it does.
        every: What the long form attacks.
        many: How often it does.

    Returns:
        Pairs of what is attacked and how often.
    """

    def param(what: Any, count: Any, name: str, marks: Any) -> Any:
        of = "-".join(what) if isinstance(what, tuple) else what
        whats = what if isinstance(what, tuple) else (what,)
        return pytest.param(*whats, count, id=f"{of}-{name}", marks=marks)

    return [
        *(param(what, some, "some", ()) for what in short),
        *(param(what, many, "many", LONG) for what in every),
    ]


Try = tuple[int, random.Random]
"""The number of a try, and the chance that it has."""


class AttackSucceeded(AssertionError):
    """A promise was broken."""


@dataclass
class Attack:
    """One attack on one promise.

    Args:
        promise: What is promised, for the table.
        how: How it is attacked, for the table.
        on: What it is attacked on, like ``S3 (Swift), parts``.
        tries: How often it was tried.
        failures: How often something was wrong.
        wanted: How many tries there shall be.
        notes: What else was counted, like how many of the killed had ended before.
        first: What was wrong, each in a line; the first ten.
        commits: Those that it was tried on, the first one first.
    """

    promise: str
    how: str
    on: str
    tries: int = 0
    failures: int = 0
    wanted: int = 0
    notes: dict[str, int] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{SEED}/{self.promise}/{self.how}/{self.on}")
        self._kept = time.monotonic()
        self._ended = False
        self._turn = threading.RLock()
        if STATE:
            units = attack_state.load(Path(STATE), SEED)["units"]
            for name, value in units.get(self.name, {}).items():
                if name in self.__dataclass_fields__:
                    setattr(self, name, value)

    @property
    def name(self) -> str:
        return f"{self.promise} / {self.how} / {self.on}"

    def rounds(self, wanted: int, more: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Give the numbers of the tries that are to do, each with chance of its own.

        Args:
            wanted: How many tries there shall be, those of former slices among them.
            more: Whether there shall be another one all the same.
        """
        for number, chance in self._tries(wanted, more):
            self.chance = chance
            yield number
            self._tried()

    def in_lanes(self, wanted: int, lanes: int, lane: Callable[[Iterator[Try]], None]) -> None:
        """Make tries side by side.

        Args:
            wanted: How many there shall be, those of former slices among them.
            lanes: How many are made at once.
            lane: Makes those that it is given, one after the other, in a thread of its own.

        Raises:
            Exception: What a lane has raised.
        """
        turn, all_tries = threading.Lock(), self._tries(wanted, lambda: False)

        def tries() -> Iterator[Try]:
            while True:
                with turn:
                    given = next(all_tries, None)
                if given is None:
                    return
                yield given
                self._tried()

        lanes = min(lanes, max(wanted - self.tries, 1))
        with ThreadPoolExecutor(lanes) as pool:
            for ended in [pool.submit(lane, tries()) for _ in range(lanes)]:
                ended.result()

    def _tries(self, wanted: int, more: Callable[[], bool]) -> Iterator[Try]:
        self.wanted = wanted
        until = min(UNTIL, time.time() + SLICE)
        number = self.tries
        while number < wanted or more():
            if time.time() >= until:
                return
            yield number, random.Random(f"{SEED}/{self.name}/{number}")
            number += 1
        self._ended = True

    def _tried(self) -> None:
        """Count a try that is made."""
        with self._turn:
            self.tries += 1
            if COMMIT and COMMIT not in self.commits:
                self.commits.append(COMMIT)
            if time.monotonic() - self._kept > KEEP_SECONDS:
                self.keep()

    def note(self, what: str, count: int = 1) -> None:
        with self._turn:
            self.notes[what] = self.notes.get(what, 0) + count

    def fail(self, what: str) -> None:
        with self._turn:
            self.failures += 1
            if len(self.first) < 10:
                self.first.append(what)

    def check(self, good: bool, what: str) -> None:
        if not good:
            self.fail(what)

    def keep(self) -> None:
        """Write the counts into the file."""
        self._kept = time.monotonic()
        if not STATE:
            return
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        told["file"] = Path(test.partition("::")[0]).stem
        with attack_state.changed(Path(STATE), SEED) as state:
            state["units"][self.name] = told

    def finish(self) -> None:
        """Tell the counts, and fail the test where there was a failure.

        Raises:
            AttackSucceeded: The attack succeeded at least once.
        """
        self.keep()
        notes = "".join(f", {count} {what}" for what, count in sorted(self.notes.items()))
        print(
            f"attack (seed {SEED}): {self.how}; {self.on}: {self.tries} tries, "
            f"{self.failures} failures{notes}",
            flush=True,
        )
        if not self._ended:
            pytest.skip(f"{self.tries} of {self.wanted} tries so far; it goes on next time")
        if self.failures:
            shown = "\n".join(self.first)
            raise AttackSucceeded(f"{self.failures} of {self.tries} (seed {SEED}):\n{shown}")
