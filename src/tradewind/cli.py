"""The command line: ``tradewind COMMAND ...``.

A command is one function that adds its parser and says what runs it: see `COMMANDS`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from tradewind import __version__
from tradewind.commands.move import register_move
from tradewind.commands.sweep import register_sweep
from tradewind.errors import InputError, TradewindError
from tradewind.local.command import register_up

__all__ = ["COMMANDS", "main"]

COMMANDS: tuple[Callable[[argparse._SubParsersAction[argparse.ArgumentParser]], None], ...] = (
    register_move,
    register_sweep,
    register_up,
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
    parser = argparse.ArgumentParser(
        prog="tradewind",
        description="Move data between systems, run work on them, and leave nothing behind.",
    )
    parser.add_argument("--version", action="version", version=f"tradewind {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for register in COMMANDS:
        register(commands)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except TradewindError as error:
        print(f"tradewind: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
