"""Run a command and measure it: seconds, processor seconds, and the peak memory of all of it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Args:
        seconds: What it says itself that its work took; for a plain command all of it.
        wall: From start to end, with the interpreter's start and imports.
        cpu: Processor seconds, user and system, of it and its children.
        memory: Peak of the resident memory of it and its children, in bytes.
        failed: Its last words, where it failed.
    """

    seconds: float
    wall: float
    cpu: float
    memory: int
    failed: str | None


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    output: Path | None = None,
    timeout: float,
) -> Measured:
    """Run a command to its end.

    Args:
        command: The command.
        environment: All of its environment.
        output: File for its standard output, which otherwise ends with a line of JSON, or is of
            no interest.
        timeout: Seconds after which it is killed and has failed.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        out = output.open("wb") if output else None
        began = time.monotonic()
        child = subprocess.Popen(
            list(map(str, command)), env=dict(environment), stdout=out or said, stderr=errors
        )
        peak = _Peak(child.pid)
        killer = threading.Timer(timeout, child.kill)
        killer.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            killer.cancel()
            wall = time.monotonic() - began
            memory = peak.stop()
        child.returncode = os.waitstatus_to_exitcode(status)
        if out:
            out.close()
        said.seek(0)
        errors.seek(0)
        text = said.read().decode(errors="replace").strip()
        failed = None
        if child.returncode:
            words = (errors.read().decode(errors="replace").strip() or text).splitlines()
            failed = f"status {child.returncode}: {' / '.join(words[-2:])[-400:]}"
        seconds = wall
        if not failed and text.endswith("}"):
            seconds = json.loads(text.splitlines()[-1])["seconds"]
    return Measured(seconds, wall, usage.ru_utime + usage.ru_stime, memory, failed)


class _Peak:
    """Looks at the memory of a process and its descendants, ten times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._most = max(self._most, sum(map(_resident, _family(self._pid))), _high(self._pid))


def processor_seconds(pid: int) -> float:
    """Tell the processor seconds, user and system, of a process's descendants that run.

    Args:
        pid: The process, which itself does not count.
    """
    ticks = 0
    for one in _family(pid)[1:]:
        try:
            # The name, in brackets, may have blanks in it.
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                queue += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE
    except (OSError, IndexError):
        return 0


def _high(pid: int) -> int:
    """The most that one process had at once, which may have been between two looks."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
