"""Where a database of SQLite may be: a regular file, which is there or not, or is made."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import unquote

from tradewind.errors import InputError, RetryError, SetupError

__all__ = ["begin", "clear", "refuse_special", "sqlite_path"]


def refuse_special(path: Path) -> None:
    """Refuse what is no regular file, of which SQLite says that the disk is at fault.

    Raises:
        SetupError: A folder, FIFO, device or socket stands there.
    """
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "FIFO, device or socket"
        raise SetupError(f"SQLite file {path}: it is a {kind}, not a regular file. Name a file.")


def sqlite_path(uri: str) -> Path:
    """Read the path of a file from a URI as SQLAlchemy writes it.

    Args:
        uri: ``sqlite:///relative.db``, ``sqlite:////absolute.db``.

    Raises:
        InputError: It is not such a URI.
    """
    scheme, found, rest = uri.partition(":///")
    if not found or scheme.partition("+")[0] != "sqlite" or not rest:
        raise InputError(
            "SQLite: the URI names no file. Write sqlite:///relative.db or sqlite:////absolute.db."
        )
    return Path(unquote(rest.partition("?")[0]))


def begin(connection: sqlite3.Connection, path: Path, system: str) -> None:
    """Begin the one transaction that may write, once nobody else does.

    Raises:
        RetryError: The file is not there any more: a load that had made it has failed meanwhile.
    """
    file = _version(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        if file is None or _version(path) != file:
            raise RetryError(f"{system}: the file was removed or replaced meanwhile. Try again.")


def _version(path: Path) -> tuple[int, int] | None:
    """Tell one file from another of the same name; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return None


def clear(path: Path, *, made: bool) -> None:
    """Remove what a load that failed has left, if nobody has committed to the file since.

    Where a disk is full SQLite cannot undo at once what it has written: it leaves its journal, by
    which the next one that opens the file undoes it. A new file goes while its lock is held: who
    waits for that finds another file, or none, then.

    Args:
        path: The file.
        made: Whether that load has made it.
    """
    path = Path(os.path.realpath(path))  # SQLite makes both there; a link is not ours to remove
    if not made and not os.path.lexists(f"{path}-journal"):
        return
    with contextlib.suppress(sqlite3.Error, OSError):
        if not path.is_file():
            return
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("BEGIN EXCLUSIVE")
            if made and not path.stat().st_size:
                path.unlink()
            connection.rollback()
