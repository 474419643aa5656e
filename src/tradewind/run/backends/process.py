"""Processes of this machine: detached, so that they outlive the worker that started them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tradewind.errors import RetryError, SetupError
from tradewind.run.backends._job_folder import Command, JobFolderBackend, Shell

__all__ = ["Command", "ProcessBackend"]

_SHELL_SECONDS = 60
_CHUNK = 1 << 20


class ProcessBackend(JobFolderBackend):
    """Runs shell commands as detached processes of this machine.

    A worker that comes back on another machine does not find them: use it where a task always
    runs on the same machine, or where the machine is the worker.

    Args:
        root: Folder that holds the job folders; made when missing, for this account alone.
    """

    name = "process"

    def __init__(self, root: str | Path) -> None:
        super().__init__(LocalShell(), root=str(Path(root).absolute()), where="this machine")


class LocalShell(Shell):
    """This machine's own shell."""

    def run(self, script: str) -> str:
        """Run a script by ``sh``, handed over on its stdin: it may hold secrets."""
        try:
            done = subprocess.run(
                ["sh", "-s"],
                input=script,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SHELL_SECONDS,
            )
        except FileNotFoundError as error:
            raise SetupError("This machine has no POSIX shell: install one as sh.") from error
        except subprocess.TimeoutExpired as error:
            raise RetryError(
                f"The shell of this machine did not answer within {_SHELL_SECONDS} s."
            ) from error
        return done.stdout

    def size(self, path: str) -> int:
        """Ask the file system."""
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return -1

    def read(self, path: str, start: int) -> Iterator[bytes]:
        """Read a file from a byte on."""
        with suppress(FileNotFoundError), open(path, "rb") as file:  # removed meanwhile
            file.seek(start)
            while chunk := file.read(_CHUNK):
                yield chunk
