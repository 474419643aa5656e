"""Where a database of SQLite may be: a regular file, which is there or not."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from tradewind.errors import InputError, SetupError

__all__ = ["refuse_special", "sqlite_path"]


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
