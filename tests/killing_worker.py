"""A worker that carries out orders in children it forks, and kills them at a chosen point.

    python killing_worker.py FILE PACKAGE      one JSON order a line in, one JSON answer a line out

FILE has functions by name in ``ACTIONS``, and ``warm()``, which imports what they need. An order
names an action, its arguments, and where to die. A point is a count of lines of PACKAGE that were
executed: so a run to the end counts how many there are, and a child can be killed by SIGKILL at any
of them, again and again at the same place, however fast the machine is. Forking saves each child
the second that imports take. See `killing.Worker` for the other end.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import traceback
from types import CodeType, FrameType, ModuleType
from typing import Any

from tradewind.errors import RetryError


class Points:
    """Counts executed lines of a package, and dies at one of them.

    Args:
        folders: Where the files are whose lines count.
        die_at: The line to die at, counted from 1; 0 for none.
    """

    def __init__(self, folders: tuple[str, ...], die_at: int) -> None:
        self._folders = folders
        self.count = 0
        self.die_at = die_at
        self._ours: dict[CodeType, bool] = {}

    def watch(self) -> None:
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code not in self._ours:
            self._ours[code] = code.co_filename.startswith(self._folders)
        return self._line if self._ours[code] else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._line


def run(actions: ModuleType, folders: tuple[str, ...], order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order in this process."""
    points = Points(folders, order.get("die_at", 0))
    points.watch()
    try:
        answer = actions.ACTIONS[order["action"]](**order["arguments"])
    except BaseException as error:
        points.stop()
        return {
            "error": type(error).__name__,
            "retryable": isinstance(error, RetryError),
            "message": str(error),
            "trace": traceback.format_exc(),
            "points": points.count,
        }
    points.stop()
    return {"answer": answer, "points": points.count}


def fork(actions: ModuleType, folders: tuple[str, ...], order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one order in a child, and say how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(120)  # a child that hangs ends, and is told as such
        with os.fdopen(write, "w") as out:
            json.dump(run(actions, folders, order), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return json.loads(said)


def load(file: str) -> ModuleType:
    """Load a file of actions, and let it import what they need."""
    specification = importlib.util.spec_from_file_location("actions", file)
    assert specification is not None
    assert specification.loader is not None
    actions = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(actions)
    actions.warm()
    return actions


def main() -> None:
    file, package = sys.argv[1:]
    actions = load(file)
    # What is known of the systems themselves counts too.
    folders = tuple(
        importlib.import_module(name).__path__[0] for name in (package, "tradewind.systems")
    )
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(fork(actions, folders, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
