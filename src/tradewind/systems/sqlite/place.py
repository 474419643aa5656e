"""Where a database of SQLite may be: a regular file, which is there or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradewind.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["refuse_special"]


def refuse_special(path: Path) -> None:
    """Refuse what is no regular file, of which SQLite says that the disk is at fault.

    Raises:
        SetupError: A folder, FIFO, device or socket stands there.
    """
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "FIFO, device or socket"
        raise SetupError(f"SQLite file {path}: it is a {kind}, not a regular file. Name a file.")
