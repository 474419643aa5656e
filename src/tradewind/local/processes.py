"""Child processes that never outlive their parent, and the ports they listen on.

On Linux every child asks the kernel to be killed when its parent dies (``PR_SET_PDEATHSIG``, see
prctl(2)), so that not even SIGKILL of the parent leaves an orphan. Elsewhere an ordinary end and
the signals that Python handles stop them.

Over 400 lines: starting, watching and ending are one promise, and share its bookkeeping.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tradewind.errors import SetupError

__all__ = [
    "Account",
    "Child",
    "Children",
    "bind_to_parent",
    "check_port_free",
    "free_port",
    "past_proxies",
    "spawn",
    "wait_until",
]

# Runs before the program itself, in the same process. PR_SET_PDEATHSIG survives the exec, but not a
# change of the user, which therefore comes first; the look at the parent's id closes the gap in
# which the parent died before the request was made. A preexec_fn could do the same but is unsafe in
# a process with threads. All modules are imported before the user changes, to one who may not be
# able to read them: also warnings, which execvp wants.
_BOUND = """\
import ctypes, os, signal, sys, warnings
parent, death_signal, account = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if account:
    user, group = map(int, account.split(":"))
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
ctypes.CDLL(None, use_errno=True).prctl(1, death_signal)
if os.getppid() != parent:
    os.kill(os.getpid(), signal.SIGKILL)
try:
    os.execvp(sys.argv[4], sys.argv[4:])
except OSError as error:
    sys.stderr.write(f"{sys.argv[4]}: {error.strerror}\\n")
    os._exit(127 if isinstance(error, FileNotFoundError) else 126)
"""

# The kernel takes the death of the *thread* that started a child for the death of its parent. All
# children are therefore started by this one thread, which lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tradewind-spawner")

_LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 10.0
_TAIL_BYTES = 2000


@dataclass(frozen=True)
class Account:
    """A user of this machine, as whom root lets a program run that refuses root.

    Args:
        user: Id of the user.
        group: Id of the user's group.
    """

    user: int
    group: int


def bind_to_parent(
    command: Sequence[str],
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
) -> list[str]:
    """Wrap a command so that its process ends when this process does.

    Args:
        command: Program and arguments.
        death_signal: What the kernel sends it when this process is gone.
        account: Whose process it shall be; this process must be root's then.

    Returns:
        The command to start; the command itself where the kernel has no such request.
    """
    if sys.platform != "linux":
        return list(command)
    me = str(os.getpid())
    whose = f"{account.user}:{account.group}" if account else ""
    return [sys.executable, "-I", "-S", "-c", _BOUND, me, str(int(death_signal)), whose, *command]


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep what goes to this machine from a proxy that the environment names.

    Args:
        environment: Variables, of which those ending in ``_proxy`` matter.

    Returns:
        ``NO_PROXY`` and ``no_proxy`` with loopback in them, or nothing where there is no proxy.
    """
    named = {name.lower() for name, value in environment.items() if value}
    if not named & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    before = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    hosts = [host for host in before.split(",") if host]
    hosts += [host for host in (_LOOPBACK, "localhost") if host not in hosts]
    return {"NO_PROXY": ",".join(hosts), "no_proxy": ",".join(hosts)}


def spawn(command: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    """Start a process from the one thread that lives as long as this process.

    Args:
        command: Program and arguments, mostly from `bind_to_parent`.
        options: As for `subprocess.Popen`.

    Returns:
        The process.
    """
    popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
    return _spawner.submit(popen, list(command), **options).result()


def free_port() -> int:
    """Ask the kernel for a loopback port that is free now.

    Returns:
        The port. Another process may take it before it is used: prefer to let a program choose.
    """
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port_free(system: str, port: int) -> None:
    """Look whether a port can be listened on.

    Args:
        system: Name of the system that wants it, for the message.
        port: The port; 0 is always free.

    Raises:
        SetupError: It is taken, or not allowed.
    """
    remedy = f"Choose another with --port {system}=PORT (0 takes any free one)"
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still being forgotten counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OverflowError as error:
            raise SetupError(f"{system}: there is no port {port}. {remedy}.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SetupError(
                    f"{system}: port {port} on {_LOOPBACK} is in use by another program. "
                    f"{remedy}, or stop that program."
                ) from error
            raise SetupError(
                f"{system}: cannot listen on port {port} of {_LOOPBACK}: {error.strerror}. "
                f"{remedy}."
            ) from error


def wait_until(condition: Callable[[], bool], *, seconds: float, interval: float = 0.02) -> bool:
    """Ask again and again until a condition holds.

    Args:
        condition: Asked every interval.
        seconds: How long to ask at most.
        interval: Time between two questions, in seconds.

    Returns:
        Whether it held in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


@dataclass
class Child:
    """A process of a local system.

    Args:
        system: Name of the system.
        process: The process, leader of a process group of its own.
        log: The file that takes what it prints on stderr.
        output: The file that takes its stdout; the log itself when it is not kept apart.
        grace: Seconds between the polite signal and the one that cannot be refused.
        stop_signal: The polite signal.
        asked_to_end: Whether it was sent.
    """

    system: str
    process: subprocess.Popen[bytes]
    log: Path
    output: Path
    grace: float = _GRACE_SECONDS
    stop_signal: signal.Signals = signal.SIGTERM
    asked_to_end: bool = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._status() is not None

    def tail(self) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
            return "\n".join(f"    {line}" for line in lines[-12:])
        return ""

    def describe_end(self) -> str:
        """How it ended, for a message."""
        status = self._status()
        if status is None:
            return "is running"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until it is ready to serve.

        Args:
            ready: Whether it is; asked again and again.
            seconds: How long to wait at most.

        Raises:
            SetupError: It ended, or was not ready in time; with the last lines of its log.
        """
        if wait_until(lambda: self.ended() or ready(), seconds=seconds) and not self.ended():
            return
        what = self.describe_end() if self.ended() else f"was not ready within {seconds:.0f} s"
        said = self.tail()
        raise SetupError(
            f"{self.system}: its process {what} while starting. Its log is {self.log}"
            + (f" and ends with:\n{said}" if said else ", and is empty.")
        )

    def announced_endpoint(self, *, seconds: float) -> str:
        """Wait for the line of JSON by which a service of ours says that it is ready.

        Args:
            seconds: How long to wait at most.

        Returns:
            Its endpoint, of ``{"endpoint": "http://127.0.0.1:PORT"}`` on its stdout.

        Raises:
            SetupError: It ended, or was not ready in time; with the last lines of its log.
        """

        def lines() -> list[str]:
            return self.output.read_text(errors="replace").split("\n")

        self.wait_ready(lambda: len(lines()) > 1, seconds=seconds)
        return str(json.loads(lines()[0])["endpoint"])

    def ask_to_end(self) -> None:
        """Send the polite signal once, unless it has ended.

        Some take a second one for an order to end at once: Azurite dies of it unsaved.
        """
        if self.process.returncode is None and not self.asked_to_end:
            self.asked_to_end = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.stop_signal)

    def stop(self) -> None:
        """End it and all that is left of its process group."""
        if self.process.returncode is None:
            self.ask_to_end()
            wait_until(self.ended, seconds=self.grace)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def _status(self) -> int | None:
        """The exit status as `subprocess` spells it, None while it runs.

        Looked at without waiting for the process: so it keeps its id, and with it that of its
        group, from being given to somebody else before `stop` has swept the group.
        """
        if self.process.returncode is not None:
            return self.process.returncode
        end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status


class Children:
    """The processes of one system, stopped together in reverse order.

    Args:
        system: Name of the system.
        logs: The folder for what they print.
        keep_open: File descriptors they inherit, so that a lock is held as long as any of them
            lives.
    """

    def __init__(self, system: str, logs: Path, keep_open: Sequence[int] = ()) -> None:
        self._system = system
        self._logs = logs
        self._keep_open = tuple(keep_open)
        self.all: list[Child] = []

    def start(
        self,
        command: Sequence[str],
        *,
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        separate_output: bool = False,
        death_signal: signal.Signals = signal.SIGKILL,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = _GRACE_SECONDS,
        account: Account | None = None,
        keep_open: Sequence[int] = (),
        typed: str = "",
    ) -> Child:
        """Start a process in a process group of its own, so that Ctrl-C does not reach it.

        Args:
            command: Program and arguments.
            name: What its log file is called; the system's name when not given.
            environment: Variables to set beside those of this process. AWS settings of this
                process are not handed down: a local system must never reach a real account.
            cwd: Its working directory.
            separate_output: Keep its stdout in a file of its own, ``<name>.out``.
            death_signal: What the kernel sends it when this process is gone.
            stop_signal: What asks it to end.
            grace: Seconds it may take to end when it is asked to.
            account: Whose process it shall be; this process must be root's then.
            keep_open: Further file descriptors it inherits.
            typed: What it reads on its stdin.

        Returns:
            The process.

        Raises:
            SetupError: The log file cannot be written.
        """
        name = name or self._system
        log = self._logs / f"{name}.log"
        output = self._logs / f"{name}.out" if separate_output else log
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        with contextlib.ExitStack() as files:
            try:
                self._logs.mkdir(parents=True, exist_ok=True)
                stderr = files.enter_context(log.open("wb"))
                stdout = files.enter_context(output.open("wb")) if separate_output else stderr
            except OSError as error:
                raise SetupError(
                    f"{self._system}: cannot write its log {log}: {error.strerror}. "
                    "Make the folder writable, or choose another with --data."
                ) from error
            stdin: IO[bytes] | int = subprocess.DEVNULL
            if typed:
                stdin = files.enter_context(tempfile.TemporaryFile())
                stdin.write(typed.encode())
                stdin.seek(0)
            process = spawn(
                bind_to_parent(command, death_signal, account),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env={**inherited, **past_proxies(os.environ), **(environment or {})},
                cwd=cwd,
                start_new_session=True,
                pass_fds=(*self._keep_open, *keep_open),
            )
        child = Child(self._system, process, log, output, grace, stop_signal)
        self.all.append(child)
        return child

    def run(
        self, command: Sequence[str], *, name: str, purpose: str, seconds: float, **options: Any
    ) -> None:
        """Run a program to its end.

        Args:
            command: Program and arguments.
            name: What its log file is called.
            purpose: What it is to do, for the message, like ``make its database``.
            seconds: How long it may take.
            options: As for `start`.

        Raises:
            SetupError: It failed or took too long; with the last lines of its log.
        """
        child = self.start(command, name=name, **options)
        in_time = wait_until(child.ended, seconds=seconds)
        how = child.describe_end() if in_time else f"took more than {seconds:.0f} s"
        child.stop()
        self.all.remove(child)
        if how != "ended with status 0":
            raise SetupError(
                f"{self._system}: could not {purpose}: {Path(command[0]).name} {how}. "
                f"Its log is {child.log} and ends with:\n{child.tail()}"
            )

    def ended(self) -> Child | None:
        """The first process that has ended, if any."""
        return next((child for child in self.all if child.ended()), None)

    def stop(self) -> None:
        """End all processes: all are asked to, then awaited, the last started first."""
        for child in reversed(self.all):
            child.ask_to_end()
        while self.all:
            self.all[-1].stop()
            self.all.pop()
