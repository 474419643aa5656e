"""Who an effect on an outside system belongs to, and how each system spells it.

Everything that Tradewind makes on another system belongs to one task run. Its name there is made
from the task run alone, never by chance, so the next attempt of the same task run finds what an
earlier one left.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from tradewind.errors import InputError

__all__ = ["Owner"]

_DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Owner:
    """The task run that an effect on an outside system belongs to.

    A retry of a task run has the same owner. A person who clears the task starts a new life, and
    with it a new owner.

    Args:
        dag: Id of the DAG, or what stands for it outside Airflow.
        run: Id of the DAG run.
        task: Id of the task.
        map_index: Index of a mapped task; -1 where it is not mapped, as in Airflow.
        life: How often a person has cleared the task run.
    """

    dag: str
    run: str
    task: str
    map_index: int = -1
    life: int = 0

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for all of it (a prefix of its SHA-256)."""
        parts = [self.dag, self.run, self.task, self.map_index, self.life]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_LENGTH]

    def name(self, *, limit: int = 63, separator: str = "-") -> str:
        """Spell the owner as one outside system can.

        Args:
            limit: The most characters that the system takes; 13 or more.
            separator: ``-`` or ``_``: what joins words there.

        Returns:
            Lower-case letters, digits and the separator: as much of dag, task and run as fits, and
            the digest, which alone makes it unique. It begins with a letter.

        Raises:
            InputError: `limit` leaves no room for a unique name.
        """
        room = limit - _DIGEST_LENGTH - 1
        if room < 0:
            raise InputError(
                f"No unique name fits into {limit} characters; {_DIGEST_LENGTH + 1} are needed."
            )
        readable = re.sub(r"[^a-z0-9]+", separator, f"{self.dag} {self.task} {self.run}".lower())
        readable = readable.strip(separator)
        if not readable[:1].isalpha():
            readable = f"t{separator}{readable}"
        readable = readable[:room].rstrip(separator) if room else ""
        return f"{readable}{separator}{self.digest}" if readable else f"t{self.digest}"

    def __str__(self) -> str:
        mapped = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag}/{self.run}/{self.task}{mapped}" + (f"#{self.life}" * bool(self.life))
