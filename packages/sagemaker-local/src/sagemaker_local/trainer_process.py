"""The training process of one job: started, listened to, stopped.

It is ``python -m sagemaker_local.trainer JOBDIR`` in a session of its own. It holds a
pipe of ours as its stdin, whose end tells it that the service is gone; its stdout is one JSON
event a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Event", "TrainerProcess", "end_leftover"]

Event: TypeAlias = dict[str, Any]

MODULE = "sagemaker_local.trainer"
_CHUNK = 256 * 1024
_MAX_LINE = 4 * 1024 * 1024
_LAST_WORDS = 2000


class TrainerProcess:
    """One running training process.

    Args:
        job_dir: Its working folder, with ``job.json``.
        command: What to run; the trainer's module when None.
    """

    def __init__(self, job_dir: Path, command: list[str] | None = None) -> None:
        self._job_dir = job_dir
        self._command = command or [sys.executable, "-m", MODULE, str(job_dir)]
        self._process: asyncio.subprocess.Process | None = None
        self._end: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group and session."""
        assert self._process is not None, "the process was not started"  # noqa: S101
        return self._process.pid

    async def start(self, environment: dict[str, str]) -> None:
        """Start the process.

        Args:
            environment: All its environment variables.

        Raises:
            OSError: It cannot be started.
        """
        with (self._job_dir / "stderr.txt").open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=environment,
            )
        self._end = asyncio.create_task(self._wait_and_sweep(self._process))

    async def events(self) -> AsyncIterator[list[Event]]:
        """Yield what the process says, all that has come in at a time, until it closes stdout.

        Nothing is gathered up: while the caller is at work the pipe fills and the process waits.
        """
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        rest = b""
        while chunk := await self._process.stdout.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MAX_LINE:
                lines, rest = [*lines, rest], b""
            if lines:
                yield [_event(line) for line in lines if line.strip()]
        if rest.strip():
            yield [_event(rest)]

    async def wait(self) -> int:
        """Wait for the end of the process and give its exit code, -N when signal N ended it."""
        assert self._end is not None  # noqa: S101
        return await self._end

    @staticmethod
    async def _wait_and_sweep(process: asyncio.subprocess.Process) -> int:
        code = await process.wait()
        # What it left behind would hold its stdout open, and outlive the job. The id of a group
        # is not given away again while a process of it lives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return code

    def terminate(self) -> None:
        """Ask the process to save what it has and to end."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and its children at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """Return the end of what the process wrote to stderr."""
        try:
            with (self._job_dir / "stderr.txt").open("rb") as errors:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_WORDS))
                return errors.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if isinstance(event, dict) and "event" in event:
        return event
    # Not of the trainer's making (a library that prints): it belongs in the log.
    return {"event": "log", "host": "algo-1", "line": line.decode("utf-8", "replace")}


async def end_leftover(pid: int, job_dir: Path) -> None:
    """End the training process of a service that was killed, should it still be there.

    Args:
        pid: Which process it was.
        job_dir: Its folder, by which it is recognised: the id may be another process's by now.
    """
    command = Path(f"/proc/{pid}/cmdline")
    for _ in range(500):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            return
        if os.fsencode(job_dir) not in words:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
