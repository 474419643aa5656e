"""Folders that an upload makes, and takes away again when it comes to nothing."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

__all__ = ["MadeFolders"]


class MadeFolders:
    """Remembers which folders were made here; those of others are never removed, empty or not."""

    def __init__(self) -> None:
        self._made: dict[Path, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {"_made": dict(self._made)}

    def __setstate__(self, state: dict[str, dict[Path, tuple[int, int]]]) -> None:
        self._made = state["_made"]
        self._lock = threading.Lock()

    def make(self, folder: Path) -> None:
        """Make a folder, and those above it that are missing.

        Raises:
            OSError: It cannot be made.
        """
        with self._lock:
            missing = []
            at = folder
            while not at.exists():
                missing.append(at)
                at = at.parent
            for one in reversed(missing):
                try:
                    one.mkdir()
                except FileExistsError:
                    if not one.is_dir():
                        one.stat()  # links that lead round have an error of their own
                        raise
                    continue  # somebody else was quicker: it is theirs
                status = os.lstat(one)
                self._made[one] = status.st_dev, status.st_ino

    def remove_empty(self) -> None:
        """Remove those that are empty, and still the very ones that were made."""
        with self._lock:
            for one in sorted(self._made, key=lambda path: len(path.parts), reverse=True):
                with contextlib.suppress(OSError):  # not empty, or gone already
                    status = os.lstat(one)
                    if (status.st_dev, status.st_ino) == self._made[one]:
                        one.rmdir()
                        del self._made[one]
