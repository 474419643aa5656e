"""The command line: ``tradewind COMMAND ...``.

A command is one function that adds its parser and says what runs it: see `COMMANDS`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import ClassVar, NoReturn

from tradewind import __version__
from tradewind.commands.adopt import register_adopt
from tradewind.commands.answer import lossless, unwritable
from tradewind.commands.copy import register_copy
from tradewind.commands.doctor import register_doctor
from tradewind.commands.move import register_move
from tradewind.commands.show import register_show
from tradewind.commands.sweep import register_sweep
from tradewind.commands.version import cores
from tradewind.errors import InputError, TradewindError
from tradewind.local.command import register_up
from tradewind.local.environment import register_env
from tradewind.redaction import environment_secrets, is_secret_name, redacted

__all__ = ["COMMANDS", "main"]

_SHORTEST = 6

COMMANDS: tuple[Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None], ...] = (
    register_move,
    register_copy,
    register_show,
    register_sweep,
    register_adopt,
    register_doctor,
    register_up,
    register_env,
)
"""One function a command. It adds a parser and sets its default ``run``, which takes the parsed
arguments and returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows ``tradewind`` on the command line; `sys.argv` when not given.

    Returns:
        The exit status: 0 all is well, 1 something failed, 2 the command line is wrong; a command
        may have others of its own.
    """
    given = sys.argv[1:] if arguments is None else arguments
    _Parser.given = given
    parser: argparse.ArgumentParser = _Parser(
        prog="tradewind",
        description="Move data between systems, run work on them, and leave nothing behind.",
    )
    parser.add_argument("--version", action="version", version=f"tradewind {__version__} {cores()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for register in COMMANDS:
        register(commands)
    lossless()
    parsed = parser.parse_args(given)
    try:
        status = int(parsed.run(parsed))
        print(end="", flush=True)  # what is written at the end of the process could only be lost
        return status
    except TradewindError as error:
        print(f"tradewind: {_redacted(str(error), given)}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except MemoryError as error:
        said = _redacted(" ".join(str(error).split())[:500] or "no more could be had", given)
        print(
            f"tradewind: this process may not take the memory that this needs ({said}). Give it "
            "more (ulimit -v, the container's limit), or have it read less.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        if isinstance(error, OSError) and (told := unwritable(error)) is not None:
            if told:
                print(f"tradewind: {told}", file=sys.stderr)
            return 1
        # A fault of our own: its trace holds what libraries were given.
        print(_redacted(traceback.format_exc(), given), file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """A parser whose errors repeat no address; those of the commands are of the same class."""

    given: ClassVar[Sequence[str]] = ()

    def error(self, message: str) -> NoReturn:
        super().error(_redacted(message, self.given))


def _redacted(text: str, arguments: Sequence[str]) -> str:
    """Take out of a text what the command line and the environment hold of secrets.

    Our own messages have none; this is for what others put into theirs.
    """
    uris = [one for one in arguments if "://" in one]
    for one in arguments:
        name, equals, value = one.partition("=")
        if equals and name.isidentifier() and "://" in value:
            uris.append(value)
    secrets = environment_secrets() | {
        value
        for name, _, value in (one.partition("=") for one in arguments)
        if is_secret_name(name) and name.isidentifier() and not name.startswith("key")
    }
    return redacted(text, uris=uris, secrets=(one for one in secrets if len(one) >= _SHORTEST))


if __name__ == "__main__":
    sys.exit(main())
