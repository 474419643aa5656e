"""Batch jobs of Slurm, each with a folder on a file system that worker and nodes share.

A job is a folder as in `tradewind.run.job_folder`, and a link with the job's name that leads to it:
the claim, since a link is made once. It is submitted under a lock of the folder, after a look
whether a job of that name is queued (a worker may have died between ``sbatch`` and writing the id
down). The job itself begins by making the folder ``began.once``: of two submissions one would run.

Slurm forgets a job some minutes after its end (``MinJobAge``), so the job writes its exit status
into the folder itself; ``scontrol show job`` tells of those that were ended from outside.
https://slurm.schedmd.com/sbatch.html
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tradewind.errors import InputError, RetryError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, Job, JobState, JobStatus, LogLine
from tradewind.run.exit_status import describe_exit_status
from tradewind.run.job_folder import JobFolderBackend
from tradewind.systems.process.backend import LocalShell

__all__ = ["SlurmBackend", "SlurmJob", "ping"]

_SECONDS = 60
_END_SECONDS = 60
_PAUSE = 0.2
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "SUSPENDED", "RESV_DEL_HOLD")
_AT_WORK = ("RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED")
_ENDED = {
    "CANCELLED": "it was cancelled (SIGTERM)",
    "TIMEOUT": "it reached its time limit. Raise --time",
    "OUT_OF_MEMORY": "it needed more memory than it had asked for. Raise --mem",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "another job took its place",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "it reached its deadline",
}

_RUN = """\
#!/bin/sh
# Written by Tradewind. A second job of this folder would run nothing.
job={folder}
mkdir "$job/began.once" 2>/dev/null || exit 0
date +%s > "$job/began"
. "$job/environment"
rm -f "$job/environment"
TRADEWIND_RESULT=$job/result
export TRADEWIND_RESULT
(exec sh "$job/command")
code=$?
echo "$code" > "$job/exit.new"
mv "$job/exit.new" "$job/exit"
"""


@dataclass(frozen=True)
class SlurmJob:
    """A command to run as a batch job.

    Args:
        script: What ``sh`` runs on the node.
        environment: Variables that it finds. Never shown.
        options: Further options of ``sbatch``.
    """

    script: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: tuple[str, ...] = ()


class SlurmBackend(Backend[SlurmJob]):
    """Runs batch jobs of the cluster that ``SLURM_CONF`` or the machine's configuration names.

    Memory: one megabyte of log.

    Args:
        root: A folder that worker and nodes share; made when missing, for this account alone.
    """

    name = "slurm"
    log_is_exact = True

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).absolute()
        # How a log and a result are read from a folder is the same as for processes.
        self._folders = _Folders(self)

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: as file names go."""
        return f"{owner.name(limit=100)}-{number}"

    def submit(
        self, owner: Owner, number: int, work: SlurmJob, *, variables: Mapping[str, str]
    ) -> None:
        """Prepare the folder, claim the name, submit."""
        environment = {**variables, **work.environment}
        for variable, value in environment.items():
            if not _VARIABLE.fullmatch(variable) or "\0" in value:
                raise InputError(
                    f"Slurm: {variable!r} cannot be an environment variable. Use letters, digits "
                    "and underscores, and no NUL character."
                )
        name = self.name_of(owner, number)
        hidden = self._root / f".{name}.{secrets.token_hex(4)}"
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            hidden.mkdir(mode=0o700)
            exports = "".join(
                f"export {key}={shlex.quote(value)}\n" for key, value in environment.items()
            )
            title = " ".join(str(owner).split())
            for file, text in (
                ("command", f"{work.script}\n"),
                ("environment", exports),
                ("options", json.dumps(work.options)),
                ("owner", f"{owner.digest} {number} {title}\n"),
                ("run", _RUN.format(folder=shlex.quote(str(hidden)))),
                ("log", ""),
            ):
                path = hidden / file
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
                    out.write(text)
            (self._root / name).symlink_to(hidden.name)
        except FileExistsError:
            shutil.rmtree(hidden, ignore_errors=True)
            raise AlreadyStartedError(f"Slurm: the job {name} was submitted before.") from None
        except OSError as error:
            shutil.rmtree(hidden, ignore_errors=True)
            raise SetupError(
                f"Slurm: the job folder in {self._root} cannot be written: {error.strerror}. Name "
                "a folder that this account can write, on workers and on nodes."
            ) from error
        self.resume(name)

    def resume(self, name: str) -> None:
        """Submit what was claimed and not submitted, as after a death in between."""
        folder = self._folder(name)
        if folder is None or _is_removed(folder):
            return
        with _locked(folder):
            if (folder / "job").exists() or (folder / "exit").exists():
                return
            found = _queued(name)
            if found is not None:
                _write(folder / "job", found)
                return
            if (folder / "began.once").exists():
                return  # it has run and ended meanwhile
            options = json.loads((folder / "options").read_text())
            told = _call(
                "sbatch",
                "--parsable",
                "--no-requeue",
                f"--job-name={name}",
                f"--output={folder}/log",
                "--open-mode=append",
                # Nothing of the worker's own environment, which may hold secrets.
                "--export=HOME,PATH,USER,LANG",
                *options,
                str(folder / "run"),
            )
            _write(folder / "job", told.strip().partition(";")[0])

    def status(self, name: str) -> JobStatus:
        """Look into the folder, and ask Slurm where that does not say."""
        folder = self._folder(name)
        if folder is None or _is_removed(folder):
            return JobStatus(JobState.ABSENT)
        ended = _exit_of(folder)
        if ended is not None:
            return ended
        job = _read(folder / "job")
        if job is None:
            return JobStatus(JobState.PENDING, "it is claimed and not submitted yet")
        state, reason = _state(job)
        if state in _WAITING:
            return JobStatus(JobState.PENDING, f"Slurm has not begun it: {reason}")
        if state in _AT_WORK:
            return JobStatus(JobState.RUNNING)
        # What a node has written may be seen here a moment later.
        ended = _exit_of(folder)
        if ended is not None:
            return ended
        words = _ENDED.get(state, f"Slurm says {state or 'nothing'} ({reason})")
        return JobStatus(JobState.FAILED, f"the Slurm job {job} has left no exit status: {words}")

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read whole lines from a byte offset on."""
        if self.status(name).state is JobState.PENDING:
            deadline = time.monotonic() + wait
            while time.monotonic() < deadline and self.status(name).state is JobState.PENDING:
                time.sleep(_PAUSE)
            return
        yield from self._folders.logs(name, after, wait=wait)

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Read the file ``result``."""
        return self._folders.result(name, limit=limit)

    def last_line(self, name: str) -> str | None:
        """Read the end of the log."""
        return self._folders.last_line(name)

    def unclaimed(self) -> Iterator[Job]:
        """Tell of folders that no link leads to."""
        yield from self._folders.unclaimed()

    def delete_unclaimed(self, name: str) -> None:
        """Delete a folder that no link leads to."""
        self._folders.delete_unclaimed(name)

    def cancel(self, name: str) -> None:
        """Cancel the job; Slurm sends SIGTERM, and SIGKILL after its ``KillWait``."""
        folder = self._folder(name)
        if folder is None or _is_removed(folder) or _exit_of(folder) is not None:
            return
        self.resume(name)
        job = _read(folder / "job")
        if job is not None:
            (folder / "stopped").touch()
            _call("scancel", "--quiet", job)

    def delete(self, name: str) -> None:
        """End the job, wait until it has ended, delete its folder."""
        folder = self._folder(name)
        if folder is None:
            return
        job = _read(folder / "job") or (_queued(name) if _is_removed(folder) else None)
        if job is not None and _exit_of(folder) is None:
            _call("scancel", "--quiet", job)
            deadline = time.monotonic() + _END_SECONDS
            while _state(job)[0] in (*_WAITING, *_AT_WORK):
                if time.monotonic() > deadline:
                    raise RetryError(f"Slurm: the job {job} ({name}) does not end.")
                time.sleep(_PAUSE)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(FileNotFoundError):
            (self._root / name).unlink()

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Look at all folders."""
        for link in sorted(self._root.glob("*")) if self._root.is_dir() else ():
            text = _read(link / "owner") if link.is_symlink() else None
            if text is None:
                continue
            digest, number, title = text.split(" ", 2)
            if owner is not None and owner.digest != digest:
                continue
            began = (link / "owner").stat().st_mtime
            yield Job(
                link.name,
                digest,
                title,
                int(number),
                self.status(link.name),
                started=datetime.fromtimestamp(began, UTC),
            )

    def _folder(self, name: str) -> Path | None:
        try:
            return self._root / os.readlink(self._root / name)
        except OSError:
            return None


class _Folders(JobFolderBackend):
    """How logs and results are read; whether a job runs is asked of Slurm."""

    def __init__(self, slurm: SlurmBackend) -> None:
        super().__init__(LocalShell(), root=str(slurm._root), where="Slurm")
        self._slurm = slurm

    def status(self, name: str) -> JobStatus:
        return self._slurm.status(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_removed(folder: Path) -> bool:
    """Whether somebody else has removed a job folder, or part of it, and its claim is left."""
    return not (folder / "owner").exists()


def _queued(name: str) -> str | None:
    """Ask Slurm for the number of a job that has a name and has not ended."""
    found = _call("squeue", "--noheader", "--name", name, "--format", "%A").split()
    return found[0] if found else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _exit_of(folder: Path) -> JobStatus | None:
    text = _read(folder / "exit")
    if text is None:
        return None
    code = int(text)
    with suppress(OSError):
        if (folder / "exit").stat().st_mtime >= (folder / "stopped").stat().st_mtime:
            # A shell whose children have got the signal may still end with 0.
            return JobStatus(
                JobState.FAILED, "on Slurm it was cancelled (SIGTERM)", exit_code=code or 143
            )
    if code == 0:
        return JobStatus(JobState.SUCCEEDED, exit_code=0)
    return JobStatus(JobState.FAILED, f"on Slurm {describe_exit_status(code)}", exit_code=code)


def _state(job: str) -> tuple[str, str]:
    """Ask for a job's state and reason; empty where Slurm has forgotten it."""
    told = _call("scontrol", "show", "job", job, may_fail="Invalid job id")
    fields = dict(part.split("=", 1) for part in told.split() if "=" in part)
    return fields.get("JobState", ""), fields.get("Reason", "")


def ping() -> str:
    """Ask whether the controller answers.

    Raises:
        TradewindError: It does not, or there is no Slurm here.
    """
    said = " ".join(_call("scontrol", "ping").split())
    if " UP" not in said:
        raise RetryError(f"Slurm: the controller does not answer: {said}. Start slurmctld.")
    return said


def _call(*command: str, may_fail: str | None = None) -> str:
    try:
        done: Any = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
            # Whoever ends the task ends its group: a submission that has begun comes to its end.
            process_group=0,
        )
    except FileNotFoundError as error:
        raise SetupError(
            f"Slurm: the program {command[0]} is not installed on this worker. On Debian and "
            "Ubuntu: sudo apt-get install slurm-client"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RetryError(f"Slurm: {command[0]} did not answer within {_SECONDS} s.") from error
    if done.returncode == 0 or (may_fail and may_fail in done.stderr):
        return str(done.stdout)
    said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
    message = f"Slurm: {command[0]} says: {said}"
    if "Unable to contact" in said or "Connection refused" in said or "timed out" in said.lower():
        raise RetryError(message)
    if command[0] == "sbatch":
        raise InputError(f"{message}. Correct the options of the job.")
    raise SetupError(message)
