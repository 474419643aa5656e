"""A warm process that forks a child for each order, so that an attack on one costs milliseconds.

    python attack_worker.py FILE        one JSON order a line in, one JSON answer a line out

FILE has functions by name in ``ACTIONS``, and ``warm()``, which imports what they need. A child is
a mover of its own with nothing open yet; only the seconds that imports take are saved. ``start``
tells its process id at once, so that whoever ordered it can stop it, let it go on and kill it;
``wait`` tells how it ended, once it has. ``here`` is carried out by the process itself, so that
its children know what came of it. See `attack_workers.Workers` for the other end.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from killing_worker import load

#: A child that hangs ends, and is told as such.
SECONDS = 120


def start(actions: ModuleType, order: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(SECONDS)
    try:
        told: dict[str, Any] = {"answer": actions.ACTIONS[order["action"]](**order["arguments"])}
    except BaseException as error:
        told = {
            "error": type(error).__name__,
            "kinds": [one.__name__ for one in type(error).__mro__],
            "message": str(error),
            "trace": traceback.format_exc(),
        }
    with open(order["told"] + ".new", "w") as file:
        json.dump(told, file)
    os.replace(order["told"] + ".new", order["told"])
    os._exit(0)


def wait(order: dict[str, Any]) -> dict[str, Any]:
    """Tell of a child that has ended."""
    _, status = os.waitpid(order["pid"], 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    with open(order["told"]) as file:
        told: dict[str, Any] = json.load(file)
    os.unlink(order["told"])
    return told


def answer(actions: ModuleType, order: dict[str, Any]) -> dict[str, Any]:
    if "pid" in order:
        return wait(order)
    if "here" in order:
        return {"answer": actions.ACTIONS[order["here"]](**order["arguments"])}
    return {"pid": start(actions, order)}


def main() -> None:
    actions = load(sys.argv[1])
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(actions, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
