"""The owner of an effect on another system, and how each system spells its name.

Everything that Tradewind makes on another system belongs to one task run. Its name there is made
from the task run alone, never by chance, so the next attempt of the same task run finds what an
earlier one left.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tradewind.errors import InputError
from tradewind.former_names import former_field, former_keywords

__all__ = ["Owner"]

_DIGEST_LENGTH = 12
_WORD = re.compile(r"[A-Za-z0-9_-]{0,40}")
_TITLE_TEXT = (
    r"(?P<dag>[^/]+)/(?P<run>.+)/(?P<task>[^/\[\]#]+)(?:\[(?P<index>\d+)\])?(?:#(?P<life>\d+))?"
)
_TITLE = re.compile(_TITLE_TEXT)
_TITLE_OF_DEPLOYMENT = re.compile(
    _TITLE_TEXT + r"@(?P<deployment>[A-Za-z0-9_-]{0,40}):(?P<generation>[A-Za-z0-9_-]{0,40})"
)


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
        clears: How often a person has cleared the task run.
        deployment: Id of the Airflow that it belongs to; empty where nobody said, as in what
            was begun before owners had one.
        generation: The DAG run's own identity: a run may be deleted and made again under its id.
            Empty as `deployment` may be.

    Raises:
        InputError: `deployment` or `generation` has other characters than letters, digits, ``_``
            and ``-``, or more than 40.
    """

    dag: str
    run: str
    task: str
    map_index: int = -1
    clears: int = 0
    deployment: str = field(default="", kw_only=True)
    generation: str = field(default="", kw_only=True)

    if not TYPE_CHECKING:
        life = former_field("life", "clears")

    def __post_init__(self) -> None:
        for what, word in (("deployment", self.deployment), ("generation", self.generation)):
            if not _WORD.fullmatch(word):
                raise InputError(
                    f"{what} {word!r} cannot be a part of names on other systems. Let it have 40 "
                    "letters, digits, _ and - at most."
                )

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for all of it (a prefix of its SHA-256).

        An owner without deployment and generation has the digest that it had before there were
        any: so what was begun then is found.
        """
        parts = [self.dag, self.run, self.task, self.map_index, self.clears]
        if self.deployment or self.generation:
            parts += [self.deployment, self.generation]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGEST_LENGTH]

    @property
    def run_digest(self) -> str:
        """The same for all generations of a task run: a rerun replaces what the run has written.

        Outside of Airflow, where nobody clears, a generation tells runs apart.
        """
        kept = "" if self.deployment else self.generation
        return replace(self, clears=0, generation=kept).digest

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

    def is_superseded_by(self, other: Owner) -> bool:
        """Tell whether this is the same task of the same deployment, at an earlier time.

        Of a DAG run that was deleted and made again, or before a person cleared the task.

        Args:
            other: Who is at work now.
        """
        if self._stable != other._stable:
            return False
        if self.generation != other.generation:
            return bool(self.deployment and self.generation and other.generation)
        return self.clears < other.clears

    @property
    def _stable(self) -> tuple[str, str, str, str, int]:
        return (self.deployment, self.dag, self.run, self.task, self.map_index)

    def __str__(self) -> str:
        mapped = "" if self.map_index < 0 else f"[{self.map_index}]"
        text = f"{self.dag}/{self.run}/{self.task}{mapped}" + (
            f"#{self.clears}" * bool(self.clears)
        )
        if self.deployment or self.generation:
            text += f"@{self.deployment}:{self.generation}"
        return text

    @classmethod
    def of_title(cls, title: str, digest: str) -> Owner | None:
        """Read an owner out of its words.

        Args:
            title: ``str(owner)``, as a system has kept it.
            digest: What it must come to; a system may have cut or changed the words.

        Returns:
            The owner; None where the words do not say.
        """
        # The second way: the words of an owner without a deployment may look as if they had one.
        for pattern in (_TITLE_OF_DEPLOYMENT, _TITLE):
            match = pattern.fullmatch(title)
            if match is None:
                continue
            told = match.groupdict("")
            owner = cls(
                told["dag"],
                told["run"],
                told["task"],
                map_index=int(told["index"] or -1),
                clears=int(told["life"] or 0),
                deployment=told.get("deployment", ""),
                generation=told.get("generation", ""),
            )
            if owner.digest == digest:
                return owner
        return None


Owner.__init__ = former_keywords(life="clears")(  # type: ignore[method-assign]
    Owner.__init__
)
