"""``tradewind env``: environment variables for clients of the systems that run here."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Callable
from pathlib import Path

from tradewind.errors import SetupError
from tradewind.local.up import UNSET, Systems

__all__ = ["ENV_FILE", "register_env", "write_environment"]

ENV_FILE = Path(".tradewind/env")
"""Where `tradewind up` writes the variables, and `tradewind env` reads them."""


def write_environment(path: Path, systems: Systems) -> Callable[[], None]:
    """Write what a shell has to set to reach the systems; only its owner may read it.

    Args:
        path: The file.
        systems: What runs.

    Returns:
        Removes the file, unless another `tradewind up` has written it since.
    """
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in systems.environment.items()]
    text = f"# Written by tradewind up, process {os.getpid()}.\n" + "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)

    def remove() -> None:
        with contextlib.suppress(OSError):
            if path.read_text() == text:
                path.unlink()

    return remove


def register_env(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``env``.

    Args:
        commands: The parsers of all commands.
    """
    parser = commands.add_parser(
        "env",
        help="print the variables that lead to the systems that `tradewind up` has started",
        description="Print shell commands that set the variables which lead clients (boto3, psql, "
        'Airflow) to what `tradewind up` has started here: eval "$(tradewind env)"',
    )
    parser.add_argument(
        "--env-file",
        type=Path,
        default=ENV_FILE,
        metavar="FILE",
        help="the file that `tradewind up` has written (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        text = arguments.env_file.read_text()
    except OSError as error:
        raise SetupError(
            f"There is no {arguments.env_file}: nothing was started here. Run `tradewind up "
            "SYSTEM ...` in this folder first, or name the file of the one that runs."
        ) from error
    print(text, end="")
    return 0
