"""What attacks have counted so far, kept in a file, so that a long run can be done in slices.

The file is one JSON object: ``seed``; ``units``, the counts of each attack on each place; and
``done``, the tests that need not run again. Several processes may write into it in turn.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

State = dict[str, Any]


def load(path: Path, seed: int) -> State:
    """Give what the file has; of a file that is not there, nothing.

    Raises:
        ValueError: Its counts are those of another seed.
    """
    state: State = {"seed": seed, "units": {}, "done": []}
    if path.exists():
        state = json.loads(path.read_text())
    if state["seed"] != seed:
        raise ValueError(
            f"{path} has the counts of seed {state['seed']}, and this run has seed {seed}. Set "
            f"TRADEWIND_ATTACK_SEED={state['seed']}, or keep the counts in another file."
        )
    return state


@contextmanager
def changed(path: Path, seed: int) -> Iterator[State]:
    """Change what the file has; it is replaced whole."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = load(path, seed)
        yield state
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(state, indent=1))
        os.replace(new, path)
