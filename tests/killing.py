"""Killing a worker by SIGKILL at chosen points of its work; see `killing_worker`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

WORKER = Path(__file__).with_name("killing_worker.py")


class Orders:
    """A process that takes orders on stdin and answers on stdout, one JSON object a line each.

    Args:
        command: Starts it, as this Python's arguments. Its first answer says that it is ready.
        environment: Variables besides those of this process.
    """

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        try:
            self._answer()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker has ended with status {self._process.wait(10)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Worker(Orders):
    """A process that carries out orders in children, each of which can be made to die.

    Args:
        actions: File with the functions it carries out.
        package: Package whose executed lines are the points to die at.
        environment: Variables besides those of this process.
    """

    def __init__(
        self, actions: Path, package: str, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__([WORKER, actions, package], environment)

    def run(self, action: str, *, die_at: int = 0, **arguments: Any) -> dict[str, Any]:
        """Carry out an action in a child of its own.

        Returns:
            ``answer`` and ``points``; or ``signal`` when it was killed; or ``error``, ``message``.
        """
        return self.ask({"action": action, "die_at": die_at, "arguments": arguments})


def spread(points: int, count: int) -> list[int]:
    """Choose points to die at: half of them over all, half over the last quarter.

    Most lines are executed for each piece of data; claim, publish and cleanup are few, and at the
    end.

    Args:
        points: How many there are.
        count: How many to choose.
    """
    half = count // 2
    early = [1 + points * index // half for index in range(half)]
    begin = points * 3 // 4
    late = [begin + (points - begin) * index // (count - half) + 1 for index in range(count - half)]
    return sorted({min(point, points) for point in early + late})


#: How many of ten points are in each phase of supervised work. Each line of the two in the middle
#: is executed again and again.
PHASES = {"submit": 3, "run": 2, "log": 2, "collect": 3}


def spread_over_phases(lines: dict[str, int], count: int) -> list[str]:
    """Choose points to die at, evenly in each phase; see `killing_tasks`.

    Args:
        lines: How many there are, by phase.
        count: How many to choose; there is one in each phase at least.
    """
    points = []
    for phase, weight in PHASES.items():
        share = max(1, count * weight // sum(PHASES.values()))
        points += [f"{phase}:{1 + lines[phase] * n // share}" for n in range(share)]
    return points
