"""Processes of this machine: detached, so that they outlive the worker that started them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tradewind.errors import RetryError, SetupError
from tradewind.run.exit_status import describe_exit_status
from tradewind.run.job_folder import Command, JobFolderBackend, Shell

__all__ = ["Command", "ProcessBackend"]

_SHELL_SECONDS = 60
_REST_SECONDS = 5
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
            # In a group of its own: whoever ends the task ends the group of the task, and a script
            # that has begun is to come to its end.
            shell = subprocess.Popen(
                ["sh", "-s"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                process_group=0,
            )
        except FileNotFoundError as error:
            raise SetupError("This machine has no POSIX shell: install one as sh.") from error
        with shell:
            try:
                told, _ = shell.communicate(script, _SHELL_SECONDS)
            except subprocess.TimeoutExpired as error:
                shell.kill()
                raise RetryError(
                    f"The shell of this machine did not answer within {_SHELL_SECONDS} s."
                ) from error
            except BaseException:
                # Airflow's timeout of a task may come anywhere. What has begun comes to its end
                # first: work that starts after the task was told to end would be left.
                with suppress(subprocess.TimeoutExpired):
                    shell.communicate(timeout=_REST_SECONDS)
                shell.kill()
                raise
        if shell.returncode < 0:
            said = describe_exit_status(128 - shell.returncode)
            raise RetryError(f"The shell of this machine has not answered: {said}.")
        return told

    def output(self, script: str) -> Iterator[bytes]:
        """Run a script by ``sh``, in a group of its own as `run` does."""
        with subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        ) as shell:
            assert shell.stdout is not None  # noqa: S101 - as asked for
            try:
                while piece := shell.stdout.read(_CHUNK):
                    yield piece
            finally:
                shell.kill()

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
