"""Orders for children of a warm process; see `attack_worker`."""

from __future__ import annotations

import itertools
import os
import select
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from killing import Orders
from tradewind.local.processes import wait_until

#: A child ends itself after two minutes; one that does not is killed.
SECONDS = 150
WORKER = Path(__file__).with_name("attack_worker.py")
Told = dict[str, Any]


@dataclass
class Child:
    """A running order.

    Args:
        pid: Its process, and its process group.
        told: The file with its answer, once it has ended by itself.
        workers: Who forked it.
    """

    pid: int
    told: Path
    workers: Workers

    def send(self, number: int) -> None:
        """Send a signal; one that has ended already is left alone, and not yet waited for."""
        os.kill(self.pid, number)

    def ended(self) -> bool:
        """Whether it has written its answer."""
        return self.told.exists()

    def wait(self) -> Told:
        """Wait for its end: ``answer``; ``error`` and ``message``; or ``signal``."""
        # Here and not in its parent, which goes on taking orders.
        process = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(process, select.POLLIN)
            hung = not poll.poll(SECONDS * 1_000)
        finally:
            os.close(process)
        if hung:
            self.send(signal.SIGKILL)
        told = self.workers.ask({"pid": self.pid, "told": str(self.told)})
        hung_told = {"error": "Hung", "message": f"it did not end within {SECONDS} s"}
        return hung_told if hung else told

    def kill(self) -> Told:
        self.send(signal.SIGKILL)
        return self.wait()


class Workers(Orders):
    """A warm process; several threads may give it orders.

    Args:
        actions: File with the functions it carries out.
        folder: Where answers go; empty.
        environment: Variables besides those of this process.
    """

    def __init__(
        self, actions: Path, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._turn = threading.Lock()
        super().__init__([WORKER, actions], environment)

    def ask(self, order: dict[str, Any]) -> Told:
        with self._turn:
            return super().ask(order)

    def here(self, action: str, **arguments: Any) -> Any:
        """Let the warm process itself carry something out, for all that it forks from now on."""
        return self.ask({"here": action, "arguments": arguments})["answer"]

    def start(self, action: str, **arguments: Any) -> Child:
        told = self._folder / f"told-{next(self._numbers)}.json"
        order = {"action": action, "arguments": arguments, "told": str(told)}
        return Child(self.ask(order)["pid"], told, self)

    def run(self, action: str, **arguments: Any) -> Told:
        return self.start(action, **arguments).wait()

    def measured(self, action: str, **arguments: Any) -> tuple[Told, float]:
        """Run to the end, and tell how many seconds it took."""
        began = time.monotonic()
        told = self.run(action, **arguments)
        return told, time.monotonic() - began


class Gate:
    """A place in an order where it waits to be let through.

    Args:
        folder: Where it is; made.
        at: ``begin`` (nothing is read), ``middle``, ``end`` (all is read) or ``publish`` (all is
            written, and the next request makes it visible).
    """

    def __init__(self, folder: Path, at: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.at = folder, at

    @property
    def order(self) -> dict[str, str]:
        return {"at": self.at, "folder": str(self.folder)}

    def wait(self, child: Child) -> bool:
        """Wait until the order has come here; whether it has, and did not end before."""
        reached = self.folder / "reached"
        assert wait_until(lambda: reached.exists() or child.ended(), seconds=60, interval=0.002)
        return reached.exists()

    def open(self) -> None:
        (self.folder / "go").touch()
