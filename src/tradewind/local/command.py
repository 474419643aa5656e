"""``tradewind up``: local systems from the command line."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

from tradewind.errors import InputError, SetupError
from tradewind.local.environment import ENV_FILE, write_environment
from tradewind.local.processes import bind_to_parent, spawn
from tradewind.local.samples import make_samples
from tradewind.local.system import find_systems, plan
from tradewind.local.up import UNSET, Systems, up

__all__ = ["register_up"]

_EPILOG = """\
examples:
  tradewind up s3 sagemaker                   until Ctrl-C
  tradewind up sagemaker --port s3=9100       what it needs is started as well
  tradewind up s3 --exec aws s3 ls            run one command against it, then stop
  tradewind up postgres s3 --sample           with a bucket and a table to try things with
  eval "$(tradewind env)"                     in another terminal: reach what runs here

exit status: 0 after Ctrl-C or SIGTERM; 1 a system could not be started, or ended; 2 the command
line is wrong. With --exec that of the command, 128 + n when signal n ended it, 127 when there is no
such command, 126 when it cannot be run.
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.3


def register_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``up``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "up",
        help="start local systems and say how to reach them",
        description="Start systems on this machine, listening on loopback only, print how to "
        "reach them, and stop them all on Ctrl-C.",
        epilog=_EPILOG + "\nsystems:\n" + _list_systems(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help="what to start, see below")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(".tradewind/data"),
        metavar="DIR",
        help="folder that data are kept in (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="SYSTEM=PORT",
        help="port of a system; 0 takes any free one; may be repeated",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one line of JSON when ready, and nothing else on stdout",
    )
    parser.add_argument(
        "--sample",
        action="store_true",
        help="make a bucket `sample` and a table `listings` with rows, and say what to try",
    )
    parser.add_argument(
        "--env-file",
        type=Path,
        default=ENV_FILE,
        metavar="FILE",
        help="file with the variables that lead here, which `tradewind env` reads; it is there "
        "while the systems run (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the systems there are, and end")
    parser.add_argument(
        "--exec",
        nargs=argparse.REMAINDER,
        metavar="CMD",
        help="run a command (all that follows) with the environment set, then stop",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        print(_list_systems(), end="")
        return 0
    if not arguments.systems:
        raise InputError(f"up: name what to start: {', '.join(find_systems())}.")
    if arguments.exec == []:
        raise InputError("up: --exec needs a command after it.")
    if arguments.exec and shutil.which(arguments.exec[0]) is None:
        there = os.path.exists(arguments.exec[0])
        what = "is not a program that can be run" if there else "is not there"
        print(f"tradewind: up --exec: the command {arguments.exec[0]!r} {what}.", file=sys.stderr)
        return 126 if there else 127
    ports = {system.name: system.default_port for system in plan(arguments.systems)}
    ports |= dict(_parse_port(text) for text in arguments.port)
    signals = _Signals()
    ready = False
    try:
        with (
            signals,
            ExitStack() as restore,
            up(arguments.systems, data=arguments.data, ports=ports) as systems,
        ):
            ready = True
            tried = make_samples(systems) if arguments.sample else []
            if not arguments.exec:
                stop_telling = write_environment(arguments.env_file, systems)
                restore.callback(stop_telling)
            if arguments.json:
                print(json.dumps(_as_json(systems)), flush=True)
            if arguments.exec:
                return _execute(arguments.exec, systems, signals, quiet=arguments.json)
            if not arguments.json:
                print(_as_text(systems, arguments.env_file, tried), flush=True)
            while True:
                time.sleep(_LOOK_SECONDS)
                _check_all_run(systems)
    except _Stopped as stopped:
        if not arguments.json:
            print("Stopped.", file=sys.stderr)
        return 0 if ready else 128 + stopped.signal


class _Stopped(BaseException):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class _Signals:
    """What SIGINT, SIGTERM and SIGHUP do: stop, or be handed on to the command that runs."""

    def __init__(self) -> None:
        self._command: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._missed: int | None = None
        self._stopping = False
        self._restore = ExitStack()

    def __enter__(self) -> None:
        for number in _SIGNALS:
            self._restore.callback(signal.signal, number, signal.signal(number, self._take))

    def __exit__(self, *_: object) -> None:
        self._restore.close()

    def hand_on_to(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a command whose signals are its own from now on; those of the start come after."""
        self._starting = True
        command = self._command = start()
        self._starting = False
        if self._missed is not None:
            command.send_signal(self._missed)
        return command

    def ignore(self) -> None:
        """From now on all is being stopped anyway."""
        self._stopping = True

    def _take(self, number: int, _: FrameType | None) -> None:
        if self._stopping:
            return
        if self._starting:
            self._missed = number
            return
        if self._command is None:
            self._stopping = True
            raise _Stopped(number)
        # The terminal sends Ctrl-C to the command as well: once is enough.
        if not (number == signal.SIGINT and _is_foreground()):
            self._command.send_signal(number)


def _is_foreground() -> bool:
    with suppress(OSError, ValueError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


def _execute(command: list[str], systems: Systems, signals: _Signals, *, quiet: bool) -> int:
    if not quiet:
        where = ", ".join(f"{system.name} at {system.endpoint}" for system in systems.values())
        print(f"tradewind: {where}", file=sys.stderr, flush=True)
    environment = systems.full_environment()
    process = signals.hand_on_to(lambda: spawn(bind_to_parent(command), env=environment))
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_LOOK_SECONDS)
                break
            _check_all_run(systems)
    finally:
        signals.ignore()
        if process.returncode is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
    return 128 - status if status < 0 else status


def _check_all_run(systems: Systems) -> None:
    if child := systems.ended():
        said = child.tail()
        raise SetupError(
            f"{child.system}: its process {child.describe_end()}; all is stopped. "
            f"Its log is {child.log}" + (f" and ends with:\n{said}" if said else ", and is empty.")
        )


def _parse_port(text: str) -> tuple[str, int]:
    system, _, port = text.partition("=")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise InputError(f"up: --port {text} is not of the form SYSTEM=PORT, like s3=9000.")
    return system, int(port)


def _list_systems() -> str:
    systems = find_systems().values()
    width = max(len(system.name) for system in systems)
    return "".join(
        f"  {system.name:<{width}}  {system.summary}"
        f" [port {system.default_port}{', needs ' if system.needs else ''}"
        f"{', '.join(system.needs)}]\n"
        for system in systems
    )


def _as_json(systems: Systems) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "data": str(systems.data),
        "systems": {
            system.name: {
                "endpoint": system.endpoint,
                "folder": str(system.folder),
                "pids": system.pids,
                "notes": dict(system.offer.notes),
            }
            for system in systems.values()
        },
        "environment": systems.environment,
        "unset": list(UNSET),
    }


def _as_text(systems: Systems, env_file: Path, tried: list[str]) -> str:
    width = max(len(name) for name in systems)
    lines = ["", f"Running, with data in {systems.data}:", ""]
    lines += [f"  {system.name:<{width}}  {system.endpoint}" for system in systems.values()]
    for system in systems.values():
        lines += [f"  {system.name} {what}: {note}" for what, note in system.offer.notes.items()]
    lines += ["", "For another terminal (boto3, AWS CLI, Airflow):", ""]
    lines += [f"unset {' '.join(UNSET)}"]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in systems.environment.items()]
    shown = "" if env_file == ENV_FILE else f" --env-file {shlex.quote(str(env_file))}"
    lines += ["", f'Or all of it at once, in another terminal: eval "$(tradewind env{shown})"']
    if tried:
        lines += ["", "Then try:", "", *tried]
    lines += ["", "Ctrl-C stops all."]
    return "\n".join(lines)
