"""What the attacks on running work carry out in children: those of the crash tests, and loudly."""

from __future__ import annotations

import sys
from pathlib import Path

folders = (Path(__file__).parent, Path(__file__).parents[1])
sys.path[:0] = map(str, folders)

from attack_loud import loudly  # noqa: E402

from faults_actions import ACTIONS, warm  # noqa: E402

__all__ = ["ACTIONS", "warm"]

ACTIONS["loudly"] = loudly(ACTIONS)
