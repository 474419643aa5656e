"""What an attack counts, and where it tells it."""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: The seed of all attacks: the same one gives the same moments, names and bytes.
SEED = int(os.environ.get("TRADEWIND_ATTACK_SEED", "20261130"))
#: A file that gets one line of JSON an attack, for the table of docs/trust.md.
RESULTS = os.environ.get("TRADEWIND_ATTACK_RESULTS")


@dataclass
class Attack:
    """One attack on one promise.

    Args:
        promise: What is promised, for the table.
        how: How it is attacked, for the table.
        on: What it is attacked on, like ``S3 (Swift), parts``.
        tries: How often it was tried.
        failures: What was wrong, each in a line.
        notes: What else was counted, like how many of the killed had ended before.
    """

    promise: str
    how: str
    on: str
    tries: int = 0
    failures: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    @property
    def chance(self) -> random.Random:
        """Chance that depends on the seed and the attack alone."""
        return random.Random(f"{SEED}/{self.promise}/{self.how}/{self.on}")

    def note(self, what: str) -> None:
        self.notes[what] = self.notes.get(what, 0) + 1

    def fail(self, what: str) -> None:
        self.failures.append(what)

    def check(self, good: bool, what: str) -> None:
        if not good:
            self.fail(what)

    def finish(self) -> None:
        """Tell the counts, and fail the test where there was a failure.

        Raises:
            AssertionError: The attack succeeded at least once.
        """
        notes = "".join(f", {count} {what}" for what, count in sorted(self.notes.items()))
        print(
            f"attack (seed {SEED}): {self.how}; {self.on}: {self.tries} tries, "
            f"{len(self.failures)} failures{notes}"
        )
        if RESULTS:
            line = {**asdict(self), "failures": len(self.failures), "seed": SEED}
            line["first"] = self.failures[:3]
            with Path(RESULTS).open("a") as file:
                file.write(json.dumps(line) + "\n")
        assert self.tries, f"{self.on}: nothing was tried"
        shown = "\n".join(self.failures[:10])
        assert not self.failures, f"{len(self.failures)} of {self.tries} (seed {SEED}):\n{shown}"
