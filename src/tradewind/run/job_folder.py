"""Detached work in a job folder: what a process and a process over SSH have in common.

A job is a folder on the machine that runs it, and a supervisor, a small POSIX shell that
belongs to a session of its own (``setsid``), so that neither the death of the worker nor the end of
a connection reaches it::

    ROOT/.NAME.NONCE/      made by whoever starts it, complete before anything runs
        command            what runs, a shell script of mode 0600
        environment        what it finds in its environment; read, then deleted
        undo               what takes away what it has made elsewhere, mode 0600; not always there
        owner              digest, number and title of whose it is
        began              when, in seconds since 1970
        process            the supervisor's pid, its start time, the machine's boot id
        log                stdout and stderr of the work
        result             what TRADEWIND_RESULT names
        cgroup             the control group of the work, where it could have one of its own
        stopped            there when the work was stopped
        reason             one line that the work may leave beside its result: why it has failed
        exit               the exit status, written when it has ended
    ROOT/NAME              a symbolic link to that folder: the claim

The supervisor itself claims the name, and then runs the work: making a link succeeds once. So
nobody can die between the claim and the start. A supervisor whose name is taken takes its folder
away and ends. A process that is gone without an ``exit`` has vanished (killed, or the machine was
restarted): that is a failure, not an endless wait. A pid that another process has by now is
recognised by its start time.

Whoever removes a folder ends first the supervisor, which would write into it, and then what the
supervisor has started. A process that has ended and that nobody has asked for its exit status (a
zombie) does not count: in a container without an init there is nobody who ever would.
"""

from __future__ import annotations

import re
import secrets
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from tradewind.backoff import rest as pause_for
from tradewind.errors import InputError, RetryError, SetupError
from tradewind.owner import Owner
from tradewind.run.backend import AlreadyStartedError, Backend, Job, JobState, JobStatus, LogLine
from tradewind.run.exit_status import describe_exit_status
from tradewind.run.job_scripts import (
    LIST,
    LOOK_AT_ONE,
    REMOVE,
    REMOVE_UNCLAIMED,
    RESULT,
    START,
    STOP,
    SUPERVISE,
    UNCLAIMED,
)
from tradewind.run.log_messages import cut_at_character

__all__ = ["Command", "JobFolderBackend", "Shell"]

_POLL_SECONDS = 0.05
_KILL_AFTER_SECONDS = 5
_PIECE_BYTES = 1 << 20
_LAST_LINE = 16 << 20
_HIDDEN = re.compile(r"\..*?(?P<owner>[0-9a-f]{12})-(?P<number>\d+)\.[0-9a-f]{8}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Command:
    """A shell command to run.

    Args:
        script: What ``sh`` runs: one line or a whole script.
        environment: Variables it finds besides those of the account that runs it. Never shown.
        folder: Where it runs; the account's home when not given.
        undo: A shell script that takes away what the work has made on other systems, or does
            nothing. It finds ``TRADEWIND_RESULT`` and the job folder beside it, runs when the work
            is removed, and when it is stopped and has vanished; and again until it ends with 0.
            What it prints is the reason why not. Never shown.
    """

    script: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: str | None = None
    undo: str | None = field(default=None, repr=False)


class Shell(ABC):
    """How scripts reach the machine that runs the work."""

    @abstractmethod
    def run(self, script: str) -> str:
        """Run a script by a POSIX shell there, and return what it prints.

        Raises:
            SetupError: The machine cannot be used, or the script failed.
            RetryError: The machine is out of reach.
        """

    @abstractmethod
    def size(self, path: str) -> int:
        """Tell how large a file there is, in bytes; -1 where there is none."""

    @abstractmethod
    def output(self, script: str) -> Iterator[bytes]:
        """Run a script by a POSIX shell there, and read what it prints, as it comes."""

    @abstractmethod
    def read(self, path: str, start: int) -> Iterator[bytes]:
        """Read a file there from a byte on to its present end, in pieces of up to a megabyte."""


class JobFolderBackend(Backend[Command]):
    """Runs shell commands, each in a job folder.

    Memory: one megabyte of log.

    Args:
        shell: How scripts reach the machine.
        root: Folder that holds the job folders, from the account's home when it is relative; made
            when missing, for its account alone.
        where: What the machine is called in messages.
    """

    log_is_exact = True

    def __init__(self, shell: Shell, *, root: str, where: str) -> None:
        self._shell = shell
        self._asked_root = root
        self._where = where

    @cached_property
    def _root(self) -> str:
        if self._asked_root.startswith("/"):
            return self._asked_root
        return f"{self._call('cd && pwd -P')}/{self._asked_root}"

    def _call(self, script: str, *arguments: str) -> str:
        quoted = " ".join(map(shlex.quote, arguments))
        # In braces: a script of which only a part arrives is no script, and nothing of it runs.
        return self._shell.run(f"{{ set -- {quoted}\n{script}\n}}").strip("\n")

    def name_of(self, owner: Owner, number: int) -> str:
        """Spell a name: as file names go."""
        return f"{owner.name(limit=100)}-{number}"

    def about(self, work: Command) -> str:
        """Name the machine and the folder of job folders."""
        return f"on {self._where}, in {self._asked_root}"

    def submit(
        self, owner: Owner, number: int, work: Command, *, variables: Mapping[str, str]
    ) -> None:
        """Prepare the folder, and let a supervisor claim the name and start."""
        environment = {**variables, **work.environment}
        for variable in environment:
            if not _VARIABLE.fullmatch(variable):
                raise InputError(
                    f"{self._where}: {variable!r} cannot name an environment variable. "
                    "Use letters, digits and underscores."
                )
        for text in (work.script, work.folder or "", work.undo or "", *environment.values()):
            if "\0" in text:
                raise InputError(f"{self._where}: a command cannot hold a NUL character.")
        name = self.name_of(owner, number)
        exports = "".join(
            f"export {variable}={shlex.quote(value)}\n" for variable, value in environment.items()
        )
        answer = self._call(
            START,
            self._root,
            name,
            f".{name}.{secrets.token_hex(4)}",
            work.folder or "",
            work.script,
            exports,
            f"{owner.digest} {number} {one_line(str(owner))}",
            SUPERVISE,
            work.undo or "",
        )
        if answer == "taken":
            raise AlreadyStartedError(f"{self._where}: the job {name} has been started before.")
        if answer == "no folder":
            raise InputError(
                f"{self._where}: there is no folder {work.folder} to run in. Create it, or name "
                "another one."
            )
        if answer != "started":
            raise SetupError(
                f"{self._where}: the job {name} could not be started in {self._root}: "
                f"{answer or 'no answer'}. It needs a POSIX shell, setsid and a writable folder."
            )

    def status(self, name: str) -> JobStatus:
        """Look at the folder and at the process."""
        return self._job_status(self._call(LOOK_AT_ONE, f"{self._root}/{name}"))

    def _job_status(self, told: str) -> JobStatus:
        if told == "absent":
            return JobStatus(JobState.ABSENT)
        if told == "running":
            return JobStatus(JobState.RUNNING)
        if told == "vanished":
            return JobStatus(
                JobState.FAILED,
                f"its process on {self._where} is gone and left no exit status: it was killed "
                "(out of memory?), or the machine was restarted",
            )
        if told == "full":
            return JobStatus(
                JobState.FAILED,
                f"its process on {self._where} is gone and left no exit status: the disk with its "
                f"job folder in {self._root} is full. Free some space there",
            )
        if not told.startswith("exit "):
            raise RetryError(f"{self._where}: its shell ended before it had answered ({told!r}).")
        status, _, why = told.removeprefix("exit ").partition(" ")
        code = int(status)
        if code == 0:
            return JobStatus(JobState.SUCCEEDED, exit_code=0)
        said = f": {why}" if why else ""
        return JobStatus(
            JobState.FAILED, f"on {self._where} {describe_exit_status(code)}{said}", exit_code=code
        )

    def logs(self, name: str, after: str | None, *, wait: float) -> Iterator[LogLine]:
        """Read whole lines from a byte offset on; the offset after a line is its cursor."""
        path = f"{self._root}/{name}/log"
        start = int(after or 0)
        waited = 0.0
        while True:
            # First whether it runs, then what it wrote: so the last line is seen as the last.
            ended = self.status(name).state is not JobState.RUNNING
            rest = b""
            if self._shell.size(path) > start:
                for chunk in self._shell.read(path, start):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        start += len(line) + 1
                        yield LogLine(line.decode(errors="replace"), str(start))
                    while len(rest) >= _PIECE_BYTES:
                        piece, begun = cut_at_character(rest[:_PIECE_BYTES])
                        rest = begun + rest[_PIECE_BYTES:]
                        start += len(piece)
                        text = piece.decode(errors="replace")
                        yield LogLine(text, str(start), goes_on=True)
            if ended:
                if rest:
                    yield LogLine(rest.decode(errors="replace"), str(start + len(rest)))
                return
            if waited >= wait:
                return
            # Soon at first, more calmly later.
            pause = min(max(_POLL_SECONDS, waited / 4), wait - waited)
            pause_for(pause)
            waited += pause

    def result(self, name: str, *, limit: int) -> bytes | None:
        """Read the file ``result``: a regular one, in the job's own folder."""
        arguments = " ".join(map(shlex.quote, (self._root, name, str(limit))))
        content = bytearray()
        output = self._shell.output(f"set -- {arguments}\n{RESULT}")
        for piece in output:
            content += piece
        kind, _, result = bytes(content).partition(b"\n")
        what = kind.decode(errors="replace")
        if what == "file":
            if len(result) > limit + 1:
                raise InputError(
                    f"{self._where}: the result of {name} is larger than {limit:,} bytes. Write it "
                    "to a store, and hand back where it stands."
                )
            if not result.endswith(b"."):
                raise RetryError(f"{self._where}: the result of {name} has changed while read.")
            return result[:-1]
        if what in ("none", "gone"):
            # Whether the work itself is gone is told by a look at it.
            return None
        if not what:
            raise RetryError(f"{self._where}: the result of {name} could not be read.")
        raise InputError(
            f"{self._where}: the result of {name} is no regular file, but {what}. Write it as a "
            "file into the path that TRADEWIND_RESULT names."
        )

    def last_line(self, name: str) -> str | None:
        """Ask for the end of the log."""
        path = shlex.quote(f"{self._root}/{name}/log")
        script = f"tail -n 1 {path} 2>/dev/null | head -c {_LAST_LINE + 1}"
        line = b"".join(self._shell.output(script))
        if len(line) > _LAST_LINE:
            raise InputError(
                f"{self._where}: the last line of {name} is to be its result, and is longer than "
                f"{_LAST_LINE >> 20} MiB. Write it to a store, and hand back where it stands."
            )
        if not line:
            return None
        return line.removesuffix(b"\n").decode(errors="replace")

    def unclaimed(self) -> Iterator[Job]:
        """Tell of job folders that were not claimed, and of what a removal has left."""
        for line in self._call(UNCLAIMED, self._root).splitlines():
            hidden, started, digest, number, title = line.split("\t", 4)
            match = _HIDDEN.fullmatch(hidden)
            if match is None:
                continue  # somebody else's
            yield Job(
                name=hidden,
                # Where its creator has died before it wrote that.
                owner=digest or match["owner"],
                title=title,
                number=int(number or match["number"]),
                status=JobStatus(JobState.PENDING, "whoever was making or removing it has died"),
                started=datetime.fromtimestamp(int(started), UTC) if started else None,
            )

    def delete_unclaimed(self, name: str) -> None:
        """Delete a job folder that was not claimed, or is removed already in part."""
        if name in {piece.name for piece in self.unclaimed()}:
            self._call(REMOVE_UNCLAIMED, self._root, name)

    def cancel(self, name: str) -> None:
        """Send SIGTERM to all that it has started, and SIGKILL to what is left of it soon after."""
        self._call(STOP, f"{self._root}/{name}", str(_KILL_AFTER_SECONDS))

    def delete(self, name: str) -> None:
        """End what still runs by SIGKILL, undo what it has made elsewhere, delete the folder.

        Raises:
            RetryError: That cannot be done now; the folder stays, to be removed later.
        """
        answer = self._call(REMOVE, self._root, name)
        if answer == "left":
            raise RetryError(
                f"{self._where}: the job {name} cannot be removed from {self._root}: a process of "
                "it does not end, or its files cannot be deleted."
            )
        if answer.startswith("kept"):
            said = one_line(answer.removeprefix("kept")) or "its undo script failed"
            raise RetryError(
                f"{self._where}: the job {name} has ended, and what it has made elsewhere is still "
                f"there: {said}. Its folder in {self._root} stays until that is away."
            )

    def list(self, owner: Owner | None = None) -> Iterator[Job]:
        """Look at all job folders in one call."""
        for line in self._call(LIST, self._root).splitlines():
            name, started, digest, number, title, status = line.split("\t", 5)
            if owner is None or owner.digest == digest:
                yield Job(
                    name=name,
                    owner=digest,
                    title=title,
                    number=int(number),
                    status=self._job_status(status),
                    started=datetime.fromtimestamp(int(started), UTC) if started else None,
                )


def one_line(text: str) -> str:
    """Make a text fit into one line of a file."""
    return " ".join(text.split())
