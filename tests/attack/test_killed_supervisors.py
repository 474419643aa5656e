"""Whoever supervises a job is killed at random moments, and tried again: it runs once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attack_report import LONG, Attack, Try
from attack_runners import BACKENDS, PLACES, Runner
from attack_workers import Workers

PROMISE = "Work elsewhere runs once, its result is collected, and nothing is left"
HOW = "SIGKILL of the supervisor at a random moment, then the retry"
#: How often on each; together more than 500. None of the others is quick to start.
SHORT = {"process": 4, "ssh": 4, "docker": 4, "rest": 4}
MANY = {"process": 120, "ssh": 80, "docker": 80, "rest": 120}
MANY |= {"podman": 40, "livy": 40, "yarn": 16, "spark": 12, "sagemaker": 12}
COUNTS = [
    *(pytest.param(name, n, id=f"{name}-some", marks=PLACES[name][1]) for name, n in SHORT.items()),
    *(
        pytest.param(name, n, id=f"{name}-many", marks=[*PLACES[name][1], *LONG])
        for name, n in MANY.items()
    ),
]

#: Appends to a file each time it runs, writes a log, hands back a result.
SCRIPT = "echo x >> {ran}; for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done; "
SCRIPT += "echo 42 > $TRADEWIND_RESULT"
LINES = {f"line {number}" for number in range(1, 6)}


@pytest.mark.parametrize(("runner", "count"), COUNTS, indirect=["runner"])
def test_work_runs_once(supervisors: Workers, runner: Runner, tmp_path: Path, count: int):
    attack = Attack(PROMISE, HOW, runner.on)

    def arguments(name: str) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        return {
            "run": name,
            "script": SCRIPT.format(ran=folder / "ran"),
            "memory": str(folder / "memory"),
            "log": str(folder / "log"),
            **runner.options,
        }

    def lane(tries: Iterator[Try]) -> None:
        seconds = 0.0
        for number, chance in tries:
            if not seconds:
                whole = arguments(f"whole{os.urandom(3).hex()}")
                told, seconds = supervisors.measured(runner.action, **whole)
                assert (told.get("answer") or "").strip() == "42", told
            name = f"k{number}x{os.urandom(3).hex()}"
            given = arguments(name)
            moment = chance.uniform(0, seconds)
            child = supervisors.start(runner.action, **given)
            time.sleep(moment)
            killed = child.kill()
            attack.note("killed" if killed == {"signal": 9} else "had ended before")
            again, took = supervisors.measured(runner.action, **given)
            # The machine may be busier by now, or less so; a retry is as long as what is left.
            seconds = (2 * seconds + max(took, moment)) / 3
            at = f"{number}, {moment:.3f} s"
            attack.check((again.get("answer") or "").strip() == "42", f"{at}: {again}")
            ran = tmp_path / name / "ran"
            times = ran.read_text().count("x") if ran.exists() else 0
            attack.check(times == 1, f"{at}: it ran {times} times")
            lines = set((tmp_path / name / "log").read_text().split("\n")[:-1])
            good = lines == LINES if runner.lines else bool(lines)
            attack.check(good, f"{at}: its log is {lines}")

    attack.in_lanes(count, runner.lanes if count > 9 else 1, lane)
    left = list(runner.left())
    attack.check(not left, f"left behind: {left}")
    attack.finish()


def test_no_system_is_left_out() -> None:
    assert set(MANY) == set(PLACES)
    BACKENDS.check()
